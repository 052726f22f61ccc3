"""Voxel spacings of a run: all tomograms of one resolution."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from tomoportal.copick.lazy_models import LazyModel
from tomoportal.copick.names import FEATURES_ENDING, check_distinct, checked_name, voxel_spacing_folder
from tomoportal.copick.sides import TwoSided
from tomoportal.copick.sources import Source, shadowed
from tomoportal.copick.tomograms import CopickTomogram, CopickTomogramMeta
from tomoportal.errors import AnnotationError, Problem

if TYPE_CHECKING:
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun

__all__ = ["CopickVoxelSpacing", "CopickVoxelSpacingMeta"]


class CopickVoxelSpacingMeta(LazyModel):
    """The voxel size in Å."""

    voxel_size: float


class CopickVoxelSpacing(TwoSided):
    """The tomograms of one voxel size in static and overlay. Sizes are equal if three decimals are (C38)."""

    _OWN = "_folders"

    def __init__(
        self,
        run: CopickRun,
        meta: CopickVoxelSpacingMeta,
        config: object = None,
        *,
        folders: dict[Source, str] | None = None,
    ) -> None:
        self.run = run
        self.meta = meta
        self._folders = folders or {}
        """Under which name each source has it, where that is not the usual one (C23)."""
        self._tomograms: list[CopickTomogram] | None = None

    @property
    def voxel_size(self) -> float:
        return self.meta.voxel_size

    @property
    def _project(self) -> CopickRoot:
        return self.run.root

    def _key_in(self, source: Source) -> str:
        return self._folder_in(source)

    def _folder_in(self, source: Source) -> str:
        return f"{self.run._key}/{self._folders.get(source, voxel_spacing_folder(self.voxel_size))}"

    # --- tomograms

    def _volumes(self, asker: str) -> list[tuple[Source, str, str]]:
        """Zarr folders: source, folder that they lie in, name."""
        found = []
        for source in self.run.root._sources:
            place = self._folder_in(source)
            folders, files = source.zarr_folders(place, asker)
            found += [(source, place, name) for name in folders]
            for name in files:
                where = source.where(f"{place}/{name}")
                self.run.root._note(Problem(where, "a file with the name of a Zarr folder", "move it"))
        return found

    def _tomogram_types(self) -> list[str]:
        known = self._tomograms if self._tomograms is not None else self.query_tomograms()
        return [each.tomo_type for each in known]

    def query_tomograms(self, *, include_shadowed: bool = False) -> list[CopickTomogram]:
        """The tomograms that the stores hold now, static first; the overlay's shadow static ones (C27, C30)."""
        clazz, meta = self._tomogram_factory()
        found = [
            clazz(
                self, meta(tomo_type=name.removesuffix(".zarr")), read_only=source.read_only, source=source, folder=name
            )
            for source, _, name in self._volumes("tomograms")
            if not name.endswith(FEATURES_ENDING) and name != ".zarr"
        ]
        return found if include_shadowed else shadowed(found, lambda each: each.tomo_type)

    def _tomogram_factory(self) -> tuple[type[CopickTomogram], type[CopickTomogramMeta]]:
        return CopickTomogram, CopickTomogramMeta

    @property
    def tomograms(self) -> list[CopickTomogram]:
        if self._tomograms is None:
            self._tomograms = self.query_tomograms()
        return self._tomograms

    def get_tomograms(
        self, tomo_type: str | None = None, *, include_shadowed: bool = False, **kwargs: Any
    ) -> list[CopickTomogram]:
        """The tomograms of a type; of all types if none is given (C41)."""
        found = self.query_tomograms(include_shadowed=True) if include_shadowed else self.tomograms
        return [each for each in found if tomo_type is None or each.tomo_type == tomo_type]

    def get_tomogram(self, tomo_type: str) -> CopickTomogram | None:
        """The tomogram of a type, or None."""
        warnings.warn(
            "get_tomogram is deprecated, use get_tomograms instead. Results may be incomplete",
            DeprecationWarning,
            stacklevel=2,
        )
        return next(iter(self.get_tomograms(tomo_type)), None)

    def new_tomogram(self, tomo_type: str, exist_ok: bool = False, **meta: Any) -> CopickTomogram:
        """Make an empty tomogram in the overlay."""
        tomo_type = checked_name(tomo_type, "tomogram type", strict=bool(self.run.root.config.strict))
        known = next(iter(self.get_tomograms(tomo_type)), None)
        if known is not None and not exist_ok:
            raise AnnotationError(
                f"Tomogram type {tomo_type} already exists for this voxel spacing.",
                where=known._folder.where,
                fix="choose another type, or say exist_ok=True",
            )
        if known is not None and not known.read_only:
            return known
        check_distinct(tomo_type, (each.tomo_type for each in self.tomograms), "tomogram type")
        self.ensure(create=True)
        clazz, meta_class = self._tomogram_factory()
        source = self.run.root._source_for(read_only=False)
        made = clazz(self, meta_class(tomo_type=tomo_type, **meta), source=source)
        made._folder.make()
        self._tomograms = [
            *(each for each in self.tomograms if each is not known and each.tomo_type != tomo_type),
            made,
        ]
        return made

    def refresh_tomograms(self) -> None:
        self._forget()
        self._tomograms = self.query_tomograms()

    def refresh(self) -> None:
        self.refresh_tomograms()

    def _forget(self) -> None:
        for source in self.run.root._sources:
            source.listing.forget(self.run._key)

    def _invalidate_caches(self) -> None:
        self._tomograms = None

    def delete_tomograms(self, tomo_type: str | None = None) -> None:
        """Remove all tomograms of a type, or of all types; none if one is read-only (C15, C17)."""
        chosen = self.get_tomograms(tomo_type)
        for each in chosen:
            each._refuse_if_read_only("delete")
        for each in chosen:
            each.delete()

    def _drop(self, tomogram: CopickTomogram) -> None:
        if self._tomograms is not None:
            self._tomograms = [each for each in self._tomograms if each is not tomogram]

    # --- existence

    def ensure(self, create: bool = False) -> bool:
        """Whether the folder is there in static or overlay; made in the overlay if asked for."""
        root = self.run.root
        if any(root._folder_exists(source, self._folder_in(source)) for source in root._sources):
            return True
        if create:
            self.run.ensure(create=True)
            root._make_folder(self._folder_in(root._source_for(read_only=False)))
        return create

    def _delete_data(self) -> None:
        root = self.run.root
        root._refuse_static_parts([(source, self._folder_in(source)) for source in root._sources], "voxel spacing")
        root._overlay.store.delete_tree(self._folder_in(root._overlay))

    def delete(self) -> None:
        """Remove the voxel spacing with all tomograms; nothing if a part of it is static (C17)."""
        self._delete_data()
        self.run._drop_spacing(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(voxel_size={self.voxel_size}) at {hex(id(self))}"
