"""``tomoportal copick config``: projects as Croissant manifests, read, written, joined and divided into splits."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import click

from tomoportal.cli.copick.options import debug_option, dry_run_option, json_option, refuse_existing, show_config
from tomoportal.cli.copick.sync import listed, mapped, source_project

__all__ = ["append_croissant", "export_croissant", "json_object", "mlcroissant", "set_splits"]

_URIS = ("tomograms", "features", "picks", "meshes", "segmentations")
_KINDS = ("picks", "segmentations", "tomograms")


def json_object(text: str | None, option: str) -> dict[str, Any]:
    """A JSON object given on the command line."""
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no JSON: {error}", param_hint=option) from error
    if not isinstance(found, dict):
        raise click.BadParameter(f"{text!r} is no JSON object", param_hint=option)
    return found


def _overlay(text: str | None, arguments: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The overlay's address with what local folders need; these are made."""
    if not text:
        return None, {}
    scheme, separator, folder = text.rpartition("://")
    if separator and scheme not in ("local", "file"):
        return text, arguments
    Path(folder).mkdir(parents=True, exist_ok=True)
    return text if separator else f"local://{os.path.abspath(folder)}", {"auto_mkdir": True, **arguments}


def _splits(given: tuple[str, ...], file: str | None) -> dict[str, list[str]]:
    """Runs by split, of ``train=TS_001,TS_002`` and of a table with the columns split and run."""
    found: dict[str, list[str]] = {}
    for text in given:
        split, equals, runs = text.partition("=")
        if not (split.strip() and equals):
            raise click.BadParameter(f"{text!r} is not SPLIT=RUN,RUN", param_hint="--split")
        found.setdefault(split.strip(), []).extend(listed(runs) or [])
    if file:
        with Path(file).open(encoding="utf-8-sig", newline="") as table:
            reader = csv.DictReader(table)
            if not {"split", "run"} <= set(reader.fieldnames or ()):
                raise click.BadParameter(f"{file} has no columns split and run", param_hint="--splits-file")
            for row in reader:
                found.setdefault(row["split"].strip(), []).append(row["run"].strip())
    return found


def _filters(function: Any) -> Any:
    """What goes into a manifest, and under which names."""
    options = [
        click.option("--runs", metavar="A,B", help="Only these runs."),
        *(
            click.option(f"--{kind}", multiple=True, metavar="URI", help="Only these; may be repeated.")
            for kind in _URIS
        ),
        click.option("--objects", metavar="A,B", help="Only these objects."),
        click.option("--tomo-type-map", metavar="A:X,B:Y", help="Other names of tomogram types."),
        click.option("--object-name-map", metavar="A:X,B:Y", help="Other names of objects."),
        click.option("--session-id-template", metavar="TEXT", help="Portal sources: how sessions are called."),
        *(click.option(f"--{kind}-portal-meta", metavar="K=V,…", help="Portal sources only.") for kind in _KINDS),
        *(click.option(f"--{kind}-author", metavar="A,B", help="Portal sources only.") for kind in _KINDS),
        click.option("--split", multiple=True, metavar="NAME=A,B", help="Runs of a split; may be repeated."),
        click.option("--splits-file", type=click.Path(exists=True, dir_okay=False), help="Columns split and run."),
        click.option("--no-file-sha256", is_flag=True, help="Do not read documents for their digests."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _selected(given: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of the filters."""
    found: dict[str, Any] = {kind: list(given[kind]) or None for kind in _URIS}
    for name in ("runs", "objects", *(f"{kind}_author" for kind in _KINDS)):
        found[name] = listed(given[name])
    for name in ("tomo_type_map", "object_name_map"):
        found[name] = mapped(given[name]) or None
    for kind in _KINDS:
        pairs = [pair.partition("=") for pair in listed(given[f"{kind}_portal_meta"]) or ()]
        if not all(equals for _, equals, _ in pairs):
            raise click.BadParameter("write K=V,K=V", param_hint=f"--{kind}-portal-meta")
        found[f"{kind}_portal_meta"] = {key.strip(): value.strip() for key, _, value in pairs} or None
    return {
        **found,
        "session_id_template": given["session_id_template"],
        "splits": _splits(given["split"], given["splits_file"]) or None,
        "compute_file_sha256": not given["no_file_sha256"],
    }


@click.command(name="mlcroissant")
@click.option("--croissant-url", required=True, metavar="URL", help="Path or address of a metadata.json.")
@click.option("--overlay", metavar="URL", help="Where changes go [default: into the manifest's own place].")
@click.option("--overlay-fs-args", metavar="JSON", help="Arguments of the overlay's file system.")
@click.option("--static-fs-args", metavar="JSON", help="Arguments of the data's file system.")
@click.option("--croissant-fs-args", metavar="JSON", help="Arguments of the manifest's file system.")
@click.option("--base-url", metavar="URL", help="Instead of the one that the manifest states.")
@click.option("--output", default="config.json", show_default=True, metavar="FILE", help="File to write.")
@click.option("--force", is_flag=True, help="Replace a config that is there already.")
@dry_run_option
@json_option
@debug_option
def mlcroissant(
    croissant_url: str,
    overlay: str | None,
    overlay_fs_args: str | None,
    static_fs_args: str | None,
    croissant_fs_args: str | None,
    base_url: str | None,
    output: str,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Write the config of a project that a Croissant manifest describes."""
    from tomoportal.copick.opening import from_croissant

    refuse_existing(output, "--output", force=force)
    given = json_object(overlay_fs_args, "--overlay-fs-args")
    place, arguments = (None, given) if dry_run else _overlay(overlay, given)  # an overlay is made when it is opened
    root = from_croissant(
        croissant_url,
        place,
        base_url,
        arguments,
        json_object(croissant_fs_args, "--croissant-fs-args"),
        json_object(static_fs_args, "--static-fs-args"),
        None if dry_run else output,
    )
    return show_config(root.config, output, dry_run=dry_run, as_json=as_json)


@click.command(name="export-croissant")
@click.option("-c", "--config", envvar="COPICK_CONFIG", metavar="FILE", help="The project's config.")
@click.option("--source-dataset-ids", metavar="IDS", help="Datasets of the public portal instead.")
@click.option("--project-root", required=True, metavar="URL", help="The folder that gets Croissant/.")
@click.option("--force", is_flag=True, help="Replace a manifest that is there already.")
@click.option("--base-url", metavar="URL", help="Where readers find the project; needed for projects on files.")
@click.option("--dataset-name", metavar="TEXT", help="Its name [default: the project's].")
@click.option("--description", metavar="TEXT", help="About it [default: the project's].")
@click.option("--license", default="CC-BY-4.0", show_default=True, metavar="TEXT", help="Its licence.")
@click.option("--cite-as", metavar="TEXT", help="How it is cited.")
@click.option("--date-published", metavar="DATE", help="When it was published.")
@click.option("--emit-config", metavar="FILE", help="Also write the config of a project on the manifest.")
@click.option("--config-overlay", metavar="URL", help="The overlay of that project.")
@click.option("--config-overlay-fs-args", metavar="JSON", help="Arguments of the overlay's file system.")
@click.option(
    "--config-static-fs-args",
    metavar="JSON",
    help="Arguments of the data's file system [default: overlay_fs_args of a project on files].",
)
@click.option("--config-croissant-fs-args", metavar="JSON", help="Arguments of the manifest's file system.")
@_filters
@dry_run_option
@json_option
@debug_option
def export_croissant(
    config: str | None,
    source_dataset_ids: str | None,
    project_root: str,
    force: bool,
    dry_run: bool,
    as_json: bool,
    base_url: str | None,
    emit_config: str | None,
    config_overlay: str | None,
    config_overlay_fs_args: str | None,
    config_static_fs_args: str | None,
    config_croissant_fs_args: str | None,
    **given: Any,
) -> int:
    """Describe a project, or a part of it, by a Croissant manifest."""
    from tomoportal.copick.config import dump_config
    from tomoportal.copick.croissant.exporting import check_target, manifest_counts
    from tomoportal.copick.croissant.exporting import export_croissant as export
    from tomoportal.copick.opening import croissant_config, write_config

    about = {name: given[name] for name in ("dataset_name", "description", "license", "cite_as", "date_published")}
    with source_project(config, source_dataset_ids) as root:
        if dry_run:
            check_target(root, project_root, base_url=base_url, force=force)
            return _would_write(manifest_counts(root, **_selected(given)), as_json)
        written = export(root, project_root, base_url=base_url, force=force, **about, **_selected(given))
        arguments_of_files = getattr(root.config, "overlay_fs_args", None) if base_url else None
    if emit_config:
        place, arguments = _overlay(config_overlay, json_object(config_overlay_fs_args, "--config-overlay-fs-args"))
        if config_static_fs_args is None:
            static = {key: value for key, value in (arguments_of_files or {}).items() if key != "auto_mkdir"}
        else:
            static = json_object(config_static_fs_args, "--config-static-fs-args")
        manifest = json_object(config_croissant_fs_args, "--config-croissant-fs-args")
        # Not opened: the overlay may be out of reach from here.
        made = croissant_config(written, place, None, arguments, manifest, static)
        write_config(emit_config, dump_config(made))
    _say_written({"manifest": written, **({"config": emit_config} if emit_config else {})}, as_json)
    return 0


def _would_write(counts: dict[str, int], as_json: bool) -> int:
    """How many rows the tables would get."""
    from tomoportal.cli.console import console, print_json, table

    if as_json:
        print_json({"dry_run": True, "rows": counts})
    else:
        table(("table", "rows"), list(counts.items()))
        console().print("nothing was written")
    return 0


def _say_written(files: dict[str, str], as_json: bool) -> None:
    from tomoportal.cli.console import print_json

    if as_json:
        print_json(files)
    else:
        click.echo("\n".join(files.values()))


@click.command(name="append-croissant")
@click.option("--croissant", required=True, metavar="URL", help="The manifest that grows.")
@click.option("--source-config", metavar="FILE", help="The config of the project whose parts are added.")
@click.option("--source-dataset-ids", metavar="IDS", help="Datasets of the public portal instead.")
@_filters
@dry_run_option
@json_option
@debug_option
def append_croissant(
    croissant: str,
    source_config: str | None,
    source_dataset_ids: str | None,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Add another project, or a part of it, to a Croissant manifest."""
    from tomoportal.copick.croissant.exporting import append_croissant as append
    from tomoportal.copick.croissant.exporting import manifest_counts

    with source_project(source_config, source_dataset_ids) as root:
        if dry_run:
            return _would_write(manifest_counts(root, **_selected(given)), as_json)
        _say_written({"manifest": append(croissant, root, **_selected(given))}, as_json)
    return 0


@click.command(name="set-splits")
@click.option("--croissant", required=True, metavar="URL", help="The manifest.")
@click.option("--split", multiple=True, metavar="NAME=A,B", help="Runs of a split; may be repeated.")
@click.option("--splits-file", type=click.Path(exists=True, dir_okay=False), help="Columns split and run.")
@click.option("--clear-all", is_flag=True, help="First take every run out of its split.")
@click.option("--unassign", metavar="A,B", help="Take these runs out of their splits.")
@dry_run_option
@json_option
@debug_option
def set_splits(
    croissant: str,
    split: tuple[str, ...],
    splits_file: str | None,
    clear_all: bool,
    unassign: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Say which runs of a manifest are for training, validation and testing."""
    from tomoportal.cli.console import console, print_json, table
    from tomoportal.copick.croissant.index import CroissantIndex
    from tomoportal.copick.croissant.splits import planned_splits
    from tomoportal.copick.croissant.splits import set_splits as assign

    wanted, gone = _splits(split, splits_file), listed(unassign)
    if not (wanted or gone or clear_all):
        raise click.UsageError("Nothing to do: give --split, --splits-file, --unassign or --clear-all")
    if not dry_run:
        written = assign(croissant, wanted, clear_existing=clear_all, unassign=gone)
    index = CroissantIndex.from_url(croissant)
    splits: dict[str, str | None] = {run: index.get_split(run) for run in index.runs_by_name}
    if dry_run:
        splits |= planned_splits(index, wanted, clear_existing=clear_all, unassign=gone)
    if as_json:
        print_json({"manifest": croissant, "splits": splits, **({"dry_run": True} if dry_run else {})})
    elif dry_run:
        table(("run", "split"), [(run, found or "") for run, found in splits.items()])
        console().print("nothing was written")
    else:
        click.echo(written)
    return 0
