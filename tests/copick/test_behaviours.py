"""What scripts and plug-ins for the PyPI package rely on and no other module of these tests holds.

Names of behaviours are those of docs/reference/copick-behaviours.md.
"""

from __future__ import annotations

import asyncio
import json
import logging
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import zarr

import tomoportal.copick as copick
from tomoportal.cli.copick.plugins import option_groups
from tomoportal.copick import segmentation_types as types
from tomoportal.copick.ome import get_voxel_size_from_zarr
from tomoportal.copick.operations.managing import copy_copick_objects, move_copick_objects
from tomoportal.copick.overviews import ontology
from tomoportal.copick.overviews.browsing import Node, project_tree
from tomoportal.storage.reconnecting import ReconnectingFileSystem, is_connection_error

SIZE = (4, 5, 6)


def build(root: copick.CopickRoot) -> copick.CopickRun:
    run = root.new_run("TS_001")
    run.new_picks("ribosome", "1").from_numpy(np.ones((2, 3)))
    run.new_filaments("microtubule", "1").from_numpy([[[0, 0, 0], [1, 2, 3]]])
    run.new_mesh("membrane", "1")
    run.new_segmentation(10, "membrane", "1").from_numpy(np.ones(SIZE, int))
    tomogram = run.new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(np.arange(np.prod(SIZE), dtype=np.float32).reshape(SIZE))
    tomogram.new_features("sobel").from_numpy(np.ones(SIZE))
    root.pickable_objects[0].from_numpy(np.ones(SIZE), 10)
    return run


def entities(run: copick.CopickRun) -> dict[str, Any]:
    (tomogram,) = run.voxel_spacings[0].tomograms
    return {
        "root": run.root, "run": run, "spacing": run.voxel_spacings[0], "tomogram": tomogram,
        "features": tomogram.features[0], "picks": run.picks[0], "mesh": run.meshes[0], "filaments": run.filaments[0],
        "segmentation": run.segmentations[0], "object": run.root.pickable_objects[0],
    }  # fmt: skip


# --- root, runs, entities


def test_entities_say_who_they_are(root: copick.CopickRoot, config: Path) -> None:
    found = entities(build(root))
    parts = {
        "root": ("CopickRoot(", "user_id=ada", "len(pickable_objects)=4"),
        "run": ("CopickRun(", "name=TS_001"),
        "spacing": ("CopickVoxelSpacing(", "voxel_size=10"),
        "tomogram": ("CopickTomogram(", "tomo_type=wbp"),
        "features": ("CopickFeatures(", "tomo_type=wbp", "feature_type=sobel"),
        "picks": ("CopickPicks(", "ribosome", "ada", "1"),
        "mesh": ("CopickMesh(", "membrane", "ada", "1"),
        "filaments": ("CopickFilaments(", "microtubule", "ada", "1"),
        "segmentation": ("CopickSegmentation(", "membrane", "ada", "1", "10"),
        "object": ("CopickObject(", "ribosome"),
    }
    for name, words in parts.items():
        text = repr(found[name])
        assert all(word in text for word in words), text
        assert " at 0x" in text
    assert (root.config.name, root.config.description) == ("test", "A test project.")
    root.user_id, root.session_id = "eve", "9"
    assert (root.config.user_id, root.config.session_id) == ("eve", "9")
    assert copick.from_file(config).user_id == "ada"


def test_what_is_new_is_in_its_list(run: copick.CopickRun) -> None:
    spacing = run.new_voxel_spacing(10)
    made: list[tuple[list[Any], Callable[[], Any]]] = [
        (run.root.runs, lambda: run.root.new_run("TS_002")),
        (run.voxel_spacings, lambda: run.new_voxel_spacing(20)),
        (run.picks, lambda: run.new_picks("ribosome", "7")),
        (run.meshes, lambda: run.new_mesh("ribosome", "7")),
        (run.filaments, lambda: run.new_filaments("microtubule", "7")),
        (run.root.pickable_objects, lambda: run.root.new_object("virus", True)),
    ]
    for known, make in made:
        assert make() is known[-1]
    assert spacing.new_tomogram("a") is spacing.tomograms[-1]
    assert spacing.tomograms[0].new_features("f") is spacing.tomograms[0].features[-1]
    assert run.new_segmentation(10, "all", "7", True) is run.segmentations[-1]


def test_regions_of_density_maps_and_tomograms(root: copick.CopickRoot) -> None:
    found = entities(build(root))
    data = np.arange(np.prod(SIZE), dtype=np.float32).reshape(SIZE)
    found["object"].from_numpy(data, 10)
    for entity in (found["object"], found["tomogram"]):
        part = entity.numpy(x=slice(1, 4), y=slice(2, 3), z=slice(0, 2))
        assert np.array_equal(part, data[0:2, 2:3, 1:4])
        entity.set_region(np.zeros((2, 1, 3), np.float32), x=slice(1, 4), y=slice(2, 3), z=slice(0, 2))
        assert not entity.numpy(x=slice(1, 4), y=slice(2, 3), z=slice(0, 2)).any()
        assert entity.numpy(x=0, y=0, z=1).item() == data[1, 0, 0]


def test_every_combination_of_filters(run: copick.CopickRun) -> None:
    names, users, sessions = ("ribosome", "proteasome"), ("ada", "bob"), ("0", "1")
    for name, user, session in product(names, users, sessions):
        run.new_picks(name, session, user)
        run.new_mesh(name, session, user)
        for size in (10, 20):
            run.new_segmentation(size, name, session, user_id=user)
    for chosen in product(
        (None, names[0], list(names), set(names[:1])), (None, users[1], users), (None, "0", ["0", "x"])
    ):
        wanted = [{each} if isinstance(each, str) else None if each is None else set(each) for each in chosen]
        fitting = [
            triple
            for triple in product(names, users, sessions)
            if all(any_of is None or part in any_of for part, any_of in zip(triple, wanted, strict=True))
        ]
        name, user, session = chosen
        for found in (run.get_picks(name, user, session), run.get_meshes(name, user, session)):
            assert sorted((e.pickable_object_name, e.user_id, e.session_id) for e in found) == sorted(fitting)
        for size in (None, 10, [10.0, 20]):
            both = run.get_segmentations(user, session, name=name, voxel_size=size)
            assert len(both) == len(fitting) * (1 if size == 10 else 2)


def test_defaults_of_points(run: copick.CopickRun, config: Path) -> None:
    places = np.random.default_rng(0).uniform(-1e3, 1e3, (5, 3))
    run.new_picks("ribosome", "1").from_numpy(places)
    found = copick.from_file(config).runs[0].picks[0]
    assert np.abs(found.numpy()[0] - places).max() <= 1e-8
    assert found.numpy()[1].tolist() == np.tile(np.eye(4), (5, 1, 1)).tolist()
    assert (found.instance_ids().tolist(), found.scores().tolist()) == ([0] * 5, [1.0] * 5)
    assert [(each.instance_id, each.score) for each in found.points] == [(0, 1.0)] * 5


def test_static_documents_refuse_every_change(root: copick.CopickRoot, tmp_path: Path, make_config: Any) -> None:
    trimesh = pytest.importorskip("trimesh")
    build(root)
    (tmp_path / "overlay").rename(tmp_path / "static")
    found = entities(copick.from_file(make_config(tmp_path, static_root=str(tmp_path / "static"))).runs[0])
    found["picks"].points = []
    found["mesh"].mesh = trimesh.creation.box()
    found["filaments"].filaments = []
    for name in ("picks", "mesh", "filaments"):
        assert found[name].read_only
        for change in (found[name].store, found[name].delete, lambda name=name: found[name].restore(1)):
            with pytest.raises((PermissionError, FileNotFoundError)):
                change()
        with pytest.raises(PermissionError, match=f"Cannot store {name} in a read-only source"):
            found[name].store()
    assert found["object"].read_only
    with pytest.raises(PermissionError):
        found["object"].from_numpy(np.ones(SIZE), 10)
    with pytest.raises(PermissionError, match="Cannot store object in a read-only source"):
        found["object"].set_region(0)


def test_filaments_are_copied_moved_deleted_and_have_uris(run: copick.CopickRun) -> None:
    filaments = run.new_filaments("microtubule", "1")
    curve = copick.CopickFilamentCurve(kind="linear", control_points=[[0, 0, 0], [90, 0, 0]], step=10)
    filaments.from_curves([curve], instance_ids=[4], scores=[0.25], radii=[120], voxel_spacing=5)
    uri = copick.serialize_copick_uri(filaments)
    assert uri == "microtubule:ada/1"
    assert copick.resolve_copick_objects(uri, run.root, "filaments") == [filaments]
    assert copy_copick_objects(run.root, "filaments", uri, "microtubule:bob/2")["copied"] == 1
    assert move_copick_objects(run.root, "filaments", uri, "microtubule:eve/3")["moved"] == 1
    run.refresh()
    assert [(each.user_id, each.session_id) for each in run.filaments] == [("bob", "2"), ("eve", "3")]
    for each in run.filaments:
        (one,) = each.filaments
        assert (one.instance_id, one.score, one.radius, each.voxel_spacing) == (4, 0.25, 120, 5)
        assert one.curve == curve
        assert one.curve_is_current()
    run.filaments[0].delete()
    run.delete_filaments(user_id="eve")
    assert run.filaments == run.query_filaments() == []


def test_an_object_whose_name_ends_like_a_type_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    assert copick.PickableObject(name="cells-multilabel", is_particle=False).label == 1
    assert "cells-multilabel" in caplog.text
    caplog.clear()
    copick.PickableObject(name="multilabel-cells", is_particle=False)
    assert not caplog.text


# --- deleting and overwriting


@pytest.mark.parametrize(
    "name", ["picks", "mesh", "filaments", "segmentation", "features", "tomogram", "spacing", "run"]
)
def test_what_is_deleted_is_gone_from_its_list_and_from_the_store(
    name: str, root: copick.CopickRoot, tmp_path: Path, config: Path
) -> None:
    found = entities(build(root))
    place = Path(getattr(found[name], "path", None) or found[name].overlay_path)
    assert place.exists()
    found[name].delete()
    assert not place.exists()
    for run in (found["run"], *copick.from_file(config).runs):
        lists = {
            "run": run.root.runs, "spacing": run.voxel_spacings, "picks": run.picks, "mesh": run.meshes,
            "filaments": run.filaments, "segmentation": run.segmentations,
            "tomogram": [each for spacing in run.voxel_spacings for each in spacing.tomograms],
            "features": [f for spacing in run.voxel_spacings for each in spacing.tomograms for f in each.features],
        }  # fmt: skip
        assert lists[name] == []


def test_exist_ok_gives_what_is_there(root: copick.CopickRoot) -> None:
    run = build(root)
    found = entities(run)
    again = {
        "run": root.new_run("TS_001", exist_ok=True),
        "spacing": run.new_voxel_spacing(10, exist_ok=True),
        "tomogram": found["spacing"].new_tomogram("wbp", exist_ok=True),
        "features": found["tomogram"].new_features("sobel", exist_ok=True),
        "picks": run.new_picks("ribosome", "1", exist_ok=True),
        "mesh": run.new_mesh("membrane", "1", exist_ok=True),
        "filaments": run.new_filaments("microtubule", "1", exist_ok=True),
        "segmentation": run.new_segmentation(10, "membrane", "1", exist_ok=True),
        "object": root.new_object("ribosome", True, exist_ok=True),
    }
    for name, entity in again.items():
        assert entity is found[name]
    assert len(run.picks[0].points) == 2


def test_collections_are_deleted_by_criteria(run: copick.CopickRun) -> None:
    for user, session in (("ada", "1"), ("ada", "2"), ("bob", "1")):
        run.new_picks("ribosome", session, user)
        run.new_mesh("ribosome", session, user)
        run.new_segmentation(10, "all", session, True, user)
        run.new_segmentation(20, "membrane", session, user_id=user)
    run.delete_picks(user_id="ada", session_id="2")
    assert [(each.user_id, each.session_id) for each in run.query_picks()] == [("ada", "1"), ("bob", "1")]
    run.delete_meshes("ribosome", ["ada"])
    assert [each.user_id for each in run.query_meshes()] == ["bob"]
    run.delete_segmentations(is_multilabel=True, user_id="bob")
    run.delete_segmentations(voxel_size=20)
    assert [(each.name, each.user_id) for each in run.query_segmentations()] == [("all", "ada")] * 2


# --- objects


def test_metadata_and_the_older_name_of_the_identifier(root: copick.CopickRoot, tmp_path: Path) -> None:
    made = root.new_object("a", True, identifier="GO:0000001", metadata=None)
    assert (made.metadata, made.meta.go_id) == ({}, "GO:0000001")
    assert copick.PickableObject(name="a", is_particle=True, go_id="GO:1").identifier == "GO:1"
    deep = {"source": {"lab": [1, 2.5, None, True]}, "ä": "ö"}
    root.new_object("b", True, metadata=deep)
    root.save_config(tmp_path / "saved.json")
    found = copick.from_file(tmp_path / "saved.json")
    assert found.get_object("b").metadata == deep  # type: ignore[union-attr]
    written = {each["name"]: each for each in json.loads((tmp_path / "saved.json").read_text())["pickable_objects"]}
    assert (written["a"]["identifier"], "go_id" in written["a"]) == ("GO:0000001", False)


def test_declarations_of_filaments(root: copick.CopickRoot, tmp_path: Path) -> None:
    made = root.new_object("actin", True, filament={"polar": True, "helical_rise_a": 27.6, "seen": "later"})
    assert made.metadata["copick"]["filament"] == {"polar": True, "helical_rise_a": 27.6, "seen": "later"}
    root.save_config(tmp_path / "saved.json")
    found = copick.from_file(tmp_path / "saved.json").get_object("actin")
    assert found is not None
    assert found.is_filament
    assert found.filament.helical_twist_deg is None  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="greater than 0"):
        root.new_object("actin", True, filament={"helical_rise_a": 0}, exist_ok=True)
    with pytest.raises(ValueError, match="must be a particle"):
        root.new_object("tube", False, filament={"polar": True})
    assert root.get_object("tube") is None
    with pytest.raises(ValueError, match="must be a particle"):
        root.new_object("actin", False, exist_ok=True)
    made.meta.set_filament(None)
    assert (made.is_filament, "copick" in made.metadata) == (False, False)
    for wrong in ({"instance_id": 0}, {"points": [[0, 0, 0]]}, {"points": [[0, 0, 0], [np.inf, 0, 0]]}):
        with pytest.raises(ValueError):
            copick.CopickFilament(**{"instance_id": 1, "points": [[0, 0, 0], [1, 1, 1]], **wrong})


# --- names


def test_every_creation_sanitises_and_the_config_s_name_is_text(tmp_path: Path, make_config: Any) -> None:
    root = copick.from_file(make_config(tmp_path, name="my project_1: <draft>"))
    assert root.config.name == "my project_1: <draft>"
    run = root.new_run("TS_001")
    spacing = run.new_voxel_spacing(10.5)
    assert spacing.voxel_size == 10.5
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tomogram = spacing.new_tomogram("w b_p")
        features = tomogram.new_features("so/bel?")
        picks = run.new_picks("ribosome", "my session", "a_b")
        mesh = run.new_mesh("ribosome", "1*2", "a:b")
        filaments = run.new_filaments("microtubule", "<1>", "ä_b")
        segmentation = run.new_segmentation(10, "every thing", "s|1", True, "a\\b")
    assert sum("sanitized" in str(each.message) for each in caught) == 11
    told = (tomogram.tomo_type, features.feature_type, picks.session_id, picks.user_id, mesh.session_id, mesh.user_id,
            filaments.session_id, filaments.user_id, segmentation.name, segmentation.session_id,
            segmentation.user_id)  # fmt: skip
    assert told == ("w-b-p", "so-bel", "my-session", "a-b", "1-2", "a-b", "1", "ä-b", "every-thing", "s-1", "a-b")


# --- segmentations


def test_names_of_segmentation_stores(run: copick.CopickRun) -> None:
    for kind, folder in (
        ("binary", "Segmentations"), ("multilabel", "Segmentations"), ("instance", "InstanceSegmentations"),
        ("panoptic", "PanopticSegmentations"),
    ):  # fmt: skip
        flags = {flag: flag == f"is_{kind}" for flag in ("is_multilabel", "is_instance", "is_panoptic")}
        assert types.segmentation_type(**flags) == kind
        assert types.segmentation_directory(**flags) == folder
        name = types.segmentation_store_name(7.84, "u", "0", "x_y", **flags)
        assert types.parse_segmentation_store_name(name, folder) == {
            "voxel_size": 7.84, "user_id": "u", "session_id": "0", "name": "x_y", **flags,
        }  # fmt: skip
    inside = types.parse_segmentation_store_name("10.000_u_0_a-multilabel.zarr", "InstanceSegmentations")
    assert inside is not None
    assert (inside["name"], inside["is_multilabel"], inside["is_instance"]) == ("a-multilabel", False, True)
    middle = types.parse_segmentation_store_name("10.000_multilabel-u_0_a-multilabel-b.zarr")
    assert middle is not None
    assert not middle["is_multilabel"]
    for wrong in ("x.zarr", "ten_u_0_a.zarr", "10_u_0.zarr", "10___.zarr", "nan_u_0_a.zarr"):
        assert types.parse_segmentation_store_name(wrong) is None
    with pytest.raises(ValueError, match="one type"):
        types.segmentation_type(True, True)
    with pytest.raises(ValueError, match="not a segmentation directory"):
        types.parse_segmentation_store_name("10_u_0_a.zarr", "Picks")
    made = run.new_segmentation(10, "all", "1", True)
    made.from_numpy(np.ones(SIZE, int))
    (Path(made.path).parent / "garbage.zarr").mkdir()
    listed = types.list_segmentation_stores(fsspec.filesystem("file"), run.overlay_path)
    assert [(each["name"], each["is_multilabel"]) for each in listed] == [("all", True)]
    assert get_voxel_size_from_zarr(zarr.open_group(made.zarr(), mode="r")) == 10


def test_type_filters_choose_what_they_say(run: copick.CopickRun) -> None:
    run.new_segmentation(10, "ribosome", "1")
    run.new_segmentation(10, "all", "1", True)
    run.new_segmentation(10, "ribosome", "1", is_instance=True)
    run.new_segmentation(10, "all", "1", is_panoptic=True)
    for kind in types.SEGMENTATION_TYPE_FILTERS:
        found = run.get_segmentations(**types.segmentation_type_query(kind))  # type: ignore[arg-type]
        assert {each.segmentation_type for each in found} == (
            {"binary", "multilabel", "instance", "panoptic"} if kind == "all" else {kind}
        )
    found = run.get_segmentations(**types.segmentation_type_query())  # type: ignore[arg-type]
    assert {each.segmentation_type for each in found} == {"binary", "multilabel"}
    with pytest.raises(ValueError, match="Unknown segmentation type 'semantic'"):
        types.segmentation_type_query("semantic")


# --- options of commands


def test_older_options_work_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("options")
    names, renamed = option_groups.resolve_run_names, option_groups.resolve_deprecated_option
    assert names((), (), logger=logger) is None
    assert names(("a", "b"), (), logger=logger) == ["a", "b"]
    assert renamed("new", None, new_flag="--new", old_flag="--old", logger=logger) == "new"
    assert not caplog.text
    assert names(("a,b", "c"), ("d",), logger=logger, legacy_flag="--runs") == ["a", "b", "c", "d"]
    assert "Comma-separated" in caplog.text
    assert "--runs is deprecated" in caplog.text
    assert renamed(None, "old", new_flag="--new", old_flag="--old", logger=logger) == "old"
    assert "--old is deprecated; use --new" in caplog.text


# --- broken connections


class _Broken:
    """A file system that fails, and counts."""

    protocol = "broken"
    of_its_own = "!"

    def __init__(self, error: Exception) -> None:
        self.error, self.calls = error, 0

    def cat_file(self, path: str) -> bytes:
        self.calls += 1
        raise self.error


def test_a_broken_connection_is_opened_again_once() -> None:
    class SFTPNoConnection(Exception):
        pass

    for error in (SFTPNoConnection("x"), ConnectionResetError(104, "x"), OSError(32, "x"), BrokenPipeError()):
        assert is_connection_error(error)
    for error in (FileNotFoundError(2, "x"), ValueError("x"), OSError(5, "x"), PermissionError(13, "x")):
        assert not is_connection_error(error)
    fsspec.filesystem("memory").pipe_file("/again/x", b"here")
    place = ReconnectingFileSystem("memory://again")
    assert isinstance(place, fsspec.AbstractFileSystem)
    assert "memory" in place.protocol
    broken = _Broken(SFTPNoConnection("gone"))
    place._fs = broken
    assert place.cat_file("/again/x") == b"here"
    assert broken.calls == 1
    assert place._fs is not broken
    other = _Broken(PermissionError(13, "no"))
    place._fs = other
    with pytest.raises(PermissionError):
        place.cat_file("/again/x")
    assert (other.calls, place._fs) == (1, other)
    assert place.of_its_own == "!"


# --- ontologies, the browser


@pytest.mark.parametrize(
    ("identifier", "namespace", "accession", "has_page"),
    [
        ("GO:0005840", "GO", "0005840", True),
        ("go:0005840", "GO", "0005840", True),
        ("UniProtKB:P12345", "UniProtKB", "P12345", True),
        ("CHEBI:15377", "CHEBI", "15377", True),
        ("PDB-6EK0", "PDB", "6EK0", True),
        ("pdb-6ek0", "PDB", "6ek0", True),
        ("UBERON:0002107", "UBERON", "0002107", True),
        ("CL:0000057", "CL", "0000057", True),
        ("CDPO:0000001", "CDPO", "0000001", False),
        ("  GO:0005840 ", "GO", "0005840", True),
        ("something", None, "something", False),
    ],
)
def test_identifiers_are_linked(identifier: str, namespace: str | None, accession: str, has_page: bool) -> None:
    found = ontology.parse_identifier(identifier)
    assert found is not None
    assert (found.namespace, found.accession, found.url is not None) == (namespace, accession, has_page)
    assert not has_page or accession in found.url  # type: ignore[operator]
    link = ontology.identifier_to_markdown_link(identifier)
    assert link == (f"[{identifier}]({found.url})" if has_page else identifier)


def test_no_identifier_is_none_and_one_entry_is_linked_once() -> None:
    from tomoportal.copick.overviews.descriptions import object_to_md

    for nothing in (None, ""):
        assert ontology.parse_identifier(nothing) is None
        assert ontology.identifier_to_markdown_link(nothing) is None

    def page(**fields: Any) -> str:
        class Root:
            config = copick.CopickConfig(pickable_objects=[])

        meta = copick.PickableObject(name="a", is_particle=True, **fields)
        return object_to_md(type("Object", (), {"meta": meta, **meta.model_dump(), "root": Root()})())  # type: ignore[arg-type]

    same = page(identifier="PDB-6EK0", pdb_id="6EK0")
    assert same.count("rcsb.org/structure/6EK0") == 1
    assert page(identifier="GO:0005840", pdb_id="6EK0").count("rcsb.org") == 1
    assert "None" not in page()


def test_every_line_of_the_browser_can_be_opened_and_described(root: copick.CopickRoot) -> None:
    build(root)

    def walk(node: Node) -> int:
        assert all(name != "error" for name, _ in node.described()), node.label
        return 1 + sum(walk(each) for each in node.opened())

    assert walk(project_tree(root)) > 15


# --- several at once


def test_c88_threads_of_an_event_loop_read_at_the_same_time(run: copick.CopickRun, config: Path) -> None:
    """The loop goes on while documents and volumes are read, and every run stays one object."""
    data = np.random.default_rng(0).normal(size=(40, 100, 100)).astype(np.float32)
    run.new_voxel_spacing(10).new_tomogram("wbp").from_numpy(data)
    for session in range(8):
        run.new_picks("ribosome", str(session)).from_numpy(np.full((500, 3), float(session)))
    root = copick.from_file(config)

    def read(session: int) -> tuple[copick.CopickRun | None, float, bool]:
        found = root.get_run("TS_001")
        assert found is not None
        (picks,) = found.get_picks(session_id=str(session))
        return found, picks.numpy()[0].max(), np.array_equal(found.voxel_spacings[0].tomograms[0].numpy(), data)

    async def all_at_once() -> tuple[list[Any], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.ensure_future(tick())
        found = await asyncio.gather(*(asyncio.to_thread(read, session) for session in range(8)))
        ticking.cancel()
        return found, ticks

    found, ticks = asyncio.run(all_at_once())
    assert [(number, same) for _, number, same in found] == [(float(session), True) for session in range(8)]
    assert {each for each, _, _ in found} == {root.get_run("TS_001")}
    assert ticks > 8
