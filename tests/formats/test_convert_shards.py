"""NGFF 0.5: the sharded pyramid against that of 0.4, and against the programs that read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05.image import Image
from pydantic_zarr.v3 import ArraySpec, GroupSpec

from tomoportal.errors import SettingsError, StorageError
from tomoportal.formats import ArrayVolume, Converted, convert_volume
from tomoportal.formats.omezarr import open_omezarr
from tomoportal.storage import Store, Writer, open_store
from tomoportal.storage.sub_store import SubStore

# pydantic 2.14 does not find these two names in the parent class's module by itself.
Image.model_rebuild(_types_namespace={"ArraySpec": ArraySpec, "GroupSpec": GroupSpec})

CASES = [
    ("tomogram", (70, 150, 300), "float32"),
    ("tomogram", (33, 260, 519), "int8"),
    ("tiltseries", (3, 600, 1100), "int16"),
    ("instance_mask", (65, 64, 63), "uint32"),
    ("semantic_mask", (5, 5, 5), "int8"),
]


def voxels(kind: str, shape: tuple[int, int, int], dtype: str) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(5)
    if kind == "semantic_mask":
        return rng.integers(0, 2, shape).astype(dtype)
    if kind == "instance_mask":
        return (rng.integers(0, 2, shape) * 70000 + rng.integers(0, 3, shape)).astype(dtype)
    return rng.normal(0, 40, shape).astype(dtype)


def convert(array: np.ndarray[Any, Any], store: Store, name: str = "a", **options: Any) -> Converted:
    return convert_volume(
        ArrayVolume(array, 7.5), store, mrc_key=f"{name}.mrc", zarr_prefix=f"{name}.zarr", voxel_spacing=7.5, **options
    )


@pytest.mark.parametrize(("kind", "shape", "dtype"), CASES)
def test_the_pyramid_is_that_of_version_4(tmp_path: Path, kind: Any, shape: tuple[int, int, int], dtype: str) -> None:
    store = open_store(tmp_path)
    array = voxels(kind, shape, dtype)
    convert(array, store, "flat", kind=kind)
    sharded = convert(array, store, "sharded", kind=kind, ngff="0.5")
    old, new = (zarr.open_group(tmp_path / f"{name}.zarr", mode="r") for name in ("flat", "sharded"))
    for level, size in enumerate(sharded.scales):
        found = new[str(level)]
        assert found.shape == size
        assert found.metadata.dimension_names == ("z", "y", "x")
        np.testing.assert_array_equal(found[:], old[str(level)][:])
    ours = open_omezarr(store, "sharded.zarr")
    assert (ours.shape, ours.voxel_size, ours.labels) == (shape, (7.5, 7.5, 7.5), sharded.labels)
    np.testing.assert_array_equal(ours.read(0, shape[0]), array)
    flat, both = (json.loads(store.get(f"{name}")) for name in ("flat.zarr/.zattrs", "sharded.zarr/zarr.json"))
    assert both["attributes"]["ome"]["multiscales"][0]["datasets"] == flat["multiscales"][0]["datasets"]
    assert {record.key for record in sharded.files} == {stat.key for stat in store.list() if "sharded" in stat.key}


def test_the_metadata_hold_against_the_models_of_the_standard(tmp_path: Path) -> None:
    convert(voxels("tomogram", (20, 30, 40), "int16"), open_store(tmp_path), ngff="0.5")
    image = Image.from_zarr(zarr.open_group(tmp_path / "a.zarr", mode="r"))
    assert image.ome_attributes.version == "0.5"


def test_chunks_of_64_in_shards_of_256(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    convert(np.ones((300, 20, 20), np.float32), store, ngff="0.5")
    array = zarr.open_group(tmp_path / "a.zarr", mode="r")["0"]
    assert (array.chunks, array.shards) == ((64, 64, 64), (256, 256, 256))
    assert [stat.key for stat in store.list("a.zarr/0/c")] == ["a.zarr/0/c/0/0/0", "a.zarr/0/c/1/0/0"]
    convert(np.ones((3, 20, 20), np.float32), store, "stack", kind="tiltseries", ngff="0.5")
    stack = zarr.open_group(tmp_path / "stack.zarr", mode="r")["0"]
    assert (stack.chunks, stack.shards) == ((1, 256, 256), (1, 1024, 1024))


def test_every_number_of_threads_gives_the_same_bytes(tmp_path: Path) -> None:
    array = voxels("tomogram", (200, 150, 140), "int16")
    runs = []
    for jobs in (1, 2, 3, 5):
        store = open_store(tmp_path / str(jobs), create=True)
        runs.append(convert(array, store, chunk_size=16, ngff="0.5", jobs=jobs).files)
    assert all(files == runs[0] for files in runs)


def test_empty_chunks_and_shards_are_not_stored(tmp_path: Path) -> None:
    array = np.zeros((40, 40, 150), np.float32)
    array[3, 4, 5] = 1
    store = open_store(tmp_path)
    convert(array, store, chunk_size=16, ngff="0.5")
    assert [stat.key for stat in store.list("a.zarr/0/c")] == ["a.zarr/0/c/0/0/0"]
    np.testing.assert_array_equal(zarr.open_group(tmp_path / "a.zarr", mode="r")["0"][:], array)


class _FailingWriter(Writer):
    """Wraps the n-th shard's writer and fails when it is written to."""

    def __init__(self, inner: Writer) -> None:
        super().__init__(inner.key)
        self._inner = inner

    def _write(self, view: memoryview) -> None:
        self._inner.abort()
        raise StorageError("full")

    def _commit(self) -> None:
        self._inner.close()

    def _abort(self) -> None:
        self._inner.abort()


class _FailingStore(SubStore):
    """Fails in a shard of level 1, while those of level 0 and 2 are open."""

    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        writer = super().open_writer(key, durable=durable)
        return _FailingWriter(writer) if "/1/c/" in key else writer


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_failing_write_leaves_no_shard_and_no_group(tmp_path: Path, jobs: int) -> None:
    store = open_store(tmp_path)
    with pytest.raises(StorageError, match="full"):
        convert(
            voxels("tomogram", (100, 100, 100), "int16"),
            _FailingStore(store, "out"),
            chunk_size=8,
            ngff="0.5",
            jobs=jobs,
        )
    left = [stat.key for stat in store.list()]
    assert not [key for key in left if key.endswith("zarr.json") or "/1/c/" in key or "/2/c/" in key]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name.startswith(".")]


def test_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"0\.6"):
        convert(np.ones((2, 2, 2), np.float32), open_store(tmp_path), ngff="0.6")
