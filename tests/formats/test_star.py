import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.star import read_star

SIMPLE = b"""# made by hand
data_optics

_rlnOpticsGroup 1   # the only one
_rlnName 'two words'

data_particles

loop_
_rlnX #1
_rlnName #2
1.5 "a b"
-2  don't  # comment
# between

3e1 ""
"""

label = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True)
value = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="\"'"), max_size=6)


def test_pairs_quotes_comments_and_gaps():
    star = read_star(SIMPLE, "a.star")
    assert [(table.name, len(table)) for table in star.tables] == [("optics", 1), ("particles", 3)]
    assert star.table("optics").text("rlnName") == ("two words",)
    assert star.table("optics").numbers("rlnOpticsGroup").tolist() == [1]
    particles = star.table_with("rlnX")
    assert particles.text("rlnName") == ("a b", "don't", "")
    assert particles.numbers("rlnX").tolist() == [1.5, -2, 30]
    assert particles.text("rlnX") == ("1.5", "-2", "3e1")  # still there after the conversion
    assert particles.where(2) == "a.star:16"
    assert star.table("nothing") is None


def test_latin_1_names_stay_readable():
    table = read_star("data_\nloop_\n_name\nMüller\n".encode("latin-1"), "a").tables[0]
    assert table.rows_with("name", "Müller").tolist() == [0]


def test_a_parsed_file_goes_to_other_processes():
    star = pickle.loads(pickle.dumps(read_star(SIMPLE, "a.star")))
    assert star.table("optics").text("rlnName") == ("two words",)
    assert star.table("particles").numbers("rlnX").tolist() == [1.5, -2, 30]


def test_columns_are_loaded_in_one_pass_and_grouped():
    table = read_star(b"data_\nloop_\n_t\n_x\na 1\nb 2\na 3\n", "a").tables[0]
    table.load("t", "x")
    assert table.rows_with("t", "a").tolist() == [0, 2]
    assert table.rows_with("t", "c").tolist() == []
    assert table.counts("t") == {"a": 2, "b": 1}
    assert table.numbers("x").tolist() == [1, 2, 3]


@given(
    st.dictionaries(
        label,
        st.lists(label, min_size=1, max_size=4, unique=True).flatmap(
            lambda columns: st.tuples(st.just(columns), st.lists(st.tuples(*[value] * len(columns)), max_size=5))
        ),
        min_size=1,
        max_size=3,
    )
)
def test_tables_are_read_as_written(blocks):
    text = ""
    for name, (columns, rows) in blocks.items():
        text += f"data_{name}\n\nloop_\n" + "".join(f"_{column}\n" for column in columns)
        text += "".join(" ".join(f'"{cell}"' for cell in row) + "\n" for row in rows) + "\n"
    star = read_star(text.encode(), "a")
    assert [table.name for table in star.tables] == list(blocks)
    for name, (columns, rows) in blocks.items():
        table = star.table(name)
        assert table.columns == tuple(columns)
        assert [table.text(column) for column in columns] == [
            tuple(row[index] for row in rows) for index in range(len(columns))
        ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("_rlnX 1\n", 1),
        ("data_\nloop_\n1 2\n", 2),
        ("data_\nloop_\n_x\n_x\n1 2\n", 2),
        ("data_\nloop_\n_x\n_y\n1 2\n1 2 3\n", 6),
        ("data_\nloop_\n_x\n_y\n1 2\n1\n", 6),
        ('data_\nloop_\n_x\n_y\n1 "2\n', 5),
        ('data_\nloop_\n_x\n"2\n', 4),
        ("data_\nloop_\n_x\n;\ntext\n;\n", 4),
        ("data_\n_x\n", 2),
        ("data_\n_x 1 2\n", 2),
        ("data_\n_ 1\n", 2),
        ("data_\n_x 1\n_x 2\n", 3),
        ("data_\nloop_ _x\n1\n", 2),
        ("data_\nloop_\n_x _y\n1 2\n", 3),
        ("data_\nstray\n", 2),
        ("data_a b\n", 1),
    ],
)
def test_the_line_of_broken_syntax_is_named(text, line):
    with pytest.raises(FormatError) as raised:
        read_star(text.encode(), "a.star")
    assert raised.value.where == ("a.star" if line is None else f"a.star:{line}")


@pytest.mark.parametrize("bad", ["x", "nan", "1_0", "1e999", '""'])
def test_the_line_of_a_bad_number_is_named(bad):
    table = read_star(f"data_\nloop_\n_x\n1\n\n{bad}\n".encode(), "a.star").tables[0]
    with pytest.raises(FormatError) as raised:
        table.numbers("x")
    assert raised.value.where == "a.star:6"


def test_missing_and_ambiguous_tables_are_named():
    star = read_star(b"data_a\nloop_\n_x\n1\ndata_b\nloop_\n_x\n1\n", "a")
    with pytest.raises(FormatError, match="2 tables have the columns x"):
        star.table_with("x")
    with pytest.raises(FormatError, match="No table has"):
        star.table_with("y")
    with pytest.raises(FormatError, match="no column y"):
        star.tables[0].text("y")


@given(
    st.binary()
    | st.lists(
        st.sampled_from(["data_", "data_a", "loop_", "_x", "_y #2", "1", "1 2", "'a b' 2", '"', "#", ";", "", " "])
    ).map(lambda lines: "\n".join(lines).encode())
)
def test_any_bytes_are_tables_or_a_format_error(data):
    try:
        for table in read_star(data, "fuzz").tables:
            for column in table.columns:
                assert len(table.text(column)) == len(table)
                table.numbers(column)
    except FormatError:
        pass


@pytest.mark.real_data
def test_every_real_star_file_is_read(real_data):
    # name, rows and columns of every block as the MANIFEST of the data states them
    expected = {
        "annotations/star/cz_relion_3_star.star": [("", 6, 22)],
        "annotations/star/cz_relion_4_star.star": [("optics", 1, 11), ("particles", 6, 24)],
        "annotations/star/relion5_picks_TS_54_xyz_only.star": [("", 1418, 4)],
        "annotations/star/relion_3.0.star": [("", 3, 15)],
        "annotations/star/relion_3.1_optics2.star": [("optics", 2, 7), ("particles", 3, 22)],
        "annotations/star/relion_4.0.star": [("optics", 1, 10), ("particles", 1746, 21)],
        "annotations/star/warp2_particles_matching.star": [
            ("general", 1, 1),
            ("optics", 5, 11),
            ("particles", 1218, 15),
        ],
        "annotations/star/syntax/empty_loop.star": [("", 0, 1)],
        "annotations/star/syntax/loop_double_quote.star": [("", 2, 8)],
        "annotations/star/syntax/rln3.1_data_style.star": [("block_1", 1, 7), ("block_2", 2, 5), ("block_3", 2, 5)],
        "annotations/star/syntax/two_single_line_loop_blocks.star": [("block_0", 1, 3), ("block_1", 1, 3)],
        "annotations/stopgap/class6_er_mr1_1_sg.star": [("stopgap_motivelist", 14561, 16)],
        "annotations/stopgap/wedge_list.star": [("stopgap_wedgelist", 120, 11)],
        "tilt/ctf/017_gctf.star": [("", 60, 12)],
        "tilt/relion5/tutorial/TS_01.star": [("TS_01", 40, 28)],
        "tilt/relion5/tutorial/tomograms.star": [("global", 5, 16)],
        "tilt/relion5/warp2/optimisation_set.star": [("", 1, 2)],
    }
    for path, blocks in expected.items():
        star = read_star((real_data / path).read_bytes(), path)
        assert [(table.name, len(table), len(table.columns)) for table in star.tables] == blocks, path


@pytest.mark.real_data
def test_quoted_values_of_a_real_file(real_data):
    table = read_star((real_data / "annotations/star/syntax/loop_double_quote.star").read_bytes(), "q").tables[0]
    assert table.text("quote_string") == ("quote string", "quote string")
    assert table.text("whitespace_string") == (" ", " ")
    assert table.text("empty_string_and_normal_string") == ("", "test")
    assert table.numbers("number").tolist() == [6.0, 7.0]


def test_many_labels_are_checked_in_bounded_time():
    """A loop over all labels for every label would take minutes here."""
    pairs = b"data_\n" + b"".join(b"_a%d 1\n" % number for number in range(100_000))
    begin = time.process_time()
    assert len(read_star(pairs, "pairs.star").tables[0].columns) == 100_000
    with pytest.raises(FormatError, match="_a9 occurs twice"):
        read_star(pairs + b"_a9 1\n", "pairs.star")
    labels = b"data_\nloop_\n" + b"".join(b"_a%d\n" % number for number in range(100_000)) + b"_a99999\n"
    with pytest.raises(FormatError, match="_a99999 occurs twice"):
        read_star(labels, "labels.star")
    assert time.process_time() - begin < 20
