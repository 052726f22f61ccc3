"""Time stamps without a clock: midnight UTC of the date that the config gives an entity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

__all__ = ["latest_date", "stamp"]


def stamp(value: Any, default: int = 0) -> int:
    """Unix seconds of midnight UTC of an ISO date; ``default`` when there is none."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value.strip())
        except ValueError:
            return default
    if not isinstance(value, date):
        return default
    return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp())


def latest_date(data: Any) -> int:
    """The latest date under any ``dates`` of a config, as a stamp; 0 without one."""
    return max((stamp(value) for dates in _dates(data) for value in dates.values()), default=0)


def _dates(data: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key == "dates" and isinstance(value, Mapping):
                yield value
            else:
                yield from _dates(value)
    elif isinstance(data, list):
        for value in data:
            yield from _dates(value)
