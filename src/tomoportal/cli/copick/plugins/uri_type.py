"""A parameter that is a copick URI (``copick.cli.types``)."""

from __future__ import annotations

from typing import Any, Literal

import click

__all__ = ["CopickURI"]


class CopickURI(click.ParamType[Any]):
    """Text that stays as it is; the type tells programs that draw forms what may stand there, and as what."""

    name = "COPICK_URI"

    def __init__(self, object_type: str, role: Literal["input", "output", "reference"] = "input") -> None:
        self.object_type = object_type
        self.role = role

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value as text."""
        return None if value is None else str(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "URI"

    def __repr__(self) -> str:
        return f"CopickURI({self.object_type!r}, {self.role!r})"
