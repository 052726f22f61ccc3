"""TIFF stacks as volumes: one page per section, in strips or tiles.

``pages`` reads the directory, ``segments`` decompresses. Read are classic and BigTIFF, whole and floating-point
numbers, without compression or with LZW, Deflate, PackBits, LZMA or Zstandard; and the stacks of more than 4 GB that
ImageJ writes with one page only. Several channels, as ImageJ and tifffile describe them, are several volumes.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.tiff.pages import Page, is_tiff, read_pages
from tomoportal.formats.tiff.segments import decode_segment, longest_segment
from tomoportal.formats.volumes import Voxels
from tomoportal.storage import Store

__all__ = ["TiffVolume", "is_tiff", "open_tiff", "open_tiff_channels"]

_LARGEST = 2**44
_ANGSTROM = {
    "a": 1.0,
    "å": 1.0,
    "angstrom": 1.0,
    "nm": 10.0,
    "nanometer": 10.0,
    "um": 1e4,
    "µm": 1e4,
    "μm": 1e4,
    "\\u00b5m": 1e4,
    "micron": 1e4,
    "micrometer": 1e4,
    "mm": 1e7,
}


class TiffVolume:
    """The pages of a TIFF file as a volume ``(z, y, x)``; strips and tiles are read when a box touches them."""

    mapped = False
    value_offset = 0

    def __init__(self, store: Store, key: str, pages: list[Page]) -> None:
        first = pages[0]
        self.shape: tuple[int, int, int] = (len(pages), *first.shape)
        self.chunks: tuple[int, int, int] = (1, *first.tile)
        self.dtype = first.dtype.newbyteorder("=")
        self.name = key
        self.voxel_size, notes = _voxel_size(first)
        self.notes = (*notes, *(("a palette image; its indexes are read",) if first.is_palette else ()))
        self._store, self._key, self._pages = store, key, pages

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        """The voxels ``[z0:z1, y0:y1, x0:x1]``."""
        (z0, z1, _), (y0, y1, _), (x0, x1, _) = (
            slice(start, stop).indices(size)
            for start, stop, size in zip((z0, y0, x0), (z1, y1, x1), self.shape, strict=True)
        )
        out = np.empty((max(0, z1 - z0), max(0, y1 - y0), max(0, x1 - x0)), self.dtype)
        for z in range(z0, z1):
            self._fill(self._pages[z], out[z - z0], y0, x0)
        return out

    def close(self) -> None:
        """Nothing to let go of."""

    def _fill(self, page: Page, out: Voxels, y0: int, x0: int) -> None:
        height, width = page.tile
        across = -(-page.shape[1] // width)
        y1, x1 = y0 + out.shape[0], x0 + out.shape[1]
        for row in range(y0 // height, -(-y1 // height)):
            for column in range(x0 // width, -(-x1 // width)):
                pixels = self._segment(page, row * across + column, row)
                top, left = row * height, column * width
                low, high = max(y0, top), min(y1, top + len(pixels))
                near, far = max(x0, left), min(x1, left + width)
                out[low - y0 : high - y0, near - x0 : far - x0] = pixels[
                    low - top : high - top, near - left : far - left
                ]

    def _segment(self, page: Page, number: int, row: int) -> Voxels:
        is_strip = page.tile[1] == page.shape[1]
        rows = min(page.tile[0], page.shape[0] - row * page.tile[0]) if is_strip else page.tile[0]
        size = page.sizes[number]
        where = f"{self._key}: part {number + 1} of a page"
        if size > longest_segment(page):
            raise FormatError("it is longer than any encoding of its pixels", where=where, fix="copy the file again")
        if size == 0:  # a part that was never written
            return np.zeros((rows, page.tile[1]), self.dtype)
        data = self._store.get_range(self._key, page.offsets[number], size)
        if len(data) != size:
            raise FormatError("it is cut off", where=where, fix="copy the file again")
        return decode_segment(page, data, rows, where)


def open_tiff(store: Store, key: str) -> TiffVolume:
    """Open a TIFF file as a volume. Reads the directory only. Raises :class:`FormatError`, for several channels too."""
    channels = open_tiff_channels(store, key)
    if len(channels) > 1:
        raise FormatError(
            f"the file holds {len(channels)} channels, a volume has one",
            where=key,
            fix="write each channel into a file of its own",
        )
    return channels[0]


def open_tiff_channels(store: Store, key: str) -> tuple[TiffVolume, ...]:
    """The channels of a TIFF file, each as a volume; one where nothing is said of channels."""
    pages = read_pages(store, key)
    first = pages[0]
    for number, page in enumerate(pages):
        if (page.shape, page.dtype, page.tile) != (first.shape, first.dtype, first.tile):
            raise FormatError(
                f"page {number + 1} has {page.shape[1]} × {page.shape[0]} pixels of type {page.dtype.name}, the first"
                f" {first.shape[1]} × {first.shape[0]} of type {first.dtype.name}",
                where=key,
                fix="write the sections of one volume with one size and type",
            )
    if len(pages) == 1:
        pages = _imagej_stack(first, store.stat(key).size)
    if len(pages) * first.shape[0] * first.shape[1] * first.dtype.itemsize > _LARGEST:
        raise FormatError("the file claims more voxels than any volume has", where=key, fix="copy the file again")
    return tuple(TiffVolume(store, key, each) for each in _channels(pages))


def _channels(pages: list[Page]) -> list[list[Page]]:
    """The pages of each channel: in ImageJ's stacks all channels of a section follow each other, else its sections do.

    tifffile describes arrays of four axes as ``{"shape": [c, z, y, x]}``.
    """
    text, count = pages[0].description[:100_000], len(pages)
    if text.startswith("ImageJ"):
        found = re.search(r"^channels=(\d{1,6})$", text, re.MULTILINE)
        channels = int(found[1]) if found else 1
        if channels < 2 or channels == count or count % channels:  # three sections are often called three channels
            return [pages]
        return [pages[first::channels] for first in range(channels)]
    try:
        described = json.loads(text) if text.startswith("{") else {}
    except (ValueError, RecursionError):
        described = {}
    shape = described.get("shape") if isinstance(described, dict) else None
    if isinstance(shape, list) and len(shape) == 4 and all(type(each) is int and each > 0 for each in shape):
        channels, depth = shape[:2]
        if channels * depth == count and tuple(shape[2:]) == pages[0].shape:
            return [pages[start : start + depth] for start in range(0, count, depth)]
    return [pages]


def _imagej_stack(page: Page, size: int) -> list[Page]:
    """ImageJ writes stacks of more than 4 GB with one page and the number of sections in the description."""
    found = re.search(r"^images=(\d{1,6})$", page.description, re.MULTILINE)
    if found is None or not page.description.startswith("ImageJ") or page.compression != 1:
        return [page]
    count, step = int(found[1]), page.shape[0] * page.shape[1] * page.dtype.itemsize
    is_contiguous = page.tile == page.shape
    if not is_contiguous or count < 2 or page.offsets[0] + count * step > size:
        return [page]
    return [replace(page, offsets=(page.offsets[0] + number * step,), sizes=(step,)) for number in range(count)]


def _voxel_size(page: Page) -> tuple[tuple[float, float, float], tuple[str, ...]]:
    """(x, y, z) in Å from ImageJ's or OME's description; the resolution of TIFF itself counts dots for printers."""
    sizes = [0.0, 0.0, 0.0]
    text = page.description[:100_000]
    if text.startswith("ImageJ"):
        unit = re.search(r"^unit=(\S{1,20})$", text, re.MULTILINE)
        spacing = re.search(r"^spacing=([0-9.eE+-]{1,30})$", text, re.MULTILINE)
        length = _ANGSTROM.get(unit[1].lower(), 0.0) if unit else 0.0
        if length and page.resolution > 0:
            sizes[0] = sizes[1] = length / page.resolution
            sizes[2] = length * _number(spacing[1]) if spacing else 0.0
    else:
        for index, axis in enumerate("XYZ"):
            value = re.search(rf'\bPhysicalSize{axis}="([0-9.eE+-]{{1,30}})"', text)
            unit = re.search(rf'\bPhysicalSize{axis}Unit="([^"]{{1,20}})"', text)
            if value:
                sizes[index] = _number(value[1]) * _ANGSTROM.get(unit[1].lower() if unit else "µm", 0.0)
    x, y, z = (round(size, 9) if 0 < size < 1e12 else 0.0 for size in sizes)
    notes = () if x and y else ("no voxel size in the file",)
    return (x, y, z), notes


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
