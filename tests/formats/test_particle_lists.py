"""Particle lists of other programs: what is written reads back the same, and means the same to peers."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tomoportal.errors import FormatError
from tomoportal.formats import (
    Poses,
    RelionFilaments,
    RelionTomogram,
    copick_csv_poses,
    dynamo_points,
    dynamo_poses,
    imod_points,
    motivelist_points,
    motivelist_poses,
    read_imod_model,
    read_star,
    relion5_points,
    relion_points,
    relion_poses,
    stopgap_points,
    stopgap_poses,
    write_copick_csv,
    write_dynamo,
    write_imod_model,
    write_motivelist,
    write_relion,
    write_relion_import,
    write_star,
    write_stopgap,
)
from tomoportal.formats.rotations import (
    from_dynamo_angles,
    from_slicer_angles,
    from_zxz_angles,
    to_dynamo_angles,
    to_slicer_angles,
    to_zxz_angles,
)

SPACING = 7.84


@st.composite
def poses(draw: st.DrawFn, least: int = 0) -> Poses:
    count = draw(st.integers(least, 6))
    places = st.floats(-1e4, 1e4, allow_nan=False, width=32)
    angles = draw(arrays.arrays(np.float64, (count, 3), elements=st.sampled_from([0, 30, 90, 123.4, 180, -90, -7])))
    return Poses.of(
        draw(arrays.arrays(np.float64, (count, 3), elements=places)),
        from_zxz_angles(angles),
        draw(arrays.arrays(np.float64, (count, 3), elements=st.floats(-50, 50, width=32))),
        draw(arrays.arrays(np.float64, (count,), elements=st.floats(0.125, 1, width=32))),
        draw(arrays.arrays(np.int64, (count,), elements=st.integers(1, 4))),
    )


def same(one: Poses, other: Poses, *, places: float = 1e-6, turns: float = 1e-6, together: bool = False) -> None:
    """``together``: the format adds the shift to the position."""
    if together:
        np.testing.assert_allclose(one.centres, other.centres, rtol=0, atol=places)
    else:
        np.testing.assert_allclose(one.positions, other.positions, rtol=0, atol=places)
        np.testing.assert_allclose(one.shifts, other.shifts, rtol=0, atol=places)
    np.testing.assert_allclose(one.rotations, other.rotations, rtol=0, atol=turns)


@given(angles=arrays.arrays(np.float64, (5, 3), elements=st.floats(-720, 720)))
def test_angles_of_every_convention_give_their_matrix_back(angles: np.ndarray) -> None:
    for there, back in (
        (from_zxz_angles, to_zxz_angles),
        (from_dynamo_angles, to_dynamo_angles),
        (from_slicer_angles, to_slicer_angles),
    ):
        matrices = there(angles)
        np.testing.assert_allclose(there(back(matrices)), matrices, atol=1e-7)


@settings(max_examples=30)
@given(first=poses(), second=poses(least=1))
def test_every_list_reads_its_own_output_back(first: Poses, second: Poses) -> None:
    by_number = {3: first, 11: second}
    found = dynamo_poses(write_dynamo(by_number, voxel_spacing=SPACING), "a.tbl", voxel_spacing=SPACING)
    assert list(found) == [number for number, each in by_number.items() if len(each)]
    for number, each in found.items():
        same(each, by_number[number])
        np.testing.assert_array_equal(each.scores, by_number[number].scores)
    found = motivelist_poses(write_motivelist(by_number, voxel_spacing=SPACING), "a.em", voxel_spacing=SPACING)
    for number, each in found.items():
        same(each, by_number[number], places=2e-3, turns=1e-5)  # the list holds float32
        np.testing.assert_array_equal(each.scores, by_number[number].scores)
    star = read_star(write_stopgap(by_number, voxel_spacing=SPACING), "a.star")
    for number, each in stopgap_poses(star, voxel_spacing=SPACING).items():
        same(each, by_number[number])
        np.testing.assert_array_equal(each.instance_ids, by_number[number].instance_ids)
        np.testing.assert_allclose(each.scores, by_number[number].scores, atol=1e-8)
    by_name = {"TS_1": first, "a b, 'c'": second}
    for name, each in copick_csv_poses(write_copick_csv(by_name), "a.csv").items():
        same(each, by_name[name], places=0, turns=0)
        np.testing.assert_array_equal(each.scores, by_name[name].scores)
        np.testing.assert_array_equal(each.instance_ids, by_name[name].instance_ids)


@settings(max_examples=30)
@given(first=poses(), second=poses(least=1), polar=st.booleans())
def test_relion_reads_its_own_output_back(first: Poses, second: Poses, polar: bool) -> None:
    particles = {"TS_1": first, "TS 2": second}
    centred = {name: RelionTomogram((1000.0, 500.0, 250.5)) for name in particles}
    sized = {"TS_1": RelionTomogram(None, 1.35), "TS 2": RelionTomogram(None, 2.7)}
    both = {name: RelionTomogram((10.0, 0.0, 1.0), each.pixel_size) for name, each in sized.items()}
    for tomograms, options in ((centred, {}), (sized, {}), (both, {}), ({}, {"voxel_spacing": 10.0})):
        star = read_star(write_relion(particles, tomograms, **options), "a.star")
        for name, each in relion_poses(star, tomograms=tomograms, **options).items():
            same(each, particles[name], together=True)
    # Along filaments: order within a tube, tubes as instances, the reference's x axis along the filament.
    filaments = RelionFilaments({"TS_1": np.full(len(first), polar), "TS 2": np.full(len(second), polar)})
    star = read_star(write_relion(particles, both, filaments=filaments), "a.star")
    table = star.table("particles")
    assert table is not None
    assert set(table.numbers("rlnAnglePsiFlipRatio").tolist()) == {0.0 if polar else 0.5}
    for name, each in relion_poses(star, tomograms=both).items():
        order = np.argsort(particles[name].instance_ids, kind="stable")
        np.testing.assert_array_equal(each.instance_ids, particles[name].instance_ids[order])
        np.testing.assert_allclose(
            np.sort(each.centres, axis=0), np.sort(particles[name].centres, axis=0), rtol=0, atol=1e-6
        )


@settings(max_examples=20)
@given(first=poses(least=1))
def test_the_readers_of_ingestion_see_the_same(first: Poses) -> None:
    """Two readers of one format, the one of annotations and the one of whole lists, agree on centre and turn."""
    centres, rotations = first.centres / SPACING, first.rotations
    points = [
        dynamo_points(
            write_dynamo({1: first}, voxel_spacing=SPACING), "a", shape="OrientedPoint", filter_value="1", first_voxel=0
        ),
        motivelist_points(
            write_motivelist({1: first}, voxel_spacing=SPACING), "a", shape="OrientedPoint", filter_value="1"
        ),
        stopgap_points(
            read_star(write_stopgap({1: first}, voxel_spacing=SPACING), "a"), shape="OrientedPoint", filter_value="1"
        ),
        relion_points(
            read_star(write_relion({"1": first}, {"1": RelionTomogram(None, SPACING)}), "a"),
            format="relion4_star",
            shape="OrientedPoint",
        ),
        relion5_points(
            read_star(write_relion({"1": first}, {"1": RelionTomogram((5 * SPACING,) * 3)}), "a"),
            shape="OrientedPoint",
            tomogram_size=(10, 10, 10),
            pixel_size=SPACING,
        ).in_voxels(SPACING),
    ]
    for each in points:
        np.testing.assert_allclose(each.locations, centres, rtol=0, atol=2e-3)
        assert each.rotations is not None
        np.testing.assert_allclose(each.rotations, rotations, atol=1e-5)


@settings(max_examples=20)
@given(first=poses(least=1))
def test_imod_models_hold_contours_and_views(first: Poses) -> None:
    data = write_imod_model(
        first, voxel_spacing=SPACING, object_name="ribosome", size=(10, 20, 30), color=(255, 0, 51, 255), radius=78.4
    )
    model = read_imod_model(data, "a.mod")
    assert model.object_names == ("ribosome",)
    assert len(model.contours) == len(np.unique(first.instance_ids))
    found = imod_points(data, "a.mod", shape="InstanceSegmentation")
    order = np.argsort(first.instance_ids, kind="stable")
    np.testing.assert_allclose(found.locations, first.centres[order] / SPACING, rtol=1e-6, atol=1e-3)
    if not np.allclose(first.rotations, np.eye(3)):
        turned = imod_points(data, "a.mod", shape="OrientedPoint")
        np.testing.assert_allclose(turned.locations, first.centres / SPACING, rtol=1e-6, atol=1e-3)
        assert turned.rotations is not None
        np.testing.assert_allclose(turned.rotations, first.rotations, atol=1e-5)
    assert struct.unpack_from(">3i", data, 136) == (10, 20, 30)
    where = data.index(b"OBJT") + 4
    assert struct.unpack_from(">3fi", data, where + 144) == (1.0, 0.0, pytest.approx(0.2), 10)


@pytest.mark.real_data
def test_an_imod_model_has_the_layout_of_real_ones(real_data: Path) -> None:
    """Every field of the header and of the object where 3dmod itself has it: a real scattered model, written again."""
    data = (real_data / "annotations/imod/correct189.mod").read_bytes()
    real = read_imod_model(data, "real")
    points = np.concatenate(real.contours)
    ours = write_imod_model(
        Poses.of(points), voxel_spacing=1.0, object_name="", size=(507, 720, 225), color=(0, 255, 255), radius=12
    )
    np.testing.assert_array_equal(imod_points(ours, "ours", shape="Point").locations, points)
    layout = ">3iI I2i 2i 3f3f 3i 2i f".replace(" ", "")
    theirs, mine = struct.unpack_from(layout, data, 136), struct.unpack_from(layout, ours, 136)
    assert mine[:4] == theirs[:4]
    assert mine[4] & theirs[4] == mine[4]  # flags
    assert (mine[5], mine[9:15], mine[18:20], mine[20]) == (theirs[5], theirs[9:15], theirs[18:20], 1.0)
    body, own = data.index(b"OBJT") + 4, ours.index(b"OBJT") + 4
    assert struct.unpack_from(">3fi", ours, own + 144) == struct.unpack_from(">3fi", data, body + 144)
    flags, own_flags = struct.unpack_from(">I", data, body + 132)[0], struct.unpack_from(">I", ours, own + 132)[0]
    assert flags & own_flags == own_flags == 1 << 3 | 1 << 9


def test_what_is_no_rotation_is_not_written_as_angles() -> None:
    """C54: upstream writes zeros for such rows."""
    bent = Poses.of(np.zeros((2, 3)), np.stack([np.eye(3), np.diag([1.0, 1.0, -1.0])]))
    with pytest.raises(FormatError, match="row 2 is no rotation"):
        write_relion({"TS_1": bent}, {"TS_1": RelionTomogram((0.0, 0.0, 0.0))})


def test_relion_says_what_it_needs_to_know() -> None:
    one = {"TS_1": Poses.of([[1.0, 2, 3]])}
    with pytest.raises(FormatError, match="Neither the centre"):
        write_relion(one, {})
    with pytest.raises(FormatError, match=r"No tomogram center for 1 run\(s\): TS_1"):
        write_relion(one, {"TS_1": RelionTomogram(None, 1.0)}, coordinates="centered")
    with pytest.raises(FormatError, match="have no filament ID"):
        write_relion(one, {"TS_1": RelionTomogram((0.0, 0.0, 0.0))}, filaments=RelionFilaments({}))
    star = read_star(write_relion(one, {"TS_1": RelionTomogram((0.0, 0.0, 0.0))}), "a.star")
    with pytest.raises(FormatError, match="centre of the tomogram, which is not known of TS_1"):
        relion_poses(star)
    with pytest.raises(FormatError, match="not RELION 4"):
        relion_poses(star, version="relion4")
    star = read_star(write_relion(one, {}, voxel_spacing=2.0), "a.star")
    with pytest.raises(FormatError, match="pixels whose size the file does not state"):
        relion_poses(star)
    with pytest.raises(FormatError, match="not RELION 5"):
        relion_poses(star, version="relion5")


def test_half_sets_keep_filaments_whole() -> None:
    ids = np.repeat([1, 2, 3], [5, 3, 2])
    particles = {"TS_1": Poses.of(np.arange(30.0).reshape(10, 3), instance_ids=ids)}
    data = write_relion(
        particles, {"TS_1": RelionTomogram((0.0, 0.0, 0.0))}, filaments=RelionFilaments({}, half_sets=True)
    )
    table = read_star(data, "a.star").table("particles")
    assert table is not None
    assert table.text("rlnRandomSubset") == tuple("1" * 5 + "2" * 5)
    step = float(np.linalg.norm([3, 3, 3]))
    assert table.numbers("rlnHelicalTrackLengthAngst")[:5] == pytest.approx(step * np.arange(5), abs=1e-6)


def test_the_import_of_coordinates_has_an_index_and_a_file_per_tomogram() -> None:
    particles = {"TS_1": Poses.of([[1.0, 2, 3]]), "TS_2": Poses.of([[4.0, 5, 6]])}
    centres = {name: RelionTomogram((0.0, 0.0, 0.0)) for name in particles}
    index, files = write_relion_import(particles, centres)
    table = read_star(index, "a.star").table("coordinate_files")
    assert table is not None
    assert table.text("rlnTomoImportParticleFile") == ("coordinates/TS_1.star", "coordinates/TS_2.star") == tuple(files)
    found = relion_poses(read_star(files["coordinates/TS_2.star"], "b"), tomograms=centres)
    assert found["TS_2"].centres.tolist() == [[4, 5, 6]]


def test_names_that_star_cannot_hold_are_refused() -> None:
    star = read_star(write_star({"": {"a": ["x y", "#z", "", "it's", "data_x"], "b": [1, 2.5, "c", 4, 5]}}), "a")
    assert star.tables[0].text("a") == ("x y", "#z", "", "it's", "data_x")
    with pytest.raises(FormatError, match="cannot stand"):
        write_star({"": {"a": ["two\nlines"]}})
    with pytest.raises(FormatError, match="different lengths"):
        write_star({"": {"a": [1], "b": []}})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column x, y, z"),
        ("x,y\n1,2\n", "no column z; it has x, y"),
        ("x,y,z,transform_00\n1,2,3,1\n", "1 of 16 numbers"),
        ("x,y,z\n1,2\n", "2 cells, the header 3"),
        ("x,y,z\n1,2,nan\n", "z is not a number"),
        ("x,y,z,instance_id\n1,2,3,1.5\n", "instance_id is not a whole number"),
        ('x,y,z\n1,"2,3\n', "no table of comma-separated values"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        copick_csv_poses(text.encode(), "a.csv")


@pytest.mark.real_data
@pytest.mark.parametrize("reader", ["dynamo", "em", "stopgap"])
def test_real_lists_survive_being_written_again(real_data: Path, reader: str) -> None:
    folder, pattern = {"dynamo": ("dynamo", "*.tbl"), "em": ("em", "*.em"), "stopgap": ("stopgap", "*.star")}[reader]
    read = 0
    for path in sorted((real_data / "annotations" / folder).glob(pattern)):
        data = path.read_bytes()
        try:
            if reader == "dynamo":
                found = dynamo_poses(data, path.name, voxel_spacing=1.0)
                again = dynamo_poses(write_dynamo(found, voxel_spacing=1.0), "again", voxel_spacing=1.0)
            elif reader == "em":
                found = motivelist_poses(data, path.name, voxel_spacing=1.0)
                again = motivelist_poses(write_motivelist(found, voxel_spacing=1.0), "again", voxel_spacing=1.0)
            else:
                found = stopgap_poses(read_star(data, path.name), voxel_spacing=1.0)
                again = stopgap_poses(read_star(write_stopgap(found, voxel_spacing=1.0), "again"), voxel_spacing=1.0)
        except FormatError:
            continue  # files of other kinds lie there too
        read += 1
        assert found.keys() == again.keys()
        for number, each in found.items():
            same(again[number], each, places=1e-3, turns=1e-4)
    assert read
