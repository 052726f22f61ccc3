import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.points_csv import csv_points

rows = st.lists(st.tuples(*[st.floats(-1e9, 1e9)] * 3), max_size=10)


@given(rows, st.sampled_from([",", ";", "\t", " ", "|"]), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_any_table_is_read_as_written(table, delimiter, newline, header):
    lines = (["x_first"] if header else []) + [delimiter.join(repr(value) for value in row) for row in table]
    points = csv_points(
        newline.join(lines).encode(),
        "a.csv",
        format="csv_with_header" if header else "csv",
        delimiter=delimiter,
    )
    np.testing.assert_array_equal(points.locations, np.array(table).reshape(-1, 3))


def test_columns_and_binning():
    points = csv_points(b"2,4,6\n", "a", columns="zyx", binning=2)
    assert points.locations.tolist() == [[3.0, 2.0, 1.0]]
    assert points.unit == "voxel"


def test_comments_blank_lines_quotes_further_columns_and_a_byte_order_mark():
    data = b'\xef\xbb\xbf# picked by hand\n\n "1" , 2.5,3e0 ,class 1,\n#4,5,6\n\t\n'
    assert csv_points(data, "a").locations.tolist() == [[1.0, 2.5, 3.0]]


def test_a_blank_delimiter_takes_any_white_space():
    assert csv_points(b"  1   2\t3\n4 5 6", "a", delimiter=" ").locations.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_tsv_finds_out_about_its_header():  # F71
    expected = [[1, 2, 3], [4, 5, 6]]
    assert csv_points(b"1\t2\t3\n4\t5\t6\n", "a.tsv", format="tsv").locations.tolist() == expected
    assert (
        csv_points(b"X\tY\tZ\tscore\n1\t2\t3\t.5\n4\t5\t6\t.4\n", "a.tsv", format="tsv").locations.tolist() == expected
    )


def test_an_empty_file_has_no_points():
    assert len(csv_points(b"", "a")) == 0
    assert len(csv_points(b"x,y,z\n", "a", format="csv_with_header")) == 0


@pytest.mark.parametrize("bad", ["1,2", "1,2,x", "a,b,c", "1,2,nan", "1,2,inf", "1_0,2,3", "1;2;3", ",,"])
def test_the_line_of_a_bad_row_is_named(bad):
    with pytest.raises(FormatError) as raised:
        csv_points(f"# comment\n1,2,3\n{bad}\n".encode(), "picks.csv")
    assert raised.value.where == "picks.csv:3"


def test_a_header_in_a_csv_without_one_is_explained():
    with pytest.raises(FormatError, match="csv_with_header"):
        csv_points(b"x,y,z\n1,2,3\n", "a")


@pytest.mark.parametrize(("header", "columns"), [("z,y,x", "xyz"), ("x,y,z", "zyx"), ("IDs,X [A],Y [A],Z [A]", "xyz")])
def test_a_header_that_contradicts_the_order_is_refused(header, columns):
    with pytest.raises(FormatError, match="header"):
        csv_points(f"{header}\n0,1,2,3\n".encode(), "a", format="csv_with_header", columns=columns)


@pytest.mark.parametrize(
    ("header", "columns"), [("X, Y, Z, score", "xyz"), ("z,y,x", "zyx"), ("a,b,c", "zyx"), ("", "xyz")]
)
def test_a_header_that_fits_or_says_nothing_is_taken(header, columns):
    assert (
        len(csv_points(f"{header or 'picks'}\n0,1,2\n".encode(), "a", format="csv_with_header", columns=columns)) == 1
    )


@pytest.mark.parametrize("options", [{"columns": "yxz"}, {"binning": 0}, {"binning": float("nan")}])
def test_impossible_options_are_refused(options):
    with pytest.raises(FormatError):
        csv_points(b"1,2,3", "a", **options)


@given(
    st.binary() | st.text(alphabet='0123456789.,;eE+- \t\n#xyz"_').map(str.encode),
    st.sampled_from(["csv", "csv_with_header", "tsv"]),
    st.sampled_from([None, ",", " ", ";"]),
)
def test_any_bytes_are_points_or_a_format_error(data, format, delimiter):
    with contextlib.suppress(FormatError):
        csv_points(data, "fuzz", format=format, delimiter=delimiter)


@pytest.mark.real_data
def test_files_of_the_public_portals_tests(real_data):
    folder = real_data / "annotations/csv"
    plain = csv_points((folder / "points.csv").read_bytes(), "points.csv")
    headed = csv_points((folder / "points_with_header.csv").read_bytes(), "p.csv", format="csv_with_header")
    assert plain.locations.tolist() == headed.locations.tolist() == [[1, 2, 3], [2, 2, 2], [0, 3, 0]]
