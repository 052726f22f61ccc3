"""Object stores and web servers that fail: requests that break, listings, read-only places, slow answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.errors import ConflictError, StorageError
from tomoportal.storage import Store, open_store
from tomoportal.storage.filesystem_spec import open_fsspec
from tomoportal.testing.failing_proxy import FailingProxy, Fault
from tomoportal.testing.object_server import s3_server
from tomoportal.testing.web_folder import web_folder

_serial = itertools.count()
MANY = 1100
BREAKING: list[Fault] = [fault for fault in get_args(Fault) if fault not in ("denied", "none", "hang")]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as url:
        yield parse_qs(url.partition("?")[2])["endpoint"][0]


class Bucket:
    """A project on S3, seen through a proxy and directly."""

    def __init__(self, endpoint: str, folder: Path, make_config: Any) -> None:
        self.endpoint, self.place = endpoint, f"project{next(_serial)}"
        self._folder, self._make_config = folder, make_config

    def root(self, endpoint: str | None = None) -> copick.CopickRoot:
        arguments = {"endpoint_url": endpoint or self.endpoint}
        path = self._make_config(self._folder, overlay_root=f"s3://bucket/{self.place}/", overlay_fs_args=arguments)
        return copick.from_file(path)

    def store(self, endpoint: str | None = None) -> Store:
        return open_store(f"s3://bucket/{self.place}?endpoint={endpoint or self.endpoint}")


@pytest.fixture
def bucket(endpoint: str, tmp_path: Path, make_config: Any) -> Bucket:
    return Bucket(endpoint, tmp_path, make_config)


def xs(picks: copick.CopickPicks) -> list[float]:
    return sorted(picks.numpy()[0][:, 0].tolist())


def at(*numbers: float) -> np.ndarray:
    return np.array([[number, 0.0, 0.0] for number in numbers])


def tried(action: Any) -> bool:
    try:
        action()
    except StorageError:
        return False
    return True


def save_and_list(bucket: Bucket, fault: Fault, every: int, times: int) -> None:
    """What was said to be saved is there; what failed is as before or as wanted; nothing that is there is missed."""
    bucket.root().new_run("TS_001").new_picks("ribosome", "0").from_numpy(at(0))
    saved = [0.0]
    with FailingProxy(bucket.endpoint, every=every, fault=fault, hang=0.1) as proxy:
        root = bucket.root(proxy.url)
        for number in range(1, times):
            wanted = [float(each) for each in range(number + 1)]
            run = root.get_run("TS_001")
            assert run is not None, "a run that is there is missed"
            (picks,) = run.get_picks(session_id="0")
            before = saved
            if tried(lambda: picks.from_numpy(at(*wanted))):  # noqa: B023
                saved = wanted
            else:
                picks.refresh()
            (clean,) = bucket.root().runs[0].get_picks(session_id="0")
            assert xs(clean) in ([saved] if saved == wanted else [before, wanted])
            saved = xs(clean)
            made = tried(lambda: run.new_picks("ribosome", str(number)))  # noqa: B023
            run.refresh_picks()
            sessions = {each.session_id for each in run.picks}
            assert sessions == {each.session_id for each in bucket.root().runs[0].picks}
            assert str(number) in sessions or not made
        volume = np.random.default_rng(0).normal(size=(40, 40, 40)).astype(np.float32)
        tomogram = run.new_voxel_spacing(10).new_tomogram("wbp")
        tomogram.from_numpy(volume)
        assert np.array_equal(bucket.root().runs[0].voxel_spacings[0].tomograms[0].numpy(), volume)
        assert np.array_equal(tomogram.numpy(), volume)
        root.delete_run("TS_001")
        assert bucket.root().runs == []
        assert proxy.failed > times // every


@pytest.mark.parametrize("fault", ["half", "lost"])
def test_on_s3_with_requests_that_fail_nothing_is_lost(fault: Fault, bucket: Bucket) -> None:
    save_and_list(bucket, fault, 3, 4)


@pytest.mark.slow
@pytest.mark.parametrize("every", [2, 3, 5, 7])
@pytest.mark.parametrize("fault", [*BREAKING, "hang"])
def test_on_s3_with_more_requests_that_fail_nothing_is_lost(fault: Fault, every: int, bucket: Bucket) -> None:
    save_and_list(bucket, fault, every, 8)


@pytest.fixture(scope="module")
def many_runs(endpoint: str) -> str:
    """A place with runs for two pages of a listing."""
    store = open_store(f"s3://bucket/many?endpoint={endpoint}")
    for number in range(MANY):
        store.put(f"ExperimentRuns/TS_{number:04d}/.meta", b"meta", durable=False)
    return "many"


@pytest.mark.parametrize(
    "fault", ["half", *(pytest.param(fault, marks=pytest.mark.slow) for fault in BREAKING if fault != "half")]
)
def test_a_listing_is_whole_or_an_error(fault: Fault, bucket: Bucket, many_runs: str) -> None:
    bucket.place = many_runs
    keys = [f"ExperimentRuns/TS_{number:04d}/.meta" for number in range(MANY)]
    for every in (2, 3):
        with FailingProxy(bucket.endpoint, every=every, fault=fault) as proxy:
            store = bucket.store(proxy.url)
            for listed in (
                lambda: [stat.key for stat in store.list()],  # noqa: B023
                lambda: [stat.key for stat in store.scan("ExperimentRuns/")],  # noqa: B023
                lambda: [f"ExperimentRuns/{name}/.meta" for name in store.children("ExperimentRuns")[0]],  # noqa: B023
            ):
                with suppress(StorageError):
                    assert listed() == keys
            root = bucket.root(proxy.url)
            with suppress(StorageError):
                assert len(root.runs) == MANY
            assert proxy.failed


def test_s3_that_may_only_be_read_says_so(bucket: Bucket) -> None:
    run = bucket.root().new_run("TS_001")
    run.new_picks("ribosome", "1").from_numpy(at(1))
    run.new_voxel_spacing(10).new_tomogram("wbp").from_numpy(np.ones((4, 4, 4), np.float32))
    before = [(stat.key, stat.etag) for stat in bucket.store().list()]
    with FailingProxy(
        bucket.endpoint, fault="denied", counted=lambda method, path: method not in ("GET", "HEAD")
    ) as s3:
        run = bucket.root(s3.url).runs[0]
        picks, tomogram = run.picks[0], run.get_voxel_spacing(10).tomograms[0]
        assert xs(picks) == [1]
        for action in (
            lambda: picks.from_numpy(at(2)),
            picks.delete,
            lambda: run.new_picks("ribosome", "2"),
            lambda: tomogram.from_numpy(np.zeros((4, 4, 4), np.float32)),
            lambda: tomogram.set_region(np.zeros((1, 4, 4), np.float32), z=slice(0, 1)),
            tomogram.delete,
            lambda: run.root.new_run("TS_002"),
            lambda: run.root.delete_run("TS_001"),
        ):
            with pytest.raises(PermissionError, match="refuses access"):
                action()
    assert [(stat.key, stat.etag) for stat in bucket.store().list()] == before


def test_c60_what_others_do_on_s3_is_seen_and_not_overwritten(bucket: Bucket) -> None:
    """Another process writes, replaces and deletes while a root is open."""
    other = bucket.root()
    run = other.new_run("TS_001")
    picks = run.new_picks("ribosome", "1")
    picks.from_numpy(at(1))
    tomogram = run.new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(np.ones((4, 4, 4), np.float32))
    root = bucket.root()
    (seen,) = root.runs
    (mine,) = seen.picks
    assert (xs(mine), seen.get_voxel_spacing(10).tomograms[0].numpy().sum()) == ([1], 64)
    picks.from_numpy(at(2))
    run.new_picks("ribosome", "2")
    tomogram.from_numpy(np.full((4, 4, 4), 2, np.float32))
    other.new_run("TS_002")
    with pytest.raises(ConflictError):
        mine.from_numpy(at(3))
    seen.refresh()
    root.refresh()
    assert [each.name for each in root.runs] == ["TS_001", "TS_002"]
    seen = root.runs[0]
    assert [each.session_id for each in seen.picks] == ["1", "2"]
    assert (xs(seen.picks[0]), seen.get_voxel_spacing(10).tomograms[0].numpy().sum()) == ([2], 128)
    stale = seen.picks[0]
    other.delete_run("TS_001")
    with pytest.raises(ConflictError, match="deleted"):
        stale.from_numpy(at(4))
    root.refresh()
    assert [each.name for each in root.runs] == ["TS_002"]


@pytest.fixture
def static(tmp_path: Path, make_config: Any) -> Path:
    """The folder of a project, to be shown by a web server."""
    folder = tmp_path / "static"
    root = copick.from_file(make_config(tmp_path, overlay_root=str(folder)))
    for name in ("TS 1", "TS#2%20", "TS[3]"):
        run = root.new_run(name)
        run.new_picks("ribosome", "1").from_numpy(at(1))
        run.new_voxel_spacing(10).new_tomogram("wbp").from_numpy(np.ones((20, 20, 20), np.float32))
        run.new_segmentation(10, "membrane", "1").from_numpy(np.ones((20, 20, 20), np.uint8))
    return folder


def test_c96_a_project_on_a_web_server_with_an_overlay_here(static: Path, tmp_path: Path, make_config: Any) -> None:
    with web_folder(static) as url:
        store, key = open_fsspec(url), "ExperimentRuns/TS#2%20/Picks/ada_1_ribosome.json"
        assert store.get_range(key, 5, 20) == store.get(key)[5:25]  # this server knows no ranges
        root = copick.from_file(make_config(tmp_path, static_root=url))
        assert [run.name for run in root.runs] == ["TS 1", "TS#2%20", "TS[3]"]
        for run in root.runs:
            assert run.picks[0].read_only
            assert xs(run.picks[0]) == [1]
            assert run.voxel_spacings[0].tomograms[0].numpy(x=slice(0, 5)).shape == (20, 20, 5)
            assert run.segmentations[0].numpy().sum() == 8000
            assert (run.meshes, run.filaments) == ([], [])
        made = root.runs[0].new_picks("ribosome", "2")
        made.from_numpy(at(5))
        with pytest.raises(PermissionError, match="Cannot store picks in a read-only source"):
            root.runs[0].picks[0].from_numpy(at(6))
        again = copick.from_file(make_config(tmp_path, static_root=url))
        assert [each.session_id for each in again.runs[0].picks] == ["1", "2"]
        with pytest.raises(PermissionError, match="cannot be written to"):
            copick.from_file(make_config(tmp_path, overlay_root=url)).new_run("new")


@pytest.mark.parametrize("fault", [*BREAKING, "hang"])
def test_a_web_server_that_is_slow_and_fails(fault: Fault, static: Path, tmp_path: Path, make_config: Any) -> None:
    with web_folder(static) as url, FailingProxy(url, every=3, fault=fault, delay=0.02, hang=0.3) as proxy:
        root = copick.from_file(make_config(tmp_path, static_root=proxy.url))
        for run in root.runs:
            assert xs(run.picks[0]) == [1]
            assert run.voxel_spacings[0].tomograms[0].numpy().sum() == 8000
        assert len(root.runs) == 3
        assert proxy.failed > 5


def test_a_web_server_without_lists_is_no_empty_project(static: Path, tmp_path: Path, make_config: Any) -> None:
    with web_folder(static, lists=False) as url:
        root = copick.from_file(make_config(tmp_path, static_root=url))
        with pytest.raises(StorageError, match="shows no list of this folder"):
            list(root.runs)
        with pytest.raises(StorageError, match="Croissant"):
            list(copick.from_file(make_config(tmp_path, static_root=f"{url}/ExperimentRuns")).runs)
