"""Variables and templates: `{run_name}`, `{column of the map}`, `float {x}`.

Templates follow ``str.format`` (doubled braces stand for braces, a format specification may follow a colon), but a
field is only a name: no attributes, no indices. After formatting, ``float {x}`` and ``int {x}`` become numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

__all__ = ["Scope", "TemplateError"]

_NUMBER = re.compile(r"^\s*(float|int)\s*(\{[^{}]+\})\s*$")


class TemplateError(ValueError):
    """A template that cannot be expanded; ``fix`` says how to mend it."""

    def __init__(self, what: str, fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


@dataclass(frozen=True)
class Scope:
    """The variables that an item sees: those of its ancestors, of the map files and its own."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Name of each ancestor by type, such as ``{"run": "TS_01"}``; parent filters look at these."""
    variables: Mapping[str, str | int] = field(default_factory=dict)

    def child(
        self, kind: str, name: str, *, path: str | None = None, output: str | None = None, archive_id: int | None = None
    ) -> Scope:
        """The scope of an item of ``kind`` below this one."""
        new: dict[str, str | int] = {f"{kind}_name": name}
        if _is_integer(name):
            new[f"int_{kind}_name"] = int(name)
        if path is not None:
            new[f"{kind}_path"] = path
        if output is not None:
            new[f"{kind}_output_path"] = output
        if archive_id is not None:
            new[f"{kind}_id"] = archive_id
        return Scope({**self.names, kind: name}, {**self.variables, **new})

    def with_variables(self, variables: Mapping[str, str]) -> Scope:
        """This scope plus the columns of a map row; the names of ancestors win over columns of the same name."""
        return Scope(self.names, {**variables, **self.variables})

    def expand(self, template: str) -> str:
        """Replace every ``{variable}``; raises `TemplateError` for unknown ones and for stray braces."""
        if "{" not in template and "}" not in template:
            return template
        parts: list[str] = []
        for literal, name, specification, conversion in _parse(template):
            parts.append(literal)
            if name is None:
                continue
            value = self.variables.get(name)
            if value is None or conversion:
                raise TemplateError(f"unknown variable {{{name}}} in {template!r}", f"known variables: {self.known()}")
            try:
                parts.append(format(value, specification or ""))
            except ValueError as error:
                raise TemplateError(
                    f"{{{name}:{specification}}} in {template!r} does not fit {value!r}: {error}"
                ) from error
        return "".join(parts)

    def expand_value(self, value: Any) -> Any:
        """Expand all strings of nested mappings and lists; ``float {x}`` and ``int {x}`` become numbers."""
        if isinstance(value, str):
            return self._number(value)
        if isinstance(value, Mapping):
            return {key: self.expand_value(child) for key, child in value.items()}
        if isinstance(value, list):
            return [self.expand_value(child) for child in value]
        return value

    def known(self) -> str:
        """Names of all variables, for messages."""
        return ", ".join(sorted(self.variables)) or "none"

    def _number(self, template: str) -> str | int | float:
        match = _NUMBER.match(template)
        if match is None:
            return self.expand(template)
        kind, inner = match.groups()
        text = self.expand(inner).strip()
        try:
            number = float(text)
            if kind == "float":
                if number - number != 0:
                    raise ValueError("not finite")
                return number
            if number != int(number):
                raise ValueError("has a fraction")
        except (ValueError, OverflowError) as error:
            raise TemplateError(
                f"{template!r} is {text!r}, which is not {'an integer' if kind == 'int' else 'a number'}",
                f"correct the value of {inner} in the map",
            ) from error
        return int(number)


def _parse(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(template))
    except ValueError as error:
        raise TemplateError(
            f"{template!r} is not a template: {error}", "double the braces that stand for themselves: {{ }}"
        ) from error


def _is_integer(text: str) -> bool:
    return text.isascii() and (text.isdigit() or (text[:1] == "-" and text[1:].isdigit()))
