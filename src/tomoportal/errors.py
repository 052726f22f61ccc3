"""The tree of all errors.

Every error says what went wrong, where (file, line, field, run) and how to fix it. An error is also the builtin
that a caller would catch: a missing key is a ``FileNotFoundError``, a malformed file a ``ValueError``.

    TomoportalError
    ├── SettingsError          a setting or command-line option that cannot be used
    ├── ConfigError            an ingestion config; carries every problem at once
    ├── FormatError            a file whose bytes contradict its format
    ├── DocumentError          a metadata document that breaks the schema; carries every problem at once
    ├── StorageError           a store that refuses or fails
    │   ├── NotFoundError      no such key
    │   │   └── UnknownLevelError  a volume that has no such level
    │   ├── ConflictError      somebody else wrote first
    │   └── ReadOnlyError      a source that may only be read
    ├── LockedError            another process holds the lock
    ├── ArchiveError           an archive whose parts contradict each other
    ├── IngestError            an item that could not be ingested
    ├── AnnotationError        a copick project, or a request to one, that cannot be: a taken name, misfitting arrays
    │   └── UnknownNameError   a name or number that a document does not hold
    ├── CatalogError           the catalog (database) cannot answer or be built
    ├── PortalError            another portal that cannot be reached, or that answers with an error
    ├── QueryError             a GraphQL request that cannot be answered; its text is shown to the client
    └── MissingPartError       an optional part (browser, viewer files, extra package) that is not installed
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "AnnotationError",
    "ArchiveError",
    "CatalogError",
    "ConfigError",
    "ConflictError",
    "DocumentError",
    "FormatError",
    "IngestError",
    "LockedError",
    "MissingPartError",
    "NotFoundError",
    "PortalError",
    "Problem",
    "QueryError",
    "ReadOnlyError",
    "SettingsError",
    "StorageError",
    "TomoportalError",
    "UnknownLevelError",
    "UnknownNameError",
    "is_disk_full",
]


class TomoportalError(Exception):
    """Base of all errors that the package raises on purpose.

    ``what`` is a full sentence, ``where`` names the place (``file:line``, a key, a field, a run) and ``fix`` says
    what the reader can do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(what, where, fix)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  fix: {self.fix}" if self.fix else text

    def __reduce__(self) -> tuple[object, ...]:  # survives the way back from a worker process
        return _rebuild, (type(self), self.__dict__)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input: the place, the fact, the way out."""

    where: str
    what: str
    fix: str | None = None

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}  (fix: {self.fix})" if self.fix else text


class _ProblemsError(TomoportalError):
    """An error that lists every problem of one input at once."""

    def __init__(self, problems: Iterable[Problem], *, source: str | None = None) -> None:
        self.problems: Sequence[Problem] = tuple(problems)
        count = len(self.problems)
        super().__init__(f"{count} problem{'' if count == 1 else 's'}", where=source)
        self.source = source

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"  - {problem}" for problem in self.problems)])


class SettingsError(TomoportalError, ValueError):
    """A setting, environment variable or command-line option that cannot be used."""


class ConfigError(_ProblemsError, ValueError):
    """An ingestion config with one or more problems; ``problems`` holds all of them."""


class FormatError(TomoportalError, ValueError):
    """A file whose bytes contradict its format: truncated, lying header, unknown mode, bad row."""


class DocumentError(_ProblemsError, ValueError):
    """A metadata document that breaks the schema; ``problems`` holds every broken field."""


class StorageError(TomoportalError, OSError):
    """A store that refuses or fails: permission, full disk, network."""


class NotFoundError(StorageError, FileNotFoundError):
    """There is no object under this key."""


class UnknownLevelError(NotFoundError, KeyError):
    """A volume has no level of this name, or none at all."""


class ConflictError(StorageError):
    """Somebody else wrote the object first; nothing was overwritten."""


class ReadOnlyError(StorageError, PermissionError):
    """A source that may only be read, where the overlay is where changes go, or a store that refuses access."""


class LockedError(TomoportalError, TimeoutError):
    """Another process holds the lock and did not release it in time."""


class ArchiveError(TomoportalError):
    """An archive whose parts contradict each other, or that is not an archive."""


class IngestError(TomoportalError):
    """An item that could not be ingested; the other items are not affected."""


class AnnotationError(TomoportalError, ValueError):
    """A copick project, or a request to one, that cannot be: a taken name, an unknown object, misfitting arrays."""


class UnknownNameError(AnnotationError, KeyError):
    """A project or a document has nothing of this name or number."""


class CatalogError(TomoportalError):
    """The catalog cannot be opened, built or asked."""


class PortalError(TomoportalError, ConnectionError):
    """A portal that is asked over the network and cannot be reached, or answers with an error."""

    passing: bool = False
    """Whether the same question may be answered later, or a smaller one now."""


class QueryError(TomoportalError):
    """A GraphQL request that cannot be answered; the text goes to the client."""


class MissingPartError(TomoportalError, ImportError):
    """An optional part that is not installed; ``fix`` says how to get it."""


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a full disk is at the bottom of an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__
    return False


def _rebuild(kind: type[TomoportalError], state: dict[str, object]) -> TomoportalError:
    error = kind.__new__(kind)
    error.__dict__.update(state)
    error.args = (state.get("what"), state.get("where"), state.get("fix"))
    return error
