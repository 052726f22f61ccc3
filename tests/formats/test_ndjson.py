import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tomoportal.errors import FormatError
from tomoportal.formats.ndjson import read_points, write_points
from tomoportal.formats.points import VoxelPoints

numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def points(draw):
    count = draw(st.integers(0, 6))
    locations = draw(hnp.arrays(np.float64, (count, 3), elements=numbers))
    kind = draw(st.sampled_from(["point", "orientedPoint", "instancePoint"]))
    if kind == "orientedPoint":
        return VoxelPoints(locations, draw(hnp.arrays(np.float64, (count, 3, 3), elements=numbers)))
    if kind == "instancePoint":
        return VoxelPoints(locations, instance_ids=draw(hnp.arrays(np.int64, count)))
    return VoxelPoints(locations)


@given(points())
def test_rows_come_back_bit_by_bit(before):
    data = write_points(before)
    after = read_points(data, "a.ndjson")
    assert after.locations.tobytes() == before.locations.tobytes()
    if len(before):
        assert after.kind == before.kind
    if len(before) and before.rotations is not None:
        assert after.rotations.tobytes() == before.rotations.tobytes()
    if len(before) and before.instance_ids is not None:
        assert after.instance_ids.tolist() == before.instance_ids.tolist()
    assert write_points(after) == data


@given(points())
def test_rows_are_what_pythons_json_writes(values):
    lines = []
    for row in range(len(values)):
        x, y, z = values.locations[row].tolist()
        line = {"type": values.kind, "location": {"x": x, "y": y, "z": z}}
        if values.rotations is not None:
            line["xyz_rotation_matrix"] = values.rotations[row].tolist()
        if values.instance_ids is not None:
            line["instance_id"] = int(values.instance_ids[row])
        lines.append(json.dumps(line))
    assert write_points(values).decode() == "\n".join(lines)


def test_the_rows_of_the_archive_layout():
    rotation = np.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]])
    assert write_points(VoxelPoints(np.array([[64.0, 48, 32]]))) == (
        b'{"type": "point", "location": {"x": 64.0, "y": 48.0, "z": 32.0}}'
    )
    assert write_points(VoxelPoints(np.array([[30.0, 20, 30]]), rotation)) == (
        b'{"type": "orientedPoint", "location": {"x": 30.0, "y": 20.0, "z": 30.0},'
        b' "xyz_rotation_matrix": [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]}'
    )
    assert write_points(VoxelPoints(np.array([[10.0, 20, 32]]), instance_ids=np.array([0]))) == (
        b'{"type": "instancePoint", "location": {"x": 10.0, "y": 20.0, "z": 32.0}, "instance_id": 0}'
    )
    assert write_points(VoxelPoints.empty()) == b""


def test_blank_lines_other_keys_and_whole_numbers_are_read():
    data = b'\n{"type": "point", "score": 1, "location": {"z": 3, "y": 2, "x": 1}}\r\n\n'
    assert read_points(data, "a").locations.tolist() == [[1.0, 2.0, 3.0]]


GOOD = b'{"type": "point", "location": {"x": 1.0, "y": 2.0, "z": 3.0}}\n'


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b'{"type": "sphere", "location": {"x": 1, "y": 2, "z": 3}}',
        b'{"type": "point", "location": {"x": 1, "y": 2}}',
        b'{"type": "point", "location": {"x": NaN, "y": 2, "z": 3}}',
        b'{"type": "point", "location": {"x": 1e999, "y": 2, "z": 3}}',
        b'{"type": "orientedPoint", "location": {"x": 1, "y": 2, "z": 3}, "xyz_rotation_matrix": [[1, 0], [0, 1]]}',
        b'{"type": "instancePoint", "location": {"x": 1, "y": 2, "z": 3}, "instance_id": 99999999999999999999}',
    ],
)
def test_the_line_of_a_bad_row_is_named(bad):
    with pytest.raises(FormatError) as raised:
        read_points(GOOD + GOOD + bad, "picks.ndjson")
    assert raised.value.where == "picks.ndjson:3"


def test_types_are_not_mixed():
    instance = b'{"type": "instancePoint", "location": {"x": 1, "y": 2, "z": 3}, "instance_id": 4}'
    with pytest.raises(FormatError, match="instancePoint, point"):
        read_points(GOOD + instance, "a")


@pytest.mark.parametrize("kind", ["point", "orientedPoint", "instancePoint"])
def test_the_type_can_be_demanded(kind):
    empty = read_points(b"", "a", kind=kind)
    assert (empty.kind, len(empty)) == (kind, 0)
    if kind == "point":
        assert len(read_points(GOOD, "a", kind=kind)) == 1
    else:
        with pytest.raises(FormatError, match=f"not {kind}"):
            read_points(GOOD, "a", kind=kind)


@given(st.binary() | st.text(alphabet='{}[]",:\n type point location xyz0123456789.eE+-').map(str.encode))
def test_any_bytes_are_points_or_a_format_error(data):
    with contextlib.suppress(FormatError):
        read_points(data, "fuzz")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "kind", "count", "objects"),
    [
        ("czportal_10445_69546_Point.ndjson", "point", 43, 43),
        ("czportal_10445_175505_OrientedPoint.lines1-10.ndjson", "orientedPoint", 10, 10),
        ("derived_microtubules_instancePoint.ndjson", "instancePoint", 10, 3),
    ],
)
def test_rows_of_the_public_portal_come_back_byte_by_byte(real_data, file, kind, count, objects):
    data = (real_data / "annotations/ndjson" / file).read_bytes()
    values = read_points(data, file)
    assert (values.kind, len(values), values.object_count) == (kind, count, objects)
    assert write_points(values) == data.rstrip(b"\n")
