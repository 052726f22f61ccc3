from __future__ import annotations

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import ConfigError
from tomoportal.ingest.lines import format_path, load_yaml, parse_path

TEXT = """\
base: &base
  a: 1
  b: [x, y]
derived:
  <<: *base
  b: z
date: 2023-04-01
list:
- k: v
- 2.5
"""


def test_values_are_those_of_pyyaml_but_for_dates() -> None:
    data = load_yaml(TEXT, "c.yaml").data
    expected = yaml.safe_load(TEXT) | {"date": "2023-04-01"}
    assert data == expected
    assert list(data["derived"]) == ["a", "b"]


def test_every_value_has_its_line() -> None:
    placed = load_yaml(TEXT, "c.yaml")
    assert placed.place("derived.a") == "c.yaml:2 (derived.a)"  # where the merged value stands
    assert placed.place("derived.b") == "c.yaml:6 (derived.b)"
    assert placed.place(("list", 1)) == "c.yaml:10 (list[1])"
    assert placed.place("list[0].missing.deeper") == "c.yaml:9 (list[0].missing.deeper)"


def test_duplicate_keys_are_problems_with_both_lines() -> None:
    placed = load_yaml("a: 1\nb:\n  c: 1\n  c: 2\n", "c.yaml")
    (problem,) = placed.problems
    assert problem.where == "c.yaml:4 (b.c)"
    assert "first on line 3" in problem.what


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: [1, 2\nb: 3\n", "c.yaml:2"),
        ("a: 'x\n", "c.yaml"),
        ("a: *nothing\n", "c.yaml:1"),
        ("", "c.yaml"),
        ("a:\n\t- 1\n", "c.yaml:2"),
    ],
)
def test_what_is_not_yaml_says_where(text: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml(text, "c.yaml")
    assert caught.value.problems[0].where.startswith(where)


def test_undecodable_bytes_are_a_problem_not_a_crash() -> None:
    with pytest.raises(ConfigError):
        load_yaml(b"a: \xff\xfe\x00", "c.yaml")


def test_aliases_that_expand_without_bound_are_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    with pytest.raises(ConfigError, match="expand"):
        load_yaml(bomb, "c.yaml")


def test_an_alias_of_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="contains it"):
        load_yaml("a: &a [*a]\n", "c.yaml")


_KEYS = st.text(string.ascii_letters, min_size=1, max_size=5)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(string.printable, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4))
def test_whatever_yaml_writes_is_read_back(data: dict[str, object]) -> None:
    text = yaml.safe_dump(data, sort_keys=False)
    placed = load_yaml(text, "c.yaml")
    assert placed.data == yaml.safe_load(text)
    assert not placed.problems


@given(st.lists(_KEYS | st.integers(0, 99), min_size=1, max_size=5).filter(lambda path: isinstance(path[0], str)))
def test_paths_survive_the_round_trip(path: list[str | int]) -> None:
    assert parse_path(format_path(tuple(path))) == tuple(path)
