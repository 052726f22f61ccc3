"""TIFF stacks against tifffile and Pillow."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tomoportal.errors import FormatError
from tomoportal.formats import open_volume
from tomoportal.formats.spool import spooled
from tomoportal.formats.tiff import open_tiff
from tomoportal.storage import open_store

RNG = np.random.default_rng(3)


def opened(path: Path) -> Any:
    return open_tiff(open_store(path.parent), path.name)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "f2", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rowsperstrip": 7},
        {"tile": (16, 32)},
        {"compression": "zlib", "rowsperstrip": 5},
        {"compression": "zlib", "tile": (16, 16), "bigtiff": True},
    ],
)
def test_every_type_and_arrangement(tmp_path: Path, dtype: str, order: str, options: dict[str, Any]) -> None:
    array = (RNG.normal(0, 30, (3, 37, 50))).astype(dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, byteorder=order, photometric="minisblack", **options)
    volume = opened(path)
    assert (volume.shape, volume.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(volume.read(0, 3), array)
    np.testing.assert_array_equal(volume.read(1, 3, 6, 21, 15, 40), array[1:3, 6:21, 15:40])
    copy = spooled(volume)
    np.testing.assert_array_equal(copy.read(0, 3), array)
    copy.close()


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("predictor", [1, 2])
def test_what_pillow_compresses(tmp_path: Path, compression: str, predictor: int) -> None:
    for mode, dtype in (("L", "u1"), ("I;16", "u2"), ("F", "f4")):
        if predictor == 2 and dtype == "f4":
            continue
        array = np.cumsum(RNG.integers(0, 3, (4, 60, 70)), axis=2).astype(dtype)
        images = [Image.fromarray(plane) for plane in array]
        assert images[0].mode == mode
        path = tmp_path / "a.tif"
        info = {317: predictor} if predictor == 2 and compression != "packbits" else {}
        images[0].save(path, save_all=True, append_images=images[1:], compression=compression, tiffinfo=info)
        np.testing.assert_array_equal(opened(path).read(0, 4), array)


def test_floating_point_predictor() -> None:
    """Made by the definition: bytes of a row by significance, then differences."""
    array = RNG.normal(0, 5, (4, 9)).astype(np.float32)
    planes = array.astype(">f4").view(np.uint8).reshape(4, 9, 4).transpose(0, 2, 1).reshape(4, -1)
    stored = np.diff(planes, axis=1, prepend=np.uint8(0)).astype(np.uint8)
    file = io.BytesIO()
    tags = [
        (256, 9),
        (257, 4),
        (258, 32),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 4),
        (279, 144),
        (317, 3),
        (339, 3),
    ]
    file.write(struct.pack("<4sI", b"II*\0", 8 + 144) + stored.tobytes() + struct.pack("<H", len(tags)))
    for tag, value in tags:
        file.write(struct.pack("<HHII", tag, 4, 1, value))
    file.write(bytes(4))
    store = open_store("memory://tiff-predictor")
    store.put("a.tif", file.getvalue())
    np.testing.assert_array_equal(open_tiff(store, "a.tif").read(0, 1)[0], array)


def test_imagej_stacks_tell_their_voxel_size_and_large_ones_have_one_page(tmp_path: Path) -> None:
    array = RNG.integers(0, 255, (6, 20, 30)).astype(np.uint16)
    path = tmp_path / "a.tif"
    metadata = {"spacing": 1.5, "unit": "nm", "axes": "ZYX"}
    tifffile.imwrite(path, array, imagej=True, resolution=(0.8, 0.8), metadata=metadata)
    volume = opened(path)
    assert volume.voxel_size == pytest.approx((12.5, 12.5, 15.0))
    assert volume.notes == ()
    np.testing.assert_array_equal(volume.read(0, 6), array)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:  # cut the chain after the first page, as ImageJ does above 4 GB
        order = file.byteorder
        first = file.pages[0].offset
    count = struct.unpack_from(order + "H", data, first)[0]
    struct.pack_into(order + "I", data, first + 2 + 12 * count, 0)
    path.write_bytes(data)
    np.testing.assert_array_equal(opened(path).read(0, 6), array)


def test_ome_lengths(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "ZYX", "PhysicalSizeX": 1.2, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 1.2}
    metadata |= {"PhysicalSizeYUnit": "nm", "PhysicalSizeZ": 0.0012}
    tifffile.imwrite(path, np.zeros((2, 8, 8), np.uint8), metadata=metadata)
    assert opened(path).voxel_size == pytest.approx((12.0, 12.0, 12.0))


def test_what_is_no_volume_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    with pytest.raises(FormatError, match="colours"):
        opened(path)
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((8, 8), np.uint8))
        writer.write(np.zeros((9, 8), np.uint8))
    with pytest.raises(FormatError, match="page 2"):
        opened(path)


def test_pages_that_form_a_loop_are_refused() -> None:
    store = open_store("memory://tiff-loop")
    tags = ((256, 1), (257, 1), (258, 8), (273, 8))
    page = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    store.put("a.tif", struct.pack("<4sIH", b"II*\0", 8, len(tags)) + page + struct.pack("<I", 8))
    with pytest.raises(FormatError, match="loop"):
        open_tiff(store, "a.tif")


def _sample() -> bytes:
    buffer = io.BytesIO()
    array = np.arange(2 * 12 * 10, dtype=np.uint16).reshape(2, 12, 10)
    tifffile.imwrite(buffer, array, compression="zlib", rowsperstrip=5, photometric="minisblack")
    return buffer.getvalue()


SAMPLE = _sample()


@given(
    st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), max_size=8), st.integers(0, len(SAMPLE))
)
def test_damaged_files_give_format_errors_only(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(SAMPLE)
    for place, value in changes:
        data[place] = value
    store = open_store("memory://tiff-fuzz")
    store.put("a.tif", bytes(data[: length or None]))
    try:
        volume = open_tiff(store, "a.tif")
        volume.read(0, 1, 0, 4, 0, 4)
    except FormatError:
        pass


@pytest.mark.real_data
def test_real_stacks(real_data: Path) -> None:
    paths = sorted(real_data.glob("tomogram_tiff/*.tif")) + sorted(real_data.glob("frames/*.tif"))
    paths += sorted(real_data.glob("gains/*.gain"))
    assert len(paths) >= 5
    store = open_store(real_data)
    for path in paths:
        volume = open_volume(store, str(path.relative_to(real_data)))
        found = volume.read(0, volume.shape[0])
        if path.name.endswith("lzw_movie_6f_uint8.tif") or path.name.startswith("lzw"):  # tifffile needs imagecodecs
            with Image.open(path) as image:
                planes = []
                for number in range(volume.shape[0]):
                    image.seek(number)
                    planes.append(np.asarray(image))
            expected = np.stack(planes)
        else:
            expected = tifffile.imread(path).reshape(volume.shape)
        np.testing.assert_array_equal(found, expected)
    mask = open_volume(store, "tomogram_tiff/tardis_mt_96cube_mask.tif").read(0, 96)
    assert (mask.shape, int(mask.sum())) == ((96, 96, 96), 5895)  # as the manifest says
