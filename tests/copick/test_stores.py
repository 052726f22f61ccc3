"""Projects on other stores: S3, and whatever fsspec opens (issue 5, 3; C29, C59, C60)."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.copick.sources import open_source, same_place
from tomoportal.errors import ConflictError, StorageError
from tomoportal.storage import open_store
from tomoportal.storage.filesystem_spec import FsspecStore
from tomoportal.storage.objects import ObjectStore
from tomoportal.testing.object_server import s3_server

_serial = itertools.count()


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_server() as url:
        yield url


def s3_config(bucket: str) -> dict[str, Any]:
    address, _, query = bucket.partition("?")
    endpoint = parse_qs(query)["endpoint"][0]
    place = f"{address}/project{next(_serial)}/"
    return {"overlay_root": place, "overlay_fs_args": {"endpoint_url": endpoint}}


def memory_config() -> dict[str, Any]:
    return {"overlay_root": f"memory://project{next(_serial)}/", "overlay_fs_args": {}}


@pytest.fixture(params=["s3", "fsspec"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    if request.param == "s3":
        return s3_config(request.getfixturevalue("bucket"))
    return memory_config()


def test_a_project_lives_on_another_store(place: dict[str, Any], tmp_path: Path, make_config) -> None:
    config = make_config(tmp_path, **place)
    root = copick.from_file(config)
    run = root.new_run("TS 1")
    picks = run.new_picks("ribosome", "1")
    picks.from_numpy(np.ones((2, 3)))
    spacing = run.new_voxel_spacing(10)
    tomogram = spacing.new_tomogram("wbp")
    data = np.random.default_rng(0).normal(size=(20, 21, 22)).astype("f4")
    tomogram.from_numpy(data)
    tomogram.new_features("sobel")
    run.new_segmentation(10, "all", "1", True)
    run.new_mesh("membrane", "1")
    again = copick.from_file(config)
    (found,) = again.runs
    assert found.name == "TS 1"
    assert found.picks[0].numpy()[0].tolist() == np.ones((2, 3)).tolist()
    assert np.array_equal(found.voxel_spacings[0].tomograms[0].numpy(), data)
    assert [each.feature_type for each in found.voxel_spacings[0].tomograms[0].features] == ["sobel"]
    assert len(found.segmentations) == len(found.meshes) == 1  # C29: visible before there are data
    other = found.picks[0]
    other.from_numpy(np.zeros((1, 3)))
    with pytest.raises(ConflictError):
        picks.from_numpy(np.ones((3, 3)))
    picks.store(merge=True)
    assert len(picks.history()) == 3
    found.refresh_picks()
    assert len(found.picks[0].numpy()[0]) == 2
    if place["overlay_root"].startswith("s3"):
        assert len(pickle.loads(pickle.dumps(found.picks[0])).numpy()[0]) == 2
    root.delete_run("TS 1")
    again.refresh()
    assert again.runs == []


def test_c29_what_is_new_becomes_an_array_or_a_group(place: dict[str, Any], tmp_path: Path, make_config) -> None:
    """Scripts hand ``x.zarr()`` to ``zarr.create``, which refuses where a group is."""
    zarr = pytest.importorskip("zarr")
    config = make_config(tmp_path, **place)
    spacing = copick.from_file(config).new_run("TS_1").new_voxel_spacing(10)
    zarr.create((5, 5, 5), store=spacing.new_tomogram("array").zarr(), zarr_format=2)[:] = 3
    zarr.create_group(spacing.new_tomogram("group").zarr(), zarr_format=2).create_array(
        "0", shape=(4, 4, 4), dtype="f4"
    )
    found = copick.from_file(config).runs[0].voxel_spacings[0]
    assert found.get_tomograms("array")[0].numpy().tolist() == np.full((5, 5, 5), 3.0).tolist()
    assert found.get_tomograms("group")[0].numpy().shape == (4, 4, 4)


def test_arguments_of_a_config_choose_the_store(bucket: str, tmp_path: Path) -> None:
    arguments = s3_config(bucket)
    source = open_source(arguments["overlay_root"], arguments["overlay_fs_args"], read_only=False)
    assert isinstance(source.store, ObjectStore)
    assert source.url == arguments["overlay_root"].rstrip("/")
    same = open_source(arguments["overlay_root"].rstrip("/"), arguments["overlay_fs_args"], read_only=True)
    assert same_place(source.store, same.store)
    assert isinstance(open_source("memory://x", {}, read_only=False).store, FsspecStore)
    with pytest.raises(StorageError, match="static_root"):
        open_source(f"local://{tmp_path}/nothing", {}, read_only=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        open_source(f"{tmp_path}/file", {}, read_only=False)


def test_configs_lie_on_other_stores_too(bucket: str, tmp_path: Path, make_config, monkeypatch) -> None:
    address, _, query = bucket.partition("?")
    root = copick.from_file(make_config(tmp_path))
    root.save_config(f"{address}/configs/a.json?{query}")
    assert copick.from_file(f"{address}/configs/a.json?{query}").get_object("ribosome") is not None
    root.save_config("memory://configs/a.json")
    assert copick.from_file("memory://configs/a.json").get_object("ribosome") is not None


def test_links_to_runs_on_other_disks_are_followed(tmp_path: Path, make_config) -> None:
    root = copick.from_file(make_config(tmp_path))
    root.new_run("far").new_picks("ribosome", "1").from_numpy(np.ones((1, 3)))
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "overlay/ExperimentRuns/far").rename(elsewhere)
    (tmp_path / "overlay/ExperimentRuns/far").symlink_to(elsewhere)
    (found,) = copick.from_file(tmp_path / "copick_config.json").runs
    assert len(found.picks[0].numpy()[0]) == 1
    found.picks[0].from_numpy(np.ones((2, 3)))
    assert (elsewhere / "Picks/ada_1_ribosome.json").exists()


def test_static_and_overlay_on_different_stores(bucket: str, tmp_path: Path, make_config) -> None:
    static = s3_config(bucket)
    copick.from_file(make_config(tmp_path, **static)).new_run("a").new_picks("ribosome", "1").from_numpy(
        np.ones((2, 3))
    )
    both = {"static_root": static["overlay_root"], "static_fs_args": static["overlay_fs_args"]}
    root = copick.from_file(make_config(tmp_path, **both))
    (run,) = root.runs
    assert run.picks[0].read_only
    run.new_picks("ribosome", "2").from_numpy(np.ones((1, 3)))
    assert [each.session_id for each in copick.from_file(tmp_path / "copick_config.json").runs[0].picks] == ["1", "2"]
    assert open_store(tmp_path / "overlay").exists("ExperimentRuns/a/Picks/ada_2_ribosome.json")


ADD = """
import json, sys
import tomoportal.copick as copick
root = copick.from_file(sys.argv[1])
assert "s3fs" in type(root._overlay.store._protocol.fs).__module__
picks = root.get_run("TS_001").picks[0]
for number in range(15):
    picks.points = [*picks.points, copick.CopickPoint(location={"x": int(sys.argv[2]), "y": number, "z": 0})]
    picks.store(merge=True)
print(json.dumps(len(picks.history())))
"""


@pytest.mark.slow
def test_saves_by_several_processes_with_credentials_in_the_config_lose_nothing(
    bucket: str, tmp_path: Path, make_config: Any, plugins: Any
) -> None:
    """Configs with ``key`` and ``secret`` go through s3fs; the server keeps the conditions there, too (C3)."""
    place = s3_config(bucket)
    root = copick.from_file(make_config(tmp_path, **place))
    root.new_run("TS_001").new_picks("ribosome", "1")
    arguments = {**place["overlay_fs_args"], "key": "test", "secret": "test"}
    config = make_config(tmp_path, overlay_root=place["overlay_root"], overlay_fs_args=arguments)
    with ThreadPoolExecutor(3) as pool:
        for _ in pool.map(lambda worker: plugins(ADD, config, worker), range(3)):
            pass
    root.refresh()
    found = {(x, y) for x, y, _ in root.runs[0].picks[0].numpy()[0].tolist()}
    assert found == {(float(x), float(y)) for x in range(3) for y in range(15)}
