"""What every page needs to know about the portal that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from tomoportal.catalog import Bases, Catalog, Viewer

__all__ = ["Portal"]


@dataclass(frozen=True)
class Portal:
    """The catalog behind the pages, and how a request's addresses and reader are found."""

    catalog: Catalog
    bases: Callable[[Request], Bases]
    """The bases of addresses that are shown to be copied; links inside pages are relative to the own origin."""
    viewer: Callable[[Request], Viewer]
    """Who is reading: decides what is visible."""
    origin: Callable[[Request], str]
    """Scheme and host under which the reader reaches the portal, without a trailing slash."""
    name: str = "Tomoportal"
