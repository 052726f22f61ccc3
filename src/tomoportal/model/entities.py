"""The catalog's entities as data: fields, relations, units and enums of the GraphQL API.

Everything that needs a list of fields (tables, GraphQL schema, client classes, labels on pages) derives it from here.
The data come from ``linkml/catalog.yaml`` by way of ``generated/entities.json``; only the standard library is needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

__all__ = ["ENTITIES", "ENUMS", "Entity", "Field", "Relation", "parse_entities"]


@dataclass(frozen=True)
class Field:
    """A scalar of an entity: one column of its table, one field of its GraphQL type."""

    name: str
    """Column name, snake_case: ``s3_mrc_file``."""
    wire: str
    """Name in GraphQL, camelCase: ``s3MrcFile``."""
    type: str
    """``Int``, ``Float``, ``String``, ``Boolean``, ``DateTime``, ``Enum`` or ``Matrix`` (2×2 floats, row by row)."""
    enum: str | None
    """Key of :data:`ENUMS` if ``type`` is ``Enum``."""
    required: bool
    """Never null."""
    references: str | None
    """Entity that a foreign key points to."""
    path: str | None
    """``s3`` or ``https`` if the value is the address of an archive key."""
    unit: str | None
    label: str
    description: str


@dataclass(frozen=True)
class Relation:
    """A step from an entity to another one."""

    name: str
    wire: str
    target: str
    """Name of the entity that it leads to."""
    many: bool
    """To-many: a connection on the wire. To-one: an object or null."""
    column: str
    """Foreign key: a column of this entity's table if to-one, of the target's table if to-many."""
    label: str
    description: str


@dataclass(frozen=True)
class Entity:
    """A type of the GraphQL API and the table behind it."""

    name: str
    """Name of the GraphQL type: ``Tiltseries``."""
    python_name: str
    """Name of the client's class: ``TiltSeries``."""
    root: str
    """Root field of the query: ``tiltseries``."""
    table: str
    label: str
    plural: str
    """Label of several of them."""
    description: str
    members: tuple[Field | Relation, ...]
    """Fields and relations in the order of the GraphQL type."""
    order_by: tuple[str, ...]
    """Names of the members that a list can be sorted by, in the order of the OrderByClause input."""

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        return tuple(member for member in self.members if isinstance(member, Field))

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        return tuple(member for member in self.members if isinstance(member, Relation))

    @cached_property
    def input_members(self) -> tuple[Field | Relation, ...]:
        """Members in the order of WhereClause and GroupByOptions: ``id`` stands where it stands in ``order_by``."""
        others = [member for member in self.members if member.name != "id"]
        after = self.order_by[self.order_by.index("id") + 1 :]
        place = next((k for k, member in enumerate(others) if after and member.name == after[0]), len(others))
        return (*others[:place], self.field("id"), *others[place:])

    def field(self, name: str) -> Field:
        """Field with this column name; ``KeyError`` if there is none."""
        return self._fields[name]

    def relation(self, name: str) -> Relation:
        """Relation with this name; ``KeyError`` if there is none."""
        return self._relations[name]

    @cached_property
    def _fields(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}

    @cached_property
    def _relations(self) -> dict[str, Relation]:
        return {relation.name: relation for relation in self.relations}


def _member(raw: dict[str, Any]) -> Field | Relation:
    return Relation(**raw) if "target" in raw else Field(**raw)


def _entity(raw: dict[str, Any]) -> Entity:
    members = tuple(_member(member) for member in raw["members"])
    return Entity(**{**raw, "members": members, "order_by": tuple(raw["order_by"])})


def parse_entities(text: str | bytes) -> list[Entity]:
    """The entities of an ``entities.json``."""
    return [_entity(raw) for raw in json.loads(text)["entities"]]


_TEXT: Final = files("tomoportal.model.generated").joinpath("entities.json").read_bytes()

ENTITIES: Final[Mapping[str, Entity]] = MappingProxyType({entity.name: entity for entity in parse_entities(_TEXT)})
"""Name of the GraphQL type → entity, in alphabetical order."""

ENUMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {name: tuple(values) for name, values in json.loads(_TEXT)["enums"].items()}
)
"""Name of the GraphQL enum → its values in the order of the schema."""
