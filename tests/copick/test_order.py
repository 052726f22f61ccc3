"""Lists stand in upstream's order, static first and then by file name: scripts take the first one of a list."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trimesh

import tomoportal.copick as copick

NAMES = """
import json, sys
import copick
run = copick.from_file(sys.argv[1]).get_run("TS_001")
told = [[each.meta.model_dump(include={"user_id", "session_id", "pickable_object_name", "name", "is_multilabel",
         "is_instance", "voxel_size"}) for each in getattr(run, kind)]
        for kind in ("picks", "meshes", "segmentations", "filaments")]
spacing = run.get_voxel_spacing(10.0)
told.append([each.name for each in copick.from_file(sys.argv[1]).runs])
# Upstream's come from a set: in another order each time, static ones first.
told.append([each.read_only for each in spacing.tomograms])
told.append(sorted([each.tomo_type, sorted(e.feature_type for e in each.features)] for each in spacing.tomograms))
print(json.dumps(told))
"""


def _fill(config: Path, user: str, types: tuple[str, ...]) -> None:
    root = copick.from_file(config)
    for name in ("TS_001", "TS_10", "TS-2"):
        root.new_run(name, exist_ok=True)
    run = root.get_run("TS_001")
    spacing = run.new_voxel_spacing(10.0, exist_ok=True)
    for name in types:
        tomogram = spacing.new_tomogram(name)
        tomogram.from_numpy([[[1.0]]])
        for feature in ("sobel", "edge", "edge-2"):
            tomogram.new_features(feature).from_numpy([[[1.0]]])
    for session in ("2", "10", "1"):
        for name in ("ribosome", "proteasome"):
            run.new_picks(name, session, user).store()
            mesh = run.new_mesh(name, session, user)
            mesh.mesh = trimesh.creation.box()
            mesh.store()
    run.new_picks("membrane", "1", f"{user}-2").store()
    for size in (10, 7.84):
        run.new_segmentation(size, "membrane", "1", user_id=user).from_numpy([[[1]]])
        run.new_segmentation(size, "balls", "1", True, user_id=user).from_numpy([[[1]]])
    run.new_segmentation(10, "microtubule", "1", is_instance=True, user_id=user).from_numpy([[[1]]])
    for session in ("2", "1"):
        run.new_filaments("microtubule", session, user).from_numpy([[[10, 20, 30], [50, 60, 70]]], voxel_spacing=10.0)


def test_lists_stand_in_upstream_s_order(tmp_path: Path, make_config: Callable[..., Path], upstream: Any) -> None:
    (tmp_path / "base").mkdir()
    _fill(make_config(tmp_path / "base"), "zoe", ("wbp", "wbp-denoised", "ctf"))
    config = make_config(tmp_path, static_root=f"local://{tmp_path}/base/overlay")
    _fill(config, "ada", ("wbp-2", "denoised"))
    namespace: dict[str, Any] = {}
    script = NAMES.replace("import copick", "import tomoportal.copick as copick").replace("print(json.dumps(told))", "")
    exec(script.replace("sys.argv[1]", repr(str(config))), namespace)
    ours = json.loads(json.dumps(namespace["told"]))
    theirs = upstream(NAMES, config)
    for mine, other in zip(ours, theirs, strict=True):
        assert len(other) >= 3, mine
        assert mine == other
