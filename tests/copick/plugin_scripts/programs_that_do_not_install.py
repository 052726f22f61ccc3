"""What programs do with copick that cannot be installed here; prints what they would see.

ChimeraX's plug-in needs ChimeraX, copick-easymode TensorFlow and trained weights, copick-server is on no package index.
Run by ``test_plugins.py`` with the folder of a project, on our package and on the PyPI one.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import zarr
from copick.impl.filesystem import CopickConfigFSSpec, CopickTomogramFSSpec
from copick.models import CopickLocation, CopickMesh, CopickPicks, CopickPoint, CopickSegmentation

import copick

folder = Path(sys.argv[1])
config = str(folder / "copick_config.json")
told = {}
warnings.simplefilter("ignore")


def places(picks):
    return [[p.location.x, p.location.y, p.location.z, p.instance_id, p.score] for p in picks.points]


def chimerax():
    """Entities as keys, editing of points, storing of everything of a user at each change of the run."""
    root = copick.from_file(config)
    run = root.runs[0]
    entities = [*run.picks, *run.meshes, *run.segmentations, *run.filaments, *run.voxel_spacings, run]
    shown = {entity: number for number, entity in enumerate(entities)}
    again = [*run.picks, *run.meshes, *run.segmentations, *run.filaments, *run.voxel_spacings, root.runs[0]]
    told["keys"] = [shown[entity] for entity in again]
    other = copick.from_file(config).get_run("TS_001").picks[0]
    told["another one"] = other in shown
    told["kinds"] = [[isinstance(e, kind) for kind in (CopickPicks, CopickMesh, CopickSegmentation)] for e in entities]
    told["flags"] = [[e.from_tool, e.from_user, e.read_only] for e in run.picks]
    told["objects"] = [
        [o.name, o.label, list(o.color), o.radius, o.map_threshold, o.is_filament, o.pdb_id, o.emdb_id, o.identifier]
        for o in root.config.pickable_objects
    ]
    tomogram = run.get_voxel_spacing(10.0).tomograms[0]
    told["tomogram"] = [
        isinstance(tomogram, CopickTomogramFSSpec),
        tomogram.tomo_type,
        tomogram.voxel_spacing.voxel_size,
    ]
    group = zarr.open(tomogram.zarr(), "r")
    told["levels"] = [[key, list(group[key].shape), float(np.asarray(group[key]).mean())] for key in sorted(group)]
    picks = next(p for p in run.picks if p.user_id == "ada")
    told["trusted"] = picks.trust_orientation
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    pose[:3, 3] = [1.5, 2.5, 3.5]
    made = CopickPoint(
        location=CopickLocation(x=1.0, y=2.0, z=3.0), transformation_=pose.tolist(), instance_id=9, score=0.25
    )
    moved = picks.points[0].model_copy(deep=True)
    moved.location = CopickLocation(x=10.0, y=20.0, z=30.0)
    moved.instance_id += 100
    picks.points.extend([made, moved])
    for each in run.user_picks():
        each.store()
    read = next(p for p in copick.from_file(config).get_run("TS_001").picks if p.user_id == "ada")
    told["edited"] = places(read)
    told["pose"] = np.asarray(read.points[-2].transformation, float)[0:3].tolist()
    described = CopickConfigFSSpec(**json.loads(Path(config).read_text()))
    told["config"] = [
        described.name,
        described.user_id,
        described.overlay_root,
        [o.name for o in described.pickable_objects],
    ]


def server():
    """Documents and chunks by their keys, and documents put in place of a set's own."""
    run = copick.from_file(config).get_run("TS_001")
    told["document"] = sorted(run.get_picks("ribosome", "top")[0].meta.dict())
    sent = run.get_picks("ribosome", "top")[0].meta.dict()
    sent["user_id"], sent["session_id"] = "served", "5"
    picks = run.new_picks(object_name="ribosome", user_id="served", session_id="5")
    picks.meta = copick.models.CopickPicksFile(**sent)
    picks.store()
    again = copick.from_file(config).get_run("TS_001").get_picks("ribosome", "served", "5")[0]
    told["put"] = places(again)
    store = run.get_voxel_spacing(10.0).get_tomograms("wbp")[0].zarr()
    told["keys of a volume"] = sorted(key for key in store.keys() if not key.startswith("."))  # noqa: SIM118
    told["metadata"] = [json.loads(store[key]) for key in (".zgroup", "0/.zarray")]
    told["chunk"] = len(store["0/0/0/0"]) > 0
    try:
        told["missing"] = len(store["0/9/9/9"])
    except KeyError:
        told["missing"] = "KeyError"
    segmentation = run.get_segmentations(voxel_size=10.0, name="membrane", user_id="ada", is_multilabel=False)[0]
    told["mask"] = json.loads(segmentation.zarr()["0/.zarray"])["shape"]


def easymode():
    """An object of a model, a mask of each run, written again with its object saved in the config."""
    root = copick.from_file(config)
    told["unknown"] = root.get_object("actin") is None
    root.new_object(name="actin", is_particle=False)
    for value in (1, 2):
        for run in root.runs:
            tomogram = run.get_voxel_spacing(10.0).get_tomograms(tomo_type="wbp")[0]
            mask = (tomogram.numpy() > value).astype(np.uint8)
            segmentation = run.new_segmentation(
                name="actin",
                voxel_size=10.0,
                user_id="easymode",
                session_id="1",
                is_multilabel=False,
                exist_ok=value > 1,
            )
            segmentation.from_numpy(mask)
    root.save_config(config)
    found = copick.from_file(config)
    told["saved"] = [[o.name, o.label, o.is_particle] for o in found.pickable_objects]
    masks = [run.get_segmentations(name="actin", user_id="easymode") for run in found.runs]
    told["masks"] = [[len(each), int(each[0].numpy().sum())] for each in masks]


chimerax()
server()
easymode()
print(json.dumps([copick.from_file.__module__, told]))
