"""The queries of the public portal's clients over catalogs of any size, beside hand-written SQL as the limit.

    python benchmarks/graphql.py                             # N = 200 and 2,000 on both databases; results/graphql.md
    python benchmarks/graphql.py --scales 200 --databases sqlite --show

CPU per request is that of this process (parse, compile, join) and, for PostgreSQL, of the server's process that
answers. "Changed" is the first request after an ``index`` changed the data; the other columns are of requests that
repeat with other ids, so that only the preparation of texts and statements is shared. The limit sends the same
questions as SQL written by hand, one statement each, and makes JSON of the rows with orjson. It counts all rows for the
global group-bys of browsing, while ours have their counts on record; so browsing is cheaper than its limit.

"8 clients" are eight connections that ask a server of one process over HTTP, with the same questions and answers that
are not compressed; the limit is the same server software with a route that sends the SQL written by hand.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# This file has the name of a library; only the folder of its own modules is searched.
sys.path[0] = str(Path(__file__).with_name("catalogs"))

CLIENTS = 8
RESULT = Path(__file__).parent / "results" / "graphql.md"
BASES = ("s3://tomoportal", "https://portal.example/files")


class Clock:
    """CPU seconds of this process, and of the PostgreSQL servers that answer it."""

    def __init__(self, postmaster: int | None) -> None:
        self._postmaster = postmaster
        self._tick = os.sysconf("SC_CLK_TCK")

    def __call__(self) -> tuple[float, float]:
        return time.process_time(), self._servers()

    def of(self, process: int) -> float:
        """CPU seconds of another process, with all its threads."""
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / self._tick

    def _servers(self) -> float:
        if self._postmaster is None:
            return 0.0
        total = 0.0
        for path in Path("/proc").glob("[0-9]*/schedstat"):
            try:
                parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self._postmaster:
                    total += int(path.read_text().split()[0]) / 1e9
            except (OSError, ValueError):
                continue
        return total


def measured(clock: Clock, work: Callable[[int], object], repeats: int, *, warm: int = 2) -> tuple[float, float]:
    """CPU ms per call: here, and in the database. The first calls do not count."""
    for number in range(1 + warm):
        work(number)
    start = clock()
    for number in range(repeats):
        work(number + 1 + warm)
    stop = clock()
    here, there = (1000 * (after - before) / repeats for before, after in zip(start, stop, strict=True))
    return here, there


def once(clock: Clock, work: Callable[[int], object]) -> float:
    """CPU ms of one call, in both places."""
    start = clock()
    work(0)
    return 1000 * (sum(clock()) - sum(start))


def run(scale: int, name: str, url: str, clock: Clock) -> list[str]:
    from portal_seed import seed
    from questions import questions

    from tomoportal.catalog import Catalog

    lines = []
    with Catalog.open(url, create=True) as catalog:
        start = time.perf_counter()
        counts = seed(catalog, scale)
        print(f"{name}, N={scale}: {sum(counts.values()):,} rows in {time.perf_counter() - start:.0f} s", flush=True)
        for question in questions(scale):
            changed, here, there, size = _ours(catalog, question, clock, scale)
            with _raw(catalog) as ask:
                limit = measured(clock, functools.partial(_all, ask, question.sql), question.repeats)
            goal = "" if question.goal is None or scale != 200 else f"{question.goal:g}"
            database = f" | {there:.2f}" if name == "PostgreSQL" else ""
            total = here + there
            lines.append(
                f"| {question.name} | {size / 1000:,.1f} | {changed:.1f} | {here:.2f}{database} | {total:.2f}"
                f" | {sum(limit):.2f} | {goal} |"
            )
            print(lines[-1], flush=True)
    return lines


def run_clients(scale: int, name: str, url: str, clock: Clock, seconds: float) -> list[str]:
    """Requests per second of eight clients, and per CPU second of the server and its database."""
    from clients import asked, portal, written_by_hand
    from questions import questions

    found = [question for question in questions(scale) if question.repeats > 3]
    rates: dict[str, list[tuple[float, float]]] = {"ours": [], "limit": []}

    def measure(side: str, number: int, address: str, body: Callable[[int], object]) -> None:
        asked(address, body, 0.5)
        before = clock.of(number) + clock()[1]
        count, took = asked(address, body, seconds)
        spent = clock.of(number) + clock()[1] - before
        rates[side].append((count / took, count / spent))

    with portal(url) as (number, address):
        for question in found:

            def query(turn: int, question: Any = question) -> object:
                numbers = question.numbers(turn)
                return {"query": question.query % numbers if numbers else question.query}

            measure("ours", number, address, query)
    with written_by_hand(url, [question.sql for question in found]) as (number, address):
        for index in range(len(found)):
            measure("limit", number, address, lambda turn, index=index: {"number": index})  # type: ignore[misc]
    lines = []
    for question, ours, limit in zip(found, rates["ours"], rates["limit"], strict=True):
        lines.append(f"| {question.name} | {ours[0]:,.0f} | {limit[0]:,.0f} | {ours[1]:,.0f} | {limit[1]:,.0f} |")
        print(f"{name}, {CLIENTS} clients: {lines[-1]}", flush=True)
    return lines


def _ours(catalog: Any, question: Any, clock: Clock, scale: int) -> tuple[float, float, float, int]:
    from tomoportal.catalog import Bases, GraphQL

    service, bases, sizes = GraphQL(catalog), Bases(*BASES), [0]

    def ask(number: int) -> None:
        numbers = question.numbers(number)
        answer = service.execute(question.query % numbers if numbers else question.query, bases=bases)
        sizes[0] = len(answer.body)
        assert b'"errors"' not in answer.body[:200], answer.body[:500]

    here, there = measured(clock, ask, question.repeats)
    for version in ("changed", str(scale)):
        # As after an ``index``: nothing that was kept of answers holds any more.
        with catalog.write() as connection:
            catalog.set_info(connection, "data_version", version)
            catalog.set_info(connection, "summary", catalog.summaries.stamp(version))
        changed = once(clock, ask)
    return changed, here, there, sizes[0]


def _all(ask: Callable[[str], bytes], statements: Sequence[str], number: int) -> None:
    for statement in statements:
        ask(statement)


@contextmanager
def _raw(catalog: Any) -> Iterator[Callable[[str], bytes]]:
    """Ask the driver itself and make JSON of the rows."""
    import orjson

    with catalog.read() as connection:
        raw = connection.connection.dbapi_connection
        postgres = catalog.dialect.name == "postgresql"

        def ask(text: str) -> bytes:
            cursor = raw.execute(text if postgres else text.replace("::int", ""))
            names = [column[0] for column in cursor.description]
            return orjson.dumps([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])

        yield ask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scales", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--seconds", type=float, default=3.0, help="of eight clients for each question; 0 for none")
    parser.add_argument("--show", action="store_true", help="print only, write no page")
    options = parser.parse_args()
    tables: list[str] = []
    for scale in options.scales:
        for database in options.databases:
            with _database(database) as (name, url, clock):
                lines = run(scale, name, url, clock)
                many = run_clients(scale, name, url, clock, options.seconds) if options.seconds else []
            extra = " | database" if database == "postgresql" else ""
            head = f"| query | answer, kB | changed | here{extra} | sum | limit | goal |"
            tables += ["", f"## {name}, N = {scale:,}", "", head, "|---" + "|---" * (head.count("|") - 2) + "|", *lines]
            if many:
                head = "| 8 clients | requests/s | limit | requests per CPU second | limit |"
                tables += ["", head, "|---|---|---|---|---|", *many]
    if not options.show:
        RESULT.write_text("\n".join([*_head(), *tables]) + "\n")


@contextmanager
def _database(kind: str) -> Iterator[tuple[str, str, Clock]]:
    with tempfile.TemporaryDirectory(prefix="tomoportal-") as folder:
        if kind == "sqlite":
            yield "SQLite", f"sqlite:///{folder}/catalog.sqlite", Clock(None)
            return
        from postgres_server import server

        with server() as url:
            import psycopg

            with psycopg.connect(url) as connection:
                (text,) = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone() or ("",)
            yield "PostgreSQL", url, Clock(int(text.split()[0]))


def _head() -> list[str]:
    return [
        "# GraphQL",
        "",
        f"`python benchmarks/graphql.py`, Python {platform.python_version()}, {os.cpu_count()} cores"
        f" ({platform.machine()}). CPU milliseconds. CPU per" + (__doc__ or "").partition("CPU per")[2].rstrip(),
    ]


if __name__ == "__main__":
    main()
