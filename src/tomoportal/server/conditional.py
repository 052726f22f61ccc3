"""Conditional requests and byte ranges (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime

__all__ = [
    "UnsatisfiableRangeError",
    "compressed_etag",
    "http_date",
    "is_unchanged",
    "parse_range",
    "precondition_holds",
    "range_applies",
    "requested_range",
]

_SINGLE_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE)
_GZIP_MARK = "-gz"


class UnsatisfiableRangeError(ValueError):
    """The requested range has no byte in common with the file: status 416."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The half-open interval ``(start, stop)`` of bytes that a ``Range`` header asks for of a file of ``size`` bytes.

    ``None`` means the whole file: no header, another unit, a malformed header, or several ranges (a server may answer
    those with the whole file, section 14.2). Raises :class:`UnsatisfiableRangeError` when no byte of the range exists.
    """
    match = _SINGLE_RANGE.fullmatch(header or "")
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        if int(last) == 0 or size == 0:
            raise UnsatisfiableRangeError
        return max(size - int(last), 0), size
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise UnsatisfiableRangeError
    return start, min(int(last) + 1, size) if last else size


def requested_range(header: str | None) -> tuple[int, int | None]:
    """What a ``Range`` header asks for of a file whose size is not known yet: ``(start, stop)``, open at the end.

    A negative start counts from the end; whatever :func:`parse_range` would not answer with a range is the whole file.
    """
    match = _SINGLE_RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return 0, None
    first, last = match.groups()
    if not first:
        return -int(last), None
    if last and int(last) < int(first):
        return 0, None
    return int(first), int(last) + 1 if last else None


def http_date(timestamp: float) -> str:
    """Seconds since 1970 as an HTTP date; HTTP knows whole seconds only."""
    return formatdate(int(timestamp), usegmt=True)


def precondition_holds(headers: Mapping[str, str], etag: str, modified: float) -> bool:
    """Whether ``If-Match`` allows the answer; S3 clients send it to keep the parts of one download together.

    Without it, ``If-Unmodified-Since`` decides.
    """
    wanted = headers.get("if-match")
    if wanted is not None:
        return wanted.strip() == "*" or _listed(wanted, etag, weak=False)
    until = _timestamp(headers.get("if-unmodified-since"))
    return until is None or int(modified) <= until


def is_unchanged(headers: Mapping[str, str], etag: str, modified: float | None = None) -> bool:
    """Whether the client's copy is still right: status 304. ``If-None-Match`` silences ``If-Modified-Since``."""
    known = headers.get("if-none-match")
    if known is not None:
        return known.strip() == "*" or _listed(known, etag, weak=True)
    since = _timestamp(headers.get("if-modified-since"))
    return since is not None and modified is not None and int(modified) <= since


def range_applies(headers: Mapping[str, str], etag: str, modified: float) -> bool:
    """Whether ``If-Range`` lets the range be answered; otherwise the client gets the whole new file."""
    condition = headers.get("if-range")
    if condition is None:
        return True
    if condition.strip().startswith(('"', "W/")):
        return _listed(condition, etag, weak=False)
    return _timestamp(condition) == int(modified)


def compressed_etag(etag: str) -> str:
    """The tag of the gzip form: other bytes, so another strong tag."""
    return f'{etag[:-1]}{_GZIP_MARK}"'


def _listed(header: str, etag: str, *, weak: bool) -> bool:
    own = etag.removeprefix("W/")
    for part in header.split(","):
        tag = part.strip()
        if tag.startswith("W/"):
            if not weak:
                continue
            tag = tag[2:]
        if tag == own or (weak and tag == compressed_etag(own)):
            return weak or not etag.startswith("W/")
    return False


def _timestamp(date: str | None) -> int | None:
    if not date:
        return None
    try:
        return int(parsedate_to_datetime(date.strip()).timestamp())
    except (ValueError, OverflowError):
        return None
