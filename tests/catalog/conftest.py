"""The contract seed as a catalog, and helpers to ask it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tomoportal.catalog import Bases, Catalog, GraphQL
from tomoportal.catalog.addresses import stored_address
from tomoportal.model.entities import Field

SEED_BASES = Bases(s3="s3://test-public-bucket", https="http://localhost:4444")
"""Bases of the hand-made rows of the contract seed."""

Ask = Callable[..., dict[str, Any]]


def stored_row(catalog: Catalog, entity_name: str, row: dict[str, Any], bases: Bases = SEED_BASES) -> dict[str, Any]:
    """A row with wire values → a row of the entity's table."""
    entity = catalog.graph.entities[entity_name]
    stored: dict[str, Any] = {"natural_key": f"seed/{entity.table}/{row['id']}", "unit": "seed"}
    for column in catalog.graph.columns[entity_name]:
        values = {field.name: row.get(field.name) for field in column.fields}
        if column.is_path:
            s3 = next((row.get(f.name) for f in column.fields if f.path == "s3"), None)
            https = next((row.get(f.name) for f in column.fields if f.path == "https"), None)
            stored[column.name] = stored_address(s3, https, bases)
        else:
            stored[column.name] = _stored(column.field, values[column.field.name])
    return stored


def _stored(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.type == "DateTime":
        return datetime.fromisoformat(value)
    if field.type == "Matrix":
        return json.dumps(value)
    return value


def load_seed(catalog: Catalog, seed: dict[str, Any], *, trimmed: bool = False) -> None:
    """Fill the catalog with the rows of ``client_seed.json``; ``trimmed`` leaves the automatic parents out."""
    spacings = seed["about"]["annotation_tvs_if_trimmed"]
    with catalog.write() as connection:
        for name, part in seed["entities"].items():
            left_out = set(part["auto_created_ids"]) if trimmed else set()
            rows = [dict(row) for row in part["rows"] if row["id"] not in left_out]
            if trimmed and name == "Annotation":
                for row in rows:
                    row["tomogram_voxel_spacing_id"] = spacings[str(row["id"])]
            if rows:
                table = catalog.tables[part["table"]]
                connection.execute(table.insert(), [stored_row(catalog, name, row) for row in rows])


@pytest.fixture(scope="session")
def seed_bases() -> Bases:
    return SEED_BASES


@pytest.fixture(scope="session")
def seed(contracts: Path) -> dict[str, Any]:
    return json.loads((contracts / "client_seed.json").read_bytes())


@pytest.fixture(scope="session")
def seed_catalog(seed: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """A catalog with all rows of the contract seed."""
    path = tmp_path_factory.mktemp("seed") / "catalog.sqlite"
    with Catalog.open(f"sqlite:///{path}", create=True) as catalog:
        load_seed(catalog, seed)
        yield catalog


@pytest.fixture(scope="session")
def service(seed_catalog: Catalog) -> GraphQL:
    return GraphQL(seed_catalog)


@pytest.fixture(scope="session")
def ask(service: GraphQL) -> Ask:
    """``ask(query, variables)`` → the whole answer as a dict."""

    def ask(query: str, variables: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        answer = service.execute(query, variables, bases=SEED_BASES, **more)
        assert answer.status == 200
        return json.loads(answer.body)

    return ask
