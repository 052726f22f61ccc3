"""What lies in an archive: documents and files by unit, found by listing folders (catalog-import 3).

A unit is a run, a dataset without its runs, or a deposition. A folder without its document is not there; stray files
and folders do not disturb.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from tomoportal.archive import Archive, Container, layout
from tomoportal.errors import NotFoundError
from tomoportal.storage import Stat, Store

__all__ = [
    "DatasetFolder",
    "RunFolder",
    "Sizes",
    "Spacing",
    "complete",
    "datasets",
    "depositions",
    "digest",
    "manifests",
    "runs",
    "stat_of",
]

_SPACING = re.compile(r"VoxelSpacing(\d+(?:\.\d+)?)")
_DEPOSITIONS = layout.deposition_prefix(0).rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """A dataset: the name of its folder and its document."""

    name: str
    document: Stat


@dataclass(slots=True)
class Spacing:
    """A voxel spacing folder: its number in Å and the documents in it."""

    prefix: str
    value: float
    tomograms: list[Stat] = field(default_factory=list)
    annotations: list[Stat] = field(default_factory=list)
    configs: list[Stat] = field(default_factory=list)


@dataclass(slots=True)
class RunFolder:
    """Everything in a run's folder that rows are made from. ``files`` holds all objects that were seen."""

    prefix: str
    document: Stat
    folders: frozenset[str]
    files: list[Stat] = field(default_factory=list)
    frames: Stat | None = None
    gains: list[Stat] = field(default_factory=list)
    tiltseries: list[Stat] = field(default_factory=list)
    alignments: list[Stat] = field(default_factory=list)
    identified_objects: Stat | None = None
    spacings: list[Spacing] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.prefix.rpartition("/")[2]


def depositions(store: Store) -> Iterator[tuple[str, Stat]]:
    """Depositions: name of the folder and document; the folder is matched exactly (O1)."""
    for name in store.children(_DEPOSITIONS)[0]:
        document = stat_of(store, f"{_DEPOSITIONS}/{name}/deposition_metadata.json")
        if document is not None:
            yield name, document


def datasets(store: Store) -> Iterator[DatasetFolder]:
    """Folders with a dataset document."""
    for name in store.children()[0]:
        if name.startswith(".") or name == _DEPOSITIONS:
            continue
        document = stat_of(store, f"{name}/dataset_metadata.json")
        if document is not None:
            yield DatasetFolder(name, document)


def runs(store: Store, dataset: str) -> Iterator[RunFolder]:
    """Runs of a dataset: what their folders hold, but for :func:`complete`."""
    for name in store.children(dataset)[0]:
        if name.startswith("."):
            continue
        prefix = f"{dataset}/{name}"
        folders, files = store.children(prefix)
        document = next((stat for stat in files if _name(stat) == "run_metadata.json"), None)
        if document is not None:
            yield RunFolder(prefix, document, frozenset(folders), [document])


def manifests(store: Store, dataset: str) -> dict[str, Stat]:
    """The manifests of a dataset's runs, by the prefix of the run."""
    folder = layout.manifest(Container.dataset(dataset)).removesuffix(".json")
    return {f"{dataset}/{_name(stat).removesuffix('.json')}": stat for stat in store.children(folder)[1]}


def complete(store: Store, run: RunFolder) -> RunFolder:
    """List the folders of a run that hold documents, gains and viewer configurations."""
    prefix, folders = run.prefix, run.folders
    if "Frames" in folders:
        run.frames = stat_of(store, f"{prefix}/Frames/frames_metadata.json")
        run.files += [run.frames] if run.frames else []
    if "Gains" in folders:
        run.gains = [stat for stat in store.children(f"{prefix}/Gains")[1] if not _name(stat).startswith(".")]
        run.files += run.gains
    if "TiltSeries" in folders:
        run.tiltseries = _numbered(store, run, f"{prefix}/TiltSeries", "tiltseries_metadata.json")
    if "Alignments" in folders:
        run.alignments = _numbered(store, run, f"{prefix}/Alignments", "alignment_metadata.json")
    if "IdentifiedObjects" in folders:
        run.identified_objects = stat_of(store, f"{prefix}/IdentifiedObjects/identified_objects.json")
        run.files += [run.identified_objects] if run.identified_objects else []
    if "Reconstructions" in folders:
        for name in store.children(f"{prefix}/Reconstructions")[0]:
            if match := _SPACING.fullmatch(name):
                run.spacings.append(_spacing(store, run, f"{prefix}/Reconstructions/{name}", float(match[1])))
    return run


def _spacing(store: Store, run: RunFolder, prefix: str, value: float) -> Spacing:
    spacing = Spacing(prefix, value)
    folders = set(store.children(prefix)[0])
    if "Tomograms" in folders:
        spacing.tomograms = _numbered(store, run, f"{prefix}/Tomograms", "tomogram_metadata.json")
    if "Annotations" in folders:
        for name in store.children(f"{prefix}/Annotations")[0]:
            files = store.children(f"{prefix}/Annotations/{name}")[1]
            run.files += files
            spacing.annotations += [stat for stat in files if re.search(r"[0-9]\.json$", stat.key)]
    if "NeuroglancerPrecompute" in folders:
        spacing.configs = store.children(f"{prefix}/NeuroglancerPrecompute")[1]
        run.files += spacing.configs
    return spacing


def _numbered(store: Store, run: RunFolder, folder: str, document: str) -> list[Stat]:
    """Documents of the sub-folders of a folder; all files beside them are noted too."""
    found: list[Stat] = []
    for name in store.children(folder)[0]:
        files = store.children(f"{folder}/{name}")[1]
        here = [stat for stat in files if _name(stat) == document]
        if here:
            run.files += files
            found += here
    return found


def _name(stat: Stat) -> str:
    return stat.key.rpartition("/")[2]


def stat_of(store: Store, key: str) -> Stat | None:
    """The object under a key, or None."""
    try:
        return store.stat(key)
    except NotFoundError:
        return None


def digest(stats: Iterable[Stat], *context: object) -> str:
    """Fingerprint of files as they are listed (nothing is read), and of what else the rows depend on."""
    state = hashlib.sha256(repr(context).encode())
    for stat in sorted(stats, key=lambda stat: stat.key):
        state.update(f"\n{stat.key}\t{stat.size}\t{stat.etag}".encode())
    return state.hexdigest()


class Sizes:
    """Bytes of files and folders of one unit, from its manifest; what is not on record is looked up in the store."""

    def __init__(self, archive: Archive, container: Container, seen: Iterable[Stat] = ()) -> None:
        self._store = archive.store
        self._prefix = container.key
        sizes = {record.key: record.size for record in archive.manifest(container).files.values()}
        self.has_manifest = bool(sizes)
        if self.has_manifest:
            sizes |= {stat.key: stat.size for stat in seen}
        elif container.run_name is None and container.dataset_id is not None:
            sizes = {stat.key: stat.size for stat in self._top_level()}
        else:
            sizes = {stat.key: stat.size for stat in self._store.list(self._prefix)}
        self._keys = sorted(sizes)
        self._sums = [0, *accumulate(sizes[key] for key in self._keys)]

    def _top_level(self) -> Iterator[Stat]:
        """Files of a dataset outside its runs."""
        folders, files = self._store.children(self._prefix)
        yield from files
        if "Images" in folders:
            yield from self._store.list(f"{self._prefix}/Images")

    @property
    def total(self) -> int:
        return self._sums[-1]

    def of(self, path: str | None) -> int | None:
        """Bytes of exactly this file, or of everything in exactly this folder; None if there is neither (F91)."""
        if path is None or "://" in path:
            return None
        path = path.rstrip("/")
        first = bisect_left(self._keys, path)
        if first < len(self._keys) and self._keys[first] == path:
            return self._sums[first + 1] - self._sums[first]
        start, stop = bisect_left(self._keys, f"{path}/"), bisect_left(self._keys, f"{path}0")
        if start < stop:
            return self._sums[stop] - self._sums[start]
        return self._elsewhere(path)

    def _elsewhere(self, path: str) -> int | None:
        if not self.has_manifest and path.startswith(f"{self._prefix}/"):
            return None
        if (stat := stat_of(self._store, path)) is not None:
            return stat.size
        sizes = [stat.size for stat in self._store.list(path)]
        return sum(sizes) if sizes else None
