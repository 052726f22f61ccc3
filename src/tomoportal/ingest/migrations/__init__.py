"""Older versions of the ingestion config, brought to the current one step by step; one module per step.

A step changes the data in place and says what it did. The line of every value is followed, so that messages about a
migrated config still lead to the line of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tomoportal.errors import ConfigError, Problem
from tomoportal.ingest.lines import Path, PlacedYaml
from tomoportal.ingest.migrations import to_1_0_0, to_1_1_0, to_1_2_0, to_1_3_0
from tomoportal.ingest.migrations.trail import Trail

__all__ = ["CURRENT_VERSION", "OLDER_VERSIONS", "Migrated", "migrate", "version_of"]

CURRENT_VERSION = "1.3.0"

_STEPS: dict[str, tuple[str, Callable[[dict[str, Any], Trail], list[str]]]] = {
    "0.0.0": ("1.0.0", to_1_0_0.migrate),
    "1.0.0": ("1.1.0", to_1_1_0.migrate),
    "1.1.0": ("1.2.0", to_1_2_0.migrate),
    "1.2.0": ("1.3.0", to_1_3_0.migrate),
}
"""Version → the next one, and what leads there."""

OLDER_VERSIONS = tuple(_STEPS)


@dataclass(frozen=True)
class Migrated:
    """A config of the current version, where it came from, and what was changed."""

    yaml: PlacedYaml
    version: str
    """The version that the file has."""
    changes: tuple[str, ...] = ()
    _origins: dict[int, Path] = field(default_factory=dict)

    def origin(self, value: Any) -> Path | None:
        """Where a mapping or list of the migrated data stands in the file; None for what a step made."""
        return self._origins.get(id(value))


def version_of(data: object) -> str:
    """The version of a config; one that says none is of the oldest form."""
    version = data.get("version") if isinstance(data, dict) else None
    return "0.0.0" if version is None else str(version)


def migrate(yaml: PlacedYaml) -> Migrated:
    """The config in the current version; the input is left as it is. Data of other versions come back unchanged.

    Raises `ConfigError` if a step cannot tell what was meant.
    """
    version = version_of(yaml.data)
    if version not in _STEPS:
        return Migrated(yaml, version)
    trail = Trail(yaml)
    data: dict[str, Any] = trail.data
    changes: list[str] = []
    now = version
    while now in _STEPS:
        now, step = _STEPS[now]
        changes += step(data, trail)
        if trail.problems:
            what = f"cannot be migrated from version {version} to {CURRENT_VERSION}"
            first = Problem(yaml.place(("version",)), what, "see the problems below")
            raise ConfigError([first, *trail.problems], source=yaml.name)
    if "version" not in data:  # first, as in every config of today
        rest = dict(data)
        data.clear()
        data["version"] = now
        data.update(rest)
    data["version"] = now
    return Migrated(PlacedYaml(data, trail.lines(), yaml.problems, yaml.name), version, tuple(changes), trail.origins)
