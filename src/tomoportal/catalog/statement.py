"""One SQL statement in the making: its parameters, aliases and the rules that hold for every table in it."""

from __future__ import annotations

from dataclasses import dataclass

from tomoportal.catalog.addresses import PLACEHOLDER
from tomoportal.catalog.dialect import Dialect, text_literal
from tomoportal.catalog.graph import Graph
from tomoportal.catalog.variants import DEFAULT, Variant
from tomoportal.catalog.visibility import Rule, Viewer
from tomoportal.errors import QueryError
from tomoportal.model.entities import Entity, Field

__all__ = ["MAX_PARTS", "MAX_VALUES", "LimitError", "Source", "Statement", "conjunction"]


class LimitError(QueryError):
    """A request that is too large or too deep is refused as a whole, not only in the field that is over the limit."""


MAX_PARTS = 5_000
"""Most tables and fields in one statement; the site's largest operation needs a few hundred."""

MAX_VALUES = 30_000
"""Most values in the filters of one statement; a list counts as one, but not a list of numbers with decimals."""


@dataclass(frozen=True, slots=True)
class Source:
    """An entity's table under an alias in a statement."""

    entity: Entity
    alias: str

    @property
    def clause(self) -> str:
        return f'"{self.entity.table}" {self.alias}'

    def __getitem__(self, column: str) -> str:
        return f'{self.alias}."{column}"'

    @property
    def id(self) -> str:
        return self["id"]


class Statement:
    """Collects parameters and hands out aliases; knows the model, the schema, the dialect and the viewer."""

    def __init__(self, graph: Graph, dialect: Dialect, viewer: Viewer, rule: Rule, variant: Variant = DEFAULT) -> None:
        self.graph = graph
        self.dialect = dialect
        self.variant = variant
        self.parameters: dict[str, object] = {}
        self.summarised: tuple[str, str | None] | None = None
        """A part of the statement that counts a whole table, and what finds the same in the counts on record."""
        self._viewer = viewer
        self._rule = rule
        self._aliases = 0
        self._parts = 0

    def bind(self, value: object) -> str:
        """Add a value to the parameters; returns its placeholder. Raises :class:`QueryError` for half a character."""
        if isinstance(value, str) and not value.isascii() and not _is_text(value):
            raise QueryError("a text holds half of a surrogate pair, which is no character")
        if len(self.parameters) == MAX_VALUES:
            raise LimitError(f"The filters of one root field hold more than {MAX_VALUES} values; ask in parts")
        name = f"p{len(self.parameters)}"
        self.parameters[name] = self.dialect.value(value)
        return self.dialect.placeholder(name)

    def source(self, entity: Entity) -> Source:
        """The entity's table under a new alias."""
        self.count()
        self._aliases += 1
        return Source(entity, f"t{self._aliases}")

    def alias(self) -> str:
        self._aliases += 1
        return f"k{self._aliases}"

    def visible(self, source: Source) -> list[str]:
        """The visibility rule for a table: none or one condition."""
        predicate = self._rule(source.entity.table, self._viewer, source.alias)
        return [] if predicate is None else [f"({predicate})"]

    def value(self, source: Source, field: Field) -> str:
        """Expression for a field's value as it is seen on the wire."""
        column = source[self.graph.column(source.entity, field)]
        if field.path is not None:
            return self.dialect.address(column, field.path)
        if field.name == "neuroglancer_config":
            return f"replace({column},{text_literal(PLACEHOLDER)},{self.dialect.placeholder('https_base')})"
        return column

    def count(self) -> None:
        """Count one table or field against the limit. Raises :class:`QueryError`."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise LimitError(
                f"The request is too large: one root field may ask for at most {MAX_PARTS} fields, tables and filters"
            )


def conjunction(conditions: list[str]) -> str:
    """``WHERE`` clause of conditions that must all hold, or nothing."""
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)
