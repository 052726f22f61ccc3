"""Tables of picks as the program ``copick`` exchanges them: one row per point, Å from the corner of the volume.

Columns: ``run_name``, ``x``, ``y``, ``z``, the sixteen numbers ``transform_00`` … ``transform_33`` (the last column of
the matrix is the shift in Å), ``score``, ``instance_id``; all but the coordinates may be missing (reference
copick-model, 20).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.poses import Poses
from tomoportal.formats.rows import finite, whole

__all__ = ["copick_csv_poses", "has_header", "is_copick_csv", "is_whole_csv", "write_copick_csv"]

_PLACE = ("x", "y", "z")
_TRANSFORM = tuple(f"transform_{row}{column}" for row in range(4) for column in range(4))


def _first_line(data: bytes) -> list[str]:
    lines = data[:10_000].decode("utf-8-sig", "replace").splitlines()[:1]
    return [cell.strip() for cell in lines[0].split(",")] if lines else []


def is_copick_csv(data: bytes) -> bool:
    """Whether the first line names columns x, y and z."""
    return set(_PLACE) <= set(_first_line(data))


def is_whole_csv(data: bytes) -> bool:
    """Whether the table says more than x, y and z: a run or a transformation, which no other program writes so."""
    return bool({"run_name", _TRANSFORM[0]} & set(_first_line(data)))


def has_header(data: bytes) -> bool:
    """Whether the first line holds words instead of numbers."""
    cells = _first_line(data)
    return bool(cells) and finite(cells[0]) is None


def copick_csv_poses(data: bytes, name: str) -> dict[str, Poses]:
    """Points by run name; ``""`` where the table has no ``run_name``.

    Raises :class:`FormatError` with the line of a value that is no number, and for a matrix that is incomplete.
    """
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"This is no table of comma-separated values: {error}.", where=name) from error
    header = [cell.strip() for cell in lines[0]] if lines else []
    columns = {label: place for place, label in enumerate(header)}
    missing = [label for label in _PLACE if label not in columns]
    if missing:
        raise FormatError(
            f"The table has no column {', '.join(missing)}; it has {', '.join(header) or 'none'}.",
            where=f"{name}:1",
            fix="name the columns in the first line, or use --file-type csv_plain for a table without names",
        )
    present = [label for label in _TRANSFORM if label in columns]
    if present and len(present) < 16:
        raise FormatError(f"The table has {len(present)} of 16 numbers of the transformation.", where=f"{name}:1")
    wanted = [*_PLACE, *present, *(label for label in ("score", "instance_id") if label in columns)]
    rows: list[list[float]] = []
    runs: list[str] = []
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise FormatError(f"The row has {len(cells)} cells, the header {len(header)}.", where=f"{name}:{number}")
        rows.append([_number(cells[columns[label]], label, f"{name}:{number}") for label in wanted])
        runs.append(cells[columns["run_name"]].strip() if "run_name" in columns else "")
    table = np.array(rows, np.float64).reshape(len(rows), len(wanted))
    by_label = {label: table[:, place] for place, label in enumerate(wanted)}
    matrices = table[:, 3:19].reshape(-1, 4, 4) if present else np.tile(np.eye(4), (len(rows), 1, 1))
    poses = Poses.of(
        table[:, :3], matrices[:, :3, :3], matrices[:, :3, 3], by_label.get("score"), by_label.get("instance_id")
    )
    found = np.array(runs)
    return {run: poses.select(found == run) for run in dict.fromkeys(runs)}


def _number(text: str, label: str, where: str) -> float:
    word = text.strip()
    if not word and label in ("score", "instance_id"):
        return 1.0 if label == "score" else 0.0
    value = finite(word)
    if value is None or (label == "instance_id" and whole(value) is None):
        raise FormatError(f"{label} is not a {'whole ' * (label == 'instance_id')}number: {text[:40]!r}.", where=where)
    return value


def write_copick_csv(runs: Mapping[str, Poses]) -> bytes:
    """The table of the points of each run; numbers in the shortest form that reads back the same."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run_name", *_PLACE, *_TRANSFORM, "score", "instance_id"])
    for run, poses in runs.items():
        matrices = np.tile(np.eye(4), (len(poses), 1, 1))
        matrices[:, :3, :3], matrices[:, :3, 3] = poses.rotations, poses.shifts
        table = np.concatenate([poses.positions, matrices.reshape(-1, 16), poses.scores[:, None]], axis=1).tolist()
        ids = poses.instance_ids.tolist()
        writer.writerows([run, *map(repr, row), identity] for row, identity in zip(table, ids, strict=True))
    return text.getvalue().encode()
