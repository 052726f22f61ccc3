"""Options that several commands of ``add`` have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tomoportal.cli.copick.options import config_option, dry_run_option, json_option, workers_option

__all__ = ["chunk_shape", "file_options", "id_options", "pyramid_options", "volume_options", "write_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _all(*decorators: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    def apply(function: _Command) -> _Command:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


file_options = _all(
    click.argument("path"),
    click.option("--run", default="", metavar="NAME", help="The run [default: from the file's name]."),
    click.option("--run-regex", default="(.*)", show_default=True, metavar="REGEX", help="Its first group is the run."),
    click.option("--run-name-prefix", default="", metavar="TEXT", help="Put before the run's name."),
)
id_options = _all(
    click.option("--user-id", default="copick", show_default=True, metavar="NAME", help="The user or tool."),
    click.option("--session-id", default="1", show_default=True, metavar="NAME", help="The session."),
)
write_options = _all(
    config_option,
    click.option("--overwrite/--no-overwrite", default=False, help="Replace what is there already."),
    click.option("--create/--no-create", default=True, help="Make runs that are not there."),
    workers_option("--max-workers", default=4),
    dry_run_option,
    json_option,
)
volume_options = _all(
    click.option(
        "--file-type", type=click.Choice(["mrc", "zarr", "tiff", "em"]), help="[default: by what the file holds]"
    ),
    click.option("--voxel-size", type=float, metavar="Å", help="Instead of the one in the header."),
    click.option("--transpose", metavar="AXES", help="Order of axes, such as 2,1,0."),
    click.option("--flip", metavar="AXES", help="Axes to reverse, such as 0,2."),
)
pyramid_options = _all(
    click.option("--chunk-size", default="128,128,128", show_default=True, metavar="Z,Y,X", help="Voxels in a chunk."),
    click.option("--pyramid-levels", type=click.IntRange(min=1), default=3, show_default=True, help="Levels."),
    click.option("--create-pyramid/--no-create-pyramid", default=True, help="Make coarser levels."),
)


def chunk_shape(text: str) -> tuple[int, int, int]:
    """``"128,128,128"``, or one number for all axes."""
    words = text.split(",")
    try:
        z, y, x = (int(word) for word in (words * 3 if len(words) == 1 else words))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not Z,Y,X", param_hint="--chunk-size") from None
    return z, y, x
