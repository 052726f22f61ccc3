"""Gatan DigitalMicrograph files, versions 3 and 4 (``.dm3``, ``.dm4``): the image in a tree of tags.

Format: B. Schaffer, "The DM3 file format" and its extension to 64-bit lengths in DM4 (Gatan publishes none).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.flat_file import FlatVolume
from tomoportal.storage import Store

__all__ = ["is_dm", "open_dm"]

_DIRECTORY, _DATA = 20, 21
_STRUCT, _STRING, _ARRAY = 15, 18, 20
_VALUES = {2: "i2", 3: "i4", 4: "u2", 5: "u4", 6: "f4", 7: "f8", 8: "u1", 9: "i1", 10: "u1", 11: "i8", 12: "u8"}
_IMAGES = {1: "i2", 2: "f4", 6: "u1", 7: "i4", 9: "i1", 10: "u2", 11: "u4", 12: "f8", 14: "u1"}
_ANGSTROM = {"nm": 10.0, "µm": 1e4, "um": 1e4, "μm": 1e4, "å": 1.0, "a": 1.0, "mm": 1e7, "pm": 0.01}
_DEEPEST = 32
_MOST_TAGS = 1_000_000
_LONGEST_INFO = 4096
_LONGEST_TEXT = 4096
_WINDOW = 256 * 1024


@dataclass(frozen=True)
class _Block:
    """An array that was passed over: where it lies and what it is."""

    offset: int
    dtype: np.dtype[Any]
    count: int


def is_dm(start: bytes) -> bool:
    """Whether a file that starts so is a DigitalMicrograph file."""
    if start[:3] != b"\0\0\0" or len(start) < 24 or start[3] not in (3, 4):
        return False
    place = 8 if start[3] == 3 else 12
    return start[place : place + 4] in (b"\0\0\0\0", b"\0\0\0\1")


def open_dm(store: Store, key: str) -> FlatVolume:
    """Open the largest image of the file as a volume ``(z, y, x)``, rows in the order of the file: the top one first.

    Reads tags only. Raises :class:`FormatError`.
    """
    reader = _Reader(store, key)
    tags = reader.tags()
    found = [image for image in _images(tags) if image is not None]
    if not found:
        raise FormatError(
            "there is no image of whole or real numbers in the file",
            where=key,
            fix="save the image again in DigitalMicrograph; complex and colour images are not read",
        )
    block, shape, voxel_size = max(found, key=lambda image: image[0].count)
    return FlatVolume(
        store,
        key,
        offset=block.offset,
        shape=shape,
        stored=block.dtype,
        voxel_size=voxel_size,
        notes=() if voxel_size[0] and voxel_size[1] else ("no pixel size in the file",),
    )


_Image = tuple[_Block, tuple[int, int, int], tuple[float, float, float]]


def _images(tags: dict[str, Any]) -> Iterator[_Image | None]:
    number = 0
    while f"ImageList.{number}.ImageData.DataType" in tags:
        yield _image(tags, f"ImageList.{number}.ImageData.")
        number += 1


def _image(tags: dict[str, Any], start: str) -> _Image | None:
    """None for what is no image of one number per pixel, such as thumbnails in colour."""
    kind = _IMAGES.get(tags[f"{start}DataType"])
    block = tags.get(f"{start}Data")
    sizes: list[int] = []
    while (size := tags.get(f"{start}Dimensions.{len(sizes)}")) is not None:
        if type(size) is not int or size < 1 or len(sizes) == 3:
            return None
        sizes.append(size)
    if kind is None or not isinstance(block, _Block) or not sizes:
        return None
    x, y, z = (*sizes, 1, 1)[:3]
    dtype = np.dtype(kind).newbyteorder(block.dtype.byteorder if block.dtype.itemsize > 1 else "=")
    if dtype.itemsize != block.dtype.itemsize or x * y * z != block.count:
        return None
    lengths = []
    for axis in range(3):
        scale = tags.get(f"{start}Calibrations.Dimension.{axis}.Scale")
        unit = tags.get(f"{start}Calibrations.Dimension.{axis}.Units")
        factor = _ANGSTROM.get(unit.lower(), 0.0) if isinstance(unit, str) else 0.0
        length = float(scale) * factor if isinstance(scale, (int, float)) else 0.0
        lengths.append(length if 0 < length < 1e12 else 0.0)
    return _Block(block.offset, dtype, block.count), (z, y, x), (lengths[0], lengths[1], lengths[2])


class _Reader:
    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._size = store.stat(key).size
        self._start, self._window = 0, store.get_range(key, 0, _WINDOW)
        if not is_dm(self._window):
            raise self._wrong("this is no DigitalMicrograph file of version 3 or 4")
        self._is_4 = self._window[3] == 4
        self._word = "Q" if self._is_4 else "I"
        self._order: Literal["<", ">"] = "<" if self._window[11 if not self._is_4 else 15] else ">"
        self._place = 16 if self._is_4 else 12
        self._left = _MOST_TAGS

    def tags(self) -> dict[str, Any]:
        """All values by the path of their tag; arrays as :class:`_Block`, texts where they are short."""
        found: dict[str, Any] = {}
        self._directory("", found, 0)
        return found

    def _directory(self, path: str, found: dict[str, Any], depth: int) -> None:
        if depth > _DEEPEST:
            raise self._wrong("its tags are nested too deeply")
        _, _, count = self._unpack(f">BB{self._word}")
        for number in range(count):
            self._left -= 1
            if self._left < 0:
                raise self._wrong(f"it has more than {_MOST_TAGS} tags")
            kind, length = self._unpack(">BH")
            label = self._bytes(length).decode("latin-1") or str(number)
            if self._is_4:
                self._unpack(">Q")
            name = f"{path}{label}"
            if kind == _DIRECTORY:
                self._directory(f"{name}.", found, depth + 1)
            elif kind == _DATA:
                value = self._value(is_text=label == "Units")
                if value is not None and name.startswith("ImageList."):
                    found[name] = value
            else:
                raise self._wrong(f"a tag is of the unknown kind {kind}")

    def _value(self, *, is_text: bool) -> Any:
        if self._bytes(4) != b"%%%%":
            raise self._wrong("a tag has no description of its value")
        (count,) = self._unpack(f">{self._word}")
        if not 1 <= count <= _LONGEST_INFO:
            raise self._wrong(f"the description of a value has {count} words")
        info = self._unpack(f">{count}{self._word}")
        kind = info[0]
        if kind in _VALUES:
            dtype = np.dtype(_VALUES[kind]).newbyteorder(self._order)
            return np.frombuffer(self._bytes(dtype.itemsize), dtype)[0].item()
        if kind == _STRING and count == 2:
            return self._skip(info[1])
        if kind == _STRUCT:
            return self._skip(self._struct_size(info))
        if kind == _ARRAY and count >= 3:
            if info[1] in _VALUES and count == 3:
                return self._array(np.dtype(_VALUES[info[1]]).newbyteorder(self._order), info[2], is_text)
            if info[1] == _STRUCT:
                return self._skip(self._struct_size(info[1:-1]) * info[-1])
        raise self._wrong(f"a value is of the unknown kind {kind}")

    def _array(self, dtype: np.dtype[Any], count: int, is_text: bool) -> Any:
        size = dtype.itemsize * count
        if is_text and dtype.itemsize == 2 and size <= _LONGEST_TEXT:
            data = self._bytes(size)  # texts are arrays of 16-bit numbers, which hold UTF-16
            return data.decode("utf-16-le" if self._order == "<" else "utf-16-be", "replace")
        block = _Block(self._place, dtype, count)
        self._skip(size)
        return block

    def _struct_size(self, info: tuple[int, ...]) -> int:
        """Bytes of a struct, described by kind, length of name, fields, then length of name and kind of each."""
        if len(info) < 3 or len(info) != 3 + 2 * info[2]:
            raise self._wrong("the description of a struct has a wrong length")
        kinds = info[4::2]
        if any(kind not in _VALUES for kind in kinds):
            raise self._wrong("a struct holds values of an unknown kind")
        return sum(np.dtype(_VALUES[kind]).itemsize for kind in kinds)

    def _skip(self, size: int) -> None:
        if self._place + size > self._size:
            raise self._wrong("a value reaches beyond its end")
        self._place += size

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self._bytes(struct.calcsize(layout)))

    def _bytes(self, length: int) -> bytes:
        start = self._place
        if start + length > self._size:
            raise self._wrong(f"it is cut off: it has {self._size} bytes")
        if not self._start <= start <= start + length <= self._start + len(self._window):
            self._start, self._window = start, self._store.get_range(self._key, start, max(length, _WINDOW))
        found = self._window[start - self._start : start - self._start + length]
        if len(found) != length:
            raise self._wrong("it became shorter while it was read")
        self._place += length
        return found

    def _wrong(self, what: str) -> FormatError:
        return FormatError(what, where=self._key, fix="copy the file again, or save it again in DigitalMicrograph")
