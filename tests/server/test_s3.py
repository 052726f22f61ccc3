"""``/s3``: what unmodified S3 clients ask and get, on a local archive and on one in a bucket."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import obstore
import pytest
from botocore import UNSIGNED
from botocore.client import Config
from botocore.exceptions import ClientError
from obstore.store import S3Store

from tomoportal.archive import Archive
from tomoportal.catalog import GraphQL, Viewer, visibility
from tomoportal.errors import StorageError
from tomoportal.model.entities import ENTITIES
from tomoportal.server import LiveServer, Settings, app
from tomoportal.server.s3 import endpoint
from tomoportal.storage import Store, open_store

DOCUMENT = "10001/dataset_metadata.json"
ODD = "10001/TS_1/100% & ümlaut #1?.txt"
MRC = "10001/TS_1/Reconstructions/VoxelSpacing10.000/Tomograms/100/TS_1.mrc"
BUCKET = "tomoportal"
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def client_of(server: LiveServer, signature: Any = UNSIGNED) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"{server.url}/s3",
        region_name="eu-west-1",
        aws_access_key_id="anybody",
        aws_secret_access_key="anything",
        config=Config(signature_version=signature, retries={"total_max_attempts": 1}),
    )


def store_of(server: LiveServer) -> Store:
    return open_store(server.settings.archive, read_only=True)


def served_keys(server: LiveServer) -> list[str]:
    return [found.key for found in store_of(server).list() if not found.key.startswith(".tomoportal/")]


@pytest.fixture(scope="module", params=["unsigned", "signed"])
def s3(request: pytest.FixtureRequest, any_server: LiveServer) -> Iterator[Any]:
    client = client_of(any_server, UNSIGNED if request.param == "unsigned" else "s3v4")
    yield client
    client.close()


@pytest.fixture(scope="module")
def unsigned(any_server: LiveServer) -> Iterator[Any]:
    client = client_of(any_server)
    yield client
    client.close()


@pytest.fixture(scope="module")
def wire(any_server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{any_server.url}/s3") as client:
        yield client


def all_keys(client: Any, page_size: int = 1000, **options: Any) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, PaginationConfig={"PageSize": page_size}, **options
    )
    return [row["Key"] for page in pages for row in page.get("Contents", [])]


def test_the_whole_list(s3: Any, any_server: LiveServer) -> None:
    keys = served_keys(any_server)
    assert ODD in keys
    assert all_keys(s3) == keys
    assert all_keys(s3, page_size=7) == keys
    paginator = s3.get_paginator("list_objects")
    pages = paginator.paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 11})
    assert [row["Key"] for page in pages for row in page["Contents"]] == keys


def test_prefixes_and_places_to_start(unsigned: Any, any_server: LiveServer) -> None:
    keys = served_keys(any_server)
    for prefix in ("10001/TS_1/", "10001/TS", DOCUMENT, ODD, "1", "10001/TS_1/Reconstructions/VoxelSpacing10.000/T"):
        assert all_keys(unsigned, page_size=50, Prefix=prefix) == [key for key in keys if key.startswith(prefix)]
    for prefix in ("nothing", ".tomoportal/", ".tomoportal/manifest", "10001//", "../", "/", "10001/\x1f"):
        assert all_keys(unsigned, Prefix=prefix) == [], prefix
    for start in (DOCUMENT, "10001/TS", "", "zzz", "10001/TS_1/", ".tomoportal/"):
        assert all_keys(unsigned, page_size=40, StartAfter=start) == [key for key in keys if key > start]


def test_folders(unsigned: Any, any_server: LiveServer) -> None:
    def level(prefix: str, delimiter: str, size: int, version: int) -> tuple[list[str], list[str]]:
        paginator = unsigned.get_paginator("list_objects_v2" if version == 2 else "list_objects")
        pages = list(
            paginator.paginate(Bucket=BUCKET, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": size})
        )
        assert all(len(page.get("Contents", [])) + len(page.get("CommonPrefixes", [])) <= size for page in pages)
        return (
            [row["Prefix"] for page in pages for row in page.get("CommonPrefixes", [])],
            [row["Key"] for page in pages for row in page.get("Contents", [])],
        )

    # Moto needs a while for every page of a bucket; where pages are cut is the same for both.
    local = "://" not in any_server.settings.archive
    sizes = ((1000, 2), (2, 2), (1, 1)) if local else ((1000, 2), (9, 2), (7, 1))
    keys = served_keys(any_server)
    for prefix in ("", "10001/", "10001/TS_1/", "10001/T", "10001/TS_1"):
        for delimiter in ("/", "S", ".mrc"):
            found = [key for key in keys if key.startswith(prefix)]
            ends = {key: key.find(delimiter, len(prefix)) for key in found}
            folders = sorted({key[: end + len(delimiter)] for key, end in ends.items() if end >= 0})
            for size, version in sizes:
                assert level(prefix, delimiter, size, version) == (folders, [key for key in found if ends[key] < 0])


def test_one_object_is_the_same_in_list_head_and_get(s3: Any, any_server: LiveServer) -> None:
    store = store_of(any_server)
    for key in (DOCUMENT, ODD, MRC):
        row = s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["Contents"][0]
        head = s3.head_object(Bucket=BUCKET, Key=key)
        got = s3.get_object(Bucket=BUCKET, Key=key)
        data = got["Body"].read()
        assert data == store.get(key)
        assert row["Size"] == head["ContentLength"] == got["ContentLength"] == len(data)
        assert row["ETag"] == head["ETag"] == got["ETag"]
        assert row["LastModified"] == head["LastModified"] == got["LastModified"]
        assert head["ContentType"] == got["ContentType"]
        assert "ContentEncoding" not in got


def test_ranges(unsigned: Any, any_server: LiveServer) -> None:
    data = store_of(any_server).get(MRC)
    for asked, part in (("bytes=0-9", data[:10]), ("bytes=1024-", data[1024:]), ("bytes=-7", data[-7:])):
        got = unsigned.get_object(Bucket=BUCKET, Key=MRC, Range=asked)
        assert got["Body"].read() == part
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert got["ContentRange"].endswith(f"/{len(data)}")
    with pytest.raises(ClientError) as caught:
        unsigned.get_object(Bucket=BUCKET, Key=MRC, Range=f"bytes={len(data)}-")
    assert caught.value.response["Error"]["Code"] == "InvalidRange"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 416


def test_conditions(unsigned: Any) -> None:
    head = unsigned.head_object(Bucket=BUCKET, Key=DOCUMENT)
    etag, modified = head["ETag"], head["LastModified"]
    assert unsigned.get_object(Bucket=BUCKET, Key=DOCUMENT, IfMatch=etag, IfUnmodifiedSince=modified)
    for condition, status in (
        ({"IfMatch": '"other"'}, 412),
        ({"IfUnmodifiedSince": modified.replace(year=2001)}, 412),
        ({"IfNoneMatch": etag}, 304),
        ({"IfModifiedSince": modified}, 304),
    ):
        with pytest.raises(ClientError) as caught:
            unsigned.get_object(Bucket=BUCKET, Key=DOCUMENT, **condition)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(
    ("call", "arguments", "code", "status"),
    [
        ("get_object", {"Key": "10001/missing"}, "NoSuchKey", 404),
        ("get_object", {"Key": "10001"}, "NoSuchKey", 404),
        ("get_object", {"Key": "10001/"}, "NoSuchKey", 404),
        ("get_object", {"Key": ".tomoportal/cache/secret.json"}, "NoSuchKey", 404),
        ("get_object", {"Key": ".tomoportal/manifest/10001.json"}, "NoSuchKey", 404),
        ("get_object", {"Key": "10001/../.tomoportal/cache/secret.json"}, "NoSuchKey", 404),
        ("get_object", {"Key": DOCUMENT, "Bucket": "another"}, "NoSuchBucket", 404),
        ("get_object", {"Key": DOCUMENT, "VersionId": "abc"}, "NoSuchVersion", 404),
        ("list_objects_v2", {"Bucket": "another"}, "NoSuchBucket", 404),
        ("list_objects_v2", {"ContinuationToken": "%%%"}, "InvalidArgument", 400),
        ("list_objects_v2", {"EncodingType": "base64"}, "InvalidArgument", 400),
        ("get_bucket_policy", {}, "NotImplemented", 501),
        ("get_object_acl", {"Key": DOCUMENT}, "NotImplemented", 501),
        ("put_object", {"Key": "new", "Body": b"1" * 100_000}, "MethodNotAllowed", 405),
        ("delete_object", {"Key": DOCUMENT}, "MethodNotAllowed", 405),
        ("create_multipart_upload", {"Key": "new"}, "MethodNotAllowed", 405),
        ("delete_objects", {"Delete": {"Objects": [{"Key": DOCUMENT}]}}, "MethodNotAllowed", 405),
        ("create_bucket", {}, "MethodNotAllowed", 405),
    ],
)
def test_refusals_have_the_codes_of_s3(s3: Any, call: str, arguments: dict[str, Any], code: str, status: int) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(s3, call)(**{"Bucket": BUCKET, **arguments})
    answer = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert s3.head_object(Bucket=BUCKET, Key=DOCUMENT)["ContentLength"]


def test_buckets(s3: Any) -> None:
    assert [row["Name"] for row in s3.list_buckets()["Buckets"]] == [BUCKET]
    assert s3.head_bucket(Bucket=BUCKET)["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)
    with pytest.raises(ClientError) as caught:
        s3.head_bucket(Bucket="another")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_downloads_and_presigned_addresses(any_server: LiveServer, unsigned: Any, tmp_path: Any) -> None:
    unsigned.download_file(BUCKET, MRC, str(tmp_path / "a.mrc"))
    signer = client_of(any_server, "s3v4")
    address = signer.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": ODD}, 60)
    assert "X-Amz-Signature" in address
    assert httpx.get(address).content == b"odd"
    assert (tmp_path / "a.mrc").read_bytes() == store_of(any_server).get(MRC)
    signer.close()


def test_obstore(any_server: LiveServer) -> None:
    for options in ({"skip_signature": True}, {"access_key_id": "a", "secret_access_key": "b"}):
        store = S3Store(
            BUCKET,
            endpoint=f"{any_server.url}/s3",
            region="us-east-1",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
            **options,  # type: ignore[arg-type]
        )
        listed = [row for batch in obstore.list(store, "10001") for row in batch]
        assert [row["path"] for row in listed] == [key for key in served_keys(any_server) if key.startswith("10001/")]
        assert bytes(obstore.get(store, ODD).bytes()) == b"odd"
        head = obstore.head(store, MRC)
        assert [head] == [row for row in listed if row["path"] == MRC]
        assert bytes(obstore.get_range(store, MRC, start=208, length=4)) == b"MAP "
        level = obstore.list_with_delimiter(store, "10001")
        assert "10001/TS_1" in level["common_prefixes"]


def test_an_archive_in_a_bucket_by_way_of_another_portal(any_server: LiveServer) -> None:
    """Our own reader of buckets reads our own bucket."""
    store = open_store(f"s3://{BUCKET}?endpoint={any_server.url}/s3&anonymous=true", read_only=True)
    assert Archive.open(store, read_only=True).store.get(DOCUMENT)
    assert [found.key for found in store.scan("10001/T", by_folder=True)] == ["10001/TS_1", "10001/Zelle 2 µ"][:1]


# --- the wire


def test_the_answer_of_a_list(wire: httpx.Client) -> None:
    question = {
        "list-type": "2",
        "prefix": "10001/TS_1/100",
        "encoding-type": "url",
        "fetch-owner": "true",
        "start-after": "1 ü",
        "max-keys": "5",
    }
    answer = wire.get(f"/{BUCKET}", params=question)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/xml")
    root = ET.fromstring(answer.content)
    assert root.tag == f"{NAMESPACE}ListBucketResult"
    texts = {child.tag.removeprefix(NAMESPACE): child.text for child in root}
    assert texts["Name"] == BUCKET
    assert texts["KeyCount"] == "1"
    assert texts["MaxKeys"] == "5"
    assert texts["IsTruncated"] == "false"
    assert texts["StartAfter"] == "1%20%C3%BC"
    assert texts["EncodingType"] == "url"
    row = root.find(f"{NAMESPACE}Contents")
    assert row is not None
    assert row.findtext(f"{NAMESPACE}Key") == "10001/TS_1/100%25%20%26%20%C3%BCmlaut%20%231%3F.txt"
    assert row.find(f"{NAMESPACE}Owner") is not None
    plain = ET.fromstring(wire.get(f"/{BUCKET}/?list-type=2&prefix=10001/TS_1/100").content)
    assert [each.text for each in plain.iter(f"{NAMESPACE}Key")] == [ODD]
    assert plain.find(f"{NAMESPACE}Contents/{NAMESPACE}Owner") is None


@pytest.mark.parametrize(("limit", "echoed"), [("0", "0"), ("5000", "1000"), ("", "1000")])
def test_limits(wire: httpx.Client, limit: str, echoed: str) -> None:
    root = ET.fromstring(wire.get(f"/{BUCKET}", params={"list-type": "2", "max-keys": limit}).content)
    assert root.findtext(f"{NAMESPACE}MaxKeys") == echoed
    assert root.findtext(f"{NAMESPACE}IsTruncated") == "false"
    assert (len(root.findall(f"{NAMESPACE}Contents")) == 0) is (limit == "0")


@pytest.mark.parametrize(
    "query",
    [
        "list-type=2&max-keys=-1",
        "list-type=2&max-keys=x",
        "list-type=2&max-keys=99999999999999999",
        "list-type=3",
        "list-type=2&continuation-token=",
        "list-type=2&continuation-token=%ff",
        "list-type=2&continuation-token=/wAA",
    ],
)
def test_arguments_that_are_none(wire: httpx.Client, query: str) -> None:
    answer = wire.get(f"/{BUCKET}?{query}")
    if query.endswith("continuation-token="):
        assert answer.status_code == 200
        return
    assert answer.status_code == 400
    error = ET.fromstring(answer.content)
    assert (error.tag, error.findtext("Code")) == ("Error", "InvalidArgument")


@pytest.mark.parametrize("path", ["/%00", "/tomoportal/%00", "/tomoportal/%ff%fe", "/tomoportal/%1b[0m", "/&<>%22"])
def test_answers_to_odd_names_are_xml(wire: httpx.Client, path: str) -> None:
    answer = wire.get(path)
    assert answer.status_code == 404
    assert ET.fromstring(answer.content).findtext("Code") in {"NoSuchKey", "NoSuchBucket"}


def test_odd_parameters_are_answered(wire: httpx.Client) -> None:
    for query in (
        "prefix=%00%01",
        "prefix=%ff",
        "start-after=%ef%bf%bf&delimiter=%01",
        "delimiter=&prefix=&x-id=ListObjects",
    ):
        answer = wire.get(f"/{BUCKET}?list-type=2&{query}")
        assert answer.status_code == 200
        assert ET.fromstring(answer.content).tag == f"{NAMESPACE}ListBucketResult"


def test_pages_of_other_origins_may_read(wire: httpx.Client) -> None:
    asked = {
        "Origin": "https://elsewhere.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization, range, x-amz-date",
    }
    preflight = wire.options(f"/{BUCKET}/{DOCUMENT}", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    for path in (f"/{BUCKET}/{DOCUMENT}", f"/{BUCKET}?list-type=2", f"/{BUCKET}/missing"):
        assert wire.get(path).headers["access-control-allow-origin"] == "*"


def test_heads_have_no_body(wire: httpx.Client) -> None:
    for path in (f"/{BUCKET}/{DOCUMENT}", f"/{BUCKET}", f"/{BUCKET}/missing", "/another", "/"):
        assert wire.head(path).content == b""


def test_the_rule_of_visibility_is_asked(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(table: str, viewer: Viewer, alias: str | None = None) -> str | None:
        return "0"

    monkeypatch.setattr(visibility, "visible", hidden)
    monkeypatch.setattr(app, "GraphQL", lambda catalog: GraphQL(catalog, rule=hidden))
    with LiveServer(server.settings) as other:
        client = client_of(other)
        assert all_keys(client) == []
        assert all_keys(client, Prefix="10001/TS_1/") == []
        answer = client.list_objects_v2(Bucket=BUCKET, Delimiter="/")
        assert [row["Prefix"] for row in answer.get("CommonPrefixes", [])] == ["depositions_metadata/"]
        assert not client.list_objects_v2(Bucket=BUCKET, Prefix="depositions_metadata/", Delimiter="/")["KeyCount"]
        with pytest.raises(ClientError, match="NoSuchKey"):
            client.get_object(Bucket=BUCKET, Key=DOCUMENT)
        client.close()


def test_an_archive_that_fails_is_a_503_of_s3(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(store: Store, *_: object) -> None:
        raise StorageError("the disk at /secret/path is gone")

    monkeypatch.setattr(endpoint, "list_page", failing)
    answer = httpx.get(f"{server.url}/s3/{BUCKET}?list-type=2")
    assert (answer.status_code, ET.fromstring(answer.content).findtext("Code")) == (503, "ServiceUnavailable")
    assert "secret" not in answer.text


def test_the_bucket_has_the_name_of_the_settings(server: LiveServer) -> None:
    with LiveServer(Settings(archive=server.settings.archive, bucket="our-bucket")) as other:
        client = client_of(other)
        assert client.head_object(Bucket="our-bucket", Key=DOCUMENT)
        with pytest.raises(ClientError, match="NoSuchBucket"):
            client.get_object(Bucket=BUCKET, Key=DOCUMENT)
        client.close()


# --- the addresses that the API tells


def _told(server: LiveServer, kind: str, **headers: str) -> list[tuple[str, str]]:
    """Every address of one kind in the whole catalog, with the field that tells it."""
    found = []
    for entity in ENTITIES.values():
        fields = [field for field in entity.fields if field.path == kind]
        if not fields:
            continue
        root = entity.root
        query = f"{{ {root} {{ {' '.join(field.wire for field in fields)} }} }}"
        answer = httpx.post(f"{server.url}/graphql", json={"query": query}, headers=headers).json()
        for row in answer["data"][root]:
            found += [(f"{root}.{field.wire}", row[field.wire]) for field in fields if row[field.wire]]
    return found


def test_every_s3_address_leads_into_this_bucket(any_server: LiveServer, unsigned: Any) -> None:
    told = _told(any_server, "s3")
    assert len({field for field, _ in told}) >= 8
    for field, address in told:
        assert address.startswith(f"s3://{BUCKET}/"), field
        key = address.removeprefix(f"s3://{BUCKET}/")
        listed = unsigned.list_objects_v2(Bucket=BUCKET, Prefix=key, MaxKeys=1).get("Contents", [])
        assert listed, f"{field}: nothing at {address}"
        assert listed[0]["Key"] == key or key.endswith("/") or listed[0]["Key"].startswith(f"{key}/"), field


def test_every_https_address_is_below_the_host_that_was_asked(any_server: LiveServer) -> None:
    told = _told(any_server, "https")
    assert len({field for field, _ in told}) >= 8
    with httpx.Client() as http:
        for field, address in told:
            assert address.startswith(f"{any_server.url}/files/"), field
            answer = http.head(address)
            if answer.status_code == 404:  # a folder
                answer = http.get(address.rstrip("/") + "/?list")
            assert answer.status_code == 200, f"{field}: nothing at {address}"
    assert {address.split("/files/")[0] for _, address in _told(any_server, "https", Host="lab.example:81")} == {
        "http://lab.example:81"
    }


def test_a_public_address_stands_before_the_host(server: LiveServer) -> None:
    settings = Settings(
        archive=server.settings.archive, public_url="https://cryoet.lab.example", bucket="lab-bucket", host="127.0.0.1"
    )
    with LiveServer(settings) as other:
        assert {address.split("/10001/")[0] for _, address in _told(other, "https", Host="x")} >= {
            "https://cryoet.lab.example/files"
        }
        assert all(address.startswith("https://cryoet.lab.example/files/") for _, address in _told(other, "https"))
        assert all(address.startswith("s3://lab-bucket/") for _, address in _told(other, "s3"))
