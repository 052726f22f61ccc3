"""Tomograms, each of one type at one voxel spacing, with the feature maps that were computed from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tomoportal.copick.features import CopickFeatures, CopickFeaturesMeta
from tomoportal.copick.lazy_models import LazyModel
from tomoportal.copick.names import FEATURES_ENDING, check_distinct, checked_name
from tomoportal.copick.sides import TwoSided
from tomoportal.copick.sources import Source, shadowed
from tomoportal.copick.volumes import ALL, StoredVolume
from tomoportal.errors import AnnotationError

if TYPE_CHECKING:
    from tomoportal.copick.pyramids import Array
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.spacings import CopickVoxelSpacing

__all__ = ["CopickTomogram", "CopickTomogramMeta"]


class CopickTomogramMeta(LazyModel):
    """How the tomogram was made: ``wbp``, ``denoised``, …"""

    tomo_type: str


class CopickTomogram(TwoSided, StoredVolume):
    """A volume ``(z, y, x)`` with a pyramid of means."""

    WHAT = "tomogram"

    def __init__(
        self,
        voxel_spacing: CopickVoxelSpacing,
        meta: CopickTomogramMeta,
        read_only: bool = False,
        *,
        source: Source | None = None,
        folder: str | None = None,
        config: object = None,
    ) -> None:
        self.voxel_spacing = voxel_spacing
        self.meta = meta
        self._source = source or voxel_spacing.run.root._source_for(read_only=read_only)
        self.read_only = read_only or self._source.read_only
        self._name = folder or f"{meta.tomo_type}.zarr"
        self._place = voxel_spacing._folder_in(self._source)
        self._features: list[CopickFeatures] | None = None

    @property
    def tomo_type(self) -> str:
        return self.meta.tomo_type

    @property
    def _key(self) -> str:
        return f"{self._place}/{self._name}"

    @property
    def _project(self) -> CopickRoot:
        return self.voxel_spacing.run.root

    def _key_in(self, source: Source) -> str:
        return f"{self.voxel_spacing._folder_in(source)}/{self._name}"

    @property
    def static_stem(self) -> str:
        return self.static_path.removesuffix(".zarr")

    @property
    def overlay_stem(self) -> str:
        return self.overlay_path.removesuffix(".zarr")

    # --- voxels

    def numpy(
        self, zarr_group: str | None = "0", x: slice | int = ALL, y: slice | int = ALL, z: slice | int = ALL
    ) -> Array:
        """A region of a level as ``[z, y, x]``. Raises :class:`AnnotationError` if it does not fit into memory."""
        return self._read_region(zarr_group, x, y, z)

    def from_numpy(self, data: Any, levels: int = 3, dtype: Any = np.float32) -> None:
        """Store ``(z, y, x)`` with a pyramid of ``levels``; replaces what was there only when all is written."""
        self._replace(data, self.voxel_spacing.voxel_size, levels, dtype, "mean")

    def set_region(
        self,
        data: Any,
        zarr_group: str | None = "0",
        x: slice | int = ALL,
        y: slice | int = ALL,
        z: slice | int = ALL,
        *,
        update_levels: bool = True,
    ) -> None:
        """Write a region ``[z, y, x]`` of a level, and the coarser levels below it unless told not to (C8)."""
        self._set_region(zarr_group, (z, y, x), data, "mean" if update_levels else None)

    # --- features

    @property
    def features(self) -> list[CopickFeatures]:
        """The feature maps, sorted by type."""
        if self._features is None:
            self._features = self.query_features()
        return self._features

    @features.setter
    def features(self, value: list[CopickFeatures]) -> None:
        self._features = value

    def query_features(self, *, include_shadowed: bool = False) -> list[CopickFeatures]:
        """The feature maps that the stores hold now."""
        start = f"{self.tomo_type}_"
        types = self.voxel_spacing._tomogram_types()
        found = []
        for source, place, folder in self.voxel_spacing._volumes(f"features of {self.tomo_type}"):
            if not folder.startswith(start) or not folder.endswith(FEATURES_ENDING):
                continue
            feature_type = folder.removesuffix(FEATURES_ENDING)[len(start) :]
            # Of wbp and wbp_a, the longer one owns wbp_a_sobel.
            longer = any(
                other != self.tomo_type and other.startswith(start) and folder.startswith(f"{other}_")
                for other in types
            )
            if feature_type and not longer:
                clazz, meta = self._feature_factory()
                described = meta(tomo_type=self.tomo_type, feature_type=feature_type)
                features = clazz(self, described, read_only=source.read_only, source=source, folder=folder)
                features._place = place
                found.append(features)
        return found if include_shadowed else shadowed(found, lambda each: each.feature_type)

    def _feature_factory(self) -> tuple[type[CopickFeatures], type[CopickFeaturesMeta]]:
        return CopickFeatures, CopickFeaturesMeta

    def get_features(self, feature_type: str) -> CopickFeatures | None:
        return next((each for each in self.features if each.feature_type == feature_type), None)

    def new_features(self, feature_type: str, exist_ok: bool = False, **meta: Any) -> CopickFeatures:
        """Make an empty feature map in the overlay."""
        strict = bool(self.voxel_spacing.run.root.config.strict)
        feature_type = checked_name(feature_type, "feature type", strict=strict)
        known = self.get_features(feature_type)
        if known is not None and not exist_ok:
            raise AnnotationError(f"Feature type {feature_type} already exists for this tomogram.", where=known.path)
        if known is not None and not known.read_only:
            return known
        check_distinct(feature_type, (each.feature_type for each in self.features), "feature type")
        clazz, meta_class = self._feature_factory()
        source = self.voxel_spacing.run.root._source_for(read_only=False)
        made = clazz(self, meta_class(tomo_type=self.tomo_type, feature_type=feature_type, **meta), source=source)
        made._folder.make()
        self._features = [*(each for each in self.features if each is not known), made]
        return made

    def refresh_features(self) -> None:
        self.voxel_spacing._forget()
        self._features = self.query_features()

    def refresh(self) -> None:
        self.refresh_features()

    def delete_features(self) -> None:
        """Remove all feature maps; none if one of them is read-only (C15, C17)."""
        for each in self.features:
            each._refuse_if_read_only("delete")
        for each in list(self.features):
            each.delete()

    def _drop_features(self, features: CopickFeatures) -> None:
        if self._features is not None:
            self._features = [each for each in self._features if each is not features]

    def delete(self) -> None:
        """Remove the tomogram and its feature maps."""
        self._refuse_if_read_only("delete")
        self.delete_features()
        self._delete_data()
        self.voxel_spacing._drop(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(tomo_type={self.tomo_type}) at {hex(id(self))}"
