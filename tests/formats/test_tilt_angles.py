import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.tilt_angles import read_tilt_angles, write_tilt_angles


@given(st.lists(st.floats(-180, 180), min_size=1))
def test_angles_come_back(angles):
    np.testing.assert_array_equal(read_tilt_angles(write_tilt_angles(angles), "a.tlt"), angles)


def test_two_decimals_are_written_as_imod_does():
    assert write_tilt_angles([-57.12, 0, 2.9]) == b" -57.12\n   0.00\n   2.90\n"
    assert write_tilt_angles([1.005]) == b"1.005\n"


def test_blank_lines_and_comments_are_skipped():
    assert read_tilt_angles(b"# raw\r\n\r\n -60.0 # first\r\n60\r\n", "a").tolist() == [-60, 60]


@pytest.mark.parametrize("bad", ["x", "1 2", "181", "-1e9", "nan", "inf", "1_0", "1,5"])
def test_the_line_of_a_bad_angle_is_named(bad):
    with pytest.raises(FormatError) as raised:
        read_tilt_angles(f"1\n\n{bad}\n".encode(), "a.rawtlt")
    assert raised.value.where == "a.rawtlt:3"


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# nothing\n"])
def test_a_list_without_angles_is_refused(data):
    with pytest.raises(FormatError, match="no tilt angle"):
        read_tilt_angles(data, "a")


@given(st.binary() | st.text(alphabet="0123456789.-+e \n#_").map(str.encode))
def test_any_bytes_are_angles_or_a_format_error(data):
    with contextlib.suppress(FormatError):
        assert np.abs(read_tilt_angles(data, "fuzz")).max() <= 180


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "count", "first", "last"),
    [
        ("TS_001/TS_001.rawtlt", 40, -60.0, 56.99),
        ("TS_001/TS_001.tlt", 40, -57.12, 59.84),
        ("TS_001/TS_001.xtilt", 40, -0.01, 0.0),
        ("TS_017.tlt", 60, -52.01, 65.97),
        ("angles_one_column.rawtlt", 35, -51.0, 51.0),
        ("jensen_mba2012/test.rawtlt", 3, -66.0, -63.0),
        ("imod_1/tilt_1.xtilt", 59, 0.0, 0.0),
    ],
)
def test_real_lists(real_data, file, count, first, last):
    angles = read_tilt_angles((real_data / "tilt/imod" / file).read_bytes(), file)
    assert (len(angles), angles[0], angles[-1]) == (count, first, last)
