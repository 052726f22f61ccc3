"""DeepFinder's object lists: several classes in one file."""

import numpy as np
import pytest

from tomoportal.errors import FormatError
from tomoportal.formats.deepfinder_xml import deepfinder_points
from tomoportal.formats.rotations import about_x, about_z

LIST = b"""<objlist>
  <object tomo_idx="0" class_label="1" x="1" y="2" z="3" phi="10" psi="20" the="30" cluster_size="50" obj_id="4"/>
  <object tomo_idx="1" class_label="2" x="4" y="5" z="6.5" phi="0" psi="0" the="0" cluster_size="9" obj_id="5"/>
</objlist>"""


def points(data=LIST, **arguments):
    return deepfinder_points(data, "o.xml", **arguments)


def test_voxels_classes_tomograms():
    assert points().locations.tolist() == [[1, 2, 3], [4, 5, 6.5]]
    assert points(filter_value="2").locations.tolist() == [[4, 5, 6.5]]
    assert points(filter_value="tomo_idx=0,cluster_size>=10").locations.tolist() == [[1, 2, 3]]
    assert len(points(filter_value="3")) == 0


def test_orientations_and_instances():
    found = points(shape="OrientedPoint").rotations[0]
    np.testing.assert_allclose(found, about_z([20])[0] @ about_x([30])[0] @ about_z([10])[0], atol=1e-12)
    assert points(shape="InstanceSegmentation").instance_ids.tolist() == [4, 5]
    unnumbered = LIST.replace(b'obj_id="5"', b'obj_id="None"')
    assert points(unnumbered, shape="InstanceSegmentation").instance_ids.tolist() == [0, 1]
    assert len(points(b"<objlist/>", shape="OrientedPoint")) == 0


@pytest.mark.parametrize(
    ("data", "arguments", "message"),
    [
        (LIST.replace(b'y="2"', b""), {}, "attribute y"),
        (LIST.replace(b'the="30"', b""), {"shape": "OrientedPoint"}, "attribute the"),
        (LIST.replace(b'obj_id="4"', b'obj_id="4.5"'), {"shape": "InstanceSegmentation"}, "not whole"),
        (LIST.replace(b'class_label="1"', b""), {"filter_value": "1"}, "class_label"),
        (b"<ParticleList/>", {}, "root element"),
        (b"<!DOCTYPE a><objlist/>", {}, "document type"),
    ],
)
def test_what_is_refused(data, arguments, message):
    with pytest.raises(FormatError, match=message):
        points(data, **arguments)


@pytest.mark.real_data
def test_a_real_list(real_data):
    data = (real_data / "annotations/xml/deepfinder_objlist_valid.xml").read_bytes()
    assert len(points(data)) == 2490
    found = points(data, shape="OrientedPoint", filter_value="7")
    assert len(found) == data.count(b'class_label="7"')
    assert found.locations[0].tolist() == [182, 143, 39]
    expected = about_z([2])[0] @ about_x([120])[0] @ about_z([149])[0]
    np.testing.assert_allclose(found.rotations[0], expected, atol=1e-12)
