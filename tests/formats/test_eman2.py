"""EMAN2's info files: boxes from the centre of the tomogram, by class."""

import json

import numpy as np
import pytest

from tomoportal.errors import FormatError
from tomoportal.formats.eman2 import eman2_points

CLASSES = {"0": {"name": "ribosome", "boxsize": 32}, "1": {"name": "other", "boxsize": 24}}
BOXES = [[0, 0, 0, "tm", 4.25, 0], [10, -20, 30.5, "manual", 0.0, 1]]


def info(**entries):
    return json.dumps({"apix_unbin": 2.0, "class_list": CLASSES, "boxes_3d": BOXES, **entries}).encode()


def points(data, **arguments):
    return eman2_points(data, "i.json", **{"tomogram_size": (100, 200, 61), "voxel_spacing": 4.0, **arguments})


def test_boxes_count_from_half_the_size_in_unbinned_pixels():
    assert points(info()).locations.tolist() == [[50, 100, 30.5], [55, 90, 45.75]]


def test_classes_and_scores():
    assert points(info(), filter_value="other").locations.tolist() == [[55, 90, 45.75]]
    assert len(points(info(), filter_value="class=0")) == len(points(info(), filter_value="score>=4")) == 1
    assert len(points(info(), filter_value="nothing")) == 0
    assert points(info(class_list={}), filter_value="class=1").locations[0, 0] == 55


def test_old_files_hold_voxels_from_the_corner():
    data = json.dumps({"boxes_3d": BOXES}).encode()
    assert eman2_points(data, "i.json").locations.tolist() == [[0, 0, 0], [10, -20, 30.5]]


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[]",
        b"{",
        b"\xff",
        info(boxes_3d=[[1, 2]]),
        info(boxes_3d=[[1, 2, "3"]]),
        info(boxes_3d=[[1, 2, 3, "tm", 1, 0.5]]),
        info(boxes_3d=[[1, 2, 10**400]]),
        info(apix_unbin=0),
        b'{"boxes_3d": ' + b"[" * 100_000,
    ],
)
def test_what_is_refused(data):
    with pytest.raises(FormatError):
        points(data)


def test_without_the_tomogram_there_is_no_centre():
    with pytest.raises(FormatError, match="not known"):
        eman2_points(info(), "i.json")


@pytest.mark.real_data
def test_the_constructed_file(real_data):
    data = (real_data / "annotations/eman2/constructed_TS_01_info.json").read_bytes()
    found = eman2_points(data, "i", tomogram_size=(960, 928, 300), voxel_spacing=10.704, filter_value="ribosome")
    np.testing.assert_allclose(found.locations[0], [480 + 477 / 4, 464 + 427.5 / 4, 150 + 69.1 / 4])
