"""What only PostgreSQL can get wrong: opening, locks, lost connections, patterns; and the search on both databases."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tomoportal.archive import Archive
from tomoportal.catalog import Catalog, index
from tomoportal.catalog.database import open_database
from tomoportal.catalog.deadline import Deadline
from tomoportal.catalog.patterns import check_regex, compile_regex, posix_of_regex
from tomoportal.catalog.postgres_dialect import Postgres
from tomoportal.catalog.search import search
from tomoportal.errors import CatalogError, LockedError, MissingPartError, QueryError, SettingsError

NewUrl = Callable[[str], str]


@pytest.fixture
def catalog(postgres_url: NewUrl) -> Iterator[Catalog]:
    with Catalog.open(postgres_url("own"), create=True) as catalog:
        yield catalog


@pytest.fixture(scope="module")
def database(postgres_url: NewUrl) -> Iterator[Catalog]:
    with Catalog.open(postgres_url("shared"), create=True) as catalog:
        yield catalog


def _run(url: str, statement: str) -> None:
    database = open_database(url)
    with database.writer.begin() as connection:
        connection.exec_driver_sql(statement)
    database.close()


class TestOpening:
    def test_without_the_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = builtins.__import__

        def without(name: str, *rest: Any, **options: Any) -> Any:
            if name == "psycopg":
                raise ImportError(name)
            return real(name, *rest, **options)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(MissingPartError, match=r"tomoportal\[postgres\]"):
            open_database("postgresql://localhost/x")

    def test_a_server_that_is_not_there_and_no_password_in_messages(self) -> None:
        with pytest.raises(CatalogError, match="does not answer") as error:
            Catalog.open("postgresql://me:secret@127.0.0.1:1/x")
        assert "secret" not in str(error.value)
        assert "127.0.0.1:1" in str(error.value)

    def test_no_catalog(self, postgres_url: NewUrl) -> None:
        url = postgres_url("none")
        with pytest.raises(CatalogError, match="holds no catalog"):
            Catalog.open(url)

    def test_tables_of_others_stay(self, postgres_url: NewUrl) -> None:
        url = postgres_url("lab")
        _run(url, "CREATE TABLE samples (id integer)")
        with Catalog.open(url, create=True), Catalog.open(url, rebuild=True):
            pass
        _run(url, "SELECT * FROM samples")
        other = postgres_url("taken")
        _run(other, "CREATE TABLE run (id integer)")
        with pytest.raises(CatalogError, match=r"other tables.*run"):
            Catalog.open(other, create=True)

    def test_many_may_make_the_tables_at_once(self, postgres_url: NewUrl) -> None:
        url = postgres_url("race")
        failures: list[Exception] = []

        def make() -> None:
            try:
                Catalog.open(url, create=True).close()
            except CatalogError as error:
                failures.append(error)

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        Catalog.open(url).close()

    def test_postgres_as_the_name_of_the_scheme(self) -> None:
        with pytest.raises(CatalogError, match="does not answer"):
            Catalog.open("postgres://127.0.0.1:1/x")
        with pytest.raises(SettingsError, match="postgresql://"):
            Catalog.open("mysql://x/y")


class TestConnections:
    def test_readers_cannot_write_and_keep_their_snapshot(self, catalog: Catalog) -> None:
        with catalog.read() as connection, pytest.raises(DBAPIError, match="read-only"):
            connection.exec_driver_sql("DELETE FROM dataset")
        with catalog.read() as reading:
            assert catalog.info(reading, "data_version") == "0"
            with catalog.write() as writing:
                catalog.set_info(writing, "data_version", "1")
            assert catalog.info(reading, "data_version") == "0"
        assert catalog.version == "1"

    def test_the_time_limit_ends_with_its_request(self, catalog: Catalog) -> None:
        for _ in range(2):
            with pytest.raises(DBAPIError) as error, catalog.read(Deadline(0.05)) as connection:
                connection.exec_driver_sql("SELECT pg_sleep(600)")
            assert catalog.database.reason(error.value).name == "SLOW"  # type: ignore[union-attr]
        with catalog.read() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(0.1)")
        with catalog.read(Deadline(300)) as connection:
            connection.exec_driver_sql("SELECT pg_sleep(0.1)")

    def test_a_connection_that_was_cut_is_replaced(self, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tomoportal.catalog.postgres._TRUSTED_SECONDS", 0.0)
        with catalog.read() as connection:
            victim = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with catalog.write() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": victim})
        assert catalog.version == "0"

    def test_one_indexer_at_a_time(self, catalog: Catalog, example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tomoportal.catalog.postgres._LOCK_SECONDS", 0.1)
        archive = example.write()
        with catalog.database.alone(), pytest.raises(LockedError):
            index(Archive.open(archive.store, read_only=True), catalog)
        assert index(archive, catalog).problems == []


_SIMPLE = ("a", "b", "é", ".", "{", "}", "-", "_", "1", r"\d", r"\w", r"\W", r"\s", r"\.", r"\-", "a{2}", "a{,2}")
_CLASSES = ("[ab]", "[^a]", "[]a]", r"[a\]b]", "[a-c_]", "[[:digit:]x]", "[[a]")
_GROUPS = ("(a|b)", "(?:ab|c)", "(?P<n>a)")
_ATOMS = st.sampled_from((*_SIMPLE, *_CLASSES, *_GROUPS))
_QUANTIFIERS = st.sampled_from(["", "", "", "*", "+", "?", "*?", "{1,2}", "{2,}"])
_PATTERNS = st.tuples(
    st.sampled_from(["", "", "^", "(?i)"]),
    st.lists(st.tuples(_ATOMS, _QUANTIFIERS).map("".join), min_size=1, max_size=4).map("".join),
    st.sampled_from(["", "", "$", "|b", r"\b"]),
).map("".join)


class TestPatterns:
    @settings(max_examples=150)
    @given(pattern=_PATTERNS, texts=st.lists(st.text("abcAB1_-. \n{}[]]é", max_size=8), min_size=1, max_size=6))
    def test_regular_expressions_mean_what_they_mean_elsewhere(
        self, database: Catalog, pattern: str, texts: list[str]
    ) -> None:
        try:
            check_regex(pattern, "here")
        except QueryError:
            return
        with database.read() as connection:
            found = connection.execute(
                text('SELECT (t COLLATE "C") ~ :pattern FROM unnest(CAST(:texts AS text[])) t'),
                {"pattern": posix_of_regex(pattern), "texts": texts},
            )
            search = compile_regex(pattern, ignore_case=False).search
            assert [bool(one) for (one,) in found] == [search(one) is not None for one in texts], pattern

    @settings(max_examples=100)
    @given(pattern=st.text("ab%_éÉµß.*[", max_size=6), texts=st.lists(st.text("abAéÉµμΜß.*[", max_size=5), max_size=6))
    def test_like_without_case(self, database: Catalog, pattern: str, texts: list[str]) -> None:
        from tomoportal.catalog.patterns import regex_of_like

        dialect = Postgres(180000)
        bound: list[object] = []
        condition = dialect.like('t COLLATE "C"', pattern, True, lambda value: bound.append(value) or ":value")
        with database.read() as connection:
            found = connection.execute(
                text(f"SELECT {condition} FROM unnest(CAST(:texts AS text[])) t"), {"value": bound[0], "texts": texts}
            )
            search = compile_regex(regex_of_like(pattern), ignore_case=True).search
            assert [bool(one) for (one,) in found] == [search(one) is not None for one in texts]

    @pytest.mark.parametrize("pattern", [r"\pL", r"\Qa\E", r"a{256}", r"a(?i)b", r"\x41", r"(?s:a)"])
    def test_what_the_database_cannot_say(self, pattern: str) -> None:
        check_regex(pattern, "here")
        with pytest.raises(QueryError, match=r"pattern|group"):
            posix_of_regex(pattern)


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("Ada", {"dataset", "deposition"}),
        ("ADA auth", {"dataset", "deposition"}),
        ("EMPIAR-00001", {"dataset"}),
        ("EMPIAR-00002", set()),
        ("TS_ru", {"dataset"}),
        ("membr", {"dataset"}),
        ("Sapiéns", {"dataset"}),
        ("everything", {"deposition"}),
        ("DS-10001", {"dataset"}),
        ("10.1101/2022", {"deposition"}),
        ("' & | ! :* ()", set()),
        ("\\ '", set()),
        ("_", set()),
    ],
)
def test_search(search_catalog: Catalog, words: str, kinds: set[str]) -> None:
    with search_catalog.read() as connection:
        hits = search(connection, words)
        assert {hit.kind for hit in hits} == kinds
        assert [hit.rank for hit in hits] == sorted(hit.rank for hit in hits)
        assert {hit.kind for hit in search(connection, words, kind="deposition")} == kinds & {"deposition"}


@pytest.fixture(scope="module")
def search_catalog(
    session_url: NewUrl, example_in: Callable[[Any], Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Catalog]:
    archive = example_in(tmp_path_factory.mktemp("search") / "archive").write()
    with Catalog.open(session_url("search"), create=True) as catalog:
        index(archive, catalog)
        yield catalog
