"""What the commands for lists of many tomograms, told apart by numbers, have in common."""

from __future__ import annotations

from collections.abc import Mapping

from tomoportal.cli.copick.adding.options import Target
from tomoportal.cli.copick.bundles import Work

__all__ = ["add_numbered"]


def add_numbered(
    path: str,
    file_type: str,
    object_name: str,
    voxel_size: float,
    numbers: Mapping[int, str],
    target: Target,
    work: Work,
    *,
    tomogram_row: int = 4,
) -> int:
    """Add the picks of each tomogram to the run that ``numbers`` name; returns the exit code."""
    from tomoportal.copick.exchange.importing import plan_picks_of_many_runs
    from tomoportal.copick.particles.files import ReadOptions

    tasks = plan_picks_of_many_runs(
        work.project(),
        path,
        target.picks(object_name),
        file_type=file_type,
        options=ReadOptions(voxel_size, tomogram_row=tomogram_row),
        index_map=numbers,
    )
    return work.perform(tasks, "picks")
