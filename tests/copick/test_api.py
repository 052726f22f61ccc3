"""Every public name of copick 1.31, with its parameters, is there under the drop-in names; what is not has a reason."""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

INVENTORY = Path(__file__).with_name("inventory.py")

# Looks up everything that the inventory names in our package, and prints what differs.
COMPARE = r"""
import importlib, inspect, json, sys
import tomoportal.copick
tomoportal.copick.install()
wrong = []

def compared(where, theirs, function):
    if theirs is None:
        return
    try:
        mine = dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return
    any_name = any(each.kind is each.VAR_KEYWORD for each in mine.values())
    places = [name for name, each in mine.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    named = [each for each in theirs if not each[1].startswith("VAR_")]
    for place, (name, kind, default) in enumerate(named):
        if name not in mine:
            if not any_name:
                wrong.append(f"{where}({name}): no such parameter")
            continue
        if kind == "POSITIONAL_OR_KEYWORD" and places[place:place + 1] != [name]:
            wrong.append(f"{where}({name}): another place")
        found = mine[name].default
        if default is None and found is not inspect.Parameter.empty:
            continue
        if found is inspect.Parameter.empty or repr(found) != default:
            if default is not None or found is not inspect.Parameter.empty:
                wrong.append(f"{where}({name}): {found!r} instead of {default}")

for module, names in json.load(sys.stdin).items():
    try:
        ours = importlib.import_module(module)
    except ModuleNotFoundError:
        wrong.append(f"{module}: no such module")
        continue
    for name, (kind, *about) in names.items():
        where = f"{module}.{name}"
        if not hasattr(ours, name):
            wrong.append(f"{where}: absent")
            continue
        value = getattr(ours, name)
        if kind == "command" and not (hasattr(value, "params") and hasattr(value, "callback")):
            wrong.append(f"{where}: no command")
        elif kind == "function":
            compared(where, about[0], value)
        elif kind == "class":
            if not inspect.isclass(value):
                wrong.append(f"{where}: no class")
                continue
            compared(where, about[0], value)
            fields = {**getattr(value, "model_fields", {}), **getattr(value, "__dataclass_fields__", {})}
            source = inspect.getsource(value)
            for base in value.__mro__[1:-1]:
                if base.__module__.startswith("tomoportal"):
                    source += inspect.getsource(base)
            for member, (sort, *rest) in about[1].items():
                if member in fields or (f"self.{member} = " in source or f"self.{member}: " in source):
                    continue
                if not hasattr(value, member):
                    wrong.append(f"{where}.{member}: absent")
                elif sort == "method":
                    theirs = rest[0]
                    compared(f"{where}.{member}", theirs, getattr(value, member))
                elif sort == "settable" and getattr(inspect.getattr_static(value, member), "fset", True) is None:
                    wrong.append(f"{where}.{member}: cannot be set")
print(json.dumps(wrong))
"""

# What may be absent or different: pattern, reason.
ALLOWED = [
    ("*(chunks): *", "chunks are 128³ (C67)"),
    ("*(chunk_size): *", "chunks are 128³ (C67)"),
    ("*.new_object(*): unset instead of None", "tells what was not given from None (C20)"),
    ("*: <factory> instead of *", "a new value for each, with the same content"),
    (
        "copick.models.CopickTomogram(config): another place",
        "one class serves both; its third is read_only, as below impl",
    ),
    ("copick.ops._markdown.LOCAL_PROJECT: absent", "a text that nothing uses, there neither"),
    ("copick.impl.cryoet_data_portal.Portal*: None instead of *", "stands for the same empty row"),
    ("copick.impl.mlcroissant.CroissantIndex(*): None instead of <factory>", "stands for an empty one"),
    ("copick.impl.mlcroissant.CroissantIndex(_*): no such parameter", "private state of a data class"),
    ("copick.cli.make_*: no such module", "programs that write upstream's own pages and test data"),
]


@pytest.fixture(scope="module")
def inventory(upstream: Any) -> dict[str, Any]:
    found = upstream(INVENTORY.read_text())
    assert isinstance(found, dict)
    return found


def test_every_public_name_is_there(inventory: dict[str, Any]) -> None:
    assert len(inventory) > 50
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COMPARE],
        input=json.dumps(inventory),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TOMOPORTAL_AS_COPICK": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    used = {pattern for pattern, _ in ALLOWED for each in found if fnmatch.fnmatchcase(each, pattern)}
    wrong = [each for each in found if not any(fnmatch.fnmatchcase(each, pattern) for pattern, _ in ALLOWED)]
    assert not wrong, "\n".join(["", *wrong])
    assert used == {pattern for pattern, _ in ALLOWED}, "some allowances are no longer needed"
