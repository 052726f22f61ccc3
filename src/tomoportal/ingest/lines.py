"""YAML with places: every value of a file together with the line that it stands on.

Anchors, aliases and merge keys (``<<``) work as in YAML 1.1. Dates stay text, as the metadata documents need them.
Duplicate keys are problems: YAML parsers keep the last one silently.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from tomoportal.errors import ConfigError, Problem

__all__ = ["Path", "PlacedYaml", "format_path", "load_yaml", "parse_path"]

Path = tuple[str | int, ...]
"""Way from the top of a document to a value: mapping keys and list indices."""

_MAX_VALUES = 1_000_000  # aliases of aliases could otherwise expand without bound
_MAX_MERGE_DEPTH = 50
_MAX_DEPTH = 100  # a config is about 10 deep; the parser's recursion would end the process


@dataclass(frozen=True)
class PlacedYaml:
    """A parsed YAML document, the line (1-based) of every value, and the problems found while parsing."""

    data: Any
    lines: dict[Path, int]
    problems: tuple[Problem, ...] = ()
    name: str = "config.yaml"

    def line(self, path: Path) -> int:
        """Line of ``path``, or of its nearest ancestor that exists."""
        while path:
            found = self.lines.get(path)
            if found is not None:
                return found
            path = path[:-1]
        return self.lines.get((), 1)

    def place(self, path: Path | str) -> str:
        """``file:line (field path)`` of a value; a string such as ``runs[0].sources`` is parsed first."""
        steps = parse_path(path) if isinstance(path, str) else path
        text = format_path(steps)
        return f"{self.name}:{self.line(steps)}" + (f" ({text})" if text else "")


def format_path(path: Path) -> str:
    """``("runs", 0, "sources")`` → ``runs[0].sources``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def parse_path(text: str) -> Path:
    """``runs[0].sources`` → ``("runs", 0, "sources")``."""
    steps: list[str | int] = []
    for part in text.replace("[", ".[").split("."):
        if part.startswith("[") and part.endswith("]") and part[1:-1].isdigit():
            steps.append(int(part[1:-1]))
        elif part:
            steps.append(part)
    return tuple(steps)


def load_yaml(text: bytes | str, name: str) -> PlacedYaml:
    """Parse one YAML document; syntax errors are raised as `ConfigError` with file and line."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_depth(text, loader, name)
        node = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        what = " ".join(part for part in (error.context, error.problem) if part) or "not YAML"
        raise ConfigError(
            [Problem(where, f"YAML: {what}", "check indentation, quotes and colons")], source=name
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:  # undecodable bytes, control characters
        raise ConfigError(
            [Problem(name, f"not readable as YAML: {error}", "save the file as UTF-8 text")], source=name
        ) from error
    if node is None:
        raise ConfigError(
            [Problem(name, "the file is empty", "see docs for a minimal config, or run `tomoportal init`")], source=name
        )
    builder = _Builder(name)
    data = builder.build(node, ())
    return PlacedYaml(data, builder.lines, tuple(builder.problems), name)


def _check_depth(text: bytes | str, loader: Any, name: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                where = f"{name}:{event.start_mark.line + 1}" if event.start_mark else name
                raise ConfigError([Problem(where, f"the values are nested more than {_MAX_DEPTH} deep")], source=name)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


@dataclass
class _Builder:
    name: str
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _open: list[int] = field(default_factory=list)
    _scalars: yaml.constructor.SafeConstructor = field(default_factory=yaml.constructor.SafeConstructor)

    def build(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if len(self.lines) > _MAX_VALUES:
            raise ConfigError(
                [Problem(f"{self.name}:{line}", "the aliases expand to more than a million values")], source=self.name
            )
        if id(node) in self._open:
            raise ConfigError(
                [Problem(f"{self.name}:{line}", "an alias refers to a value that contains it")], source=self.name
            )
        self._open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
            return self._scalar(node, line)
        finally:
            self._open.pop()

    def _scalar(self, node: yaml.Node, line: int) -> Any:
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            problem = getattr(error, "problem", None) or str(error)
            self.problems.append(Problem(f"{self.name}:{line}", f"YAML: {problem}", "quote the value"))
            return node.value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key, (key_node, value_node) in self._pairs(node, path, depth=0).items():
            place = (*path, str(key))
            self.lines[place] = key_node.start_mark.line + 1
            result[key] = self.build(value_node, place)
        return result

    def _pairs(self, node: yaml.MappingNode, path: Path, depth: int) -> dict[Any, tuple[yaml.Node, yaml.Node]]:
        """Keys of a mapping with those merged by ``<<`` first; keys written in the mapping itself win."""
        merged: dict[Any, tuple[yaml.Node, yaml.Node]] = {}
        own: dict[Any, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                for part in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                    if isinstance(part, yaml.MappingNode) and depth < _MAX_MERGE_DEPTH:
                        merged = {**self._pairs(part, path, depth + 1), **merged}  # of several, the first wins
                    else:
                        place = f"{self.name}:{part.start_mark.line + 1}"
                        self.problems.append(Problem(place, "`<<` needs a mapping or a list of mappings"))
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(
                    Problem(f"{self.name}:{line}", "a key is not a plain word", "write `key: value` lines")
                )
                continue
            key = self._scalar(key_node, line)
            if key in own:
                where = f"{self.name}:{line} ({format_path((*path, str(key)))})"
                first = own[key][0].start_mark.line + 1
                problem = Problem(where, f"duplicate key `{key}`, first on line {first}", "remove one of the two")
                if problem not in self.problems:  # a mapping may be merged several times
                    self.problems.append(problem)
                continue
            own[key] = (key_node, value_node)
        return {**merged, **own}
