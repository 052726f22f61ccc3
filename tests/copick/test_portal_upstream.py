"""The same scripts on the same portal: unmodified copick 1.31 pointed at our server, and ours.

Upstream has no setting for a portal: its client's default address is a module constant, and fsspec's defaults carry the
S3 endpoint (reference copick-portal, 12).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tomoportal.copick as copick
from tomoportal.server import LiveServer
from tomoportal.testing.copick_scripts import on_ours

# Written for upstream; nothing in it is ours. It cannot read an empty file of points, nor the ids in lines.
TELL = """
import json
import numpy as np
import copick
root = copick.from_file(config)
told = {
    "objects": [each.meta.model_dump(mode="json") for each in root.pickable_objects],
    "datasets": root.dataset_ids,
    "map": root.go_map,
    "runs": [[run.name, run.portal_run_id, run.portal_run_name, run.portal_dataset_id] for run in root.runs],
}
for run in root.runs:
    found = told[run.name] = {}
    for spacing in run.voxel_spacings:
        for tomo_type in sorted({each.tomo_type for each in spacing.tomograms} & {"wbp-raw"}):
            tomogram = spacing.get_tomograms(tomo_type)[0]
            meta = tomogram.meta
            part = tomogram.numpy("1", x=slice(2, 30), y=slice(1, 20), z=slice(0, 9))
            whole = tomogram.numpy()
            found[f"{spacing.voxel_size} {spacing.portal_vs_id} {tomo_type}"] = [
                list(whole.shape), str(whole.dtype), float(whole.astype("float64").sum()), list(part.shape),
                float(part.astype("float64").sum()), tomogram.read_only, meta.portal_tomo_id, meta.portal_tomo_path,
                meta.portal_metadata.portal_authors, meta.portal_metadata.portal_metadata.reconstruction_software,
                meta.portal_metadata.portal_metadata.size_x, [each.feature_type for each in tomogram.features]]
    for picks in run.picks:
        if picks.session_id in skip:
            continue
        positions, transforms = picks.numpy()
        about = picks.meta.portal_metadata
        found[f"picks {picks.user_id} {picks.session_id} {picks.pickable_object_name}"] = [
            positions.tolist(), transforms.tolist(), picks.scores().tolist(), picks.trust_orientation,
            picks.from_tool, picks.read_only, picks.color, len(picks.points),
            picks.points[0].location.x, picks.points[0].instance_id if picks.session_id not in with_ids else None,
            about.portal_annotation.annotation_method, about.portal_annotation.object_count,
            about.portal_annotation_shape.shape_type, about.portal_annotation_file.s3_path, about.portal_author_names,
            about.voxel_spacing, picks.meta.portal_annotation_id, picks.meta.portal_annotation_file_path]
    for each in run.segmentations:
        voxels = each.numpy()
        found[f"{each.segmentation_type} {each.user_id} {each.session_id} {each.name} {each.voxel_size}"] = [
            list(voxels.shape), str(voxels.dtype), int(voxels.astype("int64").sum()), list(each.color), each.from_tool,
            each.filename, each.portal_segmentation_id, int(each.numpy("1").astype("int64").sum())]
    def sessions(**query):
        return sorted(each.session_id for each in run.get_picks(**query) if each.session_id not in skip)
    found["queries"] = [
        sessions(object_name="cytosolic-ribosome"),
        sessions(portal_meta_query={"object_count": 3}),
        sessions(portal_meta_query={"object_count": 3, "method_type": "hybrid"}),
        sessions(object_name="membrane", portal_meta_query={"ground_truth_status": True},
                 portal_author_query=["Ben Author"]),
        sessions(portal_author_query=["Nobody"]),
        [each.session_id for each in run.get_segmentations(portal_author_query=["Ada Author", "Ben Author"])],
        [each.session_id for each in run.get_segmentations(is_instance=True)],
        [spacing.get_tomograms("wbp-raw", portal_meta_query={"is_visualization_default": True})[0].meta.portal_tomo_id
         for spacing in run.voxel_spacings if spacing.tomograms],
        [spacing.get_tomograms("wbp-raw", portal_author_query=["Nobody"]) for spacing in run.voxel_spacings],
    ]
try:
    root.runs[0].picks[0].store()
except PermissionError as error:
    told["refused"] = str(error).partition("in a read-only")[0].rpartition(": ")[2]
print(json.dumps(told, sort_keys=True))
"""

# Writes into the overlay, and says what it finds there.
WRITE = """
import json
import numpy as np
import copick
root = copick.from_file(config)
run = root.get_run("1")
picks = run.new_picks("membrane", "1", name)
picks.from_numpy(np.arange(6.0).reshape(2, 3))
tomogram = run.get_voxel_spacing(10.0).get_tomograms("wbp-raw")[0]
tomogram.new_features(name)
run.get_voxel_spacing(10.0).new_tomogram(name).from_numpy(np.ones((4, 5, 6), "float32"))
run.new_segmentation(10.0, "membrane", "1", user_id=name).from_numpy(np.ones((4, 5, 6), "uint8"))
print(json.dumps(None))
"""
LIST = """
import json
import copick
root = copick.from_file(config)
run = root.get_run("1")
told = [
    sorted([each.user_id, each.session_id, each.read_only] for each in run.picks if each.session_id not in hidden),
    sorted([each.user_id, each.session_id, each.read_only] for each in run.segmentations),
    sorted([each.tomo_type, each.read_only] for each in run.get_voxel_spacing(10.0).tomograms
           if each.tomo_type != "wbp-raw-2" and each.meta.portal_tomo_id != 2),
    sorted(each.feature_type for each in run.get_voxel_spacing(10.0).get_tomograms("wbp-raw")[0].features),
    [each.numpy()[0].tolist() for each in run.get_picks("membrane", session_id="1")],
]
print(json.dumps(told))
"""

KNOBS = "import cryoet_data_portal._client\ncryoet_data_portal._client.DEFAULT_URL = sys.argv[1] + '/graphql'\n"


@pytest.fixture(autouse=True)
def _environment(portal: LiveServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FSSPEC_S3_ENDPOINT_URL", f"{portal.url}/s3")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def config(portal: LiveServer, tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    copick.from_czcdp_datasets([10001], str(tmp_path / "overlay"), {"auto_mkdir": True}, output_path=path,
                               portal_url=portal.url)  # fmt: skip
    return path


def sessions(config: Path) -> dict[str, Any]:
    """Files that upstream cannot read, or whose ids it drops."""
    run = copick.from_file(config).get_run("TS_1")
    assert run is not None
    special = {each.session_id: each.meta.portal_metadata for each in run.picks}
    empty = [name for name, about in special.items() if about.portal_annotation.object_count == 0]
    points_with_ids = [name for name, about in special.items() if about.shape_type == "InstanceSegmentation"]
    with_ids = [name for name, about in special.items() if "/112/" in about.s3_path]
    return {"skip": [*empty, *points_with_ids], "with_ids": with_ids, "hidden": points_with_ids}


def on_upstream(upstream: Any, portal: LiveServer, script: str, **names: Any) -> Any:
    begin = f"import json, sys\n{KNOBS}globals().update(json.loads(sys.argv[2]))\n"
    return upstream(begin + script, portal.url, json.dumps(names))


def test_a_script_for_upstream_gives_the_same_on_ours(upstream: Any, portal: LiveServer, config: Path) -> None:
    names = {"config": str(config), **sessions(config)}
    theirs = on_upstream(upstream, portal, TELL, **names)
    mine = on_ours(TELL, **names)
    assert sorted(mine) == sorted(theirs)
    for key in theirs:
        assert mine[key] == theirs[key], key
    assert len([key for key in theirs["1"] if key.startswith("picks ")]) == 4
    assert len([key for key in theirs["1"] if key.startswith(("binary ", "instance "))]) == 2


def test_both_write_to_one_overlay_and_nothing_is_doubled(upstream: Any, portal: LiveServer, config: Path) -> None:
    names = {"config": str(config), **sessions(config)}
    on_upstream(upstream, portal, WRITE, name="upstream", **names)
    on_ours(WRITE, name="ours", **names)
    mine = on_ours(LIST, **names)
    assert mine == on_upstream(upstream, portal, LIST, **names)
    assert [each[0] for each in mine[0] if each[0] != "data-portal"] == ["ours", "upstream"]
    assert mine[3] == ["ours", "upstream"]


def test_objects_of_datasets_are_those_of_upstream(upstream: Any, portal: LiveServer, tmp_path: Path) -> None:
    """The same but for labels and colours, which differ from process to process there (C74), and what C80 names."""
    script = """
import copick
root = copick.from_czcdp_datasets([10002, 10001], overlay, user_id="ada", output_path=output)
found = {each.identifier: [each.name, each.is_particle, each.radius, each.pdb_id, each.emdb_id]
         for each in root.config.pickable_objects}
print(json.dumps([found, root.config.user_id, root.config.dataset_ids]))
"""
    theirs = on_upstream(upstream, portal, script, overlay=str(tmp_path / "a"), output=str(tmp_path / "a.json"))
    root = copick.from_czcdp_datasets(
        [10002, 10001], str(tmp_path / "b"), user_id="ada", output_path=tmp_path / "b.json", portal_url=portal.url
    )
    mine = {
        each.identifier: [each.name, each.is_particle, each.radius, each.pdb_id, each.emdb_id]
        for each in root.config.pickable_objects
    }
    assert theirs[0].pop("PDB-6EK0") == ["cytosolic-ribosome", True, 50.0, "6EK0", None]
    assert mine.pop("PDB-6EK0") == ["cytosolic-ribosome-pdb-6ek0", True, 50.0, "6EK0", None]
    assert theirs[0].pop("GO:0005874")[1] is False, "points with instance ids are no points there"
    assert mine.pop("GO:0005874")[1] is True
    assert mine == theirs[0]
    keys = json.loads((tmp_path / "a.json").read_text()).keys()
    assert json.loads((tmp_path / "b.json").read_text()).keys() == {*keys, "portal_url"}


def test_every_argument_of_from_czcdp_datasets_means_the_same(
    upstream: Any, portal: LiveServer, tmp_path: Path
) -> None:
    """By place, as upstream has them, for one dataset and for several; the files hold the same but for the objects."""
    script = """
import copick
for number, (ids, arguments) in enumerate(calls):
    copick.from_czcdp_datasets(ids, *arguments, f"{folder}/{number}.json")
print("null")
"""
    place = f"{tmp_path}/overlay"
    calls = [
        ([10001], (place, None, None, None)),
        ([10002, 10001], (place, {"auto_mkdir": True}, "ada", "7")),
        ([10002], (f"local://{place}", {"auto_mkdir": False}, "ada", None)),
    ]
    (tmp_path / "theirs").mkdir()
    on_upstream(upstream, portal, script, calls=calls, folder=str(tmp_path / "theirs"))
    for number, (ids, arguments) in enumerate(calls):
        path = tmp_path / f"{number}.json"
        root = copick.from_czcdp_datasets(ids, *arguments, path, portal_url=portal.url)  # type: ignore[arg-type]
        mine, theirs = (json.loads(each.read_text()) for each in (path, tmp_path / "theirs" / f"{number}.json"))
        for told in ("name", "description", "version", "pickable_objects"):
            mine.pop(told), theirs.pop(told)
        assert mine == {**theirs, "portal_url": f"{portal.url}/graphql"}
        assert (root.user_id, root.session_id) == arguments[2:]
        assert {each.portal_dataset_id for each in root.runs} == set(ids)  # type: ignore[attr-defined]


def test_upstream_opens_the_config_of_the_command(upstream: Any, portal: LiveServer, tmp_path: Path) -> None:
    from tomoportal.cli import main

    path = tmp_path / "config.json"
    with pytest.raises(SystemExit) as ended:
        main(["copick", "from-portal", "DS-10001", "--overlay", f"{tmp_path}/overlay", "--output", str(path),
              "--endpoint", portal.url])  # fmt: skip
    assert ended.value.code == 0
    told = on_upstream(
        upstream, portal, "import copick\nprint(json.dumps([run.name for run in copick.from_file(config).runs]))",
        config=str(path),
    )  # fmt: skip
    assert told == [run.name for run in copick.from_file(path).runs]
