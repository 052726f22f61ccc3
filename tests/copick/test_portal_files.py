"""How a portal's files are read: over https, from S3, from a mounted archive; and what happens when they cannot be."""

from __future__ import annotations

import pickle
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomoportal.archive import Archive
from tomoportal.copick.portal.config import CopickConfigCDP, settings_of
from tomoportal.copick.portal.files import PortalFiles
from tomoportal.copick.portal.kept_files import KeptFiles
from tomoportal.copick.portal.points import read_portal_points
from tomoportal.copick.portal.web import WebStore, bucket_address
from tomoportal.errors import FormatError, NotFoundError, ReadOnlyError, StorageError
from tomoportal.server import LiveServer
from tomoportal.testing.scripted_server import ScriptedServer


@pytest.fixture(params=["https", "s3", "file"])
def access(request: pytest.FixtureRequest, portal: LiveServer, portal_archive: Archive) -> dict[str, str]:
    return {
        "https": {},
        "s3": {"portal_s3_endpoint_url": f"{portal.url}/s3"},
        "file": {"portal_files_root": str(portal_archive.store.local_path(""))},
    }[request.param]


def test_the_same_is_read_in_every_way(portal_root: Any, access: dict[str, str]) -> None:
    """C81. The second run's name needs percent-encoding in addresses."""
    root = portal_root(**access)
    picks = root.picks()
    assert root.load_points() == picks
    assert sum(len(each.numpy()[0]) for each in picks) == 3 + 1 + 3 + 2 + 0 + 2
    tomogram = root.get_run("Zelle 2 µ").get_voxel_spacing(10).tomograms[0]
    whole = tomogram.numpy()
    assert (whole.shape, whole.dtype) == ((48, 80, 96), np.int8)
    assert np.array_equal(tomogram.numpy(z=7, x=slice(3, 9)), whole[7, :, 3:9])
    assert root.get_run("TS_1").segmentations[0].numpy().sum() == 11513
    assert root.get_run("TS_1").meshes[0].mesh.bounds[0].tolist() == [100, 100, 100]
    start = {"file": "/", "s3": "s3://tomoportal/", "https": "http://127.0.0.1"}[root._settings.access]
    assert picks[0].path.startswith(start)
    assert picks[0].path.endswith("Annotations/100/cytosolic_ribosome-1.0_point.ndjson")
    assert tomogram.static_path.endswith("Zelle 2 µ.zarr")


def test_zarr_opens_the_volumes_of_a_portal(portal_root: Any, access: dict[str, str]) -> None:
    zarr = pytest.importorskip("zarr")
    root = portal_root(**access)
    tomogram = root.get_run("TS_1").get_voxel_spacing(10).tomograms[0]
    assert np.array_equal(zarr.open(tomogram.zarr(), mode="r")["1"][:], tomogram.numpy("1"))
    mask = root.get_run("TS_1").segmentations[0]
    assert zarr.open(mask.zarr(), mode="r")["0"][:].sum() == 11513


def test_plug_ins_get_file_systems(portal_root: Any, portal: LiveServer, portal_archive: Archive) -> None:
    root = portal_root(portal_files_root=str(portal_archive.store.local_path("")))
    picks = root.picks()[0]
    assert picks.fs.exists(picks.path)
    assert root.fs_overlay.exists(root.root_overlay)
    s3 = portal_root(portal_s3_endpoint_url=f"{portal.url}/s3", portal_files_root=None)
    source = s3.picks()[0]._source
    assert s3._files.file_system(source) == ("s3://tomoportal", {"anon": True, "endpoint_url": f"{portal.url}/s3"})


# --- addresses


def files_of(**changes: Any) -> PortalFiles:
    config = {"pickable_objects": [], "overlay_root": "x", "dataset_ids": [1], **changes}
    return PortalFiles(settings_of(CopickConfigCDP.model_validate(config)))


@pytest.mark.parametrize(
    ("s3", "https", "base", "key"),
    [
        ("s3://b/1/a b%.zarr", "https://h/files/1/a b%.zarr", "https://h/files", "1/a b%.zarr"),
        ("s3://b/1/a b%.zarr/", "https://h/1/a%20b%25.zarr", "https://h", "1/a b%.zarr"),
        ("s3://b/1/a", "https://elsewhere/2/a%20b", "https://elsewhere", "2/a b"),
        (None, "https://elsewhere/2/a%20b", "https://elsewhere", "2/a b"),
        ("s3://b/1/a", None, "s3://b", "1/a"),
        ("s3://b/1/a", "", "s3://b", "1/a"),
    ],
)
def test_addresses_become_a_base_and_a_key(s3: str | None, https: str | None, base: str, key: str) -> None:
    files = files_of()
    source, found = files.place(s3, https)
    assert (source.url, found) == (base, key)
    assert files.place(s3, https)[0] is source, "one source per base"
    again, _ = pickle.loads(pickle.dumps(files)).place(s3, https)
    assert again.url == base


@pytest.mark.parametrize(("s3", "https"), [(None, None), ("", ""), ("gopher://x/y", "ftp://x/y"), (None, "https://h/")])
def test_what_is_no_address_is_refused(s3: str | None, https: str | None) -> None:
    with pytest.raises(FormatError):
        files_of().place(s3, https)


def test_public_buckets_have_web_addresses() -> None:
    assert bucket_address("b", "http://127.0.0.1:8000/s3/") == "http://127.0.0.1:8000/s3/b"
    assert bucket_address("b", None) == "https://b.s3.amazonaws.com"
    assert bucket_address("b.c", None) == "https://s3.amazonaws.com/b.c"


# --- points


def test_points_become_a_table() -> None:
    data = b'{"type": "x", "location": {"x": 1, "y": 2, "z": 3}, "other": [1]}\n\n'
    data += b'{"location": {"x": 0, "y": 0, "z": 1e3}}\n'
    table = read_portal_points(data, 7.84, "a", oriented=False)
    assert table.positions.tolist() == [[7.84, 15.68, 3 * 7.84], [0, 0, 7840]]
    assert not table.has_transforms
    assert table.instance_ids is None
    assert read_portal_points(b"", 10, "a", oriented=True).all_transforms().shape == (0, 4, 4)


@pytest.mark.parametrize(
    "line", [b"{}", b"[]", b"null", b"\xff", b'{"location": {"x": "1", "y": 2, "z": 3}}', b"{" * 4000]
)
def test_lines_that_are_no_points_are_named(line: bytes) -> None:
    good = b'{"location": {"x": 1, "y": 2, "z": 3}}\n'
    with pytest.raises(FormatError) as caught:
        read_portal_points(good + good + line, 10, "file", oriented=False)
    assert caught.value.where == "file:3"


# --- a web server with manners of its own


@pytest.fixture
def web() -> Iterator[Callable[[Callable[[Any, int], Any]], tuple[str, ScriptedServer]]]:
    servers: list[ScriptedServer] = []

    def make(script: Callable[[Any, int], Any]) -> tuple[str, ScriptedServer]:
        servers.append(ScriptedServer(lambda number, request: script(request, number)))
        return f"{servers[-1].url}/files", servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomoportal.copick.portal.web._DELAYS", (0.01, 0.01, 0.01))


def test_a_server_without_ranges_is_read_all_the_same(web: Any) -> None:
    url, server = web(lambda request, number: (200, {}, b"0123456789"))
    store = WebStore(url)
    assert store.get_range("a b", 2, 3) == b"234"
    assert store.get_range("a b", 20, 3) == b""
    assert store.get_range("a b", 0, 0) == b""
    assert [(each.method, each.path) for each in server.seen] == [("GET", "/files/a%20b")] * 2


def test_the_end_of_a_file_is_respected(web: Any) -> None:
    url, _ = web(lambda request, number: (416, {}, b"no"))
    assert WebStore(url).get_range("a", 100, 5) == b""


def test_what_passes_is_tried_again_and_what_does_not_is_explained(web: Any) -> None:
    url, server = web(lambda request, number: (503, {}, b"") if number < 3 else (200, {}, b"fine"))
    assert WebStore(url).get("a") == b"fine"
    assert len(server.seen) == 3
    url, server = web(lambda request, number: (403, {}, b""))
    with pytest.raises(StorageError, match="HTTP status 403") as caught:
        WebStore(url).get("a")
    assert caught.value.where == f"{url}/a"
    assert "portal_access" in (caught.value.fix or "")
    assert len(server.seen) == 1
    with pytest.raises(StorageError, match=r"cannot be read: .*refused"):
        WebStore("http://127.0.0.1:9").get("a")
    url, _ = web(lambda request, number: (404, {}, b""))
    with pytest.raises(NotFoundError):
        WebStore(url).stat("a")
    assert not WebStore(url).exists("a")


def test_a_stat_says_size_time_and_version(web: Any) -> None:
    headers = {"Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT", "ETag": '"e"', "Content-Length": "7"}
    url, _ = web(lambda request, number: (200, headers, b"1234567"))
    stat = WebStore(url).stat("a")
    assert (stat.size, stat.modified, stat.etag) == (7, 1735689600.0, '"e"')


def test_nothing_is_written_or_listed(web: Any, tmp_path: Path) -> None:
    store = WebStore("http://127.0.0.1:9")
    for action in (
        lambda: store.put("a", b""),
        lambda: store.open_writer("a"),
        lambda: store.delete("a"),
        lambda: store.delete_tree("a"),
        lambda: store.move("a", "b"),
        lambda: store.lock("a"),
    ):
        with pytest.raises(ReadOnlyError, match="only read"):
            action()
    for listing in (lambda: list(store.list()), store.children):
        with pytest.raises(StorageError, match="cannot be listed"):
            listing()


# --- what is kept


def requests_of(portal: LiveServer) -> Callable[[], int]:
    def count() -> int:
        with urllib.request.urlopen(f"{portal.url}/metrics") as answer:
            text = answer.read().decode()
        return sum(map(int, re.findall(r'requests_total\{route="/files.*\} (\d+)$', text, re.MULTILINE)))

    return count


def test_c81_points_that_were_read_are_kept_and_checked_when_asked(
    portal_root: Any, portal: LiveServer, tmp_path: Path
) -> None:
    count = requests_of(portal)
    root = portal_root()
    before = count()
    expected = [each.numpy()[0].tolist() for each in root.load_points()]
    assert count() - before == 6
    files = tmp_path / "cache" / "copick" / "portal" / "files"
    assert len(list(files.iterdir())) == 6
    again = portal_root()
    assert [each.numpy()[0].tolist() for each in again.picks()] == expected
    assert again.get_run("TS_1").meshes[0].mesh.bounds[0].tolist() == [100, 100, 100]
    assert count() - before == 7, "the mesh"
    again.refresh()
    assert [each.numpy()[0].tolist() for each in again.picks()] == expected
    assert count() - before == 13, "each asked for conditionally"
    damaged = sorted(files.iterdir())[0]
    damaged.write_bytes(damaged.read_bytes()[:-3])
    for path in sorted(files.iterdir())[1:3]:
        path.write_bytes(b"")
    assert [each.numpy()[0].tolist() for each in portal_root().picks()] == expected
    assert count() - before in (15, 16), "what does not have its digest is read again; one of the three may be the mesh"


def test_c81_nothing_is_kept_where_it_is_not_wanted(portal_root: Any, tmp_path: Path) -> None:
    files = tmp_path / "cache" / "copick" / "portal" / "files"
    portal_root(portal_file_cache_mb=0).load_points()
    portal_root(portal_file_cache_mb=None, portal_cache=False).load_points()
    assert not files.exists()


def test_c81_what_is_kept_is_bounded_and_the_oldest_goes_first(web: Any, tmp_path: Path) -> None:
    url, server = web(lambda request, number: (200, {"ETag": f'"{number}"'}, b"x" * 50))
    store, kept = WebStore(url), KeptFiles(tmp_path, limit=4000, seconds=100)
    for number in range(40):
        kept.read(store, f"file{number}")
    assert 1000 < sum(path.stat().st_size for path in tmp_path.iterdir() if path.is_file()) <= 4300
    server.seen.clear()
    kept.read(store, "file39")
    kept.read(store, "file0")
    assert [each.path for each in server.seen] == ["/files/file0"]
    large, _ = web(lambda request, number: (200, {}, b"x" * 300))
    assert len(KeptFiles(tmp_path, limit=4000, seconds=100).read(WebStore(large), "large")) == 300
    assert pickle.loads(pickle.dumps(kept)).read(store, "file0") == b"x" * 50
    assert len(server.seen) == 1


def test_c81_an_old_file_is_asked_for_conditionally(web: Any, tmp_path: Path) -> None:
    def script(request: Any, number: int) -> tuple[int, dict[str, str], bytes]:
        same = request.headers.get("If-None-Match") == '"a"'
        return (304, {"ETag": '"a"'}, b"") if same else (200, {"ETag": '"a"'}, b"points")

    url, server = web(script)
    store = WebStore(url)
    kept = KeptFiles(tmp_path, limit=10_000, seconds=100)
    assert kept.read(store, "a") == b"points"
    kept.revalidate = True
    assert kept.read(store, "a") == b"points"
    assert len(server.seen) == 2
    kept.revalidate = False
    assert kept.read(store, "a") == b"points"
    assert len(server.seen) == 2
    for_ever = KeptFiles(tmp_path, limit=10_000, seconds=0)
    assert for_ever.read(store, "a") == b"points"
    assert len(server.seen) == 2
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    assert KeptFiles(blocked / "folder", limit=10_000, seconds=9).read(store, "a") == b"points"
