"""The GraphQL schema, made from the model's entities.

It equals the schema of the public portal's client 4.9.0 (graphql-api 1): no breaking and no dangerous change in
either direction. The extended schema (``variants``) adds to it and changes nothing. Neither has resolvers:
``execute`` compiles requests to SQL; only introspection walks them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    DirectiveLocation,
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLDefaultInput,
    GraphQLDeprecatedDirective,
    GraphQLDirective,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    specified_directives,
)

from tomoportal.catalog.graph import Graph, count_columns, min_max_columns, numerical_columns
from tomoportal.catalog.ordering import DIRECTIONS
from tomoportal.catalog.scalars import date_time
from tomoportal.catalog.search_rows import KINDS
from tomoportal.catalog.variants import DEFAULT, Variant
from tomoportal.model.entities import ENUMS, Entity, Field, Relation

__all__ = ["build_schema"]

_List = GraphQLNonNull[GraphQLList[Any]]

_ORDERED = ("_gt", "_gte", "_lt", "_lte")
_TEXT = ("_like", "_nlike", "_ilike", "_nilike", "_regex", "_nregex", "_iregex", "_niregex")


def build_schema(graph: Graph | None = None, variant: Variant = DEFAULT) -> GraphQLSchema:
    """The schema over all entities; immutable, may be shared."""
    return _Builder(graph or Graph(), variant).schema()


class _Builder:
    def __init__(self, graph: Graph, variant: Variant) -> None:
        self.graph = graph
        self.extended = variant.extended
        self.enums: dict[str, GraphQLEnumType] = {name: _enum(name, values) for name, values in ENUMS.items()}
        self.order_by = _enum("orderBy", tuple(DIRECTIONS))
        self.date_time = date_time()
        self.scalars: Mapping[str, GraphQLScalarType] = {
            "Int": GraphQLInt,
            "Float": GraphQLFloat,
            "String": GraphQLString,
            "Boolean": GraphQLBoolean,
            "DateTime": self.date_time,
        }
        global_id = {"_id": GraphQLField(GraphQLNonNull(GraphQLID), description="Type and id in one opaque text.")}
        self.node = GraphQLInterfaceType("Node", dict(global_id), description="Anything with a global id.")
        self.interface = GraphQLInterfaceType("EntityInterface", dict(global_id), interfaces=[self.node])
        self.page_info = GraphQLObjectType(
            "PageInfo",
            {
                "hasNextPage": GraphQLField(GraphQLNonNull(GraphQLBoolean)),
                "hasPreviousPage": GraphQLField(GraphQLNonNull(GraphQLBoolean)),
                "startCursor": GraphQLField(GraphQLString),
                "endCursor": GraphQLField(GraphQLString),
            },
            description="Where a page of a connection lies.",
        )
        self.limit_offset = GraphQLInputObjectType(
            "LimitOffsetClause", {"limit": GraphQLInputField(GraphQLInt), "offset": GraphQLInputField(GraphQLInt)}
        )
        self.comparators = self._comparators()
        self.inputs: dict[str, GraphQLInputObjectType] = {}
        self.objects: dict[str, GraphQLObjectType] = {}
        self.count_enums: dict[str, GraphQLEnumType] = {}
        for entity in graph.entities.values():
            self._add(entity)

    def schema(self) -> GraphQLSchema:
        query: dict[str, GraphQLField] = {}
        mutation: dict[str, GraphQLField] = {}
        entities = list(self.graph.entities.values())
        for entity in entities:
            query[entity.root] = GraphQLField(
                _list_of(self.objects[entity.name]),
                {
                    "where": _null_default(self.inputs[f"{entity.name}WhereClause"]),
                    "orderBy": self._order_argument(entity),
                    "limitOffset": _null_default(self.limit_offset),
                },
                description=entity.description,
            )
        for entity in entities:
            where = {"where": _null_default(self.inputs[f"{entity.name}WhereClause"])}
            query[f"{entity.root}Aggregate"] = GraphQLField(
                GraphQLNonNull(self.objects[f"{entity.name}Aggregate"]), where
            )
            mutation |= self._mutations(entity)
        if self.extended:
            query["search"] = self._search()
        types: list[GraphQLNamedType] = [*self.objects.values(), *self.inputs.values()]
        return GraphQLSchema(
            GraphQLObjectType("Query", query),
            GraphQLObjectType("Mutation", mutation),
            types=types,
            directives=[*(one for one in specified_directives if one is not GraphQLDeprecatedDirective), _deprecated()],
        )

    def _search(self) -> GraphQLField:
        edge = GraphQLObjectType(
            "SearchEdge",
            {
                "cursor": GraphQLField(GraphQLNonNull(GraphQLString)),
                "node": GraphQLField(GraphQLNonNull(self.interface)),
                "score": GraphQLField(GraphQLNonNull(GraphQLInt), description="Higher for better hits."),
            },
        )
        connection = GraphQLObjectType("SearchConnection", self._connection(edge, self.interface))
        kinds = GraphQLList(GraphQLNonNull(_enum("EntityType", KINDS)))
        return GraphQLField(
            GraphQLNonNull(connection),
            {
                "text": GraphQLArgument(GraphQLNonNull(GraphQLString)),
                "types": _null_default(kinds),
                "first": _null_default(GraphQLInt),
                "after": _null_default(GraphQLString),
            },
            description="Everything in which all words of the text occur, or whose id it is, best first.",
        )

    def _add(self, entity: Entity) -> None:
        name = entity.name
        counted = count_columns(entity, keys=self.extended)
        self.count_enums[name] = _enum(f"{name}CountColumns", tuple(field.wire for field in counted))
        self._object(name, lambda: self._fields(entity), entity.description, (self.interface, self.node))
        self._object(
            f"{name}Aggregate",
            lambda: {"aggregate": GraphQLField(GraphQLList(GraphQLNonNull(self.objects[f"{name}AggregateFunctions"])))},
        )
        self._object(f"{name}AggregateFunctions", lambda: self._functions(entity))
        self._object(f"{name}NumericalColumns", lambda: self._columns(numerical_columns(entity)))
        self._object(f"{name}MinMaxColumns", lambda: self._columns(min_max_columns(entity)))
        self._object(f"{name}GroupByOptions", lambda: self._group_by(entity))
        self._input(f"{name}WhereClause", lambda: self._where(entity))
        self._input(f"{name}OrderByClause", lambda: self._order_by(entity))
        self._input(f"{name}WhereClauseMutations", lambda: {"id": GraphQLInputField(self.comparators["Int"])})
        self._input(f"{name}CreateInput", lambda: self._written(entity, create=True))
        self._input(f"{name}UpdateInput", lambda: self._written(entity, create=False))
        if any(relation.target == name and relation.many for relation in self._all_relations()):
            self._add_connection(entity)

    def _add_connection(self, entity: Entity) -> None:
        name = entity.name
        self._object(f"{name}Connection", lambda: self._connection(self.objects[f"{name}Edge"], self.objects[name]))
        self._object(
            f"{name}Edge",
            lambda: {
                "cursor": GraphQLField(GraphQLNonNull(GraphQLString)),
                "node": GraphQLField(GraphQLNonNull(self.objects[name])),
            },
        )
        self._input(
            f"{name}AggregateWhereClause",
            lambda: {"count": GraphQLInputField(GraphQLNonNull(self.inputs[f"{name}AggregateWhereClauseCount"]))},
        )
        self._input(
            f"{name}AggregateWhereClauseCount",
            lambda: {
                "arguments": GraphQLInputField(self.count_enums[name]),
                "distinct": GraphQLInputField(GraphQLBoolean),
                "filter": GraphQLInputField(self.inputs[f"{name}WhereClause"]),
                "predicate": GraphQLInputField(self.comparators["Int"]),
            },
        )

    def _connection(
        self, edge: GraphQLObjectType, node: GraphQLObjectType | GraphQLInterfaceType
    ) -> dict[str, GraphQLField]:
        fields = {
            "pageInfo": GraphQLField(GraphQLNonNull(self.page_info)),
            "edges": GraphQLField(_list_of(edge)),
        }
        if self.extended:
            fields["nodes"] = GraphQLField(_list_of(node), description="The nodes of the edges.")
            fields["totalCount"] = GraphQLField(
                GraphQLNonNull(GraphQLInt), description="Number of rows on all pages together."
            )
        return fields

    def _all_relations(self) -> Iterator[Relation]:
        for entity in self.graph.entities.values():
            yield from entity.relations

    def _object(
        self,
        name: str,
        fields: object,
        description: str | None = None,
        interfaces: tuple[GraphQLInterfaceType, ...] = (),
    ) -> None:
        self.objects[name] = GraphQLObjectType(name, fields, interfaces, description=description)  # type: ignore[arg-type]

    def _input(self, name: str, fields: object) -> None:
        self.inputs[name] = GraphQLInputObjectType(name, fields)  # type: ignore[arg-type]

    def _type(self, field: Field) -> GraphQLScalarType | GraphQLEnumType | GraphQLList[Any]:
        if field.type == "Matrix":
            return _matrix()
        if field.type == "Enum":
            assert field.enum is not None
            return self.enums[field.enum]
        return self.scalars[field.type]

    def _fields(self, entity: Entity) -> dict[str, GraphQLField]:
        fields = {"_id": GraphQLField(GraphQLNonNull(GraphQLID), description="Type and id in one opaque text.")}
        for member in entity.members:
            if isinstance(member, Field):
                kind = self._type(member)
                shown = GraphQLNonNull(kind) if member.required else kind
                fields[member.wire] = GraphQLField(shown, description=member.description)
                continue
            where = _null_default(self.inputs[f"{member.target}WhereClause"])
            arguments = {"where": where, "orderBy": self._order_argument(self.graph.target(member))}
            if not member.many:
                fields[member.wire] = GraphQLField(
                    self.objects[member.target], arguments, description=member.description
                )
                continue
            arguments |= {
                "before": _null_default(GraphQLString),
                "after": _null_default(GraphQLString),
                "first": _null_default(GraphQLInt),
                "last": _null_default(GraphQLInt),
            }
            connection = self.objects[f"{member.target}Connection"]
            fields[member.wire] = GraphQLField(GraphQLNonNull(connection), arguments, description=member.description)
            fields[f"{member.wire}Aggregate"] = GraphQLField(
                self.objects[f"{member.target}Aggregate"], {"where": where}
            )
        return fields

    def _functions(self, entity: Entity) -> dict[str, GraphQLField]:
        numbers = self.objects[f"{entity.name}NumericalColumns"]
        extremes = self.objects[f"{entity.name}MinMaxColumns"]
        fields = {name: GraphQLField(numbers) for name in ("sum", "avg", "stddev", "variance")}
        fields |= {name: GraphQLField(extremes) for name in ("min", "max")}
        fields["groupBy"] = GraphQLField(self.objects[f"{entity.name}GroupByOptions"])
        fields["count"] = GraphQLField(
            GraphQLInt,
            {
                "distinct": GraphQLArgument(GraphQLBoolean, default=GraphQLDefaultInput(False)),
                "columns": _null_default(self.count_enums[entity.name]),
            },
        )
        return fields

    def _columns(self, fields: tuple[Field, ...]) -> dict[str, GraphQLField]:
        return {field.wire: GraphQLField(self._type(field)) for field in fields}

    def _group_by(self, entity: Entity) -> dict[str, GraphQLField]:
        fields: dict[str, GraphQLField] = {}
        for member in entity.input_members:
            if isinstance(member, Relation):
                fields[member.wire] = GraphQLField(self.objects[f"{member.target}GroupByOptions"])
            elif self.extended or member.references is None:
                fields[member.wire] = GraphQLField(self._type(member))
        return fields

    def _where(self, entity: Entity) -> dict[str, GraphQLInputField]:
        fields: dict[str, GraphQLInputField] = {}
        if self.extended:
            own = self.inputs[f"{entity.name}WhereClause"]
            several = GraphQLList(GraphQLNonNull(own))
            fields["_and"] = GraphQLInputField(several, description="All of these hold; true for an empty list.")
            fields["_or"] = GraphQLInputField(several, description="One of these holds; false for an empty list.")
            fields["_not"] = GraphQLInputField(own, description="This is known not to hold.")
        for member in entity.input_members:
            if isinstance(member, Relation):
                fields[member.wire] = GraphQLInputField(self.inputs[f"{member.target}WhereClause"])
                if member.many:
                    name = f"{member.target}AggregateWhereClause"
                    fields[f"{member.wire}Aggregate"] = GraphQLInputField(self.inputs[name])
            elif member.type != "Matrix":
                fields[member.wire] = GraphQLInputField(self.comparators[member.enum or member.type])
        return fields

    def _order_by(self, entity: Entity) -> dict[str, GraphQLInputField]:
        fields: dict[str, GraphQLInputField] = {}
        members = {member.name: member for member in entity.members}
        for name in entity.order_by:
            member = members[name]
            kind = self.order_by if isinstance(member, Field) else self.inputs[f"{member.target}OrderByClause"]
            fields[member.wire] = GraphQLInputField(kind)
        if self.extended:
            keys = (field for field in entity.fields if field.references is not None)
            fields |= {field.wire: GraphQLInputField(self.order_by) for field in keys}
        return fields

    def _order_argument(self, entity: Entity) -> GraphQLArgument:
        items = GraphQLList(GraphQLNonNull(self.inputs[f"{entity.name}OrderByClause"]))
        return GraphQLArgument(items, default=GraphQLDefaultInput([]))

    def _written(self, entity: Entity, *, create: bool) -> dict[str, GraphQLInputField]:
        fields: dict[str, GraphQLInputField] = {}
        for member in entity.input_members:
            if isinstance(member, Relation):
                continue
            kind = GraphQLID if member.references is not None else self._type(member)
            if member.required:
                fields[member.wire] = GraphQLInputField(GraphQLNonNull(kind) if create else kind)
            else:
                fields[member.wire] = GraphQLInputField(kind, default=GraphQLDefaultInput(None))
        return fields

    def _mutations(self, entity: Entity) -> dict[str, GraphQLField]:
        name = entity.name
        where = GraphQLArgument(GraphQLNonNull(self.inputs[f"{name}WhereClauseMutations"]))
        created = GraphQLArgument(GraphQLNonNull(self.inputs[f"{name}CreateInput"]))
        updated = GraphQLArgument(GraphQLNonNull(self.inputs[f"{name}UpdateInput"]))
        several = _list_of(self.objects[name])
        return {
            f"create{name}": GraphQLField(GraphQLNonNull(self.objects[name]), {"input": created}),
            f"update{name}": GraphQLField(several, {"input": updated, "where": where}),
            f"delete{name}": GraphQLField(several, {"where": where}),
        }

    def _comparators(self) -> dict[str, GraphQLInputObjectType]:
        names = {"Int": "Int", "Float": "Float", "DateTime": "Datetime", "Boolean": "Bool", "String": "Str"}
        found: dict[str, GraphQLInputObjectType] = {}
        for kind, prefix in names.items():
            operators = () if kind == "Boolean" else _ORDERED
            texts = _TEXT if kind == "String" else ()
            found[kind] = _comparator(f"{prefix}Comparators", self.scalars[kind], (*operators, *texts))
        for name, enum in self.enums.items():
            found[name] = _comparator(f"{name[0].upper()}{name[1:]}EnumComparators", enum, _ORDERED)
        return found


def _comparator(
    name: str, kind: GraphQLScalarType | GraphQLEnumType, operators: tuple[str, ...]
) -> GraphQLInputObjectType:
    values = GraphQLList(GraphQLNonNull(kind))
    return GraphQLInputObjectType(
        name,
        {
            "_eq": GraphQLInputField(kind),
            "_neq": GraphQLInputField(kind),
            "_in": GraphQLInputField(values),
            "_nin": GraphQLInputField(values),
            **{operator: GraphQLInputField(kind) for operator in operators},
            "_is_null": GraphQLInputField(GraphQLBoolean),
        },
    )


def _deprecated() -> GraphQLDirective:
    """The directive as it was before it could stand at directives: clients of that time read no schema with it."""
    new = GraphQLDeprecatedDirective
    locations = [place for place in new.locations if place is not DirectiveLocation.DIRECTIVE_DEFINITION]
    return GraphQLDirective(new.name, locations, args=new.args, description=new.description)


def _enum(name: str, values: tuple[str, ...]) -> GraphQLEnumType:
    return GraphQLEnumType(name, {value: value for value in values})


def _list_of(kind: GraphQLObjectType | GraphQLInterfaceType) -> _List:
    return GraphQLNonNull(GraphQLList(GraphQLNonNull(kind)))


def _matrix() -> GraphQLList[Any]:
    return GraphQLList(GraphQLNonNull(GraphQLList(GraphQLNonNull(GraphQLFloat))))


def _null_default(
    kind: GraphQLScalarType | GraphQLEnumType | GraphQLInputObjectType | GraphQLList[Any],
) -> GraphQLArgument:
    return GraphQLArgument(kind, default=GraphQLDefaultInput(None))
