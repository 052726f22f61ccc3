"""Counts of the whole catalog by value (how many annotations of each object, …), kept beside the rows.

``index`` writes what a transaction changes in the rows also into these counts, so they are right as soon as the rows
are, and asking for them costs the same however large the catalog is. They count all rows; for a viewer who does not
see all, and for rows that something else wrote, the rows themselves are counted. Which version of the data they belong
to is noted beside them (:meth:`Summaries.stamp`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, case, delete, func, insert, literal, select

from tomoportal.catalog.dialect import text_literal
from tomoportal.catalog.graph import Graph
from tomoportal.catalog.tables import SUMMARY, Tables
from tomoportal.model.entities import Entity

__all__ = ["Summaries", "is_summarised", "summary_select"]

# Texts that people group by and that have few values; enumerations are kept as well.
_NAMES = frozenset(
    {
        *("annotation_method", "annotation_software", "assay_label", "camera_manufacturer", "camera_model"),
        *("cell_component_name", "cell_name", "cell_strain_name", "data_acquisition_software"),
        *("development_stage_name", "disease_name", "format", "funding_agency_name"),
        *("microscope_energy_filter", "microscope_image_corrector", "microscope_model", "microscope_phase_plate"),
        *("object_id", "object_name", "object_state", "organism_name", "processing_software"),
        *("reconstruction_software", "tilting_scheme", "tissue_name"),
    }
)

Rows = Sequence[Sequence[Any]]
"""Rows of a table in the order of its columns."""


def is_summarised(entity: Entity, column: str) -> bool:
    """Whether the rows of an entity are counted by the values of a column."""
    field = next((field for field in entity.fields if field.name == column), None)
    return field is not None and (field.type == "Enum" or (field.type == "String" and column in _NAMES))


class Summaries:
    """The counts of one catalog, and what waits to be added to them within a transaction."""

    def __init__(self, graph: Graph, tables: Tables) -> None:
        self._tables = tables
        self._columns: dict[str, list[tuple[int, str]]] = {}
        for entity in graph.entities.values():
            names = [column.name for column in tables[entity.table].columns]
            kept = [(index, name) for index, name in enumerate(names) if is_summarised(entity, name)]
            self._columns[entity.table] = kept
        self._waiting: Counter[tuple[str, bool, str]] = Counter()
        self.kind = hashlib.sha256(repr(sorted(self._columns.items())).encode()).hexdigest()[:8]
        """What is counted; another program may count something else."""

    # --- while rows are written

    def count(self, table: str, rows: Rows, step: int = 1) -> None:
        """Rows came (1) or went (-1)."""
        self._waiting[table, False, ""] += step * len(rows)
        for index, name in self._columns[table]:
            for value, number in Counter(row[index] for row in rows).items():
                self._waiting[f"{table}.{name}", value is None, value or ""] += step * number

    def write(self, connection: Connection) -> None:
        """Add what waits to the counts."""
        table = self._tables.summary
        rows = [
            {"place": place, "missing": int(missing), "value": value, "number": number}
            for (place, missing, value), number in sorted(self._waiting.items())
            if number
        ]
        self._waiting.clear()
        if rows:
            connection.exec_driver_sql(_ADD[connection.dialect.name], rows)
            connection.execute(delete(table).where(table.c.number == 0))

    def count_again(self, connection: Connection) -> None:
        """Count all rows of the catalog, whatever was on record."""
        summary = self._tables.summary
        connection.execute(delete(summary))
        for name, columns in self._columns.items():
            table = self._tables[name]
            total = select(literal(name), literal(0), literal(""), func.count()).select_from(table)
            connection.execute(insert(summary).from_select(list(summary.columns.keys()), total))
            for _, column in columns:
                value = table.c[column]
                groups = select(
                    literal(f"{name}.{column}"),
                    func.max(case((value.is_(None), 1), else_=0)),
                    func.coalesce(value, literal("")),
                    func.count(),
                ).group_by(value)
                connection.execute(insert(summary).from_select(list(summary.columns.keys()), groups))
        connection.execute(delete(summary).where(summary.c.number == 0))

    def stamp(self, version: str) -> str:
        """What stands beside counts that belong to a version of the data."""
        return f"{version}/{self.kind}"


_UPSERT = (
    "INSERT INTO catalog_summary (place, missing, value, number) VALUES ({})"
    " ON CONFLICT (place, missing, value) DO UPDATE SET number = catalog_summary.number + excluded.number"
)
_ADD = {
    "sqlite": _UPSERT.format(":place, :missing, :value, :number"),
    "postgresql": _UPSERT.format("%(place)s, %(missing)s, %(value)s, %(number)s"),
}


def summary_select(table: str, column: str | None, functions: Iterable[str]) -> str:
    """SQL with the columns that a grouping of a whole table has: its key ``g0``, its counts, and ``n``."""
    counts = [f"number AS {name}" for name in (*functions, "n")]
    if column is None:
        # A table without rows is counted as well, though not on record.
        numbers = ", ".join(f"coalesce(sum(number), 0) AS {name}" for name in (*functions, "n"))
        return f"SELECT {numbers} FROM {SUMMARY} WHERE place = {text_literal(table)}"
    key = "CASE missing WHEN 0 THEN value END AS g0"
    place = text_literal(f"{table}.{column}")
    return f"SELECT {', '.join([key, *counts])} FROM {SUMMARY} WHERE place = {place} ORDER BY missing, value"
