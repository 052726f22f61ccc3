"""Semantic masks from labels and thresholds, also on another grid."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoportal.errors import SettingsError
from tomoportal.formats import ArrayVolume, MrcHeader, convert_volume, open_mrc, semantic_mask
from tomoportal.storage import open_store


def all_of(volume: Any) -> np.ndarray[Any, Any]:
    return np.asarray(volume.read(0, volume.shape[0]))


def axis_weights(source: int, target: int) -> list[list[Fraction]]:
    """How much of each target voxel each source voxel covers: the plain twin, in fractions."""
    step = Fraction(source, target)
    return [
        [
            max(Fraction(0), min(i * step + step, Fraction(j + 1)) - max(i * step, Fraction(j))) / step
            for j in range(source)
        ]
        for i in range(target)
    ]


def resized(mask: np.ndarray[Any, Any], target: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    weights = [np.array(axis_weights(n, m), object) for n, m in zip(mask.shape, target, strict=True)]
    covered = np.einsum("ai,bj,ck,ijk->abc", *weights, mask.astype(object))
    return (covered >= Fraction(1, 2)).astype(np.int8)


def test_a_label_is_compared_in_the_type_of_the_source() -> None:
    array = np.array([0, 1, 2, 2**24, 2**24 + 1, -1, 1, 5]).reshape(2, 2, 2)
    for dtype in ("int32", "int64"):
        mask = semantic_mask(ArrayVolume(array.astype(dtype)), label=2**24 + 1)
        assert mask.dtype == np.int8
        np.testing.assert_array_equal(all_of(mask), array == 2**24 + 1)
    np.testing.assert_array_equal(all_of(semantic_mask(ArrayVolume(array.astype("f4")))), array == 1)
    assert not all_of(semantic_mask(ArrayVolume(array.astype("int8")), label=300)).any()


@pytest.mark.parametrize("dtype", ["int8", "uint16", "float32"])
@pytest.mark.parametrize("threshold", [0.5, 2.0, 2.5, -1.0, 1000.0])
def test_a_threshold_belongs_to_the_mask(dtype: str, threshold: float) -> None:
    array = np.arange(8).reshape(2, 2, 2).astype(dtype)
    np.testing.assert_array_equal(all_of(semantic_mask(ArrayVolume(array), threshold=threshold)), array >= threshold)


def test_labels_of_unsigned_bytes_are_the_true_values(tmp_path: Path) -> None:
    raw = np.array([0, 1, 2, 127, 128, 200, 255, 1], np.uint8).reshape(2, 2, 2)
    path = tmp_path / "labels.mrc"
    path.write_bytes(MrcHeader(2, 2, 2, 0, dmin=0.0, dmax=255.0).pack() + raw.tobytes())
    for label in (1, 128, 255):
        np.testing.assert_array_equal(all_of(semantic_mask(open_mrc(path), label=label)), raw == label)
    np.testing.assert_array_equal(all_of(semantic_mask(open_mrc(path), threshold=127.5)), raw >= 128)


def test_label_and_threshold_exclude_each_other() -> None:
    volume = ArrayVolume(np.zeros((2, 2, 2), np.int8))
    assert semantic_mask(volume, label=1, threshold=0.5).shape == (2, 2, 2)
    with pytest.raises(SettingsError, match="label"):
        semantic_mask(volume, label=2, threshold=0.5)
    with pytest.raises(SettingsError, match="shape"):
        semantic_mask(volume, target_shape=(0, 2, 2))


sizes = st.integers(1, 9)
shapes = st.tuples(sizes, sizes, sizes)


@settings(max_examples=30)
@given(shapes, shapes, st.integers(0, 2**32 - 1), st.data())
def test_another_grid_keeps_what_is_half_covered(
    shape: tuple[int, int, int], target: tuple[int, int, int], seed: int, data: st.DataObject
) -> None:
    array = np.random.default_rng(seed).integers(0, 2, shape, np.int8)
    mask = semantic_mask(ArrayVolume(array, 10.0), target_shape=target)
    expected = resized(array, target)
    np.testing.assert_array_equal(all_of(mask), expected)
    box = [
        sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)).filter(lambda p: p[0] != p[1])))
        for n in target
    ]
    (z0, z1), (y0, y1), (x0, x1) = box
    np.testing.assert_array_equal(mask.read(z0, z1, y0, y1, x0, x1), expected[z0:z1, y0:y1, x0:x1])


def test_another_grid_has_another_voxel_size() -> None:
    volume = ArrayVolume(np.zeros((10, 20, 40), np.int8), 10.0)
    mask = semantic_mask(volume, target_shape=(5, 20, 10))
    assert mask.voxel_size == (40.0, 10.0, 20.0)
    assert not mask.mapped
    assert semantic_mask(volume).mapped


def test_a_rescaled_mask_is_converted(tmp_path: Path) -> None:
    array = np.zeros((20, 20, 20), np.uint8)
    array[:10] = 3
    mask = semantic_mask(ArrayVolume(array, 10.0), label=3, target_shape=(10, 10, 10))
    store = open_store(tmp_path)
    options: dict[str, Any] = {"voxel_spacing": 20.0, "kind": "semantic_mask", "skip_empty": True}
    converted = convert_volume(mask, store, mrc_key="m.mrc", zarr_prefix="m.zarr", **options)
    assert (converted.shape, converted.count, converted.notes) == ((10, 10, 10), 500, ())
    found = open_mrc(tmp_path / "m.mrc")
    assert (all_of(found)[:5] == 1).all()
    assert (all_of(found)[5:] == 0).all()
    absent = semantic_mask(ArrayVolume(array, 10.0), label=4)
    assert (
        convert_volume(
            absent, store, mrc_key="n.mrc", zarr_prefix="n.zarr", **(options | {"voxel_spacing": 10.0})
        ).files
        == ()
    )


@pytest.mark.real_data
def test_labels_of_a_real_segmentation(real_data: Path) -> None:
    volume = open_mrc(real_data / "mrc/segmentation/presynapse_vesicle_labels_155x155x60.mrc")
    array = all_of(volume)
    labels = np.unique(array)
    assert len(labels) > 2
    for label in labels[1:4]:
        np.testing.assert_array_equal(all_of(semantic_mask(volume, label=int(label))), array == label)
