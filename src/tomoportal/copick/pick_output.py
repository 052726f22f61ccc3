"""Tables of picks become documents, as upstream writes them (reference copick-model, 10)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

import numpy as np
import orjson

from tomoportal.copick.pick_documents import IDENTITY, Floats, PickTable
from tomoportal.copick.pick_input import DOCUMENT_KEYS

__all__ = ["write_picks"]

_BLOCK: Final = 20_000
"""Points that are turned into text at a time."""
_MATRIX = "                [\n" + ",\n".join(["                    %s"] * 4) + "\n                ]"
_POINT = (
    '        {\n            "location": {\n'
    '                "x": %s,\n                "y": %s,\n                "z": %s%s\n'
    '            },\n            "transformation_": [\n' + ",\n".join([_MATRIX] * 4) + "\n            ],\n"
    '            "instance_id": %s,\n            "score": %s%s\n        }'
)
_PLAIN_POINT = _POINT % ("%s", "%s", "%s", "", *chain.from_iterable(IDENTITY), "%s", "%s", "")
_FULL_POINT = _POINT % ("%s", "%s", "%s", "", *["%s"] * 16, "%s", "%s", "")


def write_picks(table: PickTable, fields: dict[str, Any], *, compact: bool = False) -> bytes:
    """The document as upstream writes it: 4 blanks deep, every number on a line of its own; or without any blanks."""
    if compact:
        return _written_compactly(table, fields)
    keys = [key for key in DOCUMENT_KEYS if key == "points" or key in fields]
    keys += [key for key in fields if key not in DOCUMENT_KEYS]
    written = io.BytesIO()  # gives its bytes away without a copy
    for number, key in enumerate(keys):
        written.write(b",\n    " if number else b"{\n    ")
        if key == "points":
            written.write(b'"points": ')
            written.writelines(_points_text(table))
        else:
            text = json.dumps(fields[key], indent=4).replace("\n", "\n    ")
            written.write(f"{json.dumps(key)}: {text}".encode())
    written.write(b"\n}")
    return written.getvalue()


def _written_compactly(table: PickTable, fields: dict[str, Any]) -> bytes:
    columns = zip(
        table.positions.tolist(), table.all_transforms().tolist(), table.all_ids().tolist(),
        table.all_scores().tolist(), table.extras or ({},) * table.count, strict=True,
    )  # fmt: skip
    points = [
        {
            "location": {"x": x, "y": y, "z": z, **extra.get("location", {})},
            "transformation_": matrix,
            "instance_id": identity,
            "score": score,
            **{key: value for key, value in extra.items() if key != "location"},
        }
        for (x, y, z), matrix, identity, score, extra in columns
    ]
    document: dict[str, Any] = {"points": points, **fields}
    keys = [*(key for key in DOCUMENT_KEYS if key in document), *(set(fields) - set(DOCUMENT_KEYS))]
    return json.dumps({key: document[key] for key in dict.fromkeys([*keys, *fields])}, separators=(",", ":")).encode()


def _points_text(table: PickTable) -> Iterator[bytes]:
    """The list of points, some at a time: their texts together take several times the memory of the document."""
    if table.count == 0:
        yield b"[]"
        return
    for start in range(0, table.count, _BLOCK):
        points = _point_texts(_part(table, slice(start, start + _BLOCK)))
        yield b",\n" if start else b"[\n"
        yield ",\n".join(points).encode()
    yield b"\n    ]"


def _part(table: PickTable, rows: slice) -> PickTable:
    return PickTable(
        table.positions[rows],
        None if table.rotations is None else table.rotations[rows],
        None if table.translations is None else table.translations[rows],
        None if table.instance_ids is None else table.instance_ids[rows],
        None if table.scores is None else table.scores[rows],
        None if table.extras is None else table.extras[rows],
    )


def _point_texts(table: PickTable) -> list[str]:
    ids = table.all_ids().tolist()
    scores = _texts(table.all_scores())
    places = _texts(table.positions)
    if table.has_transforms or table.extras is not None:
        matrices = _texts(table.all_transforms())
        if table.extras is None:
            points = [
                _FULL_POINT % (*places[3 * n : 3 * n + 3], *matrices[16 * n : 16 * n + 16], ids[n], scores[n])
                for n in range(table.count)
            ]
        else:
            points = []
            for n, extra in enumerate(table.extras):
                in_place = extra.get("location", {})
                rest = {key: value for key, value in extra.items() if key != "location"}
                points.append(
                    _POINT
                    % (
                        *places[3 * n : 3 * n + 3],
                        _more(in_place, 16),
                        *matrices[16 * n : 16 * n + 16],
                        ids[n],
                        scores[n],
                        _more(rest, 12),
                    )
                )
    else:
        rows = zip(places[0::3], places[1::3], places[2::3], ids, scores, strict=True)
        points = [_PLAIN_POINT % row for row in rows]
    return points


def _more(fields: dict[str, Any], depth: int) -> str:
    indent = "\n" + " " * depth
    return "".join(
        f",{indent}{json.dumps(key)}: {json.dumps(value, indent=4).replace(chr(10), indent)}"
        for key, value in fields.items()
    )


def _texts(numbers: Floats) -> list[str]:
    """Numbers as Python writes them. The fast encoder differs only in exponents, and writes NaN as null."""
    flat = np.ascontiguousarray(numbers).reshape(-1)
    texts = orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode().split(",") if flat.size else []
    small = (np.abs(flat) < 1e-4) & (flat != 0)
    for row in np.flatnonzero(small | (np.abs(flat) >= 1e15) | ~np.isfinite(flat)):
        value = float(flat[row])
        texts[row] = repr(value) if np.isfinite(value) else json.dumps(value)
    return texts
