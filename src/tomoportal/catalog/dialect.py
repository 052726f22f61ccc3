"""What differs between databases in the SQL that answers a GraphQL request.

The compiler writes plain SQL with names from the model and values as parameters; everything that SQLite and
PostgreSQL say differently is a method here. A JSON text in the making is a list of parts: literal text, or
:class:`Sql` for an expression whose value is JSON text.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from tomoportal.catalog.addresses import ESCAPED
from tomoportal.catalog.patterns import glob_of_like, is_cheap_like, regex_of_like
from tomoportal.catalog.timestamps import wire_timestamp
from tomoportal.model.entities import Field

if TYPE_CHECKING:
    from tomoportal.catalog.statement import Source

__all__ = ["Dialect", "Part", "Sql", "Sqlite", "text_literal", "written_in_address"]

_MAX_ARGUMENTS = 120  # SQLite allows 127 per function call
_MAX_OBJECT = _MAX_ARGUMENTS // 2


@dataclass(frozen=True, slots=True)
class Sql:
    """An SQL expression that yields JSON text; ``nested``: a subquery, never null."""

    text: str
    nested: bool = False


Part = str | Sql


class Bind(Protocol):
    """Adds a value to the parameters of a statement and returns its placeholder."""

    def __call__(self, value: object) -> str: ...


class Dialect(Protocol):
    """The operations that a database must offer; ``Sqlite`` is the one that is always there."""

    name: str
    numbered: bool
    """Whether the rows of a page must carry their index ``i``."""

    def placeholder(self, name: str) -> str: ...
    def value(self, value: object) -> object: ...
    def address(self, column: str, kind: str) -> str: ...
    def scalar(self, expression: str, field: Field) -> Sql: ...
    def scalar_object(self, members: Sequence[tuple[str, str, Field]]) -> Sql | None: ...
    def text(self, parts: Sequence[Part]) -> str: ...
    def rows(self, text: str) -> str: ...
    def edges(self, text: str, page: str, alias: str, child: Source) -> Sql: ...
    def optional(self, text: str, source: str) -> Sql: ...
    def answer(self, text: str) -> str: ...
    def contains(self, expression: str, values: Sequence[object], bind: Bind) -> str: ...
    def like(self, expression: str, pattern: str, ignore_case: bool, bind: Bind) -> str: ...
    def regex(self, expression: str, pattern: str, ignore_case: bool, bind: Bind) -> str: ...
    def global_id(self, type_name: str, identifier: str) -> Sql: ...
    def opaque(self, text: str) -> Sql: ...
    def rounded(self, expression: str) -> str: ...
    def least(self, *expressions: str) -> str: ...
    def greatest(self, *expressions: str) -> str: ...


def text_literal(text: str) -> str:
    """``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def written_in_address(key: str, position: str, percent: str) -> str:
    """Expression for an archive key in an https address; most keys stay as they are, which is found out first.

    ``position`` is the database's function for the place of a text in another, ``percent`` its literal for ``%``.
    """
    literals = {character: percent if character == "%" else text_literal(character) for character in ESCAPED}
    replaced = key
    for character, literal in literals.items():
        replaced = f"replace({replaced},{literal},{percent}||'{ord(character):X}')"
    found = "+".join(f"{position}({key},{literal})" for literal in literals.values())
    return f"CASE {found} WHEN 0 THEN {key} ELSE {replaced} END"


class Sqlite:
    """SQLite 3.38 or newer, with the functions of ``sqlite_functions``.

    The parser of SQLite before 3.46 has a stack of 100 entries, which bounds how deep a selection can be. So objects
    are put together with ``printf``, but nested subqueries stand between ``||``, where they take the fewest entries;
    a missing row is replaced by a second arm, which the parser sees after the nested part.
    """

    name = "sqlite"
    numbered = False
    _HAVING_ALONE = sqlite3.sqlite_version_info >= (3, 39)

    def placeholder(self, name: str) -> str:
        return f":{name}"

    def value(self, value: object) -> object:
        """A Python value as the driver stores it."""
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, datetime):
            return wire_timestamp(value)
        return value

    def address(self, column: str, kind: str) -> str:
        """The address on the wire (``kind`` ``s3`` or ``https``) of a stored path; see ``addresses``."""
        foreign, path = f"substr({column},2,instr({column},char(10))-2)", column
        if kind == "https":
            foreign = f"substr({column},instr({column},char(10))+1)"
            path = written_in_address(column, "instr", "'%'")
        return f"CASE substr({column},1,1) WHEN '/' THEN nullif({foreign},'') ELSE :{kind}_base||{path} END"

    def scalar(self, expression: str, field: Field) -> Sql:
        """JSON of one value."""
        kind = field.type
        if kind == "Float":
            return Sql(f"json_float({expression})")
        if kind == "Boolean":
            return Sql(f"CASE {expression} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END")
        if kind == "Int" and field.required:
            return Sql(expression)
        if kind in {"Int", "Matrix"}:
            return Sql(f"ifnull({expression},'null')")
        return Sql(f"json_quote({expression})")

    def scalar_object(self, members: Sequence[tuple[str, str, Field]]) -> Sql | None:
        """JSON of an object of scalars only, ``(key, expression, field)`` each, or None if there are too many."""
        if not 0 < len(members) <= _MAX_OBJECT:
            return None
        pairs = []
        for key, expression, field in members:
            if field.type in {"Float", "Boolean", "Matrix"}:
                expression = f"json({self.scalar(expression, field).text})"
            pairs.append(f"{text_literal(key)},{expression}")
        return Sql(f"json_object({','.join(pairs)})")

    def text(self, parts: Sequence[Part]) -> str:
        """One expression for the JSON text of ``parts``."""
        pieces: list[str] = []
        template, arguments = "", list[str]()

        def flush() -> None:
            nonlocal template, arguments
            if template:
                pieces.append(_printf(template, arguments))
            template, arguments = "", []

        for part in parts:
            if isinstance(part, str):
                template += part.replace("%", "%%")
                continue
            if part.nested or len(arguments) == _MAX_ARGUMENTS:
                flush()
            if part.nested:
                pieces.append(part.text)
                continue
            template += "%s"
            arguments.append(part.text)
        flush()
        return "||".join(pieces)

    def rows(self, text: str) -> str:
        """Aggregate: JSON texts joined by commas, in the order in which the rows come; null if there is no row."""
        return f"group_concat({text})"

    def edges(self, text: str, page: str, alias: str, child: Source) -> Sql:
        """Rows of ``child`` with the ids of the subquery ``page`` (as ``alias``), joined by commas in its order."""
        # A CROSS JOIN keeps the order of the first table.
        source = f"({page}) {alias} CROSS JOIN {child.clause} ON {child.id} = {alias}.id"
        if self._HAVING_ALONE:
            arms = f"SELECT {self.rows(text)} FROM {source} HAVING count(*) > 0 UNION ALL SELECT ''"
            return Sql(f"({arms})", nested=True)
        return Sql(f"(SELECT ifnull({self.rows(text)},'') FROM {source})", nested=True)

    def optional(self, text: str, source: str) -> Sql:
        """The one row of ``source``, or ``null`` if there is none."""
        return Sql(f"(SELECT {text} FROM {source} UNION ALL SELECT 'null')", nested=True)

    def answer(self, text: str) -> str:
        """The column of the outermost SELECT: bytes, which spares decoding."""
        return f"CAST({text} AS BLOB)"

    def contains(self, expression: str, values: Sequence[object], bind: Bind) -> str:
        """``expression IN values``; one parameter for any number of values."""
        plain = [self.value(value) for value in values]
        # As JSON numbers would be read less exactly, and texts with NUL not at all.
        if any(isinstance(value, float) or (isinstance(value, str) and "\0" in value) for value in plain):
            return f"{expression} IN ({','.join(bind(value) for value in plain)})"
        return f"{expression} IN (SELECT value FROM json_each({bind(json.dumps(plain))}))"

    def like(self, expression: str, pattern: str, ignore_case: bool, bind: Bind) -> str:
        """SQL ``LIKE`` with backslash as escape; ``pattern`` was checked by ``patterns.check_like``."""
        if not is_cheap_like(pattern) or (ignore_case and not pattern.isascii()):
            return self.regex(expression, regex_of_like(pattern), ignore_case, bind)
        if ignore_case:
            return f"{expression} LIKE {bind(pattern)} ESCAPE '\\'"
        return f"{expression} GLOB {bind(glob_of_like(pattern))}"

    def regex(self, expression: str, pattern: str, ignore_case: bool, bind: Bind) -> str:
        """Unanchored search in bounded time; ``pattern`` was checked by ``patterns.check_regex``."""
        return f"regex_search({bind(pattern)},{expression},{int(ignore_case)})"

    def global_id(self, type_name: str, identifier: str) -> Sql:
        return Sql(f"json_quote(base64_text({text_literal(type_name + ':')}||{identifier}))")

    def opaque(self, text: str) -> Sql:
        """A cursor: the base64 of a text."""
        return Sql(f"json_quote(base64_text({text}))")

    def rounded(self, expression: str) -> str:
        """To the nearest integer, halves up."""
        return f"round_half_up({expression})"

    def least(self, *expressions: str) -> str:
        return f"min({','.join(expressions)})"

    def greatest(self, *expressions: str) -> str:
        return f"max({','.join(expressions)})"


def _printf(template: str, arguments: Sequence[str]) -> str:
    if template == "%s":
        return f"ifnull({arguments[0]},'')"
    return f"printf({','.join([text_literal(template), *arguments])})"
