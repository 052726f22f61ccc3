"""An older archive, or one that is older in parts → a plan: datasets, depositions, runs in their layouts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tomoportal.archive import documents, layout
from tomoportal.archive.layout import OWN, Container
from tomoportal.archive.older import documents as older_documents
from tomoportal.archive.older import early, public_v1, schema_1_1, today
from tomoportal.archive.older.alignments import plan_alignments
from tomoportal.archive.older.documents import finished
from tomoportal.archive.older.draft import Draft
from tomoportal.archive.older.found import FoundRun, file_in, photos_in
from tomoportal.archive.older.items import Item, Numbers, OlderPlan, Remark
from tomoportal.archive.older.reconstructions import plan_reconstructions
from tomoportal.archive.older.runs import plan_acquisition
from tomoportal.archive.older.tree import Tree
from tomoportal.errors import ArchiveError, DocumentError
from tomoportal.storage import Store

__all__ = ["plan_archive", "recognise"]

_DEPOSITIONS = ("depositions_metadata", "deposition_metadata")
_PHOTO_FOLDERS = ("Images", "KeyPhoto", "KeyPhotos")


class _Layout(Protocol):
    NAME: str

    def matches(self, tree: Tree, folder: str) -> bool: ...
    def find(self, tree: Tree, folder: str, name: str) -> FoundRun: ...


# The first that matches: each asks for what those after it cannot have.
_LAYOUTS: tuple[_Layout, ...] = (early, today, public_v1, schema_1_1)


def recognise(tree: Tree, folder: str) -> _Layout | None:
    """The layout of a run by what is in its folder; None if it is no run."""
    for each in _LAYOUTS:
        if each.matches(tree, folder):
            return each
    return today if file_in(tree, folder, "run_metadata.json") else None


@dataclass
class _Archive:
    store: Store
    numbers: Numbers
    deposition_id: int | None
    has_deposition: Any
    items: list[Item] = field(default_factory=list)
    unplaced: list[Remark] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    layouts: list[tuple[str, str]] = field(default_factory=list)


def plan_archive(
    store: Store,
    *,
    datasets: Iterable[str] | None = None,
    deposition_id: int | None = None,
    numbers: Numbers | None = None,
    has_deposition: Any = None,
) -> OlderPlan:
    """What becomes of every file. Nothing is written.

    ``deposition_id`` is for documents that name none, in datasets that name none. ``numbers`` gives the ids;
    ``has_deposition(id)`` says whether the target knows a deposition already. Raises :class:`ArchiveError` if the store
    holds no dataset, or not one of ``datasets``.
    """
    plan = _Archive(store, numbers or Numbers(), deposition_id, has_deposition or (lambda number: False))
    there = {name: Tree(_sizes(store, name)) for name in _dataset_folders(store)}
    chosen = sorted(there) if datasets is None else list(dict.fromkeys(datasets))
    if missing := [name for name in chosen if name not in there]:
        raise ArchiveError(
            f"there is no dataset {', '.join(missing)}", where=store.url, fix=f"known are {', '.join(sorted(there))}"
        )
    if not chosen:
        raise ArchiveError(
            "there is no dataset: no folder holds a dataset_metadata.json or a run of a known layout",
            where=store.url,
            fix="give the folder that holds the datasets' folders",
        )
    for name in chosen:
        _dataset(plan, name, there[name])
    _depositions(plan, chosen, all_of_them=datasets is None)
    if datasets is None:
        _strangers(plan, chosen)
    order = {"deposition": 0, "dataset": 1}
    items = sorted(plan.items, key=lambda item: order.get(item.kind, 2))
    return OlderPlan(tuple(items), tuple(plan.unplaced), tuple(plan.remarks), tuple(plan.layouts))


def _sizes(store: Store, folder: str) -> dict[str, int]:
    """Keys and sizes; of each Zarr folder one key, since nothing but the folder matters here."""
    sizes: dict[str, int] = {}
    known = "\0"
    for stat in store.list(folder):
        if stat.key.startswith(known):
            continue
        head, is_zarr, _ = stat.key.partition(".zarr/")
        known = f"{head}.zarr/" if is_zarr else known
        sizes[stat.key] = stat.size
    return sizes


def _dataset_folders(store: Store) -> Iterator[str]:
    """Folders with a dataset document, or that are called by a number."""
    for name in store.children("")[0]:
        if name in _DEPOSITIONS or name.startswith("."):
            continue
        if name.isdecimal() or store.exists(f"{name}/dataset_metadata.json"):
            yield name


# --- datasets


def _dataset(plan: _Archive, name: str, tree: Tree) -> None:
    tell = _teller(plan, f"{name}/dataset_metadata.json")
    key = file_in(tree, name, "dataset_metadata.json")
    old: dict[str, Any] = {}
    if key is not None:
        try:
            old = documents.load(plan.store.get(key), key)
        except DocumentError as error:
            plan.unplaced.append(Remark(key, "; ".join(str(problem) for problem in error.problems)))
    else:
        plan.remarks.append(Remark(name, "there is no dataset_metadata.json; the runs stay without one"))
    stamp = older_documents.stamp_of(old)
    deposition = finished(old, plan.deposition_id, stamp)["deposition_id"]
    used = {key} if old and key else set()
    if old and key:
        document = older_documents.dataset(old, tell)
        if name.isdecimal() and document.get("dataset_identifier") != int(name):
            tell(f"dataset_identifier {document.get('dataset_identifier')} is overwritten by the folder's {name}")
            document["dataset_identifier"] = int(name)
        photos = _photos(tree, name, old)
        copies = tuple(
            (source, layout.dataset_image(name, part + source[source.rfind(".") :].lower()))
            for part, source in photos.items()
        )
        used |= set(photos.values())
        targets = dict(zip(photos, (new for _, new in copies), strict=True))
        document["key_photos"] = {part: targets.get(part) for part in ("snapshot", "thumbnail")}
        plan.items.append(
            Item(
                "dataset",
                Container.dataset(name),
                "dataset",
                copies=copies,
                document=(layout.dataset_document(name), finished(document, deposition, stamp)),
                sources=(key,),
            )
        )
    runs = set()
    for run in tree.names(name)[0]:
        if run in _PHOTO_FOLDERS:
            continue
        if _run(plan, name, run, tree, deposition, stamp, old.get("dates")):
            runs.add(run)
    for each in tree.below(name):
        parts = each.split("/")
        if each not in used and not (len(parts) > 2 and parts[1] in runs):
            plan.unplaced.append(Remark(each, "it belongs to no run"))


def _photos(tree: Tree, folder: str, old: Mapping[str, Any]) -> dict[str, str]:
    """Key photos of a dataset or deposition: those that the document names, else those in the usual folders."""
    found: dict[str, str] = {}
    named = old.get("key_photos")
    for part in ("snapshot", "thumbnail"):
        path = named.get(part) if isinstance(named, Mapping) else None
        if key := tree.resolve(path, f"{folder}/Images"):
            found[part] = key
    for each in _PHOTO_FOLDERS:
        for part, key in photos_in(tree, f"{folder}/{each}", ""):
            if part in ("snapshot", "thumbnail"):
                found.setdefault(part, key)
    return dict(sorted(found.items()))


def _run(plan: _Archive, dataset: str, run: str, tree: Tree, deposition: int | None, stamp: int, dates: Any) -> bool:
    folder = f"{dataset}/{run}"
    known = recognise(tree, folder)
    if known is None:
        return False
    try:
        layout.run_prefix(dataset, run)
    except ArchiveError as error:
        plan.unplaced.append(Remark(folder, f"{error.what}; {error.fix}"))
        return True
    found = known.find(tree, folder, run)
    plan.layouts.append((folder, known.NAME))
    draft = Draft(plan.store, tree, found, dataset, deposition, stamp, dates, plan.numbers)
    plan_acquisition(draft)
    alignments = plan_alignments(draft)
    plan_reconstructions(draft, alignments)
    _unused_alignments(draft)
    plan.items += draft.items
    plan.remarks += draft.remarks
    plan.unplaced += draft.leftovers()
    return True


def _unused_alignments(draft: Draft) -> None:
    for each in draft.found.alignments:
        for key in each.files:
            if key not in draft.used:
                draft.unplaced.setdefault(key, "no tomogram gives the size of the volume that it aligns")


# --- depositions


def _depositions(plan: _Archive, datasets: list[str], *, all_of_them: bool) -> None:
    wanted: dict[int, dict[str, Any] | None] = {}
    for item in plan.items:
        number = item.document[1].get("deposition_id") if item.document else None
        if isinstance(number, int):
            document = item.document[1] if item.kind == "dataset" and item.document else None
            wanted[number] = wanted.get(number) or document
    there: dict[str, str] = {}
    for parent in _DEPOSITIONS:
        for name in plan.store.children(parent)[0]:
            there.setdefault(name, f"{parent}/{name}")
    for name in sorted(there):
        if all_of_them or (name.isdecimal() and int(name) in wanted):
            _deposition(plan, name, there[name])
    for number, dataset in sorted(wanted.items()):
        if str(number) in there or plan.has_deposition(number):
            continue
        target = layout.deposition_document(number)
        if dataset is None:
            plan.remarks.append(Remark(target, "documents name this deposition, which is nowhere described"))
            continue
        made = _made_deposition(number, dataset)
        plan.remarks.append(Remark(target, f"it is made from dataset {dataset.get('dataset_identifier')}"))
        plan.items.append(Item("deposition", Container.deposition(number), "deposition", document=(target, made)))


def _deposition(plan: _Archive, name: str, folder: str) -> None:
    tree = Tree(_sizes(plan.store, folder))
    key = file_in(tree, folder, "deposition_metadata.json")
    used = set()
    if key is not None:
        try:
            old = documents.load(plan.store.get(key), key)
            number = int(name)
        except (DocumentError, ValueError) as error:
            plan.unplaced.append(Remark(key, f"it is no deposition: {error}"))
            return
        document = older_documents.deposition(old, _teller(plan, key))
        photos = _photos(tree, folder, old)
        copies = tuple(
            (source, layout.deposition_image(number, part + source[source.rfind(".") :].lower()))
            for part, source in photos.items()
        )
        targets = dict(zip(photos, (new for _, new in copies), strict=True))
        document["key_photos"] = {part: targets.get(part) for part in ("snapshot", "thumbnail")}
        used = {key, *photos.values()}
        plan.items.append(
            Item(
                "deposition",
                Container.deposition(number),
                "deposition",
                copies=copies,
                document=(layout.deposition_document(number), finished(document, number, 0)),
                sources=(key,),
            )
        )
    for each in tree.below(folder):
        if each not in used:
            plan.unplaced.append(Remark(each, "today's layout has no place"))


def _made_deposition(number: int, dataset: Mapping[str, Any]) -> dict[str, Any]:
    """A deposition from the only thing known of it: a dataset that came with it."""
    document = {
        "authors": dataset.get("authors") or [],
        "cross_references": dataset.get("cross_references") or {},
        "dates": dataset.get("dates") or {},
        "deposition_description": dataset.get("dataset_description"),
        "deposition_identifier": number,
        "deposition_title": dataset.get("dataset_title"),
        "deposition_types": ["dataset"],
        "key_photos": {"snapshot": None, "thumbnail": None},
    }
    return finished(document, number, older_documents.stamp_of(dataset))


# --- what else lies there


def _strangers(plan: _Archive, datasets: list[str]) -> None:
    folders, files = plan.store.children("")
    for name in folders:
        if name not in datasets and name not in _DEPOSITIONS and name != OWN:
            plan.unplaced.append(Remark(name, "the folder is neither a dataset nor the depositions"))
    for stat in files:
        plan.unplaced.append(Remark(stat.key, "it belongs to no dataset"))


def _teller(plan: _Archive, key: str) -> Any:
    return lambda text: plan.remarks.append(Remark(key, text))
