"""Opening catalogs, what is refused, and the small parts: addresses, dates, patterns, ids, mounts, the command."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from tomoportal.archive import Archive
from tomoportal.catalog import Bases, Catalog, default_url, index, owner_of
from tomoportal.catalog.addresses import stored_address, stored_text
from tomoportal.catalog.graph import Graph
from tomoportal.catalog.ids import IdRecords
from tomoportal.catalog.network_disks import network_file_system
from tomoportal.catalog.patterns import check_like, compile_regex, glob_of_like, regex_of_like
from tomoportal.catalog.tables import Tables
from tomoportal.catalog.timestamps import parse_timestamp, wire_timestamp
from tomoportal.cli.index import command
from tomoportal.errors import CatalogError, SettingsError
from tomoportal.storage import open_store


class TestOpening:
    def test_a_missing_catalog(self, tmp_path: Path) -> None:
        with pytest.raises(CatalogError, match="tomoportal index"):
            Catalog.open(f"sqlite:///{tmp_path}/none.sqlite")

    def test_another_version(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/catalog.sqlite"
        with Catalog.open(url, create=True) as catalog, catalog.write() as connection:
            connection.exec_driver_sql("UPDATE catalog_revision SET version_num = '9999'")
        for create in (False, True):
            with pytest.raises(CatalogError, match="--rebuild"):
                Catalog.open(url, create=create)
        with Catalog.open(url, rebuild=True) as catalog:
            assert catalog.version == "0"

    def test_a_file_that_is_no_catalog(self, tmp_path: Path) -> None:
        (tmp_path / "text.sqlite").write_text("this is no database at all, only text " * 100)
        with pytest.raises(CatalogError):
            Catalog.open(f"sqlite:///{tmp_path}/text.sqlite")
        sqlite3.connect(tmp_path / "other.sqlite").execute("CREATE TABLE other (id)").connection.close()
        with pytest.raises(CatalogError, match="holds no catalog but other tables"):
            Catalog.open(f"sqlite:///{tmp_path}/other.sqlite", create=True)

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "nonsense", "oracle://x"])
    def test_urls_that_cannot_be_used(self, url: str) -> None:
        with pytest.raises(SettingsError, match="sqlite:///path"):
            Catalog.open(url)

    def test_reading_connections_cannot_write(self, tmp_path: Path) -> None:
        with (
            Catalog.open(f"sqlite:///{tmp_path}/catalog.sqlite", create=True) as catalog,
            catalog.read() as connection,
            pytest.raises(OperationalError, match="readonly"),
        ):
            connection.exec_driver_sql("DELETE FROM dataset")

    def test_readers_keep_their_snapshot_and_do_not_block_the_writer(self, tmp_path: Path) -> None:
        with Catalog.open(f"sqlite:///{tmp_path}/catalog.sqlite", create=True) as catalog:
            with catalog.read() as reading:
                assert catalog.info(reading, "data_version") == "0"
                with catalog.write() as writing:
                    catalog.set_info(writing, "data_version", "1")
                assert catalog.info(reading, "data_version") == "0"
            assert catalog.version == "1"

    def test_default_place(self, tmp_path: Path) -> None:
        archive = Archive.open(tmp_path)
        assert default_url(archive) == f"sqlite:///{tmp_path}/.tomoportal/catalog.sqlite"
        with pytest.raises(SettingsError, match="--db"):
            default_url(Archive.open("memory://x", create=True))

    def test_network_file_system(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tomoportal.catalog.sqlite.network_file_system", lambda path: "nfs4")
        with pytest.raises(SettingsError, match="--db"):
            Catalog.open(f"sqlite:///{tmp_path}/catalog.sqlite", create=True)


def test_mounts() -> None:
    mounts = "\n".join(
        (
            "22 1 0:20 / / rw,relatime - ext4 /dev/sda1 rw",
            "23 22 0:21 / /mnt/lab rw - nfs4 server:/lab rw",
            "24 23 0:22 / /mnt/lab/scratch rw shared:1 - xfs /dev/sdb rw",
            "25 22 0:23 / /data\\040two rw - cifs //server/x rw",
            "nonsense",
        )
    )
    found = {
        path: network_file_system(Path(path), mounts)
        for path in ("/home/a.sqlite", "/mnt/lab/a", "/mnt/lab/scratch/a", "/data two/a", "/mnt/laboratory/a")
    }
    assert list(found.values()) == [None, "nfs4", None, "cifs", None]
    assert network_file_system(Path("/tmp")) is None or isinstance(network_file_system(Path("/tmp")), str)


def test_tables_follow_the_model() -> None:
    graph = Graph()
    tables = Tables(graph)
    assert len(tables.in_order()) == 23
    names = [table.name for table in tables.in_order()]
    for entity in graph.entities.values():
        table = tables[entity.table]
        for field in entity.fields:
            column = table.c[graph.column(entity, field)]
            assert column.nullable is not field.required or column.primary_key
            if field.references:
                assert column.index
                parent = graph.entities[field.references].table
                assert names.index(parent) < names.index(entity.table)
    run = tables["run"].c
    assert {"prefix_key", "natural_key", "unit"} <= set(run.keys())
    assert "s3_prefix" not in run


def test_addresses() -> None:
    bases = Bases("s3://b/", "http://h/files")
    assert stored_address("s3://b/1/x", "http://h/files/1/x", bases) == "1/x"
    assert stored_address("s3://b/1/x", None, bases) == "1/x"
    assert stored_address("s3://b/1/x", "http://h/files/1/y", bases) == "/s3://b/1/x\nhttp://h/files/1/y"
    assert stored_address("s3://other/x", None, bases) == "/s3://other/x\n"
    assert stored_address(None, None, bases) is None
    assert stored_text("10001/x") == "10001/x"
    assert stored_text("https://e/x") == "/https://e/x\nhttps://e/x"
    assert stored_text("") is None


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        ("10001/TS_1/x.mrc", ("dataset", 10001)),
        ("10001", ("dataset", 10001)),
        ("depositions_metadata/10301/Images/x.png", ("deposition", 10301)),
        (".tomoportal/manifest/10001.json", None),
        ("depositions_metadata", None),
        ("notes/x", None),
    ],
)
def test_owner_of_a_key(key: str, owner: tuple[str, int] | None) -> None:
    assert owner_of(key) == owner


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("2023", "2023-01-01T00:00:00+00:00"),
        ("2023-06", "2023-06-01T00:00:00+00:00"),
        ("2023-06-01", "2023-06-01T00:00:00+00:00"),
        ("2023-06-01T02:00:00+02:00", "2023-06-01T00:00:00+00:00"),
        ("2023-06-01T00:00:00Z", "2023-06-01T00:00:00+00:00"),
        ("2023-06-01 12:30", "2023-06-01T12:30:00+00:00"),
        ("2023-06-01T00:00:00.5Z", "2023-06-01T00:00:00.500000+00:00"),
    ],
)
def test_dates(text: str, wire: str) -> None:
    assert wire_timestamp(parse_timestamp(text)) == wire


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_texts_of_dates_sort_like_dates(one: datetime, other: datetime) -> None:
    assert (wire_timestamp(one) < wire_timestamp(other)) is (one < other)
    assert parse_timestamp(wire_timestamp(one)) == one


@given(st.text("ab%_\\*?[]^-.é", max_size=8), st.text("ab%_\\*?[]^-.é", max_size=8))
def test_like_means_the_same_to_both_matchers(pattern: str, text: str) -> None:
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        with pytest.raises(Exception, match="escape"):
            check_like(pattern, "here")
        return
    (glob,) = sqlite3.connect(":memory:").execute("SELECT ? GLOB ?", (text, glob_of_like(pattern))).fetchone()
    (like,) = (
        sqlite3.connect(":memory:")
        .execute("PRAGMA case_sensitive_like=ON")
        .connection.execute("SELECT ? LIKE ? ESCAPE '\\'", (text, pattern))
        .fetchone()
    )
    regex = compile_regex(regex_of_like(pattern), ignore_case=False).search(text) is not None
    assert bool(glob) == bool(like) == regex


def test_ids_are_reserved_before_they_are_used(tmp_path: Path) -> None:
    store = open_store(tmp_path, create=True)
    book = IdRecords(store).book("10001")
    assert [book.number("run", "10001/a", ""), book.number("run", "10001/b", "")] == [1, 2]
    # Nothing was saved: the numbers are free. Saved: they are taken, also by another dataset.
    book = IdRecords(store).book("10001")
    assert book.number("run", "10001/b", "") == 1
    book.save()
    records = IdRecords(store)
    assert records.book("10002").number("run", "10002/a", "") == 2
    assert records.book("10001").number("run", "10001/b", "") == 1
    (tmp_path / ".tomoportal/ids/10001.json").write_text("{")
    with pytest.raises(CatalogError, match=r"10001\.json"):
        IdRecords(store).book("10001")


class TestCommand:
    def test_report(self, example: Any) -> None:
        archive = example.write()
        runner = CliRunner()
        first = runner.invoke(command, ["--archive", str(example.folder)])
        assert first.exit_code == 0, first.output
        assert "1 dataset, 1 run, 1 tilt series, 1 tomogram, 1 annotation" in first.output
        second = runner.invoke(command, ["--archive", str(example.folder), "--json"])
        report = json.loads(second.stdout)
        assert (report["read"], report["unchanged"]) == (0, 3)
        with Catalog.open(default_url(archive)) as catalog:
            assert report["version"] == catalog.version

    def test_exit_code_and_rebuild(self, example: Any, new_url: Callable[[str], str]) -> None:
        tomogram = f"{example.spacing}/Tomograms/100/tomogram_metadata.json"
        example.change(tomogram, processing="sharpened")
        example.write()
        options = ["--archive", str(example.folder), "--db", new_url("elsewhere")]
        found = CliRunner().invoke(command, options)
        assert found.exit_code == 1
        assert f"left out: {tomogram}: processing" in found.stderr
        assert "filtered_even" in found.stderr
        example.change(tomogram, processing="raw")
        example.write()
        assert CliRunner().invoke(command, [*options, "--rebuild", "--dataset", "DS-10001"]).exit_code == 0
        assert not (example.folder / ".tomoportal/catalog.sqlite").exists()

    def test_index_and_server_agree_on_the_settings(self, example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        example.write()
        monkeypatch.setenv("TOMOPORTAL_ARCHIVE", str(example.folder))
        assert CliRunner().invoke(command, []).exit_code == 0
        with Catalog.open(default_url(Archive.open(example.folder))) as catalog:
            assert index(Archive.open(example.folder), catalog).read == 0
