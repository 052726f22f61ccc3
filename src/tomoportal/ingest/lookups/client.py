"""Asking public services over HTTP: slowly, patiently, and each thing once.

An answer is "yes", "no" (`GONE`), or it is none: a service that is away, busy, sends us in circles or answers with
something else than JSON says nothing about what was asked (`Unreachable`).
"""

from __future__ import annotations

import email.utils
import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tomoportal import __version__
from tomoportal.errors import SettingsError

__all__ = ["SERVICES", "Client", "Reply", "Unreachable"]

SERVICES = {
    "ror": "https://api.ror.org/v2/organizations",
    "orcid": "https://pub.orcid.org/v3.0",
    "crossref": "https://api.crossref.org/works",
    "doi": "https://doi.org/api/handles",
    "empiar": "https://www.ebi.ac.uk/empiar/api/entry",
    "emdb": "https://www.ebi.ac.uk/emdb/api/entry",
    "pdb": "https://data.rcsb.org/rest/v1/core",
    "ols": "https://www.ebi.ac.uk/ols4/api",
    "wormbase": "https://rest.wormbase.org/rest/field/strain",
    "cellosaurus": "https://api.cellosaurus.org/cell-line",
    "uniprot": "https://rest.uniprot.org/uniprotkb",
    "cdpo": "https://raw.githubusercontent.com/uermel/cdpo/main/cdpo.obo",
    "cl": "https://raw.githubusercontent.com/obophenotype/cell-ontology/master/cl.obo",
}
"""Service → its address; a mirror may take its place."""

_INTERVALS = {"orcid": 0.2, "crossref": 1.0, "doi": 1.0}
_INTERVAL = 0.1  # seconds between two requests to a service
_LIMIT = 128 * 1024 * 1024
_PIECE = 64 * 1024
_BUSY = (408, 425, 429)
_GONE = (400, 404, 410, 422)
"""There is no such thing; some services say so of an id that is not of their form."""

_T = TypeVar("_T")


class Unreachable(Exception):
    """A service gave no answer: says nothing about what was asked."""

    def __init__(self, service: str, why: str) -> None:
        super().__init__(service, why)
        self.service = service
        self.why = why


@dataclass(frozen=True)
class Reply:
    """Status, body and content type of an answer; 404 is an answer too."""

    status: int
    body: bytes = b""
    type: str = ""
    retry_after: float | None = None
    """Seconds that a busy service asks us to wait."""

    @property
    def found(self) -> bool:
        """Whether there is such a thing."""
        return self.status < 300


@dataclass
class Client:
    """Asks services; a service that did not answer once is not asked again.

    Threads may share it: a service gets one request at a time, whoever asks.
    """

    addresses: Mapping[str, str] = field(default_factory=dict)
    """Addresses that replace those of `SERVICES`."""
    timeout: float = 60.0
    """Seconds for one answer, to its last byte."""
    attempts: int = 4
    pause: float = 0.5
    """Before the second attempt (seconds); doubled for each further one, unless the service says how long."""
    longest_pause: float = 60.0
    """A service that asks for more than that (seconds) is left alone."""
    intervals: Mapping[str, float] = field(default_factory=lambda: dict(_INTERVALS))
    interval: float = _INTERVAL
    _memory: dict[str, Any] = field(default_factory=dict)
    _guards: dict[str, threading.RLock] = field(default_factory=dict)
    _replies: dict[tuple[str, str], Reply] = field(default_factory=dict)
    _down: dict[str, str] = field(default_factory=dict)
    _last: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, address in self.addresses.items():
            if name not in SERVICES:
                raise SettingsError(f"there is no service {name!r}", fix=f"services are {', '.join(SERVICES)}")
            if not address.startswith(("http://", "https://")):
                raise SettingsError(f"{address!r} is no http address", where=name)

    def ask(self, service: str, path: str = "") -> Reply:
        """The answer of a service; raises `Unreachable`."""
        base = self.addresses.get(service) or SERVICES[service]
        return self.get(service, base.rstrip("/") + path)

    def json(self, service: str, path: str = "") -> Any:
        """The answer of a service that speaks JSON; None if there is no such thing. Raises `Unreachable`."""
        with self._guard(service):
            reply = self.ask(service, path)
            try:
                return json.loads(reply.body) if reply.found else None
            except (ValueError, RecursionError):
                self._down[service] = f"it answers with {reply.type or 'something else'} instead of JSON"
                raise Unreachable(service, self._down[service]) from None

    def remember(self, service: str, make: Callable[[Reply], _T]) -> _T:
        """What ``make`` makes of the one answer of a service, such as the terms of an ontology file; made once."""
        with self._guard(service):
            if service not in self._memory:
                self._memory[service] = make(self.ask(service))
            made: _T = self._memory[service]
            return made

    def get(self, service: str, url: str, *, body: bool = True) -> Reply:
        """The answer of any address; ``service`` is whom it counts for."""
        key = (service, url)
        with self._guard(service):
            if key not in self._replies:
                if service in self._down:
                    raise Unreachable(service, self._down[service])
                try:
                    self._replies[key] = self._patiently(service, url, body)
                except Unreachable as error:
                    self._down[service] = error.why
                    raise
            return self._replies[key]

    def _guard(self, service: str) -> threading.RLock:
        return self._guards.setdefault(service, threading.RLock())

    def _patiently(self, service: str, url: str, body: bool) -> Reply:
        why, pause = "", 0.0
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(pause)
            pause = self.pause * 2**attempt
            self._wait(service)
            try:
                reply = self._once(url, body)
            except (OSError, ValueError, http.client.HTTPException) as error:  # no connection, a broken answer
                reason = getattr(error, "reason", None)
                why = str(reason or error) or type(error).__name__
                continue
            if reply.found or reply.status in _GONE:
                return reply
            why = f"it answered with status {reply.status}"
            if reply.status < 500 and reply.status not in _BUSY:
                break  # refused, or redirected in circles: the next time it will be the same
            if reply.retry_after is not None:
                pause = reply.retry_after
                if pause > self.longest_pause:
                    why += f" and asks to be left alone for {pause:g} s"
                    break
        raise Unreachable(service, why)

    def _once(self, url: str, body: bool) -> Reply:
        headers = {"User-Agent": f"tomoportal/{__version__}", "Accept": "application/json, */*;q=0.5"}
        request = urllib.request.Request(url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                data = self._body(answer) if body else b""
                return Reply(answer.status, data, answer.headers.get_content_type())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, retry_after=_seconds(error.headers.get("Retry-After")))

    def _body(self, answer: http.client.HTTPResponse) -> bytes:
        deadline = time.monotonic() + self.timeout
        pieces, size = [], 0
        while piece := answer.read1(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > _LIMIT:
                raise ValueError("the answer is too large")
            if time.monotonic() > deadline:
                raise TimeoutError("timed out")
        missing = answer.length
        if missing:
            raise http.client.IncompleteRead(b"", missing)
        return b"".join(pieces)

    def _wait(self, service: str) -> None:
        """Keep the distance to the last request."""
        interval = self.intervals.get(service, self.interval)
        rest = self._last.get(service, -interval) + interval - time.monotonic()
        if rest > 0:
            time.sleep(rest)
        self._last[service] = time.monotonic()


def _seconds(text: str | None) -> float | None:
    """``Retry-After``: seconds, or a date; None for anything else."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
