"""Answers: the JSON that the database makes, joined, whole or in pieces as the database finds its rows."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import orjson
from graphql import GraphQLError
from sqlalchemy import Connection

from tomoportal.catalog.addresses import Bases
from tomoportal.catalog.answer_cache import AnswerCache
from tomoportal.catalog.catalog import Catalog
from tomoportal.catalog.compiler import Plan
from tomoportal.catalog.database import Reason
from tomoportal.catalog.deadline import Deadline
from tomoportal.catalog.visibility import Viewer
from tomoportal.errors import CatalogError, QueryError

__all__ = ["Answer", "Answering", "Prepared", "SeveralErrors", "formatted"]

_PIECE = 1 << 18  # bytes; the database's rows are joined until they are as many
_WHOLE = 1 << 20  # bytes; smaller answers are not handed over in pieces

_REASONS: Mapping[Reason | None, str] = {
    Reason.DEEP: "The selection is nested too deeply for this database; ask for fewer relations at once",
    Reason.SLOW: "The request takes too long; ask for fewer rows, relations or groups at once",
    Reason.PATTERN: "The database cannot search for a regular expression of this request; write a simpler one",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client: ``body`` and, for a large answer that was asked for in pieces, the ``rest``."""

    status: int
    body: bytes
    content_type: str = "application/json"
    complete: bool = True
    """Whether it is free of errors; one with errors must not be kept, since they may pass."""
    rest: Generator[bytes, None, None] | None = None
    """The pieces after ``body``, which hold a connection to the database until they end or ``rest.close()``.

    An error in it (:class:`QueryError`, :class:`CatalogError`) is raised, since the beginning of the answer is gone:
    what was sent must not look whole.
    """


@dataclass(frozen=True, slots=True)
class Prepared:
    """Root fields in order: a plan for SQL, or JSON that is known already."""

    fields: tuple[tuple[str, Plan | bytes], ...]
    errors: tuple[GraphQLError, ...]


class SeveralErrors(GraphQLError):
    """Several errors at once."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


def formatted(errors: Sequence[GraphQLError]) -> bytes:
    """Errors as the list of an answer."""
    every = [one for error in errors for one in (error.errors if isinstance(error, SeveralErrors) else (error,))]
    return orjson.dumps([{**error.formatted} for error in every])


class Answering:
    """Asks the database of one catalog; may be used by many threads at once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known = AnswerCache()

    def answer(
        self, prepared: Prepared, bases: Bases, viewer: Viewer, deadline: Deadline, *, in_pieces: bool
    ) -> Answer:
        """Ask all statements of a request in one snapshot. Raises ``GraphQLError`` and :class:`CatalogError`."""
        complete = not prepared.errors
        pieces = self._pieces(prepared, bases, viewer, deadline)
        try:
            first = next(pieces)
        except CatalogError:
            # A server that was started anew has closed the connections of the pool; the next one is fresh.
            pieces = self._pieces(prepared, bases, viewer, deadline)
            first = next(pieces)
        if not in_pieces:
            return Answer(200, b"".join([first, *pieces]), complete=complete)
        held, size = [first], len(first)
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size >= _WHOLE:
                rest = _rest(pieces)
                next(rest)
                return Answer(200, b"".join(held), complete=complete, rest=rest)
        return Answer(200, b"".join(held), complete=complete)

    def _pieces(
        self, prepared: Prepared, bases: Bases, viewer: Viewer, deadline: Deadline
    ) -> Generator[bytes, None, None]:
        waiting, size = [b'{"data":{'], 0
        with ExitStack() as stack:
            source: _Source | None = None
            for index, (key, plan) in enumerate(prepared.fields):
                waiting.append(b'%s"%s":' % (b"," if index else b"", key.encode()))
                if isinstance(plan, bytes):
                    waiting.append(plan)
                    continue
                if source is None:
                    connection = stack.enter_context(self._catalog.read(deadline))
                    source = _Source(self._catalog, connection, bases.parameters(), viewer, deadline, self._known)
                for part in source.parts(plan):
                    waiting.append(part)
                    size += len(part)
                    if size >= _PIECE:
                        yield b"".join(waiting)
                        waiting, size = [], 0
        waiting.append(b"}")
        if prepared.errors:
            waiting += [b',"errors":', formatted(prepared.errors)]
        yield b"".join([*waiting, b"}"])


def _rest(pieces: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    """The pieces that are left; it is too late for an error of GraphQL to become a part of the answer.

    Begins with nothing: ``close()`` of a generator that has not begun would not reach ``pieces``.
    """
    try:
        yield b""
        yield from pieces
    except GraphQLError as error:
        raise QueryError(error.message) from error


@dataclass(slots=True)
class _Source:
    """The database during one request: one snapshot, and what is known of it from earlier requests."""

    catalog: Catalog
    connection: Connection
    addresses: Mapping[str, str]
    viewer: Viewer
    deadline: Deadline
    known: AnswerCache
    version: tuple[str, bool] | None = None
    """Of the data, and whether the counts on record belong to it."""

    def parts(self, plan: Plan) -> Iterator[bytes]:
        """JSON of a root field. Aggregates, which read whole tables for a short answer, are kept."""
        if plan.many:
            yield b"["
            comma = b""
            for batch in self._rows(plan, plan.sql):
                yield comma + b",".join(batch)
                comma = b","
            yield b"]"
            return
        if self.version is None:
            self.version = self.catalog.data_version(self.connection)
        version, summarised = self.version
        values = orjson.dumps([plan.parameters, self.addresses], option=orjson.OPT_SORT_KEYS)
        question = (version, self.viewer, plan.sql, values)
        sql = plan.quick if summarised and plan.quick is not None else plan.sql
        yield self.known.get(question, lambda: b"".join(batch[0] for batch in self._rows(plan, sql)))

    def _rows(self, plan: Plan, sql: str) -> Iterator[list[bytes]]:
        database = self.catalog.database
        try:
            yield from database.rows(self.connection, sql, {**plan.parameters, **self.addresses})
        except database.errors as error:
            if (trouble := database.trouble(error)) is not None:
                raise trouble from error
            raise self._given_up(plan, error) from error

    def _given_up(self, plan: Plan, error: BaseException) -> GraphQLError:
        reason = self.catalog.database.reason(error)
        if self.deadline.stopped:
            return GraphQLError("The request was given up, since nobody waits for its answer", path=[plan.key])
        if reason in _REASONS:
            return GraphQLError(_REASONS[reason], path=[plan.key])
        _log.error("the catalog could not answer %s", plan.key, exc_info=error)
        return GraphQLError("The catalog cannot answer this request; see the log of the server", path=[plan.key])
