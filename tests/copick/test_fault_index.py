"""Pages that say which test holds what: docs/reference/copick-faults.md and copick-behaviours.md.

Every C-number has a test that exists and names it, or a reason; every behaviour has tests that exist.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def rows_of(page: str, letter: str) -> dict[int, list[str]]:
    text = (REPOSITORY / "docs" / "reference" / page).read_text()
    found = re.findall(rf"^\| {letter}(\d+) \| .+? \| (.+) \|$", text, re.MULTILINE)
    return {int(number): held.split("<br>") for number, held in found}


ROWS = rows_of("copick-faults.md", "C")
BEHAVIOURS = rows_of("copick-behaviours.md", "B")


def source_of(node: str) -> str:
    """The text of a test with its decorators; tests/ROOM/FILE.py::NAME."""
    place, _, name = node.partition("::")
    text = (REPOSITORY / place).read_text()
    for each in ast.walk(ast.parse(text)):
        if isinstance(each, ast.FunctionDef) and each.name == name:
            first = min([each.lineno, *(decorator.lineno for decorator in each.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : each.end_lineno])
    raise AssertionError(f"there is no test {node}")


def numbers_in(text: str) -> set[int]:
    found = {int(number) for number in re.findall(r"(?:\bC|_c)(\d+)(?!\d)", text)}
    for first, last in re.findall(r"_c(\d+)_to_c(\d+)_", text):
        found.update(range(int(first), int(last) + 1))
    return found


def test_the_index_is_complete() -> None:
    assert list(ROWS) == list(range(1, 107))


@pytest.mark.parametrize("number", ROWS)
def test_each_number_is_held(number: int) -> None:
    held = ROWS[number]
    nodes = [each.strip("`") for each in held if each.startswith("`")]
    reasons = [each for each in held if not each.startswith("`")]
    assert nodes or all(len(reason.split()) > 4 for reason in reasons)
    if nodes:
        named = {found for node in nodes for found in numbers_in(source_of(node))}
        same = {92: 3, 93: 5}  # the same fault, counted twice
        assert number in named or same.get(number) in named, f"{nodes} do not say that they hold C{number}"


def test_behaviours_are_numbered_and_held() -> None:
    assert list(BEHAVIOURS) == list(range(1, len(BEHAVIOURS) + 1))
    for held in BEHAVIOURS.values():
        for node in held:
            assert source_of(node.strip("`"))
