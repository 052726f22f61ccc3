"""Key photos of a tomogram: its central slab as grey PNG images with points and masks drawn over it.

Reference: transforms 10. The picture is computed once and cut to four sizes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tomoportal.errors import FormatError
from tomoportal.formats.png import png
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.volumes import Volume

__all__ = ["KEY_PHOTO_SIZES", "Color", "MaskOverlay", "Overlay", "PointOverlay", "cut_key_photos", "render_key_photos"]

Color: TypeAlias = tuple[int, int, int]
_Picture: TypeAlias = NDArray[np.float32]

KEY_PHOTO_SIZES = {"snapshot": (512, 384), "thumbnail": (134, 100), "expanded": (1024, 768)}
"""Width and height in pixels; ``original`` besides has one pixel per voxel."""

_SLAB = 40
_MOST_PIXELS = 64_000_000
_FORMATS = ("PNG", "JPEG", "GIF", "TIFF")
_GREY_RANGE = 3.0
_MASK_ALPHA = 0.3
_POINT_ALPHA = 0.8
_EDGE = 1.0
_SMALLEST_RADIUS = 2.0
_ROWS = 256
_MANY_TIMES = 8  # enlarged so much, a picture holds nothing that a finer resampling or compression could keep


@dataclass(frozen=True)
class PointOverlay:
    """Points in voxels of the tomogram, drawn as discs of one colour (RGB 0–255)."""

    points: VoxelPoints
    color: Color


@dataclass(frozen=True)
class MaskOverlay:
    """A mask on the tomogram's grid; voxels that are not 0 are tinted in one colour (RGB 0–255)."""

    mask: Volume
    color: Color


Overlay: TypeAlias = PointOverlay | MaskOverlay


def render_key_photos(volume: Volume, overlays: Sequence[Overlay] = ()) -> dict[str, bytes]:
    """PNG files by name: ``original`` (whole field), ``snapshot``, ``thumbnail`` and ``expanded`` (4:3 crops).

    The 40 central sections are added up and stretched from mean − 3 to mean + 3 standard deviations. Masks are laid
    under points, both in the given order; a point is drawn if its voxel lies in the slab. The largest centred 4:3
    field is kept, after a quarter turn if the tomogram is higher than wide.
    """
    picture = np.repeat(_grey(volume)[:, :, None], 3, axis=2)
    sections = _slab(volume)
    for overlay in overlays:
        if isinstance(overlay, MaskOverlay):
            _draw_mask(picture, overlay, sections, volume.shape)
    for overlay in overlays:
        if isinstance(overlay, PointOverlay):
            _draw_points(picture, overlay, sections)
    return _cut(Image.fromarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8), "RGB"))


def cut_key_photos(data: bytes, name: str) -> dict[str, bytes]:
    """The four PNG files, as `render_key_photos` names and cuts them, of a picture that exists already.

    ``data`` is a PNG (kept unchanged as ``original``), JPEG, GIF or TIFF file; grey values beyond 8 bits are stretched
    over their range. Raises :class:`FormatError` for anything else, and for more than 64 million pixels.
    """
    image, is_png = open_picture(data, name)
    files = _cut(image)
    return {**files, "original": data} if is_png else files


def open_picture(data: bytes, name: str) -> tuple[Image.Image, bool]:
    """A picture that `cut_key_photos` takes, decoded, and whether it is a PNG. Raises :class:`FormatError`."""
    fix = "give a PNG, JPEG, GIF or TIFF picture"
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise FormatError(f"the picture has {opened.width} × {opened.height} pixels", where=name, fix=fix)
            return _rgb(opened), opened.format == "PNG"
    except FormatError:
        raise
    except UnidentifiedImageError as error:
        raise FormatError("this is no picture that can be read", where=name, fix=fix) from error
    except (OSError, ValueError, SyntaxError, OverflowError, Image.DecompressionBombError) as error:
        raise FormatError(f"this is no picture that can be read: {error}", where=name, fix=fix) from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode not in ("I", "F") and not image.mode.startswith("I;"):
        return image.convert("RGB")
    values = np.asarray(image, np.float32)
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and high > low):
        return Image.new("RGB", image.size, (128, 128, 128))
    return Image.fromarray(np.rint((values - low) * (255 / (high - low))).astype(np.uint8)).convert("RGB")


def _cut(image: Image.Image) -> dict[str, bytes]:
    files = {"original": png(np.asarray(image))}
    if image.height > image.width:
        image = image.transpose(Image.Transpose.ROTATE_90)
    box = _centred_box(image.width, image.height)
    smooth = KEY_PHOTO_SIZES["snapshot"][0] >= _MANY_TIMES * (box[2] - box[0])
    for name, picture in _resized(image, box, smooth).items():
        files[name] = png(np.asarray(picture), smooth=smooth)
    return files


def _resized(image: Image.Image, box: tuple[float, float, float, float], smooth: bool) -> dict[str, Image.Image]:
    pictures: dict[str, Image.Image] = {}
    for name, (width, height) in sorted(KEY_PHOTO_SIZES.items()):
        larger = pictures.get("expanded")
        if larger is not None and 2 * width == larger.width and box[2] - box[0] <= width:
            pictures[name] = larger.reduce(2)  # nothing is lost: the larger one is an enlargement itself
        else:
            enlarged = width > box[2] - box[0]
            finely = Image.Resampling.BILINEAR if smooth else Image.Resampling.BICUBIC
            how = finely if enlarged else Image.Resampling.LANCZOS
            pictures[name] = image.resize((width, height), how, box=box)
    return pictures


def _slab(volume: Volume) -> range:
    nz = volume.shape[0]
    start = max(0, (nz - _SLAB) // 2)
    return range(start, min(nz, start + _SLAB))


def _grey(volume: Volume) -> _Picture:
    """The slab's sum as 0 … 255; mid-grey where it holds no contrast."""
    _, ny, nx = volume.shape
    total = np.zeros((ny, nx), np.float32)
    for z in _slab(volume):
        for y in range(0, ny, _ROWS):
            rows = volume.read(z, z + 1, y, min(y + _ROWS, ny))[0]
            total[y : y + _ROWS] += (
                np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0) if rows.dtype.kind == "f" else rows
            )
    mean, deviation = float(total.mean(dtype=np.float64)), float(total.std(dtype=np.float64))
    if not (math.isfinite(deviation) and deviation > 0):
        return np.full((ny, nx), 128, np.float32)
    scale = 255 / (2 * _GREY_RANGE * deviation)
    total -= np.float32(mean)
    total *= np.float32(scale)
    total += np.float32(127.5)
    return np.clip(total, 0, 255, out=total)


def _draw_mask(picture: _Picture, overlay: MaskOverlay, sections: range, shape: tuple[int, int, int]) -> None:
    ny, nx, _ = picture.shape
    if overlay.mask.shape != shape:
        raise FormatError(
            f"the mask has the shape {overlay.mask.shape} (z, y, x), the tomogram {shape}",
            where=overlay.mask.name,
            fix="draw masks that lie on the tomogram's grid",
        )
    for y in range(0, ny, _ROWS):
        covered = np.zeros((min(_ROWS, ny - y), nx), np.bool_)
        for z in sections:
            covered |= overlay.mask.read(z, z + 1, y, y + covered.shape[0])[0] != 0
        tinted = picture[y : y + covered.shape[0]]
        tinted[covered] += (np.array(overlay.color, np.float32) - tinted[covered]) * np.float32(_MASK_ALPHA)


def _draw_points(picture: _Picture, overlay: PointOverlay, sections: range) -> None:
    ny, nx, _ = picture.shape
    disc, edge = _marker(nx)
    color = np.array(overlay.color, np.float32) * disc[:, :, None] + np.float32(255) * edge[:, :, None]
    alpha = (disc + edge)[:, :, None] * np.float32(_POINT_ALPHA)
    color *= np.float32(_POINT_ALPHA)
    reach = disc.shape[0] // 2
    voxels = np.rint(overlay.points.locations)
    low, high = (0, 0, sections.start), (nx - 1, ny - 1, sections.stop - 1)
    inside = np.all((voxels >= low) & (voxels <= high), axis=1)
    for x, y, _ in voxels[inside].astype(np.int64).tolist():
        top, left = max(0, y - reach), max(0, x - reach)
        bottom, right = min(ny, y + reach + 1), min(nx, x + reach + 1)
        part = (slice(top - y + reach, bottom - y + reach), slice(left - x + reach, right - x + reach))
        target = picture[top:bottom, left:right]
        target *= 1 - alpha[part]
        target += color[part]


def _marker(width: int) -> tuple[_Picture, _Picture]:
    """How much of each pixel a disc and the white line around it cover; the disc's area is a tenth of the width."""
    radius = max(_SMALLEST_RADIUS, math.sqrt(width / 10 / math.pi))
    reach = math.ceil(radius + _EDGE)
    offsets = np.arange(-reach, reach + 1, dtype=np.float32)
    distance = np.hypot(offsets[:, None], offsets[None, :])
    disc = np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)
    with_edge = np.clip(radius + _EDGE + 0.5 - distance, 0, 1).astype(np.float32)
    return disc, with_edge - disc


def _centred_box(width: int, height: int) -> tuple[float, float, float, float]:
    """The largest 4:3 field in the middle of an image."""
    wide = min(float(width), height * 4 / 3)
    high = wide * 3 / 4
    left, top = (width - wide) / 2, (height - high) / 2
    return left, top, left + wide, top + high
