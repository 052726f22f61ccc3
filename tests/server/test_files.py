"""``/files``: bytes, ranges, validators, CORS, and what is not served (viewer.md section 3, F119)."""

from __future__ import annotations

import gzip
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoportal.archive import Archive
from tomoportal.catalog import GraphQL, Viewer, visibility
from tomoportal.server import LiveServer, Settings, app
from tomoportal.server.connections import Connection
from tomoportal.storage import open_store

BIG = "10001/TS_1/Frames/big.bin"
DOCUMENT = "10001/dataset_metadata.json"
ODD = "10001/TS_1/100% & ümlaut #1?.txt"


def on_disk(folder: Path, key: str) -> bytes:
    return (folder / key).read_bytes()


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (DOCUMENT, "application/json"),
        (BIG, "application/octet-stream"),
        ("10001/TS_1/Reconstructions/VoxelSpacing10.000/Tomograms/100/TS_1.mrc", "application/octet-stream"),
        ("10001/TS_1/Reconstructions/VoxelSpacing10.000/Tomograms/100/TS_1.zarr/0/.zarray", "application/json"),
        ("10001/TS_1/Reconstructions/VoxelSpacing10.000/Tomograms/100/TS_1.zarr/0/0/0/0", "application/octet-stream"),
        ("10001/TS_1/empty.txt", "text/plain; charset=utf-8"),
        (ODD, "text/plain; charset=utf-8"),
        (".tomoportal/manifest/10001.json", "application/json"),
    ],
)
def test_a_file_is_its_bytes(http: httpx.Client, folder: Path, key: str, kind: str) -> None:
    answer = http.get(f"/files/{quote(key)}")
    assert answer.status_code == 200
    assert answer.content == on_disk(folder, key)
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert {"Content-Range", "Content-Length", "ETag"} <= set(
        answer.headers["access-control-expose-headers"].split(", ")
    )
    head = http.head(f"/files/{quote(key)}")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "last-modified", "accept-ranges"):
        assert head.headers[name] == answer.headers[name]


@settings(max_examples=60)
@given(
    start=st.integers(0, 9_100_000) | st.none(),
    stop=st.integers(0, 9_100_000) | st.none(),
    small=st.booleans(),
)
def test_ranges_are_slices(http: httpx.Client, folder: Path, start: int | None, stop: int | None, small: bool) -> None:
    key = DOCUMENT if small else BIG
    data = on_disk(folder, key)
    if small:
        start, stop = (None if value is None else value % 2000 for value in (start, stop))
    first = "" if start is None else str(start)
    last = "" if stop is None else str(stop)
    answer = http.get(f"/files/{key}", headers={"Range": f"bytes={first}-{last}"})
    expected: bytes | None
    if start is None:
        expected = None if stop is None else data[-stop:] if stop else b""
    elif stop is not None and stop < start:
        expected = None
    else:
        expected = data[start : None if stop is None else stop + 1]
    if expected is None:
        assert (answer.status_code, answer.content) == (200, data)
    elif not expected:
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{len(data)}"
    else:
        assert (answer.status_code, answer.content) == (206, expected)
        begin = len(data) - len(expected) if start is None else start
        assert answer.headers["content-range"] == f"bytes {begin}-{begin + len(expected) - 1}/{len(data)}"


def test_several_ranges_get_the_whole_file(http: httpx.Client, folder: Path) -> None:
    answer = http.get(f"/files/{DOCUMENT}", headers={"Range": "bytes=0-1,4-5"})
    assert (answer.status_code, answer.content) == (200, on_disk(folder, DOCUMENT))


def test_conditional_requests(http: httpx.Client, folder: Path) -> None:  # F119
    url = f"/files/{DOCUMENT}"
    first = http.get(url)
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    for headers in ({"If-None-Match": etag}, {"If-Modified-Since": modified}):
        again = http.get(url, headers=headers)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert http.get(url, headers={"If-None-Match": '"other"'}).status_code == 200
    assert http.get(url, headers={"If-Match": '"other"'}).status_code == 412
    part = {"Range": "bytes=0-3"}
    assert http.get(url, headers={**part, "If-Range": etag}).status_code == 206
    assert http.get(url, headers={**part, "If-Range": modified}).status_code == 206
    assert http.get(url, headers={**part, "If-Range": '"other"'}).content == on_disk(folder, DOCUMENT)
    beyond = {"Range": "bytes=999999-", "If-Range": '"other"'}
    assert http.get(url, headers=beyond).status_code == 200


def test_a_new_version_has_a_new_tag(http: httpx.Client, folder: Path) -> None:
    path = folder / "10001" / "version.txt"
    path.write_bytes(b"one")
    before = http.get("/files/10001/version.txt").headers["etag"]
    replacement = path.with_name("next")
    replacement.write_bytes(b"two")
    os.utime(replacement, ns=(path.stat().st_mtime_ns + 1, path.stat().st_mtime_ns + 1))
    replacement.rename(path)
    after = http.get("/files/10001/version.txt", headers={"If-None-Match": before})
    assert (after.status_code, after.content) == (200, b"two")


def test_json_is_compressed_for_those_who_accept_it_and_nothing_else_is(http: httpx.Client, folder: Path) -> None:
    with http.stream("GET", f"/files/{DOCUMENT}", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(raw) == on_disk(folder, DOCUMENT)
    plain = http.get(f"/files/{DOCUMENT}")
    assert plain.headers["etag"] != answer.headers["etag"]
    again = http.get(f"/files/{DOCUMENT}", headers={"Accept-Encoding": "gzip", "If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    ranged = http.get(f"/files/{DOCUMENT}", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-99"})
    assert "content-encoding" not in ranged.headers
    assert ranged.content == on_disk(folder, DOCUMENT)[:100]
    assert "content-encoding" not in http.get(f"/files/{BIG}", headers={"Accept-Encoding": "gzip"}).headers


@pytest.mark.parametrize(
    "path",
    [
        "/files/10001/missing.json",
        "/files/10001/TS_1",
        "/files/99999/dataset_metadata.json",
        "/files/.tomoportal/cache/secret.json",
        "/files/.tomoportal/manifest/../cache/secret.json",
        "/files/.tomoportal/cache/",
        "/files/.tomoportal/",
        "/files/10001/.tomoportal-tmp-x",
        "/files/10001/..%2F..%2Fetc/passwd",
        "/files/../../etc/passwd",
        "/files/%2e%2e/%2e%2e/etc/passwd",
        "/files//etc/passwd",
        "/files/10001//dataset_metadata.json",
        "/files/10001/./dataset_metadata.json",
        "/files/10001/dataset_metadata.json/x",
        "/files/10001/%00",
        "/files/10001/%ff",
        "/files/" + "x" * 5000,
        "/files/C:%5Cwindows",
    ],
)
def test_what_is_not_served(server: LiveServer, path: str) -> None:
    """Paths go over the wire as they are: clients would tidy them."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split(b" ", 2)[1] == b"404"
    assert b"root:" not in answer


def test_a_link_out_of_the_archive_is_not_followed(http: httpx.Client, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "10001" / "link.txt").symlink_to(tmp_path / "outside.txt")
    try:
        answer = http.get("/files/10001/link.txt")
        assert answer.status_code == 403
        assert "outside" not in answer.text.replace("link", "")
    finally:
        (folder / "10001" / "link.txt").unlink()


def test_what_a_reader_may_not_see_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The door for private datasets: the catalog's one rule decides about files as well."""

    def hidden(table: str, viewer: Viewer, alias: str | None = None) -> str | None:
        return "0" if table == "dataset" else None

    monkeypatch.setattr(visibility, "visible", hidden)
    monkeypatch.setattr(app, "GraphQL", lambda catalog: GraphQL(catalog, rule=hidden))
    with LiveServer(Settings(archive=str(folder))) as server, httpx.Client(base_url=server.url) as http:
        assert http.get(f"/files/{DOCUMENT}").status_code == 404
        assert http.get("/files/depositions_metadata/10301/deposition_metadata.json").status_code == 200
        listed = http.get("/files/", headers={"Accept": "application/json"}).json()
        assert listed["folders"] == ["depositions_metadata"]
        assert http.get("/files/10001/?list").status_code == 404


def test_nothing_in_the_archive_runs_in_the_portals_origin(http: httpx.Client) -> None:
    answer = http.get("/files/10001/TS_1/page.html")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_other_methods_are_refused(http: httpx.Client) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert http.request(method, f"/files/{DOCUMENT}").status_code == 405


def test_pages_of_other_origins_may_read_ranges(http: httpx.Client) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    answer = http.options(f"/files/{BIG}", headers={**asked, "Access-Control-Request-Headers": "range"})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Range" in answer.headers["access-control-allow-headers"]


def test_folders_are_listed(http: httpx.Client) -> None:
    listed = http.get("/files/10001/?list").json()
    assert listed["prefix"] == "10001/"
    assert {"TS_1", "Zelle 2 µ"} <= set(listed["folders"])
    assert {"dataset_metadata.json"} <= {row["name"] for row in listed["files"]}
    assert http.get("/files/10001/", headers={"Accept": "application/json"}).json() == listed
    root = http.get("/files/", headers={"Accept": "application/json"}).json()
    assert ".tomoportal" not in root["folders"]
    page = http.get("/files/10001/TS_1/", headers={"Accept": "text/html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert 'href="./100%25%20%26%20%C3%BCmlaut%20%231%3F.txt"' in page.text
    assert http.get("/files/10001/nothing/").status_code == 404
    assert http.get("/files", follow_redirects=True).status_code == 200


def test_many_readers_at_once(server: LiveServer, folder: Path) -> None:
    data = on_disk(folder, BIG)

    def read(number: int) -> bool:
        start = number * 100_003 % len(data)
        with httpx.Client(base_url=server.url) as client:
            part = client.get(f"/files/{BIG}", headers={"Range": f"bytes={start}-{start + 999}"}).content
            return part == data[start : start + 1000] and client.get(f"/files/{BIG}").content == data

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(read, range(32)))


def _anonymous_memory() -> int:
    """Bytes of anonymous memory of this process, where the server of the tests runs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    pytest.skip("this system does not tell anonymous memory")


def test_a_large_file_takes_little_memory(server: LiveServer, folder: Path) -> None:
    size = 300_000_000
    path = folder / "10001" / "huge.bin"
    with open(path, "wb") as file:
        file.truncate(size)
    try:
        before = peak = _anonymous_memory()
        received = 0
        with httpx.stream("GET", f"{server.url}/files/10001/huge.bin") as answer:
            for number, piece in enumerate(answer.iter_raw(1 << 20)):
                received += len(piece)
                if number % 25 == 0:
                    peak = max(peak, _anonymous_memory())
        assert received == size
        assert peak - before < 60_000_000
    finally:
        path.unlink()


def test_a_reader_who_leaves_stops_the_reading(server: LiveServer, folder: Path) -> None:
    path = folder / "10001" / "left.bin"  # a name of its own, so that no other test has it open
    with open(path, "wb") as file:
        file.truncate(2_000_000_000)
    try:
        with httpx.stream("GET", f"{server.url}/files/10001/left.bin") as answer:
            assert answer.status_code == 200
            pieces = answer.iter_raw(1000)  # kept: httpx leaves as soon as nobody has the iterator
            next(pieces)
            assert _becomes(1, lambda: _open_files(path))
        assert _becomes(0, lambda: _open_files(path))
    finally:
        path.unlink()


def _becomes(value: int, look: Callable[[], int]) -> bool:
    """Whether ``look`` tells the value within a patience that a busy machine needs."""
    stop = time.monotonic() + 60
    while time.monotonic() < stop:
        if look() == value:
            return True
        time.sleep(0.02)
    return False


def _open_files(path: Path) -> int:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("this system does not tell open files")
    targets = []
    for entry in folder.iterdir():
        try:
            targets.append(os.readlink(entry))
        except FileNotFoundError:  # closed while we looked
            continue
    return targets.count(str(path.resolve()))


def test_a_slow_reader_does_not_hold_up_others(server: LiveServer, folder: Path) -> None:
    path = folder / "10001" / "huge.bin"
    with open(path, "wb") as file:
        file.truncate(500_000_000)
    address = urlsplit(server.url)
    connections = []
    try:
        for _ in range(40):  # more than there are threads
            connection = socket.create_connection((address.hostname, address.port))
            connection.sendall(b"GET /files/10001/huge.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            connections.append(connection)
        # Those who do not read are cut off after minutes only.
        assert httpx.get(f"{server.url}/files/{DOCUMENT}", timeout=Connection.reader_patience / 4).status_code == 200
    finally:
        for connection in connections:
            connection.close()
        path.unlink()


@pytest.fixture
def object_store_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Files served from a store without local paths, read by ranges."""
    store = open_store("memory://")
    store.put("10001/object.bin", bytes(range(256)) * 40_000)
    store.put("10001/object.json", json.dumps({"x": "y" * 3000}).encode())
    monkeypatch.setattr(app.Archive, "open", classmethod(lambda cls, *args, **options: Archive(store)))
    with LiveServer(Settings(archive="memory://", db=f"sqlite:///{tmp_path / 'catalog.sqlite'}")) as server:
        yield server.url


def test_files_of_an_object_store(object_store_files: str) -> None:
    data = bytes(range(256)) * 40_000
    with httpx.Client(base_url=object_store_files) as http:
        whole = http.get("/files/10001/object.bin")
        assert whole.content == data
        part = http.get("/files/10001/object.bin", headers={"Range": "bytes=5000000-9999999"})
        assert (part.status_code, part.content) == (206, data[5_000_000:10_000_000])
        again = http.get("/files/10001/object.bin", headers={"If-None-Match": whole.headers["etag"]})
        assert again.status_code == 304
        assert http.get("/files/10001/object.json").json() == {"x": "y" * 3000}
        assert http.get("/files/10001/missing").status_code == 404
        assert http.get("/files/10001").status_code == 404
        assert [row["name"] for row in http.get("/files/10001/?list").json()["files"]] == ["object.bin", "object.json"]
