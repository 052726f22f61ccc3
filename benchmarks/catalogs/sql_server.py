"""The limit of a server: the same software, whose one route sends SQL written by hand and makes JSON of the rows.

python sql_server.py URL < statements.json       # prints its address; a list of lists of statements
"""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def main() -> None:
    url, questions = sys.argv[1], json.load(sys.stdin)
    postgres = not url.startswith("sqlite")
    local, threads = threading.local(), ThreadPoolExecutor(16)

    def connection() -> Any:
        if not hasattr(local, "connection"):
            if postgres:
                import psycopg

                local.connection = psycopg.connect(url, autocommit=True)
            else:
                local.connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        return local.connection

    def answer(number: int) -> bytes:
        parts = []
        for text in questions[number]:
            cursor = connection().execute(text if postgres else text.replace("::int", ""))
            names = [column[0] for column in cursor.description]
            parts.append(orjson.dumps([dict(zip(names, row, strict=True)) for row in cursor.fetchall()]))
        return b"[" + b",".join(parts) + b"]"

    async def ask(request: Request) -> Response:
        number = orjson.loads(await request.body())["number"]
        body = await asyncio.get_running_loop().run_in_executor(threads, answer, number)
        return Response(body, media_type="application/json")

    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/ask", flush=True)
    app = Starlette(routes=[Route("/ask", ask, methods=["POST"])])
    config = uvicorn.Config(app, http="httptools", access_log=False, log_level="warning")
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
