"""Values made on request, kept while there is room: the least recently used go first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

__all__ = ["ByteCache"]

_T = TypeVar("_T")


class ByteCache(Generic[_T]):
    """A cache of at most ``limit`` bytes, as ``size_of`` counts them. Safe for threads.

    A value that several threads ask for at once is made once. A value that is larger than the cache is handed out and
    not kept.
    """

    def __init__(self, limit: int, size_of: Callable[[_T], int]) -> None:
        self._limit, self._size_of = limit, size_of
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[_T, int]] = OrderedDict()
        self._making: dict[Hashable, Future[Any]] = {}
        self._used = 0

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """The value under ``key``, made by ``make`` if it is not there; what ``make`` raises is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key][0]
            maker = self._making.get(key)
            if maker is None:
                ours: Future[_T] = Future()
                self._making[key] = ours
        if maker is not None:
            value: _T = maker.result()
            return value
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            ours.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            self._keep(key, value, self._size_of(value))
        ours.set_result(value)
        return value

    def _keep(self, key: Hashable, value: _T, size: int) -> None:
        if size > self._limit:
            return
        self._values[key] = (value, size)
        self._used += size
        while self._used > self._limit:
            _, (_, freed) = self._values.popitem(last=False)
            self._used -= freed

    @property
    def used(self) -> int:
        """Bytes that are held now."""
        return self._used

    def __len__(self) -> int:
        return len(self._values)
