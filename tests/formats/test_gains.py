"""DigitalMicrograph files, made here by the description of the format, and gain references from them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats import convert_gain, gain_name, open_dm
from tomoportal.storage import open_store

KINDS = {"int16": (1, 2), "float32": (2, 6), "uint8": (6, 10), "int32": (7, 3), "uint16": (10, 4), "float64": (12, 7)}


class Writer:
    """Writes tag trees of version 3 or 4."""

    def __init__(self, version: int, order: str) -> None:
        self.word = "Q" if version == 4 else "I"
        self.version, self.order = version, order

    def file(self, tags: dict[str, Any]) -> bytes:
        body = self.directory(tags)
        return struct.pack(f">I{self.word}I", self.version, len(body), self.order == "<") + body + bytes(8)

    def directory(self, tags: dict[str, Any]) -> bytes:
        entries = b"".join(self.entry(name, value) for name, value in tags.items())
        return struct.pack(f">BB{self.word}", 1, 0, len(tags)) + entries

    def entry(self, name: str, value: Any) -> bytes:
        label = b"" if name.startswith("#") else name.encode()
        is_directory = isinstance(value, dict)
        content = self.directory(value) if is_directory else self.value(value)
        size = struct.pack(">Q", len(content)) if self.version == 4 else b""
        return struct.pack(">BH", 20 if is_directory else 21, len(label)) + label + size + content

    def value(self, value: Any) -> bytes:
        if isinstance(value, str):
            data = value.encode("utf-16-le" if self.order == "<" else "utf-16-be")
            return self.info(20, 4, len(value)) + data
        if isinstance(value, float):
            return self.info(6) + struct.pack(f"{self.order}f", value)
        if isinstance(value, int):
            return self.info(5) + struct.pack(f"{self.order}I", value)
        if isinstance(value, tuple):  # a struct of shorts
            fields = [each for _ in value for each in (0, 2)]
            return self.info(15, 0, len(value), *fields) + struct.pack(f"{self.order}{len(value)}h", *value)
        kind = KINDS[value.dtype.name][1]
        return self.info(20, kind, value.size) + value.astype(value.dtype.newbyteorder(self.order)).tobytes()

    def info(self, *words: int) -> bytes:
        return b"%%%%" + struct.pack(f">{1 + len(words)}{self.word}", len(words), *words)


def dm(array: np.ndarray, version: int = 4, order: str = "<") -> bytes:
    def image(data: np.ndarray, kind: int) -> dict[str, Any]:
        sizes = {f"#{axis}": size for axis, size in enumerate(data.shape[::-1])}
        scale = {"Scale": 0.5, "Units": "nm"}
        return {
            "ImageData": {
                "Calibrations": {"Dimension": {"#0": scale, "#1": scale}},
                "Data": data,
                "DataType": kind,
                "Dimensions": sizes,
            }
        }

    thumbnail = np.zeros((64, 64), np.int32)
    images = {"#0": image(thumbnail, 23), "#1": image(array, KINDS[array.dtype.name][0])}
    rectangle = {"Rectangle": (0, 0, 3, 4), "#": {}}
    return Writer(version, order).file({"DocumentObjectList": {"#0": rectangle}, "ImageList": images, "Name": "x"})


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", KINDS)
def test_every_type_of_both_versions(tmp_path: Path, version: int, order: str, dtype: str) -> None:
    array = np.random.default_rng(0).normal(20, 9, (5, 7)).astype(dtype)
    for store in (open_store(tmp_path), open_store("memory://dm")):
        store.put("a.dm4", dm(array, version, order))
        volume = open_dm(store, "a.dm4")
        assert (volume.shape, volume.dtype, volume.voxel_size) == ((1, 5, 7), array.dtype, (5.0, 5.0, 0.0))
        np.testing.assert_array_equal(volume.read(0, 1)[0], array)


@pytest.mark.parametrize(("dtype", "stored"), [("float32", "float32"), ("uint16", "uint16"), ("uint8", "int16")])
def test_a_gain_becomes_mrc_that_looks_the_same_f55(tmp_path: Path, dtype: str, stored: str) -> None:
    array = np.random.default_rng(1).normal(9, 2, (6, 4)).astype(dtype)
    store = open_store(tmp_path)
    store.put("a.dm4", dm(array))
    found = convert_gain(store, "a.dm4", store, "out/a.mrc", timestamp=5)
    again = convert_gain(store, "a.dm4", store, "out/b.mrc", timestamp=5)
    assert found.file.sha256 == again.file.sha256
    assert (found.shape, found.dtype) == ((1, 6, 4), stored)
    with mrcfile.open(tmp_path / "out/a.mrc") as mrc:
        np.testing.assert_array_equal(mrc.data.reshape(6, 4), array[::-1])
        assert mrc.voxel_size.x == pytest.approx(5.0)
        assert mrc.is_image_stack() or mrc.is_single_image()


def test_names() -> None:
    assert gain_name("CountRef_1.dm4") == "CountRef_1.mrc"
    assert gain_name("a.b.DM3") == "a.b.mrc"
    for name in ("x.gain", "x.tiff", "x.tif", "x.mrc", "x.raw"):
        assert gain_name(name) == name


SAMPLE = dm(np.arange(12, dtype=np.float32).reshape(3, 4))
CHANGES = st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), max_size=8)


@given(CHANGES, st.integers(0, len(SAMPLE)))
def test_damaged_files_give_format_errors_only(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(SAMPLE)
    for place, value in changes:
        data[place] = value
    store = open_store("memory://dm-fuzz")
    store.put("a.dm4", bytes(data[: length or None]))
    try:
        volume = open_dm(store, "a.dm4")
        assert volume.read(0, 1).size <= len(SAMPLE)
    except FormatError:
        pass


@pytest.mark.real_data
def test_real_files(real_data: Path, tmp_path: Path) -> None:
    """The same 2 × 2 image in both versions; shapes and types as the manifest says.

    Not compared with the manifest: the pixel size of dm_mono_image.dm4. It says 18.32539939880371 µm, a number that is
    nowhere among the file's bytes (whose digest is the manifest's); what is there, twice, is the one below.
    """
    store = open_store(real_data / "gains")
    three, four = open_dm(store, "dm_2D.dm3"), open_dm(store, "dm_2D_float32.dm4")
    assert (four.shape, four.dtype.name) == (three.shape, three.dtype.name) == ((1, 2, 2), "float32")
    np.testing.assert_array_equal(three.read(0, 1), four.read(0, 1))
    mono = open_dm(store, "dm_mono_image.dm4")
    assert (mono.shape, mono.dtype.name) == ((1, 2, 2), "uint16")
    scale = bytes.fromhex("519a9241")  # little-endian float32
    assert (real_data / "gains/dm_mono_image.dm4").read_bytes().count(scale) == 2
    assert mono.voxel_size[:2] == (struct.unpack("<f", scale)[0] * 1e4,) * 2
    target = open_store(tmp_path)
    convert_gain(store, "dm_2D_float32.dm4", target, "a.mrc")
    with mrcfile.open(tmp_path / "a.mrc") as mrc:
        np.testing.assert_array_equal(mrc.data.reshape(2, 2)[::-1], four.read(0, 1)[0])
