"""Locks on object stores: an object with a holder and an expiry, made by a conditional write and renewed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tomoportal.errors import ConflictError, LockedError, NotFoundError, StorageError
from tomoportal.storage.base import Lock, Store
from tomoportal.storage.owners import is_abandoned, new_token

__all__ = ["LEASE_SECONDS", "lease"]

LEASE_SECONDS = 60.0
"""How long a lease lasts without renewal."""

_RENEWALS = 3
"""How often it is renewed in that time."""

_CLOCK_MARGIN = 5.0
"""Seconds by which the clocks of two machines may differ."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0


@contextmanager
def lease(store: Store, key: str, name: str, timeout: float, *, conditional: bool) -> Iterator[Lock]:
    """Hold the lease object ``key``; without ``conditional`` writes two writers at once are not told apart."""
    holder = new_token()
    held = _Lease(store, key, name, holder, _acquire(store, key, name, holder, timeout, conditional), conditional)
    held.start()
    try:
        yield held
    finally:
        held.stop()


class _Lease:
    def __init__(self, store: Store, key: str, name: str, holder: str, etag: str, conditional: bool) -> None:
        self._store, self._key, self._name, self._holder, self._etag = store, key, name, holder, etag
        self._conditional = conditional
        self._until = time.monotonic() + LEASE_SECONDS
        self._lost = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def check(self) -> None:
        """Raise :class:`LockedError` if the lease ran out or was taken over."""
        if self._lost or time.monotonic() > self._until:
            raise LockedError(
                f"the lock on {self._name!r} was lost: it could not be renewed in time",
                where=self._key,
                fix="run the command again; it continues where it stopped",
            )

    def _renew(self) -> None:
        while not self._ended.wait(LEASE_SECONDS / _RENEWALS):
            started = time.monotonic()
            try:
                match = self._etag if self._conditional else None
                self._etag = self._store.put(self._key, _content(self._holder), if_match=match)
            except ConflictError:
                self._lost = True
                return
            except StorageError:
                continue  # the network may come back before the lease ends; check() looks at the time
            self._until = started + LEASE_SECONDS

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        # There is no conditional delete: near its end the lease may be another's already, and is left to expire.
        if self._lost or time.monotonic() > self._until - _CLOCK_MARGIN:
            return
        with suppress(StorageError):
            if _parse(self._store.get(self._key))[0] == self._holder:
                self._store.delete(self._key)


def _acquire(store: Store, key: str, name: str, holder: str, timeout: float, conditional: bool) -> str:
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        etag, owner, until = _look(store, key)
        free = etag is None
        if free or is_abandoned(owner, time.time()) or time.time() > until + _CLOCK_MARGIN:
            try:
                if not conditional:
                    return store.put(key, _content(holder))
                if free:
                    return store.put(key, _content(holder), if_absent=True)
                return store.put(key, _content(holder), if_match=etag)
            except ConflictError:
                continue
        if time.monotonic() >= deadline:
            raise LockedError(
                f"another process works on {name!r}",
                where=key,
                fix=f"wait until it has finished; if it died, its lock ends in {LEASE_SECONDS + _CLOCK_MARGIN:.0f} s",
            )
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _look(store: Store, key: str) -> tuple[str | None, str, float]:
    try:
        etag = store.stat(key).etag  # before the content: a change in between makes the conditional write fail
        owner, until = _parse(store.get(key))
    except NotFoundError:
        return None, "", 0.0
    return etag, owner, until


def _content(holder: str) -> bytes:
    return json.dumps({"holder": holder, "expires": time.time() + LEASE_SECONDS}).encode()


def _parse(data: bytes) -> tuple[str, float]:
    try:
        value = json.loads(data)
        return str(value["holder"]), float(value["expires"])
    except (ValueError, KeyError, TypeError):
        return "", 0.0
