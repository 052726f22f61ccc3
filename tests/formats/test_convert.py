"""The streaming converter against NumPy on the whole array, and against the programs that read what it writes.

Not compared: the compressed bytes of chunks with those of other writers (they may differ; what they decode to may not).
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import struct
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr_models.v04.image import Image
from pydantic_zarr.v2 import ArraySpec, GroupSpec

from tomoportal.errors import FormatError, SettingsError, StorageError
from tomoportal.formats import ArrayVolume, Converted, MrcHeader, Volume, convert_volume, open_mrc
from tomoportal.formats.convert import _workers
from tomoportal.formats.omezarr.chunks import ChunkCodec
from tomoportal.formats.omezarr.writer import PyramidWriter
from tomoportal.storage import Store, Writer, open_store
from tomoportal.storage.sub_store import SubStore

# pydantic 2.14 does not find these two names in the parent class's module by itself.
Image.model_rebuild(_types_namespace={"ArraySpec": ArraySpec, "GroupSpec": GroupSpec})

DTYPES = ("int8", "int16", "uint16", "float32")


class Streamed(ArrayVolume):
    """A volume that must not be read twice."""

    mapped = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.voxels_read = 0

    def read(self, *box: Any, **named: Any) -> np.ndarray[Any, Any]:
        found = super().read(*box, **named)
        self.voxels_read += found.size
        return found


class FailingStore(SubStore):
    """A store whose n-th write fails like a full disk."""

    def __init__(self, parent: Store, writes: int) -> None:
        super().__init__(parent, "out")
        self.left = writes

    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        self.left -= 1
        if self.left < 0:
            raise StorageError("the disk is full", where=key)
        return super().open_writer(key, durable=durable)


def noise(shape: tuple[int, int, int], dtype: str = "float32", seed: int = 0) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(seed)
    if dtype == "float32":
        return generator.standard_normal(shape, np.float32) * 3 + 1
    info = np.iinfo(dtype)
    return generator.integers(info.min, info.max, shape, dtype, endpoint=True)


def convert(array: np.ndarray[Any, Any] | Volume, store: Store, **options: Any) -> Converted:
    volume = ArrayVolume(array, 10.0) if isinstance(array, np.ndarray) else array
    known: dict[str, Any] = {"mrc_key": "v.mrc", "zarr_prefix": "v.zarr", "voxel_spacing": 10.0, "chunk_size": 16}
    return convert_volume(volume, store, **(known | options))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def level(tmp_path: Path, number: int) -> np.ndarray[Any, Any]:
    found = zarr.open_array(str(tmp_path / "v.zarr" / str(number)), mode="r")[...]
    return np.asarray(found)


def read_mrc(path: Path) -> np.ndarray[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(mrcfile.read(path))


def is_valid_mrc(path: Path, capsys: pytest.CaptureFixture[str]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        valid = bool(mrcfile.validate(path))
    print(capsys.readouterr().out)
    return valid


# --- the plain twin


def block_sums(array: np.ndarray[Any, Any], factors: tuple[int, int, int]) -> tuple[Any, Any]:
    """Sum and number of the existing voxels of each block, in float64."""
    padding = [(0, -size % factor) for size, factor in zip(array.shape, factors, strict=True)]

    def summed(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        padded = np.pad(values, padding)
        split = [n for size, factor in zip(padded.shape, factors, strict=True) for n in (size // factor, factor)]
        return padded.reshape(split).sum(axis=(1, 3, 5))

    return summed(array.astype(np.float64)), summed(np.ones(array.shape))


def halved(array: np.ndarray[Any, Any], factors: tuple[int, int, int], kind: str) -> np.ndarray[Any, Any]:
    if kind == "instance_mask":
        return array[::2, ::2, ::2]
    sums, counts = block_sums(array, factors)
    if kind == "semantic_mask":
        return (2 * sums >= counts).astype(np.int8)
    means = sums / counts
    return means.astype(np.float32) if array.dtype.kind == "f" else np.rint(means).astype(array.dtype)


def assert_same_level(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    assert found.dtype == expected.dtype
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(found, expected)


sizes = st.integers(1, 40)


@settings(max_examples=40)
@given(
    st.tuples(sizes, sizes, sizes),
    st.sampled_from([4, 8, 12, 16, 64]),
    st.sampled_from([*DTYPES, "semantic_mask", "instance_mask", "tiltseries"]),
    st.integers(1, 3),
)
def test_levels_equal_those_of_the_plain_twin(shape: tuple[int, int, int], chunk: int, what: str, jobs: int) -> None:
    kind = "tomogram" if what in DTYPES else what
    dtype = {"semantic_mask": "int8", "instance_mask": "uint16", "tiltseries": "float32"}.get(what, what)
    array = noise(shape, dtype)
    if kind == "semantic_mask":
        array = (array > 20).astype(np.int8)
    factors = (1, 2, 2) if kind == "tiltseries" else (2, 2, 2)
    with tempfile.TemporaryDirectory() as folder:
        chunks = (1, chunk, chunk) if kind == "tiltseries" else chunk
        converted = convert(array, open_store(folder), kind=kind, chunk_size=chunks, jobs=jobs)
        expected = array.astype(converted.dtype)
        for number in range(3):
            assert_same_level(level(Path(folder), number), expected)
            assert converted.scales[number] == expected.shape
            expected = halved(expected, factors, kind)
        np.testing.assert_array_equal(read_mrc(Path(folder) / "v.mrc").reshape(shape), array)


@settings(max_examples=30)
@given(st.tuples(sizes, sizes, sizes), st.sampled_from(DTYPES), st.floats(-1e4, 1e4))
def test_statistics_are_those_of_numpy(shape: tuple[int, int, int], dtype: str, offset: float) -> None:
    array = noise(shape, dtype)
    if dtype == "float32":
        array = (array + offset).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        found = convert(array, open_store(folder)).statistics
    exact = array.astype(np.float64)
    assert (found.min, found.max) == (exact.min(), exact.max())
    assert found.mean == pytest.approx(exact.mean(), rel=1e-9, abs=1e-9)
    assert found.rms == pytest.approx(exact.std(), rel=1e-6, abs=1e-6)


def test_a_constant_volume_stays_constant_at_odd_edges(tmp_path: Path, store: Store) -> None:  # F16
    convert(np.ones((5, 7, 9), np.float32), store)
    assert all((level(tmp_path, number) == 1).all() for number in range(3))


def test_whole_numbers_round_half_to_even(tmp_path: Path, store: Store) -> None:
    sums = np.arange(-20, 20)
    array = np.zeros((2, 2, 2 * sums.size), np.int16)
    array[0, 0, ::2] = sums
    convert(array, store)
    np.testing.assert_array_equal(level(tmp_path, 1)[0, 0], np.rint(sums / 8))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["tomogram", "tiltseries"])
def test_other_programs_accept_what_is_written(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str], dtype: str, kind: str
) -> None:
    array = noise((9, 50, 41), dtype)
    converted = convert(array, store, kind=kind, voxel_spacing=13.48, timestamp=1_700_000_000)
    assert is_valid_mrc(tmp_path / "v.mrc", capsys)
    np.testing.assert_array_equal(read_mrc(tmp_path / "v.mrc"), array)
    image = Image.from_zarr(zarr.open_group(str(tmp_path / "v.zarr"), mode="r"))
    scales = [dataset.coordinateTransformations[0].scale for dataset in image.attributes.multiscales[0].datasets]
    z = [13.48] * 3 if kind == "tiltseries" else [13.48, 26.96, 53.92]
    assert scales == [[z[0], 13.48, 13.48], [z[1], 26.96, 26.96], [z[2], 53.92, 53.92]]
    assert converted.dtype == dtype


def test_lower_levels_carry_their_translation(tmp_path: Path, store: Store) -> None:  # F17
    def translations() -> list[Any]:
        group = zarr.open_group(str(tmp_path / "v.zarr"), mode="r")
        datasets: Any = group.attrs.asdict()["multiscales"][0]["datasets"]  # type: ignore[index, call-overload]
        return [each["translation"] for dataset in datasets for each in dataset["coordinateTransformations"][1:]]

    array = noise((8, 8, 8), "int16")
    convert(array, store, voxel_spacing=6.74)
    assert translations() == [[3.37] * 3, [10.11] * 3]
    convert(array, store, kind="tiltseries")
    assert translations() == [[0.0, 5.0, 5.0], [0.0, 15.0, 15.0]]
    convert(np.abs(array), store, kind="instance_mask")
    assert translations() == []


@pytest.mark.parametrize("kind", ["tomogram", "tiltseries"])
def test_mrc_headers_of_volumes_and_stacks(tmp_path: Path, store: Store, kind: str) -> None:  # F21
    convert(noise((4, 12, 20)), store, kind=kind, voxel_spacing=3.3702, timestamp=0)
    header = open_mrc(tmp_path / "v.mrc").header
    assert (header.ispg, header.mz) == ((0, 1) if kind == "tiltseries" else (1, 4))
    assert header.cella == pytest.approx((3.3702 * 20, 3.3702 * 12, 3.3702 * header.mz))
    assert header.labels == ("Written by tomoportal, 1970-01-01 00:00:00 UTC",)
    assert (header.exttyp, header.nversion, header.nsymbt) == (b"MRCO", 20141, 0)


# --- the same bytes every time


def digests(converted: Converted) -> dict[str, str]:
    return {record.key: record.sha256 for record in converted.files}


@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_do_not_depend_on_jobs_order_or_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    array = noise((40, 70, 50), dtype)
    expected = convert(array, open_store(tmp_path / "a", create=True))
    for jobs in (2, 5):
        assert convert(array, open_store(tmp_path / f"{jobs}", create=True), jobs=jobs) == expected
    streamed = Streamed(array, 10.0)
    assert convert(streamed, open_store("memory://"), jobs=2) == expected
    plain = PyramidWriter.tasks

    def shuffled(self: PyramidWriter) -> Iterator[Any]:
        tasks = list(plain(self))
        return iter([tasks[place] for place in np.random.default_rng(1).permutation(len(tasks))])

    monkeypatch.setattr(PyramidWriter, "tasks", shuffled)
    assert convert(array, open_store(tmp_path / "shuffled", create=True), jobs=3) == expected


def test_records_are_those_of_the_files(tmp_path: Path, store: Store) -> None:
    converted = convert(noise((20, 40, 50), "int8"), store)
    found = {stat.key: hashlib.sha256(store.get(stat.key)).hexdigest() for stat in store.list()}
    assert digests(converted) == found
    assert list(converted.files) == sorted(converted.files)
    assert all(record.size == store.stat(record.key).size for record in converted.files)


def test_chunks_are_never_compressed_in_the_main_thread(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    seen = set()
    plain = ChunkCodec.encode

    def encode(self: ChunkCodec, chunk: np.ndarray[Any, Any]) -> bytes:
        seen.add(threading.current_thread() is threading.main_thread())
        return plain(self, chunk)

    monkeypatch.setattr(ChunkCodec, "encode", encode)
    convert(noise((20, 20, 20)), store, jobs=1)
    assert seen == {False}


def test_a_volume_that_is_not_mapped_is_read_once(store: Store) -> None:
    volume = Streamed(noise((30, 40, 50)), 10.0)
    convert(volume, store, jobs=2)
    assert volume.voxels_read == 30 * 40 * 50


# --- types


@pytest.mark.parametrize(
    ("source", "stored"),
    [("uint8", "int16"), ("float16", "float32"), ("int32", "float32"), ("uint32", "float32"), ("float64", "float32")],
)
def test_types_that_mrc_lacks_are_widened(tmp_path: Path, store: Store, source: str, stored: str) -> None:
    array = np.arange(3 * 4 * 5).reshape(3, 4, 5).astype(source)
    converted = convert(array, store)
    assert converted.dtype == stored
    np.testing.assert_array_equal(level(tmp_path, 0), array)
    np.testing.assert_array_equal(read_mrc(tmp_path / "v.mrc"), array)


@pytest.mark.parametrize("source", ["int64", "uint64", "complex64"])
def test_types_that_would_lose_values_are_refused(store: Store, source: str) -> None:
    with pytest.raises(FormatError, match=source):
        convert(np.zeros((3, 4, 5), source), store)
    assert list(store.list()) == []


def test_whole_numbers_become_float32_on_request(tmp_path: Path, store: Store) -> None:
    array = noise((5, 6, 7), "int16")
    assert convert(array, store, dtype="float32").dtype == "float32"
    np.testing.assert_array_equal(read_mrc(tmp_path / "v.mrc"), array.astype(np.float32))
    with pytest.raises(FormatError, match="int8"):
        convert(array, store, dtype="int8")


def test_integers_that_float32_rounds_are_noted(store: Store) -> None:
    array = np.full((2, 2, 2), 2**24 + 1, np.int32)
    assert any("rounded" in note for note in convert(array, store).notes)


# --- values that are no numbers


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("volume_type", [ArrayVolume, Streamed])
def test_voxels_that_are_no_numbers_are_refused_or_replaced(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str], bad: float, volume_type: type[ArrayVolume]
) -> None:
    array = noise((6, 20, 30))
    array[2, 3, 4] = array[5, 19, 29] = bad
    with pytest.raises(FormatError, match=r"2 of 3600 voxels .* z, y, x = 2, 3, 4") as caught:
        convert(volume_type(array, 10.0, name="run1.mrc"), store)
    assert caught.value.where == "run1.mrc"
    assert list(store.list()) == []
    converted = convert(volume_type(array, 10.0), store, nan="zero")
    expected = np.where(np.isfinite(array), array, 0)
    np.testing.assert_array_equal(level(tmp_path, 0), expected)
    assert is_valid_mrc(tmp_path / "v.mrc", capsys)
    assert any("2 voxels" in note for note in converted.notes)
    assert converted.statistics.max == expected.max()


def test_what_overflows_float32_counts_as_infinite(store: Store) -> None:
    with pytest.raises(FormatError, match="1 of 8 voxels"):
        convert(np.array([1e300, *range(7)]).reshape(2, 2, 2), store)


# --- spacing and chunks


def test_voxels_that_are_no_cubes_are_refused_unless_allowed(store: Store) -> None:  # F20
    volume = ArrayVolume(noise((4, 4, 4)), (10.0, 10.0, 12.0), name="flat.mrc")
    with pytest.raises(FormatError, match=r"flat\.mrc.*not cubes"):
        convert(volume, store)
    assert convert(volume, store, allow_anisotropic=True).files
    assert convert(volume, store, kind="tiltseries").files


def test_a_header_that_differs_from_the_spacing_is_noted(store: Store) -> None:
    array = noise((4, 4, 4))
    assert convert(ArrayVolume(array, 10.0004), store).notes == ()
    assert convert(ArrayVolume(array), store).notes == ()
    assert convert(ArrayVolume(array, 20.0), store).notes == ("the header says 20 Å per voxel; stored as 10.000 Å",)


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), float("inf")])
def test_a_spacing_that_is_no_length_is_refused(store: Store, spacing: float) -> None:
    with pytest.raises(SettingsError, match="spacing"):
        convert(noise((4, 4, 4)), store, voxel_spacing=spacing)


@pytest.mark.parametrize("chunk_size", [0, -4, 2, 30, (16, 16, 2)])
def test_chunks_that_cannot_be_halved_twice_are_refused(store: Store, chunk_size: Any) -> None:
    with pytest.raises(SettingsError, match="chunks"):
        convert(noise((4, 4, 4)), store, chunk_size=chunk_size)


def test_the_number_of_threads_is_bounded_by_memory() -> None:
    assert _workers(64, 128**3 * 4) == 6
    assert _workers(2, 128**3 * 4) == 2
    assert _workers(8, 512**3 * 4) == 1
    assert _workers(0, 1) == 1


def test_chunks_of_nothing_but_zeros_are_not_stored(tmp_path: Path, store: Store) -> None:
    array = np.zeros((40, 40, 40), np.int16)
    array[35, 35, 35] = 9
    convert(array, store)
    assert [stat.key for stat in store.list("v.zarr/0")] == ["v.zarr/0/.zarray", "v.zarr/0/2/2/2"]
    np.testing.assert_array_equal(level(tmp_path, 0), array)


def test_contrast_is_that_of_the_coarsest_level(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    array = noise((70, 90, 110))
    expected = convert(array, store).contrast
    coarse = level(tmp_path, 2)
    np.testing.assert_allclose(expected, np.percentile(coarse.astype(float), [1, 99]))
    monkeypatch.setattr("tomoportal.formats.omezarr.writer._CONTRAST_SAMPLES", 1000)
    step = next(step for step in itertools.count(1) if coarse[::step, ::step, ::step].size <= 1000)
    sampled = np.percentile(coarse[::step, ::step, ::step].astype(float), [1, 99])
    np.testing.assert_allclose(convert(array, store, jobs=2).contrast, sampled)


# --- masks


def test_masks_do_not_grow(tmp_path: Path, store: Store) -> None:  # F19
    mask = np.zeros((16, 16, 16), np.int8)
    mask[:8] = 1
    mask[8] = 1
    converted = convert(mask, store, kind="semantic_mask")
    assert [int(level(tmp_path, number).sum()) * 8**number for number in range(3)] == [9 * 256, 10 * 256, 12 * 256]
    assert (converted.count, converted.dtype) == (9 * 256, "int8")
    assert open_mrc(tmp_path / "v.mrc").header.mode == 0


@pytest.mark.parametrize("volume_type", [ArrayVolume, Streamed])
def test_an_empty_mask_can_be_skipped_in_the_same_read(store: Store, volume_type: type[ArrayVolume]) -> None:  # F61
    empty = np.zeros((8, 8, 8), np.int8)
    converted = convert(volume_type(empty), store, kind="semantic_mask", skip_empty=True)
    assert (converted.files, converted.count) == ((), 0)
    assert list(store.list()) == []
    assert convert(volume_type(empty), store, kind="semantic_mask").files


def test_a_mask_holds_zeros_and_ones(store: Store) -> None:
    with pytest.raises(FormatError, match="0 and 1 only"):
        convert(np.full((4, 4, 4), 2, np.int8), store, kind="semantic_mask")
    with pytest.raises(FormatError, match="float32"):
        convert(np.ones((4, 4, 4), np.float32), store, kind="semantic_mask")


@pytest.mark.parametrize(
    ("largest", "stored", "mode"), [(200, "uint8", 6), (60_000, "uint16", 6), (70_000, "uint32", None)]
)
@pytest.mark.parametrize("source", ["int32", "float32"])
def test_instance_labels_survive(
    tmp_path: Path, store: Store, source: str, largest: int, stored: str, mode: int | None
) -> None:  # F18
    array = np.zeros((9, 9, 9), source)
    array[1, 2, 3], array[4:6], array[8, 8, 8] = 7, 100, largest
    converted = convert(array, store, kind="instance_mask")
    assert (converted.dtype, converted.labels, converted.count) == (stored, (7, 100, largest), 3)
    np.testing.assert_array_equal(level(tmp_path, 0), array)
    np.testing.assert_array_equal(level(tmp_path, 1), array[::2, ::2, ::2])
    if mode is None:
        assert not store.exists("v.mrc")
        assert any("70000" in note for note in converted.notes)
    else:
        assert open_mrc(tmp_path / "v.mrc").header.mode == mode
        np.testing.assert_array_equal(read_mrc(tmp_path / "v.mrc"), array)
    attributes: Any = zarr.open_group(str(tmp_path / "v.zarr"), mode="r").attrs.asdict()
    colors = attributes["multiscales"][0]["metadata"]["image-label"]["colors"]
    assert [color["label-value"] for color in colors] == [7, 100, largest]


@pytest.mark.parametrize("bad", [-1, 2.5, 2**25])
def test_labels_are_whole_numbers_from_0(store: Store, bad: float) -> None:
    array = np.zeros((4, 4, 4), np.float32)
    array[0, 0, 0] = bad
    with pytest.raises(FormatError, match="label"):
        convert(array, store, kind="instance_mask")


# --- what an MRC source says besides its voxels


def mrc_source(folder: Path, array: np.ndarray[Any, Any], mode: int, extended: bytes = b"", **fields: Any) -> Path:
    nz, ny, nx = array.shape
    known: dict[str, Any] = {"mx": nx, "my": ny, "mz": nz, "cella": (nx * 10.0, ny * 10.0, nz * 10.0)}
    header = MrcHeader(nx, ny, nz, mode, nsymbt=len(extended), **(known | fields))
    path = folder / "source.mrc"
    path.write_bytes(header.pack() + extended + array.astype(array.dtype.newbyteorder(header.byte_order)).tobytes())
    return path


def test_extra_bytes_and_extended_header_are_kept(tmp_path: Path, store: Store) -> None:
    array = noise((4, 5, 6), "int16")
    fields = {"exttyp": b"SERI", "extra1": b"12345678", "extra2": bytes(range(84))}
    source = open_mrc(mrc_source(tmp_path, array, 1, extended=b"angles" * 8, **fields))
    convert(source, store)
    written = open_mrc(tmp_path / "v.mrc")
    assert written.extended_header() == b"angles" * 8
    assert {name: getattr(written.header, name) for name in fields} == fields
    np.testing.assert_array_equal(written.read(0, 4), array)


def test_an_empty_extended_header_is_left_out(tmp_path: Path, store: Store) -> None:
    source = open_mrc(mrc_source(tmp_path, noise((4, 5, 6)), 2, extended=bytes(64), exttyp=b"SERI"))
    convert(source, store)
    header = open_mrc(tmp_path / "v.mrc").header
    assert (header.nsymbt, header.exttyp) == (0, b"MRCO")


def test_a_foreign_byte_order_is_turned(tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    array = noise((4, 5, 6))
    path = mrc_source(tmp_path, array, 2, extended=b"1234", byte_order=">", machst=b"\x11\x11\0\0")
    converted = convert(open_mrc(path), store)
    assert any("byte order" in note for note in converted.notes)
    np.testing.assert_array_equal(read_mrc(tmp_path / "v.mrc"), array)
    np.testing.assert_array_equal(level(tmp_path, 0), array)
    assert is_valid_mrc(tmp_path / "v.mrc", capsys)


def test_unsigned_bytes_become_signed_and_say_so(tmp_path: Path, store: Store) -> None:
    raw = np.arange(120, dtype=np.uint8).reshape(4, 5, 6) + 100
    imod = bytes(40) + b"IMOD" + struct.pack("<i", 12) + bytes(36)
    source = open_mrc(mrc_source(tmp_path, raw, 0, dmin=100.0, dmax=219.0, extra2=imod))
    assert "unsigned bytes are stored as value − 128" in convert(source, store).notes
    written = open_mrc(tmp_path / "v.mrc")
    np.testing.assert_array_equal(written.read(0, 4), raw.astype(int) - 128)
    assert written.header.imod_flags == 13
    assert written.value_offset == 0
    assert (written.header.dmin, written.header.dmax) == (-28, 91)


def test_bytes_below_the_stated_minimum_are_suspicious(tmp_path: Path, store: Store) -> None:
    raw = np.array([0, 5, 100, 200, 255, 1, 2, 3], np.uint8).reshape(2, 2, 2)
    converted = convert(open_mrc(mrc_source(tmp_path, raw, 0, dmin=0.0, dmax=100.0)), store)
    assert any("unsigned" in note for note in converted.notes)
    assert convert(open_mrc(mrc_source(tmp_path, raw, 0, dmin=-56.0, dmax=100.0)), store).notes == ()


# --- errors and progress


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("writes", [0, 1, 3, 9, 12])
def test_a_failing_write_ends_the_conversion_and_leaves_no_readable_group(
    tmp_path: Path, store: Store, jobs: int, writes: int
) -> None:
    array = noise((20, 20, 40))
    total = len(convert(array, open_store(tmp_path / "whole", create=True)).files)
    assert writes < total
    with pytest.raises(StorageError, match="disk is full"):
        convert(array, FailingStore(store, writes), jobs=jobs)
    assert not store.exists("out/v.zarr/.zgroup")
    assert not list(tmp_path.rglob(".tomoportal-tmp-*"))


def test_a_full_disk_for_temporary_files_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StorageError, match="no room for 256 bytes") as caught:
        convert(Streamed(noise((4, 4, 4))), store)
    assert "TMPDIR" in str(caught.value.fix)
    assert list(store.list()) == []


def test_progress_counts_voxels(store: Store) -> None:
    seen: list[tuple[int, int]] = []
    convert(noise((20, 30, 40)), store, jobs=3, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (20 * 30 * 40, 20 * 30 * 40)


@pytest.mark.real_data
def test_real_tomograms_and_stacks_convert(
    real_data: Path, tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, kind in {
        "tomogram/krios_k2_100cube_int16_imod.mrc": "tomogram",
        "tomogram/derived_mt_96cube_float32.mrc": "tomogram",
        "tomogram/tf30_microtubules_32x64x78.rec": "tomogram",
        "tilt_series/cryocat_tilt_stack_4tilts.mrc": "tiltseries",
        "tilt_series/derived_SERI_extended_header.st": "tiltseries",
        "tilt_series/derived_mode6_uint16_stack.ali": "tiltseries",
        "segmentation/presynapse_connectors_int16.mrc": "instance_mask",
        "segmentation/presynapse_vesicle_labels_155x155x60.mrc": "instance_mask",
    }.items():
        volume = open_mrc(real_data / "mrc" / name)
        convert(volume, store, kind=kind, chunk_size=64)
        expected = volume.read(0, volume.shape[0])
        np.testing.assert_array_equal(level(tmp_path, 0), expected)
        np.testing.assert_array_equal(read_mrc(tmp_path / "v.mrc"), expected)
        assert is_valid_mrc(tmp_path / "v.mrc", capsys), name
        store.delete_tree("v.zarr")
        volume.close()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_volume(tmp_path: Path) -> None:
    """F59. A sparse file of 1.6 GB, so that the disk does not matter; what is measured is anonymous memory."""
    import subprocess
    import sys

    shape = (400, 1000, 1000)
    header = MrcHeader(shape[2], shape[1], shape[0], 2, dmin=0.0, dmax=0.0)
    path = tmp_path / "large.mrc"
    with path.open("wb") as file:
        file.write(header.pack())
        file.truncate(1024 + 4 * shape[0] * shape[1] * shape[2])
    script = f"""
import threading, time
from tomoportal.formats import convert_volume, open_mrc
from tomoportal.storage import open_store
def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) / 1024
store = open_store({str(tmp_path / "out")!r}, create=True)
before, peak, ended = anonymous(), [0.0], threading.Event()
def watch():
    while not ended.wait(0.005):
        peak[0] = max(peak[0], anonymous())
thread = threading.Thread(target=watch)
thread.start()
volume = open_mrc({str(path)!r})
convert_volume(volume, store, mrc_key="v.mrc", zarr_prefix="v.zarr", voxel_spacing=10.0, jobs=8)
ended.set()
thread.join()
print(peak[0] - before)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert float(done.stdout) < 300
