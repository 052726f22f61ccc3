"""Options that several commands of ``add`` have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from tomoportal.cli.copick.bundles import bundle

if TYPE_CHECKING:
    from tomoportal.copick.exchange.importing import PicksTarget
    from tomoportal.copick.exchange.importing_volumes import Pyramid, VolumeOptions

__all__ = [
    "Files",
    "Pyramids",
    "Target",
    "Volumes",
    "file_options",
    "path_argument",
    "pyramid_options",
    "target_options",
    "volume_options",
]


def _one_path(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> str:
    """The one argument; several are those that a shell made of a pattern."""
    if len(given) > 1:
        raise click.BadParameter(
            f"{len(given)} paths were given, the second is {given[1]}; a pattern belongs in quotes: 'raw/*.mrc'",
            context,
            parameter,
        )
    return given[0]


path_argument = click.argument("path", nargs=-1, required=True, metavar="PATH", callback=_one_path)
"""A file, or a pattern of files."""


@dataclass(frozen=True)
class Files:
    """Which files, and how their names give runs."""

    path: str
    run: str
    run_regex: str
    run_name_prefix: str

    def naming(self) -> dict[str, str]:
        return {"run": self.run, "run_regex": self.run_regex, "run_name_prefix": self.run_name_prefix}


file_options = bundle(
    Files,
    "files",
    path_argument,
    click.option("--run", default="", metavar="NAME", help="The run [default: from the file's name]."),
    click.option(
        "--run-regex",
        default="(.*)",
        show_default=True,
        metavar="REGEX",
        help="Its first group is the run; of the file's name or, if that does not match, of its folders'.",
    ),
    click.option("--run-name-prefix", default="", metavar="TEXT", help="Put before the run's name."),
)


@dataclass(frozen=True)
class Target:
    """Whose annotations they become, and what may be replaced and made for them."""

    user_id: str
    session_id: str
    overwrite: bool
    create: bool

    def picks(self, object_name: str) -> PicksTarget:
        from tomoportal.copick.exchange.importing import PicksTarget

        return PicksTarget(object_name, self.user_id, self.session_id, self.overwrite, self.create)


_overwrite = click.option("--overwrite/--no-overwrite", default=False, help="Replace what is there already.")
_create = click.option("--create/--no-create", default=True, show_default=True, help="Make runs that are not there.")
target_options = bundle(
    Target,
    "target",
    click.option("--user-id", default="copick", show_default=True, metavar="NAME", help="The user or tool."),
    click.option("--session-id", default="1", show_default=True, metavar="NAME", help="The session."),
    _overwrite,
    _create,
)


@dataclass(frozen=True)
class Volumes:
    """How volumes are read."""

    file_type: str | None
    voxel_size: float | None
    transpose: str | None
    flip: str | None

    def options(self, target: Target | Pyramids) -> VolumeOptions:
        from tomoportal.copick.exchange.importing_volumes import VolumeOptions

        return VolumeOptions(
            self.file_type, self.voxel_size, self.transpose, self.flip, target.overwrite, target.create
        )


volume_options = bundle(
    Volumes,
    "volumes",
    click.option(
        "--file-type", type=click.Choice(["mrc", "zarr", "tiff", "em"]), help="[default: by what the file holds]"
    ),
    click.option("--voxel-size", type=float, metavar="Å", help="Instead of the one in the header."),
    click.option("--transpose", metavar="AXES", help="Order of axes, such as 2,1,0."),
    click.option("--flip", metavar="AXES", help="Axes to reverse, such as 0,2."),
)


@dataclass(frozen=True)
class Pyramids:
    """How tomograms are stored."""

    tomo_type: str
    chunk_size: str
    pyramid_levels: int
    create_pyramid: bool
    overwrite: bool
    create: bool

    def made(self) -> Pyramid:
        from tomoportal.copick.exchange.importing_volumes import Pyramid

        return Pyramid(self.pyramid_levels if self.create_pyramid else 1, _chunk_shape(self.chunk_size))


pyramid_options = bundle(
    Pyramids,
    "pyramids",
    click.option("--tomo-type", default="wbp", show_default=True, metavar="NAME", help="How it was reconstructed."),
    click.option("--chunk-size", default="128,128,128", show_default=True, metavar="Z,Y,X", help="Voxels in a chunk."),
    click.option("--pyramid-levels", type=click.IntRange(min=1), default=3, show_default=True, help="Levels."),
    click.option("--create-pyramid/--no-create-pyramid", default=True, show_default=True, help="Make coarser levels."),
    _overwrite,
    _create,
)


def _chunk_shape(text: str) -> tuple[int, int, int]:
    """``"128,128,128"``, or one number for all axes."""
    words: list[Any] = text.split(",")
    try:
        z, y, x = (int(word) for word in (words * 3 if len(words) == 1 else words))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not Z,Y,X", param_hint="--chunk-size") from None
    return z, y, x
