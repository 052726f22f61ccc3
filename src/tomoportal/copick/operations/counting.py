"""Statistics by functions (``copick.ops.stats``). ``root`` may be the path of a config; ``runs`` names or runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tomoportal.copick.operations.getting import opened
from tomoportal.copick.overviews import statistics

if TYPE_CHECKING:
    from tomoportal.copick.operations.getting import Root, Runs

__all__ = ["meshes_stats", "picks_stats", "segmentations_stats"]

_Names = str | Collection[str] | None


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
    """Counts of points, in total and by run, user, session and object."""
    return statistics.picks_stats(
        opened(root), runs, user_id, session_id, object_name, workers=workers if parallel else 1
    )


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
    """Counts of meshes, in total and by user, session and object."""
    return statistics.meshes_stats(
        opened(root), runs, user_id, session_id, object_name, workers=workers if parallel else 1
    )


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
    """Counts of segmentations; binary and multilabel ones unless the flags say otherwise."""
    return statistics.segmentations_stats(
        opened(root),
        runs,
        user_id,
        session_id,
        is_multilabel,
        name,
        voxel_size,
        is_instance=is_instance,
        is_panoptic=is_panoptic,
        workers=workers if parallel else 1,
    )
