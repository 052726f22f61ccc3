"""Key photos: sizes, contrast, overlays, the same bytes every time."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tomoportal.errors import FormatError
from tomoportal.formats import ArrayVolume, open_mrc, render_key_photos, semantic_mask
from tomoportal.formats.keyphotos import MaskOverlay, PointOverlay
from tomoportal.formats.points import VoxelPoints

RED, BLUE = (255, 0, 0), (0, 0, 255)


def volume(shape: tuple[int, int, int] = (60, 90, 120), dtype: str = "float32") -> ArrayVolume:
    return ArrayVolume((np.random.default_rng(0).standard_normal(shape) * 20).astype(dtype), 10.0)


def picture(data: bytes) -> np.ndarray[Any, Any]:
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        assert image.mode == "RGB"
        return np.asarray(image).astype(int)


def grey(source: ArrayVolume) -> np.ndarray[Any, Any]:
    """The plain twin of the picture without overlays."""
    nz = source.shape[0]
    start = max(0, (nz - 40) // 2)
    total = source.read(start, min(nz, start + 40)).astype(float).sum(axis=0)
    return np.clip((total - total.mean()) / (6 * total.std()) * 255 + 127.5, 0, 255)


@pytest.mark.parametrize("shape", [(60, 90, 120), (60, 120, 90), (3, 7, 5), (45, 64, 64), (1, 300, 20)])
def test_names_and_sizes(shape: tuple[int, int, int]) -> None:
    photos = render_key_photos(volume(shape))
    sizes = {name: picture(data).shape[1::-1] for name, data in photos.items()}
    assert sizes == {
        "original": (shape[2], shape[1]),
        "snapshot": (512, 384),
        "thumbnail": (134, 100),
        "expanded": (1024, 768),
    }


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "float32"])
def test_the_original_is_the_central_slab(dtype: str) -> None:
    source = volume(dtype=dtype)
    found = picture(render_key_photos(source)["original"])
    np.testing.assert_allclose(found, np.repeat(grey(source)[:, :, None], 3, axis=2), atol=0.51)


def test_a_volume_without_contrast_is_grey() -> None:
    for value in (0.0, 5.0, float("nan")):
        array = np.full((5, 8, 8), value, np.float32)
        assert (picture(render_key_photos(ArrayVolume(array))["original"]) == 128).all()


def test_voxels_that_are_no_numbers_do_not_disturb() -> None:
    source = volume()
    array = source.read(0, 60).copy()
    array[30, 0, 0] = np.nan
    found = picture(render_key_photos(ArrayVolume(array))["original"])
    assert np.abs(found[:, :, 0] - grey(source))[1:, 1:].max() < 1


def test_crops_are_centred_and_largest() -> None:
    array = np.zeros((1, 90, 200), np.float32)
    array[:, :, 40:160] = 1  # the middle 120 × 90 voxels
    found = picture(render_key_photos(ArrayVolume(array))["snapshot"])
    assert np.ptp(found[:, 8:-8]) < 8
    portrait = picture(render_key_photos(ArrayVolume(np.ascontiguousarray(array.transpose(0, 2, 1))))["snapshot"])
    np.testing.assert_array_equal(portrait, found)


def test_points_are_drawn_where_their_voxel_is() -> None:
    source = volume()
    points = VoxelPoints(np.array([[100.0, 20.0, 30.0], [60.0, 45.0, 2.0], [500.0, 20.0, 30.0], [119.4, 89.4, 49.4]]))
    plain = picture(render_key_photos(source)["original"])
    drawn = picture(render_key_photos(source, [PointOverlay(points, RED)])["original"])
    expected = 0.8 * np.array(RED) + 0.2 * plain[20, 100]
    np.testing.assert_allclose(drawn[20, 100], expected, atol=1)
    np.testing.assert_allclose(drawn[89, 119], 0.8 * np.array(RED) + 0.2 * plain[89, 119], atol=1)
    changed = np.argwhere((drawn != plain).any(axis=2))
    near = [np.abs(changed - centre).max(axis=1) <= 4 for centre in [(20, 100), (89, 119)]]
    assert (near[0] | near[1]).all()  # and not the point above the slab, nor the one outside


def test_masks_are_projected_and_lie_under_points() -> None:
    source = volume()
    array = np.zeros(source.shape, np.int8)
    array[30, 10:30, 90:110] = 1
    array[0] = 1  # not in the slab
    plain = picture(render_key_photos(source)["original"])
    mask = MaskOverlay(ArrayVolume(array), BLUE)
    drawn = picture(render_key_photos(source, [mask])["original"])
    changed = (drawn != plain).any(axis=2)
    assert changed[10:30, 90:110].mean() > 0.99
    assert changed.sum() == changed[10:30, 90:110].sum()
    point = PointOverlay(VoxelPoints(np.array([[100.0, 20.0, 30.0]])), RED)
    both = [picture(render_key_photos(source, order)["original"]) for order in ([mask, point], [point, mask])]
    np.testing.assert_array_equal(*both)
    np.testing.assert_allclose(both[0][20, 100], 0.8 * np.array(RED) + 0.2 * drawn[20, 100], atol=1)


def test_a_mask_on_another_grid_is_refused() -> None:
    mask = ArrayVolume(np.ones((60, 45, 60), np.int8), name="m.mrc")
    with pytest.raises(FormatError, match=r"m\.mrc.*\(60, 45, 60\)"):
        render_key_photos(volume(), [MaskOverlay(mask, BLUE)])


def test_the_same_volume_gives_the_same_bytes() -> None:
    overlay = PointOverlay(VoxelPoints(np.random.default_rng(1).uniform(0, 90, (50, 3))), RED)
    assert render_key_photos(volume(), [overlay]) == render_key_photos(volume(), [overlay])


@pytest.mark.real_data
def test_a_real_tomogram_with_its_mask(real_data: Path) -> None:
    source = open_mrc(real_data / "mrc/tomogram/derived_mt_96cube_float32.mrc")
    mask = semantic_mask(open_mrc(real_data / "mrc/segmentation/derived_mt_96cube_mask_int8.mrc"))
    photos = render_key_photos(source, [MaskOverlay(mask, BLUE)])
    snapshot = picture(photos["snapshot"])
    assert snapshot.std() > 20
    assert (snapshot[:, :, 2] - snapshot[:, :, 0] > 30).any()
