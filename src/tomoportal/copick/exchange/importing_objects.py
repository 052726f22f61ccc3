"""Pickable objects, their density maps, and meshes from files."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

from tomoportal.copick.exchange.files import missing_runs, run_files
from tomoportal.copick.exchange.volume_files import open_file, read_whole, spacing_of
from tomoportal.copick.names import checked_name
from tomoportal.copick.objects import unknown_object
from tomoportal.copick.particles.index_maps import read_bytes
from tomoportal.copick.root import UNSET, CopickRoot
from tomoportal.copick.tasks import Action, Task, refuse
from tomoportal.errors import AnnotationError, Problem, TomoportalError
from tomoportal.formats.meshes import Mesh, read_mesh, write_glb

__all__ = ["parse_color", "parse_metadata", "plan_meshes", "plan_object", "plan_object_volume"]


def parse_color(text: str) -> tuple[int, int, int, int]:
    """``"255,0,0,255"`` as RGBA from 0 to 255. Raises :class:`AnnotationError`."""
    try:
        values = [int(each) for each in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 4 or any(not 0 <= value <= 255 for value in values):
        raise AnnotationError(
            f"{text!r} is no colour: that is four comma-separated values from 0 to 255.", fix="write it as 255,0,0,255"
        )
    return values[0], values[1], values[2], values[3]


def parse_metadata(text: str) -> dict[str, Any]:
    """A JSON object. Raises :class:`AnnotationError`."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise AnnotationError(
            f"The metadata are not in valid JSON format: {error}", fix="write them as '{\"key\": 1}'"
        ) from error
    if not isinstance(found, dict):
        raise AnnotationError("The metadata are no JSON object.", fix="write them as '{\"key\": 1}'")
    return found


def plan_object(
    root: CopickRoot,
    config_path: str | os.PathLike[str],
    name: str,
    is_particle: bool,
    *,
    fields: dict[str, Any],
    volume: Path | None = None,
    volume_format: str | None = None,
    voxel_size: float | None = None,
    exist_ok: bool = False,
) -> list[Task]:
    """A new object in the config, which is saved, and its density map. ``fields`` are those of ``new_object``.

    Raises :class:`AnnotationError` for what :meth:`CopickRoot.new_object` refuses.
    """
    known = root.get_object(name)
    if known is not None and not exist_ok:
        raise AnnotationError(f"Object name {name} already exists.", fix="choose another name, or --exist-ok")
    if volume is not None and voxel_size is None:
        raise AnnotationError("voxel_size must be provided with a volume.", fix="give --voxel-size in Å")
    if volume is not None and not is_particle:
        raise AnnotationError(f"{name} is not a particle object: it has no density map.")
    loaded = _map(volume, volume_format, voxel_size) if volume is not None else None
    before = [meta.model_copy(deep=True) for meta in root.config.pickable_objects]
    given = {key: value for key, value in fields.items() if value is not None and value is not UNSET}
    made = root.new_object(name, is_particle, exist_ok=exist_ok, **given)

    def store() -> None:
        root.save_config(config_path)
        if loaded is not None:
            made.from_numpy(loaded[0], loaded[1])

    after = list(root.config.pickable_objects)
    changed = [meta.model_dump() for meta in before] != [meta.model_dump() for meta in after]
    action: Action = "create" if known is None else "replace" if changed or loaded else "keep"
    return [Task(action, f"object {name} (label {made.label})", "", store, str(volume or ""))]


def plan_object_volume(
    root: CopickRoot, name: str, volume: Path, *, volume_format: str | None = None, voxel_size: float | None = None
) -> list[Task]:
    """The density map of an object, which replaces the one that it has."""
    known = root.get_object(name)
    if known is None:
        raise AnnotationError(f"Object {name} not found in root configuration.", fix="add it: add object --name")
    if not known.is_particle:
        raise AnnotationError(f"{name} is not a particle object: it has no density map.")
    made = known
    voxels, size = _map(volume, volume_format, voxel_size)
    action: Action = "replace" if known.has_density_map() else "create"
    return [Task(action, f"object {name}: map", "", lambda: made.from_numpy(voxels, size), str(volume))]


def _map(path: Path, volume_format: str | None, voxel_size: float | None) -> tuple[Any, float]:
    with closing(open_file(path, "mrc" if volume_format == "map" else volume_format)) as volume:
        return read_whole(volume), spacing_of(volume, voxel_size)


def plan_meshes(
    root: CopickRoot,
    pattern: str,
    object_name: str,
    *,
    user_id: str = "copick",
    session_id: str = "1",
    run: str = "",
    run_regex: str = "(.*)",
    run_name_prefix: str = "",
    file_type: str | None = None,
    scale: float = 1.0,
    overwrite: bool = False,
    create: bool = True,
) -> list[Task]:
    """Surfaces (GLB, OBJ, STL, PLY, VTK, EMDB-SFF), one file per run; coordinates times ``scale`` are Å."""
    if root.get_object(object_name) is None:
        raise unknown_object(root, object_name)
    strict = bool(root.config.strict)
    user, session = checked_name(user_id, "user_id", strict=strict), checked_name(session_id, "session_id")
    files, problems, tasks = run_files(pattern, run=run, run_regex=run_regex, run_name_prefix=run_name_prefix)
    problems += missing_runs(root, [each.run for each in files], create=create)
    for each in files:
        what = f"{each.run} {object_name}:{user}/{session}"
        try:
            mesh = read_mesh(read_bytes(each.path), each.path.name, file_format=file_type).scaled(scale)
        except TomoportalError as error:
            problems.append(Problem(str(each.path), error.what, error.fix))
            continue
        place = root.get_run(each.run)
        known = next(iter(place.get_meshes(object_name, user, session)), None) if place is not None else None
        if known is not None and not overwrite:
            problems.append(Problem(str(each.path), f"{what} is there already", "another --session-id, or --overwrite"))
            continue
        tasks.append(_mesh_task(root, each.run, (object_name, user, session), mesh, known is not None, str(each.path)))
    refuse(problems, "These meshes cannot be added")
    return tasks


def _mesh_task(
    root: CopickRoot, run: str, names: tuple[str, str, str], mesh: Mesh, is_known: bool, source: str
) -> Task:
    object_name, user, session = names

    def store() -> None:
        made = root.new_run(run, exist_ok=True).new_mesh(object_name, session, user, exist_ok=True)
        made._write(write_glb(mesh, unit="angstrom"), overwrite=False)

    action: Action = "replace" if is_known else "create"
    return Task(action, f"{run} {object_name}:{user}/{session}: {len(mesh.faces)} triangles", run, store, source)
