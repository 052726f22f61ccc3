"""Volumes of older archives: taken over as they are if MRC and OME-Zarr are what is written today, else made anew."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tomoportal.archive.findings import Severity
from tomoportal.archive.older.items import Conversion
from tomoportal.archive.verification.images import read_image
from tomoportal.archive.verification.volumes import check_mrc_header
from tomoportal.errors import FormatError, StorageError
from tomoportal.formats.mrc import HEADER_SIZE, MrcHeader
from tomoportal.formats.opening import open_volume
from tomoportal.formats.source import Kind
from tomoportal.storage import Store

__all__ = ["VolumePlan", "plan_volume"]

Shape = tuple[int, int, int]

_AXES = tuple((name, "space", "angstrom") for name in "zyx")
_TOLERANCE = 0.001  # Å
_LEVELS = 3
_STORED = {0: "int8", 1: "int16", 2: "float32", 6: "uint16", 12: "float16"}
_WIDENED = {"float16": ("float16", "float32"), "float32": ("float32", "float64")}


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """Keys to copy, or what to make anew; ``scales`` are the shapes (z, y, x) of the levels, empty if unknown."""

    copies: tuple[tuple[str, str], ...] = ()
    conversion: Conversion | None = None
    scales: tuple[Shape, ...] = ()
    problem: str | None = None

    def at(self, mrc: str, zarr: str) -> VolumePlan:
        """The same with other targets."""
        copies = tuple((old, zarr if old.endswith(".zarr") else mrc) for old, _ in self.copies)
        conversion = replace(self.conversion, mrc=mrc, zarr=zarr) if self.conversion else None
        return replace(self, copies=copies, conversion=conversion)

    def sizes(self) -> list[dict[str, int]]:
        """As documents hold them."""
        return [{"z": z, "y": y, "x": x} for z, y, x in self.scales]


def plan_volume(
    store: Store, mrc: str | None, zarr: str | None, *, to_mrc: str, to_zarr: str, spacing: float, kind: Kind
) -> VolumePlan:
    """What to do with a volume of ``spacing`` Å; reads headers and metadata only."""
    if mrc is None and zarr is None:
        return VolumePlan(problem="there is neither an MRC file nor an OME-Zarr")
    header, why_mrc = _check_mrc(store, mrc, spacing, kind) if mrc else (None, "there is no MRC file")
    why_zarr = _check_zarr(store, zarr, spacing, kind, header) if zarr else "there is no OME-Zarr"
    why = "; ".join(each for each in (why_mrc, why_zarr) if each)
    source = mrc if header is not None and mrc else zarr or mrc
    assert source is not None
    try:
        volume = open_volume(store, source)
    except (FormatError, StorageError) as error:
        return VolumePlan(problem=f"{error.where or source}: {error.what}")
    shape = volume.shape
    volume.close()
    factors = (1 if kind == "tiltseries" else 2, 2, 2)
    scales = tuple(
        (-(-shape[0] // factors[0] ** k), -(-shape[1] // 2**k), -(-shape[2] // 2**k)) for k in range(_LEVELS)
    )
    if not why and mrc and zarr:
        return VolumePlan(((mrc, to_mrc), (zarr, to_zarr)), None, scales)
    return VolumePlan((), Conversion(source, to_mrc, to_zarr, spacing, kind, why), scales)


def _check_mrc(store: Store, key: str, spacing: float, kind: Kind) -> tuple[MrcHeader | None, str]:
    """The header if the file can be read at all, and what is wrong with it."""
    try:
        size = store.stat(key).size
        header = MrcHeader.parse(store.get_range(key, 0, HEADER_SIZE), key, size)
    except (FormatError, StorageError) as error:
        return None, f"the MRC file cannot be read: {error.what}"
    wrong = [each.message for each in check_mrc_header(header, key, kind, spacing) if each.severity == Severity.ERROR]
    if size > header.data_offset + header.data_size:
        wrong.append("bytes follow the last voxel")
    return header, f"the MRC header says otherwise ({'; '.join(wrong)})" if wrong else ""


def _check_zarr(store: Store, key: str, spacing: float, kind: Kind, header: MrcHeader | None) -> str:
    """What keeps an OME-Zarr from being taken over; empty if nothing does."""
    try:
        image = read_image(store, key)
    except (FormatError, StorageError) as error:
        return f"the OME-Zarr cannot be read: {error.what}"
    shapes = [level.array.shape for level in image.levels]
    if [level.path for level in image.levels] != ["0", "1", "2"] or any(len(shape) != 3 for shape in shapes):
        return f"the OME-Zarr has {len(shapes)} level{'s' if len(shapes) != 1 else ''}, not 0, 1, 2"
    if image.axes != _AXES:
        return "the axes of the OME-Zarr are not z, y, x in ångström"
    factors = (1 if kind == "tiltseries" else 2, 2, 2)
    for k, level in enumerate(image.levels):
        if shapes[k] != tuple(-(-size // factor**k) for size, factor in zip(shapes[0], factors, strict=True)):
            return "the levels of the OME-Zarr are not halved"
        wanted = [spacing * factor**k for factor in factors]
        along = slice(1, 3) if kind == "tiltseries" else slice(0, 3)
        scale: tuple[float, ...] = level.scale or ()
        if len(scale) != 3 or any(
            abs(one - other) > _TOLERANCE * 2**k for one, other in zip(list(scale)[along], wanted[along], strict=True)
        ):
            return f"the scales of the OME-Zarr are not those of {spacing:.3f} Å"
    if kind == "instance_mask" and image.labels is None:
        return "the OME-Zarr does not list its labels"
    if header is not None and header.shape != shapes[0]:
        return "MRC and OME-Zarr differ in size"
    stored = _STORED.get(header.mode, "") if header is not None else ""
    if stored and kind != "instance_mask" and image.levels[0].array.dtype.name not in _WIDENED.get(stored, (stored,)):
        return "MRC and OME-Zarr differ in the type of their voxels"
    return ""
