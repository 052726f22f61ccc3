"""The entities as the catalog sees them: wire names, stored columns, who points to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tomoportal.model.entities import ENTITIES, Entity, Field, Relation

__all__ = ["AggregateOf", "Column", "Graph", "Member", "count_columns", "min_max_columns", "numerical_columns"]

ENTITY_INTERFACES = frozenset({"EntityInterface", "Node"})


@dataclass(frozen=True, slots=True)
class AggregateOf:
    """The twin ``<relation>Aggregate`` of a to-many relation."""

    relation: Relation


Member = Field | Relation | AggregateOf


class Column:
    """One stored column; the fields of an s3/https pair share one, ``field`` is the first."""

    __slots__ = ("field", "fields", "is_path", "name")

    def __init__(self, name: str, fields: tuple[Field, ...]) -> None:
        self.name = name
        self.fields = fields
        self.field = fields[0]
        self.is_path = self.field.path is not None


class Graph:
    """Look-ups over all entities. Immutable; made once per catalog or schema."""

    def __init__(self, entities: Mapping[str, Entity] = ENTITIES) -> None:
        self.entities = entities
        self.columns: dict[str, tuple[Column, ...]] = {name: _columns(entity) for name, entity in entities.items()}
        self.column_names = {name: frozenset(one.name for one in columns) for name, columns in self.columns.items()}
        self._column_of = {
            name: {field.name: column.name for column in columns for field in column.fields}
            for name, columns in self.columns.items()
        }
        self._members = {name: _members(entity) for name, entity in entities.items()}
        self.by_table = {entity.table: entity for entity in entities.values()}
        self.roots: dict[str, tuple[Entity, bool]] = {}
        for entity in entities.values():
            self.roots[entity.root] = (entity, False)
            self.roots[f"{entity.root}Aggregate"] = (entity, True)

    def member(self, entity: Entity, wire: str) -> Member:
        """The member with this wire name; ``KeyError`` if there is none."""
        return self._members[entity.name][wire]

    def column(self, entity: Entity, field: Field) -> str:
        """Name of the column that stores a field."""
        return self._column_of[entity.name][field.name]

    def target(self, relation: Relation) -> Entity:
        return self.entities[relation.target]


def _columns(entity: Entity) -> tuple[Column, ...]:
    pairs: dict[str, list[Field]] = {}
    for field in entity.fields:
        pairs.setdefault(_column_name(field), []).append(field)
    return tuple(Column(name, tuple(fields)) for name, fields in pairs.items())


def _column_name(field: Field) -> str:
    if field.path is not None:
        kind, _, rest = field.name.partition("_")
        if kind in {"s3", "https"}:
            return f"{rest}_key"
    return field.name


def _members(entity: Entity) -> dict[str, Member]:
    members: dict[str, Member] = {}
    for member in entity.members:
        members[member.wire] = member
        if isinstance(member, Relation) and member.many:
            members[f"{member.wire}Aggregate"] = AggregateOf(member)
    return members


def count_columns(entity: Entity, *, keys: bool = False) -> tuple[Field, ...]:
    """Fields that can be counted and grouped by: all but foreign keys, in the extended schema those too (``keys``)."""
    return tuple(m for m in entity.input_members if isinstance(m, Field) and (keys or m.references is None))


def numerical_columns(entity: Entity) -> tuple[Field, ...]:
    """Fields with sum, mean and spread."""
    return tuple(field for field in count_columns(entity) if field.type in {"Int", "Float"})


def min_max_columns(entity: Entity) -> tuple[Field, ...]:
    """Fields with a least and a greatest value."""
    return tuple(field for field in count_columns(entity) if field.type in {"Int", "Float", "String", "DateTime"})
