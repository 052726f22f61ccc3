"""``tomoportal copick stats``: counts, as tables, JSON or figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tomoportal.cli.copick.options import chosen_runs, config_option, open_project, run_names_option, say

__all__ = ["command"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group(name="stats", help="Count picks, meshes and segmentations; as tables, JSON or figures.")
def command() -> None:
    """The group; its help is the line of the overview."""


def _options(function: _Command) -> _Command:
    for decorator in reversed(
        [
            run_names_option,
            click.option("--runs", "former_runs", multiple=True, hidden=True),
            click.option("--user-id", multiple=True, metavar="NAME", help="Only this user; may be repeated."),
            click.option("--session-id", multiple=True, metavar="NAME", help="Only this session; may be repeated."),
            click.option("--parallel/--no-parallel", default=True, show_default=True, help="Several runs at a time."),
            click.option("--workers", type=click.IntRange(min=1), default=8, show_default=True, help="How many."),
            click.option(
                "--output", type=click.Choice(["json", "table"]), default="table", show_default=True, help="Form."
            ),
            click.option("--json", "as_json", is_flag=True, help="The same as --output json."),
            click.option(
                "--plot", type=click.Path(dir_okay=False), metavar="FILE", help="Also a figure: .svg or .png."
            ),
            config_option,
        ]
    ):
        function = decorator(function)
    return function


def _documents(kind: str, groups: str) -> None:
    """The command for picks or meshes, whose counts are functions of one form."""

    def count(config: str, run_names: tuple[str, ...], object_name: tuple[str, ...], **given: Any) -> int:
        from tomoportal.cli.console import waiting
        from tomoportal.copick.operations import statistics

        counted: Callable[..., dict[str, Any]] = getattr(statistics, f"{kind}_stats")
        runs, root = _runs(run_names, given), open_project(config)
        for name in object_name:
            if root.get_object(name) is None:
                known = ", ".join(each.name for each in root.pickable_objects)
                say(f"warning: the project has no object {name}, only {known}")
        with waiting("counting"):
            found = counted(root, runs, *_who(given), object_name or None, **_workers(given))
        return _show(found, given, kind.capitalize())

    of_object = click.option("--object-name", multiple=True, metavar="NAME", help="Only this object; may be repeated.")
    command.command(name=kind, help=f"Count {kind}, by {groups}.")(_options(of_object(count)))


_documents("picks", "run, user, session and object")
_documents("meshes", "user, session and object")


@command.command(name="segmentations")
@_options
@click.option("--name", multiple=True, metavar="NAME", help="Only this name; may be repeated.")
@click.option("--voxel-size", multiple=True, type=float, metavar="Å", help="Only this size; may be repeated.")
@click.option("--multilabel/--no-multilabel", default=None, help="Only, or no, multilabel ones.")
@click.option(
    "--segmentation-type",
    type=click.Choice(["binary", "multilabel", "instance", "panoptic", "all"]),
    help="Only this type [default: all].",
)
def segmentations(
    config: str,
    run_names: tuple[str, ...],
    name: tuple[str, ...],
    voxel_size: tuple[float, ...],
    multilabel: bool | None,
    segmentation_type: str | None,
    **given: Any,
) -> int:
    """Count segmentations, by user, session, name, voxel size and type."""
    from tomoportal.copick.operations.statistics import segmentations_stats

    kind = None if segmentation_type in (None, "all") else segmentation_type
    found = segmentations_stats(
        open_project(config),
        _runs(run_names, given),
        *_who(given),
        multilabel if kind is None else kind == "multilabel",
        name or None,
        voxel_size or None,
        is_instance=None if kind is None else kind == "instance",
        is_panoptic=None if kind is None else kind == "panoptic",
        **_workers(given),
    )
    return _show(found, given, "Segmentations")


def _runs(names: tuple[str, ...], given: dict[str, Any]) -> list[str] | None:
    """The runs of -r, and of --runs, which is the option's former name."""
    if given["former_runs"]:
        say("warning: --runs will go; write -r once per run")
    return chosen_runs((*names, *given["former_runs"]))


def _who(given: dict[str, Any]) -> tuple[Any, Any]:
    """Users and sessions; an option that is not given means all."""
    return given["user_id"] or None, given["session_id"] or None


def _workers(given: dict[str, Any]) -> dict[str, Any]:
    return {"parallel": given["parallel"], "workers": given["workers"]}


def _show(found: dict[str, Any], given: dict[str, Any], title: str) -> int:
    from tomoportal.cli.console import print_json, table

    if given["plot"]:
        _plot(found, given["plot"], title)
    if given["as_json"] or given["output"] == "json":
        print_json(found)
        return 0
    for name, value in found.items():
        if isinstance(value, dict):
            if not value:
                continue
            rows = [(key, count) for key, count in value.items()]
            table([name.removeprefix("distribution_by_").replace("_", " "), "count"], rows)
        else:
            click.echo(f"{name.replace('_', ' ')}: {value}")
    return 0


def _plot(found: dict[str, Any], path: str, title: str) -> None:
    from pathlib import Path

    from tomoportal.formats.bar_charts import Chart, chart_png, chart_svg
    from tomoportal.storage import open_store

    prefix = "distribution_by_"
    charts = [
        Chart(f"{title} by {name.removeprefix(prefix).replace('_', ' ')}", counts)
        for name, counts in found.items()
        if name.startswith(prefix)
    ]
    place = Path(path)
    drawn = {".svg": chart_svg, ".png": chart_png}.get(place.suffix.lower())
    if drawn is None:
        raise click.BadParameter(f"{path} ends neither in .svg nor in .png", param_hint="--plot")
    open_store(place.absolute().parent, create=True).put(place.name, drawn(*charts))
    say(f"{path} written")
