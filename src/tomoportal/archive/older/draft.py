"""The plan of one run while it is made: what is known of the run, and the items, remarks and used keys so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tomoportal.archive import documents, layout
from tomoportal.archive.layout import Container
from tomoportal.archive.older.found import FoundRun
from tomoportal.archive.older.items import Conversion, Item, Numbers, Remark
from tomoportal.archive.older.tree import Tree
from tomoportal.archive.older.volumes import VolumePlan
from tomoportal.errors import DocumentError
from tomoportal.storage import Store

__all__ = ["Draft"]


@dataclass
class Draft:
    """``deposition_id`` and ``stamp`` stand in where a document has none; ``dates`` are the dataset's."""

    store: Store
    tree: Tree
    found: FoundRun
    dataset: str
    deposition_id: int | None
    stamp: int
    dates: Any
    numbers: Numbers
    items: list[Item] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    unplaced: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    @property
    def run(self) -> str:
        return self.found.name

    @property
    def container(self) -> Container:
        return Container.run(self.dataset, self.run)

    def read(self, key: str | None) -> dict[str, Any]:
        """A document, empty where there is none. Raises :class:`DocumentError`."""
        return documents.load(self.store.get(key), key) if key else {}

    def try_read(self, key: str | None) -> dict[str, Any]:
        """A document; one that cannot be read is told, listed as unplaced, and counts as missing."""
        try:
            return self.read(key)
        except DocumentError as error:
            assert key is not None
            self.unplaced[key] = "; ".join(str(problem) for problem in error.problems)
            return {}

    def tell(self, key: str) -> Callable[[str], None]:
        """A function that notes remarks about an old key."""
        return lambda text: self.remarks.append(Remark(key, text))

    def add(self, item: Item) -> Item:
        """Note an item; its sources are used."""
        self.items.append(item)
        self.used.update(item.sources)
        self.used.update(old for old, _ in item.copies)
        self.used.update(each.source for each in item.conversions)
        return item

    def number(self, kind: str, scope: str, identity: str, wanted: int | None) -> int:
        return self.numbers.give(self.container, kind, scope, identity, wanted)

    def volume_item(
        self, kind: str, identity: str, plan: VolumePlan, number: int, stamp: int, twins: Iterable[str | None]
    ) -> None:
        """Note the volume of a tilt series or tomogram. What is made anew uses both of its ``twins``."""
        conversions = self.conversions(plan, twins)
        if plan.copies or conversions:
            self.add(
                Item(
                    kind,
                    self.container,
                    identity,
                    copies=plan.copies,
                    conversions=conversions,
                    archive_id=number,
                    stamp=stamp,
                )
            )

    def conversions(self, plan: VolumePlan, twins: Iterable[str | None]) -> tuple[Conversion, ...]:
        """The conversion of a volume plan, told as a remark; the file that is not its source is replaced."""
        if plan.conversion is None:
            return ()
        self.tell(plan.conversion.source)(f"MRC and OME-Zarr are made anew from it: {plan.conversion.why}")
        self.used.update(key for key in twins if key)
        return (plan.conversion,)

    def leftovers(self) -> list[Remark]:
        """Every file of the run that no item uses, Zarr folders as one."""
        folders = tuple(sorted(f"{key}/" for key in self.used if key not in self.tree.sizes))
        rest: dict[str, str] = {}
        for key in self.tree.below(self.found.folder):
            if key in self.used or (folders and key.startswith(folders)):
                continue
            head, is_zarr, _ = key.partition(".zarr/")
            shown = f"{head}.zarr" if is_zarr else key
            rest.setdefault(shown, self.unplaced.get(shown) or self.unplaced.get(key) or "today's layout has no place")
        return [Remark(key, why) for key, why in rest.items()]

    @property
    def series_document(self) -> str | None:
        """The new key of the run's only tilt series."""
        known = [item.document[0] for item in self.items if item.kind == "tiltseries" and item.document]
        return known[0] if len(known) == 1 else None

    @property
    def pixel_spacing(self) -> float | None:
        """Å per pixel of the run's tilt series, if it has one that says so."""
        for item in self.items:
            if item.kind == "tiltseries" and item.document:
                value = item.document[1].get("pixel_spacing")
                if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
                    return float(value)
        return None

    @property
    def mdoc(self) -> str | None:
        """The new key of the mdoc."""
        return layout.mdoc(self.dataset, self.run) if self.found.mdoc else None
