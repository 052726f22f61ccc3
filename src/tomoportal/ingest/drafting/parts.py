"""Pieces of YAML that the sections of a draft share."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tomoportal.ingest.drafting.grouping import Group

__all__ = ["UNKNOWN", "Table", "globs", "run_filter", "yaml_value"]

UNKNOWN = "  # not known from the files: correct it"
"""Comment of a value that stands in for one that no file tells."""


@dataclass
class Table:
    """The run data map: one column per value that differs between runs."""

    runs: list[str]
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)

    def value(self, name: str, values: Mapping[str, Any], kind: str = "") -> str:
        """YAML of a value: itself if it is the same in all runs, else a placeholder for a new column."""
        distinct = {json.dumps(value) for value in values.values()}
        if len(distinct) == 1:
            return yaml_value(next(iter(values.values())))
        self.columns[name] = dict(values)
        return yaml_value(f"{kind} {{{name}}}".strip())

    def text(self) -> str | None:
        """The map as CSV; None if every value is the same in all runs."""
        if not self.columns:
            return None
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["run_name", *self.columns])
        for run in self.runs:
            writer.writerow([run, *(column.get(run, "") for column in self.columns.values())])
        return out.getvalue()


def yaml_value(value: Any) -> str:
    """A value on one line (JSON is YAML)."""
    return json.dumps(value, ensure_ascii=False)


def globs(groups: Iterable[Group], names: Sequence[str]) -> str:
    """Sources with one glob each, bound to their runs where not all runs (``names``) have such a file."""
    return "\n".join(
        f"  - source_glob: {{list_glob: {yaml_value(group.template)}}}"
        + ("\n" + run_filter(sorted(group.files), "    ") if group.dropped or len(group.files) < len(names) else "")
        for group in groups
    )


def run_filter(names: Iterable[str], indent: str, spacing: float | None = None) -> str:
    """A ``parent_filters`` block for some runs, and a voxel spacing (Å) if given."""
    expression = "^(" + "|".join(re.escape(name) for name in names) + ")$"
    parts = [f"run: [{yaml_value(expression)}]"]
    if spacing is not None:
        parts.append(f"voxel_spacing: [{yaml_value('^' + re.escape(f'{spacing:.3f}') + '$')}]")
    return f"{indent}parent_filters: {{include: {{{', '.join(parts)}}}}}"
