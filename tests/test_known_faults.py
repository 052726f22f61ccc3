"""The index of known faults is complete, and what it names is there: `docs/reference/known-faults.md`."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs/reference/known-faults.md"

_ROW = re.compile(r"^\| F(\d+) \| (.+) \| (.+) \|$", re.MULTILINE)
_NODE = re.compile(r"`([\w/]+\.py)::(\w+)`")
ROWS = [(int(number), what, held) for number, what, held in _ROW.findall(PAGE.read_text())]
NAMED = [(number, path, test) for number, _, held in ROWS for path, test in _NODE.findall(held)]
_NUMBER = re.compile(r"(?<![A-Za-z0-9])[Ff](\d+)(?![0-9])")
_SHORTEST_REASON = 40
_LAST = 174


def test_every_fault_stands_in_the_table_once_and_in_order() -> None:
    assert [number for number, _, _ in ROWS] == list(range(1, _LAST + 1))
    assert len({what for _, what, _ in ROWS}) == _LAST


def test_a_fault_has_a_test_or_a_sentence_why_not() -> None:
    without = [
        number
        for number, _, held in ROWS
        if not _NODE.search(held) and (len(held) < _SHORTEST_REASON or not held.endswith("."))
    ]
    assert not without


def test_every_test_that_names_a_fault_above_80_stands_in_its_row() -> None:
    """Those of ingestion are chosen; of the others there are few, and none is to be forgotten."""
    named = {
        (int(number), file.relative_to(TESTS).as_posix(), test)
        for file in TESTS.rglob("test_*.py")
        if file != Path(__file__)
        for test, text in _tests(file.relative_to(TESTS).as_posix())[0].items()
        for number in _NUMBER.findall(text)
        if 80 < int(number) <= _LAST
    }
    assert not named - set(NAMED)


@pytest.mark.parametrize(("number", "path", "test"), NAMED, ids=[f"F{row[0]}-{row[2]}" for row in NAMED])
def test_every_named_test_exists_and_names_its_number(number: int, path: str, test: str) -> None:
    tests, module = _tests(path)
    assert test in tests, f"F{number}: {path} has no {test}"
    word = re.compile(rf"(?<![A-Za-z0-9])[Ff]{number}(?![0-9])")
    assert word.search(tests[test]) or word.search(module), f"{path}::{test} does not say F{number}"


@cache
def _tests(path: str) -> tuple[dict[str, str], str]:
    """The text of every test of a file, decorators and the comment behind its first line included; its docstring."""
    source = (TESTS / path).read_text()
    lines = source.splitlines()
    tree = ast.parse(source)
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return found, ast.get_docstring(tree) or ""
