"""Scripts that call ``copick.ops.{manage, sync, stats, deposit}`` get the results that they know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

import tomoportal.copick as copick
from tomoportal.copick.exchange.exporting_volumes import VolumeExport, plan_segmentations_export
from tomoportal.copick.exchange.importing_volumes import VolumeOptions, plan_segmentations
from tomoportal.copick.operations import depositing, exporting, file_imports, managing, statistics, synchronising
from tomoportal.copick.removed import removed_documents
from tomoportal.copick.tasks import perform
from tomoportal.copick.transfers.by_uri import plan_restore
from tomoportal.errors import AnnotationError
from tomoportal.formats import ArrayVolume, Poses, open_mrc, read_star, write_copick_csv, write_dynamo
from tomoportal.formats.volume_output import write_mrc
from tomoportal.storage import open_store


@pytest.fixture
def project(root: copick.CopickRoot) -> copick.CopickRoot:
    for name in ("TS_001", "TS_002"):
        run = root.new_run(name)
        run.new_picks("ribosome", "1").from_numpy(np.arange(6.0).reshape(2, 3))
        run.new_segmentation(10, "membrane", "0", user_id="seg").from_numpy(np.ones((2, 2, 2), np.uint8))
        run.new_segmentation(10, "all", "0", True, user_id="seg").from_numpy(np.ones((2, 2, 2), np.uint8))
    return root


def test_managing(project: copick.CopickRoot) -> None:
    copied = managing.copy_copick_objects(project, "picks", "ribosome:ada/1", "ribosome:bob/1", "TS_001")
    assert copied == {"copied": 1, "mappings": [("ribosome:ada/1", "ribosome:bob/1")], "errors": []}
    moved = managing.move_copick_objects_batch(project, "picks", "ribosome:ada/1", "ribosome:eve/1")
    assert {run: result["moved"] for run, result in moved.items()} == {"TS_001": 1, "TS_002": 1}
    dry = managing.remove_copick_objects(project, "picks", "ribosome:*/1", dry_run=True)
    assert (dry["deleted"], len(project.picks())) == (3, 3)
    assert managing.remove_copick_objects_batch(project, "picks", "ribosome")["TS_001"]["deleted"] == 2
    assert not project.picks()
    assert managing.copy_copick_objects(project, "picks", "ribosome", "{name}:x/1")["copied"] == 0
    with pytest.raises(AnnotationError, match="not supported for object type: tomogram"):
        managing.move_copick_objects(project, "tomogram", "wbp", "wbp")
    run = project.get_run("TS_001")
    assert run is not None
    wrong = managing.copy_copick_objects_per_run(run, "segmentation", "all:seg/0?multilabel=true", "all:seg/0")
    assert (wrong["copied"], len(wrong["errors"])) == (0, 1)


def test_synchronising(project: copick.CopickRoot, make_config: Any, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    target = copick.from_file(make_config(tmp_path / "target"))
    synchronising.sync_picks(project, target, ["TS_001"], {"TS_001": "A"}, target_users={"ada": "bob"})
    assert [(each.run.name, each.user_id) for each in target.picks()] == [("A", "bob")]
    synchronising.sync_segmentations(project, target, is_multilabel=False)
    assert {each.segmentation_type for each in target.segmentations()} == {"binary"}
    synchronising.sync_segmentations(project, target)
    assert {each.segmentation_type for each in target.segmentations()} == {"binary", "multilabel"}
    synchronising.sync_picks(project, target, target_objects={"ribosome": "unknown"})
    assert target.get_object("unknown") is None


def test_counting_and_depositing(project: copick.CopickRoot, config: Path, tmp_path: Path) -> None:
    assert statistics.picks_stats(project)["total_picks"] == 4
    for runs in (project.runs[:1], project.runs[0], "TS_001", ["TS_001"]):
        assert statistics.picks_stats(str(config), runs)["distribution_by_run"] == {"TS_001": 2}
    for nothing in ({"runs": []}, {"object_name": []}):
        assert statistics.picks_stats(project, **nothing)["total_pick_files"] == 0
    assert statistics.segmentations_stats(project, is_multilabel=True, parallel=True)["total_segmentations"] == 2
    depositing.deposit(config, str(tmp_path / "out"), picks_uris=["ribosome"], run_name_prefix="x_")
    assert len(list((tmp_path / "out").rglob("*.json"))) == 2
    run = project.get_run("TS_001")
    assert run is not None
    assert depositing.deposit_run(run, str(tmp_path / "out"), segmentations_uris=["*"]) == {
        "processed": 2,
        "errors": [],
    }
    with pytest.raises(ValueError, match=r"Run names not found in project: \['TS_404'\]"):
        depositing.deposit(config, str(tmp_path / "out"), ["TS_404"])


def test_files_become_entities(root: copick.CopickRoot, tmp_path: Path) -> None:
    volume = np.random.default_rng(1).normal(size=(9, 10, 11)).astype(np.float32)
    store = open_store(tmp_path)
    write_mrc(ArrayVolume(volume), store, "a.mrc", voxel_spacing=10)
    write_mrc(ArrayVolume((volume > 0).astype(np.int8)), store, "mask.mrc", voxel_spacing=10)
    tomogram = file_imports.add_tomogram_from_file(root, "TS_001", "wbp", str(tmp_path / "a.mrc"))
    np.testing.assert_array_equal(tomogram.numpy(), volume)
    again = file_imports.z_add_tomogram_mrc(root, "TS_001", "wbp", str(tmp_path / "a.mrc"), 20.0)
    assert again.voxel_spacing.voxel_size == 20
    mask = (str(tmp_path / "mask.mrc"), 10.0, "membrane", "seg", "0")
    assert file_imports.add_segmentation(root, "TS_001", *mask).segmentation_type == "binary"
    assert file_imports.add_segmentation_from_file(root, "TS_001", *mask).segmentation_type == "multilabel"
    poses = Poses.of([[1.0, 2, 3]])
    store.put("a.csv", write_copick_csv({"TS_001": poses}))
    store.put("a.tbl", write_dynamo({4: poses, 7: poses}, voxel_spacing=10))
    names = ("ribosome", "ada")
    picks = file_imports.add_picks(root, "TS_001", str(tmp_path / "a.csv"), *names, "1", 10.0, "csv")
    assert picks.numpy()[0].tolist() == [[1, 2, 3]]
    found = file_imports.add_picks_grouped_from_file(
        root, str(tmp_path / "a.tbl"), *names, "2", 10.0, {4: "TS_001", 7: "TS_002"}
    )
    assert {run: len(each.points) for run, each in found.items()} == {"TS_001": 1, "TS_002": 1}
    with pytest.raises(AnnotationError, match="voxel"):
        file_imports.add_picks_from_file(root, "TS_001", str(tmp_path / "a.tbl"), *names, "3")
    store.put("b.csv", b"x,y,z\n1,2,3\n")
    with pytest.raises(AnnotationError, match="no such run"):
        file_imports.add_picks_from_file(root, "TS_9", str(tmp_path / "b.csv"), *names, "3", create=False)


def test_entities_become_files(project: copick.CopickRoot, config: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert exporting.export(config, out, picks_uri="ribosome", output_format="csv") == []
    assert exporting.export(config, out, segmentation_uri="membrane", output_format="mrc") == []
    assert exporting.export(config, out, ["TS_001"], picks_uri="ribosome", output_format="em") != []  # no voxel size
    assert len(list((tmp_path / "out").rglob("*.csv"))) == 2
    assert open_mrc(open_store(tmp_path / "out/TS_001/Segmentations"), "membrane_seg_0.mrc").read(0, 2).all()
    picks = project.picks()[0]
    one = exporting.export_picks(picks, str(tmp_path / "one.tbl"), "dynamo", 10.0, tomogram_index=7)
    assert np.loadtxt(one)[:, 19].tolist() == [7, 7]
    combined = str(tmp_path / "all.star")
    exporting.export_picks_combined(config, combined, "ribosome", "star", 10.0, tilt_series_pixel_size=2.0)
    assert len(read_star(Path(combined).read_bytes(), "all").tables) == 2
    segmentation = project.segmentations()[0]
    exporting.export_segmentation(segmentation, str(tmp_path / "s.tiff"), "tiff", compression="zlib")
    assert (tmp_path / "s.tiff").exists()


def test_runs_of_one_number_are_all_written(tmp_path: Path, config: Path) -> None:
    root = copick.from_file(config)
    for number, name in enumerate(("TS_1", "TS_2"), start=1):
        root.new_run(name).new_picks("ribosome", "1", "ada").from_numpy(np.full((number, 3), 10.0))
    path = str(tmp_path / "all.tbl")
    exporting.export_picks_combined(config, path, "ribosome", "dynamo", 10.0, run_to_index={"TS_1": 0, "TS_2": 0})
    assert [line.split()[19] for line in Path(path).read_text().splitlines()] == ["0"] * 3


@pytest.mark.parametrize("kind", ["em", "dynamo", "stopgap", "imod", "ndjson"])
@pytest.mark.parametrize("size", [None, 0.0, -10.0, float("nan")])
def test_lists_that_count_voxels_need_their_size(
    project: copick.CopickRoot, tmp_path: Path, kind: str, size: Any
) -> None:
    """Nothing is written: not a list of numbers that are none."""
    with pytest.raises(ValueError, match=r"voxel_spacing is required for|is not a positive length") as error:
        exporting.export_picks(project.picks()[0], str(tmp_path / "new/a.out"), kind, size)
    assert isinstance(error.value, AnnotationError)
    assert not (tmp_path / "new").exists()


def test_formats_and_numbers_that_are_not_there(project: copick.CopickRoot, config: Path, tmp_path: Path) -> None:
    """In upstream's words, as the builtin errors that scripts catch."""
    picks, segmentation = project.picks()[0], project.segmentations()[0]
    tomogram = picks.run.new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(np.ones((2, 2, 2), np.float32))
    out = str(tmp_path / "a.xyz")
    exports: tuple[tuple[Any, Any], ...] = (
        (picks, exporting.export_picks),
        (tomogram, exporting.export_tomogram),
        (segmentation, exporting.export_segmentation),
    )
    for entity, export in exports:
        with pytest.raises(ValueError, match="Unsupported output format: xyz"):
            export(entity, out, "XYZ")
        assert not Path(out).exists()
    with pytest.raises(ValueError, match="no channels"):
        exporting.export_segmentation(segmentation, out, "mrc", channel="label")
    with pytest.raises(ValueError, match="keeps every channel"):
        exporting.export_segmentation(segmentation, out, "zarr", channel="label")
    for kind in ("em", "dynamo", "stopgap"):
        with pytest.raises(ValueError, match=f"run_to_index mapping is required for combined {kind.upper()} export"):
            exporting.export_picks_combined(config, out, "ribosome", kind)
        with pytest.raises(ValueError, match=f"voxel_spacing is required for {kind.upper()} export"):
            exporting.export_picks_combined(config, out, "ribosome", kind, run_to_index={"TS_001": 1, "TS_002": 2})
        with pytest.raises(ValueError, match="TS_002: is not in the index map"):
            exporting.export_picks_combined(config, out, "ribosome", kind, 10.0, run_to_index={"TS_001": 1})
    assert not Path(out).exists()
    for kind in ("picks", "tomogram", "segmentation"):
        uris: dict[str, Any] = {f"{kind}_uri": "*"}
        wrong = exporting.export(config, str(tmp_path / "out"), output_format="xyz", **uris)
        assert len(wrong) == 2
        assert "Unsupported output format: xyz" in wrong[0]
    (tmp_path / "a.bin").write_bytes(b"x")
    target = ("TS_001", "wbp", str(tmp_path / "a.bin"))
    with pytest.raises(ValueError, match="Unsupported file type 'xyz'"):
        file_imports.add_tomogram_from_file(project, *target, file_type="xyz")
    with pytest.raises(ValueError, match="Unsupported file type 'xyz'"):
        file_imports.add_picks(project, "TS_001", str(tmp_path / "a.bin"), "ribosome", "u", "1", 10.0, "xyz")


def test_empty_meshes_are_synchronised_and_filled_later(
    project: copick.CopickRoot, make_config: Any, tmp_path: Path
) -> None:
    """Whoever wrote the empty file: ours, or trimesh, whose has other bytes."""
    (tmp_path / "target").mkdir()
    target = copick.from_file(make_config(tmp_path / "target"))
    run = project.get_run("TS_001")
    assert run is not None
    meshes = [run.new_mesh("membrane", session) for session in ("1", "2", "3")]
    for mesh, empty in zip(meshes[1:], (trimesh.Scene(), trimesh.Trimesh()), strict=True):
        mesh.mesh = empty
        mesh.store()
    synchronising.sync_meshes(project, target)
    assert [each.mesh.geometry for each in target.get_run("TS_001").meshes] == [{}, {}, {}]  # type: ignore[union-attr]
    for mesh in meshes:
        mesh.mesh = trimesh.creation.box()
        mesh.store()
    synchronising.sync_meshes(project, target)
    target.refresh()
    assert [len(each.mesh.geometry) for each in target.get_run("TS_001").meshes] == [1, 1, 1]  # type: ignore[union-attr]


def test_relion_particles(project: copick.CopickRoot, tmp_path: Path) -> None:
    centres = dict.fromkeys(("TS_001", "TS_002"), (1.0, 2.0, 3.0))
    made = exporting.export_relion_particles(
        project, "ribosome", str(tmp_path / "a.star"), tomogram_centers=centres,
        tilt_series_pixel_size={"TS_001": 1.0, "TS_002": 2.0},
    )  # fmt: skip
    assert (made.rows, made.filament, made.polarity, made.files) == ({"TS_001": 2, "TS_002": 2}, False, {}, {})
    table = read_star((tmp_path / "a.star").read_bytes(), "a").table("particles")
    assert table is not None
    assert table.numbers("rlnCenteredCoordinateZAngst").tolist() == [-1, 2, -1, 2]
    assert table.numbers("rlnCoordinateZ").tolist() == [2, 5, 1, 2.5]
    imported = exporting.export_relion_particles(
        project, "ribosome", str(tmp_path / "i/index.star"), layout="import", tomogram_centers=centres
    )
    assert all(Path(file).exists() for file in imported.files.values())
    with pytest.raises(AnnotationError, match="No picks found"):
        exporting.export_relion_particles(project, "nobody", str(tmp_path / "b.star"))
    empty = exporting.export_relion_particles(project, "nobody", str(tmp_path / "b.star"), allow_empty=True)
    assert set(empty.rows.values()) == {0}
    run = project.get_run("TS_001")
    assert run is not None
    run.new_picks("microtubule", "1").from_numpy(np.ones((2, 3)), instance_ids=np.array([1, 2]))
    run.new_filaments("microtubule", "1").from_numpy([np.eye(3), np.eye(3)], polarity_known=[True, False])
    tubes = exporting.export_relion_particles(
        project, "microtubule", str(tmp_path / "t.star"), tomogram_centers=centres, half_sets="filament"
    )
    assert (tubes.filament, tubes.half_sets) == (True, {1: 1, 2: 1})
    assert (tubes.polarity["TS_001"].known, tubes.polarity["TS_001"].unknown) == (1, 1)
    index = tmp_path / "none" / "index.star"
    empty = exporting.export_relion_particles(project, "nobody", str(index), layout="import", allow_empty=True)
    assert empty.files == {}
    assert read_star(index.read_bytes(), "a").table("coordinate_files") is not None
    for changes, words in (
        ({"half_sets": "filament"}, "2 particles do not have: they are exported without filament columns"),
        ({"half_sets": "filament", "filament_columns": "off"}, "cannot be combined with filament_columns='off'"),
        ({"half_sets": "odd"}, "half_sets must be one of"),
        ({"coordinates": "odd"}, "coordinates must be one of"),
        ({"filament_angles": "odd"}, "filament_angles must be one of"),
        ({"filament_columns": "on"}, "2 of 2 picks in TS_001 have no filament ID"),
    ):
        picks = run.get_picks("ribosome")[0]
        with pytest.raises(ValueError, match=words):
            exporting.export_picks(picks, str(tmp_path / "x.star"), "star", 10.0, **changes)
    with pytest.raises(ValueError, match="polarity_from_filaments is False"):
        exporting.export_relion_particles(
            project, "microtubule", str(tmp_path / "t.star"), tomogram_centers=centres,
            filaments_uri="microtubule", polarity_from_filaments=False,
        )  # fmt: skip


def test_a_panoptic_segmentation_in_two_files_is_counted_once(project: copick.CopickRoot, tmp_path: Path) -> None:
    run = project.new_run("TS_pan")
    both = np.ones((2, 2, 2, 2), np.uint16)
    for session in ("1", "2"):
        run.new_segmentation(10.0, "pan", session, user_id="ada", is_panoptic=True).from_numpy(both)
    told = exporting.export_run(run, str(tmp_path), segmentation_uri="pan?panoptic=true", output_format="mrc")
    assert (told["segmentations"], told["errors"]) == (2, [])
    assert len(list(tmp_path.rglob("*.mrc"))) == 4


@pytest.mark.parametrize("form", ["mrc", "tiff", "em"])
def test_a_panoptic_segmentation_comes_back_from_the_pair_of_files_that_its_export_wrote(
    project: copick.CopickRoot, tmp_path: Path, form: str
) -> None:
    """Instances above 32767 keep their values; a second addition of the same files does nothing."""
    run = project.new_run("TS_pan")
    both = np.zeros((2, 5, 6, 7), np.int32)
    both[0, 1:3], both[1, 1:3], both[0, 3] = 1, 40_000, 2
    run.new_segmentation(10.0, "pan", "1", user_id="ada", is_panoptic=True).from_numpy(both)
    out = tmp_path / "out"
    tasks = plan_segmentations_export(project, VolumeExport("pan:ada/1@10?panoptic=true", form), out)
    assert len([error for _, error in perform(tasks) if error is None]) == 2
    pair = sorted(out.rglob("*pan_ada_1_*"))
    assert [path.stem for path in pair] == ["pan_ada_1_instance", "pan_ada_1_label"]
    for name in ("TS_a", "TS_b"):
        for path in pair:
            path.parent.joinpath(f"{name}_{path.stem.rpartition('_')[2]}{path.suffix}").write_bytes(path.read_bytes())
    options = VolumeOptions(voxel_size=10.0)
    pattern = f"{pair[0].parent}/TS_[ab]_*"
    names = {"kind": "panoptic", "user_id": "bob", "session_id": "1", "options": options}
    tasks = plan_segmentations(project, pattern, "pan", **names)
    assert [(task.action, task.run) for task in tasks] == [("create", "TS_a"), ("create", "TS_b")]
    assert all(error is None for _, error in perform(tasks))
    found = project.get_run("TS_b").get_segmentations("bob", is_panoptic=True)  # type: ignore[union-attr]
    np.testing.assert_array_equal(found[0].numpy(), both)
    assert [task.action for task in plan_segmentations(project, pattern, "pan", **names)] == ["keep", "keep"]
    with pytest.raises(AnnotationError, match="read together with another file"):
        plan_segmentations(project, str(pair[0]), "pan", **names)
    pair[0].unlink()
    with pytest.raises(AnnotationError, match="holds no channels"):
        plan_segmentations(project, str(pair[1]), "pan", run="x", **names)
    odd = pair[0].parent / "TS_a_label.mrc"
    write_mrc(ArrayVolume(np.ones((2, 2, 2), np.int16), 10.0), open_store(odd.parent), odd.name, voxel_spacing=10.0)
    if form == "mrc":
        with pytest.raises(AnnotationError, match="the instances"):
            plan_segmentations(project, str(odd), "pan", **names)


@pytest.mark.parametrize("kind", ["picks", "mesh", "filaments"])
def test_c5_what_was_removed_is_listed_and_comes_back(kind: str, root: copick.CopickRoot, tmp_path: Path) -> None:
    run = root.new_run("TS_001")
    run.new_picks("ribosome", "1", "ada").from_numpy(np.ones((2, 3)))
    mesh = run.new_mesh("ribosome", "1", "ada")
    mesh.mesh = trimesh.creation.box()
    mesh.store()
    run.new_filaments("microtubule", "1", "ada").from_numpy([np.arange(6.0).reshape(2, 3)])
    name = "microtubule" if kind == "filaments" else "ribosome"
    uri = f"{name}:ada/1"
    assert removed_documents(uri, root, kind) == []
    getattr(run, {"picks": "picks", "mesh": "meshes", "filaments": "filaments"}[kind])[0].delete()
    fresh = copick.from_file(tmp_path / "copick_config.json")
    for wanted in (uri, f"{name}:*/*", name):
        (found,) = removed_documents(wanted, fresh, kind)
        assert (found.run.name, found.pickable_object_name, found.user_id) == ("TS_001", name, "ada")
    assert removed_documents(f"{name}:eve/1", fresh, kind) == []
    version = found.history()[-1].number
    (task,) = plan_restore(fresh, kind, uri, "TS_001", version)
    assert task.action == "create"
    assert [error for _, error in perform([task])] == [None]
    again = copick.from_file(tmp_path / "copick_config.json")
    assert copick.resolve_copick_objects(uri, again, kind)
    assert removed_documents(uri, again, kind) == []
