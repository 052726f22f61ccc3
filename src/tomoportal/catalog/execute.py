"""Answer GraphQL requests: parse and validate (kept per text), compile, ask the database, pass its JSON on."""

from __future__ import annotations

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    execute_sync,
    parse,
    validate,
)
from graphql.execution.values import VariableValues, get_variable_values
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from tomoportal.catalog.addresses import Bases
from tomoportal.catalog.answer_cache import AnswerCache
from tomoportal.catalog.catalog import Catalog
from tomoportal.catalog.compiler import Compiler, Plan
from tomoportal.catalog.database import Reason
from tomoportal.catalog.schema import build_schema
from tomoportal.catalog.selection import Fields, Request
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

_REASONS: Mapping[Reason | None, str] = {
    Reason.DEEP: "The selection is nested too deeply for this database; ask for fewer relations at once",
    Reason.SLOW: "The request takes too long; ask for fewer rows, relations or groups at once",
    Reason.PATTERN: "The database cannot search for a regular expression of this request; write a simpler one",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Root fields in order: a plan for SQL, or JSON that is known already."""

    fields: tuple[tuple[str, Plan | bytes], ...]
    errors: tuple[GraphQLError, ...]


@dataclass(slots=True)
class _Text:
    """A request text that was parsed and validated, or the errors it has."""

    operations: dict[str | None, OperationDefinitionNode] = field(default_factory=dict)
    fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    errors: tuple[GraphQLError, ...] = ()
    plans: dict[tuple[str | None, Viewer], _Prepared] = field(default_factory=dict)


class GraphQL:
    """The GraphQL service of one catalog; may be used by many threads at once."""

    def __init__(self, catalog: Catalog, *, rule: Rule = visible, seconds: float | None = 30.0) -> None:
        """``rule`` decides what is visible; a request that keeps the database busy for ``seconds`` is given up."""
        self.catalog = catalog
        self.schema = build_schema(catalog.graph)
        self._rule = rule
        self._seconds = seconds
        self._texts: OrderedDict[str, _Text] = OrderedDict()
        self._valid: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._known = AnswerCache()

    def execute(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
        bases: Bases | None = None,
        viewer: Viewer = ANYONE,
        *,
        queries_only: bool = False,
    ) -> Answer:
        """Answer one request. Errors are part of the answer; ``queries_only`` refuses mutations (GET)."""
        text = self._text(query)
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
            return self._run(prepared, bases or Bases("s3://tomoportal", ""), viewer)
        except QueryError as error:
            return _refused([GraphQLError(error.what)])
        except GraphQLError as error:
            return _refused([error])

    def _text(self, query: str) -> _Text:
        with self._lock:
            found = self._texts.get(query)
            if found is not None:
                self._texts.move_to_end(query)
                return found
        text = self._parse(query)
        if len(query) <= _CACHED_LENGTH:
            with self._lock:
                self._texts[query] = text
                while len(self._texts) > _CACHED_TEXTS:
                    self._texts.popitem(last=False)
        return text

    def _parse(self, query: str) -> _Text:
        if len(query) > MAX_LENGTH:
            return _Text(errors=(GraphQLError(f"The request is longer than {MAX_LENGTH} characters"),))
        try:
            document = parse(query, max_lexical_tokens=MAX_TOKENS)
        except GraphQLError as error:
            return _Text(errors=(error,))
        text = _Text(errors=self._validate(query, document))
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                text.operations[definition.name.value if definition.name else None] = definition
            elif isinstance(definition, FragmentDefinitionNode):
                text.fragments[definition.name.value] = definition
        if not text.errors and not text.operations:
            text.errors = (GraphQLError("The request holds no operation"),)
        return text

    def _validate(self, query: str, document: DocumentNode) -> tuple[GraphQLError, ...]:
        """Errors of a document. Texts that differ in whole numbers only (ids, mostly) are validated once.

        Numbers are checked again when arguments are coerced, so nothing slips through.
        """
        shape = _WHOLE_NUMBER.sub("0", query) if len(query) <= _CACHED_LENGTH else None
        with self._lock:
            if shape in self._valid:
                return ()
        errors = tuple(self._explained(error) for error in validate(self.schema, document, max_errors=20))
        if not errors and shape is not None:
            with self._lock:
                self._valid[shape] = None
                while len(self._valid) > _CACHED_TEXTS:
                    self._valid.popitem(last=False)
        return errors

    def _explained(self, error: GraphQLError) -> GraphQLError:
        """An error about an enum also says which values there are."""
        for name in _QUOTED_NAME.findall(error.message):
            kind = self.schema.type_map.get(name)
            if isinstance(kind, GraphQLEnumType):
                text = f"{error.message} The values are {', '.join(kind.values)}."
                return GraphQLError(text, error.nodes, path=error.path, original_error=error.original_error)
        return error

    def _prepare(
        self, text: _Text, operation: OperationDefinitionNode, variables: Mapping[str, Any], viewer: Viewer
    ) -> _Prepared:
        definitions = operation.variable_definitions or ()
        key = (operation.name.value if operation.name else None, viewer)
        if not definitions and (found := text.plans.get(key)) is not None:
            return found
        values = get_variable_values(self.schema, definitions, dict(variables), max_errors=20)
        if not isinstance(values, VariableValues):
            raise _Several([self._explained(error) for error in values])
        request = Request(self.schema, text.fragments, values)
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
    ) -> _Prepared:
        fields: Fields = {}
        request.gather("Query", operation.selection_set, fields, set())
        if len(fields) > MAX_ROOT_FIELDS:
            raise QueryError(f"The request asks for {len(fields)} root fields; at most {MAX_ROOT_FIELDS} are answered")
        compiler = Compiler(self.catalog.graph, self.catalog.dialect, request, viewer, self._rule)
        prepared: list[tuple[str, Plan | bytes]] = []
        for key, nodes in fields.items():
            name = nodes[0].name.value
            if name == "__typename":
                prepared.append((key, b'"Query"'))
            elif name.startswith("__"):
                prepared.append((key, self._introspect(key, nodes, operation, text, variables)))
            else:
                prepared.append((key, compiler.root(key, nodes)))
        return _Prepared(tuple(prepared), tuple(compiler.errors))

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
        result = execute_sync(self.schema, document, variable_values=dict(variables))
        if result.errors:
            raise _Several(result.errors)
        return orjson.dumps((result.data or {})[key])

    def _run(self, prepared: _Prepared, bases: Bases, viewer: Viewer) -> Answer:
        # Pieces are joined once: a list of all annotations has 25 MB, and every copy of it would cost.
        pieces = [b'{"data":{']
        with ExitStack() as stack:
            source: _Source | None = None
            for index, (key, plan) in enumerate(prepared.fields):
                pieces.append(b'%s"%s":' % (b"," if index else b"", key.encode()))
                if isinstance(plan, bytes):
                    pieces.append(plan)
                    continue
                if source is None:
                    connection = stack.enter_context(self.catalog.read(seconds=self._seconds))
                    source = _Source(self.catalog, connection, bases.parameters(), viewer, self._known)
                pieces += source.pieces(plan)
        pieces.append(b"}")
        if prepared.errors:
            pieces += [b',"errors":', _formatted(prepared.errors)]
        return Answer(200, b"".join([*pieces, b"}"]))


class _Several(GraphQLError):
    """Several errors at once."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


@dataclass(slots=True)
class _Source:
    """The database during one request: one snapshot, and what is known of it from earlier requests."""

    catalog: Catalog
    connection: Connection
    addresses: Mapping[str, str]
    viewer: Viewer
    known: AnswerCache
    version: str | None = None

    def pieces(self, plan: Plan) -> list[bytes]:
        """JSON of a root field. Aggregates, which read whole tables for a short answer, are kept."""
        if plan.many:
            rows = _rows(self.catalog, self.connection, plan, self.addresses)
            return [b"[", b",".join(rows), b"]"]
        if self.version is None:
            self.version = self.catalog.info(self.connection, "data_version") or "0"
        values = orjson.dumps([plan.parameters, self.addresses], option=orjson.OPT_SORT_KEYS)
        question = (self.version, self.viewer, plan.sql, values)
        return [self.known.get(question, lambda: _rows(self.catalog, self.connection, plan, self.addresses)[0])]


def _rows(catalog: Catalog, connection: Connection, plan: Plan, addresses: Mapping[str, str]) -> list[bytes]:
    driver = connection.dialect.loaded_dbapi
    try:
        with connection.exec_driver_sql(plan.sql, {**plan.parameters, **addresses}) as result:
            # The driver's own rows: those of SQLAlchemy can do more than is needed here, which costs a third.
            return [row[0] for row in result.cursor.fetchall()]
    except (DBAPIError, driver.Error) as error:
        reason = catalog.database.reason(error)
        if reason in _REASONS:
            raise GraphQLError(_REASONS[reason], path=[plan.key]) from error
        _log.error("the catalog could not answer %s", plan.key, exc_info=error)
        raise GraphQLError(
            "The catalog cannot answer this request; see the log of the server", path=[plan.key]
        ) from error


def _read_only(operation: OperationDefinitionNode) -> GraphQLError:
    return GraphQLError(
        "read-only API: entities change when the archive is indexed, not by mutations",
        list(operation.selection_set.selections),
    )


def _refused(errors: Sequence[GraphQLError]) -> Answer:
    return Answer(200, b'{"data":null,"errors":' + _formatted(errors) + b"}")


def _formatted(errors: Sequence[GraphQLError]) -> bytes:
    every = [one for error in errors for one in (error.errors if isinstance(error, _Several) else (error,))]
    return orjson.dumps([{**error.formatted} for error in every])


def _wrong(text: str) -> Answer:
    return Answer(400, text.encode(), "text/plain; charset=utf-8")
