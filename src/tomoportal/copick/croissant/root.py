"""Projects whose config names a manifest (``config_type`` ``mlcroissant``)."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from pydantic import Field

from tomoportal.copick.config import CopickConfig, PickableObject
from tomoportal.copick.croissant.index import CroissantIndex
from tomoportal.copick.croissant.store import CroissantSource
from tomoportal.copick.names import voxel_key
from tomoportal.copick.root import CopickRoot, Place
from tomoportal.copick.runs import CopickRun, CopickRunMeta
from tomoportal.copick.segmentations import CopickSegmentation
from tomoportal.copick.sources import Source, open_source
from tomoportal.errors import UnknownNameError

__all__ = ["CopickConfigMLCroissant", "CopickRootMLC", "CopickRunMLC"]


def _spelt(address: str) -> str:
    """One spelling of an address, so that a folder that is given twice is known as one (C28)."""
    scheme, _, rest = address.rpartition("://")
    return os.path.realpath(rest) if scheme in ("", "local", "file") else address.rstrip("/")


class CopickConfigMLCroissant(CopickConfig):
    """A manifest at ``croissant_url``. With an overlay it is only read (mode B), else changes go into it (mode A)."""

    ROOT: ClassVar[str] = "croissant.root:CopickRootMLC"

    config_type: Literal["mlcroissant"] = "mlcroissant"
    croissant_url: str
    croissant_base_url: str | None = None
    overlay_root: str | None = None
    overlay_fs_args: dict[str, Any] | None = Field(default_factory=dict)
    croissant_fs_args: dict[str, Any] | None = Field(default_factory=dict)
    static_fs_args: dict[str, Any] | None = Field(default_factory=dict)


class CopickRunMLC(CopickRun):
    """A run of a manifest; its split can be set."""

    root: CopickRootMLC

    def _listed_spacings(self) -> dict[float, tuple[float, dict[Source, str]]]:
        """Sizes as the manifest states them, with all their decimals."""
        exact, found = self.root._sizes_of(self.name), super()._listed_spacings()
        return {key: (exact.get(key, size), folders) for key, (size, folders) in found.items()}

    def query_segmentations(self, *, include_shadowed: bool = False) -> list[CopickSegmentation]:
        """The segmentations, with voxel sizes as the manifest states them."""
        exact, found = self.root._sizes_of(self.name), super().query_segmentations(include_shadowed=include_shadowed)
        for each in found:
            each.meta.voxel_size = exact.get(voxel_key(each.voxel_size), each.voxel_size)
        return found

    @property
    def split(self) -> str | None:
        """The split that the run belongs to: train, val, test, …"""
        return self.root.index.get_split(self.name)

    @split.setter
    def split(self, value: str | None) -> None:
        self.root._writable_index().set_split(self.name, value)


class CopickRootMLC(CopickRoot):
    """A project of a manifest. What the manifest says of the project's config counts."""

    config: CopickConfigMLCroissant

    def __init__(self, config: CopickConfigMLCroissant) -> None:
        self.index = CroissantIndex.from_url(
            config.croissant_url,
            base_url_override=config.croissant_base_url,
            fs_args=config.croissant_fs_args,
            static_fs_args=config.static_fs_args,
        )
        self._sizes: tuple[int, dict[str, dict[float, float]]] | None = None
        known = self.index.config_block
        for key in ("name", "description", "version", "user_id", "session_id"):
            if known.get(key) is not None:
                setattr(config, key, known[key])
        if not config.pickable_objects:
            objects = known.get("pickable_objects") or ()
            config.pickable_objects = [PickableObject.model_validate(each) for each in objects]
        super().__init__(config)

    @property
    def mode(self) -> str:
        """``"A"``: changes go into the manifest; ``"B"``: into an overlay."""
        return "B" if self.config.overlay_root else "A"

    def _open(self) -> None:
        place = self.config.overlay_root
        beside = place is not None and _spelt(place) == _spelt(self.index.base_url)
        read_only = self.mode == "B" or self._is_anonymous
        static = CroissantSource.of_index(self.index, read_only=read_only, elsewhere=beside)
        self._static: Source | None = None
        if self.config.overlay_root:
            self._overlay = open_source(self.config.overlay_root, self.config.overlay_fs_args, read_only=False)
            self._static = static
        else:
            self._overlay = static
        self.static_is_overlay = self._static is None or beside
        self._sources = (self._overlay,) if self._static is None else (self._static, self._overlay)

    @property
    def _is_anonymous(self) -> bool:
        return bool(self.index.static_fs_args.get("anon"))

    def _places(self) -> tuple[Place, Place | None]:
        base = (self.index.base_url, self.index.static_fs_args)
        if self.config.overlay_root:
            return (self.config.overlay_root, self.config.overlay_fs_args), base
        return base, None

    def _run_factory(self) -> tuple[type[CopickRun], type[CopickRunMeta]]:
        return CopickRunMLC, CopickRunMeta

    def refresh(self) -> None:
        """Read the manifest again, and forget every list."""
        self.index.reload()
        super().refresh()

    # --- the tables

    def _sizes_of(self, run: str) -> dict[float, float]:
        """The voxel sizes (Å) that the manifest states for a run, by their three decimals (C38)."""
        if self._sizes is None or self._sizes[0] != self.index.version:
            found: defaultdict[str, dict[float, float]] = defaultdict(dict)
            for row in self.index.rows("copick/voxel_spacings"):
                found[row["run"]][voxel_key(row["voxel_size"])] = row["voxel_size"]
            self._sizes = (self.index.version, found)
        return self._sizes[1].get(run, {})

    def _writable_index(self) -> CroissantIndex:
        if self.mode == "B" or self._is_anonymous:
            self._source_of_manifest().refuse_if_read_only("change the manifest")
        return self.index

    def _source_of_manifest(self) -> Source:
        return self._static or self._overlay

    def sync(self) -> None:
        """Write the changes of the tables that :meth:`batch` held back."""
        self.index.commit()

    @contextmanager
    def batch(self) -> Iterator[CopickRootMLC]:
        """Write the tables once, at the end of the ``with`` block."""
        self.index.defer_commit()
        try:
            yield self
        finally:
            self.index.resume_commit()

    @property
    def splits(self) -> dict[str, list[str]]:
        """Split → its runs."""
        return self.index.get_all_splits()

    def get_runs_in_split(self, split_name: str) -> list[CopickRun]:
        """The runs of a split, sorted by name."""
        found = [self.get_run(run) for run in self.splits.get(split_name, [])]
        return [run for run in found if run is not None]

    def set_splits(self, mapping: Mapping[str, Any], *, clear_existing: bool = False) -> None:
        """Give runs their splits: split → runs. Raises :class:`AnnotationError` for runs that are unknown or in two."""
        from tomoportal.copick.croissant.splits import checked_splits

        index = self._writable_index()
        wanted = checked_splits(index.runs_by_name, mapping)
        with self.batch():
            if clear_existing:
                self.clear_splits()
            for run, split in wanted.items():
                index.set_split(run, split)

    def clear_splits(self, runs: list[str] | None = None) -> None:
        """Take runs, or all of them, out of their splits."""
        index = self._writable_index()
        known = index.runs_by_name
        for run in known if runs is None else runs:
            if run not in known:
                raise UnknownNameError(f"Run '{run}' is not in the Croissant index.", fix="correct the name")
            if index.get_split(run) is not None:
                index.clear_split(run)
