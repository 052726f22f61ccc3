"""Functions that the queries need and SQLite does not have."""

from __future__ import annotations

import base64
import math
import sqlite3
from collections.abc import Callable
from functools import lru_cache

from tomoportal.catalog.patterns import compile_regex

__all__ = ["add_functions"]


def add_functions(connection: sqlite3.Connection) -> None:
    """Make the functions known to one connection."""

    @lru_cache(maxsize=64)
    def compiled(pattern: str, ignore_case: int) -> Callable[[str], object]:
        search: Callable[[str], object] = compile_regex(pattern, ignore_case=bool(ignore_case)).search
        return search

    def regex_search(pattern: str, text: object, ignore_case: int) -> int | None:
        return None if text is None else compiled(pattern, ignore_case)(str(text)) is not None

    connection.create_function("regex_search", 3, regex_search, deterministic=True)
    connection.create_function("json_float", 1, _json_float, deterministic=True)
    connection.create_function("base64_text", 1, _base64_text, deterministic=True)
    connection.create_function("round_half_up", 1, _round_half_up, deterministic=True)
    connection.create_aggregate("var_samp", 1, _Variance)  # type: ignore[arg-type]
    connection.create_aggregate("stddev_samp", 1, _Deviation)  # type: ignore[arg-type]


def _json_float(value: float | None) -> str:
    # SQLite writes 15 digits; repr gives the shortest text that reads back as the same double.
    return "null" if value is None or not math.isfinite(value) else repr(float(value))


def _base64_text(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _round_half_up(value: float | None) -> int | None:
    return None if value is None else math.floor(value + 0.5)


class _Variance:
    """Variance of a sample (n − 1), two passes; null for fewer than two values."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def step(self, value: float | None) -> None:
        if value is not None:
            self.values.append(value)

    def finalize(self) -> float | None:
        if len(self.values) < 2:
            return None
        mean = math.fsum(self.values) / len(self.values)
        return math.fsum((value - mean) ** 2 for value in self.values) / (len(self.values) - 1)


class _Deviation(_Variance):
    def finalize(self) -> float | None:
        variance = super().finalize()
        return None if variance is None else math.sqrt(variance)
