"""Older layouts seen as today's: what is recognised, where things go, what documents become."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

import older_trees as trees

from tomoportal import model
from tomoportal.archive import Archive, layout, older
from tomoportal.archive.older import Numbers, OlderView, Tree, documents, recognise
from tomoportal.archive.older.annotations import ingest_ids, slug
from tomoportal.archive.older.found import annotations_in, spacing_folders
from tomoportal.errors import ArchiveError, StorageError
from tomoportal.storage import open_store
from tomoportal.testing.sources import write_mrc

RUN = f"{trees.DATASET}/{trees.RUN}"
VOXELS = f"{RUN}/Reconstructions/VoxelSpacing13.480"


def seen(folder: Path, name: str) -> OlderView:
    return older.view(Archive.open(trees.BUILDERS[name](folder), read_only=True))


# --- recognising


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (["TomogramVoxelSpacing13.48/CanonicalTomogram/a.mrc"], "public portal, early releases"),
        (["Reconstructions/VoxelSpacing13.480/x"], "today's"),
        (["TiltSeries/100/tiltseries_metadata.json", "Tomograms/VoxelSpacing1.0/x"], "today's"),
        (["Tomograms/VoxelSpacing13.48/x", "run_metadata.json"], "public portal, version 1"),
        (["Tomograms/VoxelSpacing13.48/KeyPhotos/key-photo-snapshot.png"], "public portal, version 1"),
        (["TiltSeries/tiltseries_metadata.json", "run_metadata.json"], "public portal, version 1"),
        (["Tomograms/VoxelSpacing13.48/CanonicalTomogram/a.mrc"], "metadata schema 1.1.0"),
        (["TiltSeries/a.mrc"], "metadata schema 1.1.0"),
        (["run_metadata.json"], "today's"),
        (["notes/a.txt"], None),
        (["VoxelSpacing13.48.txt"], None),
    ],
)
def test_a_layout_is_told_by_what_is_there(keys: list[str], name: str | None) -> None:
    known = recognise(Tree({f"10000/R/{key}": 1 for key in keys}), "10000/R")
    assert (known.NAME if known else None) == name


@pytest.mark.parametrize("name", trees.BUILDERS)
def test_every_old_file_has_a_new_place_or_is_listed(tmp_path: Path, name: str) -> None:
    view = seen(tmp_path, name)
    accounted = {old for item in view.plan.items for old, _ in item.copies}
    accounted |= {old for item in view.plan.items for old in item.sources}
    accounted |= {each.key for each in view.plan.unplaced}
    for item in view.plan.items:
        for each in item.conversions:  # of two twins, one is the source and the other replaced
            stem = each.source.rpartition(".")[0]
            accounted |= {f"{stem}.mrc", f"{stem}.zarr"}
    for key in trees.tree(tmp_path):
        assert any(key == known or key.startswith(f"{known}/") for known in accounted), key


@pytest.mark.parametrize("name", trees.BUILDERS)
def test_documents_have_todays_keys_and_pass_as_read(tmp_path: Path, name: str) -> None:
    view = seen(tmp_path, name)
    assert view.documents
    for key, document in view.documents.items():
        place = layout.parse(key)
        assert place is not None
        assert place.kind is not None, key
        assert not model.check_document(place.kind, document).errors, key
        assert list(document)[-2:] == ["deposition_id", "last_updated_at"]


@pytest.mark.parametrize("name", trees.BUILDERS)
def test_in_place_documents_name_files_that_are_there(tmp_path: Path, name: str) -> None:
    """What an index of the old tree, where it lies, would store."""
    from tomoportal.archive.references import references

    view = seen(tmp_path, name)
    for key, document in view.in_place().items():
        place = layout.parse(key)
        assert place is not None
        assert place.kind is not None
        for each in references(place.kind, document):
            if each.is_document:
                assert each.key in view.documents
            else:
                assert (tmp_path / each.key).exists(), f"{key} {each.field} {each.key}"


def test_reading_changes_nothing_and_reads_no_voxel(tmp_path: Path) -> None:
    trees.build_v1(tmp_path)
    before = trees.tree(tmp_path)
    older.view(Archive.open(tmp_path, read_only=True))
    assert trees.tree(tmp_path) == before


def test_a_folder_without_datasets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(ArchiveError, match="there is no dataset"):
        older.view(Archive.open(tmp_path, read_only=True))
    trees.build_v1(tmp_path)
    with pytest.raises(ArchiveError, match="no dataset 10009"):
        older.view(Archive.open(tmp_path, read_only=True), datasets=["10009"])


# --- spacings are numbers


@given(st.floats(min_value=0.01, max_value=999.0), st.integers(min_value=0, max_value=5))
def test_a_spacing_is_read_as_a_number(spacing: float, zeros: int) -> None:
    text = f"{spacing:.3f}" + "0" * zeros
    found = spacing_folders(Tree({f"r/Tomograms/VoxelSpacing{text}/x": 1}), "r/Tomograms", "VoxelSpacing")
    assert [(f"{value:.3f}") for _, value in found] == ([f"{spacing:.3f}"] if float(text) >= 0.001 else [])


@pytest.mark.parametrize("text", ["", "abc", "-1", "1e5", "13.48 ", ".", "0", "0.0001", "nan"])
def test_what_is_no_spacing_is_not_taken_for_one(text: str) -> None:
    assert spacing_folders(Tree({f"r/VoxelSpacing{text}/x": 1}), "r", "VoxelSpacing") == []


# --- annotations


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=20)


@given(st.lists(st.tuples(st.none() | st.from_regex(r"[a-z]{1,4}-[1-9]", fullmatch=True), NAMES), max_size=12))
def test_ingest_ids_are_unique_stable_and_keep_what_is_there(names: list[tuple[str | None, str]]) -> None:
    result = ingest_ids(names)
    assert result == ingest_ids(names)
    for (known, name), given_id in zip(names, result, strict=True):
        assert given_id == known if known else given_id.startswith(f"{slug(name)}-")
    made = [one for (known, _), one in zip(names, result, strict=True) if not known]
    assert len(set(made)) == len(made)
    assert not set(made) & {known for known, _ in names if known}


def test_slugs_are_those_of_the_config_migration() -> None:
    assert [slug(name) for name in ("Membrane", "fatty acid  synthase (FAS)", "---", "")] == [
        "membrane",
        "fatty-acid-synthase-fas",
        "unknown",
        "unknown",
    ]
    assert ingest_ids([(None, "a"), (None, "b"), (None, "a")]) == ["a-1", "b-1", "a-2"]
    assert ingest_ids([(None, "a"), ("a-1", "a"), (None, "a"), (None, "b")]) == ["a-2", "a-1", "a-4", "b-1"]


@given(NAMES, st.integers(min_value=1, max_value=99999), st.sampled_from("-_"))
def test_the_number_before_the_name_is_the_old_id(name: str, number: int, join: str) -> None:
    stem = f"{name}-1.0"
    found = annotations_in(Tree({f"a/{number}{join}{stem}.json": 1, f"a/{number}{join}{stem}_caption.json": 1}), "a")
    if not name.startswith("."):
        assert [(each.number, each.stem) for each in found] == [(number, stem)]


@given(st.lists(st.tuples(st.text("ab", max_size=3), st.none() | st.integers(-2, 130)), max_size=20))
def test_numbers_are_kept_where_free_and_never_given_twice(wishes: list[tuple[str, int | None]]) -> None:
    container, taken = layout.Container.run(1, "r"), {100, 107}
    numbers = Numbers(taken=lambda kind, scope: taken)
    given_numbers: dict[str, int] = {}
    for identity, wanted in wishes:
        number = numbers.give(container, "annotation", "s", identity, wanted)
        assert given_numbers.setdefault(identity, number) == number
        assert number not in taken
        assert number > 0
    assert len(set(given_numbers.values())) == len(given_numbers)
    assert Numbers().give(container, "annotation", "s", "x", 102) == 102
    assert Numbers().give(container, "annotation", "s", "x", None) == 100


def test_annotations_keep_their_numbers(tmp_path: Path) -> None:
    keys = [key for key in seen(tmp_path, "v1").documents if "/Annotations/" in key]
    assert keys == [
        f"{VOXELS}/Annotations/100/fatty_acid_synthase_complex-1.0.json",
        f"{VOXELS}/Annotations/102/membrane-1.0.json",
    ]


def test_annotations_of_authors_are_told_apart_by_their_ingest_ids(tmp_path: Path) -> None:
    found = [doc for key, doc in seen(tmp_path, "early").documents.items() if "/Annotations/" in key]
    assert [doc["annotation_ingest_id"] for doc in found] == ["ribosome-1", "membrane-1", "ribosome-2"]
    assert [file["shape"] for file in found[1]["files"]] == ["SegmentationMask"] * 2
    assert found[1]["object_count"] == 1


def test_annotations_of_a_run_with_several_spacings_are_listed(tmp_path: Path) -> None:
    trees.build_schema_1_1(tmp_path)
    key = f"{RUN}/Annotations/002_membrane_1.0.json"
    trees.write_json(tmp_path / key, trees.annotation_document("membrane", []))
    plan = older.view(Archive.open(tmp_path, read_only=True)).plan
    assert "several voxel spacings" in next(each.text for each in plan.unplaced if each.key == key)


# --- documents


def test_sample_parts_are_filled_and_cell_is_kept() -> None:
    told: list[str] = []
    document = documents.dataset({**trees.dataset_document(), "cell_name": "x"}, told.append)
    assert document["sample_type"] == "cell"
    assert document["assay"] == document["disease"] == {"name": "not_reported", "id": "not_reported"}
    assert document["development_stage"] == {"name": "unknown", "id": "unknown"}
    assert document["authors"][0]["ORCID"] == "0000-0002-1825-0097"
    assert told == ["today's documents have no place for cell_name ('x')"]


@pytest.mark.parametrize(
    ("value", "word"),
    [(True, "FIDUCIAL"), ("False", "NON_FIDUCIAL"), (None, "NON_FIDUCIAL"), ("fiducial", "FIDUCIAL"), ("x", "X")],
)
def test_fiducials(value: Any, word: str) -> None:
    old = trees.tomogram_document(fiducial_alignment_status=value)
    assert documents.tomogram(old, trees.DATES, lambda text: None)["fiducial_alignment_status"] == word


def test_tomogram_and_tilt_series_documents() -> None:
    told: list[str] = []
    tomogram = documents.tomogram(trees.tomogram_document(), trees.DATES, told.append)
    assert (tomogram["tomogram_version"], tomogram["align_software"], tomogram["dates"]) == (1.0, "IMOD", trees.DATES)
    assert "mrc_files" not in tomogram
    series = documents.tilt_series(trees.tilt_series_document(), told.append)
    assert series["microscope"]["additional_info"] == "Warp-aligned"
    assert series["camera"]["model"] == "K2 SUMMIT"
    assert told == ["it has no dates; those of the dataset are taken"]


def test_stamps_come_from_documents_never_from_the_clock() -> None:
    finished = documents.finished({"dates": {"last_modified_date": "2023-06-01"}, "deposition_id": "7"}, 1, 5)
    assert finished == {"dates": finished["dates"], "deposition_id": 7, "last_updated_at": 1685577600}
    assert documents.finished({"last_updated_at": 1728676818.25}, 3, 5) == {
        "deposition_id": 3,
        "last_updated_at": 1728676818,
    }
    assert documents.finished({"dates": {"last_modified_date": "soon"}}, None, 5)["last_updated_at"] == 5


def test_alignments_are_made_in_angstrom(tmp_path: Path) -> None:
    """x_offset, y_offset = Aᵀ·(−d) × pixel spacing (transforms 8.1)."""
    found = seen(tmp_path, "v1").documents[f"{RUN}/Alignments/100/alignment_metadata.json"]
    assert (found["format"], found["method_type"], found["offset_unit"]) == ("IMOD", "fiducial_based", "angstrom")
    a, d = [[0.0923706, 0.9957247], [-0.9957247, 0.0923706]], [2.5, -2.25]
    row = found["per_section_alignment_parameters"][2]
    assert row["x_offset"] == pytest.approx(-(a[0][0] * d[0] + a[1][0] * d[1]) * trees.PIXEL, abs=1e-4)
    assert row["y_offset"] == pytest.approx(-(a[0][1] * d[0] + a[1][1] * d[1]) * trees.PIXEL, abs=1e-4)
    assert row["tilt_angle"] == pytest.approx(0.1)
    assert found["volume_dimension"] == {"x": 431.36, "y": 323.52, "z": 134.8}
    assert found["tiltseries_path"] == f"{RUN}/TiltSeries/100/tiltseries_metadata.json"


def test_offsets_of_voxels_become_angstrom(tmp_path: Path) -> None:
    documents_ = seen(tmp_path, "schema_1_1").documents
    offsets = [doc["volume_offset"] for key, doc in documents_.items() if "/Alignments/" in key]
    assert offsets == [{"x": 13.48, "y": 0, "z": -6.74}, {"x": 26.96, "y": 0, "z": -13.48}]
    tomograms = {key: doc for key, doc in documents_.items() if "/Tomograms/" in key}
    assert [doc["offset"] for doc in tomograms.values()] == [{"x": 2, "y": 0, "z": -1}] * 2


def test_an_alignment_document_of_schema_1_1_is_converted(tmp_path: Path) -> None:
    trees.build_v1(tmp_path)
    old: dict[str, Any] = {
        "offset": {"x": 1, "y": 2, "z": 3},
        "volume_dimension": {"x": 32, "y": 24, "z": 10},
        "files": [None],
    }
    rows = [{"z_index": 0, "x_offset": 2.0, "y_offset": -1.0, "in_plane_rotation": [1, 0, 0, 1]}]
    old |= {"per_section_alignment_parameters": rows, "x_rotation_offset": 1.5}
    trees.write_json(tmp_path / RUN / "Alignments/103-alignment_metadata.json", old)
    (tmp_path / RUN / "Alignments/103-TS_026.xf").write_text("1 0 0 1 -2 1\n")
    view = older.view(Archive.open(tmp_path, read_only=True))
    found = view.documents[f"{RUN}/Alignments/103/alignment_metadata.json"]
    assert found["volume_offset"] == {"x": 13.48, "y": 26.96, "z": 40.44}
    assert found["volume_dimension"] == {"x": 431.36, "y": 323.52, "z": 134.8}
    row = found["per_section_alignment_parameters"][0]
    assert (row["x_offset"], row["y_offset"], found["offset_unit"]) == (2 * trees.PIXEL, -trees.PIXEL, "angstrom")
    assert row["in_plane_rotation"] == [[1, 0], [0, 1]]
    assert view.sources[f"{RUN}/Alignments/103/{trees.RUN}.xf"] == f"{RUN}/Alignments/103-TS_026.xf"


def test_frames_without_a_dose_rate_keep_their_values(tmp_path: Path) -> None:
    trees.build_v1(tmp_path)
    frames = [{"acquisition_order": 0, "dose": 1.5, "defocus": 2.0}, {"acquisition_order": 1, "exposure_dose": 2.0}]
    trees.write_json(tmp_path / RUN / "Frames/frames_metadata.json", {"frames": frames})
    view = older.view(Archive.open(tmp_path, read_only=True))
    found = view.documents[f"{RUN}/Frames/frames_metadata.json"]
    assert found.get("dose_rate") is None
    assert [frame["exposure_dose"] for frame in found["frames"]] == [1.5, 2.0]
    assert [frame["accumulated_dose"] for frame in found["frames"]] == [0.0, 1.5]
    assert any("frames[0].defocus" in each.text for each in view.plan.remarks)


def test_frames_are_made_from_mdoc_and_total_flux(tmp_path: Path) -> None:
    found = seen(tmp_path, "schema_1_1").documents[f"{RUN}/Frames/frames_metadata.json"]
    assert found["dose_rate"] == pytest.approx(2.0)
    assert sum(frame["exposure_dose"] for frame in found["frames"]) == pytest.approx(15.0)
    assert found["frames"][0]["path"] == f"{RUN}/Frames/{trees.RUN}_0.mrc"


def test_of_two_stacks_the_one_that_the_document_describes(tmp_path: Path) -> None:
    trees.build_v1(tmp_path)
    folder = tmp_path / RUN / "TiltSeries"
    write_mrc(folder / f"{trees.RUN}_bin1.mrc", np.zeros((5, 4, 6), np.float32), 3.37, stack=True)
    size = {"z": 5, "y": 4, "x": 6}
    trees.write_json(folder / "tiltseries_metadata.json", trees.tilt_series_document(mrc_files=[], size=size))
    plan = older.view(Archive.open(tmp_path, read_only=True)).plan
    made = [each for item in plan.items for each in item.conversions]
    assert [each.source for each in made] == [f"{RUN}/TiltSeries/{trees.RUN}_bin1.mrc"]
    assert f"{RUN}/TiltSeries/{trees.RUN}.mrc" in {each.key for each in plan.unplaced}


def test_unreadable_documents_are_listed_with_their_place(tmp_path: Path) -> None:
    trees.build_v1(tmp_path)
    for key in ("TiltSeries/tiltseries_metadata.json", "Tomograms/VoxelSpacing13.48/Annotations/102-membrane-1.0.json"):
        (tmp_path / RUN / key).write_text("{oops")
    plan = older.view(Archive.open(tmp_path, read_only=True)).plan
    listed = {each.key: each.text for each in plan.unplaced}
    assert "line 1, column 2" in listed[f"{RUN}/TiltSeries/tiltseries_metadata.json"]
    assert "no readable" in listed[f"{RUN}/TiltSeries/{trees.RUN}.mrc"]
    assert f"{RUN}/Tomograms/VoxelSpacing13.48/Annotations/102-membrane-1.0.json" in listed


# --- real documents


@pytest.mark.real_data
def test_real_documents_with_their_oddities(real_data: Path) -> None:
    """Bucket name before a path, ``saber``, numbers before names in id folders, frames without a dose rate."""
    view = older.view(Archive.open(real_data / "cz_metadata", read_only=True), datasets=["30001"])
    assert view.plan.layouts == (("30001/RUN1", "today's"),)
    spacing = "30001/RUN1/Reconstructions/VoxelSpacing12.300"
    annotation = view.documents[f"{spacing}/Annotations/100/foo-1.0.json"]
    assert annotation["alignment_metadata_path"] == "30001/RUN1/Alignments/100/alignment_metadata.json"
    assert annotation["annotation_ingest_id"] == "100-foo-1.0"
    caption = f"{spacing}/Annotations/100/foo-1.0_globalcaption.json"
    assert view.sources[caption] == f"{spacing}/Annotations/100/100-foo-1.0_globalcaption.json"
    assert next(file for file in annotation["files"] if file["path"] == caption)["format"] == "json"
    alignment = view.documents["30001/RUN1/Alignments/100/alignment_metadata.json"]
    row = alignment["per_section_alignment_parameters"][0]
    assert row["in_plane_rotation"] == [[0.1, 0.2], [-0.3, 0.4]]
    assert row["x_offset"] == pytest.approx(-4.345 * 4.37)
    frames = view.documents["30001/RUN1/Frames/frames_metadata.json"]
    assert frames.get("dose_rate") is None
    assert len(frames["frames"]) == 3
    assert view.documents["30001/RUN1/TiltSeries/100/tiltseries_metadata.json"]["camera"]["model"] == "K2 SUMMIT"
    assert view.documents["depositions_metadata/300/deposition_metadata.json"]["deposition_identifier"] == 300
    problems = {item.label: item.problem for item in view.plan.items if item.problem}
    assert "neither an MRC file nor an OME-Zarr" in problems[f"{spacing}/Tomograms/100/tomogram_metadata.json"]


@pytest.mark.real_data
def test_real_documents_read_the_same_twice(real_data: Path) -> None:
    views = [older.view(Archive.open(real_data / "cz_metadata", read_only=True), datasets=["30001"]) for _ in range(2)]
    assert json.dumps(views[0].documents) == json.dumps(views[1].documents)


# --- documents that anybody may have written


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 400) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def three_trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: build(tmp_path_factory.mktemp(name)) for name, build in trees.BUILDERS.items()}


@given(name=st.sampled_from(sorted(trees.BUILDERS)), data=st.data())
@settings(max_examples=60)
def test_junk_in_a_document_never_breaks_the_plan(three_trees: dict[str, Path], name: str, data: st.DataObject) -> None:
    """Whatever a field holds, the plan is made; what cannot be stored is refused when it is written."""
    root = three_trees[name]
    path = data.draw(st.sampled_from(sorted(root.rglob("*.json"))))
    kept = path.read_bytes()
    document = json.loads(kept)
    place: Any = document
    while isinstance(place, (dict, list)) and place:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(JUNK)
            break
        place = place[key]
    try:
        path.write_text(json.dumps(document))
        view = older.view(Archive.open(root, read_only=True))
        assert view.documents
        view.in_place()
    finally:
        path.write_bytes(kept)


@given(NAMES)
@settings(max_examples=50)
def test_run_names_are_kept_or_refused_and_nothing_is_lost(name: str) -> None:
    store = open_store("memory://")
    key = f"10000/{name}/TiltSeries/{name}.rawtlt"
    try:
        store.put(f"10000/{name}/run_metadata.json", b"{}")
        store.put(key, b"0\n")
    except (StorageError, ArchiveError):
        return  # no key of any store
    store.put("10000/dataset_metadata.json", b"{}")
    plan = older.view(Archive.open(store)).plan
    listed = {each.key for each in plan.unplaced}
    assert key in listed or f"10000/{name}" in listed or name in ("Images", "KeyPhoto", "KeyPhotos") or name[0] == "."
    for new in plan.documents():
        place = layout.parse(new)
        assert place is not None
        assert place.container.run_name in (None, name)
