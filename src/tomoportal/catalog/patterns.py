"""Text patterns of filters: SQL ``LIKE`` and regular expressions, checked before they reach the database.

Patterns come from strangers: regular expressions run in RE2, whose time is linear in the text; a ``LIKE`` with many
``%`` would backtrack in the database and runs there too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import re2

from tomoportal.errors import QueryError

__all__ = [
    "check_like",
    "check_regex",
    "compile_regex",
    "glob_of_like",
    "is_cheap_like",
    "posix_of_like",
    "posix_of_regex",
    "regex_of_like",
]

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


_POSIX_CLASSES = frozenset("dDsSwWntrfv")
_POSIX_ANCHORS = {"b": "\\y", "B": "\\Y", "A": "\\A", "z": "\\Z"}
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_MOST_REPEATS = 255


def posix_of_regex(pattern: str) -> str:
    """The same regular expression for PostgreSQL. Raises :class:`QueryError` for what it cannot say."""
    parts: list[str] = []
    at, inside = 0, False
    while at < len(pattern):
        character, rest = pattern[at], pattern[at + 1 : at + 2]
        piece, length = character, 1
        if character == "\\":
            piece, length = _posix_escape(rest, pattern, inside), 2
        elif inside:
            if character == "[" and (end := pattern.find(":]", at)) > 0 and rest == ":":
                piece, length = pattern[at : end + 2], end + 2 - at
            elif character == "[":
                piece = "\\["
            inside = character != "]"
        elif character == "[":
            # A bracket that comes first is a member of the class.
            first = re.compile(r"\[\^?\]?").match(pattern, at)
            assert first is not None
            piece, length, inside = first[0].replace("]", "\\]"), len(first[0]), True
        elif character == "{":
            found = _REPEAT.match(pattern, at)
            piece, length = (found[0], len(found[0])) if found else ("\\{", 1)
            if found and max(int(number) for number in found.groups() if number) > _MOST_REPEATS:
                raise QueryError(f"the pattern {pattern!r} repeats something more than {_MOST_REPEATS} times")
        elif character == "(" and rest == "?":
            piece, length = _posix_group(pattern, at)
        parts.append(piece)
        at += length
    return "".join(parts)


def _posix_escape(letter: str, pattern: str, inside: bool) -> str:
    if not letter.isalnum() or letter in _POSIX_CLASSES:
        return f"\\{letter}"
    if letter in _POSIX_ANCHORS and not inside:
        return _POSIX_ANCHORS[letter]
    raise QueryError(f"the database does not know \\{letter} in the pattern {pattern!r}")


def _posix_group(pattern: str, at: int) -> tuple[str, int]:
    if pattern.startswith("(?:", at):
        return "(?:", 3
    if at == 0 and pattern.startswith("(?i)"):
        return "(?i)", 4
    if (named := re.compile(r"\(\?P?<\w+>").match(pattern, at)) is not None:
        return "(", len(named[0])
    raise QueryError(f"the database does not know the kind of group at {pattern[at : at + 4]!r} in {pattern!r}")


def posix_of_like(pattern: str) -> str:
    """A ``LIKE`` pattern as a regular expression for PostgreSQL in which letters stand for all their cases."""
    parts = (".*" if token is _ANY else "." if token is _ONE else _cases(str(token)) for token in _tokens(pattern))
    return f"^{''.join(parts)}$"


def _cases(character: str) -> str:
    upper, lower = character.upper(), character.lower()
    found = {one for one in (character, upper, lower, upper.lower(), lower.upper()) if len(one) == 1}
    if len(found) > 1:
        return f"[{''.join(sorted(found))}]"
    return character if character.isalnum() or not character.isascii() else f"\\{character}"
