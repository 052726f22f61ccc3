"""What ``importlib.metadata`` knows of the PyPI package when only ours is installed: name and version."""

from __future__ import annotations

import os
from importlib.metadata import Distribution
from pathlib import Path

from tomoportal.copick.drop_in.names import API_VERSION

__all__ = ["StandIn"]


class StandIn(Distribution):
    """The answer to plug-ins that ask for the version of ``copick`` before they use a newer name of it."""

    def read_text(self, filename: str) -> str | None:
        """The metadata; other files there are not."""
        if filename not in ("METADATA", "PKG-INFO"):
            return None
        return f"Metadata-Version: 2.1\nName: copick\nVersion: {API_VERSION}\nSummary: Its names, from tomoportal.\n"

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        """Where a file of the package would be."""
        return Path(__file__).parent / path
