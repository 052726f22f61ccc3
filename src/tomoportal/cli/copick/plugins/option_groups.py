"""Options that commands of plug-ins share, as decorators (``copick.cli.util``), and what follows from their values."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

__all__ = [
    "add_config_option",
    "add_create_overwrite_options",
    "add_debug_option",
    "add_deprecated_run_alias",
    "add_export_common_options",
    "add_max_workers_option",
    "add_pyramid_create_options",
    "add_pyramid_export_options",
    "add_run_names_option",
    "add_run_options",
    "add_user_session_options",
    "add_volume_transform_options",
    "resolve_deprecated_option",
    "resolve_run_names",
    "resolve_tomogram_uri",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Decorator = Callable[[_Command], _Command]
_CHUNKS: Final = "128,128,128"  # C67


def _with(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    def decorate(func: _Command) -> _Command:
        for option in options:
            func = option(func)
        return func

    return decorate


def _switch(name: str, default: bool, what: str) -> Callable[[_Command], _Command]:
    return click.option(f"--{name}/--no-{name}", default=default, show_default=True, help=what)


def _text(name: str, default: str | None, what: str) -> Callable[[_Command], _Command]:
    return click.option(f"--{name}", type=str, default=default, show_default=True, help=what)


def add_config_option(func: _Command) -> _Command:
    """``-c/--config``, or the environment's ``COPICK_CONFIG``."""
    return _with(
        click.option(
            "-c",
            "--config",
            type=click.Path(exists=True),
            metavar="PATH",
            envvar="COPICK_CONFIG",
            show_envvar=True,
            help="Config of the project.",
        )
    )(func)


def add_debug_option(func: _Command) -> _Command:
    """``--debug``."""
    return _with(_switch("debug", False, "Log everything."))(func)


def add_run_names_option(func: _Command) -> _Command:
    """``-r/--run-names``, repeatable; its values go through :func:`resolve_run_names`."""
    return _with(
        click.option("--run-names", "-r", multiple=True, help="Only this run (default: all runs); may be repeated.")
    )(func)


def add_deprecated_run_alias(*flags: str) -> Callable[[_Command], _Command]:
    """A hidden older name of ``--run-names``, whose values are ``legacy_run_names``."""
    return click.option(*flags, "legacy_run_names", multiple=True, hidden=True, help="Older name of --run-names.")


def add_create_overwrite_options(func: _Command) -> _Command:
    """``--create``, ``--overwrite``."""
    return _with(
        _switch("create", True, "Make what does not exist."), _switch("overwrite", False, "Replace what exists.")
    )(func)


def add_run_options(func: _Command) -> _Command:
    """``--run``, ``--run-regex``, ``--run-name-prefix``: which run a file belongs to."""
    return _with(
        _text("run", "", "The run; by default the file's name without its ending. Ignored for patterns of files."),
        _text("run-regex", "(.*)", "Takes the run's name from the file's: its first group."),
        _text("run-name-prefix", "", "Put before the run's name."),
    )(func)


def add_volume_transform_options(func: _Command) -> _Command:
    """``--transpose``, ``--flip``."""
    return _with(
        _text("transpose", None, "Order of the axes, for instance 2,1,0."),
        _text("flip", None, "Axes to be reversed, for instance 0,2."),
    )(func)


def add_user_session_options(func: _Command) -> _Command:
    """``--user-id``, ``--session-id``."""
    return _with(_text("user-id", "copick", "Who made the annotation."), _text("session-id", "1", "In which session."))(
        func
    )


def add_max_workers_option(func: _Command) -> _Command:
    """``--max-workers``."""
    return _with(click.option("--max-workers", type=int, default=4, show_default=True, help="Runs at a time."))(func)


def add_pyramid_create_options(func: _Command) -> _Command:
    """``--create-pyramid``, ``--pyramid-levels``, ``--chunk-size``."""
    return _with(
        _switch("create-pyramid", True, "Make coarser levels."),
        click.option("--pyramid-levels", type=int, default=3, show_default=True, help="Number of levels."),
        _text("chunk-size", _CHUNKS, "Size of the chunks, z,y,x."),
    )(func)


def add_export_common_options(func: _Command) -> _Command:
    """``--output-dir``."""
    folder = click.Path(file_okay=False, dir_okay=True)
    return _with(
        click.option("--output-dir", required=True, type=folder, metavar="PATH", help="Folder that is written to.")
    )(func)


def add_pyramid_export_options(func: _Command) -> _Command:
    """``--level``, ``--compression``, ``--copy-all-levels``."""
    kinds = click.Choice(["lzw", "zlib", "jpeg", "none"], case_sensitive=False)
    return _with(
        click.option("--level", type=int, default=0, show_default=True, help="Level that is exported (MRC, TIFF)."),
        click.option("--compression", type=kinds, default=None, help="Compression of a TIFF."),
        click.option(
            "--copy-all-levels/--level-only", default=True, show_default=True, help="All levels (Zarr), or one."
        ),
    )(func)


def resolve_run_names(
    run_names: Sequence[str] = (),
    legacy_run_names: Sequence[str] = (),
    *,
    legacy_flag: str | None = None,
    logger: logging.Logger | None = None,
) -> list[str] | None:
    """The runs that were named, None for all; lists with commas and older options are understood, with a warning."""
    values = [*(run_names or ()), *(legacy_run_names or ())]
    if legacy_run_names and logger is not None:
        logger.warning(f"{legacy_flag or 'This option'} is deprecated; use --run-names/-r (repeatable) instead.")
    if any("," in value for value in values if value) and logger is not None:
        logger.warning("Comma-separated run names are deprecated; pass -r/--run-names once per run instead.")
    return [part.strip() for value in values if value for part in value.split(",") if part.strip()] or None


def resolve_deprecated_option(
    primary: Any, legacy: Any, *, old_flag: str, new_flag: str, logger: logging.Logger | None = None
) -> Any:
    """The value of an option, or of its older name if that was given, with a warning."""
    if legacy is None:
        return primary
    if logger is not None:
        logger.warning(f"{old_flag} is deprecated; use {new_flag} instead.")
    return legacy


def resolve_tomogram_uri(
    uri: str | None,
    tomo_alg: str | None,
    voxel_size: float | None,
    *,
    default_vs: float = 10.0,
    logger: logging.Logger | None = None,
) -> str:
    """The URI of a tomogram, made from two older options if it was not given. Raises ``click.UsageError`` for none."""
    if uri:
        return uri
    if tomo_alg is None:
        raise click.UsageError("Provide the input tomogram via -i/--input <tomo_type>@<voxel_spacing>.")
    if logger is not None:
        logger.warning("--tomo-alg/--voxel-size are deprecated; use -i/--input <tomo_type>@<voxel_spacing> instead.")
    return f"{tomo_alg}@{default_vs if voxel_size is None else voxel_size}"
