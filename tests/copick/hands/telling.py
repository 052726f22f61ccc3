"""What is told of the entities of a project, as JSON: see ``hand.py``."""

# Whatever a package raises is an outcome that is compared.
# ruff: noqa: BLE001

import hashlib
import json

import numpy as np

LEVELS = ("0", "1", "2")


def label(each):
    kind = type(each).__name__
    for known in (
        "Run",
        "VoxelSpacing",
        "Tomogram",
        "Features",
        "Picks",
        "Mesh",
        "Segmentation",
        "Filaments",
        "Object",
    ):
        if known in kind:
            kind = known
            break
    fields = {
        "Run": ("name",),
        "VoxelSpacing": ("voxel_size",),
        "Tomogram": ("tomo_type",),
        "Features": ("tomo_type", "feature_type"),
        "Segmentation": ("segmentation_type", "voxel_size", "user_id", "session_id", "name"),
        "Object": ("name",),
    }.get(kind, ("user_id", "session_id", "pickable_object_name"))
    told = [kind, *(getattr(each, field) for field in fields)]
    if kind in ("Tomogram",):
        told.insert(1, each.voxel_spacing.voxel_size)
    if hasattr(each, "read_only"):
        told.append("static" if each.read_only else "overlay")
    return told


def labels(found):
    return [label(each) for each in found]


def voxels(entity):
    """Level 0 exactly, coarser ones as numbers (their means are rounded in another order)."""
    told = {}
    for level in LEVELS:
        try:
            data = entity.numpy(level)
        except Exception as error:
            # Upstream tries to make a group in an empty static folder, and may not.
            told[level] = "empty" if level == "0" and entity.read_only else kinds(error)
            break
        if data is None:
            return None
        plain = [list(data.shape), str(data.dtype)]
        digest = hashlib.sha256(np.ascontiguousarray(data).tobytes()).hexdigest()
        told[level] = [*plain, digest if level == "0" else data.astype("float64").round(6).ravel().tolist()]
    return told


def picks_told(each):
    positions, transforms = each.numpy()
    meta = each.load()
    return [
        positions.tolist(), transforms.tolist(), each.instance_ids().tolist(), each.scores().tolist(),
        each.full_positions().tolist(), each.from_tool, each.from_user, each.trust_orientation, len(each.points),
        [meta.run_name, meta.voxel_spacing, meta.unit], color(each),
    ]  # fmt: skip


def color(each):
    try:
        return list(each.color)
    except Exception as error:
        return kinds(error)


def mesh_told(each):
    bounds = each.mesh.bounds
    return [None if bounds is None else np.round(bounds, 4).tolist(), each.from_tool, each.from_user]


def filaments_told(each):
    told = [
        [one.instance_id, one.points, one.polarity_known, one.score, one.radius, one.metadata, one.curve_is_current()]
        for one in each.filaments
    ]
    return [json.loads(json.dumps(told)), each.voxel_spacing, each.from_tool]


def kinds(error):
    return ["ERROR", *(each.__name__ for each in type(error).__mro__ if each.__module__ == "builtins")]


def tried(function, *arguments):
    try:
        return function(*arguments)
    except Exception as error:
        return kinds(error)


def told_of_run(run, deep):
    found = {
        "picks": [[label(each), tried(picks_told, each) if deep else 0] for each in run.picks],
        "meshes": [[label(each), tried(mesh_told, each) if deep else 0] for each in run.meshes],
        "filaments": [[label(each), tried(filaments_told, each) if deep else 0] for each in run.filaments],
        "segmentations": [
            [label(each), [voxels(each), list(each.color), each.filename, each.directory] if deep else 0]
            for each in run.segmentations
        ],
        "spacings": labels(run.voxel_spacings),
        "tomograms": [],
        "features": [],
    }
    for spacing in run.voxel_spacings:
        for tomogram in spacing.tomograms:
            found["tomograms"].append([label(tomogram), voxels(tomogram) if deep else 0])
            found["features"] += [
                [[*label(each), spacing.voxel_size], voxels(each) if deep else 0] for each in tomogram.features
            ]
    found["features"] = [each for n, each in enumerate(found["features"]) if each not in found["features"][:n]]
    return found


def object_map(each):
    """C43: upstream makes an empty folder by looking for it."""
    is_there = False
    for fs, path in ((each.fs_overlay, each.overlay_path), (each.fs_static, each.static_path)):
        is_there = is_there or (fs is not None and bool(path) and fs.exists(path + "/.zattrs"))
    return voxels(each) if is_there else None
