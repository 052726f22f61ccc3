"""PyTom's particle lists, and XML that hides something."""

import numpy as np
import pytest

from tomoportal.errors import FormatError
from tomoportal.formats.pytom_xml import pytom_points
from tomoportal.formats.rotations import about_x, about_z


def particle(position='X="1" Y="2" Z="3"', origin="t1.mrc", inside="", score=0.5):
    return (
        f'<Particle Filename="p.em"><Rotation Z1="10" Z2="20" X="30" Paradigm="ZXZ"/><Shift X="0.5" Y="0" Z="-1"/>'
        f'<PickPosition {position} Origin="{origin}" Binning="1"/><Score Value="{score}"/><Class Name="2"/>'
        f"{inside}</Particle>"
    )


def listed(*particles, root="ParticleList", before=""):
    return f"{before}<!-- PyTom Version: 1.0 --><{root}>{''.join(particles)}</{root}>".encode()


def test_position_shift_and_rotation():
    points = pytom_points(listed(particle()), "p.xml", shape="OrientedPoint")
    assert points.locations.tolist() == [[1.5, 2, 2]]
    expected = about_z([20])[0] @ about_x([30])[0] @ about_z([10])[0]
    np.testing.assert_allclose(points.rotations[0], expected, atol=1e-12)


def test_one_tomogram_of_a_list():
    data = listed(particle(), particle('X="7" Y="7" Z="7"', "t2.mrc", score=0.1))
    assert pytom_points(data, "p.xml", shape="Point", filter_value="t2.mrc").locations.tolist() == [[7.5, 7, 6]]
    assert len(pytom_points(data, "p.xml", shape="Point", filter_value="score>=0.5,class=2")) == 1
    assert len(pytom_points(data, "p.xml", shape="Point")) == 2
    assert len(pytom_points(listed(), "p.xml", shape="OrientedPoint")) == 0


def test_rotations_inside_a_wedge_are_not_the_particles():
    wedge = (
        '<Wedge><SingleTiltWedge><Rotation Z1="1" Z2="1" X="1"/><Shift X="9" Y="9" Z="9"/></SingleTiltWedge></Wedge>'
    )
    points = pytom_points(listed(particle(inside=wedge)), "p.xml", shape="OrientedPoint")
    assert points.locations.tolist() == [[1.5, 2, 2]]
    np.testing.assert_array_equal(
        points.rotations, pytom_points(listed(particle()), "p.xml", shape="OrientedPoint").rotations
    )


LAUGHS = '<!DOCTYPE x [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (listed(before=LAUGHS), "document type"),
        (listed(before='<!DOCTYPE ParticleList SYSTEM "file:///etc/passwd">'), "document type"),
        (listed(root="objlist"), "root element"),
        (listed("<Particle>" * 70), "nested|well formed"),
        (listed("<Particle/>"), "no PickPosition"),
        (listed('<Particle><PickPosition X="1" Y="2"/></Particle>'), "attribute Z"),
        (listed(particle('X="1" Y="2" Z="nan"')), "attribute Z"),
        (listed(particle()).replace(b"ZXZ", b"ZYZ"), "paradigm"),
        (listed(particle(), particle()).replace(b'Binning="1"', b'Binning="2"', 1), "several binnings"),
        (listed(particle())[:-5], "well formed"),
        (b"", "well formed"),
        (b"\0\1\2", "well formed"),
        (b'<?xml version="1.0" encoding="no-such"?><ParticleList/>', "encoding|cannot be read"),
    ],
)
def test_what_is_refused(data, message):
    with pytest.raises(FormatError, match=message):
        pytom_points(data, "p.xml", shape="Point")


@pytest.mark.real_data
def test_a_real_list(real_data):
    data = (real_data / "annotations/xml/pytom_pickpos.xml").read_bytes()
    points = pytom_points(data, "p.xml", shape="OrientedPoint")
    assert len(points) == len(pytom_points(data, "p.xml", shape="Point", filter_value="tomo1.tomostar")) == 10
    assert points.locations[0].tolist() == [0, 0, 0]
    expected = about_z([272.8635850585089])[0] @ about_x([75.7028845495521])[0] @ about_z([303.99186654901735])[0]
    np.testing.assert_allclose(points.rotations[0], expected, atol=1e-12)
