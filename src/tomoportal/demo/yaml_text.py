"""Plain YAML of dictionaries, lists and scalars, as a curator would type it; parts used often become anchors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["yaml_text"]

_SAFE = re.compile(r"[A-Za-z][A-Za-z0-9 _./()-]*[A-Za-z0-9)]|[A-Za-z]")
_UNPRINTED = re.compile(r"[^ -~]")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def yaml_text(document: Mapping[str, Any], anchors: Mapping[str, Any] | None = None) -> str:
    """The document as YAML 1.1. An object of ``anchors`` is written where it first occurs and named after that.

    Anchored objects are recognised by identity. Keys are plain words.
    """
    return "\n".join(_Emitter(anchors or {}).mapping(document, "")) + "\n"


class _Emitter:
    def __init__(self, anchors: Mapping[str, Any]) -> None:
        self._names = {id(value): name for name, value in anchors.items()}
        self._written: set[str] = set()

    def mapping(self, value: Mapping[str, Any], indent: str) -> list[str]:
        lines: list[str] = []
        for key, entry in value.items():
            lines += self._entry(f"{indent}{key}:", entry, indent)
        return lines

    def _entry(self, head: str, value: Any, indent: str) -> list[str]:
        if not isinstance(value, (dict, list)) or not value:
            return [f"{head} {_scalar(value)}"]
        name = self._names.get(id(value))
        if name in self._written:
            return [f"{head} *{name}"]
        if name:
            self._written.add(name)
            head += f" &{name}"
        elif isinstance(value, list) and _is_flat(value):
            return [f"{head} {_flow(value)}"]
        if isinstance(value, dict):
            return [head, *self.mapping(value, indent + "  ")]
        return [head, *self._sequence(value, indent)]

    def _sequence(self, values: list[Any], indent: str) -> list[str]:
        lines: list[str] = []
        for value in values:
            if isinstance(value, dict) and value:
                first, *rest = self.mapping(value, indent + "  ")
                lines += [f"{indent}- {first.strip()}", *rest]
            else:
                lines.append(f"{indent}- {_flow(value)}")
        return lines


def _is_flat(value: list[Any]) -> bool:
    return not any(isinstance(entry, (dict, list)) for entry in value) and len(_flow(value)) < 80


def _flow(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_flow(entry) for entry in value)}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _SAFE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    text = json.dumps(value, ensure_ascii=False)  # a JSON string, number, null, {} or [] is YAML too
    return _UNPRINTED.sub(
        lambda match: f"\\U{ord(match[0]):08x}" if match[0] > "\uffff" else f"\\u{ord(match[0]):04x}", text
    )
