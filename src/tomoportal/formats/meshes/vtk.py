"""Legacy VTK files with PolyData, ASCII and binary.

Format: "VTK File Formats", VTK User's Guide; versions to 4.2 count each cell's points, 5.x have offsets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.meshes.mesh import Mesh, fans

__all__ = ["vtk_mesh"]

_TYPES = {
    "unsigned_char": "u1",
    "char": "i1",
    "unsigned_short": "u2",
    "short": "i2",
    "unsigned_int": "u4",
    "int": "i4",
    "unsigned_long": "u8",
    "long": "i8",
    "float": "f4",
    "double": "f8",
    "vtktypeint64": "i8",
    "vtkidtype": "i8",
}
_CELLS = ("VERTICES", "LINES", "POLYGONS", "TRIANGLE_STRIPS")
_LONGEST_LINE = 1024


def vtk_mesh(data: bytes, name: str) -> Mesh:
    """Read a legacy VTK file; polygons and strips become triangles. Raises :class:`FormatError`."""
    reader = _Reader(data, name)
    points: NDArray[Any] | None = None
    faces: list[NDArray[np.int64]] = []
    while (line := reader.line()) is not None:
        words = line.split()
        key = words[0].upper() if words else ""
        if key == "POINTS" and len(words) == 3:
            points = reader.values(3 * reader.count(words[1]), words[2])
        elif key in _CELLS and len(words) >= 3:
            corners, starts = _cells(reader, words)
            if key == "POLYGONS":
                faces.append(fans(corners, starts))
            elif key == "TRIANGLE_STRIPS":
                faces.append(_strips(corners, starts))
        elif key in ("POINT_DATA", "CELL_DATA"):
            break  # attributes come last
    if points is None or not faces:
        raise reader.wrong("it holds no points, or no polygons")
    return Mesh.checked(points, np.concatenate(faces), name)


class _Reader:
    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._name, self._place = data, name, 0
        first, _, kind, dataset = (self.line() or "" for _ in range(4))
        if not first.lower().startswith("# vtk datafile"):
            raise self.wrong("this is no legacy VTK file", "save it as legacy VTK (.vtk), not as XML (.vtp)")
        if kind.strip().upper() not in ("ASCII", "BINARY"):
            raise self.wrong(f"the data are {kind[:40]!r}, neither ASCII nor BINARY")
        self._is_binary = kind.strip().upper() == "BINARY"
        if dataset.split()[:2] != ["DATASET", "POLYDATA"]:
            raise self.wrong(f"it holds {dataset[:40]!r}, not DATASET POLYDATA", "extract the surface first")

    def line(self) -> str | None:
        """The next line that is not empty, None at the end."""
        while self._place < len(self._data):
            end = self._data.find(b"\n", self._place)
            end = len(self._data) if end < 0 else end
            text = self._data[self._place : min(end, self._place + _LONGEST_LINE)].decode("latin-1").strip()
            self._place = end + 1
            if text:
                return text
        return None

    def count(self, word: str) -> int:
        """A number of things; there cannot be more of them than bytes."""
        if not word.isdigit() or len(word) > 12 or int(word) > len(self._data):
            raise self.wrong(f"it promises {word[:20]} values in {len(self._data)} bytes")
        return int(word)

    def values(self, count: int, kind: str) -> NDArray[Any]:
        dtype = np.dtype(_TYPES.get(kind.lower(), "V"))
        if dtype.kind == "V":
            raise self.wrong(f"values of the type {kind[:20]!r} are unknown")
        if self._is_binary:
            size = count * dtype.itemsize
            if self._place + size > len(self._data):
                raise self.wrong("its data are cut off")
            found = np.frombuffer(self._data, dtype.newbyteorder(">"), count, self._place)
            self._place += size
            return found
        words: list[bytes] = []
        while len(words) < count and self._place < len(self._data):
            end = self._data.find(b"\n", self._place)
            end = len(self._data) if end < 0 else end
            words += self._data[self._place : end].split()
            self._place = end + 1
        if len(words) != count:
            raise self.wrong(f"it promises {count} values and gives {len(words)}")
        try:
            return (
                np.array(words).astype(np.float64 if dtype.kind == "f" else np.int64) if words else np.empty(0, dtype)
            )
        except (ValueError, OverflowError):
            raise self.wrong(f"it gives something that is no {kind}") from None

    def wrong(self, what: str, fix: str = "copy the file again, or write the mesh again") -> FormatError:
        return FormatError(what, where=self._name, fix=fix)


def _cells(reader: _Reader, words: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Points of all cells, and where each cell starts among them."""
    cells, size = reader.count(words[1]), reader.count(words[2])
    place = reader._place
    header = (reader.line() or "").split()
    if header[:1] == ["OFFSETS"] and len(header) == 2:
        starts = reader.values(cells, header[1]).astype(np.int64)
        header = (reader.line() or "").split()
        if header[:1] != ["CONNECTIVITY"] or len(header) != 2:
            raise reader.wrong("there are offsets of cells without their points")
        corners = reader.values(size, header[1]).astype(np.int64)
    else:
        reader._place = place
        corners, starts = _uncounted(reader, reader.values(size, "int").astype(np.int64), cells)
    if len(starts) == 0:
        starts = np.zeros(1, np.int64)
    if starts[0] != 0 or starts[-1] != len(corners) or (np.diff(starts) < 0).any():
        raise reader.wrong("the offsets of its cells contradict each other")
    return corners, starts


def _uncounted(reader: _Reader, values: NDArray[np.int64], cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split ``count point … count point …``."""
    counts = np.empty(cells, np.int64)
    place = 0
    for cell in range(cells):
        if place >= len(values) or values[place] < 0:
            raise reader.wrong("its list of cells is shorter than it says")
        counts[cell] = values[place]
        place += 1 + int(values[place])
    if place != len(values):
        raise reader.wrong("its list of cells has another length than it says")
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    is_count = np.zeros(len(values), np.bool_)
    is_count[starts[:-1] + np.arange(cells)] = True
    return values[~is_count], starts


def _strips(corners: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each point of a strip but the first two closes a triangle; every other one is turned round."""
    found = []
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        strip = corners[start:stop]
        if len(strip) > 2:
            triangles = np.stack([strip[:-2], strip[1:-1], strip[2:]], axis=1)
            triangles[1::2] = triangles[1::2, [1, 0, 2]]
            found.append(triangles)
    return np.concatenate(found) if found else np.empty((0, 3), np.int64)
