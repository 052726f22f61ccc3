"""To-many relations as connections: edges, cursors and page info, cut in the database (graphql-api 11)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphql import FieldNode

from tomoportal.catalog.arguments import Slice, sizes
from tomoportal.catalog.dialect import Part, Sql
from tomoportal.catalog.filters import children_of, conditions
from tomoportal.catalog.keyset import Cursor, cursor_of, past
from tomoportal.catalog.ordering import Key, order_keys
from tomoportal.catalog.selection import Fields
from tomoportal.catalog.statement import Source, conjunction
from tomoportal.model.entities import Relation

if TYPE_CHECKING:
    from tomoportal.catalog.compiler import Compiler, Path

__all__ = ["connection_parts"]


def connection_parts(
    compiler: Compiler, parent: Source, relation: Relation, nodes: Sequence[FieldNode], path: Path
) -> list[Part]:
    """JSON of the connection ``relation`` of a row of ``parent``."""
    kind = _ByKeys if compiler.variant.extended else _ByIndex
    return kind(compiler, parent, relation, nodes).parts(nodes, path)


class _Connection(ABC):
    """What does not depend on the kind of its cursors."""

    def __init__(self, compiler: Compiler, parent: Source, relation: Relation, nodes: Sequence[FieldNode]) -> None:
        self.compiler = compiler
        self.dialect = compiler.dialect
        self.statement = compiler.statement
        self.parent = parent
        self.relation = relation
        self.entity = compiler.graph.target(relation)
        self.place = f"{parent.entity.name}.{relation.wire}"
        self.arguments: dict[str, Any] = compiler.request.arguments(parent.entity.name, nodes[0])
        self.sizes = sizes(self.arguments, self.place, self.statement.variant.most_rows)

    def parts(self, nodes: Sequence[FieldNode], path: Path) -> list[Part]:
        type_name = f"{self.entity.name}Connection"

        def value(name: str, key: str, group: list[FieldNode]) -> list[Part]:
            if name == "edges":
                return ["[", self._edges(group, (*path, key, 0)), "]"]
            if name == "nodes":
                return ["[", self._nodes(group, (*path, key, 0)), "]"]
            if name == "totalCount":
                rows = self._rows(self.statement.source(self.entity))
                return [Sql(f"(SELECT count(*){rows})", nested=True)]
            return [self._page_info(self.compiler.request.collect("PageInfo", group))]

        first, last = self.sizes
        with self.compiler.page(self.parent.entity, min(size for size in (first, last) if size is not None)):
            return self.compiler.record(type_name, self.compiler.request.collect(type_name, nodes), value)

    def _rows(self, source: Source, bounds: Sequence[str] = ()) -> str:
        """FROM and WHERE of all rows of the connection, or of those within ``bounds``."""
        found = children_of(self.statement, self.parent, self.relation, source)
        where, depth = self.arguments.get("where"), self.statement.variant.list_depth
        found += conditions(self.statement, source, where, depth, f"{self.place}.where")
        return f" FROM {source.clause}{conjunction([*found, *bounds])}"

    def _keys(self, source: Source) -> list[Key]:
        order_by, depth = self.arguments.get("orderBy"), self.statement.variant.list_depth
        return order_keys(self.statement, source, order_by, depth, f"{self.place}.orderBy")

    def _edges(self, nodes: Sequence[FieldNode], path: Path) -> Sql:
        child = self.statement.source(self.entity)
        page = self.statement.alias()
        type_name = f"{self.entity.name}Edge"
        fields = self.compiler.request.collect(type_name, nodes)
        numbered = any(group[0].name.value == "cursor" for group in fields.values())

        def value(name: str, key: str, group: list[FieldNode]) -> list[Part]:
            if name == "cursor":
                return [self._cursor(child, f"{page}.i")]
            return self.compiler.object_parts(child, group, (*path, key))

        text = self.dialect.text(self.compiler.record(type_name, fields, value))
        return self.dialect.edges(text, self._page(numbered or self.dialect.numbered), page, child)

    def _nodes(self, nodes: Sequence[FieldNode], path: Path) -> Sql:
        child = self.statement.source(self.entity)
        text = self.dialect.text(self.compiler.object_parts(child, nodes, path))
        return self.dialect.edges(text, self._page(self.dialect.numbered), self.statement.alias(), child)

    @abstractmethod
    def _cursor(self, row: Source, index: str) -> Sql:
        """JSON of the cursor of a row, which has the ``index`` in the page."""

    @abstractmethod
    def _page(self, numbered: bool) -> str:
        """The ids of the rows of this page in order, with a number ``i`` in that order if it is asked for."""

    @abstractmethod
    def _page_info(self, fields: Fields) -> Sql:
        """JSON of the page info."""

    def _info(self, fields: Fields, values: Mapping[str, Sql]) -> str:
        return self.dialect.text(self.compiler.record("PageInfo", fields, lambda name, key, group: [values[name]]))


class _ByIndex(_Connection):
    """Cursors are places in the list, as the public portal has them."""

    def __init__(self, compiler: Compiler, parent: Source, relation: Relation, nodes: Sequence[FieldNode]) -> None:
        super().__init__(compiler, parent, relation, nodes)
        self.slice = Slice.of(self.arguments, self.place, self.statement.variant.most_rows)

    def _cursor(self, row: Source, index: str) -> Sql:
        return self.dialect.opaque(f"'arrayconnection:'||({index})")

    def _page(self, numbered: bool) -> str:
        row = self.statement.source(self.entity)
        order = ", ".join(key.term for key in self._keys(row))
        rows = self._rows(row)
        start, stop, last = self.slice.start, self.slice.stop, self.slice.last
        number = f", row_number() OVER (ORDER BY {order}) - 1 AS i"
        if last is None:
            extra = number if numbered else ""
            return f"SELECT {row.id} AS id{extra}{rows} ORDER BY {order} LIMIT {stop - start} OFFSET {start}"
        end = self.dialect.least(str(stop), "n")
        begin = self.dialect.greatest(str(start), f"{end} - {last}")
        inner = f"SELECT {row.id} AS id{number}, count(*) OVER () AS n{rows}"
        return f"SELECT id, i FROM ({inner}) x WHERE i >= {begin} AND i < {end} ORDER BY i"

    def _page_info(self, fields: Fields) -> Sql:
        row = self.statement.source(self.entity)
        start, stop, last = self.slice.start, self.slice.stop, self.slice.last
        end = self.dialect.least(str(stop), "n")
        begin = str(start) if last is None else self.dialect.greatest(str(start), f"{end} - {last}")
        values = {
            "hasNextPage": _flag(f"n > {stop}"),
            "hasPreviousPage": _flag(f"n > 0 AND {begin} > 0"),
            "startCursor": _present(f"{begin} < {end}", self._cursor(row, begin)),
            "endCursor": _present(f"{begin} < {end}", self._cursor(row, f"{end} - 1")),
        }
        counted = f"SELECT count(*) AS n{self._rows(row)}"
        return Sql(f"(SELECT {self._info(fields, values)} FROM ({counted}) x)", nested=True)


class _ByKeys(_Connection):
    """Cursors hold the keys of their row (``keyset``)."""

    def __init__(self, compiler: Compiler, parent: Source, relation: Relation, nodes: Sequence[FieldNode]) -> None:
        super().__init__(compiler, parent, relation, nodes)
        self.first, self.last = self.sizes
        keys = self._keys(self.statement.source(self.entity))
        given = ((name, self.arguments.get(name)) for name in ("after", "before"))
        self.cursors = {name: Cursor.of(text, keys, f"{self.place}.{name}") for name, text in given if text is not None}

    def _cursor(self, row: Source, index: str) -> Sql:
        return cursor_of(self.dialect, self._keys(row))

    def _bounds(self, keys: Sequence[Key]) -> dict[str, str]:
        return {
            name: past(self.statement, keys, cursor, before=name == "before") for name, cursor in self.cursors.items()
        }

    def _page(self, numbered: bool) -> str:
        row = self.statement.source(self.entity)
        keys = self._keys(row)
        order = ", ".join(key.term for key in keys)
        rows = self._rows(row, list(self._bounds(keys).values()))
        number = f", row_number() OVER (ORDER BY {order}) AS i"
        limit = "" if self.first is None else f" ORDER BY {order} LIMIT {self.first}"
        if self.last is None:
            return f"SELECT {row.id} AS id{number if numbered else ''}{rows}{limit}"
        cut = f"SELECT {row.id} AS id{number}{rows}{limit}"
        return f"SELECT id, i FROM (SELECT id, i FROM ({cut}) x ORDER BY i DESC LIMIT {self.last}) y ORDER BY i"

    def _page_info(self, fields: Fields) -> Sql:
        """All from the number of rows, of those up to ``after`` and of those before ``before``."""
        row = self.statement.source(self.entity)
        bounds = self._bounds(self._keys(row))
        inside = {name: f"CASE WHEN {bound} THEN 1 END" for name, bound in bounds.items()}
        numbers = ["count(*) AS n", *(f"count({inside.get(name, '*')}) AS {name}_n" for name in ("after", "before"))]
        stop = "before_n" if self.first is None else self.dialect.least(f"n - after_n + {self.first}", "before_n")
        stop = self.dialect.greatest("n - after_n", stop)
        begin = "n - after_n" if self.last is None else self.dialect.greatest("n - after_n", f"{stop} - {self.last}")
        asked = {group[0].name.value for group in fields.values()}
        values = {"hasNextPage": _flag(f"n > {stop}"), "hasPreviousPage": _flag(f"n > 0 AND {begin} > 0")}
        for name, direction in (("startCursor", "ASC"), ("endCursor", "DESC")):
            if name in asked:
                values[name] = self._end_cursor(direction)
        counted = f"SELECT {', '.join(numbers)}{self._rows(row)}"
        return Sql(f"(SELECT {self._info(fields, values)} FROM ({counted}) x)", nested=True)

    def _end_cursor(self, direction: str) -> Sql:
        row, page = self.statement.source(self.entity), self.statement.alias()
        ends = f"SELECT id FROM ({self._page(True)}) z ORDER BY i {direction} LIMIT 1"
        source = f"({ends}) {page} CROSS JOIN {row.clause} WHERE {row.id} = {page}.id"
        return Sql(f"coalesce((SELECT {self._cursor(row, '').text} FROM {source}),'null')")


def _flag(condition: str) -> Sql:
    return Sql(f"CASE WHEN {condition} THEN 'true' ELSE 'false' END")


def _present(condition: str, value: Sql) -> Sql:
    return Sql(f"CASE WHEN {condition} THEN {value.text} ELSE 'null' END")
