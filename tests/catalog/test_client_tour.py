"""The public portal's Python client in two versions, unmodified, against a running server on either database.

4.9.0 is a dependency of the tests. 4.8.0, with the libraries of its time, lives in ``.venv-client-4.8``, which the slow
tests make from ``requirements/client-4.8.txt`` on first use.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, find_breaking_changes, find_dangerous_changes

from tomoportal.catalog import Catalog
from tomoportal.model.entities import ENTITIES
from tomoportal.server import LiveServer, Settings
from tomoportal.storage import open_store
from tomoportal.testing.environments import Environment

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = Environment(REPOSITORY / ".venv-client-4.8", REPOSITORY / "requirements" / "client-4.8.txt")
TOUR = Path(__file__).parent / "client_tour.py"


@pytest.fixture(scope="session", params=["4.9.0", pytest.param("4.8.0", marks=pytest.mark.slow)])
def client_python(request: pytest.FixtureRequest) -> str:
    """The interpreter of one version of the client."""
    if request.param == "4.9.0":
        return sys.executable
    return str(ENVIRONMENT.tested())


def _run(python: str, *arguments: object, **environment: str) -> str:
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" and not key.startswith("AWS_")}
    clean |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", **environment}
    command = [python, "-W", "ignore", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=clean)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def portal(
    session_url: Any, fill: Any, rich_seed: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A server of rows of all entities, and of the files of the contract seed."""
    archive = open_store(tmp_path_factory.mktemp("seed") / "archive", create=True)
    for item in rich_seed["objects"]:
        archive.put(item["key"], item["text"].encode())
    url = session_url("tour")
    with Catalog.open(url, create=True) as catalog:
        fill(catalog, rich_seed)
        with catalog.write() as connection:
            catalog.set_info(connection, "data_version", "seed")
    with LiveServer(Settings(archive=archive.url, db=url, bucket="test-public-bucket")) as server:
        yield server


def test_tour(portal: LiveServer, client_python: str, tmp_path: Path) -> None:
    counts = json.loads(
        _run(client_python, TOUR, f"{portal.url}/graphql", tmp_path, BOTO_ENDPOINT_URL=f"{portal.url}/s3")
    )
    assert counts["classes"] == len(ENTITIES) == 23
    assert counts["relations"] >= sum(len(entity.relations) for entity in ENTITIES.values()) - 2  # new in 4.9.0
    assert counts["path"] == counts["path and field"] == counts["relations"]
    for operator in ("==", "!=", ">", ">=", "<", "<=", "in", "is null", "like", "ilike"):
        assert counts[operator] >= 10, (operator, counts)
    assert counts["downloads"] >= 16, counts


GENERATE = """
import sys
from pathlib import Path
from cryoet_data_portal import _codegen
schema, models = Path(sys.argv[2]), Path(sys.argv[3])
_codegen.update_schema_and_models(gql_url=sys.argv[1], schema_path=schema, models_path=models)
print(_codegen.MODELS_PATH)
"""


def test_the_clients_own_generator(portal: LiveServer, client_python: str, tmp_path: Path) -> None:
    """``cryoet_data_portal._codegen`` turns our introspection into the models that the package ships."""
    schema, models = tmp_path / "schema.graphql", tmp_path / "models.py"
    packaged = Path(_run(client_python, "-c", GENERATE, f"{portal.url}/graphql", schema, models).strip())
    published = build_schema((files("cryoet_data_portal") / "data" / "schema.graphql").read_text())
    written = build_schema(schema.read_text())
    for old, new in ((published, written), (written, published)):
        assert find_breaking_changes(old, new) == find_dangerous_changes(old, new) == []
    own, theirs = _fields(models), _fields(packaged)
    assert own.keys() == theirs.keys()
    new = {name: [line for line in lines if line not in theirs[name]] for name, lines in own.items()}
    assert {name: [line for line in lines if line not in new[name]] for name, lines in own.items()} == theirs
    added = {f"{name}.{line.partition(':')[0]}" for name, lines in new.items() for line in lines}
    later = {
        "Annotation.tomogram_voxel_spacing",
        "Annotation.tomogram_voxel_spacing_id",
        "TomogramVoxelSpacing.annotations",
    }
    assert added == (later if client_python != sys.executable else set())


def _fields(path: Path) -> dict[str, list[str]]:
    """Class → its attributes in order, as Python; docstrings (ours differ) and methods (from templates) left out."""
    classes = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef))
    return {
        node.name: [ast.unparse(line) for line in node.body if isinstance(line, (ast.Assign, ast.AnnAssign))]
        for node in classes
    }
