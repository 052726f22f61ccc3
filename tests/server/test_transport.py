"""``/graphql`` on the wire, line by line of graphql-api.md section 2."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tomoportal.server import LiveServer, Settings

QUERY = "{ datasets { id title } }"
JSON = {"Content-Type": "application/json"}


def test_post(http: httpx.Client) -> None:
    answer = http.post("/graphql", json={"query": QUERY})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {"data": {"datasets": [{"id": 10001, "title": "Sample dataset"}]}}


def test_get(http: httpx.Client) -> None:
    answer = http.get("/graphql", params={"query": QUERY})
    assert answer.status_code == 200
    assert answer.json()["data"]["datasets"][0]["id"] == 10001


def test_variables_and_operation_name_by_both_ways(http: httpx.Client) -> None:
    query = "query A { datasets { id } } query B($n: Int) { datasets(where: {id: {_eq: $n}}) { id title } }"
    asked = {"query": query, "variables": {"n": 10001}, "operationName": "B"}
    posted = http.post("/graphql", json=asked)
    got = http.get("/graphql", params={**asked, "variables": json.dumps(asked["variables"])})
    assert posted.json() == got.json() == {"data": {"datasets": [{"id": 10001, "title": "Sample dataset"}]}}


def test_a_number_of_many_digits_is_told_by_its_variable(http: httpx.Client) -> None:
    query = "query A($n: Int) { datasets(where: {id: {_eq: $n}}) { id } }"
    body = f'{{"query": "{query}", "variables": {{"n": {"9" * 5000}}}}}'
    answer = http.post("/graphql", content=body, headers=JSON)
    assert answer.status_code == 200
    said = "Variable '$n' has invalid value: inf is no Int: Int is a whole number from -2147483648 to 2147483647"
    assert answer.json()["errors"][0]["message"] == said


def test_errors_of_graphql_are_200(http: httpx.Client) -> None:
    for query in ("{ nothing }", "{", '{ datasets(where: {id: {_eq: "x"}}) { id } }'):
        answer = http.post("/graphql", json={"query": query})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json()["errors"]


@pytest.mark.parametrize(
    ("body", "headers", "text"),
    [
        (b"not json", JSON, "Unable to parse request body as JSON"),
        (b"\xff\xfe", JSON, "Unable to parse request body as JSON"),
        (b"", JSON, "Unable to parse request body as JSON"),
        (b"[" * 100_000, JSON, "Unable to parse request body as JSON"),
        (b'{"query": "{datasets{id}}"}', {"Content-Type": "text/plain"}, "Unsupported content type"),
        (b'{"query": "{datasets{id}}"}', {}, "Unsupported content type"),
        (b"{}", JSON, "No GraphQL query found in the request"),
        (b'{"query": ""}', JSON, "No GraphQL query found in the request"),
        (b'[{"query": "{datasets{id}}"}]', JSON, "Batching is not enabled"),
        (b'"text"', JSON, "not a JSON object"),
        (b'{"query": 1}', JSON, "not a text"),
        (b'{"query": "{datasets{id}}", "variables": [1]}', JSON, "variables are not a JSON object"),
        (b'{"query": "{datasets{id}}", "operationName": 1}', JSON, "operationName is not a text"),
        (b'{"query": "query A {datasets{id}}", "operationName": "C"}', JSON, 'Unknown operation named "C".'),
    ],
)
def test_requests_that_are_none_are_400_with_a_text(
    http: httpx.Client, body: bytes, headers: dict[str, str], text: str
) -> None:
    answer = http.post("/graphql", content=body, headers=headers)
    assert answer.status_code == 400
    assert text in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


def test_get_without_query_or_with_bad_variables(http: httpx.Client) -> None:
    assert http.get("/graphql").status_code == 400
    assert "No GraphQL query" in http.get("/graphql", headers={"Accept": "application/json"}).text
    assert http.get("/graphql", params={"query": QUERY, "variables": "{"}).status_code == 400


def test_mutations(http: httpx.Client) -> None:
    mutation = "mutation { deleteDataset(where: {id: {_eq: 1}}) { id } }"
    got = http.get("/graphql", params={"query": mutation})
    assert (got.status_code, got.text) == (400, "mutations are not allowed when using GET")
    posted = http.post("/graphql", json={"query": mutation})
    assert posted.status_code == 200
    assert "read-only" in posted.json()["errors"][0]["message"]


def test_a_trailing_slash_is_answered(http: httpx.Client) -> None:
    assert http.post("/graphql/", json={"query": QUERY}, follow_redirects=True).json()["data"]["datasets"]


def test_accept_is_ignored(http: httpx.Client) -> None:
    answer = http.post("/graphql", json={"query": QUERY}, headers={"Accept": "application/graphql-response+json"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


def test_other_methods(http: httpx.Client) -> None:
    assert http.put("/graphql", json={"query": QUERY}).status_code == 405
    assert http.delete("/graphql").headers["allow"] == "GET, POST, OPTIONS"


def test_large_bodies_are_refused(folder: Path) -> None:
    with LiveServer(Settings(archive=str(folder), max_body_mb=1)) as server, httpx.Client(base_url=server.url) as http:
        large = json.dumps({"query": QUERY + " " * 1_000_000}).encode()
        assert http.post("/graphql", content=large, headers=JSON).status_code == 413

        def chunks() -> object:
            yield from (b" " * 100_000 for _ in range(50))

        assert http.post("/graphql", content=chunks(), headers=JSON).status_code == 413  # type: ignore[arg-type]
        assert http.post("/graphql", json={"query": QUERY}).status_code == 200


def test_cors(http: httpx.Client) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Content-Type"}
    preflight = http.options("/graphql", headers={**asked, "Origin": "http://localhost:3000"})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "Content-Type" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["access-control-max-age"] == "600"
    answer = http.post("/graphql", json={"query": QUERY}, headers={"Origin": "http://127.0.0.1:9999"})
    assert answer.headers["access-control-allow-origin"] == "http://127.0.0.1:9999"
    for stranger in ("https://elsewhere.example", "http://localhost.evil.example", "http://notlocalhost:1"):
        answer = http.post("/graphql", json={"query": QUERY}, headers={"Origin": stranger})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers


def test_cors_by_settings(folder: Path) -> None:
    origins = ("https://notebook.example", "https://*.lab.example")
    with LiveServer(Settings(archive=str(folder), cors_origins=origins)) as server:
        for origin, allowed in [
            ("https://notebook.example", True),
            ("https://a.b.lab.example", True),
            ("https://notebookXexample", False),
            ("http://localhost:3000", False),
            ("https://a/.lab.example", False),
        ]:
            answer = httpx.post(f"{server.url}/graphql", json={"query": QUERY}, headers={"Origin": origin})
            assert ("access-control-allow-origin" in answer.headers) is allowed, origin


def test_compression(http: httpx.Client) -> None:
    query = "{ __schema { types { name fields { name } } } }"
    plain = http.post("/graphql", json={"query": query})
    with http.stream("POST", "/graphql", json={"query": query}, headers={"Accept-Encoding": "gzip, deflate"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert "content-encoding" not in plain.headers
    assert answer.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["vary"]
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 4


def test_etag_of_get(http: httpx.Client, server: LiveServer) -> None:
    answer = http.get("/graphql", params={"query": QUERY})
    etag = answer.headers["etag"]
    again = http.get("/graphql", params={"query": QUERY}, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert http.get("/graphql", params={"query": "{ runs { id } }"}).headers["etag"] != etag
    # The answer may hold addresses with the host that was asked for.
    other_host = {"If-None-Match": etag, "Host": "other.example"}
    assert http.get("/graphql", params={"query": QUERY}, headers=other_host).status_code == 200
    assert "etag" not in http.get("/graphql", params={"query": "{ nothing }"}).headers
    assert "etag" not in http.post("/graphql", json={"query": QUERY}).headers


EXTENDED = "{ datasets(where: {_not: {id: {_eq: 1}}}) { id runs { totalCount } } }"
EXTENDED_ANSWER = {"data": {"datasets": [{"id": 10001, "runs": {"totalCount": 2}}]}}


@pytest.mark.parametrize("address", ["/graphql?extended", "/graphql?extended=1", "/graphql/?extended=true"])
def test_the_extended_schema_by_address(http: httpx.Client, address: str) -> None:
    assert http.post(address, json={"query": EXTENDED}).json() == EXTENDED_ANSWER
    assert http.get(address, params={"query": EXTENDED, "extended": "true"}).json() == EXTENDED_ANSWER


def test_the_extended_schema_by_header(http: httpx.Client) -> None:
    wanted = {"X-Tomoportal-Schema": "Extended"}
    assert http.post("/graphql", json={"query": EXTENDED}, headers=wanted).json() == EXTENDED_ANSWER
    assert http.get("/graphql", params={"query": EXTENDED}, headers=wanted).json() == EXTENDED_ANSWER


def test_the_default_schema_has_no_additions(http: httpx.Client) -> None:
    plain = [("/graphql", {}), ("/graphql?extended=false", {}), ("/graphql", {"X-Tomoportal-Schema": "default"})]
    for address, headers in plain:
        answer = http.post(address, json={"query": EXTENDED}, headers=headers).json()
        assert answer["data"] is None
        assert any("_not" in error["message"] for error in answer["errors"])


def test_a_schema_that_there_is_not(http: httpx.Client) -> None:
    answer = http.post("/graphql", json={"query": QUERY}, headers={"X-Tomoportal-Schema": "Best"})
    assert (answer.status_code, answer.text) == (
        400,
        "There is no schema 'best': X-Tomoportal-Schema is default or extended",
    )
    answer = http.post("/graphql?extended=maybe", json={"query": QUERY})
    assert answer.status_code == 400
    assert "extended='maybe'" in answer.text


def test_caches_keep_the_two_schemas_apart(http: httpx.Client) -> None:
    """F119: what may be kept is said per catalog version, and per schema."""
    query = '{ __type(name: "RunWhereClause") { inputFields { name } } }'
    plain = http.get("/graphql", params={"query": query})
    extended = http.get("/graphql", params={"query": query}, headers={"X-Tomoportal-Schema": "extended"})
    assert "X-Tomoportal-Schema" in plain.headers["vary"]
    assert plain.headers["etag"] != extended.headers["etag"]
    assert plain.content != extended.content
    asked = {"If-None-Match": plain.headers["etag"]}
    assert http.get("/graphql", params={"query": query}, headers=asked).status_code == 304
    asked["X-Tomoportal-Schema"] = "extended"
    assert http.get("/graphql", params={"query": query}, headers=asked).status_code == 200
    asked["If-None-Match"] = extended.headers["etag"]
    assert http.get("/graphql", params={"query": query}, headers=asked).status_code == 304
    assert http.get("/graphql?extended", params={"query": query, "extended": ""}, headers=asked).status_code == 304


def test_pages_of_other_origins_may_ask_for_the_extended_schema(http: httpx.Client) -> None:
    asked = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, x-tomoportal-schema",
    }
    preflight = http.options("/graphql", headers=asked)
    assert preflight.status_code == 200
    assert "X-Tomoportal-Schema" in preflight.headers["access-control-allow-headers"]


def test_addresses_are_those_of_the_request(http: httpx.Client, folder: Path, server: LiveServer) -> None:
    query = {"query": "{ tomograms(where: {id: {_gt: 0}}) { s3MrcFile httpsMrcFile } }"}
    row = http.post("/graphql", json=query, headers={"Host": "cryoet.lab.example"}).json()["data"]["tomograms"][0]
    assert row["s3MrcFile"].startswith("s3://tomoportal/10001/")
    assert row["httpsMrcFile"].startswith("http://cryoet.lab.example/files/10001/")
    settings = Settings(archive=str(folder), bucket="our-bucket", files_url="https://data.example/x")
    with LiveServer(settings) as other:
        row = httpx.post(f"{other.url}/graphql", json=query).json()["data"]["tomograms"][0]
    assert row["s3MrcFile"].startswith("s3://our-bucket/10001/")
    assert row["httpsMrcFile"].startswith("https://data.example/x/10001/")


def test_the_bytes_behind_an_address_can_be_had(http: httpx.Client, server: LiveServer, folder: Path) -> None:
    rows = http.post("/graphql", json={"query": "{ tomograms { httpsMrcFile } }"}).json()["data"]["tomograms"]
    assert len(rows) == 3
    for row in rows:
        answer = http.get(row["httpsMrcFile"], headers={"Range": "bytes=0-3"})
        assert (answer.status_code, len(answer.content)) == (206, 4)


def test_the_explorer_is_a_page_of_our_own(http: httpx.Client) -> None:
    page = http.get("/graphql", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text
    for name, kind in (("explorer.js", "text/javascript"), ("explorer.css", "text/css")):
        asset = http.get(f"/graphql/{name}")
        assert asset.status_code == 200
        assert asset.headers["content-type"].startswith(kind)
    assert http.get("/graphql/other.js").status_code == 404


def test_many_questions_at_once(server: LiveServer) -> None:
    def ask(number: int) -> object:
        query = (
            f"{{ runs(where: {{id: {{_gte: {number % 3}}}}}) {{ id name tomograms {{ edges {{ node {{ id }} }} }} }} }}"
        )
        return httpx.post(f"{server.url}/graphql", json={"query": query}, timeout=30).json()["data"]["runs"][0]["name"]

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(ask, range(60))) <= {"TS_1", "Zelle 2 µ"}
