"""Archive → rows: every table, increments, ids, and documents that cannot be used (catalog-import 12)."""

from __future__ import annotations

import collections
import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tomoportal.archive import Archive
from tomoportal.catalog import Bases, Catalog, GraphQL, default_url, index
from tomoportal.catalog.graph import Graph
from tomoportal.catalog.mapping import rows as mapped
from tomoportal.catalog.search import search

BASES = Bases("s3://bucket", "http://host/files")
RUN = "10001/TS_run1"
SPACING = f"{RUN}/Reconstructions/VoxelSpacing13.480"
TOMOGRAM = f"{SPACING}/Tomograms/100/tomogram_metadata.json"
ANNOTATION = f"{SPACING}/Annotations/100/membrane-1.0.json"
ALIGNMENT = f"{RUN}/Alignments/100/alignment_metadata.json"
TILTSERIES = f"{RUN}/TiltSeries/100/tiltseries_metadata.json"


NewUrl = Callable[[str], str]


@pytest.fixture
def catalog(new_url: NewUrl) -> Iterator[Catalog]:
    with Catalog.open(new_url("catalog"), create=True) as catalog:
        yield catalog


def rows(catalog: Catalog, name: str) -> list[dict[str, Any]]:
    table = catalog.tables[name]
    with catalog.read() as connection:
        return [dict(row) for row in connection.execute(select(table).order_by(table.c.id)).mappings()]


def everything(catalog: Catalog) -> dict[str, list[dict[str, Any]]]:
    return {table.name: rows(catalog, table.name) for table in catalog.tables.in_order()}


def only(catalog: Catalog, name: str) -> dict[str, Any]:
    (row,) = rows(catalog, name)
    return row


def answered(catalog: Catalog, query: str) -> Any:
    answer = json.loads(GraphQL(catalog).execute(query, bases=BASES).body)
    assert "errors" not in answer, answer
    return answer["data"]


def test_every_table_gets_its_rows(example: Any, catalog: Catalog) -> None:
    report = index(example.write(), catalog)
    assert report.problems == []
    assert report.rows == {
        "alignment": 1,
        "annotation": 1,
        "annotation_author": 2,
        "annotation_file": 3,
        "annotation_method_link": 1,
        "annotation_shape": 2,
        "dataset": 1,
        "dataset_author": 3,
        "dataset_funding": 1,
        "deposition": 1,
        "deposition_author": 2,
        "deposition_type": 2,
        "frame": 2,
        "frame_acquisition_file": 1,
        "gain_file": 2,
        "identified_object": 2,
        "per_section_alignment_parameters": 1,
        "per_section_parameters": 2,
        "run": 1,
        "tiltseries": 1,
        "tomogram": 1,
        "tomogram_author": 2,
        "tomogram_voxel_spacing": 1,
    }
    assert set(report.rows) == set(Graph().by_table)


def test_wire_values(example: Any, catalog: Catalog) -> None:
    index(example.write(), catalog)
    dataset = answered(
        catalog,
        "{datasets{id title depositionId s3Prefix httpsPrefix keyPhotoUrl keyPhotoThumbnailUrl organismTaxid sampleType"
        " releaseDate relatedDatabaseEntries authors{edges{node{name authorListOrder orcid primaryAuthorStatus}}}}}",
    )["datasets"][0]
    assert dataset["id"] == 10001
    assert dataset["s3Prefix"] == "s3://bucket/10001/"
    assert dataset["httpsPrefix"] == "http://host/files/10001/"
    assert dataset["keyPhotoUrl"] == "https://elsewhere.example/snapshot.png"
    assert dataset["keyPhotoThumbnailUrl"] is None
    assert dataset["releaseDate"] == "2023-06-01T00:00:00+00:00"
    assert [edge["node"]["authorListOrder"] for edge in dataset["authors"]["edges"]] == [1, 2, 3]  # O7
    assert dataset["authors"]["edges"][2]["node"]["primaryAuthorStatus"] is False
    tomogram = answered(
        catalog,
        "{tomograms{name voxelSpacing fiducialAlignmentStatus reconstructionMethod reconstructionSoftware"
        " isPortalStandard isAuthorSubmitted scale0Dimensions scale2Dimensions s3OmezarrDir httpsMrcFile fileSizeMrc"
        " fileSizeOmezarr keyPhotoUrl neuroglancerConfig ctfCorrected publications alignment{id} tomogramVoxelSpacing{"
        "voxelSpacing s3Prefix}}}",
    )["tomograms"][0]
    config = json.loads(tomogram.pop("neuroglancerConfig"))
    assert config == {"layers": [{"source": "zarr://http://host/files/10001/x.zarr"}]}
    assert tomogram == {
        "name": "TS_run1",
        "voxelSpacing": 13.48,
        "fiducialAlignmentStatus": "FIDUCIAL",
        "reconstructionMethod": "Fourier_Space",
        "reconstructionSoftware": "Unknown",
        "isPortalStandard": True,  # F85: from the alignment
        "isAuthorSubmitted": True,
        "scale0Dimensions": "128,96,64",
        "scale2Dimensions": None,  # F87
        "s3OmezarrDir": f"s3://bucket/{SPACING}/Tomograms/100/TS_run1.zarr",
        "httpsMrcFile": f"http://host/files/{SPACING}/Tomograms/100/TS_run1.mrc",
        "fileSizeMrc": 18.0,
        "fileSizeOmezarr": 19.0,
        "keyPhotoUrl": None,
        "ctfCorrected": False,
        "publications": "10.1101/2022.01.01.00002",
        "alignment": {"id": 1},
        "tomogramVoxelSpacing": {"voxelSpacing": 13.48, "s3Prefix": f"s3://bucket/{SPACING}/"},
    }


def test_tilt_series_and_sections(example: Any, catalog: Catalog) -> None:
    report = index(example.write(), catalog)
    series = only(catalog, "tiltseries")
    assert (series["tilt_min"], series["tilt_max"], series["tilt_range"]) == (-4.38, 4.29, 8.67)
    assert (series["file_size_mrc"], series["file_size_omezarr"]) == (15, 33)  # F91: .mrc.bak does not count
    assert json.loads(series["extra"])["acquire_mode"] == "counting"
    first, second = rows(catalog, "per_section_parameters")
    assert json.loads(first["extra"]) == {"cross_correlation": 0.1}  # F90
    frames = {frame["id"]: frame for frame in rows(catalog, "frame")}
    assert frames[first["frame_id"]]["file_size"] == 14
    placeholder = frames[second["frame_id"]]  # F88
    assert (placeholder["acquisition_order"], placeholder["frame_path_key"]) == (7, None)
    assert any("no frame 7" in warning.what for warning in report.warnings)
    assert {row["file_path_key"].rpartition("/")[2] for row in rows(catalog, "gain_file")} == {
        "CountRef_TS_run1.gain",
        "other_gain.mrc",
    }  # F81


def test_alignment(example: Any, catalog: Catalog) -> None:
    index(example.write(), catalog)
    alignment = only(catalog, "alignment")
    assert alignment["alignment_method"] is None
    assert alignment["tiltseries_id"] == only(catalog, "tiltseries")["id"]
    assert json.loads(alignment["affine_transformation_matrix"])[3] == [0, 0, 0, 1]
    section = only(catalog, "per_section_alignment_parameters")
    assert (section["x_offset"], section["y_offset"]) == (5.0, -10.0)  # F22: pixels of 2.5 Å
    assert json.loads(section["in_plane_rotation"]) == [[0.1, -0.9], [0.9, 0.1]]
    assert json.loads(section["extra"]) == {"beam_tilt": 0.5}


def test_offsets_in_angstrom_are_served_as_they_are(example: Any, catalog: Catalog) -> None:
    example.change(ALIGNMENT, offset_unit="angstrom")
    index(example.write(), catalog)
    assert only(catalog, "per_section_alignment_parameters")["x_offset"] == 2.0


def test_annotation_files(example: Any, catalog: Catalog) -> None:
    index(example.write(), catalog)
    assert [row["shape_type"] for row in rows(catalog, "annotation_shape")] == ["Mesh", "SegmentationMask"]  # F86
    files = {row["format"]: row for row in rows(catalog, "annotation_file")}
    assert (files["zarr"]["file_size"], files["mrc"]["file_size"], files["glb"]["file_size"]) == (21, 20, None)
    assert {row["source"] for row in files.values()} == {"dataset_author"}
    assert {row["alignment_id"] for row in files.values()} == {1}


def test_source_of_files_of_another_deposition(example: Any, catalog: Catalog) -> None:
    other = copy.deepcopy(example.documents["depositions_metadata/10301/deposition_metadata.json"])
    example.documents["depositions_metadata/10302/deposition_metadata.json"] = other | {"deposition_identifier": 10302}
    example.change(ANNOTATION, deposition_id=10302)
    example.documents[ANNOTATION]["files"][0]["is_portal_standard"] = True
    index(example.write(), catalog)
    assert {row["format"]: row["source"] for row in rows(catalog, "annotation_file")} == {
        "zarr": "portal_standard",
        "mrc": "community",
        "glb": "community",
    }


def test_dataset_size_is_everything_below_its_folder(example: Any, catalog: Catalog) -> None:
    archive = example.write()
    index(archive, catalog)
    files = [path for path in (example.folder / "10001").rglob("*") if path.is_file()]
    assert only(catalog, "dataset")["file_size"] == sum(path.stat().st_size for path in files)


def test_second_time_nothing_is_read_or_written(example: Any, catalog: Catalog) -> None:
    archive = example.write()
    first = index(archive, catalog)
    before = everything(catalog)
    second = index(archive, catalog)
    assert (second.read, second.unchanged) == (0, 3)
    assert second.added == second.updated == second.removed == {}
    assert second.version == first.version == catalog.version
    assert everything(catalog) == before


def test_one_changed_document_changes_one_row(example: Any, catalog: Catalog) -> None:
    index(example.write(), catalog)
    before = everything(catalog)
    version = catalog.version
    example.change(TOMOGRAM, processing="denoised")
    report = index(example.write(), catalog)
    # The dataset's size changes with the length of the document.
    assert report.updated == {"tomogram": 1, "dataset": 1}
    assert report.added == report.removed == {}
    assert report.unchanged == 1
    assert catalog.version != version
    after = everything(catalog)
    before["tomogram"][0]["processing"] = "denoised"
    before["dataset"][0]["file_size"] = after["dataset"][0]["file_size"]
    assert after == before


def test_what_left_the_archive_is_removed(example: Any, catalog: Catalog) -> None:
    index(example.write(), catalog)
    del example.documents[ALIGNMENT]
    report = index(example.write(), catalog)
    assert report.removed == {"alignment": 1, "per_section_alignment_parameters": 1}
    assert only(catalog, "tomogram")["alignment_id"] is None  # the tomogram stays
    for key in [key for key in example.documents if key.startswith(RUN)]:
        del example.documents[key]
    index(example.write(), catalog)
    assert rows(catalog, "run") == rows(catalog, "tomogram") == rows(catalog, "annotation_file") == []
    assert len(rows(catalog, "dataset")) == 1
    del example.documents["10001/dataset_metadata.json"]
    report = index(example.write(), catalog)
    assert rows(catalog, "dataset") == rows(catalog, "dataset_author") == []
    assert len(rows(catalog, "deposition")) == 1
    with catalog.read() as connection:
        assert {hit.kind for hit in search(connection, "Ada")} == {"deposition"}


def test_ids_survive_the_database(example: Any, new_url: NewUrl) -> None:  # F92
    archive = example.write()
    with Catalog.open(new_url("one"), create=True) as one:
        index(archive, one)
        example.documents["10001/AA_first/run_metadata.json"] = {"run_name": "AA_first"}
        example.write()
        index(archive, one)
        before = everything(one)
    url = new_url("two")
    with Catalog.open(url, create=True) as two:
        report = index(archive, two)
        assert everything(two) == before
        assert {row["name"]: row["id"] for row in rows(two, "run")} == {"TS_run1": 1, "AA_first": 2}
        version = report.version
    with Catalog.open(url, rebuild=True) as two:
        assert rows(two, "run") == []
        assert index(archive, two).version == version


def test_an_id_is_never_given_twice(example: Any, catalog: Catalog) -> None:
    index(example.write(), catalog)
    kept = example.documents.pop(TOMOGRAM)
    index(example.write(), catalog)
    example.documents[TOMOGRAM.replace("/100/", "/101/")] = kept
    index(example.write(), catalog)
    assert [row["id"] for row in rows(catalog, "tomogram")] == [2]
    example.documents[TOMOGRAM] = kept
    index(example.write(), catalog)
    assert [row["id"] for row in rows(catalog, "tomogram")] == [1, 2]


def test_equal_archives_give_equal_rows(example: Any, tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        example.folder = tmp_path / name
        archive = example.write()
        with Catalog.open(default_url(archive), create=True) as catalog:
            index(archive, catalog)
            found.append((everything(catalog), catalog.version))
    assert found[0] == found[1]


def test_several_tilt_series_alignments_and_tomograms(example: Any, catalog: Catalog) -> None:
    for key in (TILTSERIES, ALIGNMENT, TOMOGRAM, ANNOTATION):
        twin = copy.deepcopy(example.documents[key])
        example.documents[key.replace("/100/", "/1000/")] = twin
        example.documents[key.replace("/100/", "/101/")] = copy.deepcopy(twin)
    report = index(example.write(), catalog)
    assert report.problems == []
    for name in ("tiltseries", "alignment", "tomogram", "annotation"):  # F82, F83, F84, O3
        assert report.rows[name] == 3
    assert report.rows["annotation_file"] == 9
    assert report.rows["identified_object"] == 2  # O15: two states of one object


@pytest.mark.parametrize(
    ("key", "changes", "table", "words"),
    [
        (TOMOGRAM, {"processing": "sharpened"}, "tomogram", ["processing", "sharpened", "filtered_even"]),
        (TOMOGRAM, {"size": None}, "tomogram", ["size.x", "required"]),
        (TOMOGRAM, {"deposition_id": 4}, "tomogram", ["deposition_id", "no deposition 4"]),
        (TILTSERIES, {"pixel_spacing": "wide"}, "tiltseries", ["pixel_spacing", "not a number"]),
        (ALIGNMENT, {"is_portal_standard": "yes"}, "alignment", ["is_portal_standard", "true or false"]),
        (ANNOTATION, {"dates": {"release_date": "soon"}}, "annotation", ["dates.release_date", "YYYY-MM-DD"]),
        (ANNOTATION, {"method_type": None}, "annotation", ["method_type", "required"]),
    ],
)
def test_a_bad_document_is_left_out_and_reported(
    example: Any, catalog: Catalog, key: str, changes: dict[str, Any], table: str, words: list[str]
) -> None:
    example.change(key, **changes)
    report = index(example.write(), catalog)
    assert rows(catalog, table) == []
    assert report.rows["run"] == 1
    text = "\n".join(str(problem) for problem in report.problems)
    assert key in text
    assert all(word in text for word in words), text
    for other in {"tomogram", "alignment", "tiltseries", "annotation"} - {table}:
        assert report.rows[other] == 1, other


def test_a_problem_is_reported_until_it_is_mended(example: Any, catalog: Catalog) -> None:
    example.change(TOMOGRAM, processing="sharpened")
    index(example.write(), catalog)
    assert len(index(example.write(), catalog).problems) == 1
    example.change(TOMOGRAM, processing="raw")
    report = index(example.write(), catalog)
    assert report.problems == []
    assert report.added["tomogram"] == 1
    assert index(example.write(), catalog).read == 0


def test_an_unreadable_document_deletes_nothing(example: Any, catalog: Catalog) -> None:
    index(example.write(), catalog)
    before = everything(catalog)
    for key in (TOMOGRAM, ANNOTATION, "10001/dataset_metadata.json"):
        (example.folder / key).write_bytes(b'{"half": ')
        report = index(Archive.open(example.folder), catalog)
        assert any(key in problem.where for problem in report.problems)
        assert report.added == report.updated == report.removed == {}
        assert everything(catalog) == before


def test_an_unreadable_document_of_a_new_run_is_the_only_thing_missing(example: Any, catalog: Catalog) -> None:
    archive = example.write()
    (example.folder / TOMOGRAM).write_bytes(b"{")
    report = index(archive, catalog)
    assert report.rows["tomogram"] == 0
    assert report.rows["annotation"] == 1


def test_a_missing_viewer_state_is_no_problem(example: Any, catalog: Catalog) -> None:
    del example.documents[f"{SPACING}/NeuroglancerPrecompute/100-neuroglancer_config.json"]
    report = index(example.write(), catalog)
    assert only(catalog, "tomogram")["neuroglancer_config"] is None
    assert report.problems == []
    assert any("neuroglancer_config_path" in warning.where for warning in report.warnings)


def test_fractions_are_rounded_and_reported(example: Any, catalog: Catalog) -> None:
    example.change(TILTSERIES, acceleration_voltage=299999.5)
    report = index(example.write(), catalog)
    assert only(catalog, "tiltseries")["acceleration_voltage"] == 300000
    assert any("fraction" in warning.what for warning in report.warnings)


def test_missing_ingest_ids_are_made_up_in_a_stable_way(example: Any, catalog: Catalog) -> None:
    document = example.documents[ANNOTATION]
    del document["annotation_ingest_id"]
    example.documents[ANNOTATION.replace("/100/", "/101/")] = copy.deepcopy(document)
    index(example.write(), catalog)
    assert [row["annotation_ingest_id"] for row in rows(catalog, "annotation")] == ["membrane-1", "membrane-2"]


def test_only_the_chosen_dataset(example: Any, catalog: Catalog) -> None:
    other = copy.deepcopy(example.documents["10001/dataset_metadata.json"]) | {"dataset_identifier": 10002}
    example.documents["10002/dataset_metadata.json"] = other
    archive = example.write()
    index(archive, catalog, datasets=[10002])
    assert [row["id"] for row in rows(catalog, "dataset")] == [10002]
    assert index(archive, catalog, datasets=["10001"]).problems == []
    assert "dataset 7" in str(index(archive, catalog, datasets=[7]).problems[0])
    assert [row["id"] for row in rows(catalog, "dataset")] == [10001, 10002]


def test_a_dataset_without_its_deposition_is_reported(example: Any, catalog: Catalog) -> None:
    del example.documents["depositions_metadata/10301/deposition_metadata.json"]
    # Another folder that only begins like it is not taken for it (O1).
    example.documents["depositions_metadata/103010/deposition_metadata.json"] = {"deposition_identifier": 10301}
    report = index(example.write(), catalog)
    assert report.rows["dataset"] == 0
    assert any("no deposition 10301" in problem.what for problem in report.problems)


def test_search(example: Any, catalog: Catalog) -> None:
    index(example.write(), catalog)
    with catalog.read() as connection:
        for text in ("dataset", "ada author", "homo", "MEMBRANE", "DS-10001", "EMPIAR-00001", "0000-0001-0001-0001"):
            assert ("dataset", 10001) in {(hit.kind, hit.id) for hit in search(connection, text)}, text
        assert [(hit.kind, hit.id) for hit in search(connection, "One of everything")] == [("deposition", 10301)]
        assert search(connection, "nothing of that") == search(connection, '" OR (') == []
        assert search(connection, "ada", kind="deposition", limit=1)[0].id == 10301


def test_search_asks_the_rule(example: Any, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    index(example.write(), catalog)
    rules = {"dataset": "owner.id <> 10001", "deposition": None}
    monkeypatch.setattr("tomoportal.catalog.search.visible", lambda table, viewer, alias: rules[table])
    with catalog.read() as connection:
        assert [hit.kind for hit in search(connection, "ada")] == ["deposition"]
        assert search(connection, "ada", kind="dataset") == search(connection, "ada", kind="run") == []


EDITS = (
    (TOMOGRAM, "processing", ("raw", "denoised", "sharpened")),
    (TOMOGRAM, "voxel_spacing", (13.48, 13.4801, "x")),
    (TOMOGRAM, "alignment_metadata_path", (ALIGNMENT, None, "10001/TS_run1/Alignments/7/alignment_metadata.json")),
    (ALIGNMENT, "is_portal_standard", (True, False, 3)),
    (TILTSERIES, "pixel_spacing", (2.5, 5.0, None)),
    (ANNOTATION, "deposition_id", (10301, None, 4)),
    (ANNOTATION, "authors", ([], [{"name": "X"}, {"name": "X"}], [{}])),
    ("10001/dataset_metadata.json", "dataset_title", ("One", "Two")),
    ("depositions_metadata/10301/deposition_metadata.json", "deposition_types", ([], ["annotation"], ["other"])),
)


@settings(max_examples=8)
@given(data=st.data())
def test_many_small_steps_lead_where_one_big_step_leads(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, example_in: Callable[[Path], Any]
) -> None:
    """After any history of edits and removals the catalog equals one that is built anew, ids included."""
    folder = tmp_path_factory.mktemp("history")
    example = example_in(folder / "archive")
    whole = copy.deepcopy(example.documents)
    with Catalog.open(f"sqlite:///{folder}/one.sqlite", create=True) as one:
        index(example.write(), one)
        for _ in range(data.draw(st.integers(1, 4))):
            for key in data.draw(st.lists(st.sampled_from(sorted(whole)), max_size=2, unique=True)):
                if key in example.documents and "dataset_metadata" not in key and "depositions" not in key:
                    del example.documents[key]
                else:
                    example.documents[key] = copy.deepcopy(whole[key])
            for key, name, values in data.draw(st.lists(st.sampled_from(EDITS), max_size=3)):
                if key in example.documents:
                    example.change(key, **{name: data.draw(st.sampled_from(values))})
            archive = example.write()
            stepwise = index(archive, one)
        with Catalog.open(f"sqlite:///{folder}/two.sqlite", create=True) as two:
            anew = index(archive, two)
            assert everything(one) == everything(two)
            assert stepwise.version == anew.version
            assert set(stepwise.problems) == set(anew.problems)


def test_a_read_only_archive_keeps_its_ids_beside_the_database(example: Any, new_url: NewUrl) -> None:
    example.write()
    before = sorted(path for path in example.folder.rglob("*"))
    archive, url = Archive.open(example.folder, read_only=True), new_url("catalog")
    with Catalog.open(url, create=True) as catalog:
        index(archive, catalog)
        assert sorted(path for path in example.folder.rglob("*")) == before
        found = everything(catalog)
    example.documents["10001/AA_first/run_metadata.json"] = {"run_name": "AA_first"}
    example.write()
    with Catalog.open(url, rebuild=True) as catalog:
        index(archive, catalog)
        assert [row for row in rows(catalog, "run") if row["name"] == "TS_run1"] == found["run"]


def test_a_failed_commit_leaves_the_old_catalog(
    example: Any, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(example.write(), catalog)
    before = everything(catalog)
    example.change(TOMOGRAM, processing="denoised")
    archive = example.write()
    with monkeypatch.context() as patch:
        patch.setattr("tomoportal.catalog.indexing.refresh_dataset", _fail)
        with pytest.raises(RuntimeError):
            index(archive, catalog)
    assert everything(catalog) == before
    index(archive, catalog)
    assert only(catalog, "tomogram")["processing"] == "denoised"


def _fail(*_: object) -> None:
    raise RuntimeError("killed")


def test_readers_see_a_dataset_as_it_was_until_it_is_done(example: Any, catalog: Catalog) -> None:
    archive = example.write()
    index(archive, catalog)
    example.documents["10001/AA_first/run_metadata.json"] = {"run_name": "AA_first"}
    example.change(TOMOGRAM, processing="denoised")
    example.write()
    query = "{runsAggregate {aggregate {count}} tomograms {processing}}"
    seen: list[tuple[int, str]] = []

    def look(*_: object) -> None:
        found = answered(catalog, query)
        seen.append((found["runsAggregate"]["aggregate"][0]["count"], found["tomograms"][0]["processing"]))

    index(archive, catalog, progress=look)
    assert len(seen) > 2
    assert set(seen) == {(1, "raw"), (2, "denoised")}


def test_recipes_for_rows_are_few(example: Any, new_url: NewUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each place that makes rows, however many rows there are: nothing grows with the archive."""
    made: list[mapped.Recipe] = []

    class Counted(mapped.Recipe):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(mapped, "Recipe", Counted)
    for number in range(2, 12):
        for key in [key for key in example.documents if key.startswith(f"{example.run}/")]:
            text = json.dumps(example.documents[key]).replace("TS_run1", f"TS_run{number}")
            example.documents[key.replace("TS_run1", f"TS_run{number}")] = json.loads(text)
    with Catalog.open(new_url("recipes"), create=True) as catalog:
        assert index(example.write(), catalog).rows["run"] == 11
    counts = collections.Counter((recipe.table, *recipe.paths) for recipe in made)
    assert [found for found in counts.items() if found[1] > 1] == []
