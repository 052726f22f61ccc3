"""What tomograms, feature maps, segmentations and density maps have in common: a Zarr folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from tomoportal.copick.pickles import Pickled
from tomoportal.copick.sources import Source
from tomoportal.errors import AnnotationError, ReadOnlyError

if TYPE_CHECKING:  # codecs are loaded when a volume is read or written: most projects are opened for their points
    from collections.abc import Sequence

    from tomoportal.copick.pyramids import Array, PyramidLevel, Reduction
    from tomoportal.copick.volume_versions import VolumeVersions
    from tomoportal.copick.zarr_folders import Box, ZarrFolder

__all__ = ["ALL", "StoredVolume"]

ALL: Final = slice(None, None)
"""The whole of an axis."""


class StoredVolume(Pickled):
    """A Zarr folder in one source of the project. Arrays are ``(…, z, y, x)``, slices are named x, y, z."""

    _OWN = "_source"
    WHAT: ClassVar[str]
    _source: Source
    read_only: bool

    @property
    def _key(self) -> str:
        raise AnnotationError(f"{type(self).__name__} has no place of its own")

    @property
    def _folder(self) -> ZarrFolder:
        from tomoportal.copick.zarr_folders import ZarrFolder

        source = self._source
        return ZarrFolder(
            source.store,
            self._key,
            source.where(self._key),
            read_only=self.read_only,
            zarr_format=source.zarr_format,
            versions=self._versions,
        )

    @property
    def _versions(self) -> VolumeVersions | None:
        """What this object knows of the versions; None for volumes that have none, or are only read."""
        return None

    def zarr(self) -> Any:
        """The folder as the installed zarr opens it (``zarr.open(entity.zarr())["0"]``), writable unless read-only.

        Raises :class:`MissingPartError` if zarr is not installed.
        """
        folder = self._folder
        if not self.read_only and self._source.store.local_path("") is not None:
            folder.make()
        return folder.store_for_zarr()

    def _refuse_if_read_only(self, action: str) -> None:
        """Refuse ``store`` or ``delete`` in upstream's words, whatever the version of zarr (C44)."""
        if self.read_only:
            raise ReadOnlyError(
                f"Cannot {action} {self.WHAT} in a read-only source.",
                where=self._folder.where,
                fix="make one in the overlay",
            )

    def _delete_data(self) -> None:
        self._refuse_if_read_only("delete")
        self._folder.delete(self.WHAT)

    def _read_region(self, zarr_group: str | None, x: slice | int, y: slice | int, z: slice | int) -> Array:
        return self._folder.read(zarr_group, (z, y, x))

    def _set_region(self, zarr_group: str | None, box: Box | None, data: Any, reduction: Reduction | None) -> None:
        self._refuse_if_read_only("store")
        self._folder.set_region(zarr_group, box, data, reduction)

    def _replace(
        self,
        data: Any,
        voxel_size: float,
        levels: int,
        dtype: Any,
        reduction: Reduction,
        *,
        channel: str | None = None,
        metadata: dict[str, Any] | None = None,
        axes: tuple[int, ...] = (3,),
        chunk: int | Sequence[int] | None = None,
        overwrite: bool = False,
    ) -> None:
        from tomoportal.copick.pyramids import levels_of

        self._refuse_if_read_only("store")
        array = self._checked(data, axes, dtype)
        self._write_levels(
            levels_of(array, voxel_size, levels, reduction),
            reduction,
            channel=channel,
            metadata=metadata,
            chunk=chunk,
            overwrite=overwrite,
        )

    def _checked(self, data: Any, axes: tuple[int, ...], dtype: Any) -> Array:
        """The voxels as an array of the type, in the machine's byte order."""
        array = np.asarray(data)
        if array.ndim not in axes or 0 in array.shape:
            raise AnnotationError(
                f"A {self.WHAT} has the axes {'(channel, z, y, x)' if axes == (4,) else '(z, y, x)'}, not the shape"
                f" {array.shape}.",
                where=self._folder.where,
            )
        array = array.astype(array.dtype if dtype is None else dtype, copy=False)
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def _write_levels(
        self,
        levels: Sequence[PyramidLevel],
        reduction: Reduction,
        *,
        channel: str | None = None,
        metadata: dict[str, Any] | None = None,
        chunk: int | Sequence[int] | None = None,
        overwrite: bool = False,
    ) -> None:
        from tomoportal.copick.pyramids import CHUNK, write_pyramid

        self._refuse_if_read_only("store")
        write_pyramid(
            self._source.store,
            self._key,
            levels,
            is_labels=reduction == "nearest",
            channel=channel,
            metadata=metadata,
            chunk=CHUNK if chunk is None else chunk,
            zarr_format=self._source.zarr_format,
            versions=self._versions,
            overwrite=overwrite,
        )
