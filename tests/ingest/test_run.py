"""From sources to the archive: documents, repetition, failures."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from tomoportal.archive import Archive, Container
from tomoportal.ingest import Report
from tomoportal.testing.sources import PIXEL, SHAPE, SPACING, TILTS, write_mrc, write_sources

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Ingest = Callable[..., Report]
Digests = Callable[[Path], dict[str, str]]

RUN = "10001/TS_01"
FOLDER = f"{RUN}/Reconstructions/VoxelSpacing13.480"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the sample sources, for tests that only read it."""
    from tomoportal.ingest import load_config, make_plan, open_source, run_plan

    folder = tmp_path_factory.mktemp("done")
    config = load_config(write_sources(folder / "raw"))
    source = open_source(folder / "raw", config.source_prefix)
    archive = Archive.open(folder / "archive", create=True)
    assert run_plan(make_plan(config, source, archive), archive, source.store).ok
    return folder / "archive"


def _load(archive: Path, key: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((archive / key).read_bytes())
    return document


# --- documents


def test_every_document_is_ascii_with_indent_4_and_ends_with_deposition_and_stamp(done: Path) -> None:
    documents = [
        path for path in done.rglob("*.json") if ".tomoportal" not in path.parts and "Neuroglancer" not in str(path)
    ]
    assert len(documents) == 2 * 9 + 2 - 1  # the second run has no vesicle
    for path in documents:
        text = path.read_text("ascii")
        data = json.loads(text)
        assert json.dumps(data, indent=4) == text
        assert list(data)[-2:] == ["deposition_id", "last_updated_at"]
        assert data["deposition_id"] == 10301
        assert data["last_updated_at"] == 1685577600  # 2023-06-01, midnight UTC


def test_dataset_has_all_parts_and_the_first_tomograms_pictures(done: Path) -> None:
    document = _load(done, "10001/dataset_metadata.json")
    assert document["tissue"] == {"name": "not_reported", "id": "not_reported"}
    assert document["organism"] == {"name": "Homo sapiens", "taxonomy_id": 9606}
    assert document["cell_strain"] == {"name": "HeLa", "id": "CVCL_0030"}
    assert document["key_photos"] == {
        "snapshot": "10001/Images/snapshot.png",
        "thumbnail": "10001/Images/thumbnail.png",
    }
    assert (done / "10001/Images/snapshot.png").read_bytes() == (
        done / FOLDER / "Images/100/key-photo-snapshot.png"
    ).read_bytes()


def test_frames_sum_the_dose_in_the_order_of_acquisition(done: Path) -> None:  # F26
    document = _load(done, f"{RUN}/Frames/frames_metadata.json")
    assert [frame["acquisition_order"] for frame in document["frames"]] == [0, 1, 2, 3]
    assert [frame["exposure_dose"] for frame in document["frames"]] == pytest.approx([1.881 * 1.5] * 4)
    # The mdoc was written by angle (-4, -2, 0, 2) and acquired as 0, -2, 2, -4.
    assert [frame["accumulated_dose"] / (1.881 * 1.5) for frame in document["frames"]] == pytest.approx([3, 1, 0, 2])
    assert document["frames"][2]["path"] == f"{RUN}/Frames/TS_01_002.tif"
    assert document["frames_acquisition_file"] == f"{RUN}/Frames/TS_01.mdoc"


def test_tilt_series_document(done: Path) -> None:  # F68
    document = _load(done, f"{RUN}/TiltSeries/100/tiltseries_metadata.json")
    assert document["size"] == {"z": 4, "y": 32, "x": 48}
    assert list(document["size"]) == ["z", "y", "x"]
    assert document["scales"][2] == {"z": 4, "y": 8, "x": 12}
    assert document["frames_count"] == 4
    assert document["tilt_range"] == {"min": TILTS[0], "max": TILTS[-1]}  # placeholders became numbers
    assert document["tilt_series_quality"] == 4
    assert isinstance(document["tilt_series_quality"], int)
    rows = document["per_section_parameter"]
    assert [row["raw_angle"] for row in rows] == pytest.approx([angle + 0.004 for angle in TILTS])
    assert rows[0]["major_defocus"] is None


def test_alignment_document_in_angstrom(done: Path) -> None:  # F22
    document = _load(done, f"{RUN}/Alignments/100/alignment_metadata.json")
    assert document["offset_unit"] == "angstrom"
    assert document["volume_dimension"] == {
        "x": round(SHAPE[2] * SPACING, 3),
        "y": round(SHAPE[1] * SPACING, 3),
        "z": round(SHAPE[0] * SPACING, 3),
    }
    row = document["per_section_alignment_parameters"][2]
    matrix = np.array([[0.0923706, 0.9957247], [-0.9957247, 0.0923706]])
    offset = matrix.T @ -np.array([2.5, -2.25]) * PIXEL
    assert [row["x_offset"], row["y_offset"]] == pytest.approx(offset.tolist())
    assert np.allclose(row["in_plane_rotation"], matrix.T)
    assert row["volume_x_rotation"] == pytest.approx(0.1)
    assert document["files"] == [f"{RUN}/Alignments/100/TS_01.{end}" for end in ("tlt", "xf", "xtilt")]
    assert document["tiltseries_path"] == f"{RUN}/TiltSeries/100/tiltseries_metadata.json"


def test_tomogram_document_and_volume(done: Path) -> None:
    document = _load(done, f"{FOLDER}/Tomograms/101/tomogram_metadata.json")
    assert document["voxel_spacing"] == 13.48
    assert document["reconstruction_software"] == "IMOD"
    assert document["size"] == {"z": 12, "y": 24, "x": 32}
    assert document["key_photo"]["thumbnail"] == f"{FOLDER}/Images/101/key-photo-thumbnail.png"
    assert document["alignment_metadata_path"] == f"{RUN}/Alignments/100/alignment_metadata.json"
    assert document["neuroglancer_config_path"] == f"{FOLDER}/NeuroglancerPrecompute/101-neuroglancer_config.json"
    for key in (document["mrc_file"], document["key_photo"]["snapshot"], document["neuroglancer_config_path"]):
        assert (done / key).is_file()
    with mrcfile.open(done / document["mrc_file"]) as volume:
        assert volume.data.dtype == np.int16  # kept (F15)
    assert mrcfile.validate(done / document["mrc_file"])


def test_annotations_count_per_file_and_share_one_document(done: Path) -> None:  # F31
    document = _load(done, f"{FOLDER}/Annotations/100/cytosolic_ribosome-1.0.json")
    assert document["object_count"] == 5
    assert [(file["shape"], file["object_count"]) for file in document["files"]] == [("Point", 5), ("OrientedPoint", 4)]
    rows = (done / document["files"][1]["path"]).read_text().splitlines()
    assert len(rows) == 4
    assert np.linalg.det(json.loads(rows[0])["xyz_rotation_matrix"]) == pytest.approx(1)
    mask = _load(done, f"{FOLDER}/Annotations/102/vesicle-1.0.json")
    assert [file["format"] for file in mask["files"]] == ["zarr", "mrc"]
    with mrcfile.open(done / mask["files"][1]["path"]) as volume:
        assert volume.data.sum() == 2 * 3 * 4


def test_the_viewers_file_holds_keys_behind_the_placeholder(done: Path) -> None:
    text = (done / FOLDER / "NeuroglancerPrecompute/100-neuroglancer_config.json").read_text()
    state = json.loads(text)
    assert [layer["name"] for layer in state["layers"]] == [
        "TS_01",
        "100 cytosolic ribosome point",
        "100 cytosolic ribosome orientedpoint",
        "101 membrane segmentation",
        "102 vesicle segmentation",
    ]
    assert "http" not in text.replace("https://", "http://") or "archive://" in text
    points = state["layers"][1]["source"]["url"]
    assert points == f"precomputed://archive://{FOLDER}/NeuroglancerPrecompute/100-cytosolic_ribosome-1.0_point/"
    assert (done / points.removeprefix("precomputed://archive://") / "info").is_file()


def test_nothing_absolute_is_stored(done: Path) -> None:
    for path in done.rglob("*.json"):
        if "cache" not in path.parts:
            assert str(done.parent) not in path.read_text()


def test_the_archive_verifies(done: Path) -> None:
    from tomoportal.archive.verify import verify

    findings = [finding for finding in verify(Archive.open(done, read_only=True)) if finding.severity == "error"]
    assert findings == []


# --- again


def test_a_second_run_skips_everything_and_reads_no_data(
    raw: Path, ingest: Ingest, tmp_path: Path, tree: Digests
) -> None:
    old = 1_600_000_000
    for path in raw.rglob("*"):
        os.utime(path, (old, old))
    archive = tmp_path / "archive"
    ingest(raw / "config.yaml", archive)
    before = tree(archive)
    stat = (raw / "tomograms" / "TS_01.rec").stat()
    (raw / "tomograms" / "TS_01.rec").write_bytes(b"\0" * stat.st_size)  # same size and time: reading it would tell
    os.utime(raw / "tomograms" / "TS_01.rec", (old, old))
    report = ingest(raw / "config.yaml", archive)
    assert report.ok
    assert report.counts["skipped"] + report.counts["absent"] == len(report.results)
    assert tree(archive) == before


def test_an_equal_size_correction_arrives_and_nothing_else_is_converted(
    raw: Path, ingest: Ingest, tmp_path: Path
) -> None:  # F1
    archive = tmp_path / "archive"
    ingest(raw / "config.yaml", archive)
    write_mrc(raw / "tomograms" / "TS_01.rec", np.ones(SHAPE, np.float32), SPACING)
    report = ingest(raw / "config.yaml", archive)
    volumes = [result.name for result in report.results if result.outcome == "replaced" and "_volume" in result.name]
    assert volumes == ["10001/TS_01 tomogram_volume tomograms/TS_01.rec"]
    with mrcfile.open(archive / FOLDER / "Tomograms/100/TS_01.mrc") as volume:
        assert volume.data.min() == 1


def test_changed_words_convert_nothing_again(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    ingest(raw / "config.yaml", archive)
    report = ingest(edit(raw, lambda c: c["tomograms"][0]["metadata"].update(ctf_corrected=True)), archive)
    assert {
        result.label.split("/")[2]
        for result in report.results
        if result.outcome == "replaced" and "TS_" in result.label
    } == {"tomogram"}
    assert _load(archive, f"{FOLDER}/Tomograms/100/tomogram_metadata.json")["ctf_corrected"] is True


def test_other_options_convert_again(raw: Path, ingest: Ingest, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    ingest(raw / "config.yaml", archive)
    report = ingest(raw / "config.yaml", archive, dtype="float32", chunk_size=16)
    assert sum(result.outcome == "replaced" and "_volume" in result.name for result in report.results) == 6
    with mrcfile.open(archive / FOLDER / "Tomograms/101/TS_01.mrc") as volume:
        assert volume.data.dtype == np.float32
    assert json.loads((archive / FOLDER / "Tomograms/101/TS_01.zarr/0/.zarray").read_text())["chunks"] == [16, 16, 16]


def test_a_lost_file_is_made_again(raw: Path, ingest: Ingest, tmp_path: Path, tree: Digests) -> None:
    archive = tmp_path / "archive"
    ingest(raw / "config.yaml", archive)
    before = tree(archive)
    (archive / FOLDER / "Tomograms/100/TS_01.zarr/0/0/0/0").unlink()
    (archive / RUN / "run_metadata.json").unlink()
    assert ingest(raw / "config.yaml", archive).counts["replaced"] == 2
    assert tree(archive) == before


def test_a_moved_source_tree_changes_nothing(raw: Path, ingest: Ingest, tmp_path: Path, tree: Digests) -> None:
    ingest(raw / "config.yaml", tmp_path / "one")
    raw.rename(tmp_path / "moved")
    ingest(tmp_path / "moved" / "config.yaml", tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


# --- what may be missing


def test_default_frames_mean_none_was_deposited(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:  # F27
    config = edit(raw, lambda c: c["frames"][0].update(sources=[{"literal": {"value": ["default"]}}]))
    assert ingest(config, tmp_path / "archive").ok
    assert _load(tmp_path / "archive", f"{RUN}/TiltSeries/100/tiltseries_metadata.json")["frames_count"] == 0
    frames = _load(tmp_path / "archive", f"{RUN}/Frames/frames_metadata.json")["frames"]
    assert len(frames) == 4
    assert {frame["path"] for frame in frames} == {None}


def test_without_alignment_files_the_identity_is_written(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    assert ingest(edit(raw, lambda c: c.pop("alignments")), tmp_path / "archive").ok
    document = _load(tmp_path / "archive", f"{RUN}/Alignments/100/alignment_metadata.json")
    assert "format" not in document
    assert document["method_type"] == "undefined"
    assert document["files"] == document["per_section_alignment_parameters"] == []
    assert document["affine_transformation_matrix"][0] == [1, 0, 0, 0]


def test_without_a_raw_tilt_list_the_mdocs_angles_are_used(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path
) -> None:
    report = ingest(edit(raw, lambda c: c.pop("rawtilts")), tmp_path / "archive")
    assert report.ok
    assert any("no .rawtlt" in text for _, text in report.warnings)
    lines = (tmp_path / "archive" / RUN / "TiltSeries/100/TS_01.rawtlt").read_text().split()
    assert [float(line) for line in lines] == pytest.approx([angle + 0.004 for angle in TILTS])


def test_without_a_tilt_series_offsets_stay_in_pixels_and_say_so(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path
) -> None:
    assert ingest(edit(raw, lambda c: c.pop("tiltseries")), tmp_path / "archive").ok
    document = _load(tmp_path / "archive", f"{RUN}/Alignments/100/alignment_metadata.json")
    assert document["offset_unit"] == "pixel"
    assert document["tiltseries_path"] is None


def test_key_photos_given_as_files_and_one_that_is_missing(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path
) -> None:  # F39
    (raw / "photos").mkdir()
    (raw / "photos" / "big.gif").write_bytes(b"GIF89a")
    value = {
        "snapshot": "cryoetportal-rawdatasets-dev/photos/big.gif",
        "thumbnail": "s3://cryoetportal-rawdatasets-dev/photos/missing.png",
    }
    config = edit(raw, lambda c: c.update(dataset_keyphotos=[{"sources": [{"literal": {"value": value}}]}]))
    assert ingest(config, tmp_path / "archive").ok
    photos = _load(tmp_path / "archive", "10001/dataset_metadata.json")["key_photos"]
    assert photos == {"snapshot": "10001/Images/snapshot.gif", "thumbnail": "10001/Images/thumbnail.png"}
    assert (tmp_path / "archive" / photos["snapshot"]).read_bytes() == b"GIF89a"


def test_points_outside_are_counted(raw: Path, ingest: Ingest, tmp_path: Path) -> None:
    (raw / "points" / "TS_01.csv").write_text("1,1,1\n500,1,1\n1,1,-3\n")
    report = ingest(raw / "config.yaml", tmp_path / "archive")
    assert report.ok
    assert any("2 of 3 points lie outside the tomogram (32 × 24 × 12 voxels)" in text for _, text in report.warnings)


def test_rescaled_masks_take_the_tomograms_grid(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    labels = np.zeros((6, 12, 16), np.int8)
    labels[1:4, 2:8, 4:12] = 1
    write_mrc(raw / "masks" / "TS_01_labels.mrc", labels, 2 * SPACING)

    def rescale(config: dict[str, Any]) -> None:
        for entry in config["annotations"]:
            for source in entry["sources"]:
                if "SemanticSegmentationMask" in source:
                    source["SemanticSegmentationMask"]["rescale"] = True

    assert ingest(edit(raw, rescale), tmp_path / "archive").ok
    with mrcfile.open(tmp_path / "archive" / FOLDER / "Annotations/101/membrane-1.0_segmentationmask.mrc") as volume:
        assert np.array_equal(volume.data, labels.repeat(2, 0).repeat(2, 1).repeat(2, 2))


# --- more sources


def test_ctf_objects_zarr_instances_copick_and_aretomo(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, done: Path
) -> None:
    """Sources beyond those of the sample: each gives what its format's own tests promise."""
    (raw / "zarr").mkdir()
    shutil.copytree(done / FOLDER / "Tomograms/100/TS_01.zarr", raw / "zarr" / "TS_01.zarr")
    labels = np.zeros(SHAPE, np.int16)
    labels[1:3, 1:3, 1:3], labels[6:8, 6:8, 6:8] = 7, 300
    write_mrc(raw / "masks" / "TS_01_instances.mrc", labels, SPACING)
    ctf = ["# Columns: section, defocus 1, defocus 2, azimuth, phase shift, cross correlation, resolution"]
    ctf += [f"{n}.0 {20000 + n}.0 19000.0 10.0 0.0 0.1 8.0" for n in (1, 2, 4)]
    (raw / "stacks" / "TS_01_ctf.txt").write_text("\n".join(ctf) + "\n")
    aln = [
        "# AreTomo Alignment / Priims bprmMn",
        "# RawSize = 48 32 4",
        "# NumPatches = 0",
        "# AlphaOffset = 1.50",
        "# BetaOffset = -0.50",
    ]
    aln += ["# SEC ROT GMAG TX TY SMEAN SFIT SCALE BASE TILT"]
    aln += [f"{n} 84.7 1.0 {n}.5 -1.0 1.0 1.0 1.0 0.0 {angle}" for n, angle in enumerate(TILTS)]
    (raw / "stacks" / "TS_01.aln").write_text("\n".join(aln) + "\n")
    (raw / "objects.csv").write_text("run_name,object_id,object_name\nTS_01,GO:0005739,mitochondrion\nTS_09,GO:1,x\n")
    picks = {
        "pickable_object_name": "ribosome",
        "user_id": "u",
        "session_id": "1",
        "run_name": "TS_01",
        "voxel_spacing": SPACING,
        "unit": "angstrom",
        "points": [
            {
                "location": {"x": SPACING, "y": 2 * SPACING, "z": 3 * SPACING},
                "transformation_": np.eye(4).tolist(),
                "instance_id": 0,
            }
        ],
    }
    (raw / "points" / "TS_01.json").write_text(json.dumps(picks))

    def change(config: dict[str, Any]) -> None:
        config["runs"] = [{"sources": [{"literal": {"value": ["TS_01"]}}]}]
        config["ctfs"] = [
            {
                "metadata": {"format": "CTFFIND"},
                "sources": [{"source_glob": {"list_glob": "stacks/{run_name}_ctf.txt"}}],
            }
        ]
        config["identified_objects"] = [{"sources": [{"source_glob": {"list_glob": "objects.csv"}}]}]
        config["alignments"][0]["metadata"] = {"format": "ARETOMO3"}
        config["alignments"][0]["sources"] = [{"source_glob": {"list_glob": "stacks/{run_name}.aln"}}]
        config["tomograms"][0]["sources"] = [{"source_glob": {"list_glob": "zarr/{run_name}.zarr"}}]
        mask = {"InstanceSegmentationMask": {"file_format": "mrc", "glob_string": "masks/{run_name}_instances.mrc"}}
        config["annotations"][2]["sources"] = [mask]
        config["annotations"][0]["sources"] = [
            {"OrientedPoint": {"file_format": "copick", "glob_string": "points/{run_name}.json", "binning": SPACING}}
        ]

    archive = tmp_path / "archive"
    report = ingest(edit(raw, change), archive)
    assert report.ok, report.failures
    written = archive / FOLDER / "Tomograms/100/TS_01.mrc"
    assert written.read_bytes()[1024:] == (done / FOLDER / "Tomograms/100/TS_01.mrc").read_bytes()[1024:]
    tilt_series = _load(archive, f"{RUN}/TiltSeries/100/tiltseries_metadata.json")
    assert tilt_series["ctf_path"] == f"{RUN}/TiltSeries/100/TS_01_CTFFIND_ctf.txt"
    assert [row["major_defocus"] for row in tilt_series["per_section_parameter"]] == [20001, 20002, None, 20004]
    alignment = _load(archive, f"{RUN}/Alignments/100/alignment_metadata.json")
    assert (alignment["tilt_offset"], alignment["x_rotation_offset"]) == (1.5, -0.5)  # F23
    assert alignment["per_section_alignment_parameters"][2]["x_offset"] == pytest.approx(2.5 * PIXEL)
    assert alignment["alignment_path"] == f"{RUN}/Alignments/100/TS_01.aln"
    objects = _load(archive, f"{RUN}/IdentifiedObjects/identified_objects_metadata.json")
    assert objects["object_count"] == 1
    instances = _load(archive, f"{FOLDER}/Annotations/102/vesicle-1.0.json")
    assert instances["object_count"] == 2
    with mrcfile.open(archive / instances["files"][1]["path"]) as volume:
        assert set(np.unique(volume.data)) == {0, 7, 300}
    picked = _load(archive, f"{FOLDER}/Annotations/100/cytosolic_ribosome-1.0.json")
    row = json.loads((archive / picked["files"][0]["path"]).read_text())
    assert row["location"] == pytest.approx({"x": 1.0, "y": 2.0, "z": 3.0})
    before = {path: path.read_bytes() for path in archive.rglob("*") if path.is_file()}
    assert ingest(raw / "config.yaml", archive).counts["replaced"] == 0
    assert all(path.read_bytes() == data for path, data in before.items() if "cache" not in path.parts)


# --- a second deposition


def _augmenting(config: dict[str, Any]) -> None:
    config["standardization_config"]["deposition_id"] = 10302
    config["depositions"][0]["metadata"].update(deposition_identifier=10302, deposition_title="More annotations")
    config["depositions"][0]["sources"] = [{"literal": {"value": [10302]}}]
    config["datasets"] = [
        {"sources": [{"destination_glob": {"list_glob": "{output_path}/*", "match_regex": r"/\d+$"}}]}
    ]
    glob = {
        "destination_glob": {
            "list_glob": "{run_output_path}/Reconstructions/VoxelSpacing*",
            "name_regex": "VoxelSpacing(.*)",
        }
    }
    config["voxel_spacings"] = [{"sources": [glob]}]
    alignment = {"destination_glob": {"list_glob": "{run_output_path}/Alignments/*/alignment_metadata.json"}}
    config["alignments"] = [{"sources": [alignment]}]
    config["annotations"] = config["annotations"][:1]
    for section in ("frames", "gains", "collection_metadata", "rawtilts", "tiltseries", "tomograms"):
        del config[section]


@pytest.mark.parametrize("named", [True, False])
def test_an_augmenting_deposition_touches_no_document_of_the_first(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, tree: Digests, named: bool
) -> None:  # F7, F57
    archive = tmp_path / "archive"
    ingest(raw / "config.yaml", archive)
    before = {key: digest for key, digest in tree(archive).items() if not key.startswith(".tomoportal")}

    def change(config: dict[str, Any]) -> None:
        _augmenting(config)
        if not named:
            del config["alignments"]

    report = ingest(edit(raw, change), archive)
    assert report.ok, report.failures
    assert report.counts["reference"] == 2
    after = tree(archive)
    assert {key: after.get(key) for key in before} == before
    document = _load(archive, f"{FOLDER}/Annotations/103/cytosolic_ribosome-1.0.json")
    assert document["deposition_id"] == 10302
    assert document["alignment_metadata_path"] == f"{RUN}/Alignments/100/alignment_metadata.json"
    assert Archive.open(archive).manifest(Container.run(10001, "TS_01")).ids


def test_a_dataset_of_another_deposition_is_refused(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    from tomoportal.errors import ConfigError

    archive = tmp_path / "archive"
    ingest(raw / "config.yaml", archive)

    def change(config: dict[str, Any]) -> None:
        config["standardization_config"]["deposition_id"] = 10302
        config["depositions"][0]["metadata"]["deposition_identifier"] = 10302
        config["depositions"][0]["sources"] = [{"literal": {"value": [10302]}}]

    with pytest.raises(ConfigError, match="belongs to deposition 10301"):
        ingest(edit(raw, change), archive)
