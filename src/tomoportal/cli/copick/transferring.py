"""``tomoportal copick cp`` and ``mv``, which differ in whether the source stays."""

from __future__ import annotations

import click

from tomoportal.cli.copick.bundles import Work, work_options

__all__ = ["transfer_command"]

_TYPES = click.Choice(["picks", "filaments", "mesh", "segmentation"])


def transfer_command(name: str, verb: str, *, move: bool) -> click.Command:
    """The command ``name``."""

    @click.argument("object_type", type=_TYPES)
    @click.argument("source_uri")
    @click.argument("target_uri")
    @click.option("-r", "--run", "run_name", metavar="NAME", help="Only in this run.")
    @click.option("--overwrite/--no-overwrite", default=False, help="Replace what is there already.")
    @work_options("--workers", "-w", default=8)
    def run(
        object_type: str, source_uri: str, target_uri: str, run_name: str | None, overwrite: bool, work: Work
    ) -> int:
        from tomoportal.copick.transfers.by_uri import plan_transfer

        tasks = plan_transfer(
            work.project(),
            object_type,  # type: ignore[arg-type]
            source_uri,
            target_uri,
            move=move,
            run_name=run_name,
            overwrite=overwrite,
        )
        return work.perform(tasks, name)

    text = f"""{verb} picks, meshes, filaments or segmentations to other names, run by run.

    A source that is a pattern takes a target with placeholders: '*:ada/*' '{{object_name}}:ada/{{session_id}}-checked'.
    """
    return click.command(name=name, help=text)(run)
