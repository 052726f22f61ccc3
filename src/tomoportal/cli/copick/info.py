"""``tomoportal copick info``: what a project holds, and which plug-ins are installed."""

from __future__ import annotations

import click

from tomoportal.cli.copick.options import json_option, open_project
from tomoportal.cli.reporting import reporting

__all__ = ["command"]


@click.command(name="info")
@click.option("-c", "--config", envvar="COPICK_CONFIG", metavar="FILE", help="Also say what this project holds.")
@json_option
@reporting
def command(config: str | None, as_json: bool) -> int:
    """Say what a project holds, and which plug-ins are installed."""
    from tomoportal import __version__
    from tomoportal.cli.console import print_json, waiting
    from tomoportal.cli.copick.plugins.loading import PLUGIN_GROUPS, plugin_points

    plugins = [
        {
            "group": "" if group == "main" else group,
            "command": point.name,
            "package": f"{point.dist.name} {point.dist.version}" if point.dist is not None else "",
        }
        for group in PLUGIN_GROUPS
        for point in sorted(plugin_points(group), key=lambda point: point.name)
    ]
    with waiting("looking at the project"):
        project = _project(config) if config else None
    if as_json:
        print_json({"version": __version__, "project": project, "plugins": plugins})
        return 0
    click.echo(f"tomoportal {__version__}")
    for name, value in (project or {}).items():
        click.echo(f"{name:<15} {value}")
    click.echo(f"{'plug-ins':<15} {len(plugins) or 'none'}")
    for each in plugins:
        click.echo(f"  {each['group'] + ' ' + each['command']:<32} {each['package']}".rstrip())
    return 0


def _project(config: str) -> dict[str, object]:
    root = open_project(config)
    return {
        "config": config,
        "name": root.config.name,
        "type": getattr(root.config, "config_type", ""),
        "overlay": root.root_overlay,
        "objects": len(root.pickable_objects),
        "runs": len(root.runs),
        "picks": len(root.picks()),
        "meshes": len(root.meshes()),
        "segmentations": len(root.segmentations(is_instance=None, is_panoptic=None)),
        "filaments": len(root.filaments()),
        "tomograms": len(root.tomograms()),
    }
