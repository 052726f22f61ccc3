"""What the archive already holds, as far as a plan asks: manifests, ids to come, documents of other depositions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tomoportal.archive import Archive, Container, ItemRecord, Manifest
from tomoportal.errors import DocumentError, NotFoundError
from tomoportal.ingest.trees import Tree

__all__ = ["Records", "container_of"]

_DOCUMENTS = {
    "tiltseries": "TiltSeries/*/tiltseries_metadata.json",
    "alignment": "Alignments/*/alignment_metadata.json",
    "tomogram": "Reconstructions/VoxelSpacing*/Tomograms/*/tomogram_metadata.json",
}
_NUMBERED = {
    "tiltseries": "TiltSeries/*",
    "alignment": "Alignments/*",
    "tomogram": "Reconstructions/*/Tomograms/*",
    "annotation": "Annotations/*",
}
_FIRST = 99


class Records:
    """A read-only view of an archive; every manifest and document is read once."""

    def __init__(self, archive: Archive, tree: Tree) -> None:
        self._archive = archive
        self._tree = tree
        self._manifests: dict[tuple[str, ...], Manifest] = {}
        self._documents: dict[str, dict[str, Any] | None] = {}
        self._new: Counter[tuple[tuple[str, ...], str, str]] = Counter()
        self._predicted: dict[tuple[tuple[str, ...], str, str, str], int] = {}

    def manifest(self, place: tuple[str, ...]) -> Manifest:
        """The manifest of a container."""
        known = self._manifests.get(place)
        if known is None:
            known = self._manifests.setdefault(place, self._archive.manifest(container_of(place)))
        return known

    def item(self, place: tuple[str, ...], kind: str, identity: str) -> ItemRecord | None:
        """The item on record under a natural key."""
        return self.manifest(place).items.get((kind, identity))

    def predict(self, place: tuple[str, ...], kind: str, scope: str, identity: str) -> int:
        """The id that `Archive.allocate` will give, when called in the order of the plan."""
        manifest = self.manifest(place)
        known = manifest.ids.get((kind, scope, identity))
        if known is not None:
            return known
        key = (place, kind, scope, identity)
        if key not in self._predicted:
            counted = (place, kind, scope)
            first = manifest.next_id(kind, scope, self._highest(kind, scope))
            self._predicted[key] = first + self._new[counted]
            self._new[counted] += 1
        return self._predicted[key]

    def document(self, key: str) -> dict[str, Any] | None:
        """A document of the archive; None if it is missing or unreadable."""
        if key not in self._documents:
            try:
                self._documents[key] = self._archive.document(key)
            except (NotFoundError, DocumentError):
                self._documents[key] = None
        return self._documents[key]

    def documents(
        self, place: tuple[str, ...], kind: str, *, other_than: int | None = None
    ) -> list[tuple[str, Mapping[str, Any]]]:
        """Documents of a kind in a run, sorted by key; without those of the deposition ``other_than``."""
        found: list[tuple[str, Mapping[str, Any]]] = []
        for key in self._tree.glob(f"{'/'.join(place[1:])}/{_DOCUMENTS[kind]}"):
            document = self.document(key)
            if document is not None and (other_than is None or document.get("deposition_id") != other_than):
                found.append((key, document))
        return found

    def _highest(self, kind: str, scope: str) -> int:
        names = [key.rpartition("/")[2] for key in self._tree.glob(f"{scope}/{_NUMBERED[kind]}")]
        return max((int(name) for name in names if name.isascii() and name.isdigit()), default=_FIRST)


def container_of(place: tuple[str, ...]) -> Container:
    """``("run", "10001", "TS_1")`` → the container."""
    if place[0] == "run":
        return Container.run(place[1], place[2])
    if place[0] == "dataset":
        return Container.dataset(place[1])
    return Container.deposition(place[1])
