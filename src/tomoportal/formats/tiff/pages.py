"""The pages of a TIFF file: where the voxels lie and how they are stored, with every count checked.

Format: TIFF 6.0 (1992), its supplements, and BigTIFF (https://www.awaresystems.be/imaging/tiff/bigtiff.html).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.storage import Store

__all__ = ["Page", "is_tiff", "read_pages"]

_MAGIC = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_KINDS = {1: "u", 2: "i", 3: "f"}
_MOST_ENTRIES = 4096
_MOST_PAGES = 100_000
_LONGEST_VALUE = 16 * 1024 * 1024
_WINDOW = 4096
_LARGEST_SEGMENT = 2**29


@dataclass(frozen=True)
class Page:
    """One image: ``shape`` is (y, x); strips are tiles as wide as the image.

    ``offsets`` and ``sizes`` are those of the tiles in the file, row by row. ``resolution`` is pixels per unit along
    x, 0.0 where it is not told.
    """

    shape: tuple[int, int]
    tile: tuple[int, int]
    dtype: np.dtype[Any]
    compression: int
    predictor: int
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    description: str
    resolution: float
    is_reduced: bool
    is_palette: bool


def is_tiff(start: bytes) -> bool:
    """Whether a file that starts so is a TIFF file."""
    return start[:4] in _MAGIC


def read_pages(store: Store, key: str) -> list[Page]:
    """The pages in their order, without thumbnails. Raises :class:`FormatError`."""
    reader = _Reader(store, key)
    pages = [page for page in reader.pages() if not page.is_reduced]
    if not pages:
        raise FormatError("the TIFF file holds no image", where=key, fix="copy the file again")
    return pages


class _Reader:
    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._size = store.stat(key).size
        self._start, self._window = 0, store.get_range(key, 0, _WINDOW)
        if not is_tiff(self._window):
            raise self._wrong("this is no TIFF file")
        self._order, self._is_big = _MAGIC[self._window[:4]]

    def pages(self) -> Iterator[Page]:
        width = 8 if self._is_big else 4
        (offset,) = self._unpack("Q" if self._is_big else "I", self._bytes(8 if self._is_big else 4, width))
        seen: set[int] = set()
        while offset:
            if offset in seen or len(seen) >= _MOST_PAGES:
                raise self._wrong("its pages form a loop, or are too many")
            seen.add(offset)
            tags, offset = self._directory(offset)
            yield self._page(tags)

    def _directory(self, offset: int) -> tuple[dict[int, tuple[Any, ...]], int]:
        """The tags of one page, and where the next page is."""
        head, step, room = (8, 20, 8) if self._is_big else (2, 12, 4)
        (count,) = self._unpack("Q" if self._is_big else "H", self._bytes(offset, head))
        if count > _MOST_ENTRIES:
            raise self._wrong(f"a page claims {count} tags")
        data = self._bytes(offset + head, count * step + room)
        tags = {}
        for number in range(count):
            entry = data[number * step : (number + 1) * step]
            tag, kind = self._unpack("HH", entry[:4])
            (length,) = self._unpack("Q" if self._is_big else "I", entry[4:-room])
            size = _SIZES.get(kind, 0) * length
            if tag not in _WANTED or size == 0:
                continue
            if size > _LONGEST_VALUE:
                raise self._wrong(f"tag {tag} claims {length} values")
            value = entry[-room:][:size]
            if size > room:
                (place,) = self._unpack("Q" if self._is_big else "I", entry[-room:])
                value = self._bytes(place, size)
            tags[tag] = self._values(kind, length, value)
        (following,) = self._unpack("Q" if self._is_big else "I", data[count * step :])
        return tags, following

    def _values(self, kind: int, length: int, value: bytes) -> tuple[Any, ...]:
        if kind in (2, 7):
            return (value,)
        if kind in (5, 10):
            return self._unpack(f"{2 * length}{'I' if kind == 5 else 'i'}", value)
        return self._unpack(f"{length}{_LETTERS[kind]}", value)

    def _page(self, tags: dict[int, tuple[Any, ...]]) -> Page:
        def number(tag: int, default: int | None = None) -> int:
            value = tags.get(tag, (default,))[0]
            if not isinstance(value, int) or value < 0:
                raise self._wrong(f"tag {tag} is missing or no number")
            return value

        height, width = number(257), number(256)
        if number(277, 1) != 1:
            raise self._wrong("it holds colours, not grey values", "convert it to one channel")
        bits, form = number(258, 1), number(339, 1)
        if bits not in (8, 16, 32, 64) or form not in _KINDS or (form == 3 and bits == 8):
            raise self._wrong(f"pixels of {bits} bits in the format {form} are not read", "convert it to float32")
        dtype = np.dtype(f"{self._order}{_KINDS[form]}{bits // 8}")
        if number(266, 1) != 1:
            raise self._wrong("the bits of its bytes are in reverse order (FillOrder)", "convert it")
        is_tiled = 322 in tags
        tile = (number(323), number(322)) if is_tiled else (min(number(278, height), height), width)
        if min(height, width, *tile) < 1 or max(height, width, *tile) >= 2**31:
            raise self._wrong(f"it claims {width} × {height} pixels in parts of {tile[1]} × {tile[0]}")
        if tile[0] * tile[1] * dtype.itemsize > _LARGEST_SEGMENT:
            raise self._wrong(f"it claims parts of {tile[1]} × {tile[0]} pixels", "write it in smaller strips")
        count = -(-height // tile[0]) * -(-width // tile[1])
        offsets, sizes = (tags.get(tag, ()) for tag in ((324, 325) if is_tiled else (273, 279)))
        if len(sizes) == 0 and number(259, 1) == 1 and count == 1:
            sizes = (height * width * dtype.itemsize,)
        if len(offsets) < count or len(sizes) < count or any(type(each) is not int for each in (*offsets, *sizes)):
            raise self._wrong(f"it has {count} parts, but {len(offsets)} offsets and {len(sizes)} sizes")
        description = tags.get(270, (b"",))[0]
        text = description.split(b"\0")[0].decode("utf-8", "replace") if isinstance(description, bytes) else ""
        above, below = tags.get(282, (0, 0))[:2] if len(tags.get(282, ())) >= 2 else (0, 0)
        resolution = float(above) / float(below) if below else 0.0
        return Page(
            (height, width),
            tile,
            dtype,
            number(259, 1),
            number(317, 1),
            tuple(offsets[:count]),
            tuple(sizes[:count]),
            text,
            resolution,
            bool(number(254, 0) & 1),
            number(262, 1) == 3,
        )

    def _bytes(self, start: int, length: int) -> bytes:
        """Bytes of the file; neighbours come from one request."""
        if start + length > self._size:
            raise self._wrong(f"it points to byte {start + length}, but has {self._size}")
        if not self._start <= start <= start + length <= self._start + len(self._window):
            self._start, self._window = start, self._store.get_range(self._key, start, max(length, _WINDOW))
        found = self._window[start - self._start : start - self._start + length]
        if len(found) != length:
            raise self._wrong("it became shorter while it was read")
        return found

    def _unpack(self, layout: str, data: bytes) -> tuple[Any, ...]:
        try:
            return struct.unpack(self._order + layout, data)
        except struct.error as error:
            raise self._wrong("a page is cut off") from error

    def _wrong(
        self, what: str, fix: str = "copy the file again; it is cut off, damaged, or no TIFF file"
    ) -> FormatError:
        return FormatError(what, where=self._key, fix=fix)


_WANTED = {254, 256, 257, 258, 259, 262, 266, 270, 273, 277, 278, 279, 282, 317, 322, 323, 324, 325, 339}
