"""Counts of what a project holds, by run, user, session, object and type (``copick.ops.stats``).

``root`` may be the path of a config, ``runs`` one or many, names or runs; they are counted one after the other, or with
``parallel`` in threads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from tomoportal.copick.operations.getting import get_runs

if TYPE_CHECKING:
    from tomoportal.copick.operations.getting import Root, Runs
    from tomoportal.copick.runs import CopickRun

__all__ = ["meshes_stats", "picks_stats", "segmentations_stats"]

_Names = str | Collection[str] | None
_T = TypeVar("_T")


def _rows(root: Root, runs: Runs, rows_of: Callable[[CopickRun], list[_T]], workers: int) -> list[_T]:
    """The rows of all these runs, in their order."""
    chosen = get_runs(root, runs)
    if workers < 2:
        return [row for run in chosen for row in rows_of(run)]
    with ThreadPoolExecutor(workers, "stats") as pool:
        return [row for rows in pool.map(rows_of, chosen) for row in rows]


def _counts(values: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Sums by name, sorted by name."""
    found: Counter[str] = Counter()
    for name, count in values:
        found[name] += count
    return dict(sorted(found.items()))


def picks_stats(
    root: Root,
    runs: Runs = None,
    user_id: _Names = None,
    session_id: _Names = None,
    object_name: _Names = None,
    parallel: bool = False,
    workers: int = 8,
    show_progress: bool = True,
) -> dict[str, Any]:
    """``total_picks`` points in ``total_pick_files`` files, and how they are distributed."""

    def count(run: CopickRun) -> list[tuple[str, str, str, str, int]]:
        found = run.get_picks(object_name, user_id, session_id)
        return [
            (run.name, each.user_id, each.session_id, each.pickable_object_name, len(each.full_positions()))
            for each in found
        ]

    rows = _rows(root, runs, count, workers if parallel else 1)
    return {
        "total_picks": sum(row[4] for row in rows),
        "total_pick_files": len(rows),
        "distribution_by_run": _counts((row[0], row[4]) for row in rows),
        "distribution_by_user": _counts((row[1], row[4]) for row in rows),
        "distribution_by_session": _counts((row[2], row[4]) for row in rows),
        "distribution_by_object": _counts((row[3], row[4]) for row in rows),
    }


def meshes_stats(
    root: Root,
    runs: Runs = None,
    user_id: _Names = None,
    session_id: _Names = None,
    object_name: _Names = None,
    parallel: bool = False,
    workers: int = 8,
    show_progress: bool = True,
) -> dict[str, Any]:
    """``total_meshes`` and how they are distributed."""

    def count(run: CopickRun) -> list[tuple[str, str, str]]:
        found = run.get_meshes(object_name, user_id, session_id)
        return [(each.user_id, each.session_id, each.pickable_object_name) for each in found]

    rows = _rows(root, runs, count, workers if parallel else 1)
    return {
        "total_meshes": len(rows),
        "distribution_by_user": _counts((row[0], 1) for row in rows),
        "distribution_by_session": _counts((row[1], 1) for row in rows),
        "distribution_by_object": _counts((row[2], 1) for row in rows),
        "session_user_object_combinations": _counts((f"{row[1]}_{row[0]}_{row[2]}", 1) for row in rows),
    }


def segmentations_stats(
    root: Root,
    runs: Runs = None,
    user_id: _Names = None,
    session_id: _Names = None,
    is_multilabel: bool | None = None,
    name: _Names = None,
    voxel_size: float | Collection[float] | None = None,
    parallel: bool = False,
    workers: int = 8,
    show_progress: bool = True,
    is_instance: bool | None = False,
    is_panoptic: bool | None = False,
) -> dict[str, Any]:
    """``total_segmentations`` and how they are distributed. Flags that are None take both.

    Binary and multilabel ones unless the flags say otherwise.
    """

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

    rows = _rows(root, runs, count, workers if parallel else 1)
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
