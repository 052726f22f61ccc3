"""``/metrics``: what this process has done, in the text format of Prometheus.

Each worker process counts its own requests, and a scrape reaches one of them: with several workers, rates have to be
multiplied by their number, or taken from the proxy in front.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from tomoportal import __version__
from tomoportal.catalog import ANYONE
from tomoportal.catalog.statements import StatementCount
from tomoportal.errors import TomoportalError
from tomoportal.server.context import KEYS, Context

__all__ = ["Metrics", "MetricsPage"]

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_COUNTED = ("datasets", "runs", "tomograms", "annotations", "depositions")
_ROWS = "{" + " ".join(f"{name}Aggregate {{ aggregate {{ count }} }}" for name in _COUNTED) + "}"


@dataclass(slots=True)
class _Durations:
    counts: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    total: float = 0.0


class Metrics:
    """Counters of one process; used by the event loop only. A route is its template, so there are few."""

    def __init__(self) -> None:
        self.in_progress = 0
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._bytes: Counter[str] = Counter()
        self._cut: Counter[tuple[str, str]] = Counter()
        self._durations: defaultdict[str, _Durations] = defaultdict(_Durations)

    def record(self, route: str, method: str, status: int, seconds: float, size: int, end: str = "whole") -> None:
        """A request was answered with ``size`` bytes of body; its ``end`` is ``whole``, ``broken`` or ``left``."""
        self._requests[route, method, status] += 1
        self._bytes[route] += size
        if end != "whole":
            self._cut[route, end] += 1
        durations = self._durations[route]
        durations.counts[bisect_left(_BOUNDS, seconds)] += 1
        durations.total += seconds

    def lines(self) -> Iterator[str]:
        """The counters in the text format."""
        yield from _head("tomoportal_http_requests_total", "counter", "Requests that were answered.")
        for (route, method, status), count in sorted(self._requests.items()):
            yield f'tomoportal_http_requests_total{{route="{route}",method="{method}",status="{status}"}} {count}'
        text = "Answers that began and have no end: broken off here, or left by their reader."
        yield from _head("tomoportal_http_responses_cut_total", "counter", text)
        for (route, end), count in sorted(self._cut.items()):
            yield f'tomoportal_http_responses_cut_total{{route="{route}",end="{end}"}} {count}'
        yield from _head("tomoportal_http_response_bytes_total", "counter", "Bytes of bodies that were sent.")
        for route, size in sorted(self._bytes.items()):
            yield f'tomoportal_http_response_bytes_total{{route="{route}"}} {size}'
        name = "tomoportal_http_request_duration_seconds"
        yield from _head(name, "histogram", "From the headers of a request to the last byte of its answer.")
        for route, durations in sorted(self._durations.items()):
            count = 0
            for bound, more in zip((*_BOUNDS, "+Inf"), durations.counts, strict=True):
                count += more
                yield f'{name}_bucket{{route="{route}",le="{bound}"}} {count}'
            yield f'{name}_sum{{route="{route}"}} {durations.total:.6f}'
            yield f'{name}_count{{route="{route}"}} {count}'
        yield from _one("tomoportal_http_requests_in_progress", "gauge", "Requests that run now.", self.in_progress)


class MetricsPage:
    """The route ``/metrics``."""

    def __init__(self, context: Context, metrics: Metrics) -> None:
        self._context, self._metrics = context, metrics
        self._statements = StatementCount(context.catalog)
        self._rows: tuple[str, dict[str, int]] | None = None

    async def respond(self, request: Request) -> Response:
        """The answer to ``GET /metrics``."""
        catalog = await self._context.run(self._catalog_lines)
        lines = [*self._metrics.lines(), *self._process_lines(), *catalog]
        return Response("\n".join(lines) + "\n", 200, {"Cache-Control": "no-store"}, _CONTENT_TYPE)

    def _process_lines(self) -> Iterator[str]:
        text = "Statements that were sent to the catalog's database."
        yield from _one("tomoportal_sql_statements_total", "counter", text, self._statements.value)
        text = "CPU time of this process."
        yield from _one("process_cpu_seconds_total", "counter", text, round(time.process_time(), 3))
        yield from _head("tomoportal_build_info", "gauge", "The version of the program.")
        yield f'tomoportal_build_info{{version="{__version__}"}} 1'

    def _catalog_lines(self) -> list[str]:
        try:
            version = self._context.catalog.version
            if self._rows is None or self._rows[0] != version:
                data = self._context.ask(_ROWS, ANYONE, KEYS)
                self._rows = version, {name: data[f"{name}Aggregate"]["aggregate"][0]["count"] for name in _COUNTED}
        except TomoportalError:  # the rest is told all the more
            return list(_one("tomoportal_catalog_up", "gauge", "Whether the catalog answers.", 0))
        lines = list(_one("tomoportal_catalog_up", "gauge", "Whether the catalog answers.", 1))
        lines += _head("tomoportal_catalog_info", "gauge", "The version of the catalog's data.")
        lines.append(f"tomoportal_catalog_info{{version={json.dumps(version)}}} 1")
        lines += _head("tomoportal_catalog_rows", "gauge", "What the catalog holds, as everybody sees it.")
        return lines + [f'tomoportal_catalog_rows{{entity="{name}"}} {count}' for name, count in self._rows[1].items()]


def _head(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"


def _one(name: str, kind: str, meaning: str, value: float) -> Iterator[str]:
    yield from _head(name, kind, meaning)
    yield f"{name} {value}"
