"""The SQL that answers a GraphQL request, as PostgreSQL says it; the answers equal those of SQLite.

All texts have the collation ``C``, so they compare by code point and only ASCII letters have a case; patterns with
other letters name both cases themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from tomoportal.catalog.dialect import Bind, Part, Sql, text_literal, written_in_address
from tomoportal.catalog.patterns import posix_of_like, posix_of_regex
from tomoportal.catalog.timestamps import wire_timestamp
from tomoportal.errors import QueryError
from tomoportal.model.entities import Field

if TYPE_CHECKING:
    from tomoportal.catalog.statement import Source

__all__ = ["Postgres"]

_MAX_ARGUMENTS = 90  # of a function; the limit of the server is 100
_CODE_POINTS = 170000  # first version with collations that know all letters and need no library


class Postgres:
    """PostgreSQL 14 or newer, asked through psycopg."""

    name = "postgresql"
    numbered = True

    def __init__(self, version: int) -> None:
        self._letters = '"pg_c_utf8"' if version >= _CODE_POINTS else '"default"'

    def placeholder(self, name: str) -> str:
        return f"%({name})s"

    def value(self, value: object) -> object:
        """A Python value as the driver takes it. Raises :class:`QueryError` for a text with NUL."""
        if isinstance(value, datetime):
            return wire_timestamp(value)
        if isinstance(value, str) and "\0" in value:
            raise QueryError("a text holds the character NUL, which occurs nowhere in the catalog")
        return value

    def address(self, column: str, kind: str) -> str:
        """The address on the wire (``kind`` ``s3`` or ``https``) of a stored path; see ``addresses``."""
        foreign, path = f"substr(split_part({column},chr(10),1),2)", column
        if kind == "https":
            foreign = f"substr({column},strpos({column},chr(10))+1)"
            path = written_in_address(column, "strpos", "'%%'")
        return f"CASE left({column},1) WHEN '/' THEN nullif({foreign},'') ELSE %({kind}_base)s||{path} END"

    def scalar(self, expression: str, field: Field) -> Sql:
        """JSON of one value."""
        match field.type:
            case "Boolean":
                return Sql(f"CASE {expression} WHEN true THEN 'true' WHEN false THEN 'false' ELSE 'null' END")
            case "Int" | "Float" | "Matrix":
                text = f"({expression})::text"
            case "Enum" | "DateTime":
                text = f"""'"'||{expression}||'"'"""
            case _:
                text = f"to_json({expression})::text"
        return Sql(text if field.required else f"coalesce({text},'null')")

    def scalar_object(self, members: Sequence[tuple[str, str, Field]]) -> Sql | None:
        """Objects of scalars need no form of their own."""
        return None

    def text(self, parts: Sequence[Part]) -> str:
        """One expression for the JSON text of ``parts``; null parts vanish."""
        arguments = list(_merged(parts))
        pieces = [arguments[start : start + _MAX_ARGUMENTS] for start in range(0, len(arguments), _MAX_ARGUMENTS)]
        return "||".join(f"concat({','.join(piece)})" for piece in pieces)

    def rows(self, text: str) -> str:
        """Aggregate: JSON texts joined by commas, in the order in which the rows come; null if there is no row."""
        return f"string_agg({text},',')"

    def edges(self, text: str, page: str, alias: str, child: Source) -> Sql:
        """Rows of ``child`` with the ids of the subquery ``page`` (as ``alias``), joined by commas in its order."""
        # OFFSET 0 keeps the planner from joining the whole table to a page of it.
        row = f"SELECT {text} AS j FROM {child.clause} WHERE {child.id} = {alias}.id OFFSET 0"
        source = f"({page}) {alias} CROSS JOIN LATERAL ({row}) {alias}r"
        return Sql(f"(SELECT string_agg({alias}r.j,',' ORDER BY {alias}.i) FROM {source})", nested=True)

    def optional(self, text: str, source: str) -> Sql:
        """The one row of ``source``, or ``null`` if there is none."""
        return Sql(f"coalesce((SELECT {text} FROM {source}),'null')", nested=True)

    def answer(self, text: str) -> str:
        """The column of the outermost SELECT: bytes, which spares decoding."""
        return f"convert_to({text},'UTF8')"

    def contains(self, expression: str, values: Sequence[object], bind: Bind) -> str:
        """``expression IN values``; one parameter for any number of values."""
        return f"{expression} = ANY({bind([self.value(value) for value in values])})"

    def like(self, expression: str, pattern: str, ignore_case: bool, bind: Bind) -> str:
        """SQL ``LIKE`` with backslash as escape; ``pattern`` was checked by ``patterns.check_like``."""
        if ignore_case and not pattern.isascii():
            return f"{expression} ~ {bind(posix_of_like(pattern))}"
        return f"{expression} {'ILIKE' if ignore_case else 'LIKE'} {bind(pattern)}"

    def regex(self, expression: str, pattern: str, ignore_case: bool, bind: Bind) -> str:
        """Unanchored search; ``pattern`` was checked by ``patterns.check_regex``."""
        if ignore_case and not pattern.isascii():
            expression = f"({expression}) COLLATE {self._letters}"
        return f"{expression} {'~*' if ignore_case else '~'} {bind(posix_of_regex(pattern))}"

    def global_id(self, type_name: str, identifier: str) -> Sql:
        return Sql(_base64(f"{text_literal(type_name + ':')}||{identifier}"))

    def opaque(self, text: str) -> Sql:
        """A cursor: the base64 of a text."""
        return Sql(_base64(text))

    def rounded(self, expression: str) -> str:
        """To the nearest integer, halves up."""
        return f"floor(({expression})::double precision+0.5)::bigint"

    def least(self, *expressions: str) -> str:
        return f"least({','.join(expressions)})"

    def greatest(self, *expressions: str) -> str:
        return f"greatest({','.join(expressions)})"


def _merged(parts: Sequence[Part]) -> Iterator[str]:
    """Arguments of ``concat``; neighbouring literals become one."""
    literal = ""
    for part in parts:
        if isinstance(part, str):
            literal += part
            continue
        if literal:
            yield text_literal(literal)
            literal = ""
        yield part.text
    if literal:
        yield text_literal(literal)


def _base64(text: str) -> str:
    # `encode` breaks the line after 76 characters.
    return f"""'"'||translate(encode(convert_to({text},'UTF8'),'base64'),chr(10),'')||'"'"""
