"""``tomoportal copick config``: write the config of a project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from tomoportal.cli.copick import croissant
from tomoportal.cli.copick.options import debug_option, dry_run_option, json_option, refuse_existing, show_config

__all__ = ["command", "parse_object"]


@click.group(name="config", help="Write the config of a new project.")
def command() -> None:
    """The group; its help is the line of the overview."""


_Object = tuple[str, bool, float | None, str | None]


def parse_object(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> list[_Object]:
    """``NAME,IS_PARTICLE[,RADIUS[,PDB]]`` of each object as a tuple; what is not given is None."""
    from tomoportal.copick.names import is_clean, sanitize_name

    found: list[_Object] = []
    for text in value:
        name, *rest = (part.strip() for part in text.split(","))
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if not rest or rest[0].lower() not in words or len(rest) > 3:
            raise click.BadParameter(f"{text!r} is not NAME,IS_PARTICLE[,RADIUS[,PDB]]", ctx, param)
        radius, pdb_id = [*rest[1:], "", ""][:2]
        try:
            number = float(radius) if radius else None
        except ValueError:
            raise click.BadParameter(f"the radius {radius!r} is not a number", ctx, param) from None
        if number is not None and not number > 0:
            raise click.BadParameter(f"the radius {radius!r} is no positive length in Å", ctx, param)
        if not is_clean(name):
            raise click.BadParameter(
                f"the name {name!r} may not hold '_', blanks and <>:\"/\\|?*; write {sanitize_name(name, True)}",
                ctx,
                param,
            )
        if any(name == known for known, *_ in found):
            raise click.BadParameter(f"{name} is given twice", ctx, param)
        found.append((name, words[rest[0].lower()], number, pdb_id or None))
    return found


@command.command(name="filesystem")
@click.option("--overlay-root", required=True, metavar="URL", help="Folder or fsspec address that the project lies in.")
@click.option("--overlay-fs-args", metavar="JSON", help="Arguments of its file system: '{\"endpoint_url\": …}'.")
@click.option(
    "--objects",
    multiple=True,
    callback=parse_object,
    metavar="NAME,IS_PARTICLE[,RADIUS[,PDB]]",
    help="An object that can be annotated, radius in Å; may be repeated.",
)
@click.option("--config", "path", default="config.json", show_default=True, metavar="FILE", help="File to write.")
@click.option("--proj-name", default="project", show_default=True, metavar="TEXT", help="Name of the project.")
@click.option(
    "--proj-description", default="Config Project for SessionXXa", show_default=True, metavar="TEXT", help="About it."
)
@click.option("--force", is_flag=True, help="Replace a config that is there already.")
@dry_run_option
@json_option
@debug_option
def filesystem(
    overlay_root: str,
    overlay_fs_args: str | None,
    objects: list[_Object],
    path: str,
    proj_name: str,
    proj_description: str,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Write the config of a project on files: --objects ribosome,True,120,4V9D --objects membrane,False."""
    from tomoportal.copick.opening import filesystem_config, open_project

    keys = ("name", "is_particle", "radius", "pdb_id")
    described = [
        {"label": label, **{key: value for key, value in zip(keys, each, strict=True) if value is not None}}
        for label, each in enumerate(objects, start=1)
    ]
    refuse_existing(path, "--config", force=force)
    arguments = croissant.json_object(overlay_fs_args, "--overlay-fs-args")
    made = filesystem_config(overlay_root, proj_name, proj_description, described, arguments)
    if not dry_run:
        open_project(made).save_config(path)
    return show_config(made, path, dry_run=dry_run, as_json=as_json)


@command.command(name="dataportal")
@click.option(
    "-ds", "--dataset-id", "dataset_ids", multiple=True, required=True, metavar="ID", help="May be repeated: DS-10000."
)
@click.option("--overlay", required=True, metavar="URL", help="Folder or fsspec address where new annotations go.")
@click.option("--output", default="config.json", show_default=True, metavar="FILE", help="File to write.")
@click.option("--force", is_flag=True, help="Replace a config that is there already.")
@dry_run_option
@json_option
@debug_option
@click.pass_context
def dataportal(context: click.Context, /, dataset_ids: tuple[str, ...], **given: Any) -> int:
    """Write the config of a project on datasets of a portal; `tomoportal copick from-portal` has more options."""
    from tomoportal.cli.copick.from_portal import command as from_portal

    code: int = context.invoke(from_portal, datasets=dataset_ids, **given)
    return code


for _each in (croissant.mlcroissant, croissant.export_croissant, croissant.append_croissant, croissant.set_splits):
    command.add_command(_each)
