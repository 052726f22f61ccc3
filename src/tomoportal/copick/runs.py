"""Runs: one location on the sample, with its images and everything that was annotated in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tomoportal.copick.annotations import RunAnnotations
from tomoportal.copick.lazy_models import LazyModel
from tomoportal.copick.names import checked_voxel_size, parse_voxel_spacing, voxel_key
from tomoportal.copick.sides import TwoSided
from tomoportal.copick.sources import Source
from tomoportal.copick.spacings import CopickVoxelSpacing, CopickVoxelSpacingMeta
from tomoportal.errors import AnnotationError, Problem

if TYPE_CHECKING:
    from tomoportal.copick.root import CopickRoot

__all__ = ["CopickRun", "CopickRunMeta"]

_Spacings = tuple[type[CopickVoxelSpacing], type[CopickVoxelSpacingMeta]]


class CopickRunMeta(LazyModel):
    """The name of the run."""

    name: str


class CopickRun(TwoSided, RunAnnotations):
    """The voxel spacings of a run; its picks, meshes, segmentations and filaments are in :class:`RunAnnotations`."""

    _OWN = "_known_spacings"

    def __init__(self, root: CopickRoot, meta: CopickRunMeta, config: object = None) -> None:
        super().__init__(root)
        self.meta = meta
        self._place = f"ExperimentRuns/{meta.name}"
        self._voxel_spacings: list[CopickVoxelSpacing] | None = None
        self._known_spacings: dict[float, CopickVoxelSpacing] = {}
        self._split: str | None = None

    @property
    def name(self) -> str:
        return self.meta.name

    @name.setter
    def name(self, value: str) -> None:
        self.meta.name = value

    @property
    def split(self) -> str | None:
        """Which split of a training set the run belongs to, where the back end says so."""
        return self._split

    @property
    def _key(self) -> str:
        return self._place

    # --- voxel spacings

    def _voxel_spacing_factory(self) -> _Spacings:
        return CopickVoxelSpacing, CopickVoxelSpacingMeta

    def _listed_spacings(self) -> dict[float, tuple[float, dict[Source, str]]]:
        """Sizes by their three decimals, with the names under which the sources have them (C22, C23, C38)."""
        found: dict[float, tuple[float, dict[Source, str]]] = {}
        for source in self.root._sources:
            for name in source.listing.folder(self._key).folders:
                if not name.startswith("VoxelSpacing"):
                    continue
                size = parse_voxel_spacing(name)
                if isinstance(size, str):
                    where = source.where(f"{self._key}/{name}")
                    self.root._note(Problem(where, size, "rename the folder to VoxelSpacing and three decimals"))
                    continue
                found.setdefault(voxel_key(size), (size, {}))[1].setdefault(source, name)
        return found

    def query_voxelspacings(self) -> list[CopickVoxelSpacing]:
        """The voxel spacings that the stores hold now, sorted."""
        clazz, meta = self._voxel_spacing_factory()
        found = []
        for key, (size, folders) in sorted(self._listed_spacings().items()):
            known = self._known_spacings.get(key)
            if known is None:
                known = clazz(self, meta(voxel_size=size), self.root.config, folders=folders)
            known._folders = folders
            self._known_spacings[key] = known
            found.append(known)
        return found

    @property
    def voxel_spacings(self) -> list[CopickVoxelSpacing]:
        if self._voxel_spacings is None:
            self._voxel_spacings = self.query_voxelspacings()
        return self._voxel_spacings

    def get_voxel_spacing(self, voxel_size: float, **kwargs: Any) -> CopickVoxelSpacing | None:
        """The voxel spacing of this size to three decimals, or None; always the same object (C18, C38)."""
        key = voxel_key(voxel_size)
        if self._voxel_spacings is not None:
            return next((each for each in self._voxel_spacings if voxel_key(each.voxel_size) == key), None)
        known = self._known_spacings.get(key)
        if known is not None:
            return known if known.ensure(create=False) else None
        listed = self._listed_spacings().get(key)
        if listed is None:
            return None
        clazz, meta = self._voxel_spacing_factory()
        found = clazz(self, meta(voxel_size=listed[0]), self.root.config, folders=listed[1])
        self._known_spacings[key] = found
        return found

    def new_voxel_spacing(self, voxel_size: float, exist_ok: bool = False, **kwargs: Any) -> CopickVoxelSpacing:
        """Make the folder of a voxel spacing (Å) in the overlay."""
        size = checked_voxel_size(voxel_size)
        known = self.get_voxel_spacing(size)
        if known is not None:
            if not exist_ok:
                raise AnnotationError(
                    f"VoxelSpacing {voxel_size} already exists for this run.", where=self.name, fix="say exist_ok=True"
                )
            return known
        spacings = self.voxel_spacings
        clazz, meta = self._voxel_spacing_factory()
        made = clazz(self, meta(voxel_size=size, **kwargs), self.root.config)
        made.ensure(create=True)
        self._known_spacings[voxel_key(size)] = made
        spacings.append(made)
        return made

    def refresh_voxel_spacings(self) -> None:
        self._forget()
        self._voxel_spacings = self.query_voxelspacings()
        for each in self._voxel_spacings:
            each._invalidate_caches()

    def delete_voxel_spacings(self, voxel_size: float | None = None) -> None:
        """Remove all tomograms of a size, or of all sizes; nothing if a part is static (C16, C17)."""
        chosen = [
            each
            for each in self.voxel_spacings
            if voxel_size is None or voxel_key(each.voxel_size) == voxel_key(voxel_size)
        ]
        for each in chosen:
            parts = [(source, each._folder_in(source)) for source in self.root._sources]
            self.root._refuse_static_parts(parts, "voxel spacing")
        for each in chosen:
            each.delete()

    def _drop_spacing(self, spacing: CopickVoxelSpacing) -> None:
        self._known_spacings.pop(voxel_key(spacing.voxel_size), None)
        if self._voxel_spacings is not None:
            self._voxel_spacings = [each for each in self._voxel_spacings if each is not spacing]

    # --- the run itself

    def refresh(self) -> None:
        """Ask the stores for everything again."""
        self.refresh_voxel_spacings()
        self.refresh_annotations()

    def _forget(self) -> None:
        for source in self.root._sources:
            source.listing.forget(self._key)

    def _invalidate_caches(self) -> None:
        self._voxel_spacings = None
        self._known_spacings.clear()
        self._invalidate_annotations()

    def ensure(self, create: bool = False) -> bool:
        """Whether the run is there in static or overlay; made in the overlay if asked for."""
        if any(self.root._folder_exists(source, self._key) for source in self.root._sources):
            return True
        if create:
            self.root._make_folder(self._key)
        return create

    def delete(self) -> None:
        """Remove the run with everything in it; nothing if a part of it is static (C17)."""
        self._delete_data()
        self._invalidate_caches()
        self.root._drop_run(self)

    def _delete_data(self) -> None:
        parts = [(source, self._key) for source in self.root._sources]
        self.root._refuse_static_parts(parts, "run")
        self.root._overlay.store.delete_tree(self._key)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name}) at {hex(id(self))}"
