"""Pickable objects of a project, with their density maps in ``Objects/``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tomoportal.copick.config import FilamentSpec, PickableObject
from tomoportal.copick.sides import TwoSided
from tomoportal.copick.sources import Source
from tomoportal.copick.volumes import ALL, StoredVolume
from tomoportal.errors import AnnotationError

if TYPE_CHECKING:
    from tomoportal.copick.pyramids import Array
    from tomoportal.copick.root import CopickRoot

__all__ = ["CopickObject", "unknown_object"]


def unknown_object(root: CopickRoot, name: str, more: str = "") -> AnnotationError:
    """The error of a name that no object of the project has; it says which ones there are."""
    import difflib

    known = [each.name for each in root.pickable_objects]
    near = difflib.get_close_matches(name, known, 1)
    there = f"write {near[0]}" if near else f"use one of {', '.join(known[:10])}" if known else "see the config"
    return AnnotationError(
        f"Object name {name} not found in pickable objects.{more}",
        fix=f"{there}, or add it: `tomoportal copick add object --name {name}`, in Python root.new_object",
    )


class CopickObject(TwoSided, StoredVolume):
    """An object that can be annotated. Density maps ``(z, y, x)`` belong to particles only (C43)."""

    WHAT = "object"

    def __init__(
        self,
        root: CopickRoot,
        meta: PickableObject,
        read_only: bool = False,
        *,
        source: Source | None = None,
        has_map: bool | None = None,
    ) -> None:
        self.root = root
        self.meta = meta
        self._source = source or root._source_for(read_only=read_only)
        self.read_only = read_only or self._source.read_only
        self._has_map = has_map

    @property
    def name(self) -> str:
        return self.meta.name

    @property
    def is_particle(self) -> bool:
        return self.meta.is_particle

    @property
    def label(self) -> int | None:
        return self.meta.label

    @property
    def color(self) -> tuple[int, int, int, int] | None:
        return self.meta.color

    @property
    def emdb_id(self) -> str | None:
        return self.meta.emdb_id

    @property
    def pdb_id(self) -> str | None:
        return self.meta.pdb_id

    @property
    def identifier(self) -> str | None:
        return self.meta.identifier

    @property
    def map_threshold(self) -> float | None:
        return self.meta.map_threshold

    @property
    def radius(self) -> float | None:
        return self.meta.radius

    @property
    def metadata(self) -> dict[str, Any]:
        return self.meta.metadata or {}

    @property
    def filament(self) -> FilamentSpec | None:
        return self.meta.filament

    @property
    def is_filament(self) -> bool:
        return self.meta.is_filament

    @property
    def _key(self) -> str:
        return f"Objects/{self.name}.zarr"

    @property
    def path(self) -> str:
        return self._source.where(self._key)

    @property
    def fs(self) -> Any:
        return self.root._fsspec(self._source)

    # --- the density map

    def has_density_map(self) -> bool:
        """Whether there is a map with voxels."""
        return self.is_particle and not self._folder.is_empty()

    def zarr(self) -> Any:
        """The map's folder for zarr; None for what is no particle, and where there is only a read-only source."""
        if not self.is_particle or (self.read_only and not self.has_density_map()):
            return None
        return self._folder.store_for_zarr()

    def numpy(
        self, zarr_group: str | None = "0", x: slice | int = ALL, y: slice | int = ALL, z: slice | int = ALL
    ) -> Array | None:
        """A region of the map as ``[z, y, x]``, or None if there is no map."""
        return self._read_region(zarr_group, x, y, z) if self.has_density_map() else None

    def from_numpy(self, data: Any, voxel_size: float, dtype: Any = np.float32) -> None:
        """Store the map ``(z, y, x)`` with voxels of ``voxel_size`` Å, one level."""
        from tomoportal.copick.names import checked_voxel_size
        from tomoportal.errors import AnnotationError

        if not self.is_particle:
            raise AnnotationError(f"{self.name} is not a particle object: it has no density map.")
        self._replace(data, checked_voxel_size(voxel_size), 1, dtype, "mean")

    def set_region(
        self,
        data: Any,
        zarr_group: str | None = "0",
        x: slice | int = ALL,
        y: slice | int = ALL,
        z: slice | int = ALL,
    ) -> None:
        """Write a region ``[z, y, x]`` of the map."""
        self._set_region(zarr_group, (z, y, x), data, None)

    def delete(self) -> None:
        """Remove the density map, and the object from the list in memory; ``root.save_config`` makes that last."""
        if not self._folder.is_empty():
            self._delete_data()
        self.root._drop_object(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name}, label={self.label}) at {hex(id(self))}"
