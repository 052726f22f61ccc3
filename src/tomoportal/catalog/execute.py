"""Answer GraphQL requests: parse and validate (kept per text), compile, ask the database, pass its JSON on."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    execute_sync,
    parse,
    validate,
)
from graphql.execution.values import VariableValues, get_variable_values

from tomoportal.catalog.addresses import Bases
from tomoportal.catalog.answers import Answer, Answering, Prepared, SeveralErrors, formatted
from tomoportal.catalog.catalog import Catalog
from tomoportal.catalog.compiler import Compiler, Plan
from tomoportal.catalog.deadline import Deadline
from tomoportal.catalog.scalars import whole_number_problem
from tomoportal.catalog.schema import build_schema
from tomoportal.catalog.selection import Fields, Request
from tomoportal.catalog.variants import DEFAULT, EXTENDED, Variant
from tomoportal.catalog.visibility import ANYONE, Rule, Viewer, visible
from tomoportal.errors import QueryError

__all__ = ["MAX_ROOT_FIELDS", "MAX_TOKENS", "Answer", "GraphQL"]

MAX_TOKENS = 100_000
"""Longest request in tokens; lists of thousands of ids are written out by the public client."""
MAX_LENGTH = 2_000_000
MAX_ROOT_FIELDS = 200
"""Most root fields, each of which is one statement."""

_CACHED_TEXTS = 500
_CACHED_LENGTH = 50_000
_CACHED_PLANS = 16

# Short enough for 32 bits; not part of a name or of another number.
_WHOLE_NUMBER = re.compile(r"(?<![\w.])\d{1,9}(?![\w.])", re.ASCII)

_QUOTED_NAME = re.compile(r"'(\w+)!?'")


@dataclass(slots=True)
class _Text:
    """A request text that was parsed and validated, or the errors it has."""

    schema: GraphQLSchema
    variant: Variant
    operations: dict[str | None, OperationDefinitionNode] = field(default_factory=dict)
    fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    errors: tuple[GraphQLError, ...] = ()
    plans: dict[tuple[str | None, Viewer], Prepared] = field(default_factory=dict)


class GraphQL:
    """The GraphQL service of one catalog; may be used by many threads at once."""

    def __init__(self, catalog: Catalog, *, rule: Rule = visible, seconds: float | None = 30.0) -> None:
        """``rule`` decides what is visible; a request that keeps the database busy for ``seconds`` is given up."""
        self.catalog = catalog
        self._schemas: dict[Variant, GraphQLSchema] = {}
        self._rule = rule
        self._seconds = seconds
        self._texts: OrderedDict[tuple[Variant, str], _Text] = OrderedDict()
        self._valid: OrderedDict[tuple[Variant, str], None] = OrderedDict()
        self._lock = threading.Lock()
        self._answering = Answering(catalog)

    def deadline(self) -> Deadline:
        """The time limit of one request that begins now; may be given to :meth:`execute` and stopped."""
        return Deadline(self._seconds)

    def execute(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
        bases: Bases | None = None,
        viewer: Viewer = ANYONE,
        *,
        extended: bool = False,
        queries_only: bool = False,
        in_pieces: bool = False,
        deadline: Deadline | None = None,
    ) -> Answer:
        """Answer one request. Errors are part of the answer; ``queries_only`` refuses mutations (GET). With
        ``extended`` the request may use what our schema has beyond the public portal's (``variants``).

        ``in_pieces`` leaves what follows the first megabyte to ``Answer.rest``. ``deadline`` replaces the limit of
        the service; whoever has it may stop the request. Raises :class:`CatalogError` if the database cannot be used.
        """
        text = self._text(query, EXTENDED if extended else DEFAULT)
        if text.errors:
            return _refused(text.errors)
        operation = text.operations.get(operation_name)
        if operation_name is not None and operation is None:
            return _wrong(f'Unknown operation named "{operation_name}".')
        if operation is None:
            if len(text.operations) != 1:
                names = ", ".join(str(name) for name in text.operations)
                return _refused([GraphQLError(f"The request holds several operations ({names}); say operationName")])
            operation = next(iter(text.operations.values()))
        if operation.operation is OperationType.MUTATION:
            if queries_only:
                return _wrong("mutations are not allowed when using GET")
            return _refused([_read_only(operation)])
        try:
            prepared = self._prepare(text, operation, variables or {}, viewer)
            return self._answering.answer(
                prepared,
                bases or Bases("s3://tomoportal", ""),
                viewer,
                deadline or self.deadline(),
                in_pieces=in_pieces,
            )
        except QueryError as error:
            return _refused([GraphQLError(error.what)])
        except GraphQLError as error:
            return _refused([error])

    def _schema(self, variant: Variant) -> GraphQLSchema:
        with self._lock:
            if variant not in self._schemas:
                self._schemas[variant] = build_schema(self.catalog.graph, variant)
            return self._schemas[variant]

    def _text(self, query: str, variant: Variant) -> _Text:
        key = (variant, query)
        with self._lock:
            found = self._texts.get(key)
            if found is not None:
                self._texts.move_to_end(key)
                return found
        text = _Text(self._schema(variant), variant)
        self._parse(query, text)
        if len(query) <= _CACHED_LENGTH:
            with self._lock:
                self._texts[key] = text
                while len(self._texts) > _CACHED_TEXTS:
                    self._texts.popitem(last=False)
        return text

    def _parse(self, query: str, text: _Text) -> None:
        if len(query) > MAX_LENGTH:
            text.errors = (GraphQLError(f"The request is longer than {MAX_LENGTH} characters"),)
            return
        try:
            document = parse(query, max_lexical_tokens=MAX_TOKENS)
        except GraphQLError as error:
            text.errors = (error,)
            return
        text.errors = self._validate(query, document, text)
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                text.operations[definition.name.value if definition.name else None] = definition
            elif isinstance(definition, FragmentDefinitionNode):
                text.fragments[definition.name.value] = definition
        if not text.errors and not text.operations:
            text.errors = (GraphQLError("The request holds no operation"),)

    def _validate(self, query: str, document: DocumentNode, text: _Text) -> tuple[GraphQLError, ...]:
        """Errors of a document. Texts that differ in whole numbers only (ids, mostly) are validated once.

        Numbers are checked again when arguments are coerced, so nothing slips through.
        """
        shape = (text.variant, _WHOLE_NUMBER.sub("0", query)) if len(query) <= _CACHED_LENGTH else None
        with self._lock:
            if shape in self._valid:
                return ()
        errors = tuple(
            _explained(error, text.schema, document) for error in validate(text.schema, document, max_errors=20)
        )
        if not errors and shape is not None:
            with self._lock:
                self._valid[shape] = None
                while len(self._valid) > _CACHED_TEXTS:
                    self._valid.popitem(last=False)
        return errors

    def _prepare(
        self, text: _Text, operation: OperationDefinitionNode, variables: Mapping[str, Any], viewer: Viewer
    ) -> Prepared:
        definitions = operation.variable_definitions or ()
        key = (operation.name.value if operation.name else None, viewer)
        if not definitions and (found := text.plans.get(key)) is not None:
            return found
        values = get_variable_values(text.schema, definitions, dict(variables), max_errors=20)
        if not isinstance(values, VariableValues):
            raise SeveralErrors([_explained(error, text.schema) for error in values])
        request = Request(text.schema, text.fragments, values)
        prepared = self._compile(request, operation, text, variables, viewer)
        if not definitions and len(text.plans) < _CACHED_PLANS:
            text.plans[key] = prepared
        return prepared

    def _compile(
        self,
        request: Request,
        operation: OperationDefinitionNode,
        text: _Text,
        variables: Mapping[str, Any],
        viewer: Viewer,
    ) -> Prepared:
        fields: Fields = {}
        request.gather("Query", operation.selection_set, fields, set())
        if len(fields) > MAX_ROOT_FIELDS:
            raise QueryError(f"The request asks for {len(fields)} root fields; at most {MAX_ROOT_FIELDS} are answered")
        compiler = Compiler(self.catalog.graph, self.catalog.dialect, request, viewer, self._rule, text.variant)
        prepared: list[tuple[str, Plan | bytes]] = []
        for key, nodes in fields.items():
            name = nodes[0].name.value
            if name == "__typename":
                prepared.append((key, b'"Query"'))
            elif name.startswith("__"):
                prepared.append((key, self._introspect(key, nodes, operation, text, variables)))
            else:
                prepared.append((key, compiler.root(key, nodes)))
        return Prepared(tuple(prepared), tuple(compiler.errors))

    def _introspect(
        self,
        key: str,
        nodes: Sequence[FieldNode],
        operation: OperationDefinitionNode,
        text: _Text,
        variables: Mapping[str, Any],
    ) -> bytes:
        only = OperationDefinitionNode(
            operation=operation.operation,
            name=operation.name,
            variable_definitions=operation.variable_definitions,
            directives=(),
            selection_set=SelectionSetNode(selections=tuple(nodes)),
        )
        document = DocumentNode(definitions=(only, *text.fragments.values()))
        result = execute_sync(text.schema, document, variable_values=dict(variables))
        if result.errors:
            raise SeveralErrors(result.errors)
        return orjson.dumps((result.data or {})[key])


def _explained(error: GraphQLError, schema: GraphQLSchema, document: DocumentNode | None = None) -> GraphQLError:
    """An error about an enum also says which values there are, one about an Int its range and the place in the text."""
    if (said := whole_number_problem(error, document)) is not None:
        return GraphQLError(said, error.nodes, path=error.path, original_error=error.original_error)
    for name in _QUOTED_NAME.findall(error.message):
        kind = schema.type_map.get(name)
        if isinstance(kind, GraphQLEnumType):
            text = f"{error.message} The values are {', '.join(kind.values)}."
            return GraphQLError(text, error.nodes, path=error.path, original_error=error.original_error)
    return error


def _read_only(operation: OperationDefinitionNode) -> GraphQLError:
    return GraphQLError(
        "read-only API: entities change when the archive is indexed, not by mutations",
        list(operation.selection_set.selections),
    )


def _refused(errors: Sequence[GraphQLError]) -> Answer:
    return Answer(200, b'{"data":null,"errors":' + formatted(errors) + b"}", complete=False)


def _wrong(text: str) -> Answer:
    return Answer(400, text.encode(), "text/plain; charset=utf-8", complete=False)
