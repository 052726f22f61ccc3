"""Full-text search over titles, descriptions, authors, organisms, objects and ids.

One entry per dataset and deposition, written by ``index``; those of other entities are in ``search_rows``. Every word
of a question must occur, the last letters of a word may be missing, case and accents do not matter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, select

from tomoportal.catalog.search_index import search_index
from tomoportal.catalog.search_rows import create_rows, forget_rows, refresh_rows
from tomoportal.catalog.tables import Tables
from tomoportal.catalog.visibility import ANYONE, Viewer, visible
from tomoportal.model.ids import format_id

__all__ = ["Hit", "create_search", "forget", "refresh_dataset", "refresh_deposition", "search"]

_KINDS = {"dataset": 0, "deposition": 1}
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found: ``kind`` is ``dataset`` or ``deposition``; a smaller ``rank`` is a better match."""

    kind: str
    id: int
    rank: float


def create_search(connection: Connection) -> None:
    """Make the search index if there is none."""
    search_index(connection).create(connection)
    create_rows(connection)


def search(
    conn: Connection, text: str, *, kind: str | None = None, limit: int = 1000, viewer: Viewer = ANYONE
) -> list[Hit]:
    """Datasets and depositions that ``viewer`` may see in which every word of ``text`` occurs, best first.

    Nothing is found for a text without words.
    """
    words = _WORD.findall(text)
    if not words:
        return []
    arms = []
    for name, remainder in _KINDS.items():
        rule = visible(name, viewer, "owner")
        owner = f"SELECT 1 FROM {name} owner WHERE owner.id = {{number}} / 2 AND ({rule})"
        if kind in (None, name):
            arms.append(f"({{number}} % 2 = {remainder}{'' if rule is None else f' AND EXISTS ({owner})'})")
    found = search_index(conn).find(conn, words, f"{{number}} > 0 AND ({' OR '.join(arms) or '1=0'})", limit)
    names = {remainder: name for name, remainder in _KINDS.items()}
    return [Hit(names[number % 2], number // 2, rank) for number, rank in found]


def refresh_dataset(connection: Connection, tables: Tables, number: int) -> None:
    """Write the search row of a dataset from its rows."""
    dataset, run = tables["dataset"], tables["run"]
    row = connection.execute(select(dataset).where(dataset.c.id == number)).mappings().first()
    forget(connection, "dataset", number)
    if row is None:
        return
    names = _texts(connection, tables, "dataset_author", ("name", "orcid"), "dataset_id", number)
    names += _texts(connection, tables, "dataset_funding", ("funding_agency_name", "grant_id"), "dataset_id", number)
    objects: list[str] = []
    for table in (tables["annotation"], tables["identified_object"]):
        found = connection.execute(
            select(table.c.object_name, table.c.object_id, table.c.object_description)
            .join(run, run.c.id == table.c.run_id)
            .where(run.c.dataset_id == number)
            .distinct()
        )
        objects += [text for found_row in found for text in found_row if text]
    runs = connection.execute(select(run.c.name).where(run.c.dataset_id == number)).scalars().all()
    described = [
        row[name]
        for name in (
            "description", "organism_name", "tissue_name", "cell_name", "cell_strain_name", "cell_component_name",
            "disease_name", "assay_label", "sample_preparation", "grid_preparation", "other_setup",
        )
    ]  # fmt: skip
    ids = [
        str(number),
        format_id("Dataset", number),
        format_id("Deposition", row["deposition_id"]),
        row["dataset_publications"],
        row["related_database_entries"],
    ]
    refresh_rows(connection, tables, "dataset", number)
    _write(connection, "dataset", number, row["title"], names, ids, [*described, *sorted(set(objects)), *runs])


def refresh_deposition(connection: Connection, tables: Tables, number: int) -> None:
    """Write the search row of a deposition from its rows."""
    table = tables["deposition"]
    row = connection.execute(select(table).where(table.c.id == number)).mappings().first()
    forget(connection, "deposition", number)
    if row is None:
        return
    names = _texts(connection, tables, "deposition_author", ("name", "orcid"), "deposition_id", number)
    ids = [
        str(number),
        format_id("Deposition", number),
        row["deposition_publications"],
        row["related_database_entries"],
    ]
    refresh_rows(connection, tables, "deposition", number)
    _write(connection, "deposition", number, row["title"], names, ids, [row["description"], row["tag"]])


def forget(connection: Connection, kind: str, number: int | str) -> None:
    """Remove the search row of a dataset or deposition."""
    if str(number).isdigit():
        search_index(connection).remove(connection, [_number(kind, int(number))])
        forget_rows(connection, kind, int(number))


def _texts(
    connection: Connection, tables: Tables, name: str, columns: tuple[str, ...], owner: str, number: int
) -> list[str]:
    table = tables[name]
    rows = connection.execute(
        select(*(table.c[column] for column in columns)).where(table.c[owner] == number).order_by(table.c.id)
    )
    return [text for row in rows for text in row if text]


def _write(
    connection: Connection,
    kind: str,
    number: int,
    title: str,
    names: list[str],
    ids: list[str | None],
    text: list[str | None],
) -> None:
    entry = (title, "\n".join(names), "\n".join(filter(None, ids)), "\n".join(filter(None, text)))
    search_index(connection).write(connection, {_number(kind, number): entry})


def _number(kind: str, number: int) -> int:
    return 2 * number + _KINDS[kind]
