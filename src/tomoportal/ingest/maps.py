"""Map files: the run data map (one row per run) and the three legacy two-column maps.

A map is looked for in the source folder and beside the config, so that a config and its map are one reproducible
unit. The digest of every map goes into the manifest.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tomoportal.errors import Problem

__all__ = ["LEGACY_MAPS", "RunMap", "read_run_map"]

LEGACY_MAPS = {
    "run_to_tomo_map_csv": "mapped_tomo_name",
    "run_to_frame_map_csv": "mapped_frame_name",
    "run_to_ts_map_csv": "mapped_ts_name",
}
"""Key of standardization_config → variable that the map's second column becomes."""

_KEY_COLUMN = "run_name"


@dataclass(frozen=True)
class RunMap:
    """The variables of each run, by run name, and where they came from."""

    rows: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    """File name as written in the config → SHA-256 of its bytes."""
    has_run_data: bool = False
    """Whether there is a run data map, in which every run should have a row."""

    def row(self, run: str) -> Mapping[str, str]:
        """Variables of a run; empty when no map names it."""
        return self.rows.get(run, {})


def read_run_map(
    settings: Mapping[str, object], read: Callable[[str], bytes | None], place: Callable[[str], str]
) -> tuple[RunMap, list[Problem]]:
    """Read all map files that ``standardization_config`` names.

    ``read`` returns the bytes of a map by name, or None when it is nowhere; ``place`` gives ``file:line`` of a key.
    """
    rows: dict[str, dict[str, str]] = {}
    columns: list[str] = []
    digests: dict[str, str] = {}
    problems: list[Problem] = []
    has_run_data = False
    for key in ("run_data_map_file", *LEGACY_MAPS):
        name = settings.get(key)
        if not isinstance(name, str) or not name:
            continue
        data = read(name)
        if data is None:
            fix = "put the file into the source folder or beside the config"
            problems.append(Problem(place(key), f"map file {name!r} does not exist", fix))
            continue
        digests[name] = hashlib.sha256(data).hexdigest()
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            problems.append(Problem(name, f"not UTF-8 text: {error}", "save the map as UTF-8"))
            continue
        try:
            if key == "run_data_map_file":
                has_run_data = True
                table, names, wrong = _table(text, name)
                columns += names
            else:
                table, wrong = _pairs(text, name, LEGACY_MAPS[key])
                columns.append(LEGACY_MAPS[key])
        except csv.Error as error:  # a cell of more than 128 KiB: a quote that is never closed
            problems.append(Problem(name, f"not readable as a table: {error}", "look for a quote without its partner"))
            continue
        problems += wrong
        for run, row in table.items():
            rows.setdefault(run, {}).update(row)
    return RunMap(rows, tuple(columns), digests, has_run_data), problems


def _table(text: str, name: str) -> tuple[dict[str, dict[str, str]], list[str], list[Problem]]:
    delimiter = "\t" if name.lower().endswith("tsv") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] | None = None
    table: dict[str, dict[str, str]] = {}
    first: dict[str, int] = {}
    problems: list[Problem] = []
    for cells in reader:
        place = f"{name}:{reader.line_num}"
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            repeated = sorted({column for column in header if header.count(column) > 1 and column})
            if repeated:
                problems.append(
                    Problem(place, f"column {', '.join(repeated)} occurs more than once", "rename the columns")
                )
            if _KEY_COLUMN not in header:
                fix = "name the column of run names run_name; the separator is a comma, a tab in .tsv files"
                problems.append(Problem(place, f"no column {_KEY_COLUMN!r} (columns: {', '.join(header)})", fix))
                return {}, header, problems
            continue
        if len(cells) != len(header):
            problems.append(
                Problem(place, f"{len(cells)} cells under {len(header)} columns", "quote cells that hold the separator")
            )
            continue
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        run = row[_KEY_COLUMN]
        if run in table:
            problems.append(
                Problem(place, f"a second row for run {run!r}, first on line {first[run]}", "keep one row per run")
            )
            continue
        table[run] = row
        first[run] = reader.line_num
    if header is None:
        problems.append(Problem(name, "the map is empty", "write a header line with run_name and one row per run"))
    return table, header or [], problems


def _pairs(text: str, name: str, variable: str) -> tuple[dict[str, dict[str, str]], list[Problem]]:
    table: dict[str, dict[str, str]] = {}
    problems: list[Problem] = []
    reader = csv.reader(io.StringIO(text, newline=""))
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) < 2:
            problems.append(
                Problem(f"{name}:{reader.line_num}", "needs two columns: run name, value", "separate them by a comma")
            )
            continue
        run, value = cells[0].strip(), cells[1].strip()
        if run in table and table[run][variable] != value:
            problems.append(
                Problem(f"{name}:{reader.line_num}", f"a second value for run {run!r}", "keep one line per run")
            )
            continue
        table[run] = {variable: value}
    return table, problems
