"""One container: its files against the manifest, its documents against schema, folder and what they refer to."""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tomoportal.archive import identity, layout
from tomoportal.archive.archive import Archive
from tomoportal.archive.findings import Finding, finding, several
from tomoportal.archive.layout import Container, Place
from tomoportal.archive.manifest import Manifest
from tomoportal.archive.references import Reference, references, viewer_sources
from tomoportal.archive.verification.view import Entity, View
from tomoportal.errors import ArchiveError, DocumentError, NotFoundError, StorageError
from tomoportal.storage import FileRecord, sha256_of

__all__ = ["ContainerCheck"]

_HASHERS = 4
_SPACING_TOLERANCE = 0.001  # Å; a folder has three decimals
_UNFILLED = "not_reported"
_WITHOUT_ORGANISM = ("in_silico", "in_vitro")
_TO_FILL = {
    "dataset": ("dataset_title", "dataset_description", "sample_type", "organism.name", "authors[].name"),
    "deposition": ("deposition_title", "deposition_description", "authors[].name"),
}
_WITH_AUTHORS = ("dataset", "deposition", "tomogram", "annotation")
_DATA_FILES = (".mrc", ".ndjson", ".glb")
_NUMBERED = re.compile(r"(.*/(TiltSeries|Alignments|Tomograms|Annotations)/\d+)/[^/]+(?:/.*)?", re.DOTALL)
_KIND_OF_FOLDER = {
    "TiltSeries": "tiltseries",
    "Alignments": "alignment",
    "Tomograms": "tomogram",
    "Annotations": "annotation",
}


class ContainerCheck:
    """The checks of one container that need no look into its data files."""

    def __init__(
        self, archive: Archive, container: Container, depositions: dict[str, bool], tell: Callable[[str], None]
    ) -> None:
        self.archive = archive
        self.container = container
        self.depositions = depositions
        self.tell = tell
        self.sizes = self._files()
        self.sorted_keys = sorted(self.sizes)
        self.view = View(archive.store, container, self.sizes, self.sorted_keys)
        """The documents that could be read, once :meth:`run` has read them."""

    def run(self, digests: bool) -> list[Finding]:
        """Files and documents. ``digests`` reads every file that is on record."""
        found: list[Finding] = []
        try:
            manifest: Manifest | None = self.archive.manifest(self.container)
        except ArchiveError as error:
            manifest = None
            found.append(finding("V107", layout.manifest(self.container), error.what))
        if manifest is not None:
            if manifest.items:
                found += self._records(manifest, digests)
                found += self._strangers(manifest)
                found += self._twins(manifest)
            elif self.sizes:
                found.append(finding("V106", self.container.key, "there is no manifest"))
        names = {item.document: item.identity_key for item in manifest.items.values()} if manifest else {}
        found += self._documents(names)
        return found

    def _files(self) -> dict[str, int]:
        """Keys and sizes of the container's own files; a dataset's runs are containers of their own."""
        store, prefix = self.archive.store, self.container.key
        if self.container.dataset_id is None or self.container.run_name is not None:
            return {stat.key: stat.size for stat in store.list(prefix)}
        folders, stats = store.children(prefix)
        sizes = {stat.key: stat.size for stat in stats}
        for folder in folders:
            if layout.owner(f"{prefix}/{folder}/x") == self.container:
                sizes.update((stat.key, stat.size) for stat in store.list(f"{prefix}/{folder}"))
        return sizes

    # --- files

    def _records(self, manifest: Manifest, digests: bool) -> Iterator[Finding]:
        sound: list[FileRecord] = []
        for record in manifest.files.values():
            if layout.owner(record.key) != self.container:
                yield finding("V108", layout.manifest(self.container), f"it names {record.key}")
            elif record.key not in self.sizes:
                yield finding("V101", record.key, "the file is missing")
            elif self.sizes[record.key] != record.size:
                yield finding("V102", record.key, f"{self.sizes[record.key]} bytes, on record are {record.size}")
            else:
                sound.append(record)
        if digests:
            with ThreadPoolExecutor(_HASHERS, "verify") as pool:
                for record, found in zip(sound, pool.map(self._digest, sound), strict=True):
                    self.tell(record.key)
                    yield from found

    def _digest(self, record: FileRecord) -> Sequence[Finding]:
        try:
            actual = sha256_of(self.archive.store, record.key).sha256
        except StorageError as error:
            return [finding("V101", record.key, f"the file cannot be read: {error.what}", error.fix)]
        if actual != record.sha256:
            return [finding("V103", record.key, f"SHA-256 {actual}, on record is {record.sha256}")]
        return []

    def _strangers(self, manifest: Manifest) -> Iterator[Finding]:
        known = manifest.files.keys()
        reported = set()
        for key in self.sorted_keys:
            if key in known:
                continue
            if (place := layout.parse(key)) and place.kind:
                yield finding("V105", key, f"a {place.kind} document that tomoportal did not publish")
                continue
            shown = _outermost_zarr(key)
            if shown not in reported:
                reported.add(shown)
                yield finding("V104", shown, "no manifest knows it")

    def _twins(self, manifest: Manifest) -> Iterator[Finding]:
        """Data files of two items with one content; chunks, lists and empty files may well be the same."""
        owners: dict[str, tuple[tuple[str, str], str]] = {}
        for name, item in manifest.items.items():
            for record in item.files:
                if not record.size or not record.key.endswith(_DATA_FILES) or ".zarr/" in record.key:
                    continue
                first, key = owners.setdefault(record.sha256, (name, record.key))
                if first != name:
                    yield finding("V109", record.key, f"the content is that of {key}")

    # --- documents

    def _documents(self, names: Mapping[str | None, str]) -> Iterator[Finding]:
        """``names``: the identity keys on record, by document; what is not on record is known by its content."""
        own = {"dataset": False, "run": False}
        identities: dict[tuple[str, str], str] = {}
        spacing_folders = set()
        for key in self.sorted_keys:
            place = layout.parse(key)
            if place is None:
                continue
            if place.spacing is not None:
                spacing_folders.add(key.split("/")[3])
            if place.kind is None:
                if key.endswith("neuroglancer_config.json"):
                    yield from self._viewer_config(key)
                elif key.endswith("/info") and "/NeuroglancerPrecompute/" in key:
                    yield from self._layer_info(key)
                continue
            own[place.kind] = True
            try:
                document = self.archive.document(key)
            except DocumentError as error:
                yield finding("V201", key, "; ".join(str(problem) for problem in error.problems))
                continue
            except NotFoundError:
                continue  # removed while we read; a later run will tell
            self.view.entities.setdefault(place.kind, []).append(Entity(key, place, document))
            yield from self._schema(key, place, document)
            yield from self._references(key, place, document)
            yield from self._agreement(key, place, document)
            name = names.get(key) or identity.key_of_document(place.kind, document, place.spacing)
            if name is not None and place.kind != "identified_objects":
                first = identities.setdefault((place.kind, name), key)
                if first != key:
                    yield finding("V405", key, f"same identity key as {first}: {name}")
        for folder in sorted(spacing_folders):
            if folder != layout.voxel_spacing_name(float(folder.removeprefix("VoxelSpacing"))):
                yield finding("V404", f"{self.container.key}/Reconstructions/{folder}", "not three decimals")
        yield from self._without_document()
        yield from self._without_own_document(own)

    def _without_own_document(self, own: dict[str, bool]) -> Iterator[Finding]:
        dataset, run = self.container.dataset_id, self.container.run_name
        if dataset is None or not self.sizes:
            return
        if run is not None:
            if not own["run"] and any(own.values()):
                yield finding("V304", self.container.key, "there is no run_metadata.json")
            if own["run"] and not self.archive.store.exists(layout.dataset_document(dataset)):
                yield finding("V304", dataset, "there is no dataset_metadata.json")

    def _without_document(self) -> Iterator[Finding]:
        """Numbered folders whose document is missing: nobody will ever see what lies in them."""
        folders: dict[str, str] = {}
        for key in self.sorted_keys:
            if match := _NUMBERED.fullmatch(key):
                folders[match[1]] = _KIND_OF_FOLDER[match[2]]
        known = {entity.folder for entities in self.view.entities.values() for entity in entities}
        unread = {key.rpartition("/")[0] for key in self.sorted_keys if (place := layout.parse(key)) and place.kind}
        for folder, kind in folders.items():
            if folder not in known and folder not in unread:
                yield finding("V306", folder, f"there is no {kind} document in it")

    def _schema(self, key: str, place: Place, document: dict[str, Any]) -> Iterator[Finding]:
        from tomoportal import model

        assert place.kind is not None
        checked = model.check_document(place.kind, document)
        for problem in checked.errors:
            yield finding("V202", key, f"{problem.where}: {problem.what}", problem.fix)
        for problem in checked.warnings:
            yield finding("V203", key, f"{problem.where}: {problem.what}", problem.fix)
        for path in _TO_FILL.get(place.kind, ()):
            if path == "organism.name" and document.get("sample_type") in _WITHOUT_ORGANISM:
                continue
            if any(value == _UNFILLED for value in _values(document, path)):
                yield finding("V204", key, f"{path.replace('[]', '')} is {_UNFILLED}")
        if place.kind in _WITH_AUTHORS:
            yield from _authors(key, document)

    def _references(self, key: str, place: Place, document: dict[str, Any]) -> Iterator[Finding]:
        assert place.kind is not None
        for each in references(place.kind, document):
            if not self._there(each):
                rule = "V302" if each.is_document else "V301"
                yield finding(rule, key, f"{each.field} names {each.key}, which does not exist")
        deposition = document.get("deposition_id")
        if deposition is not None and not self._deposition_there(str(deposition)):
            yield finding("V303", key, f"deposition {deposition} has no document")

    def _viewer_config(self, key: str) -> Iterator[Finding]:
        try:
            data = self.archive.store.get(key)
            sources, state = viewer_sources(data), json.loads(data)
        except ValueError as error:
            yield finding("V305", key, f"not JSON: {error}")
            return
        except NotFoundError:
            return  # removed while we read
        if not isinstance(state, dict) or not isinstance(state.get("layers"), list) or not state["layers"]:
            yield finding("V307", key, "layers is no list with something in it")
        for source in sources:
            if not self._there(Reference("source", source)):
                yield finding("V305", key, f"a layer shows {source}, which does not exist")

    def _layer_info(self, key: str) -> Iterator[Finding]:
        data = self.view.read(key)
        try:
            info = json.loads(data) if data is not None else None
        except (ValueError, RecursionError):
            info = None
        # A folder of segments or meshes says its type in one of two ways.
        if not isinstance(info, dict) or not ("@type" in info or "type" in info):
            yield finding("V308", key, "it is no JSON object with @type or type")

    def _agreement(self, key: str, place: Place, document: dict[str, Any]) -> Iterator[Finding]:
        container = self.container
        spacing = document.get("voxel_spacing")
        if (
            place.kind == "tomogram"
            and place.spacing is not None
            and isinstance(spacing, (int, float))
            and not math.isclose(spacing, place.spacing, rel_tol=0, abs_tol=_SPACING_TOLERANCE)
        ):
            yield finding("V401", key, f"voxel_spacing is {spacing} Å, the folder says {place.spacing} Å")
        run = document.get("run_name")
        if container.run_name is not None and run is not None and run != container.run_name:
            yield finding("V402", key, f"run_name is {run!r}")
        for field, name in (
            ("dataset_identifier", container.dataset_id),
            ("deposition_identifier", container.deposition_id),
        ):
            value = document.get(field)
            if place.kind == field.removesuffix("_identifier") and value is not None and str(value) != name:
                yield finding("V403", key, f"{field} is {value}")

    # --- what exists

    def _there(self, reference: Reference) -> bool:
        key = reference.key.rstrip("/")
        inside = key.startswith(f"{self.container.key}/")
        if inside and (key in self.sizes or (not reference.is_document and self._is_own_folder(key))):
            return True
        if inside and layout.owner(key) == self.container:
            return False
        store = self.archive.store
        try:
            if store.exists(key) or (not reference.is_document and store.is_folder(key)):
                return True
        except StorageError:
            return False  # not a key at all
        # Older documents carry the bucket's name in front.
        bucket, _, rest = key.partition("/")
        return (
            bool(rest)
            and bucket != self.container.key.partition("/")[0]
            and self._there(Reference(reference.field, rest, reference.is_document))
        )

    def _is_own_folder(self, key: str) -> bool:
        at = bisect_left(self.sorted_keys, f"{key}/")
        return at < len(self.sorted_keys) and self.sorted_keys[at].startswith(f"{key}/")

    def _deposition_there(self, deposition: str) -> bool:
        if deposition not in self.depositions:
            try:
                self.depositions[deposition] = self.archive.store.exists(layout.deposition_document(deposition))
            except ArchiveError:
                self.depositions[deposition] = False
        return self.depositions[deposition]


def _authors(key: str, document: Mapping[str, Any]) -> Iterator[Finding]:
    authors = document.get("authors")
    if not isinstance(authors, list):
        return  # the schema says so
    listed = [author for author in authors if isinstance(author, dict)]
    missing = [
        name
        for name, field in (("primary", "primary_author_status"), ("corresponding", "corresponding_author_status"))
        if not any(author.get(field) is True for author in listed)
    ]
    if missing:
        yield finding("V205", key, f"none of {len(listed)} authors is {several(missing)} author")


def _outermost_zarr(key: str) -> str:
    """The folder ``*.zarr`` that holds a chunk, else the key itself: a volume is one finding."""
    head, found, _ = key.partition(".zarr/")
    return head + ".zarr" if found else key


def _values(document: object, path: str) -> Iterator[object]:
    """Values at a dotted path; ``[]`` goes through a list."""
    name, _, rest = path.partition(".")
    name, is_list = name.removesuffix("[]"), name.endswith("[]")
    value = document.get(name) if isinstance(document, dict) else None
    for each in value if is_list and isinstance(value, list) else [value]:
        if rest:
            yield from _values(each, rest)
        else:
            yield each
