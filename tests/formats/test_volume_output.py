"""Volumes and meshes written for other programs: our readers and the field's read the same voxels and lengths."""

from __future__ import annotations

from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from tomoportal.errors import FormatError
from tomoportal.formats import ArrayVolume, Mesh, open_em, open_mrc, open_tiff, read_mesh
from tomoportal.formats.meshes.output import MESH_WRITERS
from tomoportal.formats.tiff import open_tiff_channels
from tomoportal.formats.volume_output import write_em, write_mrc, write_tiff, write_tiff_channels
from tomoportal.storage import open_store

TYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]


def volume(dtype: str, shape: tuple[int, int, int] = (3, 4, 5)) -> np.ndarray:
    values = np.random.default_rng(1).normal(0, 40, shape)
    return (np.abs(values) if dtype.startswith("u") else values).astype(dtype)


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "float32"])
def test_mrc(tmp_path: Path, dtype: str) -> None:
    array = volume(dtype)
    store = open_store(tmp_path)
    write_mrc(ArrayVolume(array), store, "a.mrc", voxel_spacing=7.84)
    found = open_mrc(store, "a.mrc")
    np.testing.assert_array_equal(found.read(0, 3), array)
    assert found.voxel_size == pytest.approx((7.84,) * 3)
    with mrcfile.open(tmp_path / "a.mrc") as mrc:
        np.testing.assert_array_equal(mrc.data, array)
        assert mrc.voxel_size.x == pytest.approx(7.84)
        assert mrc.is_volume()
        assert float(mrc.header.rms) == pytest.approx(array.astype(float).std(), rel=1e-5)
    assert mrcfile.validate(tmp_path / "a.mrc")


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "float32", "float64"])
def test_em(tmp_path: Path, dtype: str) -> None:
    array = volume(dtype)
    store = open_store(tmp_path)
    write_em(ArrayVolume(array), store, "a.em", voxel_spacing=7.84)
    found = open_em(store, "a.em")
    np.testing.assert_array_equal(found.read(0, 3), array)
    assert found.voxel_size == pytest.approx((7.84,) * 3)


@pytest.mark.parametrize("compression", ["none", "zlib", "lzw"])
@pytest.mark.parametrize("dtype", TYPES)
def test_tiff(tmp_path: Path, dtype: str, compression: str) -> None:
    array = volume(dtype)
    store = open_store(tmp_path)
    write_tiff(ArrayVolume(array), store, "a.tiff", voxel_spacing=7.84, compression=compression)  # type: ignore[arg-type]
    found = open_tiff(store, "a.tiff")
    np.testing.assert_array_equal(found.read(0, 3), array)
    assert found.voxel_size == pytest.approx((7.84,) * 3, rel=1e-6)
    if compression != "lzw":  # which tifffile leaves to another package
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tiff"), array)
    elif dtype in ("uint8", "uint16", "int32", "float32"):
        with Image.open(tmp_path / "a.tiff") as image:
            for z, page in enumerate(ImageSequence.Iterator(image)):
                np.testing.assert_array_equal(np.asarray(page), array[z])
    with tifffile.TiffFile(tmp_path / "a.tiff") as tiff:
        assert len(tiff.pages) == 3
        assert tiff.imagej_metadata is not None
        assert tiff.imagej_metadata["spacing"] == 7.84


@pytest.mark.parametrize("compression", ["none", "zlib"])
def test_channels_of_a_tiff(tmp_path: Path, compression: str) -> None:
    arrays = np.stack([volume("uint16"), volume("uint16") + 7])
    store, path = open_store(tmp_path), tmp_path / "a.tiff"
    write_tiff_channels([ArrayVolume(each) for each in arrays], store, "a.tiff", compression=compression)  # type: ignore[arg-type]
    np.testing.assert_array_equal(tifffile.imread(path), arrays)
    for is_imagej in (False, True):
        if is_imagej:  # all channels of a section stand together there
            tifffile.imwrite(path, arrays.transpose(1, 0, 2, 3), imagej=True, metadata={"axes": "ZCYX"})
        found = open_tiff_channels(store, "a.tiff")
        np.testing.assert_array_equal(np.stack([each.read(0, 3) for each in found]), arrays)
        with pytest.raises(FormatError, match="2 channels"):
            open_tiff(store, "a.tiff")
    tifffile.imwrite(path, arrays, compression=compression if compression != "none" else None, photometric="minisblack")
    np.testing.assert_array_equal(np.stack([each.read(0, 3) for each in open_tiff_channels(store, "a.tiff")]), arrays)


def test_a_big_tiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomoportal.formats.volume_output._LARGEST_CLASSIC", 10)
    array = volume("uint16")
    write_tiff(ArrayVolume(array), open_store(tmp_path), "a.tiff", voxel_spacing=13.48)
    with tifffile.TiffFile(tmp_path / "a.tiff") as tiff:
        assert tiff.is_bigtiff
        np.testing.assert_array_equal(tiff.asarray(), array)
    assert open_tiff(open_store(tmp_path), "a.tiff").voxel_size == pytest.approx((13.48,) * 3, rel=1e-6)


def test_large_pages_are_one_strip(tmp_path: Path) -> None:
    array = volume("float32", (2, 700, 650))
    write_tiff(ArrayVolume(array), open_store(tmp_path), "a.tiff", voxel_spacing=1.0, compression="lzw")
    np.testing.assert_array_equal(open_tiff(open_store(tmp_path), "a.tiff").read(0, 2), array)


def test_what_a_format_cannot_hold_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(FormatError, match="uint32 cannot be written as MRC"):
        write_mrc(ArrayVolume(volume("uint32")), store, "a", voxel_spacing=1)
    with pytest.raises(FormatError, match="uint16 cannot be written as EM"):
        write_em(ArrayVolume(volume("uint16")), store, "a", voxel_spacing=1)
    with pytest.raises(FormatError, match="JPEG changes voxels"):
        write_tiff(ArrayVolume(volume("uint8")), store, "a", voxel_spacing=1, compression="jpeg")
    assert not list(tmp_path.iterdir())


@settings(max_examples=20)
@given(count=st.integers(1, 8), seed=st.integers(0, 99), kind=st.sampled_from(sorted(MESH_WRITERS)))
def test_meshes_read_back(count: int, seed: int, kind: str) -> None:
    generator = np.random.default_rng(seed)
    vertices = generator.uniform(-500, 500, (count + 2, 3)).astype(np.float32).astype(np.float64)
    faces = np.stack([np.arange(count), np.arange(count) + 1, np.arange(count) + 2], axis=1)
    mesh = Mesh.checked(vertices, faces, "test")
    data = MESH_WRITERS[kind](mesh)
    found = read_mesh(data, f"a.{kind}")
    np.testing.assert_array_equal(found.vertices[found.faces], vertices[faces])


@pytest.mark.parametrize("kind", sorted(MESH_WRITERS))
def test_trimesh_reads_our_meshes(kind: str) -> None:
    ball = trimesh.creation.icosphere(2, 50.0)
    data = MESH_WRITERS[kind](Mesh.checked(ball.vertices, ball.faces, "ball"))
    found = trimesh.load(trimesh.util.wrap_as_stream(data), file_type=kind)
    assert found.volume == pytest.approx(ball.volume, rel=1e-5)
