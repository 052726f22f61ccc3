"""The scalar ``DateTime``, and what is said of numbers that no ``Int`` can be."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    ArgumentNode,
    ConstValueNode,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLScalarType,
    IntValueNode,
    Node,
    ObjectFieldNode,
    StringValueNode,
    VariableDefinitionNode,
    Visitor,
    visit,
)

from tomoportal.catalog.timestamps import parse_timestamp

__all__ = ["date_time", "whole_number_problem"]

_NOT_AN_INT = re.compile(
    r"(.*?)(?:Int cannot represent non|Expected value of type 'Int!?', but encountered)", re.DOTALL
)
_RANGE = f"Int is a whole number from {GRAPHQL_MIN_INT} to {GRAPHQL_MAX_INT}"


def date_time() -> GraphQLScalarType:
    """``DateTime``: ISO 8601 in, UTC with the offset ``+00:00`` out."""
    return GraphQLScalarType(
        "DateTime",
        description="Date with time in ISO 8601; answered in UTC.",
        coerce_input_value=_from_value,
        coerce_input_literal=_from_literal,
    )


def _from_value(value: object) -> datetime:
    if not isinstance(value, str):
        raise GraphQLError(f'DateTime cannot represent {value!r}; give a text such as "2023-06-01"')
    try:
        return parse_timestamp(value)
    except (ValueError, OverflowError) as error:
        raise GraphQLError(
            f'DateTime cannot represent {value!r}: it is not an ISO 8601 date such as "2023-06-01"'
        ) from error


def _from_literal(node: ConstValueNode) -> datetime:
    if not isinstance(node, StringValueNode):
        raise GraphQLError('DateTime cannot represent a value that is not a text such as "2023-06-01"', node)
    return _from_value(node.value)


def whole_number_problem(error: GraphQLError, document: DocumentNode | None = None) -> str | None:
    """What to say of an error about a value that is no ``Int``: its place, and what it may be; else None.

    graphql-core repeats all digits, or tells of a limit of Python's.
    """
    match = _NOT_AN_INT.match(error.message)
    if match is None:
        return None
    node = error.nodes[0] if error.nodes else None
    value = node.value if isinstance(node, IntValueNode) else error.message[match.end() :].partition(": ")[2]
    place = match[1] if document is None or node is None else f"{_place(node, document)}: "
    return f"{place}{_shortened(value)} is no Int: {_RANGE}"


def _shortened(value: str) -> str:
    if len(value) <= 40:
        return value
    digits = value.removeprefix("-")
    return f"a number of {len(digits)} digits" if digits.isdigit() else f"{value[:40]}…"


def _place(wanted: Node, document: DocumentNode) -> str:
    """The names that lead to a value, such as ``runs.where.id._eq``."""
    names: list[str] = []

    class Search(Visitor):
        def enter(self, node: Node, _key: Any, parent: Any, _path: Any, ancestors: list[Any]) -> Any:
            if node is not wanted:
                return None
            for each in (*ancestors, parent):
                if isinstance(each, FieldNode | ArgumentNode | ObjectFieldNode):
                    names.append(each.name.value)
                elif isinstance(each, VariableDefinitionNode):
                    names.append(f"${each.variable.name.value}")
            return self.BREAK

    visit(document, Search())
    return ".".join(names)
