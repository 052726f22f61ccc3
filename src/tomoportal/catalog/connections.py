"""To-many relations as connections: edges, cursors and page info, cut in the database (graphql-api 11)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graphql import FieldNode

from tomoportal.catalog.arguments import Slice
from tomoportal.catalog.dialect import Part, Sql
from tomoportal.catalog.filters import LIST_DEPTH, children_of, conditions
from tomoportal.catalog.ordering import order_terms
from tomoportal.catalog.statement import Source, conjunction
from tomoportal.model.entities import Relation

if TYPE_CHECKING:
    from tomoportal.catalog.compiler import Compiler, Path

__all__ = ["connection_parts"]


def connection_parts(
    compiler: Compiler, parent: Source, relation: Relation, nodes: Sequence[FieldNode], path: Path
) -> list[Part]:
    """JSON of the connection ``relation`` of a row of ``parent``."""
    return _Connection(compiler, parent, relation, nodes).parts(nodes, path)


class _Connection:
    def __init__(self, compiler: Compiler, parent: Source, relation: Relation, nodes: Sequence[FieldNode]) -> None:
        self.compiler = compiler
        self.statement = compiler.statement
        self.parent = parent
        self.relation = relation
        self.entity = compiler.graph.target(relation)
        self.place = f"{parent.entity.name}.{relation.wire}"
        self.arguments: dict[str, Any] = compiler.request.arguments(parent.entity.name, nodes[0])
        self.slice = Slice.of(self.arguments, self.place)

    def parts(self, nodes: Sequence[FieldNode], path: Path) -> list[Part]:
        type_name = f"{self.entity.name}Connection"
        parts: list[Part] = ["{"]
        for index, (key, fields) in enumerate(self.compiler.request.collect(type_name, nodes).items()):
            self.statement.count()
            parts.append(f'{"," if index else ""}"{key}":')
            name = fields[0].name.value
            if name == "__typename":
                parts.append(json.dumps(type_name))
            elif name == "edges":
                parts += ["[", self._edges(fields, (*path, key, 0)), "]"]
            else:
                parts.append(self._page_info(fields))
        return [*parts, "}"]

    def _rows(self, source: Source) -> str:
        found = children_of(self.statement, self.parent, self.relation, source)
        found += conditions(self.statement, source, self.arguments.get("where"), LIST_DEPTH, f"{self.place}.where")
        return f" FROM {source.clause}{conjunction(found)}"

    def _edges(self, nodes: Sequence[FieldNode], path: Path) -> Sql:
        dialect = self.compiler.dialect
        child = self.statement.source(self.entity)
        page = self.statement.alias()
        fields = self.compiler.request.collect(f"{self.entity.name}Edge", nodes)
        parts: list[Part] = ["{"]
        numbered = False
        for index, (key, group) in enumerate(fields.items()):
            self.statement.count()
            parts.append(f'{"," if index else ""}"{key}":')
            name = group[0].name.value
            if name == "__typename":
                parts.append(json.dumps(f"{self.entity.name}Edge"))
            elif name == "cursor":
                numbered = True
                parts.append(dialect.cursor(f"{page}.i"))
            else:
                parts += self.compiler.object_parts(child, group, (*path, key))
        text = dialect.text([*parts, "}"])
        return dialect.edges(text, self._page(numbered or dialect.numbered), page, child)

    def _page(self, numbered: bool) -> str:
        """The ids of the rows of this page in order, with their index ``i`` in the whole list if it is asked for."""
        row = self.statement.source(self.entity)
        terms = order_terms(self.statement, row, self.arguments.get("orderBy"), LIST_DEPTH, f"{self.place}.orderBy")
        order = ", ".join(terms)
        rows = self._rows(row)
        start, stop, last = self.slice.start, self.slice.stop, self.slice.last
        number = f", row_number() OVER (ORDER BY {order}) - 1 AS i"
        if last is None:
            extra = number if numbered else ""
            return f"SELECT {row.id} AS id{extra}{rows} ORDER BY {order} LIMIT {stop - start} OFFSET {start}"
        dialect = self.compiler.dialect
        end = dialect.least(str(stop), "n")
        begin = dialect.greatest(str(start), f"{end} - {last}")
        inner = f"SELECT {row.id} AS id{number}, count(*) OVER () AS n{rows}"
        return f"SELECT id, i FROM ({inner}) x WHERE i >= {begin} AND i < {end} ORDER BY i"

    def _page_info(self, nodes: Sequence[FieldNode]) -> Sql:
        dialect = self.compiler.dialect
        start, stop, last = self.slice.start, self.slice.stop, self.slice.last
        end = dialect.least(str(stop), "n")
        begin = str(start) if last is None else dialect.greatest(str(start), f"{end} - {last}")
        parts: list[Part] = ["{"]
        for index, (key, group) in enumerate(self.compiler.request.collect("PageInfo", nodes).items()):
            parts.append(f'{"," if index else ""}"{key}":')
            match group[0].name.value:
                case "hasNextPage":
                    parts.append(_flag(f"n > {stop}"))
                case "hasPreviousPage":
                    parts.append(_flag(f"n > 0 AND {begin} > 0"))
                case "startCursor":
                    parts.append(_present(f"{begin} < {end}", dialect.cursor(begin)))
                case "endCursor":
                    parts.append(_present(f"{begin} < {end}", dialect.cursor(f"{end} - 1")))
                case _:
                    parts.append('"PageInfo"')
        counted = f"SELECT count(*) AS n{self._rows(self.statement.source(self.entity))}"
        return Sql(f"(SELECT {dialect.text([*parts, '}'])} FROM ({counted}) x)", nested=True)


def _flag(condition: str) -> Sql:
    return Sql(f"CASE WHEN {condition} THEN 'true' ELSE 'false' END")


def _present(condition: str, value: Sql) -> Sql:
    return Sql(f"CASE WHEN {condition} THEN {value.text} ELSE 'null' END")
