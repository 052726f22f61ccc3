"""How a level of a volume becomes a file: the options of segmentations and tomograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import click

from tomoportal.cli.copick.bundles import bundle

__all__ = ["Levels", "level_options"]


@dataclass(frozen=True)
class Levels:
    """Which levels, and how TIFF pages are compressed."""

    level: int
    copy_all_levels: bool
    compression: Literal["none", "zlib", "lzw", "jpeg"]


level_options = bundle(
    Levels,
    "levels",
    click.option("--level", type=click.IntRange(min=0), default=0, show_default=True, help="0 is the finest."),
    click.option(
        "--copy-all-levels/--level-only", default=True, show_default=True, help="Zarr: all levels, or --level alone."
    ),
    click.option(
        "--compression",
        type=click.Choice(["lzw", "zlib", "jpeg", "none"]),
        default="none",
        show_default=True,
        help="TIFF: how pages are compressed.",
    ),
)
