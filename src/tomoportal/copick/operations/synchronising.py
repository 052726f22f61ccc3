"""One project's content into another, by functions (``copick.ops.sync``).

Objects have to be in the target (``copick.util.sync.ensure_pickable_objects`` makes them). What is in the way, or goes
wrong in one run, is logged and does not stop the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tomoportal.copick.logs import get_logger
from tomoportal.copick.tasks import Task, perform
from tomoportal.copick.transfers.synchronisation import (
    Sync,
    plan_documents_sync,
    plan_segmentations_sync,
    plan_tomograms_sync,
)

if TYPE_CHECKING:
    from tomoportal.copick.root import CopickRoot

__all__ = ["sync_meshes", "sync_picks", "sync_segmentations", "sync_tomograms"]

_Names = Iterable[str] | None
_Map = Mapping[str, str] | None


def _sync(
    source_root: CopickRoot,
    target_root: CopickRoot,
    source_runs: _Names,
    target_runs: _Map,
    names: tuple[_Names, _Map],
    users: tuple[_Names, _Map],
    voxel_spacings: Iterable[float] | None,
    exist_ok: bool,
) -> Sync:
    def some(values: Iterable[Any] | None) -> list[Any] | None:
        return None if values is None else list(values)

    return Sync(
        source_root,
        target_root,
        None,
        some(source_runs),
        target_runs or {},
        some(names[0]),
        names[1] or {},
        some(users[0]),
        users[1] or {},
        some(voxel_spacings),
        exist_ok,
    )


def _perform(tasks: Sequence[Task], max_workers: int, log: bool) -> None:
    logger = get_logger("tomoportal.copick")
    for task, error in perform(tasks, workers=max_workers):
        if error is not None:
            logger.error("%s: %s", task.what, error)
        elif log:
            logger.info("%s %s", task.action, task.what)


def sync_picks(
    source_root: CopickRoot,
    target_root: CopickRoot,
    source_runs: _Names = None,
    target_runs: _Map = None,
    source_objects: _Names = None,
    target_objects: _Map = None,
    source_users: _Names = None,
    target_users: _Map = None,
    exist_ok: bool = False,
    max_workers: int = 4,
    log: bool = False,
) -> None:
    """Copy picks; maps say other names in the target."""
    names, users = (source_objects, target_objects), (source_users, target_users)
    sync = _sync(source_root, target_root, source_runs, target_runs, names, users, None, exist_ok)
    _perform(plan_documents_sync(sync, "picks"), max_workers, log)


def sync_meshes(
    source_root: CopickRoot,
    target_root: CopickRoot,
    source_runs: _Names = None,
    target_runs: _Map = None,
    source_objects: _Names = None,
    target_objects: _Map = None,
    source_users: _Names = None,
    target_users: _Map = None,
    exist_ok: bool = False,
    max_workers: int = 4,
    log: bool = False,
) -> None:
    """Copy meshes; maps say other names in the target."""
    names, users = (source_objects, target_objects), (source_users, target_users)
    sync = _sync(source_root, target_root, source_runs, target_runs, names, users, None, exist_ok)
    _perform(plan_documents_sync(sync, "meshes"), max_workers, log)


def sync_segmentations(
    source_root: CopickRoot,
    target_root: CopickRoot,
    source_runs: _Names = None,
    target_runs: _Map = None,
    voxel_spacings: Iterable[float] | None = None,
    source_names: _Names = None,
    target_names: _Map = None,
    source_users: _Names = None,
    target_users: _Map = None,
    exist_ok: bool = False,
    max_workers: int = 4,
    log: bool = False,
    is_multilabel: bool | None = None,
    is_instance: bool | None = False,
    is_panoptic: bool | None = False,
) -> None:
    """Copy segmentations of the types that the flags choose; labels become those of the target's objects (C104)."""
    flags = {"multilabel": is_multilabel, "instance": is_instance, "panoptic": is_panoptic}

    def is_chosen(kind: str) -> bool:
        return all(flag is None or flag == (kind == name) for name, flag in flags.items())

    kinds = [kind for kind in ("binary", *flags) if is_chosen(kind)]
    names, users = (source_names, target_names), (source_users, target_users)
    sync = _sync(source_root, target_root, source_runs, target_runs, names, users, voxel_spacings, exist_ok)
    _perform(plan_segmentations_sync(sync, kinds), max_workers, log)


def sync_tomograms(
    source_root: CopickRoot,
    target_root: CopickRoot,
    source_runs: _Names = None,
    target_runs: _Map = None,
    voxel_spacings: Iterable[float] | None = None,
    source_tomo_types: _Names = None,
    target_tomo_types: _Map = None,
    exist_ok: bool = False,
    max_workers: int = 4,
    log: bool = False,
) -> None:
    """Copy tomograms with all levels; maps say other names in the target."""
    types = (source_tomo_types, target_tomo_types)
    sync = _sync(source_root, target_root, source_runs, target_runs, types, (None, None), voxel_spacings, exist_ok)
    _perform(plan_tomograms_sync(sync), max_workers, log)
