"""Empty runs, voxel spacings and picks, as tasks."""

from __future__ import annotations

import numpy as np

from tomoportal.copick.names import check_run_name, checked_name, checked_voxel_size
from tomoportal.copick.objects import unknown_object
from tomoportal.copick.root import CopickRoot
from tomoportal.copick.runs import CopickRun
from tomoportal.copick.tasks import Task
from tomoportal.errors import AnnotationError

__all__ = ["plan_empty_picks", "plan_run", "plan_voxel_spacing"]


def plan_run(root: CopickRoot, name: str, *, exist_ok: bool = False) -> list[Task]:
    """A new run. Raises :class:`AnnotationError` if there is one of that name, unless ``exist_ok``."""
    if root.get_run(name) is not None:
        if not exist_ok:
            raise AnnotationError(f"Run name {name} already exists.", fix="choose another name, or --overwrite")
        return [Task("keep", name, name, lambda: None)]
    check_run_name(name)
    return [Task("create", name, name, lambda: _discard(root.new_run(name)))]


def plan_voxel_spacing(
    root: CopickRoot, run_name: str, voxel_size: float, *, exist_ok: bool = False, create: bool = True
) -> list[Task]:
    """A new voxel spacing (Å) of a run, which is made too if need be."""
    size = checked_voxel_size(voxel_size)
    run = root.get_run(run_name)
    if run is None and not create:
        raise AnnotationError(f"Could not find run {run_name}.", fix="correct the name, or --create")
    what = f"{run_name} {size:.3f} Å"
    if run is not None and run.get_voxel_spacing(size) is not None:
        if not exist_ok:
            raise AnnotationError(f"VoxelSpacing {voxel_size} already exists for this run.", where=run_name)
        return [Task("keep", what, run_name, lambda: None)]
    if run is None:
        check_run_name(run_name)
    return [
        Task("create", what, run_name, lambda: _discard(root.new_run(run_name, True).new_voxel_spacing(size, True)))
    ]


def plan_empty_picks(
    root: CopickRoot, object_name: str, user_id: str, session_id: str, *, overwrite: bool = False
) -> list[Task]:
    """Empty picks in every run; those that are there stay, or are emptied with ``overwrite``."""
    if root.get_object(object_name) is None:
        raise unknown_object(root, object_name)
    strict = bool(root.config.strict)
    user = checked_name(user_id, "user_id", strict=strict)
    session = checked_name(session_id, "session_id", strict=strict)
    return [_empty_picks(run, object_name, user, session, overwrite) for run in root.runs]


def _empty_picks(run: CopickRun, object_name: str, user: str, session: str, overwrite: bool) -> Task:
    what = f"{run.name} {object_name}:{user}/{session}"
    known = next(iter(run.get_picks(object_name, user, session)), None)
    if known is None:
        return Task("create", what, run.name, lambda: _discard(run.new_picks(object_name, session, user)))
    if not overwrite:
        return Task("keep", what, run.name, lambda: None)
    return Task(
        "replace",
        what,
        run.name,
        lambda: run.new_picks(object_name, session, user, exist_ok=True).from_numpy(np.zeros((0, 3))),
    )


def _discard(made: object) -> None:
    """The entity is on its store; nobody needs the object."""
