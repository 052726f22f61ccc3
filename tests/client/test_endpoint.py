"""The transport: kept connections, conditional questions, second attempts, and errors that name the address."""

from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson
import pytest

from tomoportal.client import PUBLIC_PORTAL, Answer, Endpoint
from tomoportal.errors import PortalError, SettingsError
from tomoportal.testing.scripted_server import ScriptedServer

Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture
def portal() -> Iterator[Callable[..., ScriptedServer]]:
    made: list[ScriptedServer] = []

    def make(script: Callable[[int, BaseHTTPRequestHandler], Reply]) -> ScriptedServer:
        made.append(ScriptedServer(script))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomoportal.client.endpoint._DELAYS", (0.01, 0.01, 0.01))


def json(data: Any) -> bytes:
    return orjson.dumps(data)


FINE: Reply = (200, {"ETag": 'W/"1"'}, json({"data": {"runs": [{"id": 1}]}}))


def test_an_address_stands_for_one_endpoint() -> None:
    assert Endpoint().url == PUBLIC_PORTAL
    assert Endpoint("HTTPS://Portal.Example:443/").url == "https://portal.example/graphql"
    assert Endpoint("http://portal.example:8000/graphql/").url == "http://portal.example:8000/graphql"
    assert Endpoint("http://[::1]:80/api").url == "http://[::1]/api"
    for wrong in ("portal.example", "s3://bucket", "http://", "http://host:port"):
        with pytest.raises(SettingsError, match="portal_url"):
            Endpoint(wrong)


def test_short_questions_are_gets_on_a_kept_connection_and_long_ones_posts(portal: Any) -> None:
    server = portal(lambda number, request: FINE)
    endpoint = Endpoint(server.url)
    for _ in range(3):
        assert endpoint.ask('{ runs(where: {name: {_eq: "a b"}}) { id } }') == {"runs": [{"id": 1}]}
    query = "{ runs { id } }" + " " * 7000
    assert endpoint.ask(query) == {"runs": [{"id": 1}]}
    assert [each.method for each in server.seen] == ["GET", "GET", "GET", "POST"]
    assert orjson.loads(server.seen[3].body) == {"query": query}
    assert len(server.connections) == 1
    assert endpoint.requests == 4
    endpoint.close()


def test_a_connection_that_the_server_closed_is_opened_again(portal: Any) -> None:
    def script(number: int, request: BaseHTTPRequestHandler) -> Reply:
        request.close_connection = True  # without saying so in a header
        return FINE

    server = portal(script)
    endpoint = Endpoint(server.url)
    for _ in range(3):
        endpoint.ask("{ runs { id } }")
    assert endpoint.requests == 3


def test_a_question_may_be_conditional_and_an_answer_compressed(portal: Any) -> None:
    def script(number: int, request: BaseHTTPRequestHandler) -> Reply:
        if request.headers.get("If-None-Match") == 'W/"1"':
            return 304, {"ETag": 'W/"1"'}, b""
        return 200, {"ETag": 'W/"1"', "Content-Encoding": "gzip"}, gzip.compress(FINE[2])

    endpoint = Endpoint(portal(script).url)
    answer = endpoint.fetch("{ runs { id } }")
    assert answer == Answer({"runs": [{"id": 1}]}, 'W/"1"')
    assert endpoint.fetch("{ runs { id } }", etag='W/"1"') is None


def test_what_passes_is_tried_again(portal: Any) -> None:
    server = portal(lambda number, request: (503, {"Retry-After": "0"}, b"") if number < 3 else FINE)
    assert Endpoint(server.url).ask("{ runs { id } }") == {"runs": [{"id": 1}]}
    assert len(server.seen) == 3


def test_an_overloaded_portal_is_told_apart(portal: Any) -> None:
    server = portal(lambda number, request: (502, {}, b"<html>Bad gateway</html>"))
    with pytest.raises(PortalError, match="HTTP status 502") as caught:
        Endpoint(server.url).ask("{ runs { id } }")
    assert caught.value.passing
    assert len(server.seen) == 4
    assert pickle.loads(pickle.dumps(caught.value)).passing


def test_errors_of_graphql_are_not_tried_again(portal: Any) -> None:
    """Upstream tries them for a minute."""
    answer = json({"data": None, "errors": [{"message": "Max filter depth exceeded"}]})
    server = portal(lambda number, request: (200, {}, answer))
    with pytest.raises(PortalError, match="Max filter depth exceeded") as caught:
        Endpoint(server.url).ask("{ runs { id } }")
    assert len(server.seen) == 1
    assert not caught.value.passing
    assert caught.value.where == f"{server.url}/graphql"


@pytest.mark.parametrize(
    ("status", "headers", "body", "told"),
    [
        (404, {}, b"Not <b>here</b>", "no GraphQL endpoint: HTTP status 404, Not"),
        (200, {}, b"<html>", "no GraphQL endpoint"),
        (200, {}, b'{"hello": 1}', "no GraphQL endpoint"),
        (200, {"Content-Encoding": "gzip"}, b"damaged", "no GraphQL endpoint"),
        (301, {"Location": "https://new.example/graphql"}, b"", "moved to https://new.example/graphql"),
        (403, {}, b"", "refuses access"),
    ],
)
def test_what_is_no_answer_is_explained(portal: Any, status: int, headers: Any, body: bytes, told: str) -> None:
    server = portal(lambda number, request: (status, headers, body))
    with pytest.raises(PortalError, match=told) as caught:
        Endpoint(server.url).ask("{ runs { id } }")
    assert caught.value.fix
    assert len(server.seen) == 1


def test_a_portal_that_is_down_fails_within_seconds_with_the_cause(portal: Any) -> None:  # F108
    server = portal(lambda number, request: FINE)
    endpoint = Endpoint(server.url)
    server.close()
    with pytest.raises(PortalError, match=r"cannot be reached: .*refused") as caught:
        endpoint.ask("{ runs { id } }")
    assert caught.value.where == f"{server.url}/graphql"
    assert "HTTPS_PROXY" in (caught.value.fix or "")
    assert isinstance(caught.value, ConnectionError)


def test_a_name_without_a_host_is_not_tried_again() -> None:
    endpoint = Endpoint("http://no-such-host.invalid/graphql")
    with pytest.raises(PortalError, match="cannot be reached"):
        endpoint.ask("{ runs { id } }")
    assert endpoint.requests == 1


def test_a_proxy_is_asked_if_the_environment_names_one(portal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = portal(lambda number, request: FINE)
    monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//ada:pa%3Ass@"))
    monkeypatch.setenv("no_proxy", "other.example")
    assert Endpoint("http://portal.example").ask("{ runs { id } }") == {"runs": [{"id": 1}]}
    path, headers = proxy.seen[0].path, proxy.seen[0].headers
    assert path.startswith("http://portal.example/graphql?query=")
    assert headers["Proxy-Authorization"] == "Basic YWRhOnBhOnNz"
    assert headers["Host"] == "portal.example"


def test_threads_processes_and_pickles_share_an_endpoint(portal: Any) -> None:
    server = portal(lambda number, request: FINE)
    endpoint = Endpoint(server.url, timeout=90)
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(endpoint.ask, ["{ runs { id } }"] * 40))) == 40
    assert len(server.connections) <= 8
    copy = pickle.loads(pickle.dumps(endpoint))
    assert (copy.url, copy.timeout) == (endpoint.url, 90)
    before = set(server.connections)
    child = os.fork()
    if child == 0:
        code = 2  # whatever happens, the child does not go on with the tests
        try:
            code = 0 if endpoint.ask("{ runs { id } }") == {"runs": [{"id": 1}]} else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert server.connections - before, "the child opened a connection of its own"


def test_the_room_is_light() -> None:
    heavy = {"numpy", "zarr", "sqlalchemy", "pydantic", "obstore"}
    code = f"import sys, tomoportal.client; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
