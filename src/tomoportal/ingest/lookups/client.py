"""Asking public services over HTTP: slowly, patiently, and each thing once."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tomoportal import __version__
from tomoportal.errors import SettingsError

__all__ = ["SERVICES", "Client", "Reply", "Unreachable"]

SERVICES = {
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
_BUSY = (408, 425, 429)
_REFUSED = (401, 403)


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

    @property
    def found(self) -> bool:
        """Whether there is such a thing."""
        return self.status < 400

    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass
class Client:
    """Asks services; a service that did not answer once is not asked again."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    """Addresses that replace those of `SERVICES`."""
    timeout: float = 60.0
    attempts: int = 4
    pause: float = 0.5
    """Before the second attempt (seconds); doubled for each further one."""
    intervals: Mapping[str, float] = field(default_factory=lambda: dict(_INTERVALS))
    interval: float = _INTERVAL
    memory: dict[str, Any] = field(default_factory=dict)
    """What was made of answers, such as the terms of an ontology file."""
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

    def get(self, service: str, url: str, *, body: bool = True) -> Reply:
        """The answer of any address; ``service`` is whom it counts for."""
        key = (service, url)
        if key not in self._replies:
            if service in self._down:
                raise Unreachable(service, self._down[service])
            try:
                self._replies[key] = self._patiently(service, url, body)
            except Unreachable as error:
                self._down[service] = error.why
                raise
        return self._replies[key]

    def _patiently(self, service: str, url: str, body: bool) -> Reply:
        why = ""
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            self._wait(service)
            try:
                reply = self._once(url, body)
            except (OSError, ValueError) as error:  # no connection, a broken answer, no address
                reason = getattr(error, "reason", None)
                why = str(reason or error) or type(error).__name__
                continue
            if reply.status in _REFUSED:
                raise Unreachable(service, f"it refuses us with status {reply.status}")
            if reply.status < 500 and reply.status not in _BUSY:
                return reply
            why = f"it answered with status {reply.status}"
        raise Unreachable(service, why)

    def _once(self, url: str, body: bool) -> Reply:
        headers = {"User-Agent": f"tomoportal/{__version__}", "Accept": "application/json, */*;q=0.5"}
        request = urllib.request.Request(url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                data = answer.read(_LIMIT + 1) if body else b""
                if len(data) > _LIMIT:
                    raise ValueError("the answer is too large")
                return Reply(answer.status, data, answer.headers.get_content_type())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code)

    def _wait(self, service: str) -> None:
        """Keep the distance to the last request."""
        interval = self.intervals.get(service, self.interval)
        rest = self._last.get(service, -interval) + interval - time.monotonic()
        if rest > 0:
            time.sleep(rest)
        self._last[service] = time.monotonic()
