"""Volumes: MRC header, OME-Zarr metadata and document against each other and against the voxel spacing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tomoportal.archive.findings import Finding, finding, several
from tomoportal.archive.verification.images import Image, read_image
from tomoportal.archive.verification.view import Entity, View, number, rows, size_of
from tomoportal.errors import FormatError, StorageError
from tomoportal.formats.mrc import HEADER_SIZE, MrcHeader

__all__ = ["Kind", "StoredVolume", "check", "check_mrc_header", "shape_of", "spacing_findings", "stored_volumes"]

Kind: TypeAlias = Literal["tomogram", "tiltseries", "semantic_mask", "instance_mask"]
Shape: TypeAlias = tuple[int, int, int]

_TOLERANCE = 0.001  # Å
_LEVELS = ("0", "1", "2")
_MODES = {"semantic_mask": (0,), "instance_mask": (6,)}
_ANY_MODE = (0, 1, 2, 6, 12)
_TYPES = {"semantic_mask": ("int8",), "instance_mask": ("uint8", "uint16", "uint32")}
_ANY_TYPE = ("int8", "int16", "uint16", "float32", "float64")
_AXES = tuple((name, "space", "angstrom") for name in "zyx")
_MASKS: dict[str, Kind] = {
    "SegmentationMask": "semantic_mask",
    "SemanticSegmentationMask": "semantic_mask",
    "InstanceSegmentationMask": "instance_mask",
}
_EXTENDED = ("SERI", "FEI1", "FEI2", "AGAR", "CCP4", "HDF5", "MRCO")


@dataclass(frozen=True, slots=True)
class StoredVolume:
    """A volume that a document names. ``mrc`` and ``zarr`` are keys that exist; ``spacing`` is in Å."""

    entity: Entity
    kind: Kind
    mrc: str | None
    zarr: str | None
    spacing: float | None
    named: tuple[str, ...]
    """What the document names."""

    @property
    def place(self) -> str:
        return self.zarr or self.mrc or self.entity.key


def stored_volumes(view: View) -> list[StoredVolume]:
    """The tilt series, tomograms and masks of a run."""
    found = []
    kinds: tuple[tuple[str, Kind, str], ...] = (
        ("tiltseries", "tiltseries", "pixel_spacing"),
        ("tomogram", "tomogram", "voxel_spacing"),
    )
    for name, kind, field in kinds:
        for entity in view.of(name):
            paths = {part: entity.content.get(key) for part, key in (("mrc", "mrc_file"), ("zarr", "omezarr_dir"))}
            spacing = number(entity.content, field) if entity.place.spacing is None else entity.place.spacing
            found.append(_stored(view, entity, kind, paths, spacing))
    for entity in view.of("annotation"):
        shapes: dict[str, dict[str, object]] = {}
        for row in rows(entity.content, "files"):
            if str(row.get("shape")) in _MASKS and row.get("format") in ("mrc", "zarr"):
                shapes.setdefault(str(row["shape"]), {})[str(row["format"])] = row.get("path")
        for shape, paths in shapes.items():
            found.append(_stored(view, entity, _MASKS[shape], paths, entity.place.spacing))
    return found


def _stored(view: View, entity: Entity, kind: Kind, paths: dict[str, object], spacing: float | None) -> StoredVolume:
    named = tuple(path for path in paths.values() if isinstance(path, str))
    return StoredVolume(entity, kind, view.file(paths.get("mrc")), view.file(paths.get("zarr")), spacing, named)


def shape_of(view: View, volume: StoredVolume) -> Shape | None:
    """(z, y, x) of a volume from its files, else from its document; None if nothing can be read."""
    header = view.memory.get(("mrc", volume.mrc))
    if isinstance(header, MrcHeader):
        return header.shape
    image = view.memory.get(("zarr", volume.zarr))
    if isinstance(image, Image) and len(image.levels[0].array.shape) == 3:
        z, y, x = image.levels[0].array.shape
        return z, y, x
    return size_of(volume.entity.content.get("size"))


def check(view: View) -> list[Finding]:
    """Headers and metadata of every volume; what was read is remembered in the view."""
    found: list[Finding] = []
    for volume in stored_volumes(view):
        header = _mrc(view, volume.mrc, volume, found) if volume.mrc else None
        image = _zarr(view, volume.zarr, volume, found) if volume.zarr else None
        # A file that is named and missing is a broken reference; here the document itself names one of the two.
        if len(volume.named) == 1 and volume.place != volume.entity.key and not _explained(volume, image):
            there, missing = ("OME-Zarr", "MRC") if volume.mrc is None else ("MRC", "OME-Zarr")
            found.append(finding("V621", volume.place, f"there is an {there} file and no {missing}"))
        if header and image:
            found += _pair(volume, header, image)
        if volume.kind in ("tomogram", "tiltseries"):
            found += _document(volume, header, image)
            found += _alone(view, volume)
            if volume.kind == "tomogram" and volume.spacing is not None:
                found += spacing_findings(volume.entity.key, volume.spacing)
    return found


def spacing_findings(path: str, spacing: float) -> Iterator[Finding]:
    """Doubts about a voxel spacing in Å."""
    if not 1 < spacing < 30:
        yield finding("V406", path, f"the voxel spacing is {spacing:g} Å")
    elif abs(spacing - round(spacing)) < 5e-4:
        yield finding("V407", path, f"the voxel spacing is exactly {spacing:g} Å")


def _explained(volume: StoredVolume, image: Image | None) -> bool:
    """Labels above 65535 have no MRC mode; such a mask has its OME-Zarr only."""
    is_large = image is not None and image.levels[0].array.dtype.name == "uint32"
    return volume.kind == "instance_mask" and volume.mrc is None and is_large


# --- MRC


def _mrc(view: View, key: str, volume: StoredVolume, found: list[Finding]) -> MrcHeader | None:
    try:
        header = MrcHeader.parse(view.store.get_range(key, 0, HEADER_SIZE), key, view.sizes.get(key))
    except (FormatError, StorageError) as error:
        found.append(finding("V601", key, error.what))
        return None
    view.memory["mrc", key] = header
    found += check_mrc_header(header, key, volume.kind, volume.spacing)
    extra = view.sizes[key] - header.data_offset - header.data_size if key in view.sizes else 0
    if extra > 0:
        found.append(finding("V605", key, f"{extra} bytes follow the last voxel"))
    return header


def check_mrc_header(header: MrcHeader, path: str, kind: Kind, spacing: float | None) -> Iterator[Finding]:
    """A header of the archive against the standard and the expected voxel spacing in Å (validation 3)."""
    is_stack = kind == "tiltseries"
    modes = _MODES.get(kind, _ANY_MODE)
    if header.mode not in modes:
        yield finding("V604", path, f"mode {header.mode}; a {_noun(kind)} has mode {several(modes, 9)}")
    if (header.ispg, header.mz) != ((0, 1) if is_stack else (1, header.nz)) and not (header.nz == 1 == header.mz):
        wanted = "ispg 0 and mz 1" if is_stack else f"ispg 1 and mz {header.nz}"
        yield finding("V603", path, f"ispg is {header.ispg} and mz {header.mz}; a {_noun(kind)} has {wanted}")
    for field, right in _standard(header):
        yield finding("V602", path, f"{field} is {getattr(header, field)!r}; it must be {right}")
    doubts = _doubts(header)
    if doubts:
        yield finding("V607", path, "; ".join(doubts))
    if spacing is not None:
        axes = "xy" if is_stack else "xyz"
        wrong = [
            f"{size:.4f} Å along {axis}"
            for size, axis in zip(header.voxel_size, axes, strict=False)
            if not abs(size - spacing) <= _TOLERANCE
        ]
        if wrong:
            yield finding("V606", path, f"the header says {', '.join(wrong)}; expected are {spacing:.3f} Å")


def _standard(header: MrcHeader) -> Iterator[tuple[str, str]]:
    """Fields that break MRC2014, and what they must be."""
    if header.map != b"MAP ":
        yield "map", "b'MAP '"
    if header.machst[:2] not in (b"DD", b"DA", b"\x11\x11"):
        yield "machst", "a machine stamp such as b'DD'"
    if (header.mapc, header.mapr, header.maps) != (1, 2, 3):
        yield "mapc", "1, with mapr 2 and maps 3"
    for field, right in (("mx", header.nx), ("my", header.ny)):
        if getattr(header, field) != right:
            yield field, f"{right}, the number of voxels"
    if any(angle not in (0.0, 90.0) for angle in header.cellb):
        yield "cellb", "90°, 90°, 90°"
    if any(length < 0 or not math.isfinite(length) for length in header.cella):
        yield "cella", "three lengths in Å"


def _doubts(header: MrcHeader) -> list[str]:
    doubts = []
    if not 0 <= header.nlabl <= 10 or any(not label.strip() for label in header.labels):
        doubts.append(f"nlabl is {header.nlabl}, and not all of these labels hold text")
    if header.nversion not in (20140, 20141):
        doubts.append(f"nversion is {header.nversion}, not 20140 or 20141")
    if header.nsymbt and header.exttyp.decode("latin-1") not in _EXTENDED:
        doubts.append(f"the extended header has the unknown type {header.exttyp!r}")
    if any(header.origin):
        doubts.append(f"the origin is {several(header.origin)} Å, not 0")
    starts = (header.nxstart, header.nystart, header.nzstart)
    if any(starts):
        doubts.append(f"nxstart, nystart, nzstart are {several(starts)}, not 0")
    return doubts


# --- OME-Zarr


def _zarr(view: View, key: str, volume: StoredVolume, found: list[Finding]) -> Image | None:
    try:
        image = read_image(view.store, key)
    except (FormatError, StorageError) as error:
        found.append(finding("V611", key, error.what))
        return None
    paths = tuple(level.path for level in image.levels)
    if paths != _LEVELS:
        found.append(finding("V611", key, f"the levels are {several(paths)}; they must be 0, 1, 2"))
    strange = {each[len(key) + 1 :].partition("/")[0] for each in view.files(key)}
    strange -= {*paths, ".zattrs", ".zgroup", "zarr.json"}
    if strange:
        found.append(finding("V618", key, f"besides its levels it holds {several(sorted(strange))}"))
    if image.axes != _AXES:
        listed = "; ".join(" ".join(str(part) for part in axis) for axis in image.axes) or "missing"
        found.append(finding("V612", key, f"the axes are {listed}"))
    wrong_axes = [level.path for level in image.levels if len(level.array.shape) != 3]
    if wrong_axes:
        found.append(finding("V612", key, f"level {several(wrong_axes)} has not three axes"))
        return None
    view.memory["zarr", key] = image
    types = _TYPES.get(volume.kind, _ANY_TYPE)
    odd = sorted({level.array.dtype.name for level in image.levels} - set(types))
    if odd:
        found.append(finding("V604", key, f"voxels are {several(odd)}; a {_noun(volume.kind)} has {several(types, 9)}"))
    found += _levels(image, key, volume)
    if volume.kind == "instance_mask":
        found += _listed_labels(image, key)
    return image


def _levels(image: Image, key: str, volume: StoredVolume) -> Iterator[Finding]:
    is_stack = volume.kind == "tiltseries"
    first = image.levels[0].array.shape
    factors = (1 if is_stack else 2, 2, 2)
    missing = 0
    for k, level in enumerate(image.levels):
        expected = tuple(-(-size // factor**k) for size, factor in zip(first, factors, strict=True))
        if level.array.shape != expected:
            text = f"level {level.path} has the shape {level.array.shape} (z, y, x); expected is {expected}"
            yield finding("V614", key, text)
        if volume.spacing is None:
            continue
        wanted = tuple(volume.spacing * factor**k for factor in factors)
        axes = slice(1, 3) if is_stack else slice(0, 3)
        if not _near(level.scale, wanted, axes, _TOLERANCE * 2**k):
            text = (
                f"the scale of level {level.path} is {_lengths(level.scale)}; expected are {_lengths(wanted)} (z, y, x)"
            )
            yield finding("V613", key, text)
        moved = tuple((factor**k - 1) / 2 * volume.spacing for factor in factors)
        if k and level.translation is None:
            missing += volume.kind != "instance_mask"  # labels are sampled, not averaged: they stay in place
        elif level.translation is not None:
            still = volume.kind == "instance_mask" or not k
            right = _near(level.translation, moved, axes, _TOLERANCE * 2**k)
            if not right and not (still and not any(level.translation)):
                text = f"the translation of level {level.path} is {_lengths(level.translation)}; expected are"
                yield finding("V616", key, f"{text} {_lengths(moved)} (z, y, x)")
    if missing:
        yield finding("V615", key, f"{missing} of {len(image.levels)} levels need a translation, and have none")


def _near(values: tuple[float, ...] | None, wanted: tuple[float, ...], axes: slice, tolerance: float) -> bool:
    if values is None or len(values) != len(wanted):
        return False
    return all(abs(one - other) <= tolerance for one, other in zip(values[axes], wanted[axes], strict=True))


def _lengths(values: tuple[float, ...] | None) -> str:
    return "missing" if values is None else " × ".join(f"{value:g}" for value in values) + " Å"


def _listed_labels(image: Image, key: str) -> Iterator[Finding]:
    labels = image.labels
    if labels is None:
        yield finding("V617", key, "there is no image-label part")
    elif any(type(label) is not int or label < 1 for label in labels) or len(set(labels)) < len(labels):
        yield finding("V617", key, f"label-value must be positive, whole and unique: {several(labels)}")


# --- together


def _pair(volume: StoredVolume, header: MrcHeader, image: Image) -> Iterator[Finding]:
    array = image.levels[0].array
    if header.shape != array.shape:
        yield finding("V622", volume.place, f"the MRC file has {header.shape} voxels (z, y, x), level 0 {array.shape}")
    stored = {0: "int8", 1: "int16", 2: "float32", 6: "uint16", 12: "float16"}[header.mode]
    widened = {"float16": ("float16", "float32"), "float32": ("float32", "float64")}.get(stored, (stored,))
    # Labels are stored in the smallest type that holds them; an MRC file has one type for them.
    if volume.kind != "instance_mask" and array.dtype.name not in widened:
        yield finding("V623", volume.place, f"the MRC file holds {stored}, level 0 {array.dtype.name}")


def _document(volume: StoredVolume, header: MrcHeader | None, image: Image | None) -> Iterator[Finding]:
    content, key = volume.entity.content, volume.entity.key
    size = size_of(content.get("size"))
    scales = [size_of(each) for each in rows(content, "scales")]
    if scales and size != scales[0]:
        yield finding("V624", key, f"size is {size} (z, y, x), the first of scales {scales[0]}")
    if header and size is not None and header.shape != size:
        yield finding("V624", key, f"size is {size} (z, y, x), the MRC file has {header.shape}")
    if image and scales and scales != [level.array.shape for level in image.levels]:
        shapes = [level.array.shape for level in image.levels]
        yield finding("V624", key, f"scales are {scales} (z, y, x), the levels of the OME-Zarr {shapes}")
    elif image is None and size is not None:
        factors = (1 if volume.kind == "tiltseries" else 2, 2, 2)
        halved = [tuple(-(-n // f**k) for n, f in zip(size, factors, strict=True)) for k in range(len(scales))]
        if scales != halved:
            yield finding("V624", key, f"scales are {scales} (z, y, x); halving size gives {halved}")


def _alone(view: View, volume: StoredVolume) -> Iterator[Finding]:
    """One MRC and one OME-Zarr in the folder of the document, and they are those that it names."""
    folder = volume.entity.folder
    names = {key[len(folder) + 1 :].partition("/")[0] for key in view.files(folder)}
    for ending, named in ((".mrc", volume.mrc), (".zarr", volume.zarr)):
        others = sorted(name for name in names if name.endswith(ending) and f"{folder}/{name}" != named)
        if others:
            yield finding("V625", folder, f"{several(others)} lie{'s' if len(others) == 1 else ''} there unused")


def _noun(kind: Kind) -> str:
    return {"tiltseries": "tilt series"}.get(kind, kind.replace("_", " "))
