"""The scalar ``DateTime``."""

from __future__ import annotations

from datetime import datetime

from graphql import ConstValueNode, GraphQLError, GraphQLScalarType, StringValueNode

from tomoportal.catalog.timestamps import parse_timestamp

__all__ = ["date_time"]


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
