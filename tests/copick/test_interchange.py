"""Files of ours under upstream 1.31, and files of upstream under ours; the same script on both."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.copick.pick_documents import table_of
from tomoportal.copick.pick_input import read_picks
from tomoportal.copick.pick_output import write_picks
from tomoportal.testing.copick_scripts import on_ours

# One script, run by both packages: makes everything that a project can hold.
MAKE = """
import json, sys
import numpy as np
import trimesh
import copick
root = copick.from_file(folder + "/copick_config.json")
generator = np.random.default_rng(1)
volume = generator.normal(size=(17, 20, 23)).astype("float32")
labels = (volume > 0).astype("uint16")
positions = generator.uniform(0, 900, (7, 3))
transforms = np.tile(np.eye(4), (7, 1, 1))
transforms[:, :3, :3] = np.linalg.qr(generator.normal(size=(7, 3, 3)))[0]
transforms[:, 0, :3] *= np.linalg.det(transforms[:, :3, :3])[:, None]
transforms[:, :3, 3] = [1e-7, 1e20, 0.1]
for name in ("TS_001", "TS 2"):
    run = root.new_run(name)
    run.new_picks("ribosome", "1", "ada").from_numpy(positions, transforms, np.arange(7), generator.uniform(size=7))
    run.new_picks("ribosome", "2", "ada")
    run.new_picks("proteasome", "0", "tool").from_numpy(positions[:3])
    spacing = run.new_voxel_spacing(7.84)
    tomogram = spacing.new_tomogram("wbp")
    tomogram.from_numpy(volume)
    tomogram.new_features("sobel")
    run.new_segmentation(7.84, "membrane", "0", user_id="seg").from_numpy(labels)
    run.new_segmentation(7.84, "all", "0", True, user_id="seg").from_numpy(labels * 300)
    run.new_segmentation(7.84, "ribosome", "0", user_id="seg", is_instance=True).from_numpy(labels * 7)
    run.new_segmentation(7.84, "pan", "0", user_id="seg", is_panoptic=True).from_numpy(np.stack([labels, labels * 5]))
    mesh = run.new_mesh("membrane", "0", "seg")
    mesh.mesh = trimesh.creation.box(extents=(10, 20, 30))
    mesh.store()
    run.new_mesh("membrane", "1", "empty")
    run.new_filaments("microtubule", "0", "tracer").from_numpy([np.arange(12.0).reshape(4, 3)], scores=[0.5])
root.get_object("ribosome").from_numpy(volume, 10.0)
root.new_object("virus", True, radius=500.0)
root.save_config(folder + "/copick_config.json")
"""

# And this one says what is in it.
TELL = """
import json, sys
import numpy as np
import copick
root = copick.from_file(folder + "/copick_config.json")
told = {"objects": [each.meta.model_dump(mode="json") for each in root.pickable_objects]}
told["map"] = float(root.get_object("ribosome").numpy().astype("float64").sum())
for run in root.runs:
    found = told[run.name] = {}
    for picks in run.picks:
        positions, transforms = picks.numpy()
        found[f"picks {picks.user_id} {picks.session_id} {picks.pickable_object_name}"] = [
            positions.tolist(), transforms.tolist(), picks.instance_ids().tolist(), picks.scores().tolist(),
            picks.full_positions().tolist(), picks.from_tool, picks.trust_orientation, len(picks.points)]
    for mesh in run.meshes:
        bounds = mesh.mesh.bounds
        key = f"mesh {mesh.user_id} {mesh.session_id} {mesh.pickable_object_name}"
        found[key] = None if bounds is None else bounds.tolist()
    for each in run.segmentations:
        voxels = each.numpy()
        key = f"{each.segmentation_type} {each.user_id} {each.session_id} {each.name} {each.voxel_size}"
        found[key] = [list(voxels.shape), str(voxels.dtype), int(voxels.astype("int64").sum()), list(each.color)]
    for filaments in run.filaments:
        found["filaments " + filaments.user_id] = [
            [each.tolist() for each in filaments.numpy()], filaments.instance_ids().tolist(),
            filaments.filaments[0].score]
    for spacing in run.voxel_spacings:
        for tomogram in spacing.tomograms:
            part = tomogram.numpy("1", x=slice(2, 9), y=slice(1, 7), z=slice(0, 3))
            found[f"{spacing.voxel_size} {tomogram.tomo_type}"] = [
                list(tomogram.numpy().shape), float(tomogram.numpy().astype("float64").sum()),
                list(part.shape), [each.feature_type for each in tomogram.features]]
print(json.dumps(told, sort_keys=True))
"""

# URIs, and what asks for them.
URIS = [
    ("picks", ["ribosome", "*", "ribosome:ada", "ribosome:ada/2", "*:*/0", "re:ribo.*:a.a/[12]", "r*:[ab]da/1",
               ":ada", ":ada/1", "ribosome:", "ribosome:/*", ""]),
    ("mesh", ["membrane", "membrane:seg/0", "re:.*:e.*"]),
    ("filaments", ["*", "microtubule:tracer/0", ":tracer/0"]),
    (
        "segmentation",
        ["*", "*@7.84", "*@7.840", "*@10", "*?multilabel=true", "*?multilabel=false", "*?instance=true",
         "pan?panoptic=1", "all:seg/0@7.84?multilabel=yes", "re:.*@7\\..*", "@7.84", ":seg", ":seg/0@7.84",
         "all:seg/0@"],
    ),
    ("tomogram", ["wbp", "w*@7.84", "*@*", "wbp@8", "re:w.p@7.*"]),
    ("feature", ["wbp@7.84:sobel", "wbp", "*@*:s*"]),
]  # fmt: skip

ASK = """
import json
from copick.util.uri import parse_copick_uri, resolve_copick_objects, serialize_copick_uri
import copick
root = copick.from_file(folder + "/copick_config.json")
told = {}
for kind, uris in json.loads(URIS):
    for uri in uris:
        found = resolve_copick_objects(uri, root, kind)
        told[kind + " " + uri] = [parse_copick_uri(uri, kind), sorted(map(serialize_copick_uri, found))]
print(json.dumps(told))
"""


@dataclass
class Both:
    """The same project made by both packages, and what upstream says about each."""

    ours: Path
    theirs: Path
    told: dict[str, Any]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, make_config: Any, upstream: Any) -> Both:
    folders = [tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("theirs")]
    for folder in folders:
        make_config(folder)
    on_ours(MAKE, folder=str(folders[0]))
    script = f"""
import contextlib, io, json, sys
def run(script, folder):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(script, {{"folder": folder}})
    return json.loads(printed.getvalue()) if printed.getvalue() else None
run({MAKE!r}, sys.argv[2])
told = {{"ours": run({TELL!r}, sys.argv[1]), "theirs": run({TELL!r}, sys.argv[2])}}
told["uris"] = run({ASK.replace("URIS", repr(json.dumps(URIS)))!r}, sys.argv[1])
print(json.dumps(told))
"""
    return Both(folders[0], folders[1], upstream(script, *folders))


def test_upstream_reads_what_we_write(both: Both) -> None:
    assert both.told["ours"] == on_ours(TELL, folder=str(both.ours))


def test_we_read_what_upstream_writes(both: Both) -> None:
    assert on_ours(TELL, folder=str(both.theirs)) == both.told["theirs"]


def test_documents_have_the_same_bytes(both: Both) -> None:
    folders = [both.ours, both.theirs]
    found = [
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*.json"))
            if ".history" not in path.parts and path.name != "copick_config.json"
        }
        for folder in folders
    ]
    assert len(found[0]) == 8
    assert found[0] == found[1]
    texts = [(folder / "copick_config.json").read_text().replace(str(folder), "") for folder in folders]
    assert texts[0] == texts[1]
    attributes = "overlay/ExperimentRuns/TS_001/PanopticSegmentations/7.840_seg_0_pan.zarr/.zattrs"
    documents = [json.loads((folder / attributes).read_text()) for folder in folders]
    assert documents[0] == documents[1]


def test_both_extend_one_project(config: Path, both: Both, upstream: Any) -> None:
    shutil.copytree(both.ours / "overlay", config.parent / "overlay")
    upstream(
        """
import sys, numpy as np, copick
root = copick.from_file(sys.argv[1] + "/copick_config.json")
picks = root.get_run("TS_001").get_picks("ribosome", "ada", "1")[0]
picks.points = picks.points[:2]
picks.store()
tomogram = root.get_run("TS_001").get_voxel_spacing(7.84).get_tomograms("wbp")[0]
tomogram.set_region(np.zeros((2, 2, 2), "float32"), x=slice(0, 2), y=slice(0, 2), z=slice(0, 2))
""",
        config.parent,
    )
    root = copick.from_file(config)
    run = root.get_run("TS_001")
    assert run is not None
    picks = run.get_picks("ribosome", "ada", "1")[0]
    assert len(picks.numpy()[0]) == 2
    spacing = run.get_voxel_spacing(7.84)
    assert spacing is not None
    assert not spacing.get_tomograms("wbp")[0].numpy(x=slice(0, 2), y=slice(0, 2), z=slice(0, 2)).any()


def test_uris_mean_the_same(both: Both) -> None:
    root = copick.from_file(both.ours / "copick_config.json")
    for kind, many in URIS:
        for uri in many:
            found = sorted(map(copick.serialize_copick_uri, copick.resolve_copick_objects(uri, root, kind)))
            assert [copick.parse_copick_uri(uri, kind), found] == both.told["uris"][f"{kind} {uri}"], (kind, uri)


def test_numbers_are_written_as_upstream_writes_them(tmp_path: Path) -> None:
    numbers = [0.0, -0.0, 1e-4, 9.9e-5, 1e15, 1e16, 1.5e300, 5e-324, 0.1, 1 / 3, 123456789.125, -2.0]
    table = table_of(np.array(numbers * 3).reshape(3, 12).T)
    data = write_picks(table, {"pickable_object_name": "a", "user_id": "b", "session_id": "1"})
    assert json.dumps(json.loads(data), indent=4).encode() == data
    assert read_picks(data, "x").table.same_as(table)
