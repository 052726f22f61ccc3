"""Which rows of a particle list ``filter_value`` asks for.

Lists that hold several tomograms, classes or filaments are cut by conditions: ``24`` (the list's default column, the
tomogram), ``class=3``, ``score>=0.3``, or several with commas between, all of which have to hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.rows import finite

__all__ = ["Condition", "Selectable", "parse_conditions", "selected"]

Selectable: TypeAlias = NDArray[np.float64] | Sequence[str]

_CONDITION = re.compile(r"\s*([A-Za-z_]\w*)\s*(>=|=)\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """``column`` equals ``value``, or is at least ``value``."""

    column: str
    value: str
    at_least: bool = False


def parse_conditions(filter_value: str | None, *, default: str) -> tuple[Condition, ...]:
    """The conditions of a filter; text without ``=`` is one value of the column ``default``, ``None`` no condition.

    Raises ``FormatError`` for a part that is no condition.
    """
    if filter_value is None:
        return ()
    if "=" not in filter_value:
        return (Condition(default, filter_value.strip()),)
    conditions = []
    for part in filter_value.split(","):
        match = _CONDITION.fullmatch(part)
        if match is None:
            raise FormatError(
                f"{part!r} in the filter {filter_value[:60]!r} is no condition.",
                fix="Write column=value or column>=number, with commas between several.",
            )
        conditions.append(Condition(match[1], match[3], match[2] == ">="))
    return tuple(conditions)


def selected(
    conditions: Sequence[Condition], columns: Mapping[str, Selectable], count: int, name: str
) -> NDArray[np.bool_]:
    """Mask (count,) of the rows for which every condition holds.

    A column of numbers is compared as numbers, so that ``7`` finds 7.000; text has to be equal. Raises ``FormatError``
    for an unknown column and for text where a number is needed.
    """
    mask = np.ones(count, np.bool_)
    for condition in conditions:
        if condition.column not in columns:
            raise FormatError(
                f"The filter names the column {condition.column}, which this file does not have.",
                where=name,
                fix=f"Use one of {', '.join(sorted(columns))}.",
            )
        values = columns[condition.column]
        if not isinstance(values, np.ndarray):
            if condition.at_least:
                raise FormatError(f"{condition.column} is text and cannot be compared with >=.", where=name)
            mask &= np.fromiter((value == condition.value for value in values), np.bool_, count)
            continue
        number = finite(condition.value)
        if number is None:
            raise FormatError(
                f"The filter compares {condition.column} with {condition.value[:60]!r}, which is no number.", where=name
            )
        mask &= values >= number if condition.at_least else values == number
    return mask
