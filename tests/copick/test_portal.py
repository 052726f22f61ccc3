"""A portal as a project: what it shows, what it asks, what it survives (reference copick-portal; C72 to C83)."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.archive import Archive
from tomoportal.copick.operations.getting import get_picks
from tomoportal.copick.operations.mapping import map_runs
from tomoportal.copick.portal import tables
from tomoportal.copick.portal.naming import camel, described_objects, object_names, tomogram_types
from tomoportal.copick.portal.root import CopickRootCDP
from tomoportal.errors import AnnotationError, FormatError, NotFoundError, PortalError, ReadOnlyError
from tomoportal.server import LiveServer
from tomoportal.testing.annotated_archive import OBJECTS
from tomoportal.testing.object_server import s3_server
from tomoportal.testing.sample_archive import SAMPLE_SHAPE, sample_mask

MANY, RUNS = 10003, 14


def run_of(root: CopickRootCDP, name: str = "TS_1") -> copick.CopickRun:
    found = root.get_run(name)
    assert found is not None
    return found


def everything(root: CopickRootCDP) -> list[Any]:
    found: list[Any] = []
    for run in root.runs:
        found += [*run.picks, *run.meshes, *run.segmentations]
        found += [each for spacing in run.voxel_spacings for each in spacing.tomograms]
    return found


# --- what is asked


def test_c72_opening_asks_nothing_and_all_listings_of_all_runs_three_questions(portal_root: Any, asked: Any) -> None:
    portal_root([MANY])
    asked()
    root = portal_root([MANY], portal_cache=False)
    assert asked() == {}
    assert len(root.runs) == RUNS
    assert asked() == {"200": 1}
    assert len(everything(root)) == RUNS * 5
    assert asked() == {"200": 2}, "one for images, one for annotations, however many runs"
    assert len(root.picks(portal_author_query=["Ada Author"])) == RUNS * 4
    assert asked() == {"200": 1}, "all columns of annotations, when somebody asks for one"
    assert root.tomograms()[0].meta.portal_metadata.portal_metadata.reconstruction_software == "IMOD"
    assert {each.meta.portal_metadata.portal_metadata.size_x for each in root.tomograms()} == {4}
    assert asked() == {"200": 1}
    everything(root)
    assert asked() == {}


def test_c72_large_projects_are_asked_for_in_ranges_at_the_same_time(
    portal_root: Any, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_RUNS_AT_A_TIME", 4)
    root = portal_root([MANY, 10001], portal_cache=False)
    asked()
    assert len(root.runs) == RUNS + 2
    assert len(everything(root)) == RUNS * 5 + 6 + 1 + 2 + 3
    assert asked() == {"200": 1 + 2 * 4}  # 16 runs in ranges of 4


def test_c72_only_the_columns_of_listings_are_asked_for(portal_root: Any) -> None:
    root = portal_root(portal_cache=False)
    everything(root)
    rows = root._tables.files(root.runs[0].portal_run_id)
    assert set(rows[0]) == {"id", "format", "s3Path", "httpsPath", "tomogramVoxelSpacing", "annotationShape"}


def test_c72_getting_one_run_does_not_list_the_others(portal_root: Any) -> None:
    root = portal_root([MANY])
    run = root.get_run("TS_0003")
    assert run.portal_run_name == "TS_0003"
    assert root._runs is None
    assert run._picks is None
    assert root.get_run(run.name) is run, "C18: one object"
    assert root.runs[3] is run


# --- what is shown


def test_runs_have_the_text_of_their_ids_as_names(portal_root: Any) -> None:
    root = portal_root([10002, 10001])
    assert [(each.portal_run_name, each.portal_dataset_id) for each in root.runs] == [
        ("TS_1", 10001),
        ("Zelle 2 µ", 10001),
        ("TS_1", 10002),
    ]
    assert [each.name for each in root.runs] == [str(each.portal_run_id) for each in root.runs]
    assert root.dataset_ids == [10002, 10001]
    assert root.get_run("TS_1") is root.runs[0], "of two with the same name the one with the lower id"


def test_c76_runs_of_other_datasets_are_refused_and_those_of_the_overlay_listed(portal_root: Any) -> None:
    others = portal_root([10002], name="other").runs
    root = portal_root([10001])
    assert root.get_run(others[0].name) is None
    assert root.get_run("nothing") is None
    mine = root.new_run("my_run")
    mine.new_picks("membrane", "1", "ada").from_numpy(np.ones((1, 3)))
    assert mine.portal_run_id is None
    again = portal_root([10001])
    assert [each.name for each in again.runs][2:] == ["my_run"]
    assert len(again.get_run("my_run").picks) == 1
    with pytest.raises(AnnotationError, match="already exists"):
        root.new_run("TS_1")
    assert portal_root([10001], runs=["TS_1"]).runs[0].portal_run_name == "TS_1"
    assert len(portal_root([10001]).runs) == 1
    assert portal_root([10001]).get_run("Zelle 2 µ") is None


def test_points_are_in_angstrom_with_rotations_and_ids(portal_root: Any) -> None:
    """C78: instance ids are kept, and points that are instances are picks; C9: only oriented ones are trusted."""
    run = run_of(portal_root())
    found = {
        each.meta.portal_metadata.portal_annotation_file.s3_path.rpartition("/")[0][-3:]: each for each in run.picks
    }
    assert {each.user_id for each in run.picks} == {"data-portal"}
    oriented = found["112"]
    arrays = oriented.arrays()
    assert arrays.positions.tolist() == [[15.0, 20.0, 30.0], [40.0, 50.0, 60.0]]
    assert arrays.instance_ids.tolist() == [7, 8]
    assert arrays.rotations[0].tolist() == [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    assert arrays.translations.tolist() == [[0, 0, 0]] * 2
    assert arrays.scores.tolist() == [1, 1]
    assert oriented.points[0].instance_id == 7
    assert oriented.trust_orientation is True
    instances = next(each for each in run.picks if each.meta.portal_metadata.shape_type == "InstanceSegmentation")
    assert instances.instance_ids().tolist() == [0, 1]
    assert instances.numpy()[0].tolist() == [[160, 160, 240], [800, 160, 240]], "of the spacing of its own file, 20 Å"
    assert not any(each.trust_orientation for each in run.picks if each.meta.portal_metadata.shape_type == "Point")
    assert all(each.from_tool and not each.from_user and each.read_only for each in run.picks)


def test_c79_an_empty_file_of_points_has_no_points(portal_root: Any) -> None:
    run = run_of(portal_root())
    empty = next(each for each in run.picks if each.meta.portal_metadata.object_id == "PDB-6EK0")
    assert empty.numpy()[0].shape == (0, 3)
    assert empty.points == []


def test_c78_meshes_are_in_angstrom_and_instance_masks_keep_their_ids(portal_root: Any) -> None:
    run = run_of(portal_root())
    (mesh,) = run.meshes
    assert (mesh.pickable_object_name, mesh.user_id, mesh.read_only) == ("membrane", "data-portal", True)
    assert mesh.mesh.bounds.tolist() == [[100, 100, 100], [300, 400, 200]]
    assert run.get_meshes("membrane", portal_author_query=["Ben Author"]) == [mesh]
    assert run.get_meshes("membrane", portal_meta_query={"object_id": "GO:1"}) == []
    (binary,) = run.get_segmentations()
    assert np.array_equal(binary.numpy(), sample_mask())
    (instance,) = run.get_segmentations(is_instance=True)
    assert instance.segmentation_type == "instance"
    assert instance.instance_ids().tolist() == [5]
    assert instance.voxel_size == 10.0
    assert instance.numpy(x=slice(40, 50), y=40, z=24).tolist() == [5] * 10
    assert instance.color == portal_root().get_object("cytosolic-ribosome").color


def test_c78_captions_are_texts_with_their_provenance(portal_root: Any, asked: Any) -> None:
    root = portal_root()
    everything(root)
    asked()
    (captions,) = run_of(root).captions
    assert root.get_run("Zelle 2 µ").captions == []
    assert asked() == {"200": 1}, "for all runs"
    assert [(each.number, each.text) for each in captions.load()] == [(0, "A thin lamella."), (3, "Ice.")]
    assert captions.is_global
    assert captions.pickable_object_name == "membrane"
    assert captions.portal_metadata.portal_authors == ["Ada Author", "Ben Author"]
    assert captions.path.endswith("Annotations/114/membrane-1.0_globalcaption.json")
    assert root.new_run("mine").captions == []


def test_c77_tomogram_types_are_unique_and_the_default_one_keeps_the_plain_name(portal_root: Any) -> None:
    spacing = run_of(portal_root()).get_voxel_spacing(10)
    types = [each.tomo_type for each in spacing.tomograms]
    assert types == ["wbp-raw", f"wbp-raw-{spacing.tomograms[1].meta.portal_tomo_id}"]
    assert spacing.tomograms[0].numpy("2").shape == tuple(-(-size // 4) for size in SAMPLE_SHAPE)
    assert spacing.tomograms[0].portal_tomo
    row = {"reconstructionMethod": "WBP", "processing": "denoised", "processingSoftware": "DenoisET", "ctfCorrected": 1}
    assert tomogram_types([{**row, "id": 9}]) == ["wbp-denoised-denoiset-ctfdeconv"]
    raw = {**row, "processingSoftware": None, "ctfCorrected": None, "processing": "raw"}
    assert tomogram_types([{**raw, "id": 9}, {**raw, "id": 4}, {**row, "id": 5}])[:2] == ["wbp-raw", "wbp-raw-4"]
    assert [camel(text) for text in ("Fourier_Space", "IsoNet 2", "WBP", "a--b_c", "")] == [
        "fourierSpace",
        "isonet2",
        "wbp",
        "aBC",
        "",
    ]


def test_c41_no_type_means_all_types_also_with_a_query(portal_root: Any) -> None:
    spacing = run_of(portal_root()).get_voxel_spacing(10)
    assert len(spacing.get_tomograms()) == 2
    assert len(spacing.get_tomograms(portal_meta_query={"processing": "raw"})) == 2
    assert len(spacing.get_tomograms(portal_meta_query={"is_visualization_default": True})) == 1
    assert len(spacing.get_tomograms(portal_author_query=["Ada Author", "Ben Author"])) == 2
    assert spacing.get_tomograms(portal_author_query=["Nobody"]) == []


def test_c38_voxel_sizes_are_equal_to_three_decimals(portal_root: Any) -> None:
    run = run_of(portal_root())
    assert run.get_voxel_spacing(10.0004).portal_vs_id == run.voxel_spacings[0].portal_vs_id
    assert run.get_voxel_spacing(10.001) is None
    assert [each.voxel_size for each in run.voxel_spacings] == [10.0, 20.0]
    assert run.voxel_spacings[1].tomograms == []
    new = run.new_voxel_spacing(7.84)
    assert new.portal_vs_id is None
    assert [each.voxel_size for each in run_of(portal_root()).voxel_spacings] == [7.84, 10.0, 20.0]


def test_a_query_for_a_column_that_does_not_exist_is_refused(portal_root: Any) -> None:
    run = run_of(portal_root())
    with pytest.raises(AnnotationError, match="no column 'object_nam'") as caught:
        run.get_picks(portal_meta_query={"object_nam": "membrane"})
    assert caught.value.fix == "write 'object_name'"
    assert len(run.get_picks(portal_meta_query={"object_name": None})) == len(run.picks), "None asks for nothing"


def test_nothing_of_the_portal_can_be_changed(portal_root: Any) -> None:
    root = portal_root()
    run = run_of(root)
    spacing = run.get_voxel_spacing(10)
    for action in (
        run.picks[0].store,
        run.picks[0].delete,
        run.meshes[0].store,
        run.meshes[0].delete,
        run.get_segmentations()[0].delete,
        lambda: run.get_segmentations()[0].from_numpy(np.ones((2, 2, 2))),
        spacing.tomograms[0].delete,
        spacing.delete,
        run.delete,
        lambda: root.delete_run(run.name),
    ):
        with pytest.raises(ReadOnlyError, match="in a read-only source"):
            action()
    assert run.picks[0].history() == []
    assert all(each.history() == [] for each in run.segmentations)
    assert len(everything(portal_root())) == len(everything(root))


def test_overlay_shadows_the_portal(portal_root: Any) -> None:
    """C27, for somebody who corrects a portal's picks under the same names."""
    run = run_of(portal_root())
    theirs = run.picks[0]
    mine = run.new_picks(theirs.pickable_object_name, theirs.session_id, theirs.user_id, exist_ok=True)
    mine.from_numpy(np.zeros((1, 3)))
    again = run_of(portal_root())
    found = again.get_picks(session_id=theirs.session_id)
    assert [each.read_only for each in found] == [False]
    assert [each.read_only for each in again.get_picks(session_id=theirs.session_id, include_shadowed=True)] == [
        True,
        False,
    ]


def test_c43_objects_and_features_lie_in_the_overlay(portal_root: Any) -> None:
    root = portal_root()
    ribosome = root.get_object("cytosolic-ribosome")
    assert not ribosome.read_only
    assert not ribosome.has_density_map()
    ribosome.from_numpy(np.ones((3, 3, 3)), 10.0)
    tomogram = run_of(root).get_voxel_spacing(10).tomograms[0]
    tomogram.new_features("sobel")
    again = portal_root()
    assert again.get_object("cytosolic-ribosome").numpy().sum() == 27
    assert [each.feature_type for each in run_of(again).get_voxel_spacing(10).tomograms[0].features] == ["sobel"]


# --- objects


def test_c74_labels_and_colours_are_the_same_in_every_process(portal: LiveServer, tmp_path: Path) -> None:
    code = (
        "import sys, json; from tomoportal.copick import from_czcdp_datasets; from pathlib import Path\n"
        "root = from_czcdp_datasets([10001], sys.argv[2], portal_url=sys.argv[1], output_path=sys.argv[3])\n"
    )
    texts = set()
    for seed in ("0", "1", "2"):
        path = tmp_path / f"{seed}.json"
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, portal.url, "overlay", path], check=True, env=environment)
        texts.add(path.read_text())
    assert len(texts) == 1
    objects = json.loads(texts.pop())["pickable_objects"]
    assert [each["identifier"] for each in objects] == sorted(each["identifier"] for each in objects)
    assert [each["label"] for each in objects] == [1, 2, 3, 4]


def test_c74_an_object_more_changes_no_other_ones_colour(portal_root: Any) -> None:
    def colours(*identifiers: str) -> dict[str, Any]:
        rows = [{"id": n, "objectId": each, "objectName": each, "annotationPublication": None} for n, each in
                enumerate(identifiers)]  # fmt: skip
        return {each.identifier: each.color for each in described_objects(rows, [])}

    few, many = colours("GO:2", "GO:3"), colours("GO:1", "GO:2", "GO:3", "GO:4")
    assert {key: many[key] for key in few} == few
    assert len(set(many.values())) == 4


def test_c80_names_are_unique_and_the_most_used_one_counts(portal_root: Any) -> None:
    names = object_names(
        {("GO:2", "Ribo some"): 1, ("GO:2", "ribo_some!"): 3, ("GO:1", "ribo-some!"): 1, ("GO:3", "?"): 1}
    )
    assert names == {"GO:1": "ribo-some!", "GO:2": "ribo-some!-go-2", "GO:3": "object"}
    assert object_names({("GO:1", "a"): 1}, taken=["a", "a-go-1"]) == {"GO:1": "a-go-1-2"}
    root = portal_root()
    assert root.go_map["GO:0022626"] == "cytosolic-ribosome"
    assert root.go_map["PDB-6EK0"] == "cytosolic-ribosome-pdb-6ek0"
    objects = {each.identifier: each for each in root.config.pickable_objects}
    assert objects["PDB-6EK0"].pdb_id == "6EK0"
    assert objects["GO:0016020"].is_particle, "one of its annotations is points"


def test_objects_take_their_database_ids_from_the_annotations(portal_root: Any) -> None:
    rows = [
        {"id": 2, "objectId": "GO:1", "objectName": "a", "annotationPublication": "EMD-2, PDB-2BBB"},
        {"id": 1, "objectId": "GO:1", "objectName": "a", "annotationPublication": "10.1101/1, EMPIAR-1,EMD-1"},
    ]
    shapes = [{"annotationId": 1, "shapeType": "SegmentationMask"}, {"annotationId": 2, "shapeType": "Point"}]
    (found,) = described_objects(rows, shapes)
    assert (found.emdb_id, found.pdb_id, found.is_particle, found.radius) == ("EMD-1", "PDB-2BBB", True, 50)
    (bare,) = described_objects(rows[:1], shapes[:1])
    assert not bare.is_particle


def test_c83_annotations_of_unlisted_objects_are_reported_or_listed(portal_root: Any) -> None:
    root = portal_root([MANY])
    kept = [each.model_dump() for each in root.config.pickable_objects if each.name == "ribosome"]
    root = portal_root([MANY], pickable_objects=kept)
    assert {each.pickable_object_name for each in root.picks()} == {"ribosome"}
    told = {problem.where.partition(" ")[0]: problem.what for problem in root.problems()}
    assert told == {identifier: f"{RUNS} annotation files of {name} are not listed" for identifier, name in OBJECTS[1:]}
    root = portal_root([MANY], portal_all_objects=True)
    assert {each.pickable_object_name for each in root.picks()} == {name for _, name in OBJECTS}
    assert root.problems() == []
    assert root._tables.object_counts() is root._tables.object_counts(), "counted once, not for every run"


def test_two_objects_with_one_identifier_are_reported(portal_root: Any) -> None:
    root = portal_root()
    objects = [each.model_dump() for each in root.config.pickable_objects]
    root = portal_root(pickable_objects=[*objects, {**objects[0], "name": "twin", "label": 9}])
    (problem,) = root.problems()
    assert "is that of microtubule already, which gets no annotations" in problem.what


# --- what goes wrong


def test_c79_a_bad_file_is_reported_and_the_others_stay_readable(
    portal_root: Any, portal_archive: Archive, request: pytest.FixtureRequest
) -> None:
    root = portal_root([MANY], portal_cache=False)
    first, second, third = root.runs[0].picks[:3]
    keys = [each.meta.portal_metadata.s3_path.removeprefix("s3://tomoportal/") for each in (first, second, third)]
    for key in keys:
        request.addfinalizer(lambda key=key, data=portal_archive.store.get(key): portal_archive.store.put(key, data))
    portal_archive.store.put(keys[0], b'{"location": {"x": 1, "y": 2, "z": 3}}\n\n{"location": {"x": 1}}')
    portal_archive.store.put(keys[1], b'{"location": {"x": 1, "y": 2, "z": 3}}')
    portal_archive.store.delete(keys[2])
    fine = root.load_points()
    assert len(fine) == RUNS * 4 - 3
    with pytest.raises(FormatError, match="The row cannot be read") as caught:
        first.numpy()
    assert caught.value.where == f"{first.path}:3"
    with pytest.raises(FormatError, match="oriented point has no xyz_rotation_matrix"):
        second.numpy()
    with pytest.raises(NotFoundError, match="File not found: http"):
        third.numpy()
    assert {problem.where for problem in root.problems()} == {each.path for each in (first, second, third)}


def test_c79_a_file_without_voxel_spacing_alone_is_refused(portal_root: Any) -> None:
    root = portal_root([MANY], portal_cache=False)
    root._tables.files(root.runs[0].portal_run_id)[1]["tomogramVoxelSpacing"] = None
    first, second, *_ = root.runs[0].picks
    assert len(first.numpy()[0]) == 5
    with pytest.raises(FormatError, match="gives no voxel spacing"):
        second.numpy()


def test_datasets_that_the_portal_does_not_have(portal_root: Any, portal: LiveServer, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no dataset 5, 7") as caught:
        copick.from_czcdp_datasets([10001, 7, "DS-5"], str(tmp_path), portal_url=portal.url)
    assert caught.value.where == f"{portal.url}/graphql"
    assert "address of the portal" in (caught.value.fix or "")
    root = portal_root(dataset_ids=[5])
    with pytest.raises(NotFoundError, match="no dataset 5"):
        root.runs  # noqa: B018
    root = portal_root(dataset_ids=[5, 10001])
    with pytest.warns(UserWarning, match="no dataset 5"):
        assert len(root.runs) == 2
    assert [problem.what for problem in root.problems()] == ["the portal has no dataset 5"]


def test_a_portal_that_is_down_fails_with_the_address_and_the_way_out(portal_root: Any) -> None:
    root = portal_root(portal_url="http://127.0.0.1:9")
    with pytest.raises(PortalError, match="cannot be reached") as caught:
        root.runs  # noqa: B018
    assert caught.value.where == "http://127.0.0.1:9/graphql"
    root = portal_root(portal_url="http://127.0.0.1:9", portal_access="s3")
    assert root.config.portal_url == "http://127.0.0.1:9"


def test_a_wrong_address_is_explained(portal_root: Any, portal: LiveServer) -> None:
    with pytest.raises(PortalError, match=r"no GraphQL endpoint: HTTP status 404"):
        portal_root(portal_url=f"{portal.url}/nothing").runs  # noqa: B018


# --- other processes


WORKERS = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import tomoportal.copick as copick

def names_of(root):
    return [each.session_id for each in root.picks()]

def points_of(picks):
    return len(picks.numpy()[0])

def voxels_of(tomogram):
    return tomogram.numpy().sum().item()

if __name__ == "__main__":
    root = copick.from_file(sys.argv[1])
    names = names_of(root)
    points_of(root.picks()[0]), voxels_of(root.tomograms()[0])  # connections are open
    for method in ("fork", "spawn"):
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            assert pool.submit(names_of, root).result() == names
            assert list(pool.map(points_of, root.picks()[:6])) == [5] * 6
            assert list(pool.map(voxels_of, root.tomograms()[:3])) == [0, 64, 128]
"""


def test_c75_roots_and_entities_can_be_sent_to_worker_processes(portal_root: Any, tmp_path: Path) -> None:
    """Also to forked ones, as data loaders make them after their parent has read something."""
    root = portal_root([MANY])
    everything(root)
    copy = pickle.loads(pickle.dumps(root))
    assert [each.session_id for each in copy.picks()] == [each.session_id for each in root.picks()]
    assert copy.runs[0].picks[0].numpy()[0].tolist() == root.runs[0].picks[0].numpy()[0].tolist()
    assert copy.picks()[0].meta.portal_metadata.portal_authors == ["Ada Author", "Ben Author"]
    script = tmp_path / "workers.py"
    script.write_text(WORKERS)
    config = tmp_path / "project" / "config.json"
    done = subprocess.run([sys.executable, script, config], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_c70_projects_on_files_do_not_load_the_portal(tmp_path: Path, make_config: Any) -> None:
    code = (
        f"import sys, tomoportal.copick as copick; copick.from_file({str(make_config(tmp_path))!r}).runs\n"
        "print([name for name in sys.modules if name.startswith(('tomoportal.copick.portal', 'tomoportal.client'))])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- copies


def test_c9_c12_copies_in_the_overlay_keep_what_the_portal_said(portal_root: Any) -> None:
    root = portal_root()
    theirs = next(each for each in run_of(root).picks if each.meta.portal_metadata.shape_type == "Point")
    mine = run_of(root).new_picks(theirs.pickable_object_name, "1", "ada")
    mine.meta = type(theirs.meta).model_validate({**theirs.meta.model_dump(), "points": theirs.points})
    mine.store()
    found = run_of(portal_root()).get_picks(user_id="ada")[0]
    assert found.trust_orientation is False
    found.load()
    about = found.meta.portal_metadata
    assert about.annotation_file_id == theirs.meta.portal_annotation_file_id
    assert about.portal_annotation.annotation_method == "arithmetic"
    assert about.portal_author_names == ["Ada Author", "Ben Author"]
    document = json.loads(Path(found.path).read_text())
    assert document["portal_metadata"]["portal_annotation"]["object_id"] == theirs.meta.portal_metadata.object_id
    found.from_numpy(np.zeros((1, 3)))
    assert json.loads(Path(found.path).read_text())["portal_metadata"] == document["portal_metadata"]


def test_c10_new_picks_say_nothing_about_the_portal_and_upstreams_nulls_survive(portal_root: Any) -> None:
    run = run_of(portal_root())
    picks = run.new_picks("membrane", "1", "ada")
    picks.from_numpy(np.ones((2, 3)))
    document = json.loads(Path(picks.path).read_text())
    assert "portal_metadata" not in document
    nulls = {"portal_annotation": {"id": None}, "voxel_spacing": None, "portal_author_names": []}
    Path(picks.path).write_text(json.dumps({**document, "portal_metadata": nulls}))
    again = run_of(portal_root()).get_picks(user_id="ada")[0]
    again.from_numpy(np.zeros((1, 3)))
    assert json.loads(Path(picks.path).read_text())["portal_metadata"] == nulls
    assert not again.meta.portal_metadata
    assert run.get_picks(user_id="ada", portal_author_query=["Ada Author"]) == []


# --- other stores


def test_the_overlay_may_lie_in_a_bucket(portal_root: Any, asked: Any) -> None:
    """Picks, volumes and the kept answers go there; the next program reads all of it."""
    with s3_server() as url:
        address, _, query = url.partition("?")
        endpoint = dict(parse_qsl(query))["endpoint"]
        changes = {"overlay_root": f"{address}/overlay", "overlay_fs_args": {"endpoint_url": endpoint}}
        root = portal_root(**changes)
        run = run_of(root)
        run.new_picks("membrane", "1", "ada").from_numpy(np.ones((2, 3)))
        run.get_voxel_spacing(10).new_tomogram("mine").from_numpy(np.ones((4, 4, 4)))
        count = len(everything(root))
        asked()
        again = portal_root(**changes)
        assert len(everything(again)) == count
        assert asked() == {}
        assert len(run_of(again).get_picks(user_id="ada")[0].numpy()[0]) == 2
        assert run_of(again).voxel_spacings[0].tomograms[0].tomo_type == "mine"


def test_c53_c56_operations_work_on_the_runs_of_a_portal(portal_root: Any) -> None:
    root = portal_root([MANY])
    found = map_runs(count_points, root, [run.name for run in root.runs], workers=4, show_progress=False)
    assert found == {run.name: 20 for run in root.runs}
    assert list(found) == [run.name for run in root.runs]
    names = [each.session_id for each in get_picks(root, parallel=True, show_progress=False)]
    assert names == [each.session_id for each in root.picks()]


def count_points(run: copick.CopickRun) -> int:
    return sum(len(each.numpy()[0]) for each in run.picks)
