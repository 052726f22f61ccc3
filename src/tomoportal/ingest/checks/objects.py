"""Tables of identified objects: each is read once, for all runs."""

from __future__ import annotations

from collections.abc import Iterator

from tomoportal.archive import Finding
from tomoportal.archive.findings import finding, several
from tomoportal.archive.verification.annotation_files import object_findings
from tomoportal.errors import FormatError, StorageError
from tomoportal.ingest.steps.identified_objects import read_objects
from tomoportal.storage import Store

__all__ = ["ObjectTables"]


class ObjectTables:
    """The tables that the runs of a config name."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tables: dict[str, dict[str, list[dict[str, str | None]]] | Finding] = {}

    def check(self, key: str, run: str) -> Iterator[Finding]:
        """What is wrong with the rows of one run; a table that cannot be read is told for the first run."""
        if key not in self._tables:
            try:
                self._tables[key] = read_objects(self._store.get(key), key)
            except (FormatError, StorageError) as error:
                self._tables[key] = finding("V905", key, f"{error.where or key}: {error.what}", error.fix)
        table = self._tables[key]
        if isinstance(table, Finding):
            yield table
        else:
            yield from object_findings(table.get(run, []), f"{key} (rows of {run})")

    def strangers(self, runs: set[str]) -> Iterator[Finding]:
        """Rows of runs that the config has not."""
        for key, table in self._tables.items():
            if isinstance(table, dict) and (unknown := sorted(table.keys() - runs)):
                yield finding("V904", key, f"rows of runs that the config does not have: {several(unknown)}")
