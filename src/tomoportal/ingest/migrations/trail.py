"""Where the values of a migrated config stand in its file, and what the migration cannot decide."""

from __future__ import annotations

from typing import Any

from tomoportal.errors import Problem
from tomoportal.ingest.lines import Path, PlacedYaml

__all__ = ["Trail"]


class Trail:
    """A copy of a config's data that steps may change, and the line of each of its mappings, lists and values.

    Mappings and lists are known by identity: one that is moved keeps its lines. `follow` tells where new ones and
    moved single values come from.
    """

    def __init__(self, yaml: PlacedYaml) -> None:
        self._yaml = yaml
        self._lines: dict[tuple[int, Any], int] = {}
        self._kept: list[Any] = []  # what is dropped by a step lives on, so that its identity is not given again
        self.problems: list[Problem] = []
        self.origins: dict[int, Path] = {}
        """Identity of each mapping and list that the file has → its path there."""
        self.data = self._copy(yaml.data, ())

    def follow(self, container: Any, old: Any, key: Any = None) -> Any:
        """``container`` (or, if it is a tuple of container and key, that value) stands where ``old[key]`` stood."""
        line = self._lines.get((id(old), key)) or self._lines.get((id(old), None))
        new, new_key = container if isinstance(container, tuple) else (container, None)
        self._kept += [new, old]
        if line is not None:
            self._lines.setdefault((id(new), new_key), line)
        return container

    def refuse(self, container: Any, what: str, fix: str) -> None:
        """Note what a step cannot decide."""
        line = self._lines.get((id(container), None), 1)
        self.problems.append(Problem(f"{self._yaml.name}:{line}", what, fix))

    def lines(self) -> dict[Path, int]:
        """The line of every value of the data as they are now."""
        found: dict[Path, int] = {}
        self._collect(self.data, (), 1, found)
        return found

    def _copy(self, value: Any, path: Path) -> Any:
        if not isinstance(value, dict | list):
            return value
        new: Any = {} if isinstance(value, dict) else []
        self._kept.append(new)
        self.origins[id(new)] = path
        self._lines[id(new), None] = self._yaml.line(path)
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            step = (*path, key if isinstance(key, int) and isinstance(value, list) else str(key))
            copied = self._copy(child, step)
            if isinstance(value, dict):
                self._lines[id(new), key] = self._yaml.line(step)
                new[key] = copied
            else:
                if not isinstance(child, dict | list):  # list items move; only what has an identity can be followed
                    self._lines[id(new), key] = self._yaml.line(step)
                new.append(copied)
        return new

    def _collect(self, value: Any, path: Path, line: int, found: dict[Path, int]) -> int:
        line = self._line(value) or line
        found[path] = line
        if isinstance(value, dict):
            for key, child in value.items():
                here = self._lines.get((id(value), key)) or self._line(child) or line
                step = (*path, str(key))
                self._collect(child, step, here, found)
                found[step] = here
        elif isinstance(value, list):
            for index, child in enumerate(value):
                here = self._line(child) or self._lines.get((id(value), index)) or line
                self._collect(child, (*path, index), here, found)
        return line

    def _line(self, value: Any) -> int | None:
        """The line of a mapping or list; of a new one, that of the first thing in it that has one."""
        if not isinstance(value, dict | list):
            return None
        own = self._lines.get((id(value), None))
        if own is not None:
            return own
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            line = self._lines.get((id(value), key)) or self._line(child)
            if line is not None:
                return line
        return None
