"""Entities and ids are for light programs: they need only the standard library."""

from __future__ import annotations

import subprocess
import sys

import tomoportal.model

_CODE = """
import sys
import tomoportal.model
from tomoportal.model import ENTITIES, ENUMS, format_id
assert ENTITIES["Run"].root == "runs" and format_id("Run", 1) == "RN-1" and ENUMS
names = {name.split(".")[0] for name in sys.modules}
print(sorted(names & {"pydantic", "pydantic_core", "yaml", "linkml_runtime", "numpy", "sqlalchemy"}))
"""


def test_entities_and_ids_need_the_standard_library_only() -> None:
    result = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_public_names_exist() -> None:
    for name in tomoportal.model.__all__:
        assert getattr(tomoportal.model, name) is not None
