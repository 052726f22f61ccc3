"""Which failures of a store may pass by themselves: a lost connection may, a missing key or a full disk will not."""

from __future__ import annotations

import errno

from tomoportal.errors import ConflictError, NotFoundError, ReadOnlyError, StorageError

__all__ = ["may_pass"]

_PASSING = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,  # a network file system whose server is away for a moment
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.EPIPE,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)


def may_pass(error: StorageError) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(error, NotFoundError | ConflictError | ReadOnlyError):
        return False
    cause = error.__cause__
    while isinstance(cause, StorageError):
        cause = cause.__cause__
    if isinstance(cause, OSError) and cause.errno is not None:
        return cause.errno in _PASSING
    if isinstance(cause, TimeoutError | ConnectionError):
        return True
    return _of_object_store(cause)


def _of_object_store(cause: BaseException | None) -> bool:
    """What is left when a request has been refused neither for its key nor for its credentials: network and server."""
    from obstore import exceptions

    return isinstance(cause, exceptions.GenericError)
