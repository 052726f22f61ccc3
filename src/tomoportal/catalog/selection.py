"""What one request selects: merged fields with fragments and directives applied, arguments coerced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLIncludeDirective,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
)
from graphql.execution.values import VariableValues, get_argument_values, get_directive_values

from tomoportal.catalog.graph import ENTITY_INTERFACES
from tomoportal.errors import QueryError

__all__ = ["MAX_FIELDS", "Fields", "Request"]

MAX_FIELDS = 20_000
"""Most fields that the fragments of one request may unfold to."""

Fields = dict[str, list[FieldNode]]
"""Response key → the field nodes that were merged under it."""


class Request:
    """One operation: its schema, fragments and variable values."""

    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], variables: VariableValues
    ) -> None:
        self.schema = schema
        self.variables = variables
        self._fragments = fragments
        self._fields = 0

    def arguments(self, type_name: str, node: FieldNode) -> dict[str, Any]:
        """Coerced arguments of a field. Raises ``GraphQLError``."""
        kind = self.schema.type_map[type_name]
        assert isinstance(kind, GraphQLObjectType)
        return get_argument_values(kind.fields[node.name.value], node, self.variables)

    def collect(self, type_name: str, nodes: Sequence[FieldNode]) -> Fields:
        """Fields selected below ``nodes``, which stand for one field of the object type ``type_name``."""
        fields: Fields = {}
        visited: set[str] = set()
        for node in nodes:
            if node.selection_set is not None:
                self.gather(type_name, node.selection_set, fields, visited)
        return fields

    def gather(self, type_name: str, selections: SelectionSetNode, fields: Fields, visited: set[str]) -> None:
        """Add the fields of a selection set to ``fields``."""
        for node in selections.selections:
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise QueryError(f"The request is too large: its fragments unfold to more than {MAX_FIELDS} fields")
            if node.directives and not self._included(node):
                continue
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                fields.setdefault(key, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                if condition is None or self._applies(condition.name.value, type_name):
                    self.gather(type_name, node.selection_set, fields, visited)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in visited:
                visited.add(node.name.value)
                fragment = self._fragments[node.name.value]
                if self._applies(fragment.type_condition.name.value, type_name):
                    self.gather(type_name, fragment.selection_set, fields, visited)

    def _included(self, node: SelectionNode) -> bool:
        skip = get_directive_values(GraphQLSkipDirective, node, self.variables)
        if skip and skip["if"]:
            return False
        include = get_directive_values(GraphQLIncludeDirective, node, self.variables)
        return not include or bool(include["if"])

    def _applies(self, condition: str, type_name: str) -> bool:
        if condition == type_name:
            return True
        if condition not in ENTITY_INTERFACES:
            return False
        interface = self.schema.type_map[condition]
        kind = self.schema.type_map[type_name]
        assert isinstance(interface, GraphQLInterfaceType)
        assert isinstance(kind, GraphQLObjectType)
        return self.schema.is_sub_type(interface, kind)
