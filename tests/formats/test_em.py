"""EM volumes, written here by the definition of the format."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats import EmHeader, open_em, open_volume
from tomoportal.storage import open_store


def em(array: np.ndarray, machine: int = 6, pixel: int = 0, order: str | None = None) -> bytes:
    order = order or ("<" if machine == 6 else ">")
    kind = {"int8": 1, "int16": 2, "int32": 4, "float32": 5, "float64": 9}[array.dtype.name]
    numbers = [0] * 40
    numbers[6] = pixel
    z, y, x = array.shape
    head = bytes([machine, 0, 0, kind]) + struct.pack(order + "3i", x, y, z) + b"a comment".ljust(80, b"\0")
    head += struct.pack(order + "40i", *numbers) + bytes(256)
    return head + array.astype(array.dtype.newbyteorder(order)).tobytes()


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("machine", [6, 5, 3, 0])
def test_round_trips_from_memory_and_disk(tmp_path: Path, dtype: str, machine: int) -> None:
    array = np.random.default_rng(0).normal(0, 30, (3, 4, 5)).astype(dtype)
    for store in (open_store("memory://em"), open_store(tmp_path)):
        store.put("a.em", em(array, machine, pixel=1348))
        volume = open_volume(store, "a.em")
        assert (volume.shape, volume.dtype) == (array.shape, array.dtype)
        assert volume.voxel_size == pytest.approx((13.48,) * 3)
        np.testing.assert_array_equal(volume.read(0, 3), array)
        np.testing.assert_array_equal(volume.read(1, 3, 1, 3, 2, 4), array[1:3, 1:3, 2:4])


def test_a_wrong_machine_code_is_noticed_by_the_size() -> None:
    store = open_store("memory://em")
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    store.put("a.em", em(array, 5, order="<"))
    volume = open_em(store, "a.em")
    np.testing.assert_array_equal(volume.read(0, 2), array)
    assert "wrong machine code" in volume.notes[0]


@pytest.mark.parametrize(
    ("place", "value", "message"), [(0, 1, "machine code"), (3, 8, "data type"), (10, 0x7F, "promises")]
)
def test_headers_that_cannot_be_right(place: int, value: int, message: str) -> None:
    data = bytearray(em(np.zeros((2, 2, 2), np.float32)))
    data[place] = value
    store = open_store("memory://em")
    store.put("a.em", bytes(data))
    with pytest.raises(FormatError, match=message):
        open_em(store, "a.em")


@given(st.binary(max_size=700))
def test_anything_else_gives_a_format_error(data: bytes) -> None:
    try:
        header = EmHeader.parse(data, "x.em", len(data))
    except FormatError:
        return
    assert min(header.shape) > 0


@pytest.mark.real_data
def test_real_volumes(real_data: Path) -> None:
    store = open_store(real_data / "annotations/em")
    ribosome = open_volume(store, "ribosome_bin4_48cube.em")
    assert (ribosome.shape, ribosome.dtype.name) == ((48, 48, 48), "float32")
    voxels = ribosome.read(0, 48)
    assert np.isfinite(voxels).all()
    np.testing.assert_array_equal(
        voxels, np.fromfile(real_data / "annotations/em/ribosome_bin4_48cube.em", "<f4", offset=512).reshape(48, 48, 48)
    )
    assert open_volume(store, "int2.em").shape == (1, 64, 64)
    assert open_volume(store, "motl_ribosome.em").shape == (1, 1023, 20)
