"""``tomoportal copick diff``: how two lists of picks, or two segmentations, differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tomoportal.cli.copick.options import config_option, json_option, open_project

if TYPE_CHECKING:
    from tomoportal.copick.picks import PicksDifference
    from tomoportal.copick.segmentation_differences import SegmentationDifference

__all__ = ["command"]


@click.command(name="diff")
@click.argument("uri")
@click.argument("other", required=False)
@click.option("--version", type=int, metavar="N", help="Compare with this previous version instead of OTHER.")
@click.option("-r", "--run", "run_name", metavar="NAME", help="Only this run.")
@click.option(
    "-t",
    "--type",
    "object_type",
    type=click.Choice(["picks", "segmentation"]),
    help="What the URIs name; without it, segmentations if URI has a voxel size (@).",
)
@config_option
@json_option
def command(
    uri: str,
    other: str | None,
    version: int | None,
    run_name: str | None,
    object_type: str | None,
    config: str,
    as_json: bool,
) -> int:
    """Show how picks or segmentations differ from others of the run, or from a previous version of themselves.

    Both URIs name one list, or one segmentation, per run. Of segmentations, voxels that differ are counted: those of
    each label, and the region (z, y, x) that holds them. The exit code is 1 if anything differs.
    """
    from tomoportal.cli.console import print_json, table
    from tomoportal.copick.transfers.by_uri import differences

    if (other is None) == (version is None):
        raise click.UsageError("give exactly one of OTHER and --version")
    theirs: str | int = other if other is not None else version or 0
    kind = object_type or ("segmentation" if "@" in uri else "picks")
    found = differences(open_project(config), kind, uri, theirs, run_name)
    rows = [{"run": run, **_told(each)} for run, each in found.items()]
    if as_json:
        print_json(rows)
    else:
        table([name.replace("_", " ") for name in rows[0]], [[_shown(value) for value in row.values()] for row in rows])
    return 1 if any(value for row in rows for name, value in row.items() if name != "run") else 0


def _told(difference: PicksDifference | SegmentationDifference) -> dict[str, Any]:
    from tomoportal.copick.picks import PicksDifference

    if isinstance(difference, PicksDifference):
        counts = len(difference.removed), len(difference.added), difference.changed
        return dict(zip(("only_here", "only_there", "changed"), counts, strict=True))
    box = None if difference.box is None else [[part.start, part.stop] for part in difference.box]
    return {"voxels": difference.voxels, "only_here": difference.removed, "only_there": difference.added, "box": box}


def _shown(value: Any) -> Any:
    """Counts by label, and a region, in one cell."""
    if isinstance(value, dict):
        return ", ".join(f"{label}: {count}" for label, count in value.items())
    if isinstance(value, list):
        return ", ".join(f"{start}–{stop}" for start, stop in value)
    return "" if value is None else value
