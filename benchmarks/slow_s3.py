"""An S3 server of a folder on which every request takes a while: `slow_s3.py FOLDER MILLISECONDS`.

Our own endpoint, for moto takes 3 to 5 ms of CPU per request and would be what is measured. Prints its address;
`/requests` tells, once, how many requests of each kind there were since it was last asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections import Counter
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from tomoportal.server import Settings
from tomoportal.server.app import create_app, prepare


class Delayed:
    """Holds every request back; many may wait at the same time."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds
        self._seen: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/requests":
            body = json.dumps(self._seen).encode()
            self._seen.clear()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
            return
        if scope["type"] == "http":
            self._seen["LIST" if b"list-type=" in scope["query_string"] else scope["method"]] += 1
            await asyncio.sleep(self._seconds)
        await self._app(scope, receive, send)


def main() -> None:
    folder, milliseconds = Path(sys.argv[1]), float(sys.argv[2])
    catalog = folder / "catalog.sqlite"
    settings = Settings(archive=str(folder / "served"), db=f"sqlite:///{catalog}", bucket="bucket")
    prepare(settings)
    app = Delayed(create_app(settings), milliseconds / 1000)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0), backlog=256)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_keep_alive=60)
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
