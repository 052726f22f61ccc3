"""Projects of Croissant manifests: ours and upstream's read each other's; two writers; a plain web server."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import trimesh

import tomoportal.copick as copick
from tomoportal.copick.croissant.exporting import append_croissant, export_croissant
from tomoportal.copick.croissant.index import CroissantIndex
from tomoportal.copick.croissant.schema import TABLES, key_of, row_of
from tomoportal.copick.croissant.splits import set_splits
from tomoportal.testing.copick_scripts import on_ours
from tomoportal.testing.web_folder import web_folder

TELL = """
import json
import numpy as np
import copick
root = copick.from_file(config)
told = {"objects": [each.name for each in root.pickable_objects]}
told["map"] = float(root.get_object("ribosome").numpy().sum())
told["splits"] = root.splits
for run in root.runs:
    found = told[run.name] = {"split": run.split}
    for picks in run.picks:
        positions, transforms = picks.numpy()
        found[f"{picks.user_id} {picks.session_id} {picks.pickable_object_name}"] = [
            positions.tolist(), transforms.tolist(), picks.read_only]
    for mesh in run.meshes:
        found[f"mesh {mesh.user_id} {mesh.session_id}"] = mesh.mesh.bounds.tolist()
    for each in run.segmentations:
        key = f"{each.segmentation_type} {each.user_id} {each.name} {each.voxel_size}"
        found[key] = int(each.numpy().astype("int64").sum())
    for spacing in run.voxel_spacings:
        for tomogram in spacing.tomograms:
            features = [[each.feature_type, float(each.numpy().sum())] for each in tomogram.features]
            found[f"{spacing.voxel_size} {tomogram.tomo_type}"] = [float(tomogram.numpy().sum()), features]
print(json.dumps(told, sort_keys=True))
"""
CHANGE = """
import numpy as np
import copick
root = copick.from_file(config)
run = root.new_run("TS_new")
run.new_picks("ribosome", "5", "ada").from_numpy(np.arange(6.0).reshape(2, 3))
tomogram = run.new_voxel_spacing(7.5).new_tomogram("wbp")
tomogram.from_numpy(np.arange(64.0).reshape(4, 4, 4))
run.new_segmentation(7.5, "ribosome", "5", user_id="ada", is_instance=True).from_numpy(np.ones((4, 4, 4), int))
picks = root.get_run("TS_001").get_picks("ribosome", "ada", "1")[0]
picks.from_numpy(np.ones((1, 3)))
root.get_run("TS_001").delete_picks("proteasome")
"""


def fill(folder: Path, make_config: Any) -> copick.CopickRoot:
    folder.mkdir()
    root = copick.from_file(make_config(folder))
    for number in range(1, 4):
        run = root.new_run(f"TS_00{number}")
        run.new_picks("ribosome", "1").from_numpy(np.full((2, 3), float(number)))
        run.new_picks("proteasome", "0", "tool").from_numpy(np.ones((1, 3)))
        mesh = run.new_mesh("membrane", "1")
        mesh.mesh = trimesh.creation.box()
        mesh.store()
        for name in ("wbp", "wbp_a"):
            tomogram = run.new_voxel_spacing(10.0, exist_ok=True).new_tomogram(name.replace("_", "-"))
            tomogram.from_numpy(np.full((4, 4, 4), number), levels=1)
            tomogram.new_features("sobel").from_numpy(np.ones((4, 4, 4)))
        run.new_segmentation(10.0, "membrane", "1").from_numpy(np.ones((4, 4, 4), int))
        run.new_segmentation(10.0, "all", "1", True).from_numpy(np.full((4, 4, 4), number))
        run.new_segmentation(10.0, "pan", "1", is_panoptic=True).from_numpy(np.ones((2, 4, 4, 4), int))
    root.get_object("ribosome").from_numpy(np.ones((3, 3, 3)), 5.0)  # type: ignore[union-attr]
    return root


@pytest.fixture
def project(tmp_path: Path, make_config: Any) -> copick.CopickRoot:
    return fill(tmp_path / "source", make_config)


def exported(root: copick.CopickRoot, **more: Any) -> Path:
    place = root.root_overlay
    return Path(export_croissant(root, place, base_url=f"file://{place}", dataset_name="x", force=True, **more))


def config_for(manifest: Path, folder: Path, **more: Any) -> Path:
    config = {"config_type": "mlcroissant", "pickable_objects": [], "croissant_url": str(manifest), **more}
    place = folder / f"croissant{len(list(folder.glob('croissant*.json')))}.json"
    place.write_text(json.dumps(config))
    return place


def theirs(script: str) -> str:
    return f"import sys\nconfig = sys.argv[1]\n{script}"


SPLITS = {"train": ["TS_001", "TS_003"], "val": ["TS_002"]}


def test_upstream_opens_what_we_export(project: Any, tmp_path: Path, upstream: Any) -> None:
    config = config_for(exported(project, splits=SPLITS), tmp_path)
    found = on_ours(TELL, config=str(config))
    assert found["splits"] == SPLITS
    assert len(found["TS_001"]) == 9
    assert upstream(theirs(TELL), config) == found


def test_we_open_what_upstream_exports(project: Any, tmp_path: Path, upstream: Any) -> None:
    script = f"""
import copick
from copick.ops.croissant import export_croissant
root = copick.from_file(config)
export_croissant(root, project_root={project.root_overlay!r}, base_url="file://" + {project.root_overlay!r},
                 dataset_name="x", splits={SPLITS!r})
print("null")
"""
    upstream(theirs(script), tmp_path / "source" / "copick_config.json")
    config = config_for(Path(project.root_overlay) / "Croissant" / "metadata.json", tmp_path)
    mine = on_ours(TELL, config=str(config))
    assert mine == upstream(theirs(TELL), config)
    theirs_files = {each.name: each.read_text() for each in Path(config).parent.rglob("Croissant/*.csv")}
    exported(project, splits=SPLITS)
    del theirs_files["objects.csv"]  # upstream lists particles without a density map, too
    for each in (place for place in Path(project.root_overlay).glob("Croissant/*.csv") if place.name in theirs_files):
        assert sorted(each.read_text().split()) == sorted(theirs_files[each.name].split()), each.name


@pytest.mark.parametrize("first", ["ours", pytest.param("theirs", marks=pytest.mark.slow)])
def test_changes_go_into_the_manifest_for_both(first: str, project: Any, tmp_path: Path, upstream: Any) -> None:
    config = config_for(exported(project), tmp_path)
    if first == "ours":
        on_ours(CHANGE, config=str(config))
    else:
        upstream(theirs(CHANGE), config)
    found = on_ours(TELL, config=str(config))
    assert found == upstream(theirs(TELL), config)
    assert found["TS_new"]["ada 5 ribosome"][0] == [[0, 1, 2], [3, 4, 5]]
    assert found["TS_new"]["7.5 wbp"][0] == 2016
    assert found["TS_001"]["ada 1 ribosome"][0] == [[1, 1, 1]]
    assert "tool 0 proteasome" not in found["TS_001"]


@pytest.mark.slow
def test_with_an_overlay_the_manifest_stays_as_it_is(project: Any, tmp_path: Path, upstream: Any) -> None:
    manifest = exported(project)
    before = {each: each.read_bytes() for each in manifest.parent.iterdir()}
    config = config_for(
        manifest, tmp_path, overlay_root=f"local://{tmp_path}/over", overlay_fs_args={"auto_mkdir": True}
    )
    root = copick.from_file(config)
    run = root.get_run("TS_001")
    assert run is not None
    with pytest.raises(PermissionError):
        run.get_picks("ribosome")[0].store()
    with pytest.raises(PermissionError):
        root.set_splits({"train": ["TS_001"]})  # type: ignore[attr-defined]
    run.new_picks("ribosome", "7").from_numpy(np.ones((2, 3)))
    root.new_run("only-here")
    assert [each.name for each in copick.from_file(config).runs] == ["TS_001", "TS_002", "TS_003", "only-here"]
    found = on_ours(TELL.replace("root.splits", "{}"), config=str(config))
    assert found == upstream(theirs(TELL.replace("root.splits", "{}")), config)
    assert {each: each.read_bytes() for each in manifest.parent.iterdir()} == before
    assert pickle.loads(pickle.dumps(root)).get_run("TS_001").picks


def save_many(config: str, name: str, count: int) -> None:
    run = copick.from_file(config).get_run("TS_001")
    assert run is not None
    for number in range(count):
        run.new_picks("ribosome", f"{name}-{number}").from_numpy(np.ones((1, 3)))


def test_c90_two_writers_lose_nothing_and_leave_no_stray_file(project: Any, tmp_path: Path) -> None:
    manifest = exported(project)
    config = config_for(manifest, tmp_path)
    threads = [threading.Thread(target=save_many, args=(str(config), name, 8)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    root = copick.from_file(config)
    run = root.get_run("TS_001")
    assert run is not None
    assert len([each for each in run.picks if "-" in each.session_id]) == 24
    names = {each.name for each in manifest.parent.iterdir() if not each.name.startswith(".")}
    assert names == {"metadata.json", *(table.file for table in TABLES.values())}
    run.new_filaments("microtubule", "1").from_numpy([np.arange(6.0).reshape(2, 3)])  # which upstream cannot store here
    fresh = copick.from_file(config).get_run("TS_001")
    assert fresh is not None
    assert len(fresh.filaments) == 1
    assert multiprocessing.active_children() == []


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    with web_folder(tmp_path / "source" / "overlay", lists=False) as url:
        yield url


def test_c96_a_manifest_on_a_web_server_needs_no_listing(project: Any, tmp_path: Path, web: str) -> None:
    place = project.root_overlay
    export_croissant(project, place, base_url=web, dataset_name="x", splits=SPLITS)
    local = on_ours(
        TELL, config=str(config_for(Path(place) / "Croissant" / "metadata.json", tmp_path, croissant_base_url=place))
    )
    config = config_for(Path("x"), tmp_path, croissant_url=f"{web}/Croissant/metadata.json",
                        overlay_root=f"local://{tmp_path}/over")  # fmt: skip
    assert on_ours(TELL.replace(", picks.read_only", ", False"), config=str(config)) == local
    root = copick.from_croissant(f"{web}/Croissant/metadata.json")
    with pytest.raises(PermissionError):
        root.set_splits({"train": ["TS_001"]})  # type: ignore[attr-defined]
    with pytest.raises(OSError, match=r"failed|read-only|shows no list"):
        root.runs[0].new_picks("ribosome", "9")


@pytest.mark.slow
def test_splits_are_set_cleared_and_checked(project: Any, tmp_path: Path, upstream: Any) -> None:
    manifest = exported(project)
    set_splits(str(manifest), {"train": ["TS_001"], "mine": "TS_002"})
    config = config_for(manifest, tmp_path)
    told = theirs("import json, copick\nprint(json.dumps(copick.from_file(config).splits))")
    assert upstream(told, config) == {"train": ["TS_001"], "mine": ["TS_002"]}
    records = json.loads(manifest.read_text())["recordSet"]
    urls = {row["copick/splits/name"]: row["copick/splits/url"] for row in records[-1]["data"]}
    assert urls["train"].endswith("training_split")
    assert urls["mine"] == ""
    root = copick.from_file(config)
    run = root.get_run("TS_003")
    assert run is not None
    run.split = "val"  # type: ignore[misc]
    assert root.splits == {"train": ["TS_001"], "mine": ["TS_002"], "val": ["TS_003"]}  # type: ignore[attr-defined]
    assert [each.name for each in root.get_runs_in_split("val")] == ["TS_003"]  # type: ignore[attr-defined]
    for bad, words in (({"a": ["nothing"]}, "unknown runs"), ({"a": ["TS_001"], "b": ["TS_001"]}, "two splits")):
        with pytest.raises(ValueError, match=words):
            set_splits(str(manifest), bad)
    set_splits(str(manifest), {"test": ["TS_001"]}, clear_existing=True)
    set_splits(str(manifest), unassign=["TS_001"])
    assert upstream(told, config) == {}
    assert json.loads(manifest.read_text())["recordSet"][-1]["@id"] == "copick/objects"


def test_a_part_of_a_project_under_other_names(project: Any, tmp_path: Path, upstream: Any) -> None:
    place = tmp_path / "part"
    place.mkdir()
    manifest = Path(
        export_croissant(
            project, str(place), base_url=f"file://{place}", runs=["TS_001"], picks=["ribosome:*/*"], meshes=[],
            segmentations=["*?panoptic=true"], tomograms=["wbp"], features=[], objects=[],
            tomo_type_map={"wbp": "raw"}, object_name_map={"ribosome": "rib"},
        )
    )  # fmt: skip
    index = CroissantIndex.from_url(str(manifest))
    assert [(row["object_name"], row["run"]) for row in index.picks] == [("rib", "TS_001")]
    assert [row["tomo_type"] for row in index.tomograms] == ["raw"]
    assert (len(index.panoptic_segmentations), index.meshes, index.segmentations, index.objects) == (1, [], [], [])
    config = config_for(manifest, tmp_path)
    found = copick.from_file(config).get_run("TS_001")
    assert found is not None
    assert found.picks[0].numpy()[0].tolist() == [[1, 1, 1], [1, 1, 1]]
    assert append_croissant(str(manifest), project, runs=["TS_002"], splits={"test": "TS_002"}) == str(manifest)
    script = "import json, copick\nroot = copick.from_file(config)\nprint(json.dumps([[r.name, r.split, len(r.picks),"
    script += " sum(len(p.points) for p in r.picks)] for r in root.runs] + [o.name for o in root.pickable_objects]))"
    told = upstream(theirs(script), config)
    assert told[:2] == [["TS_001", None, 1, 2], ["TS_002", "test", 2, 3]]
    assert set(told[2:]) == {"rib", "ribosome", "proteasome", "membrane", "microtubule"}
    for arguments, words in (({"picks_author": ["x"]}, "Portal source"), ({"splits": {"a": ["x"]}}, "unknown runs")):
        with pytest.raises(ValueError, match=words):
            append_croissant(str(manifest), project, **arguments)
    with pytest.raises(FileExistsError, match="already exists"):
        export_croissant(project, str(place), base_url="x")
    with pytest.raises(ValueError, match="base_url is required"):
        export_croissant(project, str(place), force=True)


def test_points_of_a_portal_are_scaled(project: Any, tmp_path: Path) -> None:
    manifest = exported(project)
    rows = [{"type": "orientedPoint", "location": {"x": 1, "y": 2, "z": 3},
             "xyz_rotation_matrix": np.eye(3).tolist()}]  # fmt: skip
    (tmp_path / "VoxelSpacing4.000").mkdir()
    place = tmp_path / "VoxelSpacing4.000" / "points.ndjson"
    place.write_text("\n".join(map(json.dumps, rows)))
    index = CroissantIndex.from_url(str(manifest))
    row = {"run": "TS_001", "user_id": "portal", "object_name": "ribosome", "url": f"file://{place}"}
    index.add_row("copick/picks", {**row, "session_id": "1", "voxel_size": 10.0})
    index.add_row("copick/picks", {**row, "session_id": "2"})
    run = copick.from_file(config_for(manifest, tmp_path)).get_run("TS_001")
    assert run is not None
    found = {each.session_id: each for each in run.get_picks(user_id="portal")}
    assert found["1"].numpy()[0].tolist() == [[10, 20, 30]]
    assert found["2"].numpy()[0].tolist() == [[4, 8, 12]]
    found["1"].points = []
    with pytest.raises(PermissionError):
        found["1"].store()


def test_rows_and_keys_are_each_others_inverse(project: Any) -> None:
    index = CroissantIndex.from_url(str(exported(project)))
    types = frozenset(row["tomo_type"] for row in index.tomograms)
    count = 0
    for id, table in TABLES.items():
        for row in index.rows(id):
            found = row_of(key_of(id, row), types)
            assert found is not None
            assert found[0] == id
            assert table.key(found[1]) == table.key(row)
            count += 1
    assert count == 3 * (1 + 1 + 2 + 2 + 2 + 1 + 2 + 1) + 1


def test_bad_manifests_say_what_is_wrong(project: Any, tmp_path: Path) -> None:
    manifest = exported(project)
    with pytest.raises(FileNotFoundError, match="no such manifest"):
        copick.from_croissant(str(tmp_path / "none" / "metadata.json"))
    table = manifest.parent / "tomograms.csv"
    good = table.read_text()
    table.write_text(good.replace("10.0", "ten"))
    with pytest.raises(ValueError, match=r"tomograms\.csv:2: voxel_size 'ten' is no number"):
        copick.from_croissant(str(manifest))
    table.unlink()
    assert copick.from_croissant(str(manifest)).runs[0].voxel_spacings[0].tomograms == []
    for text, words in (("{", "no JSON"), ("[]", "no JSON object")):
        manifest.write_text(text)
        with pytest.raises(ValueError, match=words):
            copick.from_croissant(str(manifest))
    shutil.rmtree(manifest.parent)


def test_picks_keep_their_voxel_size(project: Any) -> None:
    picks = project.get_run("TS_001").get_picks("ribosome")[0]
    picks.points, picks.meta.voxel_spacing = picks.points, 7.84
    picks.store()
    found = CroissantIndex.from_url(str(exported(copick.from_file(project.root_overlay + "/../copick_config.json"))))
    sizes = {(row["run"], row["object_name"]): row["voxel_size"] for row in found.picks}
    assert sizes[("TS_001", "ribosome")] == 7.84
    assert sizes[("TS_002", "ribosome")] is None


def test_lines_of_portals_need_no_type(project: Any, tmp_path: Path) -> None:
    index = CroissantIndex.from_url(str(exported(project)))
    place = tmp_path / "VoxelSpacing4.000" / "points.ndjson"
    place.parent.mkdir()
    turn = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    lines: list[dict[str, Any]] = [{"location": {"x": 1, "y": 2, "z": 3}, "instance_id": 7}]
    lines.append({"location": {"x": 0, "y": 0, "z": 1}, "xyz_rotation_matrix": turn})
    place.write_text("\n".join(map(json.dumps, lines)))
    row = {"run": "TS_001", "user_id": "portal", "object_name": "ribosome", "session_id": "1"}
    index.add_row("copick/picks", {**row, "url": f"file://{place}"})
    run = copick.from_file(config_for(Path(index._folder.where(index._name)), tmp_path)).get_run("TS_001")
    assert run is not None
    (picks,) = run.get_picks(user_id="portal")
    positions, transforms = picks.numpy()
    assert positions.tolist() == [[4, 8, 12], [0, 0, 4]]
    assert transforms[0].tolist() == np.eye(4).tolist()
    assert transforms[1, :3, :3].tolist() == turn
    assert picks.instance_ids().tolist() == [7, 0]
    assert (picks.trust_orientation, picks.meta.voxel_spacing) == (True, 4.0)


def test_c28_an_overlay_in_the_manifest_s_own_place_is_one_source(project: Any, tmp_path: Path) -> None:
    manifest = exported(project)
    elsewhere = tmp_path / "moved.json"
    shutil.move(Path(project.root_overlay) / "ExperimentRuns/TS_003/Picks/ada_1_ribosome.json", elsewhere)
    index = CroissantIndex.from_url(str(manifest))
    row = next(each for each in index.picks if (each["run"], each["user_id"]) == ("TS_003", "ada"))
    index.add_row("copick/picks", {**row, "url": f"file://{elsewhere}"})
    overlay = {"overlay_root": f"local://{project.root_overlay}/", "overlay_fs_args": {"auto_mkdir": True}}
    config = config_for(manifest, tmp_path, **overlay)
    root: Any = copick.from_file(config)
    assert root.mode == "B"
    assert root.static_is_overlay
    for run in root.runs:
        assert len(run.picks) == 2
        assert len(run.segmentations) == 3
        assert [each.read_only for each in run.get_picks("ribosome")] == [run.name == "TS_003"]
        assert len(run.get_picks("ribosome")[0].points) == 2
    assert root.delete_run("TS_001") is None  # nothing of it is read-only
    assert [each.name for each in copick.from_file(config).runs] == ["TS_002", "TS_003"]
    distinct = copick.from_file(config_for(manifest, tmp_path, overlay_root=f"local://{tmp_path}/overlay"))
    assert not distinct.static_is_overlay


def test_an_anonymous_manifest_names_the_overlay_as_the_way_out(project: Any, tmp_path: Path) -> None:
    root = copick.from_file(config_for(exported(project), tmp_path, static_fs_args={"anon": True}))
    with pytest.raises(PermissionError, match="overlay_root"):
        root.get_run("TS_001").new_picks("ribosome", "9", "bob")  # type: ignore[union-attr]


def test_the_config_of_an_export_takes_arguments_and_an_overlay_that_is_out_of_reach(
    project: Any, tmp_path: Path
) -> None:
    from click.testing import CliRunner

    from tomoportal.cli.copick.croissant import export_croissant as command
    from tomoportal.cli.copick.croissant import set_splits as splits_command

    source = tmp_path / "source" / "copick_config.json"
    config = json.loads(source.read_text())
    config["overlay_fs_args"] = {"auto_mkdir": True, "host": "example.com"}
    source.write_text(json.dumps(config))
    given = ["--config", source, "--project-root", project.root_overlay, "--base-url", f"file://{project.root_overlay}"]
    given += ["--emit-config", tmp_path / "made.json", "--config-overlay", "ssh://unknown/overlay", "--force"]
    given += ["--config-overlay-fs-args", '{"port": 22}']
    done = CliRunner().invoke(command, [*map(str, given)], standalone_mode=False)
    assert done.exception is None
    made = json.loads((tmp_path / "made.json").read_text())
    assert made["static_fs_args"] == {"host": "example.com"}
    assert (made["overlay_root"], made["overlay_fs_args"]) == ("ssh://unknown/overlay", {"port": 22})
    done = CliRunner().invoke(splits_command, ["--croissant", f"{project.root_overlay}/Croissant/metadata.json"])
    assert done.exit_code == 2
    assert "Nothing to do" in done.output


def test_sessions_may_be_named_after_a_portal_s_columns() -> None:
    from types import SimpleNamespace

    from tomoportal.copick.croissant.selection import Selection, _session
    from tomoportal.copick.portal.rows import PortalAnnotationMeta

    row = {"id": 5, "method_type": "hybrid", "object_state": None}
    about = PortalAnnotationMeta(row, portal_author_names=["Ada L", "Bob"])
    picks = SimpleNamespace(session_id="41", meta=SimpleNamespace(portal_metadata=about))
    made = {
        text: _session(picks, Selection(session_id_template=text))["session_id"]
        for text in ("{method_type}", "{author}", "{authors}", "{annotation_file_id}", "{object_state}")
    }
    assert list(made.values()) == ["hybrid", "Ada-L", "Ada-L,Bob", "41", "41"]


def test_an_index_made_by_hand_becomes_a_manifest_that_opens(project: copick.CopickRoot, tmp_path: Path) -> None:
    """The constructor of upstream's class: rows in memory, written by ``mark_dirty`` and ``commit``."""
    known = CroissantIndex.from_url(str(exported(project)))
    folder = tmp_path / "copy" / "Croissant"
    folder.mkdir(parents=True)
    tables = [name.partition("/")[2] for name in TABLES if name != "copick/runs"]
    made = CroissantIndex(
        known.doc,
        str(folder),
        fsspec.filesystem("file"),
        known.base_url,
        config_block=known.config_block,
        runs_by_name=known.runs_by_name,
        **{name: getattr(known, name) for name in tables},
    )
    assert list(folder.iterdir()) == []
    for name in TABLES:
        made.mark_dirty(name)
    made.commit()
    found = CroissantIndex.from_url(str(folder / "metadata.json"))
    assert {name: found.rows(name) for name in TABLES} == {name: known.rows(name) for name in TABLES}
    assert found.config_block == known.config_block
    assert found.base_url == known.base_url
    root = copick.from_file(config_for(folder / "metadata.json", tmp_path))
    assert [run.name for run in root.runs] == [run.name for run in project.runs]
    made.add_row("copick/runs", {"name": "TS_new"})
    assert "TS_new" in CroissantIndex.from_url(str(folder / "metadata.json")).runs_by_name
    memory = CroissantIndex(known.doc, "/manifest/Croissant", fsspec.filesystem("memory"))
    memory.add_row("copick/runs", {"name": "TS_1"})
    assert fsspec.filesystem("memory").exists("/manifest/Croissant/metadata.json")
    fsspec.filesystem("memory").rm("/manifest", recursive=True)
