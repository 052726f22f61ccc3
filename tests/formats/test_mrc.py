"""MRC headers and volumes: what is read, what is noted, what is refused."""

from __future__ import annotations

import bz2
import gzip
import struct
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError, NotFoundError
from tomoportal.formats import MrcHeader, header_spacing, open_mrc
from tomoportal.formats.mrc import HEADER_SIZE
from tomoportal.storage import open_store
from tomoportal.storage.sub_store import SubStore

DTYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}


class RemoteStore(SubStore):
    """A store that cannot be memory-mapped."""

    def local_path(self, key: str) -> None:
        return None


def remote(folder: Path) -> RemoteStore:
    return RemoteStore(open_store(folder.parent), folder.name)


def header_for(array: np.ndarray[Any, Any], mode: int, **fields: Any) -> MrcHeader:
    nz, ny, nx = array.shape
    known: dict[str, Any] = {"mx": nx, "my": ny, "mz": nz, "dmin": -1.0, "dmax": 1.0}
    known["cella"] = (nx * 10.0, ny * 10.0, nz * 10.0)
    return MrcHeader(nx, ny, nz, mode, **(known | fields))


def write(path: Path, array: np.ndarray[Any, Any], mode: int, extended: bytes = b"", **fields: Any) -> Path:
    header = header_for(array, mode, **({"nsymbt": len(extended)} | fields))
    data = array.astype(header.byte_order + DTYPES[mode])
    path.write_bytes(header.pack() + extended + data.tobytes())
    return path


def some_voxels(mode: int, shape: tuple[int, int, int] = (4, 5, 6)) -> np.ndarray[Any, Any]:
    values = np.random.default_rng(mode).integers(0, 100, shape)
    return values.astype(DTYPES[mode])


finite = st.floats(width=32, allow_nan=False)
triples = st.tuples(finite, finite, finite)
int32 = st.integers(-(2**31), 2**31 - 1)


@st.composite
def headers(draw: st.DrawFn) -> MrcHeader:
    order = draw(st.sampled_from("<>"))
    size = st.integers(1, 2**31 - 1)
    return MrcHeader(
        draw(size),
        draw(size),
        draw(size),
        draw(st.sampled_from(sorted(DTYPES))),
        *(draw(int32) for _ in range(6)),
        cella=draw(triples),
        cellb=draw(triples),
        dmin=draw(finite),
        dmax=draw(finite),
        dmean=draw(finite),
        ispg=draw(int32),
        nsymbt=draw(st.integers(0, 2**31 - 1)),
        extra1=draw(st.binary(min_size=8, max_size=8)),
        exttyp=draw(st.binary(min_size=4, max_size=4)),
        nversion=draw(int32),
        extra2=draw(st.binary(min_size=84, max_size=84)),
        origin=draw(triples),
        map=draw(st.binary(min_size=4, max_size=4)),
        machst=b"DD\0\0" if order == "<" else b"\x11\x11\0\0",
        rms=draw(finite),
        nlabl=draw(int32),
        label_bytes=draw(st.binary(min_size=800, max_size=800)),
        byte_order=order,  # type: ignore[arg-type]
    )


@given(headers())
def test_parse_undoes_pack(header: MrcHeader) -> None:
    packed = header.pack()
    assert len(packed) == HEADER_SIZE
    assert MrcHeader.parse(packed) == header
    assert MrcHeader.parse(packed).pack() == packed


@given(st.binary(max_size=2 * HEADER_SIZE), st.integers(0, 2**62))
def test_any_bytes_are_a_header_or_a_format_error(data: bytes, size: int) -> None:
    try:
        header = MrcHeader.parse(data, "x.mrc", size)
    except FormatError as error:
        complete = str(error.where).startswith("x.mrc") and bool(error.fix)
    else:
        complete = header.data_offset + header.data_size <= size
    assert complete


@given(headers(), st.dictionaries(st.integers(0, 255), st.integers(0, 2**32 - 1), max_size=8), st.integers(1024, 2**40))
def test_a_corrupted_header_never_promises_more_than_the_file_holds(
    header: MrcHeader, damage: dict[int, int], size: int
) -> None:
    words = list(struct.unpack("<256I", header.pack()))
    for position, value in damage.items():
        words[position] = value
    try:
        parsed = MrcHeader.parse(struct.pack("<256I", *words), "x.mrc", size)
    except FormatError:
        return
    assert parsed.data_offset + parsed.data_size <= size
    assert isinstance(parsed.labels, tuple)
    assert len(parsed.voxel_size) == 3


@pytest.mark.parametrize("mode", sorted(DTYPES))
@pytest.mark.parametrize("order", ["<", ">"])
def test_voxels_are_those_that_were_written(tmp_path: Path, mode: int, order: str) -> None:
    array = some_voxels(mode)
    stamp = b"DD\0\0" if order == "<" else b"\x11\x11\0\0"
    path = write(tmp_path / "a.mrc", array, mode, byte_order=order, machst=stamp)
    volume = open_mrc(path)
    assert volume.dtype == (np.float32 if mode == 12 else np.dtype(DTYPES[mode]))
    assert volume.dtype.isnative
    assert volume.notes == ()
    np.testing.assert_array_equal(volume.read(0, 4), array)
    np.testing.assert_array_equal(volume.read(1, 3, 2, 4, 1, 5), array[1:3, 2:4, 1:5])
    volume.close()


@pytest.mark.parametrize("mode", sorted(DTYPES))
def test_a_store_that_is_not_local_is_read_by_ranges(tmp_path: Path, mode: int) -> None:
    array = some_voxels(mode)
    write(tmp_path / "a.mrc", array, mode, extended=b"x" * 24)
    volume = open_mrc(remote(tmp_path), "a.mrc")
    assert not volume.mapped
    assert volume.extended_header() == b"x" * 24
    np.testing.assert_array_equal(volume.read(0, 4), array)
    np.testing.assert_array_equal(volume.read(1, 3), array[1:3])
    np.testing.assert_array_equal(volume.read(1, 3, 2, 4, 1, 5), array[1:3, 2:4, 1:5])


@pytest.mark.parametrize("mode", sorted(DTYPES))
def test_a_wrong_machine_stamp_is_noticed(tmp_path: Path, mode: int) -> None:
    array = some_voxels(mode)
    path = write(tmp_path / "a.mrc", array, mode, byte_order=">", machst=b"DA\0\0")
    volume = open_mrc(path)
    np.testing.assert_array_equal(volume.read(0, 4), array)
    assert volume.notes == ("wrong machine stamp; the file is big-endian",)


def test_a_missing_machine_stamp_is_guessed(tmp_path: Path) -> None:
    array = some_voxels(2)
    for order in "<>":
        volume = open_mrc(write(tmp_path / "a.mrc", array, 2, byte_order=order, machst=bytes(4)))
        np.testing.assert_array_equal(volume.read(0, 4), array)
        assert "no valid machine stamp" in volume.notes[0]


def imod_extra(flags: int) -> bytes:
    return bytes(40) + b"IMOD" + struct.pack("<i", flags) + bytes(36)


@pytest.mark.parametrize(
    ("fields", "unsigned"),
    [
        ({"dmin": 0.0, "dmax": 255.0}, True),
        ({"dmin": -128.0, "dmax": 127.0}, False),
        ({"dmin": 0.0, "dmax": 255.0, "extra2": imod_extra(1)}, False),
        ({"dmin": 0.0, "dmax": -1.0, "extra2": imod_extra(0)}, True),
        ({"dmin": 0.0, "dmax": -1.0}, False),
    ],
)
def test_mode_0_is_signed_or_unsigned_by_what_the_header_says(
    tmp_path: Path, fields: dict[str, Any], unsigned: bool
) -> None:
    raw = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    volume = open_mrc(write(tmp_path / "a.mrc", raw.view(np.int8), 0, **fields))
    found = volume.read(0, 4)
    assert found.dtype == np.int8
    true = raw.astype(int) if unsigned else raw.view(np.int8).astype(int)
    np.testing.assert_array_equal(found.astype(int) + volume.value_offset, true)
    assert volume.value_offset == (128 if unsigned else 0)
    assert any("unsigned" in note for note in volume.notes) is unsigned


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"nx": 0}, "nx"),
        ({"ny": -5}, "ny"),
        ({"nz": 120}, "nz"),
        ({"nx": 2**20, "ny": 2**20, "nz": 2**20}, "nx, ny, nz"),
        ({"mode": 3}, "mode"),
        ({"mode": 4}, "mode"),
        ({"mode": 101}, "mode"),
        ({"mode": 77}, "mode"),
        ({"nsymbt": -1}, "nsymbt"),
        ({"nsymbt": 2**30}, "nsymbt"),
        ({"nsymbt": 8}, "nsymbt"),
        ({"mapc": 3, "maps": 1}, "mapc"),
    ],
)
def test_a_lying_header_is_refused(tmp_path: Path, fields: dict[str, Any], field: str) -> None:
    path = tmp_path / "lying.mrc"
    array = some_voxels(2)
    path.write_bytes(replace(header_for(array, 2), **fields).pack() + array.tobytes())
    with pytest.raises(FormatError) as caught:
        open_mrc(path)
    assert "lying.mrc" in str(caught.value.where)
    assert field in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("kept", [0, 10, 1023, 1024, 1025, 1024 + 4 * 5 * 6 * 4 - 1])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path / "short.mrc", some_voxels(2), 2)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(FormatError, match=str(kept)):
        open_mrc(path)


def test_compressed_files_are_named_as_such(tmp_path: Path) -> None:
    # Noise in the labels, or the compressed file would be shorter than a header.
    noise = np.random.default_rng(0).bytes(800)
    data = write(tmp_path / "a.mrc", some_voxels(2, (9, 9, 9)), 2, label_bytes=noise).read_bytes()
    for program, packed in {"gzip": gzip.compress(data), "bzip2": bz2.compress(data)}.items():
        path = tmp_path / f"a.{program}"
        path.write_bytes(packed)
        with pytest.raises(FormatError, match=program):
            open_mrc(path)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        open_mrc(tmp_path / "none.mrc")


def test_harmless_oddities_are_noted(tmp_path: Path) -> None:
    array = some_voxels(2)
    path = write(
        tmp_path / "a.mrc", array, 2, nlabl=99, cella=(-60.0, -50.0, -40.0), mapc=0, mapr=0, maps=0, map=b"xxxx"
    )
    path.write_bytes(path.read_bytes() + b"trailing")
    volume = open_mrc(path)
    text = "\n".join(volume.notes)
    for word in ("nlabl", "negative cell", "mapc", "MRC2000", "8 bytes after the data"):
        assert word in text
    assert volume.voxel_size == (10.0, 10.0, 10.0)


def test_the_voxel_spacing_of_a_header(tmp_path: Path) -> None:
    array = some_voxels(2)
    assert header_spacing(open_mrc(write(tmp_path / "a.mrc", array, 2))) == 10.0
    flat = open_mrc(write(tmp_path / "b.mrc", array, 2, mz=1, cella=(60.0, 50.0, 3.0)))
    assert header_spacing(flat, in_plane=True) == 10.0
    for cella in [(60.0, 50.0, 41.0), (0.0, 0.0, 0.0), (float("nan"), 50.0, 40.0), (float("inf"), 50.0, 40.0)]:
        volume = open_mrc(write(tmp_path / "c.mrc", array, 2, cella=cella))
        with pytest.raises(FormatError, match=r"c\.mrc: voxel size \(in MRC files cella"):
            header_spacing(volume)
    nearly = open_mrc(write(tmp_path / "d.mrc", array, 2, cella=(60.0, 50.0, 40.02)))
    assert header_spacing(nearly) == 10.0


def test_labels_are_text(tmp_path: Path) -> None:
    labels = b"first".ljust(80) + b"second".ljust(80, b"\0") + bytes(640)
    header = open_mrc(write(tmp_path / "a.mrc", some_voxels(2), 2, nlabl=2, label_bytes=labels)).header
    assert header.labels == ("first", "second")


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    target = write(tmp_path / "a.mrc", some_voxels(2), 2)
    link = tmp_path / "here" / "link.mrc"
    link.symlink_to(target)
    assert open_mrc(link).shape == (4, 5, 6)


REFUSED = {
    "EMD-3197.map.bz2",
    "emd_3197.map.gz",
    "derived_truncated_60pct.mrc",
    "derived_wrong_nz_120.mrc",
    "header_only_no_data.mrc",
}


@pytest.mark.real_data
def test_real_files_are_read_like_mrcfile_reads_them(real_data: Path) -> None:
    paths = sorted(path for path in (real_data / "mrc").rglob("*") if path.is_file())
    assert paths
    for path in paths:
        if path.name in REFUSED:
            with pytest.raises(FormatError) as caught:
                open_mrc(path)
            assert caught.value.fix
            continue
        volume = open_mrc(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with mrcfile.open(path, permissive=True) as other:
                expected = other.data.reshape(volume.shape).copy()
        if volume.value_offset:
            expected = expected.view(np.uint8).astype(int) - 128
        np.testing.assert_array_equal(volume.read(0, volume.shape[0]), expected, err_msg=str(path))
        assert volume.header.pack() == path.read_bytes()[:HEADER_SIZE]
        volume.close()
