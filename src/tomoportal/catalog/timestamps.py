"""Points in time: always UTC, on the wire as ``2023-06-01T00:00:00+00:00``."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import Dialect, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

__all__ = ["Timestamp", "parse_timestamp", "wire_timestamp"]

_INCOMPLETE = re.compile(r"(\d{4})(?:-(\d{2}))?")


def parse_timestamp(text: str) -> datetime:
    """ISO 8601 date or date and time → UTC; without an offset it is UTC; an incomplete date is its first instant.

    Raises ``ValueError``.
    """
    if incomplete := _INCOMPLETE.fullmatch(text):
        return datetime(int(incomplete[1]), int(incomplete[2] or 1), 1, tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.combine(date.fromisoformat(text), time())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def wire_timestamp(moment: datetime) -> str:
    """The text on the wire. In this form the order of texts is the order of times."""
    return moment.astimezone(UTC).isoformat()


class Timestamp(TypeDecorator[datetime]):
    """A time as the wire's own text, which sorts like the time; the same in every database."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text(collation="C") if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else wire_timestamp(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)
