"""Feature maps: what was computed from a tomogram, voxel by voxel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tomoportal.copick.lazy_models import LazyModel
from tomoportal.copick.names import features_name
from tomoportal.copick.sources import Source
from tomoportal.copick.volumes import ALL, StoredVolume

if TYPE_CHECKING:
    from tomoportal.copick.pyramids import Array
    from tomoportal.copick.tomograms import CopickTomogram

__all__ = ["CopickFeatures", "CopickFeaturesMeta"]


class CopickFeaturesMeta(LazyModel):
    """Of which type of tomogram, and which features."""

    tomo_type: str
    feature_type: str


class CopickFeatures(StoredVolume):
    """Features ``(z, y, x)`` or ``(feature, z, y, x)`` on the grid of a tomogram, one level."""

    WHAT = "features"

    def __init__(
        self,
        tomogram: CopickTomogram,
        meta: CopickFeaturesMeta,
        read_only: bool = False,
        *,
        source: Source | None = None,
        folder: str | None = None,
    ) -> None:
        self.tomogram = tomogram
        self.meta = meta
        self._source = source or tomogram.voxel_spacing.run.root._source_for(read_only=read_only)
        self.read_only = read_only or self._source.read_only
        self._name = folder or features_name(meta.tomo_type, meta.feature_type)
        self._place = tomogram.voxel_spacing._folder_in(self._source)

    @property
    def _key(self) -> str:
        return f"{self._place}/{self._name}"

    @property
    def tomo_type(self) -> str:
        return self.meta.tomo_type

    @property
    def feature_type(self) -> str:
        return self.meta.feature_type

    @property
    def path(self) -> str:
        return self._source.where(self._key)

    @property
    def fs(self) -> Any:
        return self.tomogram.voxel_spacing.run.root._fsspec(self._source)

    def _box(self, zarr_group: str | None, slices: Sequence[slice] | None) -> list[slice]:
        """Slices of all axes; those that are not given come last, as when NumPy is indexed."""
        given = list(slices or ())
        return given + [ALL] * (len(self._folder.array(zarr_group).shape) - len(given))

    def numpy(self, zarr_group: str | None = "0", slices: Sequence[slice] | None = None) -> Array:
        """The features in the stored order of axes; ``slices`` are in that order too."""
        return self._folder.read(zarr_group, self._box(zarr_group, slices))

    def set_region(self, data: Any, zarr_group: str | None = "0", slices: Sequence[slice] | None = None) -> None:
        """Write a region; ``slices`` in the stored order of axes."""
        self._set_region(zarr_group, self._box(zarr_group, slices), data, None)

    def from_numpy(self, data: Any, *, dtype: Any = None, overwrite: bool = True) -> None:
        """Store ``(z, y, x)`` or ``(feature, z, y, x)`` (C55). With ``overwrite=False`` only if there are none yet."""
        if not overwrite and not self._folder.is_empty():
            from tomoportal.errors import AnnotationError

            raise AnnotationError(
                f"Feature type {self.feature_type} already exists for this tomogram.", where=self.path
            )
        spacing = self.tomogram.voxel_spacing.voxel_size
        self._replace(data, spacing, 1, dtype, "mean", channel="feature", axes=(3, 4))

    def delete(self) -> None:
        """Remove the map."""
        self._delete_data()
        self.tomogram._drop_features(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(tomo_type={self.tomo_type}, feature_type={self.feature_type}) at {hex(id(self))}"
