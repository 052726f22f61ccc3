"""The root field ``search`` of the extended schema → one SQL statement.

A row is found if each word of the text occurs in its entry of the search index (``search``, ``search_rows``), or if
the text is its id. Its score adds up where each word stands: in a title or name, in an id, in the name of an author,
or elsewhere.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import orjson
from graphql import FieldNode

from tomoportal.catalog.arguments import sizes
from tomoportal.catalog.dialect import Part, Sql
from tomoportal.catalog.search_index import WORD, search_index_of
from tomoportal.catalog.search_rows import KINDS, ROWS
from tomoportal.errors import QueryError, SettingsError
from tomoportal.model.entities import Entity
from tomoportal.model.ids import parse_id

if TYPE_CHECKING:
    from tomoportal.catalog.compiler import Compiler, Path

__all__ = ["MAX_TEXT", "MAX_WORDS", "search_sql"]

MAX_TEXT = 300
"""Most characters of a text that is searched for."""
MAX_WORDS = 12

_SAME_ID = 100
_CURSOR = b"search:"


def search_sql(compiler: Compiler, nodes: Sequence[FieldNode], path: Path) -> str:
    """The statement of one ``search``: one row, the JSON of its connection."""
    return _Search(compiler, nodes[0]).sql(nodes, path)


class _Search:
    def __init__(self, compiler: Compiler, node: FieldNode) -> None:
        self.compiler = compiler
        self.dialect = compiler.dialect
        self.statement = compiler.statement
        arguments = compiler.request.arguments("Query", node)
        self.text: str = arguments["text"]
        if len(self.text) > MAX_TEXT:
            raise QueryError(f"search.text has {len(self.text)} characters; it may have at most {MAX_TEXT}")
        self.words: list[str] = list(dict.fromkeys(WORD.findall(normalize("NFC", self.text))))
        if len(self.words) > MAX_WORDS:
            raise QueryError(f"search.text has {len(self.words)} words; it may have at most {MAX_WORDS}")
        first, _ = sizes(arguments, "search", compiler.variant.most_rows)
        assert first is not None
        self.first = first
        types = arguments.get("types")
        self.kinds = [name for name in KINDS if types is None or name in types]
        after = arguments.get("after")
        self.after = None if after is None else _position(after)

    def sql(self, nodes: Sequence[FieldNode], path: Path) -> str:
        def value(name: str, key: str, group: list[FieldNode]) -> list[Part]:
            if name == "edges":
                return ["[", self._rows(self._edge(group, (*path, key, 0))), "]"]
            if name == "nodes":
                return ["[", self._rows([self._node(group, (*path, key, 0))]), "]"]
            if name == "totalCount":
                return [Sql("(SELECT count(*) FROM hit)", nested=True)]
            return self._page_info(group)

        answer = self.dialect.answer(self.dialect.text(self._record("SearchConnection", nodes, value)))
        after = "1=1" if self.after is None else self._later(self.after)
        order = "score DESC, kind, id"
        number = f"row_number() OVER (ORDER BY {order}) AS i"
        page = f"SELECT kind, id, score, {number} FROM hit WHERE {after} ORDER BY {order} LIMIT {self.first}"
        return f"WITH hit AS ({self._hits()}), page AS ({page}) SELECT {answer}"

    # --- what is found

    def _hits(self) -> str:
        """``kind``, ``id`` and ``score`` of each row that is found, seen by the viewer and of the wanted types."""
        arms = [*self._by_words(), *self._by_id()] or ["SELECT 0 AS kind, 0 AS id, 0 AS score WHERE 1=0"]
        wanted = [f"kind IN ({','.join(str(KINDS.index(name)) for name in self.kinds) or 'NULL'})"]
        for name in self.kinds:
            row = self.statement.source(self.compiler.graph.entities[name])
            for rule in self.statement.visible(row):
                seen = f"EXISTS (SELECT 1 FROM {row.clause} WHERE {row.id} = arm.id AND {rule})"
                wanted.append(f"(kind <> {KINDS.index(name)} OR {seen})")
        found = f"SELECT kind, id, score FROM ({' UNION ALL '.join(arms)}) arm WHERE {' AND '.join(wanted)}"
        return f"SELECT kind, id, max(score) AS score FROM ({found}) found GROUP BY kind, id"

    def _by_words(self) -> list[str]:
        if not self.words:
            return []
        index = search_index_of(self.dialect.name)
        arms = [
            f"SELECT number, {place} AS word, {weight} AS weight FROM ({select}) s{place}_{weight}"
            for place, word in enumerate(self.words)
            for select, weight in index.matches(word, self.statement.bind)
        ]
        best = f"SELECT number, word, max(weight) AS weight FROM ({' UNION ALL '.join(arms)}) w GROUP BY number, word"
        entry = (
            f"SELECT number, sum(weight) AS score FROM ({best}) b GROUP BY number HAVING count(*) = {len(self.words)}"
        )
        # Entries of datasets and depositions have even and odd numbers, topics of other rows negative ones.
        return [
            f"SELECT number & 1 AS kind, number / 2 AS id, score FROM ({entry}) e WHERE number > 0",
            f"SELECT r.kind, r.id, score FROM ({entry}) e JOIN {ROWS.name} r ON r.topic = number WHERE number < 0",
        ]

    def _by_id(self) -> list[str]:
        try:
            kind, number = parse_id(self.text)
        except SettingsError:
            return []
        found = []
        for entity in self._entities(kind):
            row = self.statement.source(entity)
            columns = f"{KINDS.index(entity.name)} AS kind, {row.id} AS id, {_SAME_ID} AS score"
            found.append(f"SELECT {columns} FROM {row.clause} WHERE {row.id} = {number}")
        return found

    def _entities(self, kind: str | None = None) -> list[Entity]:
        return [self.compiler.graph.entities[name] for name in self.kinds if kind in (None, name)]

    # --- the page

    def _later(self, position: tuple[int, int, int]) -> str:
        score, kind, number = position
        return f"(score < {score} OR (score = {score} AND (kind > {kind} OR (kind = {kind} AND id > {number}))))"

    def _rows(self, parts: Sequence[Part]) -> Sql:
        rows = self.dialect.rows(self.dialect.text(parts))
        return Sql(f"coalesce((SELECT {rows} FROM (SELECT * FROM page ORDER BY i) p),'')", nested=True)

    def _record(
        self, type_name: str, nodes: Sequence[FieldNode], value: Callable[[str, str, list[FieldNode]], list[Part]]
    ) -> list[Part]:
        return self.compiler.record(type_name, self.compiler.request.collect(type_name, nodes), value)

    def _edge(self, nodes: Sequence[FieldNode], path: Path) -> list[Part]:
        def value(name: str, key: str, group: list[FieldNode]) -> list[Part]:
            if name == "cursor":
                return [self._cursor("p")]
            return [Sql("p.score")] if name == "score" else [self._node(group, (*path, key))]

        return self._record("SearchEdge", nodes, value)

    def _node(self, nodes: Sequence[FieldNode], path: Path) -> Sql:
        arms = []
        for entity in self._entities():
            row = self.statement.source(entity)
            text = self.dialect.text(self.compiler.object_parts(row, nodes, path))
            found = f"(SELECT {text} FROM {row.clause} WHERE {row.id} = p.id)"
            arms.append(f"WHEN {KINDS.index(entity.name)} THEN {found}")
        return Sql(f"CASE p.kind {' '.join(arms) or 'WHEN -1 THEN NULL'} END", nested=True)

    def _cursor(self, row: str) -> Sql:
        return self.dialect.opaque(f"'{_CURSOR.decode()}['||{row}.score||','||{row}.kind||','||{row}.id||']'")

    def _page_info(self, nodes: Sequence[FieldNode]) -> list[Part]:
        before = "0" if self.after is None else f"(SELECT count(*) FROM hit WHERE NOT {self._later(self.after)})"
        more = f"(SELECT count(*) FROM hit) > {before} + {self.first}"
        values = {
            "hasNextPage": Sql(f"CASE WHEN {more} THEN 'true' ELSE 'false' END"),
            "hasPreviousPage": Sql(f"CASE WHEN {before} > 0 THEN 'true' ELSE 'false' END"),
            "startCursor": self._end_cursor("i"),
            "endCursor": self._end_cursor("i DESC"),
        }
        return self._record("PageInfo", nodes, lambda name, key, group: [values[name]])

    def _end_cursor(self, order: str) -> Sql:
        return Sql(f"coalesce((SELECT {self._cursor('p').text} FROM page p ORDER BY {order} LIMIT 1),'null')")


def _position(cursor: str) -> tuple[int, int, int]:
    """Score, kind and id in a cursor."""
    found: Any = None
    try:
        plain = base64.b64decode(cursor, validate=True)
        if plain.startswith(_CURSOR):
            found = orjson.loads(plain.removeprefix(_CURSOR))
    except (binascii.Error, ValueError):
        pass
    if (
        not isinstance(found, list)
        or len(found) != 3
        or not all(type(number) is int and 0 <= number < 2**31 for number in found)
    ):
        shown = cursor if len(cursor) <= 60 else f"{cursor[:60]}…"
        raise QueryError(f"search.after: {shown!r} is not a cursor; use one that pageInfo or an edge returned")
    score, kind, number = found
    return score, kind, number
