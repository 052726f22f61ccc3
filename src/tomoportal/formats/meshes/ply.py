"""PLY, ASCII and binary: the elements ``vertex`` and ``face``; colours, normals and other elements are passed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.meshes.mesh import Mesh, fans

__all__ = ["ply_mesh"]

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_LONGEST_HEADER = 64 * 1024
_FACES = ("vertex_indices", "vertex_index")


@dataclass
class _Property:
    name: str
    kind: str
    count: str | None
    """Type of the number in front of a list, None for a single value."""


@dataclass
class _Element:
    name: str
    length: int
    properties: list[_Property] = field(default_factory=list)


def ply_mesh(data: bytes, name: str) -> Mesh:
    """Read a PLY file. Polygons become fans of triangles. Raises :class:`FormatError`."""
    order, elements, start = _header(data, name)
    try:
        tables = _ascii(data[start:], elements) if order == "ascii" else _binary(data, start, elements, order)
        points = tables["vertex"]
        vertices = np.stack([points[axis] for axis in "xyz"], axis=1)
        faces = tables["face"]
        corners, starts = next(faces[key] for key in _FACES if key in faces)
    except (KeyError, StopIteration):
        raise _wrong("it has no vertices x, y, z or no faces", name) from None
    except (ValueError, OverflowError, IndexError) as error:
        raise _wrong(f"its data are cut off or wrong: {error}", name) from None
    return Mesh.checked(vertices, fans(corners.astype(np.int64), starts), name)


def _wrong(what: str, name: str) -> FormatError:
    return FormatError(what, where=name, fix="copy the file again, or write the mesh again")


def _header(data: bytes, name: str) -> tuple[str, list[_Element], int]:
    """Kind of data ("ascii", "<" or ">"), elements, and where the data begin."""
    end = data.find(b"end_header", 0, _LONGEST_HEADER)
    stop = data.find(b"\n", end, end + 16)
    if not data.startswith(b"ply") or end < 0 or stop < 0:
        raise _wrong("this is no PLY file: its header does not end", name)
    order: str | None = None
    elements: list[_Element] = []
    for line in data[:end].decode("latin-1").splitlines():
        match line.split():
            case ["format", kind, _]:
                order = {"ascii": "ascii", "binary_little_endian": "<", "binary_big_endian": ">"}.get(kind)
            case ["element", element, length] if length.isdigit() and len(length) < 12:
                elements.append(_Element(element, int(length)))
            case ["property", "list", count, kind, label] if elements and count in _TYPES and kind in _TYPES:
                elements[-1].properties.append(_Property(label, _TYPES[kind], _TYPES[count]))
            case ["property", kind, label] if elements and kind in _TYPES:
                elements[-1].properties.append(_Property(label, _TYPES[kind], None))
            case ["ply"] | ["comment", *_] | ["obj_info", *_] | []:
                pass
            case _:
                raise _wrong(f"the line {line[:60]!r} of its header is unknown", name)
    if order is None:
        raise _wrong("its header names no known format", name)
    if any(element.length > len(data) for element in elements):
        raise _wrong("its header promises more than the file has bytes", name)
    return order, elements, stop + 1


def _ascii(data: bytes, elements: list[_Element]) -> dict[str, dict[str, Any]]:
    lines = iter(line for line in data.decode("latin-1").splitlines() if line.strip())
    tables: dict[str, dict[str, Any]] = {}
    for element in elements:
        values: dict[str, list[Any]] = {each.name: [] for each in element.properties}
        for _ in range(element.length):
            words = next(lines, "").split()
            place = 0
            for each in element.properties:
                if each.count is None:
                    values[each.name].append(float(words[place]))
                    place += 1
                else:
                    count = int(words[place])
                    found = words[place + 1 : place + 1 + count]
                    if count < 0 or len(found) != count:
                        raise ValueError("a list is cut off")
                    values[each.name].append([float(word) for word in found])
                    place += 1 + count
        tables[element.name] = {
            each.name: np.array(values[each.name]) if each.count is None else _flat(values[each.name])
            for each in element.properties
        }
    return tables


def _flat(lists: list[list[float]]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    starts = np.cumsum([0, *(len(each) for each in lists)])
    return np.array([value for each in lists for value in each]), starts


def _binary(data: bytes, start: int, elements: list[_Element], order: str) -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = {}
    for element in elements:
        lists = [each for each in element.properties if each.count is not None]
        record = _record(element, order, data, start)
        if record.itemsize * element.length > len(data) - start:
            if not lists:
                raise ValueError(f"there are fewer than {element.length} of {element.name}")
            record = np.dtype([])
        if element.length and record.names:
            rows = np.frombuffer(data, record, element.length, start)
            if all((rows[f"{each.name} count"] == rows[f"{each.name} count"][0]).all() for each in lists):
                start += rows.nbytes
                tables[element.name] = {each.name: _column(rows, each) for each in element.properties}
                continue
        tables[element.name], start = _one_by_one(data, start, element, order)
        if {"vertex", "face"} <= set(tables):
            break
    return tables


def _record(element: _Element, order: str, data: bytes, start: int) -> np.dtype[Any]:
    """The type of a row if all lists are as long as those of the first: the usual case, read at once."""
    fields: list[Any] = []
    place = start
    for each in element.properties:
        kind = np.dtype(order + each.kind)
        if each.count is not None:
            counter = np.dtype(order + each.count)
            if not element.length or place + counter.itemsize > len(data):
                return np.dtype([])
            count = int(np.frombuffer(data, counter, 1, place)[0])
            if not 0 <= count * kind.itemsize <= len(data) - place:
                raise ValueError("a list is longer than the file")
            fields += [(f"{each.name} count", counter), (each.name, kind, (count,))]
            place += counter.itemsize + count * kind.itemsize
        else:
            fields.append((each.name, kind))
            place += kind.itemsize
    return np.dtype(fields)


def _column(rows: NDArray[Any], each: _Property) -> Any:
    found = rows[each.name]
    if each.count is None:
        return found
    return found.reshape(-1), np.arange(len(rows) + 1) * found.shape[1]


def _one_by_one(data: bytes, start: int, element: _Element, order: str) -> tuple[dict[str, Any], int]:
    values: dict[str, list[Any]] = {each.name: [] for each in element.properties}
    for _ in range(element.length):
        if start >= len(data):
            raise ValueError(f"there are fewer than {element.length} of {element.name}")
        for each in element.properties:
            count = 1
            if each.count is not None:
                counter = np.dtype(order + each.count)
                count = int(np.frombuffer(data, counter, 1, start)[0])
                start += counter.itemsize
            kind = np.dtype(order + each.kind)
            found = np.frombuffer(data, kind, count, start) if count else np.empty(0, kind)
            start += found.nbytes
            values[each.name].append(found if each.count is not None else found[0])
    table: dict[str, Any] = {}
    for each in element.properties:
        column = values[each.name]
        if each.count is None:
            table[each.name] = np.array(column)
        else:
            starts = np.cumsum([0, *(len(row) for row in column)])
            table[each.name] = (np.concatenate(column) if column else np.empty(0), starts)
    return table, start
