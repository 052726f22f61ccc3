"""Ids with prefixes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import SettingsError
from tomoportal.model import format_id, parse_id
from tomoportal.model.entities import ENTITIES
from tomoportal.model.ids import PREFIXES

NUMBERS = st.integers(0, 2**31 - 1)
CASES = st.sampled_from([str.lower, str.upper, str.title])


@given(st.sampled_from(sorted(PREFIXES)), NUMBERS, CASES, st.sampled_from(["", " ", "\t"]))
def test_round_trip_in_any_case(kind: str, number: int, case: object, space: str) -> None:
    text = space + case(format_id(kind, number)) + space  # type: ignore[operator]
    assert parse_id(text) == (kind, number)
    assert parse_id(text, kind) == (kind, number)


@given(NUMBERS)
def test_bare_numbers(number: int) -> None:
    assert parse_id(number) == (None, number)
    assert parse_id(str(number)) == (None, number)
    assert parse_id(f"00{number}", "Run") == ("Run", number)


@given(st.text() | st.text("DSRNTALMCZPdsrn-0123456789 x", max_size=14))
def test_an_id_or_one_error(text: str) -> None:
    found = re.fullmatch("((CZCDP|DS|RN|TS|AL|TM|AN)-)?([0-9]+)", text.strip(), re.IGNORECASE | re.ASCII)
    if found and int(found[3]) < 2**31:
        kind, number = parse_id(text)
        assert number == int(found[3])
        assert (kind is None) == (found[1] is None)
    else:
        with pytest.raises(SettingsError, match="is not an id") as caught:
            parse_id(text)
        assert caught.value.fix == "write a number or CZCDP-123, DS-123, RN-123, TS-123, AL-123, TM-123, AN-123"


def test_prefixes_belong_to_entities() -> None:
    assert set(PREFIXES) <= set(ENTITIES)
    assert format_id("Deposition", 10301) == "CZCDP-10301"
    assert format_id("Dataset", 10000) == "DS-10000"
    assert format_id("Frame", 7) == "7"


@pytest.mark.parametrize("text", ["", "DS", "DS-", "DS 1", "XX-1", "-1", "1.0", "DS-1-2", "2147483648", "DS-٣"])
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        parse_id(text)


def test_another_entity_is_refused() -> None:
    with pytest.raises(SettingsError, match="id of a run, not of a dataset") as caught:
        parse_id("RN-5", "Dataset")
    assert caught.value.fix == "write DS-5 if that is the one you mean"
