"""What is on record for a deposition and no longer in its config: listed by every plan, removed only on request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tomoportal.archive import Archive, Container
from tomoportal.ingest.plan import Item

__all__ = ["Stale", "find_stale", "prune"]

# What refers to others goes before what it refers to, so that no document names a file that is gone.
_ORDER = (
    "annotation",
    "tomogram",
    "viewer_config",
    "key_photos",
    "tomogram_volume",
    "alignment",
    "identified_objects",
    "tiltseries",
    "ctf",
    "tiltseries_volume",
    "frames",
    "collection_metadata",
    "gain",
    "run",
)


@dataclass(frozen=True)
class Stale:
    """One item on record that a config no longer yields."""

    container: Container
    kind: str
    identity: str

    def __str__(self) -> str:
        return f"{self.container}: {self.kind} {self.identity}"


def find_stale(archive: Archive, items: Iterable[Item], deposition_id: int, failed: Iterable[str]) -> tuple[Stale, ...]:
    """Items of the deposition in the plan's datasets that the plan does not name.

    Runs in ``failed`` (``dataset/run``) could not be planned and are left alone.
    """
    touched: dict[str, set[tuple[str, str]]] = {}
    datasets: set[str] = set()
    for item in items:
        if item.place[0] == "run":
            touched.setdefault("/".join(item.place[1:]), set()).add((item.kind, item.identity))
            datasets.add(item.place[1])
    left_alone = set(failed)
    found: list[Stale] = []
    for container in archive.containers():
        if container.run_name is None or container.dataset_id not in datasets or container.key in left_alone:
            continue
        records = archive.orphans(container, touched.get(container.key, set()), deposition_id=deposition_id)
        found += [Stale(container, record.kind, record.identity_key) for record in records]
    return tuple(sorted(found, key=lambda one: (one.container.key, _rank(one.kind), one.identity)))


def prune(archive: Archive, stale: Iterable[Stale]) -> int:
    """Remove stale items, each with its document first; returns how many."""
    removed = 0
    for one in sorted(stale, key=lambda one: (one.container.key, _rank(one.kind), one.identity)):
        archive.remove_item(one.container, one.kind, one.identity)
        removed += 1
    return removed


def _rank(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
