"""A config file of an older version written anew in the current one, with its comments, quotes and anchors (F53).

The migration itself works on plain data (`migrations`). Here its result is carried over to the file's text: what did
not change is left as it stands, what moved is moved with its comments. The new text is read again and compared with
the migrated data before it is given out.
"""

from __future__ import annotations

import copy
import io
import re
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import ScalarString

from tomoportal.errors import ConfigError, Problem
from tomoportal.ingest.lines import Path, load_yaml
from tomoportal.ingest.migrations import CURRENT_VERSION, OLDER_VERSIONS, Migrated, migrate

__all__ = ["Upgraded", "upgrade_config"]

_WIDTHS = (80, 1_000_000)
"""Where long texts are folded: as most programs write YAML, or never."""
_LONG = 120


@dataclass(frozen=True)
class Upgraded:
    """The text of the current version, the version that the file had, and what was changed."""

    text: str
    version: str
    changes: tuple[str, ...] = ()


def upgrade_config(data: bytes, name: str) -> Upgraded:
    """The config in the current version; a config of today comes back byte for byte.

    Raises `ConfigError` for what is no config, for an unknown version, and where a step cannot tell what was meant.
    """
    yaml = load_yaml(data, name)
    if not isinstance(yaml.data, dict):
        raise ConfigError([Problem(f"{name}:1", "a config is a mapping of sections")], source=name)
    if yaml.problems:
        raise ConfigError(yaml.problems, source=name)
    migrated = migrate(yaml)
    if migrated.version == CURRENT_VERSION:
        return Upgraded(data.decode(), migrated.version)
    if migrated.version not in OLDER_VERSIONS:
        what = f"{migrated.version!r} is not a known version of the config"
        known = ", ".join((*OLDER_VERSIONS, CURRENT_VERSION))
        raise ConfigError([Problem(yaml.place(("version",)), what, f"known versions: {known}")], source=name)
    old = data.decode()
    if {**migrated.yaml.data, "version": None} == {**yaml.data, "version": None} and "version" in yaml.data:
        text = _with_version(old, yaml.line(("version",)), migrated.version)
        if load_yaml(text, name).data == migrated.yaml.data:
            return Upgraded(text, migrated.version, migrated.changes)
    for flat in (False, True):  # merge keys stay if the result allows it
        text = _carried_over(old, yaml.data, migrated, name, flat=flat)
        if load_yaml(text, name).data == migrated.yaml.data:
            return Upgraded(text, migrated.version, migrated.changes)
    raise ConfigError(
        [
            Problem(
                name, "the new version cannot be written with anchors and comments as they are", "remove the anchors"
            )
        ],
        source=name,
    )


def _with_version(text: str, line: int, version: str) -> str:
    """The text with another version on its line, all other bytes as they are."""
    lines = text.split("\n")
    lines[line - 1] = lines[line - 1].replace(version, CURRENT_VERSION, 1)
    return "\n".join(lines)


def _carried_over(text: str, before: Any, migrated: Migrated, name: str, *, flat: bool) -> str:
    parser = _parser(text)
    try:
        tree = parser.load(text)
    except YAMLError as error:
        problem = Problem(name, f"not readable with its comments: {error}", "correct the YAML")
        raise ConfigError([problem], source=name) from error
    if flat:
        tree = _without_merges(tree)
    result = _Carrier(tree, before, migrated).node(migrated.yaml.data)
    out = io.StringIO()
    parser.dump(result, out)
    return out.getvalue()


def _parser(text: str) -> YAML:
    parser = YAML()
    parser.preserve_quotes = True
    parser.width = _WIDTHS[any(len(line) > _LONG for line in text.splitlines())]
    found = re.search(r"^( *)[^\s#-][^#\n]*:[ \t]*(?:#.*)?\n(?:[ \t]*(?:#.*)?\n)*( *)- ", text, re.MULTILINE)
    offset = max(0, len(found.group(2)) - len(found.group(1))) if found else 0
    parser.indent(mapping=2, sequence=2 + offset, offset=offset)
    if re.search(r"\bnull\b", text):
        parser.representer.add_representer(
            type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
        )
    return parser


class _Carrier:
    """Builds the tree of the migrated data out of that of the file."""

    def __init__(self, tree: Any, before: Any, migrated: Migrated) -> None:
        self._before = before
        self._nodes: dict[Path, Any] = {}
        self._migrated = migrated
        self._seen: set[int] = set()
        self._shared: set[int] = set()
        self._count(tree, ())

    def node(self, value: Any, found: Any = None) -> Any:
        """The node of a migrated value; ``found`` is the one that stands in its place already."""
        if isinstance(value, str) and isinstance(found, ScalarString):
            return type(found)(value)  # the same quotes
        if not isinstance(value, dict | list):
            return value
        origin = self._migrated.origin(value)
        if origin is None:
            if isinstance(value, dict):
                return CommentedMap((key, self.node(child)) for key, child in value.items())
            return CommentedSeq(self.node(child) for child in value)
        before = _at(self._before, origin)
        node = found if found is not None else self._nodes[origin]
        if value == before:
            return node
        if id(node) in self._shared:  # the other places that refer to it stay as they are
            node = _anonymous(copy.deepcopy(node))
        if isinstance(value, dict):
            return self._mapping(node, before, value, origin)
        return self._list(node, before, value, origin)

    def _mapping(self, node: Any, before: dict[str, Any], value: dict[str, Any], origin: Path) -> Any:
        for key in before:
            if key not in value and key in node:
                del node[key]
        for key, child in value.items():
            if key in before and before[key] == child:
                continue
            stays = key in before and self._stays(child, (*origin, str(key)))
            new = self.node(child, node[key] if stays else None)
            if key == "version" and key not in node:
                node.insert(0, key, new)
            else:
                node[key] = new
        return node

    def _list(self, node: Any, before: list[Any], value: list[Any], origin: Path) -> Any:
        places = self._places(before, value, origin)
        kept = [place for place in places if place is not None]
        if kept != sorted(kept):
            return CommentedSeq(self.node(child) for child in value)
        for index in reversed(range(len(before))):
            if index not in kept:
                del node[index]
        for index, (child, place) in enumerate(zip(value, places, strict=True)):
            if place is None:
                node.insert(index, self.node(child))
            elif before[place] != child:
                node[index] = self.node(child, node[index])
        return node

    def _places(self, before: list[Any], value: list[Any], origin: Path) -> list[int | None]:
        """Where each item of a list stood before."""
        places: list[int | None] = []
        for child in value:
            place = None
            if isinstance(child, dict | list):
                came = self._migrated.origin(child)
                if came is not None and came[:-1] == origin and isinstance(came[-1], int):
                    place = came[-1]
            else:
                same = (i for i, other in enumerate(before) if other == child and i not in places)
                place = next(same, None)
            places.append(place)
        return places

    def _stays(self, child: Any, path: Path) -> bool:
        return not isinstance(child, dict | list) or self._migrated.origin(child) == path

    def _count(self, node: Any, path: Path) -> None:
        if not isinstance(node, dict | list):
            return
        self._nodes[path] = node
        if id(node) in self._seen:
            self._shared.add(id(node))
        self._seen.add(id(node))
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            self._count(child, (*path, key if isinstance(node, list) else str(key)))


def _at(data: Any, path: Path) -> Any:
    """The value at a path; keys that are no texts are known by their text."""
    for step in path:
        if isinstance(data, dict):
            data = next(child for key, child in data.items() if str(key) == step)
        else:
            data = data[step]
    return data


def _anonymous(node: Any) -> Any:
    """A copied tree without the anchors of the original."""
    if isinstance(node, CommentedMap | CommentedSeq):
        node.yaml_set_anchor(None, always_dump=False)
        for child in node.values() if isinstance(node, CommentedMap) else node:
            _anonymous(child)
    return node


def _without_merges(node: Any) -> Any:
    """The tree with every ``<<`` and every alias written out."""
    if isinstance(node, dict):
        return CommentedMap((key, _without_merges(child)) for key, child in node.items())
    if isinstance(node, list):
        return CommentedSeq(_without_merges(child) for child in node)
    return node
