"""``tomoportal copick browse``: a project as a tree, in the terminal."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import click

from tomoportal.cli.copick.options import debug_option, json_option, open_project

__all__ = ["command"]


@click.command(name="browse")
@click.option("-c", "--config", envvar="COPICK_CONFIG", metavar="FILE", help="The project's config.")
@click.option("-ds", "--dataset-ids", multiple=True, type=int, metavar="ID", help="Datasets of the public portal.")
@click.option("--depth", type=click.IntRange(min=1), default=2, show_default=True, help="Levels of text or JSON.")
@click.option("--text", is_flag=True, help="Print the tree; so it is where there is no terminal.")
@debug_option
@json_option
def command(config: str | None, dataset_ids: tuple[int, ...], depth: int, text: bool, as_json: bool) -> int:
    """Show a project as a tree with a panel of details. Arrow keys open and close, / filters, q ends.

    Without a terminal, with --text or --json, the tree is printed.
    """
    from tomoportal.cli.console import print_json
    from tomoportal.copick.overviews.browsing import project_tree

    if bool(config and not dataset_ids) == bool(dataset_ids):
        raise click.UsageError("name a project: -c/--config FILE (or COPICK_CONFIG), or -ds/--dataset-ids ID")
    with ExitStack() as stack:
        if dataset_ids:
            import tempfile

            from tomoportal.copick.portal.opening import from_czcdp_datasets

            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tomoportal-"))
            tree = project_tree(from_czcdp_datasets(dataset_ids, f"local://{folder}"))
        else:
            tree = project_tree(open_project(config or ""))
        if as_json:
            print_json(tree.to_json(depth))
        elif text or not (sys.stdin.isatty() and sys.stdout.isatty()):
            click.echo("\n".join([tree.label, *tree.lines(depth)]))
        else:
            from tomoportal.cli.copick.tree_view import show

            show(tree)
    return 0
