"""Alternatives of values: what they take, what they say, and that a union gives one error."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from tomoportal.model.values import (
    REFUSED,
    Alternative,
    Anything,
    Choice,
    Day,
    Matrix,
    Model,
    Number,
    Permit,
    Text,
    Truth,
    describe,
)

PLACEHOLDER = Text("placeholder", r"^float[ ]*\{[a-z]+\}$", "float {column}")


class Example(Model):
    angle: Annotated[float | str, Permit(Number(-90, 90, "°"), PLACEHOLDER)]
    flag: Annotated[bool, Permit(Truth())] | None = None
    days: list[Annotated[datetime.date, Permit(Day())]] = Field(default_factory=list)


@pytest.mark.parametrize(
    ("alternative", "value", "taken"),
    [
        (Number(), 1, 1),
        (Number(), -0.5, -0.5),
        (Number(whole=True), 4.0, 4),
        (Number(0, 1), 0, 0),
        (Number(0, 1), 1, 1),
        (Text(), "", ""),
        (Text("x", "^a+$"), "aa", "aa"),
        (Text("x", "^a+$", "a", "https?://h/"), "https://h/aa", "aa"),
        (Choice("a", "b"), "b", "b"),
        (Choice("YES", aliases={"True": "YES"}), True, "YES"),
        (Choice("YES", aliases={"True": "YES"}), "True", "YES"),
        (Truth(), False, False),
        (Day(), "2024-02-29", datetime.date(2024, 2, 29)),
        (Day(), datetime.date(2024, 2, 29), datetime.date(2024, 2, 29)),
        (Matrix(1, 2), [[1, 2.5]], [[1, 2.5]]),
        (Anything(), None, None),
    ],
)
def test_taken(alternative: Alternative, value: Any, taken: Any) -> None:
    result = alternative.take(value)
    assert result == taken
    assert type(result) is type(taken)


@pytest.mark.parametrize(
    ("alternative", "value"),
    [
        (Number(), "1"),
        (Number(), True),
        (Number(), float("nan")),
        (Number(), float("inf")),
        (Number(), None),
        (Number(0), -1e-9),
        (Number(0, 1), 1.001),
        (Number(whole=True), 4.5),
        (Text(), 1),
        (Text("x", "^a+$"), "ab"),
        (Text("x", "^a+$"), "aa\n"),
        (Text("x", "^a+$"), " aa"),
        (Choice("a"), "A"),
        (Choice("1"), 1),
        (Choice("a"), ["a"]),
        (Truth(), 1),
        (Truth(), "true"),
        (Day(), "2023-02-29"),
        (Day(), "20240229"),
        (Day(), "2024-02-29T00:00:00"),
        (Day(), datetime.datetime(2024, 2, 29)),
        (Day(), 1),
        (Matrix(2, 2), [[1, 2], [3]]),
        (Matrix(2, 2), [[1, 2], [3, "4"]]),
        (Matrix(2, 2), [1, 2]),
    ],
)
def test_refused(alternative: Alternative, value: Any) -> None:
    assert alternative.take(value) is REFUSED


def test_a_union_gives_one_error_in_one_line() -> None:
    """F68: a number or a placeholder."""
    with pytest.raises(ValidationError) as caught:
        Example.model_validate({"angle": "steep"})
    (error,) = caught.value.errors()
    assert error["loc"] == ("angle",)
    assert error["msg"] == "must be a number from -90 to 90 (°) or a placeholder such as float {column}"


def test_a_union_keeps_what_it_was_given() -> None:
    assert Example(angle=3).angle == 3
    assert Example(angle="float {a}").angle == "float {a}"
    assert Example.model_validate({"angle": 0, "days": ["2024-02-29"]}).days == [datetime.date(2024, 2, 29)]
    assert Example(angle=3, flag=None).model_dump_json(exclude_none=True) == '{"angle":3,"days":[]}'


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Example.model_validate({"angle": 1, "angel": 2})


@pytest.mark.parametrize(
    ("alternatives", "text"),
    [
        ([Choice("a", "b"), Choice("b", "c")], "one of a, b, c"),
        ([Number(0), PLACEHOLDER, PLACEHOLDER], "a number of at least 0 or a placeholder such as float {column}"),
        ([Text("the word", "^unknown$", "unknown"), Text("the word", "^no$", "no")], "the word unknown or the word no"),
        ([Text("GO term", "^g$", "g"), Text("ORCID", "^o$", "o")], "a GO term such as g or an ORCID such as o"),
        ([Number(maximum=5, whole=True)], "a whole number of at most 5"),
        ([Matrix(2, 2)], "a 2×2 matrix of numbers, as a list of rows"),
    ],
)
def test_descriptions(alternatives: list[Alternative], text: str) -> None:
    assert describe(alternatives) == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-100, 100), st.floats(0, 100))
def test_bounds_are_inclusive_and_exact(value: float, low: float, width: float) -> None:
    number = Number(low, low + width)
    assert (number.take(value) is not REFUSED) == (low <= value <= low + width)
    assert number.take(low) == low
    assert number.take(low + width) == low + width
