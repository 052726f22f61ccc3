"""``tomoportal copick sync``: one project's content into another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tomoportal.cli.copick.options import (
    debug_option,
    dry_run_option,
    json_option,
    open_project,
    perform_tasks,
    show_planning,
    workers_option,
)

if TYPE_CHECKING:
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.transfers.synchronisation import Sync

__all__ = ["command", "listed", "mapped", "source_project"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group(name="sync", help="Synchronize data between Copick projects: picks, meshes, volumes.")
def command() -> None:
    """The group; its help is the line of the overview."""


def _options(function: _Command) -> _Command:
    """The options that every kind has."""
    for decorator in reversed(
        [
            click.option("-c", "--config", envvar="COPICK_CONFIG", metavar="FILE", help="The source's config."),
            click.option("--source-dataset-ids", metavar="IDS", help="Datasets of the public portal, as the source."),
            click.option("--target-config", required=True, metavar="FILE", help="The target's config."),
            click.option("--source-runs", metavar="A,B", help="Only these runs."),
            click.option("--target-runs", metavar="A:X,B:Y", help="Their names in the target."),
            click.option("--exist-ok/--no-exist-ok", default=False, help="Replace what the target has already."),
            workers_option("--max-workers", default=4),
            click.option("--log/--no-log", default=False, expose_value=False, help="Understood; progress is shown."),
            debug_option,
            dry_run_option,
            json_option,
        ]
    ):
        function = decorator(function)
    return function


_users = (
    click.option("--source-users", metavar="A,B", help="Only these users."),
    click.option("--target-users", metavar="A:X", help="Their names in the target."),
)
_spacings = click.option("--voxel-spacings", metavar="10.0,20.0", help="Only these voxel sizes (Å).")


def _with_users(function: _Command) -> _Command:
    for decorator in reversed(_users):
        function = decorator(function)
    return function


@contextmanager
def source_project(config: str | None, dataset_ids: str | None) -> Iterator[CopickRoot]:
    """The source project; one on portal datasets leaves no config and no overlay behind (C105)."""
    if bool(config) == bool(dataset_ids):
        raise click.UsageError("give exactly one of --config (or COPICK_CONFIG) and --source-dataset-ids")
    if config:
        yield open_project(config)
        return
    import tempfile

    from tomoportal.copick.operations.options import parse_dataset_ids
    from tomoportal.copick.portal.opening import from_czcdp_datasets

    with tempfile.TemporaryDirectory(prefix="tomoportal-") as folder:
        yield from_czcdp_datasets(parse_dataset_ids(dataset_ids or ""), f"local://{folder}")


def _sync(
    source: CopickRoot,
    target_config: str,
    given: dict[str, Any],
    names: tuple[str | None, str | None],
    voxel_spacings: str | None = None,
) -> Sync:
    from tomoportal.copick.transfers.synchronisation import Sync
    from tomoportal.errors import SettingsError

    try:
        sizes = [float(each) for each in listed(voxel_spacings) or ()] or None
    except ValueError as error:
        raise SettingsError(f"{voxel_spacings!r} is no list of voxel sizes", where="--voxel-spacings") from error
    show_planning()
    return Sync(
        source,
        open_project(target_config),
        target_config,
        listed(given["source_runs"]),
        mapped(given["target_runs"]),
        listed(names[0]),
        mapped(names[1]),
        listed(given.get("source_users")),
        mapped(given.get("target_users")),
        sizes,
        given["exist_ok"],
    )


def listed(text: str | None) -> list[str] | None:
    """The parts of a list with commas; None for an empty one."""
    return [each.strip() for each in text.split(",") if each.strip()] if text else None


def mapped(text: str | None) -> dict[str, str]:
    """``A:X,B:Y`` as names by names; one without a colon stays as it is."""
    found = {}
    for each in listed(text) or ():
        old, colon, new = (part.strip() for part in each.partition(":"))
        if not old or (colon and not new):
            raise click.BadParameter(f"{each!r} is not OLD:NEW")
        found[old] = new or old
    return found


def _documents(kind: str) -> Callable[..., int]:
    def run(
        config: str | None,
        source_dataset_ids: str | None,
        target_config: str,
        source_objects: str | None,
        target_objects: str | None,
        workers: int,
        dry_run: bool,
        as_json: bool,
        **given: Any,
    ) -> int:
        from tomoportal.copick.transfers.synchronisation import plan_documents_sync

        with source_project(config, source_dataset_ids) as source:
            tasks = plan_documents_sync(_sync(source, target_config, given, (source_objects, target_objects)), kind)
            return perform_tasks(tasks, f"sync {kind}", workers=workers, dry_run=dry_run, as_json=as_json)

    run.__doc__ = f"Synchronize {kind} between two Copick projects: copy them; objects that are missing are made."
    return run


for _kind in ("picks", "meshes"):
    command.command(name=_kind)(
        _options(
            click.option("--source-objects", metavar="A,B", help="Only these objects.")(
                click.option("--target-objects", metavar="A:X", help="Their names in the target.")(
                    _with_users(_documents(_kind))
                )
            )
        )
    )


@command.command(name="segmentations")
@_options
@_spacings
@click.option("--source-names", metavar="A,B", help="Only these names.")
@click.option("--target-names", metavar="A:X", help="Their names in the target.")
@_with_users
@click.option(
    "--segmentation-type",
    type=click.Choice(["binary", "multilabel", "instance", "panoptic", "all"]),
    help="[default: binary and multilabel]",
)
def segmentations(
    config: str | None,
    source_dataset_ids: str | None,
    target_config: str,
    voxel_spacings: str | None,
    source_names: str | None,
    target_names: str | None,
    segmentation_type: str | None,
    workers: int,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Synchronize segmentations between two Copick projects; labels become those of the target's objects."""
    from tomoportal.copick.names import SEGMENTATION_TYPES
    from tomoportal.copick.transfers.synchronisation import plan_segmentations_sync

    kinds: tuple[str, ...] = ("binary", "multilabel")
    if segmentation_type is not None:
        kinds = SEGMENTATION_TYPES if segmentation_type == "all" else (segmentation_type,)
    with source_project(config, source_dataset_ids) as source:
        sync = _sync(source, target_config, given, (source_names, target_names), voxel_spacings)
        tasks = plan_segmentations_sync(sync, kinds)
        return perform_tasks(tasks, "sync segmentations", workers=workers, dry_run=dry_run, as_json=as_json)


@command.command(name="tomograms")
@_options
@_spacings
@click.option("--source-tomo-types", metavar="A,B", help="Only these types.")
@click.option("--target-tomo-types", metavar="A:X", help="Their names in the target.")
def tomograms(
    config: str | None,
    source_dataset_ids: str | None,
    target_config: str,
    voxel_spacings: str | None,
    source_tomo_types: str | None,
    target_tomo_types: str | None,
    workers: int,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Synchronize tomograms between two Copick projects, with all levels."""
    from tomoportal.copick.transfers.synchronisation import plan_tomograms_sync

    with source_project(config, source_dataset_ids) as source:
        sync = _sync(source, target_config, given, (source_tomo_types, target_tomo_types), voxel_spacings)
        tasks = plan_tomograms_sync(sync)
        return perform_tasks(tasks, "sync tomograms", workers=workers, dry_run=dry_run, as_json=as_json)
