"""Readers and writers of files of picks and volumes, as plug-ins use them (``copick.util.handlers``).

Picks are positions ``(n, 3)`` in Å, transformations ``(n, 4, 4)`` and scores ``(n,)``; CSV and STAR add instance ids.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.particles.conversions import (
    points_and_rotations_to_transforms,
    transforms_to_points_and_rotations,
)
from tomoportal.errors import AnnotationError
from tomoportal.formats.poses import Poses

if TYPE_CHECKING:
    from tomoportal.storage import Store

__all__ = [
    "CSVPicksHandler",
    "DynamoPicksHandler",
    "EMPicksHandler",
    "EMVolumeHandler",
    "FormatCapabilities",
    "MRCVolumeHandler",
    "PicksFileHandler",
    "PicksFormatHandler",
    "TIFFVolumeHandler",
    "VolumeFormatHandler",
    "ZarrVolumeHandler",
    "csv_handler",
    "dynamo_handler",
    "em_handler",
    "em_picks_handler",
    "mrc_handler",
    "poses_of",
    "put_file",
    "read_volume",
    "tiff_handler",
    "unpack_picks_data",
    "zarr_handler",
]

Array: TypeAlias = NDArray[Any]
PicksData: TypeAlias = tuple[Any, ...]


@dataclass
class FormatCapabilities:
    """What a format can hold and what is done with it."""

    can_read: bool = True
    can_write: bool = False
    supports_voxel_size: bool = False
    supports_transforms: bool = False
    supports_scores: bool = False
    supports_grouped_import: bool = False
    supports_grouped_export: bool = False


@runtime_checkable
class VolumeFormatHandler(Protocol):
    """Reads and writes volumes ``(z, y, x)``."""

    format_name: ClassVar[str]
    extensions: ClassVar[tuple[str, ...]]
    capabilities: ClassVar[FormatCapabilities]

    def read(self, path: str, **kwargs: Any) -> tuple[Array, float | None]: ...
    def write(self, path: str, volume: Array, voxel_size: float, **kwargs: Any) -> str: ...


@runtime_checkable
class PicksFormatHandler(Protocol):
    """Reads and writes picks of one run, or of several by their numbers."""

    format_name: ClassVar[str]
    extensions: ClassVar[tuple[str, ...]]
    capabilities: ClassVar[FormatCapabilities]

    def read(self, path: str, voxel_spacing: float, **kwargs: Any) -> PicksData: ...
    def write(self, path: str, positions: Array, transforms: Array, voxel_spacing: float, **kwargs: Any) -> str: ...
    def read_grouped(
        self, path: str, voxel_spacing: float, index_to_run: Mapping[int, str], **kwargs: Any
    ) -> dict[str, PicksData]: ...
    def write_grouped(
        self,
        path: str,
        grouped_data: Mapping[str, PicksData],
        voxel_spacing: float,
        run_to_index: Mapping[str, int] | None = None,
        **kwargs: Any,
    ) -> str: ...


def unpack_picks_data(data: PicksData) -> tuple[Any, Any, Any, Any]:
    """Positions, transformations, scores and instance ids, which some formats do not have."""
    positions, transforms, scores, *rest = data
    return positions, transforms, scores, rest[0] if rest else None


def poses_of(positions: Array, transforms: Array, scores: Any = None, ids: Any = None) -> Poses:
    shifts, rotations = transforms_to_points_and_rotations(transforms)
    return Poses.of(positions, rotations, shifts, scores, ids)


class PicksFileHandler:
    """What the handlers of particle lists have in common."""

    format_name: ClassVar[str]
    capabilities: ClassVar[FormatCapabilities]
    _numbered: ClassVar[bool] = False
    _has_ids: ClassVar[bool] = False

    def _data(self, poses: Poses) -> PicksData:
        transforms = points_and_rotations_to_transforms(poses.shifts, poses.rotations)
        found = (poses.positions, transforms, poses.scores)
        return (*found, poses.instance_ids) if self._has_ids else found

    def _particles(self, path: str, voxel_spacing: float | None, run: str = "", **options: Any) -> Any:
        from tomoportal.copick.particles.files import ReadOptions, read_particles

        kept = {key: value for key, value in options.items() if key in ReadOptions.__dataclass_fields__}
        read = ReadOptions(voxel_size=None if self.format_name == "csv" else voxel_spacing, **kept)
        return read_particles(Path(path), self.format_name, read, run=run)

    def _read(self, path: str, voxel_spacing: float | None, run: str = "", **options: Any) -> PicksData:
        found = self._particles(path, voxel_spacing, run, **options)
        every = [*found.by_number.values(), *found.by_name.values()]
        wanted = found.by_name.get(run) if run else None
        return self._data(wanted if wanted is not None else Poses.joined(every))

    def read_grouped(
        self, path: str, voxel_spacing: float, index_to_run: Mapping[int, str], **kwargs: Any
    ) -> dict[str, PicksData]:
        """Run → its picks; numbers that stand for no run are left out."""
        found = self._particles(path, voxel_spacing, **kwargs)
        named = {index_to_run[n]: poses for n, poses in found.by_number.items() if n in index_to_run}
        return {run: self._data(poses) for run, poses in {**found.by_name, **named}.items()}

    def _bytes(self, runs: Mapping[str, Poses], numbers: Mapping[str, int], voxel_spacing: float) -> bytes:
        raise AnnotationError(f"Files of the type {self.format_name} are not written here.")

    def write_grouped(
        self,
        path: str,
        grouped_data: Mapping[str, PicksData],
        voxel_spacing: float,
        run_to_index: Mapping[str, int] | None = None,
        **kwargs: Any,
    ) -> str:
        """One file of several runs. Raises :class:`AnnotationError` for a run without a number where one is needed."""
        missing = sorted(set(grouped_data) - set(run_to_index or {})) if self._numbered else []
        if missing:
            raise AnnotationError(
                f"run_to_index mapping is required, and does not hold {', '.join(missing)}.", fix="number these runs"
            )
        runs = {run: poses_of(*unpack_picks_data(data)) for run, data in grouped_data.items()}
        return put_file(path, self._bytes(runs, run_to_index or {}, voxel_spacing))


def _target(path: str) -> tuple[Store, str]:
    """The folder of a file that is written, which is made if need be, and its name there."""
    from tomoportal.storage import open_store

    place = Path(path).absolute()
    return open_store(place.parent, create=True, follow_links=True), place.name


def put_file(path: str, data: bytes) -> str:
    store, name = _target(path)
    store.put(name, data)
    return path


class CSVPicksHandler(PicksFileHandler):
    """Tables of copick: positions in Å, matrices, scores, ids."""

    format_name = "csv"
    extensions = (".csv",)
    capabilities = FormatCapabilities(True, True, False, True, True, True, True)
    _has_ids = True

    def read(self, path: str, voxel_spacing: float = 1.0, **kwargs: Any) -> PicksData:
        """The picks of all runs in the file."""
        return self._read(path, None)

    def write(
        self,
        path: str,
        positions: Array,
        transforms: Array,
        voxel_spacing: float,
        run_name: str = "",
        scores: Array | None = None,
        instance_ids: Array | None = None,
        **kwargs: Any,
    ) -> str:
        """The picks of one run."""
        return self.write_grouped(path, {run_name: (positions, transforms, scores, instance_ids)}, voxel_spacing)

    def _bytes(self, runs: Mapping[str, Poses], numbers: Mapping[str, int], voxel_spacing: float) -> bytes:
        from tomoportal.formats.copick_csv import write_copick_csv

        return write_copick_csv(runs)


class _Numbered(PicksFileHandler):
    _numbered = True

    def write(
        self,
        path: str,
        positions: Array,
        transforms: Array,
        voxel_spacing: float,
        scores: Array | None = None,
        tomogram_index: int = 1,
        **kwargs: Any,
    ) -> str:
        """The picks of one tomogram."""
        data = {"": (positions, transforms, scores)}
        return self.write_grouped(path, data, voxel_spacing, {"": tomogram_index})


class EMPicksHandler(_Numbered):
    """Motivelists of TOM and Artiatomi, 20 rows."""

    format_name = "em"
    extensions = (".em",)
    capabilities = FormatCapabilities(True, True, True, True, True, True, True)

    def read(self, path: str, voxel_spacing: float, tomo_index_row: int = 4, **kwargs: Any) -> PicksData:
        """The picks of all tomograms in the file."""
        return self._read(path, voxel_spacing, tomogram_row=tomo_index_row)

    def read_grouped(
        self,
        path: str,
        voxel_spacing: float,
        index_to_run: Mapping[int, str],
        tomo_index_row: int = 4,
        **kwargs: Any,
    ) -> dict[str, PicksData]:
        return super().read_grouped(path, voxel_spacing, index_to_run, tomogram_row=tomo_index_row)

    def _bytes(self, runs: Mapping[str, Poses], numbers: Mapping[str, int], voxel_spacing: float) -> bytes:
        from tomoportal.formats.motivelist import write_motivelist

        return write_motivelist({numbers[run]: poses for run, poses in runs.items()}, voxel_spacing=voxel_spacing)


class DynamoPicksHandler(_Numbered):
    """Tables of Dynamo."""

    format_name = "dynamo"
    extensions = (".tbl",)
    capabilities = FormatCapabilities(True, True, True, True, True, True, True)

    def read(self, path: str, voxel_spacing: float, **kwargs: Any) -> PicksData:
        """The picks of all tomograms in the file."""
        return self._read(path, voxel_spacing)

    def _bytes(self, runs: Mapping[str, Poses], numbers: Mapping[str, int], voxel_spacing: float) -> bytes:
        from tomoportal.formats.dynamo import write_dynamo

        return write_dynamo({numbers[run]: poses for run, poses in runs.items()}, voxel_spacing=voxel_spacing)


def read_volume(path: str | os.PathLike[str]) -> tuple[Array, float | None]:
    """The voxels ``(z, y, x)`` of an MRC, EM or TIFF file or OME-Zarr folder; the voxel size in Å if it is stated."""
    from tomoportal.formats.opening import open_volume
    from tomoportal.storage import open_store

    place = Path(path).absolute()
    with closing(open_volume(open_store(place.parent, read_only=True, follow_links=True), place.name)) as volume:
        voxels = volume.read(0, volume.shape[0]).copy()
        if volume.value_offset:
            voxels = voxels.astype("int16") + volume.value_offset
        return voxels, volume.voxel_size[0] or None


class _Volumes:
    format_name: ClassVar[str]
    capabilities: ClassVar[FormatCapabilities] = FormatCapabilities(True, True, True)

    def read(self, path: str, **kwargs: Any) -> tuple[Array, float | None]:
        """The voxels ``(z, y, x)``, and the voxel size in Å if the file states it."""
        return read_volume(path)

    def write(self, path: str, volume: Array, voxel_size: float, **kwargs: Any) -> str:
        """Write voxels ``(z, y, x)``."""
        from tomoportal.formats import volume_output
        from tomoportal.formats.volumes import ArrayVolume

        write = getattr(volume_output, f"write_{self.format_name}")
        compression = {"compression": kwargs["compression"]} if kwargs.get("compression") else {}
        voxels = ArrayVolume(np.asarray(volume), (voxel_size,) * 3)
        write(voxels, *_target(path), voxel_spacing=voxel_size, **compression)
        return path


class MRCVolumeHandler(_Volumes):
    """MRC files."""

    format_name = "mrc"
    extensions = (".mrc", ".rec", ".map")


class TIFFVolumeHandler(_Volumes):
    """Stacks of TIFF pages; those of several channels are arrays ``(c, z, y, x)``."""

    format_name = "tiff"
    extensions = (".tiff", ".tif")

    def read(self, path: str, **kwargs: Any) -> tuple[Array, float | None]:
        """The voxels ``(z, y, x)`` or ``(c, z, y, x)``, and the voxel size in Å if the file states it."""
        from tomoportal.formats.tiff import open_tiff_channels
        from tomoportal.storage import open_store

        place = Path(path).absolute()
        channels = open_tiff_channels(open_store(place.parent, read_only=True, follow_links=True), place.name)
        voxels = [each.read(0, each.shape[0]) for each in channels]
        return voxels[0] if len(voxels) == 1 else np.stack(voxels), channels[0].voxel_size[0] or None

    def write(self, path: str, volume: Array, voxel_size: float, **kwargs: Any) -> str:
        """Write voxels ``(z, y, x)`` or ``(c, z, y, x)``; the latter without a voxel size."""
        voxels = np.asarray(volume)
        if voxels.ndim != 4:
            return super().write(path, voxels, voxel_size, **kwargs)
        from tomoportal.formats.volume_output import write_tiff_channels
        from tomoportal.formats.volumes import ArrayVolume

        compression: Any = kwargs.get("compression") or "none"
        write_tiff_channels([ArrayVolume(each) for each in voxels], *_target(path), compression=compression)
        return path


class EMVolumeHandler(_Volumes):
    """EM files."""

    format_name = "em"
    extensions = (".em",)


class ZarrVolumeHandler(_Volumes):
    """OME-Zarr folders."""

    format_name = "zarr"
    extensions = (".zarr",)

    def write(
        self, path: str, volume: Array, voxel_size: float, chunks: Sequence[int] = (128,) * 3, **kwargs: Any
    ) -> str:
        """Write one level."""
        from tomoportal.copick.pyramids import levels_of, write_pyramid

        levels = levels_of(np.asarray(volume), voxel_size, 1, "mean")
        write_pyramid(*_target(path), levels, is_labels=False, chunk=chunks)
        return path


csv_handler, dynamo_handler, em_picks_handler = CSVPicksHandler(), DynamoPicksHandler(), EMPicksHandler()
mrc_handler, tiff_handler = MRCVolumeHandler(), TIFFVolumeHandler()
em_handler, zarr_handler = EMVolumeHandler(), ZarrVolumeHandler()
