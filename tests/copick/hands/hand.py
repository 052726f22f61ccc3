"""One hand that works on a copick project: the PyPI package's, or ours as ``import copick``; run by its interpreter.

Reads requests as JSON lines and answers each with one: the name of an operation (a function below) and its arguments.
Every operation is what a script for the PyPI package would say. What a script must not do on both sides, because what
comes after it would differ (copick-faults.md), is answered with ``{"left out": reason}`` by both.
"""

# Whatever a package raises is an outcome that is compared; ours is installed before the first import of copick.
# ruff: noqa: B018, BLE001, I001

import contextlib
import io
import json
import logging
import math
import os
import sys
import warnings

import numpy as np

from telling import kinds, label, labels, mesh_told, object_map, picks_told, told_of_run, tried

if sys.argv[1] == "ours":
    import tomoportal.copick

    tomoportal.copick.install()

import copick
from copick.ops import add, get, manage, stats, sync
from copick.util import uri as uris

FOLDER = ""
ROOT = None


class LeftOut(Exception):
    """A step that both sides leave out."""


def opened():
    return copick.from_file(FOLDER + "/copick_config.json")


def root():
    global ROOT
    if ROOT is None:
        ROOT = opened()
    return ROOT


def run_of(name):
    found = root().get_run(name)
    if found is None:
        raise LeftOut("no such run")
    return found


def spacing_of(run, size):
    found = run_of(run).get_voxel_spacing(size)
    if found is None:
        raise LeftOut("no such voxel spacing")
    return found


def one(found):
    """What can be written, where both are listed (C27)."""
    if not found:
        raise LeftOut("no such thing")
    return next((each for each in found if not each.read_only), found[0])


def tomogram_of(run, size, kind):
    return one([each for each in spacing_of(run, size).tomograms if each.tomo_type == kind])


def features_of(run, size, kind, feature):
    tomogram = [each for each in spacing_of(run, size).tomograms if each.tomo_type == kind]
    return one([each for tomo in tomogram for each in tomo.features if each.feature_type == feature])


def segmentation_of(run, size, name, session, user, kind):
    found = run_of(run).segmentations
    return one(
        [
            each
            for each in found
            if (each.name, each.session_id, each.user_id, each.segmentation_type) == (name, session, user, kind)
            and abs(each.voxel_size - size) < 1e-4
        ]
    )


def document_of(run, kind, name, session, user):
    found = getattr(run_of(run), kind)
    chosen = [
        each for each in found if (each.pickable_object_name, each.session_id, each.user_id) == (name, session, user)
    ]
    return one(chosen)


# --- what is told


def tell(deep=True, kept=False):
    """Everything that there is: by a root that has just been opened, or by the one that works."""
    global ROOT
    if kept:
        known = root()
        del deep
        deep = False
    else:
        known = opened()
    return {
        "user": [known.user_id, known.session_id],
        "objects": [each.meta.model_dump(mode="json") for each in known.pickable_objects],
        "maps": [[each.name, each.read_only, tried(object_map, each)] for each in known.pickable_objects]
        if deep
        else [],
        "runs": {run.name: told_of_run(run, deep) for run in known.runs},
        "order": [run.name for run in known.runs],
    }


# --- the operations


def open_project(folder):
    global ROOT, FOLDER
    FOLDER, ROOT = folder, None
    return None


def reopen():
    global ROOT
    ROOT = None


def freeze():
    """All that is there becomes static, and the overlay empty."""
    if os.path.exists(FOLDER + "/static"):
        raise LeftOut("once only")
    os.makedirs(FOLDER + "/overlay", exist_ok=True)
    os.rename(FOLDER + "/overlay", FOLDER + "/static")
    path = FOLDER + "/copick_config.json"
    with open(path) as file:
        config = json.load(file)
    config |= {"static_root": f"local://{FOLDER}/static", "static_fs_args": {}}
    with open(path, "w") as file:
        json.dump(config, file, indent=4)
    reopen()


def new_run(name, exist_ok):
    return label(root().new_run(name, exist_ok=exist_ok))


def refuse_static(*paths):
    """C17."""
    if any(path and path.startswith(FOLDER + "/static") and os.path.exists(path) for path in paths):
        raise LeftOut("C17: static parts")


def delete_run(name, by_root):
    run = run_of(name)
    refuse_static(*[run.static_path] if os.path.exists(FOLDER + "/static") else [])
    root().runs  # C16
    run = run_of(name)
    root().delete_run(name) if by_root else run.delete()


def new_spacing(run, size, exist_ok):
    return label(run_of(run).new_voxel_spacing(size, exist_ok=exist_ok))


def delete_spacing(run, size, by_run):
    spacing = spacing_of(run, size)
    if os.path.exists(FOLDER + "/static"):
        refuse_static(spacing.static_path)
    root().runs  # C18
    run_of(run).voxel_spacings  # C16
    if by_run:
        run_of(run).delete_voxel_spacings(size)
    else:
        spacing_of(run, size).delete()


def only_static(found):
    """C19."""
    if found and all(each.read_only for each in found):
        raise LeftOut("C19: there is a static one only")


def new_tomogram(run, size, kind, exist_ok):
    spacing = spacing_of(run, size)
    if exist_ok:
        only_static([each for each in spacing.tomograms if each.tomo_type == kind.replace("_", "-")])
    return label(spacing.new_tomogram(kind, exist_ok=exist_ok))


def array(shape, seed, dtype="float32", highest=9):
    found = np.random.default_rng(seed).integers(0, highest + 1, shape)
    return found.astype(dtype)


def write_tomogram(run, size, kind, shape, seed, levels, dtype):
    tomogram = tomogram_of(run, size, kind)
    tomogram.from_numpy(array(shape, seed), levels=levels, dtype=np.dtype(dtype))
    return label(tomogram)


def box_of(box):
    return {axis: slice(*bounds) for axis, bounds in box.items()}


def region(entity, box, seed, level, highest=9, panoptic_channel=None):
    """Sets a region of what fits."""
    try:
        whole = entity.numpy(level)
    except Exception:
        raise LeftOut("there is nothing to change") from None
    slices = box_of(box)
    shape = [
        len(range(*slices[axis].indices(n))) if axis in slices else n
        for axis, n in zip("zyx", whole.shape[-3:], strict=True)
    ]
    if 0 in shape:
        raise LeftOut("an empty region is refused by upstream only")
    data = array(shape, seed, highest=highest).astype(whole.dtype)
    if panoptic_channel is not None:
        entity.set_region(data, level, channel=panoptic_channel, **slices)
    else:
        entity.set_region(data, level, **slices)
    return shape


def tomogram_region(run, size, kind, box, seed, level):
    return region(tomogram_of(run, size, kind), box, seed, level)


def read_volume(run, size, kind, box, level):
    found = tomogram_of(run, size, kind).numpy(level, **box_of(box))
    return [list(found.shape), str(found.dtype), found.astype(float).round(6).ravel().tolist()]


def read_segmentation(run, size, name, session, user, kind, box, channel):
    entity = segmentation_of(run, size, name, session, user, kind)
    more = {} if channel is None else {"channel": channel}
    found = entity.numpy(**box_of(box), **more)
    ids = tried(lambda: entity.instance_ids().tolist())
    parts = tried(lambda: [list(map(str, each)) for each in entity.segments()])
    return [list(found.shape), str(found.dtype), found.astype(int).ravel().tolist(), ids, parts]


def delete_tomogram(run, size, kind, by_spacing):
    if by_spacing:
        found = [each for each in spacing_of(run, size).tomograms if kind in (None, each.tomo_type)]
        if any(each.read_only for each in found):
            raise LeftOut("C17: static parts")
        if kind is None and len(found) > 1:
            raise LeftOut("C15: every second one is left")
        return spacing_of(run, size).delete_tomograms(kind)
    return tomogram_of(run, size, kind).delete()


def new_features(run, size, kind, feature, exist_ok):
    tomogram = tomogram_of(run, size, kind)
    if exist_ok:
        only_static([each for each in tomogram.features if each.feature_type == feature])
    return label(tomogram.new_features(feature, exist_ok=exist_ok))


def write_features(run, size, kind, feature, shape, seed, exist_ok, overwrite):
    """The function of ``copick.ops``, at spacing 1.0 only (C52): so the entity is made first, and then written."""
    features = features_of(run, size, kind, feature)
    if features.read_only:
        raise LeftOut("no function of the entity writes it")
    from copick.util.ome import write_ome_zarr_3d

    write_ome_zarr_3d(features.zarr(), {size: array(shape, seed)})
    return label(features)


def features_region(run, size, kind, feature, bounds, seed):
    features = features_of(run, size, kind, feature)
    try:
        whole = features.numpy()
    except Exception:
        raise LeftOut("there is nothing to change") from None
    slices = tuple(slice(*each) for each in bounds)
    data = array(whole[slices].shape, seed).astype(whole.dtype)
    features.set_region(data, slices=slices)
    return [list(data.shape), features.numpy(slices=slices).ravel().tolist()]


def delete_features(run, size, kind, feature):
    if feature is None:
        tomogram = tomogram_of(run, size, kind)
        if any(each.read_only for each in tomogram.features):
            raise LeftOut("C17: static parts")
        if len(tomogram.features) > 1:
            raise LeftOut("C15: every second one is left")
        return tomogram.delete_features()
    return features_of(run, size, kind, feature).delete()


def made_of(name):
    return name.replace("_", "-").replace(" ", "-").strip("-")


def new_document(kind, run, name, session, user, exist_ok):
    place = run_of(run)
    if exist_ok:
        wanted = (made_of(name), made_of(session), made_of(user or root().user_id or ""))
        only_static(
            [
                each
                for each in getattr(place, kind)
                if (each.pickable_object_name, each.session_id, each.user_id) == wanted
            ]
        )
    make = {"picks": place.new_picks, "meshes": place.new_mesh, "filaments": place.new_filaments}[kind]
    return label(make(name, session, user, exist_ok=exist_ok))


def turned(count, seed):
    found = []
    for number in range(count):
        angle = (seed + number) * 0.37
        found.append(
            [
                [math.cos(angle), -math.sin(angle), 0.0, float(number)],
                [math.sin(angle), math.cos(angle), 0.0, 0.0],
                [0.0, 0.0, 1.0, -2.5],
                [0.0, 0.0, 0.0, 1.0],
            ]
        )
    return np.array(found).reshape(count, 4, 4)


def positions(count, seed):
    return np.random.default_rng(seed).integers(0, 9000, (count, 3)) / 8


def write_picks(run, name, session, user, count, seed, given):
    picks = document_of(run, "picks", name, session, user)
    if not picks.read_only:
        picks.load()  # C10: upstream forgets what it has not read
    more = {
        "transforms": turned(count, seed),
        "instance_ids": np.arange(count) + seed,
        "scores": positions(count, seed)[:, 0] / 1000,
    }
    picks.from_numpy(positions(count, seed), **{key: more[key] for key in given})
    return tried(picks_told, picks)


def edit_picks(run, name, session, user, change, seed):
    """By points as objects, one after the other."""
    from copick.models import CopickLocation, CopickPoint

    picks = document_of(run, "picks", name, session, user)
    picks.load()  # what was refused to be stored before is forgotten
    points = list(picks.points)
    if change == "add":
        x, y, z = positions(1, seed)[0].tolist()
        made = CopickPoint(location=CopickLocation(x=x, y=y, z=z), instance_id=seed, score=0.25)
        made.transformation = turned(1, seed)[0]
        picks.points = [*points, made]
    elif change == "remove":
        if len(points) == 1:
            raise LeftOut("C13: cleared points come back")
        picks.points = points[1:]
    elif change == "move" and points:
        points[0].location = CopickLocation(x=1.5, y=float(seed), z=0.0)
        points[0].instance_id, points[0].score = seed, None if seed % 2 else 0.5
        picks.points = points
    elif change == "trust":
        picks.load()
        picks.meta.trust_orientation = bool(seed % 2)
        picks.meta.voxel_spacing = 7.84
    elif change == "refresh":
        picks.refresh()
    picks.store()
    return tried(picks_told, picks)


def write_mesh(run, name, session, user, extents, several):
    import trimesh

    mesh = document_of(run, "meshes", name, session, user)
    made = trimesh.creation.box(extents=extents)
    if several:
        scene = trimesh.Scene(made)
        scene.add_geometry(trimesh.creation.box(extents=extents, transform=turned(1, 3)[0]), geom_name="second")
        made = scene
    mesh.mesh = made
    mesh.store()
    return mesh_told(mesh)


def write_filaments(run, name, session, user, counts, seed, form):
    filaments = document_of(run, "filaments", name, session, user)
    if not filaments.read_only:
        filaments.load()
    lines = [np.cumsum(positions(count, seed + n) / 100 + 1, axis=0) for n, count in enumerate(counts)]
    if form == "control":
        filaments.from_control_points(lines, step=25.0, kind="linear" if seed % 2 else "catmull-rom")
    elif form == "all":
        ids = [3 * number + 1 for number in range(len(lines))]
        more = {"scores": [0.5] * len(ids), "radii": [12.5] * len(ids), "metadata": [{"a": [1, None]}] * len(ids)}
        known = [each % 2 == 0 for each in ids]
        filaments.from_numpy(lines, instance_ids=ids, polarity_known=known, voxel_spacing=7.84, **more)
    else:
        filaments.from_numpy(lines)
    return len(filaments.filaments)


def delete_document(kind, run, name, session, user):
    return document_of(run, kind, name, session, user).delete()


def delete_documents(kind, run, name, session, user):
    place = run_of(run)
    wanted = {"object_name": name, "session_id": session, "user_id": user}
    found = getattr(place, "get_" + kind)(**wanted)
    if any(each.read_only for each in found):
        raise LeftOut("C17: static parts")
    getattr(place, "delete_" + kind)(**wanted)


FLAGS = {
    "binary": {},
    "multilabel": {"is_multilabel": True},
    "instance": {"is_instance": True},
    "panoptic": {"is_panoptic": True},
}


def new_segmentation(run, size, name, session, user, kind, exist_ok):
    place = run_of(run)
    if exist_ok:
        wanted = (made_of(name), made_of(session), made_of(user or root().user_id or ""), kind)
        only_static(
            [
                each
                for each in place.segmentations
                if (each.name, each.session_id, each.user_id, each.segmentation_type) == wanted
                and abs(each.voxel_size - size) < 1e-4
            ]
        )
    return label(place.new_segmentation(size, name, session, user_id=user, exist_ok=exist_ok, **FLAGS[kind]))


def write_segmentation(run, size, name, session, user, kind, shape, seed, levels, highest):
    entity = segmentation_of(run, size, name, session, user, kind)
    labels_ = array(shape, seed, "int64", highest)
    if kind == "binary":
        labels_ = labels_ % 2
    if kind == "panoptic":
        known = [each.label for each in root().pickable_objects if each.label]
        types = np.array([0, *known])[labels_ % (len(known) + 1)]
        labels_ = np.stack([types, np.where(types > 0, labels_, 0)])
    entity.from_numpy(labels_, levels=levels)
    return label(entity)


def segmentation_region(run, size, name, session, user, kind, box, seed, highest, channel):
    entity = segmentation_of(run, size, name, session, user, kind)
    if kind == "panoptic" and channel is None:
        channel = "instance"
    return region(entity, box, seed, "0", highest, channel)


def delete_segmentation(run, size, name, session, user, kind):
    return segmentation_of(run, size, name, session, user, kind).delete()


def segmentation_query(filters):
    made = dict(filters)
    for key in ("voxel_size",):
        if isinstance(made.get(key), int):
            raise LeftOut("C39: only floats and lists of them")
    return made


def delete_segmentations(run, filters):
    place = run_of(run)
    found = place.get_segmentations(**segmentation_query(filters))
    if any(each.read_only for each in found):
        raise LeftOut("C17: static parts")
    place.delete_segmentations(**filters)


def query(run, kind, filters):
    place = run_of(run)
    if kind == "segmentations":
        filters = segmentation_query(filters)
    return labels(getattr(place, "get_" + kind)(**filters))


def listed(run, what):
    found = getattr(run_of(run), what)
    return labels(found() if callable(found) else found)


def listed_images(run, size, kind, feature):
    spacing = spacing_of(run, size)
    if kind is None:
        return sorted(labels(spacing.tomograms))
    tomograms = spacing.get_tomograms(kind)
    first = spacing.get_tomogram(kind)
    if first is None:
        return [labels(tomograms), None]
    found = tomogram_of(run, size, kind).get_features(feature) if feature else None
    return [labels(tomograms), label(first), found if found is None else label(found)]


def again(run, size):
    """What is found without a list."""
    fresh = opened()
    found = fresh.get_run(run)
    if found is None:
        return None
    spacing = found.get_voxel_spacing(size)
    filled = [fresh._runs is None, found._picks is None]
    return [label(found), spacing if spacing is None else label(spacing), filled, found.ensure()]


def refresh(run, what):
    if run is None:
        root().refresh() if what == "refresh" else root().reconnect()
        return None
    getattr(run_of(run), what)()
    return None


def set_user(user, session):
    root().user_id, root().session_id = user, session
    return [root().config.user_id, root().config.session_id]


def new_object(name, is_particle, given, save):
    if given.get("exist_ok") and not given.get("label", 1):
        raise LeftOut("C20: a falsy value is not given")
    others = [each.label for each in root().pickable_objects if each.name != name]
    if given.get("exist_ok") and given.get("label", -1) in others:
        raise LeftOut("C34: two objects of one label")
    made = root().new_object(name, is_particle, **given)
    if save:
        root().save_config(FOLDER + "/copick_config.json")
    return made.meta.model_dump(mode="json")


def save_config():
    root().save_config(FOLDER + "/copick_config.json")


def object_of(name):
    found = root().get_object(name)
    if found is None:
        raise LeftOut("no such object")
    return found


def write_map(name, shape, seed, size):
    entity = object_of(name)
    if not entity.is_particle:
        raise LeftOut("tested alone")
    entity.from_numpy(array(shape, seed), size)
    return object_map(entity)


def map_region(name, box, seed):
    entity = object_of(name)
    if object_map(entity) is None:
        raise LeftOut("there is nothing to change")
    region(entity, box, seed, "0")
    return object_map(entity)


def resolve(uri, kind, run):
    found = uris.resolve_copick_objects(uri, root(), kind, run_name=run)
    parsed = uris.parse_copick_uri(uri, kind)
    told = [[uris.serialize_copick_uri(each), label(each)] for each in found]
    return [parsed, sorted(told) if kind in ("tomogram", "feature") else told]  # C30


def manage_(verb, kind, source, target, run, overwrite):
    """cp, mv, rm by URI; what is listed twice (C27), or would be removed from static parts (C17), is left out."""
    found = tried(uris.resolve_copick_objects, source, root(), kind, run)
    if isinstance(found, list) and found and found[0] != "ERROR":
        seen = [json.dumps([each.run.name if hasattr(each, "run") else "", label(each)[:-1]]) for each in found]
        if len(set(seen)) < len(seen):
            raise LeftOut("C27: twins are two things")
        if kind == "mesh" and verb != "remove" and any(each.mesh.bounds is None for each in found):
            raise LeftOut("C2: upstream cannot write an empty mesh, and leaves an empty file")
        if any(each.read_only for each in found) and (verb != "copy" or os.path.exists(FOLDER + "/static")):
            raise LeftOut("C17, C19: static parts")
    if verb == "remove":
        told = manage.remove_copick_objects(root(), kind, source, run_name=run)
    else:
        function = {"copy": manage.copy_copick_objects, "move": manage.move_copick_objects}[verb]
        told = function(root(), kind, source, target, run_name=run, overwrite=overwrite)
    if kind in ("tomogram", "feature") and "objects" in told:
        told["objects"].sort()  # C30
    return {key: len(value) if key == "errors" else value for key, value in told.items() if value != []}


def added_run(name, exist_ok):
    return label(add.add_run(root(), name, exist_ok=exist_ok))


def added_tomogram(run, kind, size, shape, seed, options):
    place = root().get_run(run)
    spacing = place.get_voxel_spacing(size) if place else None
    if spacing is not None and options["exist_ok"]:
        only_static([each for each in spacing.tomograms if each.tomo_type == kind])
    return label(add.add_tomogram(root(), run, kind, array(shape, seed), voxel_spacing=size, **options))


def added_features(run, kind, feature, shape, seed, exist_ok, overwrite):
    """At spacing 1.0, where upstream looks (C52)."""
    return label(
        add.add_features(root(), run, 1.0, kind, feature, array(shape, seed), exist_ok=exist_ok, overwrite=overwrite)
    )


def got(kind, runs, filters):
    function = getattr(get, "get_" + kind)
    found = labels(each for each in function(root(), runs, show_progress=False, **filters) if each is not None)
    return sorted(found) if kind in ("tomograms", "features", "voxelspacings") else found  # C30


def counted(kind, runs):
    told = getattr(stats, kind + "_stats")(root(), runs)
    return {key: dict(value) if hasattr(value, "keys") else value for key, value in told.items()}


def synced(kind, runs, objects, users, exist_ok):
    """Within the project, to other runs, objects and users."""
    if os.path.exists(FOLDER + "/static"):
        raise LeftOut("C19, C27: twins")
    if root().get_run(runs[0]) is None:
        raise LeftOut("C53: what is not there is said")
    if kind == "meshes" and any(each.mesh.bounds is None for each in root().get_run(runs[0]).meshes):
        raise LeftOut("C2: upstream cannot write an empty mesh, and leaves an empty file")
    function = {"picks": sync.sync_picks, "meshes": sync.sync_meshes}[kind]
    function(
        root(), root(), source_runs=[runs[0]], target_runs={runs[0]: runs[1]}, source_objects=[objects[0]],
        target_objects={objects[0]: objects[1]}, source_users=[users[0]], target_users={users[0]: users[1]},
        exist_ok=exist_ok, max_workers=1,
    )  # fmt: skip
    return None


OPERATIONS = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == "__main__" and name not in ("LeftOut",)
}


def plain(value):
    if isinstance(value, (np.floating, float)):
        return float(value)
    return value.item() if hasattr(value, "item") else str(value)


def serve():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    print(json.dumps({"version": copick.from_file.__module__}), file=answers, flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                answer = {"answer": OPERATIONS[name](*arguments)}
        except LeftOut as reason:
            answer = {"left out": str(reason)}
        except Exception as error:
            answer = {"error": kinds(error)[1:], "kind": type(error).__name__, "message": str(error)[:400]}
            if os.environ.get("HAND_TRACES"):
                import traceback

                answer["trace"] = traceback.format_exc()
        print(json.dumps(answer, default=plain), file=answers, flush=True)


serve()
