"""Counts of what a project holds, by run, user, session, object and type (``copick.ops.stats``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tomoportal.copick.root import CopickRoot
from tomoportal.copick.runs import CopickRun
from tomoportal.errors import AnnotationError

__all__ = ["meshes_stats", "picks_stats", "segmentations_stats"]

_Names = str | Collection[str] | None
_Runs = CopickRun | str | Iterable[str] | Iterable[CopickRun] | None
_T = TypeVar("_T")


def _chosen(root: CopickRoot, runs: _Runs) -> list[CopickRun]:
    if runs is None:
        return root.runs
    given: Iterable[str | CopickRun] = [runs] if isinstance(runs, str | CopickRun) else runs
    named = [(each, root.get_run(each) if isinstance(each, str) else each) for each in given]
    if missing := [name for name, run in named if run is None]:
        raise AnnotationError(f"Run names not found in project: {missing}", fix="names are case-sensitive")
    return [run for _, run in named if run is not None]


def _each(runs: Iterable[CopickRun], work: Callable[[CopickRun], _T], workers: int) -> list[_T]:
    if workers < 2:
        return [work(run) for run in runs]
    with ThreadPoolExecutor(workers, "stats") as pool:
        return list(pool.map(work, runs))


def _counts(values: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Sums by name, sorted by name."""
    found: Counter[str] = Counter()
    for name, count in values:
        found[name] += count
    return dict(sorted(found.items()))


def picks_stats(
    root: CopickRoot,
    runs: _Runs = None,
    user_id: _Names = None,
    session_id: _Names = None,
    object_name: _Names = None,
    *,
    workers: int = 8,
) -> dict[str, Any]:
    """``total_picks`` points in ``total_pick_files`` files, and how they are distributed."""

    def count(run: CopickRun) -> list[tuple[str, str, str, str, int]]:
        found = run.get_picks(object_name, user_id, session_id)
        return [
            (run.name, each.user_id, each.session_id, each.pickable_object_name, len(each.full_positions()))
            for each in found
        ]

    rows = [row for part in _each(_chosen(root, runs), count, workers) for row in part]
    return {
        "total_picks": sum(row[4] for row in rows),
        "total_pick_files": len(rows),
        "distribution_by_run": _counts((row[0], row[4]) for row in rows),
        "distribution_by_user": _counts((row[1], row[4]) for row in rows),
        "distribution_by_session": _counts((row[2], row[4]) for row in rows),
        "distribution_by_object": _counts((row[3], row[4]) for row in rows),
    }


def meshes_stats(
    root: CopickRoot,
    runs: _Runs = None,
    user_id: _Names = None,
    session_id: _Names = None,
    object_name: _Names = None,
    *,
    workers: int = 8,
) -> dict[str, Any]:
    """``total_meshes`` and how they are distributed."""

    def count(run: CopickRun) -> list[tuple[str, str, str]]:
        found = run.get_meshes(object_name, user_id, session_id)
        return [(each.user_id, each.session_id, each.pickable_object_name) for each in found]

    rows = [row for part in _each(_chosen(root, runs), count, workers) for row in part]
    return {
        "total_meshes": len(rows),
        "distribution_by_user": _counts((row[0], 1) for row in rows),
        "distribution_by_session": _counts((row[1], 1) for row in rows),
        "distribution_by_object": _counts((row[2], 1) for row in rows),
        "session_user_object_combinations": _counts((f"{row[1]}_{row[0]}_{row[2]}", 1) for row in rows),
    }


def segmentations_stats(
    root: CopickRoot,
    runs: _Runs = None,
    user_id: _Names = None,
    session_id: _Names = None,
    is_multilabel: bool | None = None,
    name: _Names = None,
    voxel_size: float | Collection[float] | None = None,
    *,
    is_instance: bool | None = None,
    is_panoptic: bool | None = None,
    workers: int = 8,
) -> dict[str, Any]:
    """``total_segmentations`` and how they are distributed. Flags that are None take both."""

    def count(run: CopickRun) -> list[tuple[str, str, str, float, bool, str]]:
        found = run.get_segmentations(
            user_id,
            session_id,
            is_multilabel,
            name,
            voxel_size,
            is_instance=is_instance,
            is_panoptic=is_panoptic,
        )
        return [
            (each.user_id, each.session_id, each.name, each.voxel_size, each.is_multilabel, each.segmentation_type)
            for each in found
        ]

    rows = [row for part in _each(_chosen(root, runs), count, workers) for row in part]
    return {
        "total_segmentations": len(rows),
        "distribution_by_user": _counts((row[0], 1) for row in rows),
        "distribution_by_session": _counts((row[1], 1) for row in rows),
        "distribution_by_name": _counts((row[2], 1) for row in rows),
        "distribution_by_voxel_size": _counts((str(float(row[3])), 1) for row in rows),
        "distribution_by_multilabel": _counts((str(row[4]), 1) for row in rows),
        "distribution_by_type": _counts((row[5], 1) for row in rows),
        "session_user_voxelspacing_multilabel_combinations": _counts(
            (f"{row[1]}_{row[0]}_{row[2]}_{float(row[3])}_{row[4]}", 1) for row in rows
        ),
    }
