"""crYOLO's boxes: corners in x and y, centres in z; confidence, filaments, slices that belong to the picking."""

import pytest

from tomoportal.errors import FormatError
from tomoportal.formats.cryolo import box_points, cbox_points
from tomoportal.formats.star import read_star


def cbox(*boxes, include=None, columns=("Confidence", "filamentid")):
    labels = ("CoordinateX", "CoordinateY", "CoordinateZ", "Width", "Height", "Depth", *columns)
    text = "data_global\n\n_cbox_format_version 1.0\n\ndata_cryolo\n\nloop_\n"
    text += "".join(f"_{label} #{number}\n" for number, label in enumerate(labels, 1))
    text += "".join(" ".join(map(str, box)) + "\n" for box in boxes)
    if include is not None:
        text += "\ndata_cryolo_include\n\nloop_\n_slice_index #1\n" + "".join(f" {z} \n" for z in include)
    return read_star(text.encode(), "p.cbox")


BOXES = [(0, 10, 20, 40, 20, 30, 0.9, 0), (5, 5, 21, 10, 10, 10, 0.3, 0), (1, 1, 22, 2, 2, 2, 0.5, 7)]


def test_centres():
    assert cbox_points(cbox(*BOXES)).locations.tolist() == [[20, 20, 20], [10, 10, 21], [2, 2, 22]]


def test_confidence():
    assert cbox_points(cbox(*BOXES), min_confidence=0.5).locations[:, 2].tolist() == [20, 22]
    assert cbox_points(cbox(*BOXES), filter_value="confidence>=0.9").locations[:, 2].tolist() == [20]
    with pytest.raises(FormatError, match="no Confidence"):
        cbox_points(cbox((0, 0, 0, 1, 1, 1, "<NA>", 0)), min_confidence=0.1)


def test_filaments_are_instances():
    points = cbox_points(cbox(*BOXES), shape="InstanceSegmentation")
    assert points.instance_ids.tolist() == [0, 0, 7]
    assert len(cbox_points(cbox(*BOXES), filter_value="7")) == 1
    with pytest.raises(FormatError, match="no filamentid"):
        cbox_points(cbox(BOXES[0][:6], columns=()), shape="InstanceSegmentation")


def test_boxes_on_slices_that_are_not_included_are_left_out():
    assert cbox_points(cbox(*BOXES, include=[20, 22, 100])).locations[:, 2].tolist() == [20, 22]
    assert len(cbox_points(cbox(*BOXES, include=[20.0004, 21, 22]))) == 3
    assert len(cbox_points(cbox(*BOXES, include=[]))) == 3
    assert len(cbox_points(cbox(*BOXES, include=[500]))) == 0


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, "<NA>", 1, 1, 1, 1, 1), "no z"),
        ((0, "x", 0, 1, 1, 1, 1, 1), "CoordinateY"),
        ((0, 0, 0, "<NA>", 1, 1, 1, 1), "no size"),
        ((0, "inf", 0, 1, 1, 1, 1, 1), "CoordinateY"),
    ],
)
def test_boxes_that_are_refused(box, message):
    with pytest.raises(FormatError, match=message):
        cbox_points(cbox(box))


def test_coords_and_box_files_hold_centres():
    assert box_points(b"1 2 3\n# no\n\n4.5 5 6\n", "p.coords").locations.tolist() == [[1, 2, 3], [4.5, 5, 6]]
    assert box_points(b"1\t2\t3\t37\t37\n", "p.box").locations.tolist() == [[1, 2, 3]]
    for text, message in ((b"24 40 0 0\n", "4 columns"), (b"1 2\n", "2 columns"), (b"1 2 nan\n", "three coordinates")):
        with pytest.raises(FormatError, match=message):
            box_points(text, "p.box")


@pytest.mark.real_data
def test_real_files(real_data):
    folder = real_data / "annotations/cryolo"
    points = cbox_points(read_star((folder / "particles_3d.cbox").read_bytes(), "p.cbox"))
    assert len(points) == 34414
    assert points.locations[0].tolist() == [714.5 + 18.5, 665 + 18.5, 114.5625]
    # half a box of 37 from the face of the volume: z cannot be a corner while x and y begin at 0
    assert 18.5 < points.locations[:, 2].min() < 19
    coords = box_points((folder / "derived_from_3d_cbox.coords").read_bytes(), "c.coords")
    assert len(coords) == 500
    assert coords.locations[0].tolist() == [733.0, 683.5, 133.1]
    assert abs(points.locations[:500, :2] - coords.locations[:, :2]).max() <= 0.0501
    with pytest.raises(FormatError, match="no z"):
        cbox_points(read_star((folder / "filament_2d.cbox").read_bytes(), "f.cbox"))
    with pytest.raises(FormatError, match="4 columns"):
        box_points((folder / "2d_center.box").read_bytes(), "2d_center.box")
