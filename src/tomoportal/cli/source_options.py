"""The option of every command that reads raw files: what may be read besides the source folder itself."""

from __future__ import annotations

import click

__all__ = ["follow_links_option"]

follow_links_option = click.option(
    "--follow-links",
    is_flag=True,
    help="Read what symbolic links of the source folder name elsewhere; only for folders that you trust.",
)
