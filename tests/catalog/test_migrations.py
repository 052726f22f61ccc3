"""Upgrades of older catalogs: the way ends where ``Tables`` begins, and nothing is lost on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select

from tomoportal.catalog import Catalog, index, migrations
from tomoportal.catalog.migrations import HEAD, REVISION_TABLE, downgrade, revision_of, upgrade
from tomoportal.errors import CatalogError

NewUrl = Callable[[str], str]


def differences(catalog: Catalog) -> list[Any]:
    """What Alembic would change to make the database equal to ``Tables``."""

    def ours(name: str | None, kind: str, *_: Any) -> bool:
        return kind != "table" or not str(name).startswith(("catalog_search", REVISION_TABLE))

    with catalog.write() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_type": True})
        return list(compare_metadata(context, catalog.tables.metadata))


def test_head_is_the_last_of_one_line() -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(migrations.__path__[0]))
    script = ScriptDirectory.from_config(configuration)
    assert script.get_heads() == [HEAD]
    assert [one.revision for one in script.walk_revisions()][-1] == "0001"


def test_a_new_catalog_is_stamped(new_url: NewUrl) -> None:
    with Catalog.open(new_url("new"), create=True) as catalog:
        assert differences(catalog) == []
        with catalog.read() as connection:
            assert revision_of(connection) == HEAD


def test_the_oldest_catalog_is_upgraded_by_index_and_keeps_its_ids(example: Any, new_url: NewUrl) -> None:
    url, archive = new_url("old"), example.write()
    with Catalog.open(url, create=True) as catalog:
        index(archive, catalog)
        with catalog.write() as connection:
            downgrade(connection, "0001")
            # As it was before revisions were recorded.
            connection.exec_driver_sql(f"DROP TABLE {REVISION_TABLE}")
    if HEAD != "0001":
        with pytest.raises(CatalogError, match="tomoportal index"):
            Catalog.open(url)
    with Catalog.open(url, create=True) as catalog:
        assert differences(catalog) == []
        run = catalog.tables["run"]
        with catalog.read() as connection:
            assert connection.execute(select(run.c.id, run.c.name)).all() == [(1, "TS_run1")]
        report = index(archive, catalog)
        assert report.problems == []
        assert not report.removed
        assert index(archive, catalog).read == 0


def test_a_failed_upgrade_leaves_everything(example: Any, new_url: NewUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    url = new_url("failed")
    with Catalog.open(url, create=True) as catalog, catalog.write() as connection:
        downgrade(connection, "0001")
        connection.exec_driver_sql(f"UPDATE {REVISION_TABLE} SET version_num = '0000'")

    def fail(connection: Any) -> None:
        connection.exec_driver_sql("DROP TABLE annotation_file")
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("tomoportal.catalog.catalog.upgrade", fail)
        with pytest.raises(RuntimeError):
            Catalog.open(url, create=True)
    with pytest.raises(CatalogError, match="older version 0000"):
        Catalog.open(url)
    monkeypatch.setattr("tomoportal.catalog.catalog.upgrade", _pretend)
    with Catalog.open(url, create=True) as catalog:
        assert differences(catalog) == []


def _pretend(connection: Any) -> None:
    connection.exec_driver_sql(f"UPDATE {REVISION_TABLE} SET version_num = '0001'")
    upgrade(connection)
