"""Text patterns of filters: SQL ``LIKE`` and regular expressions, checked before they reach the database.

Patterns come from strangers: regular expressions run in RE2, whose time is linear in the text; a ``LIKE`` with many
``%`` would backtrack in the database and runs there too.
"""

from __future__ import annotations

from collections.abc import Iterator

import re2

from tomoportal.errors import QueryError

__all__ = ["check_like", "check_regex", "compile_regex", "glob_of_like", "is_cheap_like", "regex_of_like"]

_ANY = object()
_ONE = object()
_CHEAP_WILDCARDS = 4
_LONGEST = 10_000
_MEMORY = 4 << 20


def check_regex(pattern: str, where: str) -> None:
    """Raise :class:`QueryError` for a pattern that cannot be searched for."""
    if len(pattern) > _LONGEST:
        raise QueryError(f"{where}: the pattern is longer than {_LONGEST} characters")
    try:
        compile_regex(pattern, ignore_case=False)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise QueryError(
            f"{where}: {pattern!r} is not a regular expression that can be searched for ({reason}); classes, anchors,"
            " groups, alternation, quantifiers, \\d \\w \\s are understood, back references and look-around are not"
        ) from error


def check_like(pattern: str, where: str) -> None:
    """Raise :class:`QueryError` for a pattern that ends in a lone escape character."""
    if len(pattern) > _LONGEST:
        raise QueryError(f"{where}: the pattern is longer than {_LONGEST} characters")
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        raise QueryError(f"{where}: the pattern {pattern!r} ends with the escape character; write \\\\ for a backslash")


def compile_regex(pattern: str, *, ignore_case: bool) -> re2.Regexp:
    """Compiled pattern; ``.`` matches a line feed and ``^ $`` the whole text only, as in PostgreSQL."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    options.dot_nl = True
    options.case_sensitive = not ignore_case
    return re2.compile(pattern, options)


def is_cheap_like(pattern: str) -> bool:
    """Whether the database's own matcher takes bounded time."""
    return sum(token is _ANY for token in _tokens(pattern)) <= _CHEAP_WILDCARDS


def glob_of_like(pattern: str) -> str:
    """The same pattern for SQLite's ``GLOB``, which minds case."""
    special = {"*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(
        "*" if token is _ANY else "?" if token is _ONE else special.get(str(token), str(token))
        for token in _tokens(pattern)
    )


def regex_of_like(pattern: str) -> str:
    """The same pattern as a regular expression over the whole text."""
    parts = (".*" if token is _ANY else "." if token is _ONE else re2.escape(str(token)) for token in _tokens(pattern))
    return f"^{''.join(parts)}$"


def _tokens(pattern: str) -> Iterator[object]:
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            yield next(characters, "\\")
        elif character == "%":
            yield _ANY
        elif character == "_":
            yield _ONE
        else:
            yield character
