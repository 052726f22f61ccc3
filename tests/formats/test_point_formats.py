"""The registry: every format under its config name, in voxels of the annotation; fuzzed with damaged files."""

import json
import struct
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.aretomo import read_aretomo
from tomoportal.formats.ctf import CTF_FORMATS, read_ctf
from tomoportal.formats.dynamo import dynamo_tomograms
from tomoportal.formats.point_formats import POINT_FORMATS, PointRequest, matching_counts, read_point_file
from tomoportal.formats.point_selection import Condition, parse_conditions, selected
from tomoportal.formats.points import KINDS
from tomoportal.formats.star import read_star
from tomoportal.model import config


def star(block, columns, *rows):
    labels = "".join(f"_{label}\n" for label in columns.split())
    return f"data_{block}\n\nloop_\n{labels}{''.join(row + chr(10) for row in rows)}".encode()


def em(*particles):
    table = np.zeros((len(particles), 20), "<f4")
    table[:, 7:10] = particles
    return struct.pack("<4B3i", 6, 0, 0, 5, 20, len(particles), 1).ljust(512, b"\0") + table.tobytes()


RELION = (
    "rlnCoordinateX rlnCoordinateY rlnCoordinateZ rlnAngleRot rlnAngleTilt rlnAnglePsi rlnTomoName rlnMicrographName"
)
IMOD = (
    b"IMODV1.2".ljust(240, b"\0")
    + b"OBJT"
    + bytes(176)
    + b"CONT"
    + struct.pack(">iIii3f", 1, 0, 0, 0, 20, 40, 60)
    + b"SLAN"
    + struct.pack(">ii3f3f32s", 60, 1, 0, 0, 0, 20, 40, 60, b"")
    + b"IEOF"
)

# One file of every format: a point at (20, 40, 60) in voxels or Å.
SAMPLES = {
    "csv": b"20,40,60\n",
    "csv_with_header": b"a,b,c\n20,40,60\n",
    "tsv": b"a\tb\tc\n20\t40\t60\n",
    "mod": IMOD,
    "relion3_star": star("", RELION, "20 40 60 0 0 0 t t"),
    "tomoman_relion_star": star("", RELION, "20 40 60 0 0 0 t t"),
    "relion4_star": star("particles", RELION, "20 40 60 0 0 0 t t"),
    "relion5_star": star(
        "particles",
        " ".join(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
        + " rlnAngleRot rlnAngleTilt rlnAnglePsi rlnTomoName",
        "-80 -60 -40 0 0 0 t",
    ),
    "warp_star": star(
        "particles",
        "wrpCoordinateX1 wrpCoordinateY1 wrpCoordinateZ1 wrpAngleRot1 wrpAngleTilt1 wrpAnglePsi1 wrpSourceName",
        "20 40 60 0 0 0 t",
    ),
    "stopgap_star": star(
        "stopgap_motivelist",
        "tomo_num orig_x orig_y orig_z x_shift y_shift z_shift phi psi the",
        "1 19 40 60 1 0 0 0 0 0",
    ),
    "copick": b'{"points": [{"location": {"x": 20, "y": 40, "z": 60}, "instance_id": 3}]}',
    "tardis": b"IDs,X [A],Y [A],Z [A]\n1,20,40,60\n",
    "dynamo": (" ".join(["0"] * 19 + ["1", "0", "0", "0", "21", "41", "61"]) + "\n").encode(),
    "motivelist": em((21, 41, 61)),
    "cbox": star(
        "cryolo", "CoordinateX CoordinateY CoordinateZ Width Height Confidence filamentid", "15 35 60 10 10 0.5 1"
    ),
    "coords": b"20 40 60\n",
    "box": b"20 40 60 10 10\n",
    "eman2": json.dumps({"apix_unbin": 1, "boxes_3d": [[-80, -60, -40, "tm", 1, 0]], "class_list": {}}).encode(),
    "pytom": b'<ParticleList><Particle><Rotation Z1="0" Z2="0" X="0"/><PickPosition X="20" Y="40" Z="60"/></Particle>'
    b"</ParticleList>",
    "deepfinder": b'<objlist><object x="20" y="40" z="60" phi="0" psi="0" the="0" class_label="1"/></objlist>',
    "ndjson": b'{"type": "point", "location": {"x": 20, "y": 40, "z": 60}}',
    "tloc": b"",
}
READABLE = [name for name in POINT_FORMATS if name != "tloc"]
VOLUME = {"voxel_spacing": 2.0, "volume_shape": (100, 100, 100)}


def read(file_format, shape=None, data=None, **arguments):
    shape = shape or POINT_FORMATS[file_format].shapes[0]
    if file_format == "stopgap_star":
        arguments.setdefault("filter_value", "1")
    source = SAMPLES[file_format] if data is None else data
    return read_point_file(file_format, source, "file", PointRequest(shape, **arguments))


def test_every_format_has_a_sample():
    assert SAMPLES.keys() == POINT_FORMATS.keys()


@pytest.mark.parametrize("file_format", READABLE)
def test_points_come_in_voxels_whatever_the_file_says(file_format):
    known = POINT_FORMATS[file_format]
    default = read(file_format, **VOLUME).locations.tolist()
    in_angstrom = file_format in ("relion5_star", "warp_star")
    expected = [[10, 20, 30]] if in_angstrom else [[20, 40, 60]]
    if file_format == "eman2":  # unbinned pixels of 1 Å from the centre at voxel 50
        expected = [[10, 20, 30]]
    assert default == expected
    if file_format not in ("relion5_star", "eman2"):
        assert read(file_format, binning=4).locations.tolist() == [[5, 10, 15]]
    if not known.keeps_axes:
        assert read(file_format, order="zyx", **VOLUME).locations.tolist() == [expected[0][::-1]]


@pytest.mark.parametrize("file_format", [name for name in READABLE if name != "ndjson"])
def test_shapes(file_format):
    for shape in POINT_FORMATS[file_format].shapes:
        points = read(file_format, shape, **VOLUME)
        assert points.kind == KINDS[shape]
        if points.rotations is not None:
            np.testing.assert_allclose(points.rotations[0], np.eye(3), atol=1e-12)
    for shape in {"Point", "OrientedPoint", "InstanceSegmentation"} - set(POINT_FORMATS[file_format].shapes):
        with pytest.raises(FormatError, match=f"has no {shape}"):
            read(file_format, shape, **VOLUME)


@pytest.mark.parametrize("file_format", [name for name in READABLE if POINT_FORMATS[name].star])
def test_a_parsed_star_file_serves_many_runs(file_format):
    parsed = read_star(SAMPLES[file_format], "file")
    assert len(read(file_format, data=parsed, **VOLUME)) == 1
    other = "9" if file_format in ("stopgap_star", "cbox") else "other"
    assert len(read(file_format, data=parsed, filter_value=other, **VOLUME)) == 0
    if file_format != "cbox":
        assert sum(matching_counts(file_format, parsed).values()) == 1


def test_what_the_registry_refuses():
    with pytest.raises(FormatError, match="unknown"):
        read_point_file("xyz", b"", "file", PointRequest("Point"))
    with pytest.raises(FormatError, match="not known"):
        read("relion5_star")
    with pytest.raises(FormatError, match="not known") as refused:
        read("warp_star")
    assert "binning" in refused.value.fix
    with pytest.raises(FormatError, match="binning of 0"):
        read("dynamo", binning=0)
    with pytest.raises(FormatError, match="column order"):
        read("dynamo", order="yxz")
    with pytest.raises(FormatError, match="not read from a STAR file"):
        read("csv", data=read_star(SAMPLES["cbox"], "file"))
    with pytest.raises(FormatError, match="filter_value"):
        read("csv", filter_value="TS_1")
    with pytest.raises(FormatError, match="no condition") as refused:
        read("dynamo", filter_value="1=2=")
    assert refused.value.where == "file"


def test_conditions():
    assert parse_conditions(None, default="tomo") == ()
    assert parse_conditions("TS_1, the second", default="tomo") == (Condition("tomo", "TS_1, the second"),)
    assert parse_conditions("a=1, b >= 2.5", default="tomo") == (Condition("a", "1"), Condition("b", "2.5", True))
    with pytest.raises(FormatError, match="text"):
        selected([Condition("name", "x", True)], {"name": ["x"]}, 1, "file")


# Damaged files: nothing but FormatError, and soon.

REST = {
    "aln": (
        b"# AreTomo Alignment\n# RawSize = 10 10 3\n# NumPatches = 1\n# DarkFrame = 0 0 -60\n# AlphaOffset = 1\n"
        b"  1 30.0 1.0 0.5 -2 1 1 1 0 -60\n 2 30.0 1.0 0.5 -2 1 1 1 0 0\n# Local Alignment\n 0 0 -10.5 -20 1 2 1.0\n"
    ),
    "CTFFIND": b"# a\n1 25951.41 24469.37 88.08 0.00 -0.0105 24.6784\n2 1 2 3 4 5 6\n",
    "Gctf": b"data_\n\nloop_\n_rlnDefocusU\n_rlnDefocusV\n_rlnDefocusAngle\n1 2 3\n",
    "IMOD": b"5 0 0. 0. 0. 3\n1 4 -60 -60 300 200 30 0.5\n2 9 0 0 300 200 30 0.5\n",
    "doc": b"1\ta.mrc\n2\tb.mrc\n",
}
EXTREMES = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"1e999", b"nan", b"-1", b"9" * 400, b"\0", b"=")


@st.composite
def damaged(draw, sample):
    """Bytes of a file with pieces overwritten, cut, doubled or replaced by extreme numbers; or no file at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=2000))
    data = bytearray(sample)
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            data[start:end] = draw(st.binary(max_size=8))
        elif kind == 1:
            del data[start:end]
        elif kind == 2:
            data[start:start] = data[start:end]
        else:
            data[start:end] = draw(st.sampled_from(EXTREMES))
    return bytes(data)


def survives(function, *arguments, **keywords):
    """Call a reader that may refuse with ``FormatError`` and must not take long."""
    begin = time.process_time()
    where: str | None = "file"
    try:
        function(*arguments, **keywords)
    except FormatError as error:
        where = error.where
    assert where is not None
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("file_format", READABLE)
@given(data=st.data())
def test_fuzz_point_files(file_format, data):
    shape = data.draw(st.sampled_from(POINT_FORMATS[file_format].shapes))
    blob = data.draw(damaged(SAMPLES[file_format]))
    filters = [None] if POINT_FORMATS[file_format].filter is None else [None, "1", "t", "score>=0.5", "class=1"]
    chosen = data.draw(st.sampled_from(filters))
    survives(read, file_format, shape, blob, filter_value=chosen, **VOLUME)


@pytest.mark.parametrize("kind", REST)
@given(data=st.data())
def test_fuzz_alignments_and_ctfs(kind, data):
    blob = data.draw(damaged(REST[kind]))
    if kind in CTF_FORMATS:
        survives(read_ctf, blob, "file", format=kind)
    elif kind == "doc":
        survives(dynamo_tomograms, blob, "file")
    else:
        survives(lambda: read_aretomo(blob, "file").sections(2.0))


def test_configs_may_name_every_format_that_is_read():
    """The schema's enums and the registry say the same; tloc is only there to be refused with a way out."""
    for shape in ("Point", "OrientedPoint", "InstanceSegmentation"):
        named = set(get_args(getattr(config, f"Annotation{shape}FileFormat")))
        assert named == {name for name, known in POINT_FORMATS.items() if shape in known.shapes} - {"tloc"}
    assert set(get_args(config.CtfFormat)) == set(CTF_FORMATS)


def test_every_format_is_documented():
    page = (Path(__file__).parents[2] / "docs/reference/point-formats.md").read_text(encoding="utf-8")
    assert [name for name in POINT_FORMATS if f"`{name}`" not in page] == []
