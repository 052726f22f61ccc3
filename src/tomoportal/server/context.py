"""What the routes of one server share: settings, archive, catalog and a pool of threads.

One context belongs to one application; nothing of it is global.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from tomoportal.archive import Archive
from tomoportal.catalog import Bases, Catalog, GraphQL, Viewer
from tomoportal.server.addresses import Addresses, addresses_of
from tomoportal.server.settings import Settings

__all__ = ["Context"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Context:
    """The parts that answer requests."""

    settings: Settings
    archive: Archive
    catalog: Catalog
    graphql: GraphQL
    threads: ThreadPoolExecutor

    async def run(self, function: Callable[_P, _T], *args: _P.args) -> _T:
        """Run something that blocks (database, disk, compression) while the event loop serves others."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *args)

    def addresses(self, scope: dict[str, Any]) -> Addresses:
        """Under which addresses the asker of this request reaches the portal."""
        return addresses_of(scope, self.settings)

    def bases(self, scope: dict[str, Any]) -> Bases:
        """What is put before the archive's keys in the answer to this request."""
        return Bases(s3=f"s3://{self.settings.bucket}", https=self.addresses(scope).files)

    def viewer(self, scope: dict[str, Any]) -> Viewer:
        """Who asks. Today everyone is anonymous; accounts will be recognised here and nowhere else."""
        return Viewer()
