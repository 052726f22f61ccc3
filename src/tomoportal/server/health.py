"""``/healthz``: whether the portal can do its work, for load balancers and people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tomoportal import __version__
from tomoportal.errors import ArchiveError, TomoportalError
from tomoportal.server.context import Context

__all__ = ["Health"]

_PATIENCE = 5.0  # seconds that a part may take before it counts as unreachable


class Health:
    """Asks archive and catalog one cheap question each; 200 when both answer, 503 when one does not."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def respond(self, request: Request) -> Response:
        """The answer to ``GET /healthz``."""
        archive, catalog = await asyncio.gather(self._check(self._look_into_archive), self._check(self._ask_catalog))
        healthy = archive == catalog == "ok"
        body = {
            "status": "ok" if healthy else "unavailable",
            "version": __version__,
            "checks": {"archive": archive, "catalog": catalog},
        }
        return JSONResponse(body, 200 if healthy else 503, {"Cache-Control": "no-store"})

    async def _check(self, question: Callable[[], None]) -> str:
        try:
            await asyncio.wait_for(self._context.run(question), _PATIENCE)
        except TimeoutError:
            return f"no answer within {_PATIENCE:g} s"
        except TomoportalError as error:
            return error.what
        return "ok"

    def _look_into_archive(self) -> None:
        store = self._context.archive.store
        folder = store.local_path("")
        if folder is None:
            store.children("")  # one listing request; raises when the store does not answer
        elif not folder.is_dir():
            raise ArchiveError("the archive's folder is not there")

    def _ask_catalog(self) -> None:
        _ = self._context.catalog.version
