"""Masks that share a source, and labels on another grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tomoportal.errors import FormatError, SettingsError
from tomoportal.formats import (
    ArrayVolume,
    LabelVolume,
    convert_volume,
    instance_mask,
    open_mrc,
    open_omezarr,
    semantic_mask,
)
from tomoportal.storage import Store, open_store
from tomoportal.storage.sub_store import SubStore


class CountingStore(SubStore):
    """Counts how often each chunk is asked for."""

    def __init__(self, parent: Store) -> None:
        super().__init__(parent, "source")
        self.reads: dict[str, int] = {}

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self.reads[key] = self.reads.get(key, 0) + 1
        return super().get_range(key, start, length)


@given(
    hnp.arrays(
        st.sampled_from(["i1", "u1", "i2", "u2", "i4", "u4", "i8", "f4"]),
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=5),
        elements=st.integers(0, 5),
    )
)
def test_counts_are_those_of_numpy(array: np.ndarray[Any, Any]) -> None:
    labels = LabelVolume(ArrayVolume(array))
    values, counts = np.unique(array, return_counts=True)
    assert labels.counts == dict(zip(values.astype(int).tolist(), counts.tolist(), strict=True))
    assert labels.maximum == array.max()
    assert labels.reaches(float(array.max()))
    assert not labels.reaches(array.max() + 0.5)
    assert [labels.holds(value) for value in range(6)] == [value in values for value in range(6)]


def test_grey_values_are_no_labels() -> None:
    labels = LabelVolume(ArrayVolume(np.linspace(0, 1, 27, dtype=np.float32).reshape(3, 3, 3)))
    assert labels.counts is None
    assert labels.holds(1)
    assert not labels.reaches(1.5)


def test_ten_masks_read_each_chunk_of_their_source_once(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 11, (70, 60, 50)).astype(np.uint16)
    group = zarr.open_group(tmp_path / "source/a.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=array, chunks=(32, 32, 32), chunk_key_encoding={"name": "v2", "separator": "/"})
    group.attrs["multiscales"] = [{"version": "0.1", "datasets": [{"path": "0"}]}]
    store = open_store(tmp_path)
    counting = CountingStore(store)
    source = LabelVolume(open_omezarr(counting, "a.zarr"), workers=2)
    for label in range(1, 12):
        prefix = f"out/{label}"
        assert source.holds(label) == (label < 11)
        if source.holds(label):
            found = convert_volume(
                semantic_mask(source, label=label),
                store,
                mrc_key=f"{prefix}.mrc",
                zarr_prefix=f"{prefix}.zarr",
                voxel_spacing=10.0,
                kind="semantic_mask",
            )
            assert found.count == np.count_nonzero(array == label)
    rescaled = semantic_mask(source, label=3, target_shape=(35, 30, 25))
    assert rescaled.read(0, 35).shape == (35, 30, 25)
    source.close()
    chunks = {key: count for key, count in counting.reads.items() if key.rpartition("/")[2].isdigit()}
    assert len(chunks) == 12
    assert set(chunks.values()) == {1}


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_labels_of_every_type_stay_themselves_f18(tmp_path: Path, dtype: str) -> None:
    largest = {"u1": 255, "u2": 65535, "f4": 2**24}.get(dtype, 2**31 - 5)
    array = np.zeros((6, 7, 8), dtype)
    array[1, 2, 3], array[2, 2, 2], array[5, 6, 7] = 1, 70 if dtype == "u1" else 60000, largest
    store = open_store(tmp_path)
    found = convert_volume(
        ArrayVolume(array), store, mrc_key="a.mrc", zarr_prefix="a.zarr", voxel_spacing=10.0, kind="instance_mask"
    )
    assert found.labels == tuple(sorted({int(value) for value in np.unique(array)} - {0}))
    level = zarr.open_group(tmp_path / "a.zarr", mode="r")["0"]
    np.testing.assert_array_equal(level[:], array)
    assert level.dtype == np.min_scalar_type(largest)
    if largest > 65535:
        assert not store.exists("a.mrc")
        assert any("no MRC file" in note for note in found.notes)
    else:
        mrc = open_mrc(store, "a.mrc")
        assert mrc.dtype == np.uint16
        np.testing.assert_array_equal(mrc.read(0, 6), array)


def test_float_labels_that_the_type_cannot_hold_exactly_are_refused(tmp_path: Path) -> None:
    array = np.full((2, 2, 2), 2**24 + 2, np.float32)
    with pytest.raises(FormatError, match="cannot hold exactly"):
        convert_volume(
            ArrayVolume(array),
            open_store(tmp_path),
            mrc_key="a.mrc",
            zarr_prefix="a.zarr",
            voxel_spacing=10.0,
            kind="instance_mask",
        )


def nearest(array: np.ndarray[Any, Any], shape: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """Voxel by voxel, with fractions: the source voxel whose box holds the centre, the lower one on a border."""
    out = np.empty(shape, array.dtype)
    for index in np.ndindex(shape):
        place = []
        for number, size, target in zip(index, array.shape, shape, strict=True):
            centre = (2 * number + 1) * size  # in units of half a target voxel over `target`
            low, rest = divmod(centre, 2 * target)
            place.append(low - 1 if rest == 0 else low)
        out[index] = array[tuple(place)]
    return out


SHAPES = st.tuples(*[st.integers(1, 7)] * 3)


@given(SHAPES, SHAPES)
def test_labels_on_another_grid_come_from_the_nearest_voxel(
    source: tuple[int, int, int], target: tuple[int, int, int]
) -> None:
    array = np.arange(np.prod(source), dtype=np.uint32).reshape(source)
    mask = instance_mask(ArrayVolume(array, 6.0), target_shape=target)
    expected = nearest(array, target)
    np.testing.assert_array_equal(mask.read(0, target[0]), expected)
    np.testing.assert_array_equal(
        mask.read(0, 1, target[1] // 2, None, target[2] // 2), expected[:1, target[1] // 2 :, target[2] // 2 :]
    )
    assert mask.voxel_size == pytest.approx([6.0 * a / b for a, b in zip(source[::-1], target[::-1], strict=True)])


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_labels_on_another_grid_end_to_end(tmp_path: Path, ngff: Any) -> None:
    array = np.zeros((20, 24, 30), np.int64)
    array[3:9, 4:12, 5:20], array[12:, 12:, 12:] = 70000, 2
    store = open_store(tmp_path)
    mask = instance_mask(ArrayVolume(array, 8.0), target_shape=(10, 12, 15))
    found = convert_volume(
        mask, store, mrc_key="a.mrc", zarr_prefix="a.zarr", voxel_spacing=16.0, kind="instance_mask", ngff=ngff
    )
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    expected = nearest(array, (10, 12, 15))
    for level in range(3):
        np.testing.assert_array_equal(group[str(level)][:], expected[:: 2**level, :: 2**level, :: 2**level])
    assert (found.labels, found.count, found.dtype) == ((2, 70000), 2, "uint32")
    volume = open_omezarr(store, "a.zarr")
    assert (volume.labels, volume.voxel_size) == ((2, 70000), (16.0, 16.0, 16.0))
    assert [record.key for record in found.files if record.key == "a.mrc"] == []
    mask.close()


def test_a_grid_without_voxels_is_refused() -> None:
    with pytest.raises(SettingsError):
        instance_mask(ArrayVolume(np.ones((2, 2, 2), np.uint8)), target_shape=(2, 0, 2))


@pytest.mark.real_data
def test_real_instance_labels(real_data: Path, tmp_path: Path) -> None:
    volume = LabelVolume(open_mrc(real_data / "mrc/segmentation/presynapse_connectors_int16.mrc"))
    voxels = volume.read(0, 60)
    assert volume.counts is not None
    assert set(volume.counts) == set(np.unique(voxels).tolist())
    store = open_store(tmp_path)
    found = convert_volume(
        volume, store, mrc_key="a.mrc", zarr_prefix="a.zarr", voxel_spacing=10.0, kind="instance_mask"
    )
    assert found.labels == tuple(sorted(set(volume.counts) - {0}))
    assert open_omezarr(store, "a.zarr").labels == found.labels
    np.testing.assert_array_equal(open_mrc(store, "a.mrc").read(0, 60), voxels)
    volume.close()
