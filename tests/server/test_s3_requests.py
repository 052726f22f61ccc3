"""What an archive in a bucket costs in requests to the bucket: counted by another portal that serves the bucket."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tomoportal.server import LiveServer, Settings
from tomoportal.testing.sample_archive import write_sample_archive

MANY = 10_000
BIG = "10001/TS_1/Frames/big.bin"
BIG_BYTES = bytes(range(256)) * 40_000
DOCUMENT = "10001/dataset_metadata.json"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("bucket")
    write_sample_archive(folder)
    (folder / BIG).parent.mkdir(parents=True, exist_ok=True)
    (folder / BIG).write_bytes(BIG_BYTES)
    (folder / "10001/TS_1/empty.txt").write_bytes(b"")
    many = folder / "10001/TS_1/many"
    many.mkdir()
    for number in range(MANY):
        (many / f"{number:05d}.txt").touch()
    with LiveServer(Settings(archive=str(folder))) as server:
        yield server


@pytest.fixture(scope="module")
def portal(bucket: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A portal whose archive is the bucket."""
    archive = f"s3://tomoportal?endpoint={bucket.url}/s3&anonymous=true"
    database = f"sqlite:///{tmp_path_factory.mktemp('db')}/catalog.sqlite"
    with LiveServer(Settings(archive=archive, db=database)) as server:
        yield server


def _asked(bucket: LiveServer) -> Counter[str]:
    lines = httpx.get(f"{bucket.url}/metrics").text.splitlines()
    found = (re.match(r'tomoportal_http_requests_total\{route="/s3/.*method="(\w+)".*\} (\d+)', line) for line in lines)
    counts: Counter[str] = Counter()
    for match in filter(None, found):
        counts[match[1]] += int(match[2])
    return counts


@pytest.mark.parametrize("surface", ["/s3/tomoportal/", "/files/"])
@pytest.mark.parametrize(
    ("method", "key", "headers", "status", "size", "asked"),
    [
        ("GET", DOCUMENT, {}, 200, None, {"GET": 1}),
        ("GET", BIG, {}, 200, len(BIG_BYTES), {"GET": 1}),
        ("GET", BIG, {"Range": "bytes=5-104"}, 206, 100, {"GET": 1}),
        ("GET", BIG, {"Range": "bytes=3000000-"}, 206, len(BIG_BYTES) - 3_000_000, {"GET": 1}),
        ("GET", BIG, {"Range": "bytes=-3000000"}, 206, 3_000_000, {"GET": 1}),
        ("GET", BIG, {"Range": "bytes=0-99999999999"}, 206, len(BIG_BYTES), {"GET": 1}),
        ("GET", BIG, {"Range": "bytes=99999999999-"}, 416, None, {"GET": 1, "HEAD": 1}),
        ("GET", "10001/TS_1/empty.txt", {}, 200, 0, {"GET": 1}),
        ("GET", "10001/missing", {}, 404, None, {"GET": 1}),
        ("HEAD", BIG, {}, 200, 0, {"HEAD": 1}),
    ],
)
def test_a_file(
    bucket: LiveServer,
    portal: LiveServer,
    surface: str,
    method: str,
    key: str,
    headers: dict[str, str],
    status: int,
    size: int | None,
    asked: dict[str, int],
) -> None:
    before = _asked(bucket)
    answer = httpx.request(method, f"{portal.url}{surface}{key}", headers=headers | {"Accept-Encoding": "identity"})
    assert answer.status_code == status
    if size is not None:
        assert len(answer.content) == size
    if key == BIG and status == 206:
        start = int(re.findall(r"bytes (\d+)-", answer.headers["content-range"])[0])
        assert answer.content == BIG_BYTES[start : start + len(answer.content)]
    assert _asked(bucket) - before == asked


def test_a_file_that_the_client_has(bucket: LiveServer, portal: LiveServer) -> None:
    url = f"{portal.url}/files/{BIG}"
    etag = httpx.head(url).headers["etag"]
    before = _asked(bucket)
    assert httpx.get(url, headers={"If-None-Match": etag}).status_code == 304
    assert _asked(bucket) - before == {"HEAD": 1}
    before = _asked(bucket)
    # As boto3 fetches the parts of a download.
    assert httpx.get(url, headers={"If-Match": etag, "Range": "bytes=0-9"}).content == BIG_BYTES[:10]
    assert httpx.get(url, headers={"If-Match": '"other"', "Range": "bytes=0-9"}).status_code == 412
    assert _asked(bucket) - before == {"GET": 2}


def test_a_reader_who_leaves_is_not_read_for(bucket: LiveServer, portal: LiveServer) -> None:
    with httpx.stream("GET", f"{portal.url}/files/{BIG}") as answer:
        pieces = answer.iter_raw(1000)
        assert next(pieces) == BIG_BYTES[:1000]
    assert httpx.get(f"{portal.url}/files/{BIG}").content == BIG_BYTES


def _listed(portal: LiveServer, prefix: str, delimiter: str) -> list[str]:
    found: list[str] = []
    parameters = {"list-type": "2", "prefix": prefix, "delimiter": delimiter}
    with httpx.Client() as client:
        while True:
            text = client.get(f"{portal.url}/s3/tomoportal", params=parameters).text
            found += re.findall(r"<Key>([^<]*)</Key>", text)
            token = re.search(r"<NextContinuationToken>([^<]*)<", text)
            if token is None:
                return found
            parameters["continuation-token"] = token[1]


@pytest.mark.parametrize(("delimiter", "most"), [("/", MANY // 1000 + 1), ("", 2 * MANY // 1000 + 1)])
def test_a_folder_of_10_000_files(bucket: LiveServer, portal: LiveServer, delimiter: str, most: int) -> None:
    before = _asked(bucket)
    assert len(_listed(portal, "10001/TS_1/many/", delimiter)) == MANY
    assert (_asked(bucket) - before)["GET"] <= most


def test_a_new_listing_sees_what_is_new(bucket: LiveServer, portal: LiveServer) -> None:
    before = _listed(portal, "10001/TS_1/many/", "/")
    path = Path(bucket.settings.archive) / "10001/TS_1/many/00000a.txt"
    path.touch()
    try:
        assert sorted(set(_listed(portal, "10001/TS_1/many/", "/")) - set(before)) == ["10001/TS_1/many/00000a.txt"]
    finally:
        path.unlink()
