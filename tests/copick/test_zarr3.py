"""Volumes in Zarr version 3 and NGFF 0.5, as projects of copick 2.0 have them: written by option, read by both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05 import Image

import tomoportal.copick as copick
from tomoportal.testing.copick_scripts import on_ours

TELL = """
import json, sys
import numpy as np
import copick
root = copick.from_file(sys.argv[1])
told = {"map": float(np.asarray(root.get_object("ribosome").numpy()).sum())}
run = root.get_run("TS_001")
for each in run.segmentations:
    voxels = np.asarray(each.numpy())
    told[f"{each.segmentation_type} {each.user_id}"] = [list(voxels.shape), str(voxels.dtype), int(voxels.sum())]
for tomogram in run.get_voxel_spacing(10.0).tomograms:
    part = tomogram.numpy(x=slice(2, 9), y=slice(1, 7), z=slice(0, 3))
    told[tomogram.tomo_type] = [float(np.asarray(tomogram.numpy()).sum()), np.asarray(part).tolist(),
                                [list(tomogram.numpy(level).shape) for level in ("0", "1", "2")]]
    told["features"] = [[each.feature_type, list(each.numpy().shape), float(each.numpy().sum())]
                        for each in tomogram.features]
print(json.dumps(told))
"""
MAKE = """
import sys
import numpy as np
import copick
root = copick.from_file(sys.argv[1])
generator = np.random.default_rng(1)
volume = generator.normal(size=(17, 20, 23)).astype("float32")
labels = (volume > 0).astype("uint16")
run = root.new_run("TS_001")
tomogram = run.new_voxel_spacing(10.0).new_tomogram("wbp")
tomogram.from_numpy(volume)
tomogram.new_features("sobel").from_numpy(np.stack([volume, volume]))
run.new_segmentation(10.0, "membrane", "1", user_id="a").from_numpy(labels)
run.new_segmentation(10.0, "all", "1", True, user_id="b").from_numpy(labels * 300)
run.new_segmentation(10.0, "ribosome", "1", user_id="c", is_instance=True).from_numpy(labels * 7)
run.new_segmentation(10.0, "pan", "1", user_id="d", is_panoptic=True).from_numpy(np.stack([labels, labels * 5]))
root.get_object("ribosome").from_numpy(volume, 10.0)
"""


@pytest.fixture
def config3(tmp_path: Path, make_config: Any) -> Path:
    place: Path = make_config(tmp_path, zarr_format=3, user_id=None)
    return place


def test_volumes_are_those_that_zarr_and_the_models_of_ngff_accept(config3: Path) -> None:
    on_ours(MAKE, config3)
    run = copick.from_file(config3).runs[0]
    tomogram = run.voxel_spacings[0].tomograms[0]
    group = zarr.open_group(tomogram.zarr(), mode="r")
    assert group.metadata.zarr_format == 3
    image = Image.from_zarr(group)
    assert [each.path for each in image.attributes.ome.multiscales[0].datasets] == ["0", "1", "2"]
    array = group["0"]
    assert array.metadata.dimension_names == ("z", "y", "x")
    assert np.array_equal(array[:], tomogram.numpy())
    for segmentation in run.segmentations:
        stored = zarr.open_group(segmentation.zarr(), mode="r")
        Image.from_zarr(stored)
        assert np.array_equal(stored["0"][:], segmentation.numpy())
    assert not list(Path(config3).parent.rglob(".zarray"))


def test_both_formats_hold_the_same(config3: Path, tmp_path: Path, make_config: Any) -> None:
    on_ours(MAKE, config3)
    (tmp_path / "two").mkdir()
    config2 = make_config(tmp_path / "two", user_id=None)
    on_ours(MAKE, config2)
    assert on_ours(TELL, config3) == on_ours(TELL, config2)


def test_regions_are_written_in_every_level(config3: Path) -> None:
    """C8"""
    on_ours(MAKE, config3)
    tomogram = copick.from_file(config3).runs[0].voxel_spacings[0].tomograms[0]
    tomogram.set_region(np.full((4, 4, 4), 9), x=slice(0, 4), y=slice(0, 4), z=slice(0, 4))
    assert (tomogram.numpy(x=slice(0, 4), y=slice(0, 4), z=slice(0, 4)) == 9).all()
    assert tomogram.numpy("2")[0, 0, 0] == 9
    stored = zarr.open_group(tomogram.zarr(), mode="r")["1"]
    assert np.array_equal(stored[:], tomogram.numpy("1"))


def test_new_volumes_are_empty_groups_of_version_3(config3: Path) -> None:
    tomogram = copick.from_file(config3).new_run("a").new_voxel_spacing(10).new_tomogram("wbp")
    group = zarr.open_group(tomogram.zarr(), mode="r")
    assert (group.metadata.zarr_format, list(group)) == (3, [])
    assert tomogram._folder.is_empty()


def test_copick_2_reads_what_we_write(config3: Path, next_upstream: Any) -> None:
    on_ours(MAKE, config3)
    assert next_upstream(TELL, config3) == on_ours(TELL, config3)


def test_we_read_what_copick_2_writes(config3: Path, next_upstream: Any) -> None:
    next_upstream(MAKE, config3)
    assert "sharding_indexed" in next(Path(config3).parent.rglob("wbp.zarr/0/zarr.json")).read_text()
    assert on_ours(TELL, config3) == next_upstream(TELL, config3)
    segmentation = copick.from_file(config3).runs[0].segmentations[0]
    with pytest.raises(ValueError, match="no shards"):
        segmentation.set_region(np.ones((1, 1, 1), int), x=slice(0, 1), y=slice(0, 1), z=slice(0, 1))
    segmentation.from_numpy(np.ones((3, 3, 3), int))
    assert segmentation.numpy().sum() == 27
