"""What the routes of one server share: settings, archive, catalog and a pool of threads.

One context belongs to one application; nothing of it is global.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, TypeVarTuple

from starlette.types import Scope

from tomoportal.archive import Archive
from tomoportal.catalog import ANYONE, Bases, Catalog, GraphQL, Viewer, visibility
from tomoportal.errors import CatalogError, NotFoundError
from tomoportal.server.addresses import Addresses, addresses_of
from tomoportal.server.settings import Settings

__all__ = ["KEYS", "Context", "id_of", "key_of"]

_Ts = TypeVarTuple("_Ts")
_T = TypeVar("_T")
_LARGEST_ID = 2**31 - 1

KEYS = Bases(s3="key:", https="key:")
"""Bases for questions of the server's own: addresses come back as :func:`key_of` reads them."""


def key_of(address: str | None) -> str | None:
    """The archive's key behind an address that was answered with :data:`KEYS`; ``None`` if it lies elsewhere."""
    return address.removeprefix("key:/") if address is not None and address.startswith("key:/") else None


def id_of(text: str) -> int:
    """A number in an address; raises :class:`NotFoundError` for what GraphQL does not take for an id."""
    if text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _LARGEST_ID:
        return int(text)
    raise NotFoundError("There is no object with this number.")


@dataclass(frozen=True, slots=True)
class Context:
    """The parts that answer requests."""

    settings: Settings
    archive: Archive
    catalog: Catalog
    graphql: GraphQL
    threads: ThreadPoolExecutor
    file_threads: ThreadPoolExecutor

    async def run(self, function: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
        """Run something that blocks (database, compression) while the event loop serves others."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *args)

    async def run_file(self, function: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
        """Like :meth:`run` for reading files: hard questions to the database do not hold up chunks of volumes."""
        return await asyncio.get_running_loop().run_in_executor(self.file_threads, function, *args)

    def close(self) -> None:
        """End the threads and give back the database's connections."""
        for pool in (self.threads, self.file_threads):
            pool.shutdown(wait=True, cancel_futures=True)
        self.catalog.close()

    def addresses(self, scope: Scope) -> Addresses:
        """Under which addresses the asker of this request reaches the portal."""
        return addresses_of(scope, self.settings)

    def bases(self, scope: Scope) -> Bases:
        """What is put before the archive's keys in the answer to this request."""
        return Bases(s3=f"s3://{self.settings.bucket}", https=self.addresses(scope).files)

    def ask(self, query: str, viewer: Viewer, bases: Bases) -> dict[str, Any]:
        """The data of a GraphQL query that we wrote ourselves, so that the rules of visibility hold here as well."""
        answer = self.graphql.execute(query, None, None, bases, viewer)
        if answer.status != 200 or b'"errors":' in answer.body:
            raise CatalogError(f"The catalog refused a question of the server: {answer.body.decode()}")
        data: dict[str, Any] = json.loads(answer.body)["data"]
        return data

    def may_read(self, key: str, viewer: Viewer) -> bool:
        """Whether the dataset or deposition that a key of the archive belongs to is visible to the one who asks."""
        owner = visibility.owner_of(key)
        if owner is None or visibility.visible(owner[0], viewer) is None:
            return True
        kind, number = owner
        return bool(self.ask(f"{{ {kind}s(where: {{id: {{_eq: {number}}}}}) {{ id }} }}", viewer, KEYS)[f"{kind}s"])

    def viewer(self, scope: Scope) -> Viewer:
        """Who asks. Today everyone is anonymous; accounts will be recognised here and nowhere else."""
        return ANYONE
