"""OME-Zarr sources against zarr-python, for every codec and version; hostile metadata; damaged chunks."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
import pytest
import zarr
import zarr.codecs
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError, StorageError
from tomoportal.formats import convert_volume, open_omezarr, open_volume
from tomoportal.formats.omezarr import is_zarr, level_shapes
from tomoportal.formats.omezarr.crc32c import crc32c
from tomoportal.formats.omezarr.decoding import inflate
from tomoportal.storage import Store, open_store

RNG = np.random.default_rng(4)
ARRAY = RNG.normal(0, 30, (21, 34, 45))
BOX = (slice(3, 19), slice(10, 33), slice(0, 44))


def attributes(version: str = "0.4", unit: str | None = "angstrom", scale: Any = (2.5, 2.5, 2.5), **more: Any) -> Any:
    axes = [{"name": axis, "type": "space", **({"unit": unit} if unit else {})} for axis in "zyx"]
    steps = [{"type": "scale", "scale": list(scale)}]
    dataset = {"path": "0", "coordinateTransformations": steps}
    return {"multiscales": [{"version": version, "axes": axes, "datasets": [dataset], **more}]}


def write_2(folder: Path, array: np.ndarray[Any, Any], **options: Any) -> Store:
    group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=2)
    made = group.create_array("0", shape=array.shape, dtype=array.dtype, chunks=(8, 16, 16), **options)
    made[:] = array
    group.attrs.update(attributes())
    return open_store(folder)


def write_3(folder: Path, array: np.ndarray[Any, Any], **options: Any) -> Store:
    group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=3)
    made = group.create_array("0", shape=array.shape, dtype=array.dtype, **({"chunks": (8, 16, 16)} | options))
    made[:] = array
    group.attrs["ome"] = attributes("0.5")
    return open_store(folder)


def assert_same(store: Store, array: np.ndarray[Any, Any]) -> None:
    volume = open_volume(store, "a.zarr")
    assert (volume.shape, volume.voxel_size) == (array.shape, (2.5, 2.5, 2.5))
    assert volume.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(volume.read(0, array.shape[0]), array)
    np.testing.assert_array_equal(
        volume.read(BOX[0].start, BOX[0].stop, BOX[1].start, BOX[1].stop, BOX[2].start, BOX[2].stop), array[BOX]
    )
    assert volume.read(4, 4).shape == (0, *array.shape[1:])


COMPRESSORS_2 = [
    None,
    numcodecs.Blosc("lz4", 5, 2),
    numcodecs.Blosc("zstd", 3, 1),
    numcodecs.Zstd(3),
    numcodecs.GZip(2),
    numcodecs.Zlib(2),
    numcodecs.LZ4(),
    numcodecs.BZ2(1),
    numcodecs.LZMA(preset=1),
]


@pytest.mark.parametrize("compressor", COMPRESSORS_2, ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_version_2_codecs(tmp_path: Path, compressor: Any, order: Any) -> None:
    array = ARRAY.astype("i2")
    assert_same(write_2(tmp_path, array, compressors=compressor, order=order), array)


@pytest.mark.parametrize("dtype", ["|i1", "|u1", "<i2", ">i2", "<u4", ">f4", "<f8", "<f2", "|b1", "<i8"])
@pytest.mark.parametrize("separator", [".", "/"])
def test_version_2_types_and_separators(tmp_path: Path, dtype: str, separator: Any) -> None:
    array = np.abs(ARRAY).astype(dtype)
    encoding = {"name": "v2", "separator": separator}
    assert_same(write_2(tmp_path, array, chunk_key_encoding=encoding), array)


CODECS = zarr.codecs
V3: dict[str, dict[str, Any]] = {
    "none": {"compressors": None},
    "blosc": {"compressors": CODECS.BloscCodec(cname="zstd", shuffle="bitshuffle")},
    "zstd": {"compressors": CODECS.ZstdCodec(level=2, checksum=True)},
    "gzip": {"compressors": CODECS.GzipCodec()},
    "crc": {"compressors": [CODECS.ZstdCodec(), CODECS.Crc32cCodec()]},
    "big": {"serializer": CODECS.BytesCodec(endian="big")},
    "turned": {"filters": [CODECS.TransposeCodec(order=(2, 0, 1))]},
    "dots": {"chunk_key_encoding": {"name": "default", "separator": "."}},
    "v2 keys": {"chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "shards": {"shards": (16, 32, 48)},
    "shards turned": {"shards": (16, 32, 48), "filters": [CODECS.TransposeCodec(order=(2, 1, 0))]},
    "shards crc": {"shards": (16, 32, 48), "compressors": [CODECS.Crc32cCodec()]},
}


@pytest.mark.parametrize("name", V3)
@pytest.mark.parametrize("dtype", ["i2", "f4"])
def test_version_3_codecs(tmp_path: Path, name: str, dtype: str) -> None:
    array = ARRAY.astype(dtype)
    assert_same(write_3(tmp_path, array, **V3[name]), array)


def test_shards_with_their_index_at_the_start(tmp_path: Path) -> None:
    array = ARRAY.astype("f4")
    codec = CODECS.ShardingCodec(chunk_shape=(8, 16, 16), index_location="start")
    store = write_3(tmp_path, array, chunks=(16, 32, 48), serializer=codec, compressors=None)
    assert json.loads(store.get("a.zarr/0/zarr.json"))["codecs"][0]["configuration"]["index_location"] == "start"
    assert_same(store, array)


@pytest.mark.parametrize("fill", [0, 7, float("nan"), float("-inf")])
@pytest.mark.parametrize("write", [write_2, write_3])
def test_missing_chunks_are_the_fill_value(tmp_path: Path, write: Any, fill: float) -> None:
    array = np.full((21, 34, 45), fill, np.float32)
    array[:8, :16, :16] = 3
    store = write(tmp_path, array, fill_value=fill)
    assert len([stat for stat in store.list("a.zarr/0") if not stat.key.endswith((".json", ".zarray", ".zattrs"))]) == 1
    assert_same(store, array)


def test_an_image_without_chunks_says_so(tmp_path: Path) -> None:
    store = write_3(tmp_path, np.zeros((4, 5, 6), np.uint8))
    assert "no chunk is stored" in open_omezarr(store, "a.zarr").notes[-1]


def put(name: str, documents: dict[str, Any]) -> Store:
    store = open_store(f"memory://omezarr-{name}")
    store.delete_tree("a.zarr")
    for key, document in documents.items():
        store.put(f"a.zarr/{key}", json.dumps(document).encode())
    return store


def zarray(shape: tuple[int, ...] = (2, 3, 4), **more: Any) -> dict[str, Any]:
    known = {"zarr_format": 2, "shape": list(shape), "chunks": list(shape), "dtype": "<f4", "compressor": None}
    return known | {"fill_value": 0, "filters": None, "order": "C"} | more


def image(multiscale: dict[str, Any], array: dict[str, Any] | None = None) -> dict[str, Any]:
    return {".zattrs": {"multiscales": [multiscale]}, "0/.zarray": array or zarray()}


DATASETS = [{"path": "0"}]


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_first_versions_have_five_axes_and_no_lengths(version: str) -> None:
    store = put("first", image({"version": version, "datasets": DATASETS}, zarray((1, 1, 2, 3, 4))))
    volume = open_omezarr(store, "a.zarr")
    assert (volume.shape, volume.voxel_size) == ((2, 3, 4), (0.0, 0.0, 0.0))
    assert "NGFF 0.1 or 0.2" in volume.notes[0]


def test_version_3_of_the_axes_has_names_only() -> None:
    multiscale = {"version": "0.3", "axes": ["c", "z", "y", "x"], "datasets": DATASETS}
    volume = open_omezarr(put("names", image(multiscale, zarray((1, 2, 3, 4)))), "a.zarr")
    assert (volume.shape, volume.voxel_size) == ((2, 3, 4), (0.0, 0.0, 0.0))
    assert "no voxel size" in volume.notes[0]


@pytest.mark.parametrize(
    ("unit", "size"),
    [("angstrom", 2.5), ("nanometer", 25.0), ("micrometer", 25000.0), ("picometer", 0.025), ("Å", 2.5), ("nm", 25.0)],
)
def test_lengths_become_angstrom(unit: str, size: float) -> None:
    store = put("units", {".zattrs": attributes(unit=unit), "0/.zarray": zarray()})
    assert open_omezarr(store, "a.zarr").voxel_size == pytest.approx((size, size, size))


def test_scales_of_the_dataset_and_of_the_image_multiply() -> None:
    whole = attributes(scale=(1, 2, 3), coordinateTransformations=[{"type": "scale", "scale": [10, 10, 10]}])
    volume = open_omezarr(put("product", {".zattrs": whole, "0/.zarray": zarray()}), "a.zarr")
    assert volume.voxel_size == (30.0, 20.0, 10.0)


@pytest.mark.parametrize(("unit", "note"), [(None, "no unit"), ("second", "no length")])
def test_units_that_are_missing_or_no_lengths_are_noted(unit: str | None, note: str) -> None:
    volume = open_omezarr(put("nounit", {".zattrs": attributes(unit=unit), "0/.zarray": zarray()}), "a.zarr")
    assert any(note in each for each in volume.notes)
    assert volume.voxel_size == ((2.5,) * 3 if unit is None else (0.0,) * 3)


def axes(names: str) -> dict[str, Any]:
    return {"version": "0.4", "datasets": DATASETS, "axes": [{"name": name} for name in names]}


HUGE = 2**60
REFUSED: dict[str, dict[str, Any]] = {
    "channels": image(axes("czyx"), zarray((2, 2, 3, 4))),
    "times": image(axes("tzyx"), zarray((2, 2, 3, 4))),
    "turned axes": image(axes("yzx")),
    "axes unlike array": image(axes("zyx"), zarray((3, 4))),
    "two axes of one name": image(axes("zzyx"), zarray((1, 2, 3, 4))),
    "no multiscales": {".zattrs": {}, "0/.zarray": zarray()},
    "nothing": {"other": {}},
    "no array": {".zattrs": attributes()},
    "2^60 voxels": image(axes("zyx"), zarray((HUGE, 3, 4), chunks=[1, 1, 1])),
    "2^20 each": image(axes("zyx"), zarray((2**20, 2**20, 2**20), chunks=[1, 1, 1])),
    "a huge chunk": image(axes("zyx"), zarray(chunks=[2**12, 2**12, 2**12])),
    "a negative size": image(axes("zyx"), zarray((-2, 3, 4))),
    "a size of text": image(axes("zyx"), zarray(shape=(2, 3, 4)) | {"shape": ["2", 3, 4]}),
    "no chunk": image(axes("zyx"), zarray(chunks=[0, 1, 1])),
    "text": image(axes("zyx"), zarray(dtype="<U9")),
    "a structure": image(axes("zyx"), zarray(dtype=[["a", "<f4"]])),
    "objects": image(axes("zyx"), zarray(dtype="|O")),
    "a filter": image(axes("zyx"), zarray(filters=[{"id": "pickle"}])),
    "a compressor": image(axes("zyx"), zarray(compressor={"id": "pickle"})),
    "a fill value": image(axes("zyx"), zarray(fill_value="x")),
    "an integer fill": image(axes("zyx"), zarray(dtype="|u1", fill_value=256)),
    "version 4": image(axes("zyx"), zarray(zarr_format=4)),
}
for _path in ("../b.zarr", "/etc", "a/../../b", "..", "a\\b", "a//b", 7, None):
    REFUSED[f"path {_path!r}"] = {".zattrs": {"multiscales": [axes("zyx") | {"datasets": [{"path": _path}]}]}}


@pytest.mark.parametrize("name", REFUSED)
def test_metadata_that_are_refused(name: str) -> None:
    store = put("refused", REFUSED[name])
    store.put("b.zarr/.zarray", json.dumps(zarray()).encode())
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            open_omezarr(store, "a.zarr")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_axes_called_x_y_z_are_taken_as_the_voxels_lie() -> None:
    volume = open_omezarr(put("xyz", image(axes("xyz"))), "a.zarr")
    assert volume.shape == (2, 3, 4)
    assert "x, y, z" in volume.notes[0]


def test_bare_arrays_and_folders_that_are_none() -> None:
    store = open_store("memory://omezarr-bare")
    store.put("a/.zarray", json.dumps(zarray()).encode())
    assert is_zarr(store, "a")
    assert not is_zarr(store, "b")
    volume = open_volume(store, "a")
    assert (volume.shape, volume.voxel_size) == ((2, 3, 4), (0.0, 0.0, 0.0))


def test_levels_of_what_we_write(tmp_path: Path) -> None:
    from tomoportal.formats import ArrayVolume

    store = open_store(tmp_path)
    for ngff in ("0.4", "0.5"):
        volume = ArrayVolume(np.ones((9, 10, 11), np.float32), 5.0)
        found = convert_volume(volume, store, mrc_key="a.mrc", zarr_prefix=ngff, voxel_spacing=5.0, ngff=ngff)  # type: ignore[arg-type]
        assert level_shapes(store, ngff) == found.scales == ((9, 10, 11), (5, 5, 6), (3, 3, 3))


# --- damage and bombs

BOMBS = {
    "zlib": numcodecs.Zlib(9),
    "gzip": numcodecs.GZip(9),
    "bz2": numcodecs.BZ2(9),
    "lzma": numcodecs.LZMA(preset=6),
    "zstd": numcodecs.Zstd(3),
    "lz4": numcodecs.LZ4(),
    "blosc": numcodecs.Blosc("zstd", 3),
}


@pytest.mark.parametrize("name", BOMBS)
def test_decompression_bombs_allocate_nothing(name: str) -> None:
    """LZMA takes the dictionary that its header asks for, 8 MB here, before it gives a byte; 72 MB at most."""
    data = bytes(BOMBS[name].encode(np.zeros(2**24, np.uint8)))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            inflate(name, data, 1000, "bomb")
        assert tracemalloc.get_traced_memory()[1] < (2**24 if name == "lzma" else 2**20)
    finally:
        tracemalloc.stop()


@given(st.sampled_from(sorted(BOMBS)), st.binary(max_size=60), st.integers(0, 5000), st.data())
def test_damaged_chunks_give_format_errors_only(name: str, noise: bytes, size: int, data: st.DataObject) -> None:
    coded = bytearray(BOMBS[name].encode(np.arange(500, dtype=np.uint16)))
    place = data.draw(st.integers(0, len(coded)))
    coded[place : place + len(noise)] = noise
    with contextlib.suppress(FormatError):
        assert len(inflate(name, bytes(coded), size, "chunk")) == size


def test_a_chunk_that_is_cut_off_or_too_long(tmp_path: Path) -> None:
    for write, name in ((write_2, "a.zarr/0/0.0.0"), (write_3, "a.zarr/0/c/0/0/0")):
        store = write(tmp_path / name.replace("/", "-"), ARRAY.astype("f4"))
        data = store.get(name)
        for wrong in (data[:-5], data + bytes(10**5), b""):
            store.put(name, wrong)
            with pytest.raises(FormatError):
                open_omezarr(store, "a.zarr").read(0, 2)


def _sharded() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        store = write_3(Path(folder), ARRAY[:8, :16, :16].astype("f4"), chunks=(4, 8, 8), shards=(8, 16, 16))
        return {stat.key: store.get(stat.key) for stat in store.list()}


SHARDED = _sharded()
CHANGES = st.lists(st.tuples(st.integers(-140, -1), st.integers(0, 255)), min_size=1, max_size=4)


@given(CHANGES, st.integers(0, 200))
def test_damaged_shards_give_format_errors_only(changes: list[tuple[int, int]], cut: int) -> None:
    store = open_store("memory://omezarr-shards")
    for key, document in SHARDED.items():
        store.put(key, document)
    data = bytearray(SHARDED["a.zarr/0/c/0/0/0"])
    for place, value in changes:
        data[place] = value
    data[-4:] = crc32c(bytes(data[-132:-4])).to_bytes(4, "little")  # a liar computes the checksum too
    store.put("a.zarr/0/c/0/0/0", bytes(data[: len(data) - cut]))
    with contextlib.suppress(FormatError):
        open_omezarr(store, "a.zarr").read(0, 8)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ZARRAYS = st.fixed_dictionaries({}, optional={key: st.just(value) | JSON for key, value in zarray().items()})
V3_ARRAY: dict[str, Any] = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [2, 3, 4],
    "data_type": "float32",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3, 4]}},
    "chunk_key_encoding": {"name": "default"},
    "fill_value": 0,
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
}
V3_ARRAYS = st.fixed_dictionaries({}, optional={key: st.just(value) | JSON for key, value in V3_ARRAY.items()})


@given(
    ZARRAYS | V3_ARRAYS,
    st.dictionaries(st.sampled_from(["multiscales", "ome"]), JSON, max_size=2) | st.just(attributes()),
)
def test_any_metadata_give_a_volume_or_a_format_error(array: dict[str, Any], group: dict[str, Any]) -> None:
    store = put("fuzz", {".zattrs": group, "0/.zarray": array})
    try:
        volume = open_omezarr(store, "a.zarr")
        assert volume.read(0, 1, 0, 1, 0, 1).size == 1
    except FormatError:
        pass


def test_checksums_are_those_of_a_peer() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720's check value
    for size in (0, 1, 5, 2047, 2048, 2049, 4096, 100_003):
        data = os.urandom(size)
        assert crc32c(data) == google_crc32c.value(data)


def test_links_that_leave_the_source_are_refused(tmp_path: Path) -> None:
    store = write_2(tmp_path / "source", ARRAY.astype("f4"))
    (tmp_path / "secret").write_bytes(bytes(8192))
    chunk = tmp_path / "source/a.zarr/0/0.0.0"
    chunk.unlink()
    chunk.symlink_to(tmp_path / "secret")
    with pytest.raises((FormatError, StorageError)):
        open_omezarr(store, "a.zarr").read(0, 2)


@pytest.mark.real_data
def test_real_images(real_data: Path, tmp_path: Path) -> None:
    """Shapes, types and scales as the manifest says; voxels as zarr-python reads them."""
    store = open_store(real_data / "zarr")
    expected: dict[str, tuple[Any, str, float]] = {
        "cz_input_omezarr.zarr": ((4, 4, 4), "float32", 14.08),
        "derived_krios_100cube_v0.4.zarr": ((100, 100, 100), "int16", 16.84),
        "derived_mt_96cube_v0.5_labels.zarr": ((96, 96, 96), "uint8", 10.0),
        "derived_mt_96cube_v0.5_labels.zarr/labels/microtubule": ((96, 96, 96), "uint8", 10.0),
    }
    for key, (shape, dtype, size) in expected.items():
        volume = open_omezarr(store, key)
        assert (volume.shape, volume.dtype.name, volume.voxel_size) == (shape, dtype, (size, size, size))
        peer = zarr.open_group(real_data / "zarr" / key, mode="r")["0"]
        np.testing.assert_array_equal(volume.read(0, shape[0]), peer[:])
    assert open_omezarr(store, "derived_mt_96cube_v0.5_labels.zarr/labels/microtubule").labels == (1,)
    sharded = open_omezarr(store, "idr_ExpA_VIP_ASLM_v0.5_metadata.zarr")
    assert (sharded.shape, sharded.dtype.name, sharded.chunks) == ((1937, 2048, 2048), "uint16", (1, 256, 256))
    assert sharded.voxel_size == pytest.approx((65500, 65500, 50000), rel=1e-4)
    assert not sharded.read(1000, 1001).any()
    for key in ("ngff_simple_0.4", "ngff_simple_0.5"):
        flat = open_omezarr(store, key)
        assert (flat.shape, flat.voxel_size) == ((1, 10, 10), (300.0, 40.0, 0.0))
    with pytest.raises(FormatError, match="50 channels"):
        open_omezarr(store, "idr_10501752_v0.4_metadata.zarr")
    volume = open_omezarr(store, "derived_krios_100cube_v0.4.zarr")
    found = convert_volume(volume, open_store(tmp_path), mrc_key="a.mrc", zarr_prefix="a.zarr", voxel_spacing=16.84)
    assert (found.dtype, found.shape) == ("int16", (100, 100, 100))
