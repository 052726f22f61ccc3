"""Ingestion configs: loading, checking, and the place of every value."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from tomoportal import model
from tomoportal.errors import ConfigError, Problem
from tomoportal.ingest.lines import Path, PlacedYaml, load_yaml, parse_path
from tomoportal.ingest.migrations import CURRENT_VERSION, OLDER_VERSIONS, migrate
from tomoportal.ingest.sections import not_ingested
from tomoportal.storage import Store, open_store

__all__ = ["Config", "load_config"]


@dataclass(frozen=True)
class Config:
    """A valid config of the current version. ``data`` is plain data; `place` gives ``file:line`` of any field."""

    name: str
    data: Mapping[str, Any]
    yaml: PlacedYaml
    digest: str
    folder: Store | None = None
    warnings: tuple[Problem, ...] = field(default=())

    @property
    def deposition_id(self) -> int:
        """The deposition that the config describes."""
        return int(self.data["standardization_config"]["deposition_id"])

    @property
    def source_prefix(self) -> str:
        """Folder of the raw files, below the source root."""
        return str(self.data["standardization_config"]["source_prefix"])

    def section(self, name: str) -> list[dict[str, Any]]:
        """The entries of a section; a missing or empty section gives an empty list."""
        return self.data.get(name) or []

    def place(self, path: Path | str) -> str:
        """``file:line (field)`` of a value."""
        return self.yaml.place(path)


def load_config(path: str | os.PathLike[str], *, store: Store | None = None) -> Config:
    """Read and check a config; raises `ConfigError` with all problems at once.

    ``path`` is a file, or a key of ``store``. Its folder is the second place where map files are looked for.
    """
    name = PurePath(path).name
    if store is None:
        folder = open_store(PurePath(path).parent, read_only=True)
        data = folder.get(name)
    else:
        key = str(path)
        parent = key.rpartition("/")[0]
        folder = store.sub(parent) if parent else store
        data = store.get(key)
    return parse_config(data, name, folder=folder)


def parse_config(data: bytes, name: str, *, folder: Store | None = None) -> Config:
    """Check the text of a config; see `load_config`."""
    yaml = load_yaml(data, name)
    if not isinstance(yaml.data, dict):
        problem = Problem(f"{name}:1", "a config is a mapping of sections", "start with `version: '1.3.0'`")
        raise ConfigError([problem, *yaml.problems], source=name)
    problems = list(yaml.problems)
    warnings: list[Problem] = []
    migrated = migrate(yaml)
    if migrated.version in OLDER_VERSIONS:
        warnings.append(_migration(yaml, migrated.version, migrated.changes))
    yaml = migrated.yaml
    checked = model.check_config(yaml.data)
    wrong = [_placed(problem, yaml) for problem in checked.errors]
    if wrong and migrated.version in OLDER_VERSIONS:
        problems += warnings  # some of what is wrong may be what the migration made
    problems += wrong
    if not problems:  # the shape is right, so that these can walk it
        problems += _wrong_rules(yaml)
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: _line_of(problem.where)), source=name)
    warnings += [_placed(problem, yaml) for problem in checked.warnings]
    for place, what in not_ingested(yaml.data):
        warnings.append(Problem(yaml.place(place), f"{what} is not ingested by this version", None))
    return Config(
        name, model.canonical_config(yaml.data), yaml, hashlib.sha256(data).hexdigest(), folder, tuple(warnings)
    )


def _migration(yaml: PlacedYaml, version: str, changes: tuple[str, ...]) -> Problem:
    what = f"version {version} of the config was migrated to {CURRENT_VERSION} in memory"
    return Problem(
        yaml.place(("version",)),
        f"{what}: {'; '.join(changes)}" if changes else what,
        "`tomoportal config upgrade` writes the new version, comments kept",
    )


def _placed(problem: Problem, yaml: PlacedYaml) -> Problem:
    return Problem(yaml.place(parse_path(problem.where)), problem.what, problem.fix)


def _line_of(where: str) -> tuple[str, int]:
    match = re.match(r"(.*?):(\d+)", where)
    return (match.group(1), int(match.group(2))) if match else (where, 0)


def _wrong_rules(yaml: PlacedYaml) -> list[Problem]:
    """Regular expressions that do not compile, and name rules without a group."""
    problems: list[Problem] = []
    for path, rule, needs_group in _rules(yaml.data):
        try:
            compiled = re.compile(rule)
        except re.error as error:
            problems.append(
                Problem(yaml.place(path), f"`{rule}` is not a regular expression: {error}", "correct the expression")
            )
            continue
        if needs_group and not compiled.groups:
            problems.append(
                Problem(yaml.place(path), f"name_regex `{rule}` has no group", "put the part that is the name into ( )")
            )
    return problems


def _rules(data: Any, path: Path = ()) -> Iterator[tuple[Path, str, bool]]:
    if isinstance(data, list):
        for index, child in enumerate(data):
            yield from _rules(child, (*path, index))
        return
    if not isinstance(data, Mapping):
        return
    for key, child in data.items():
        here = (*path, str(key))
        if key in ("match_regex", "name_regex") and isinstance(child, str):
            yield here, child, key == "name_regex"
        elif key == "parent_filters" and isinstance(child, Mapping):
            for side, parents in child.items():
                for parent, rules in (parents or {}).items():
                    for index, rule in enumerate(rules or ()):
                        yield (*here, side, parent, index), str(rule), False
        elif key == "exclude" and isinstance(child, list):
            for index, rule in enumerate(child):
                yield (*here, index), str(rule), False
        elif key != "metadata":
            yield from _rules(child, here)
