"""Schema → JSON Schema (draft 2020-12), for editors and for programs in other languages."""

from __future__ import annotations

import json
from typing import Any

from tomoportal.model.generate.spec import Class, Schema, Slot

__all__ = ["json_schema"]


def json_schema(schema: Schema, root: str) -> str:
    """JSON text of the schema of one root class."""
    needed = _reachable(schema, root)
    definitions = {name: _class(schema.classes[name]) for name in sorted(needed - {root})}
    data: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": root}
    data |= _class(schema.classes[root])
    if definitions:
        data["$defs"] = definitions
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def _reachable(schema: Schema, root: str) -> set[str]:
    found: set[str] = set()
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [slot.target for slot in schema.classes[name].slots if slot.target]
    return found


def _class(cls: Class) -> dict[str, Any]:
    data: dict[str, Any] = {
        "description": cls.description,
        "type": "object",
        "properties": {slot.name: _slot(slot) for slot in cls.slots},
        "additionalProperties": False,
    }
    required = [slot.name for slot in cls.slots if slot.required]
    return data | ({"required": required} if required else {})


def _slot(slot: Slot) -> dict[str, Any]:
    forms = [{"$ref": f"#/$defs/{slot.target}"}] if slot.target else [each.json_schema for each in slot.alternatives]
    if slot.many:
        array: dict[str, Any] = {"type": "array", "items": _any_of(forms)}
        forms = [array | ({"minItems": slot.minimum_items} if slot.minimum_items else {})]
    if not slot.required or slot.nullable:
        forms = _or_null(forms)
    note: dict[str, Any] = {"description": slot.description + (f" Unit: {slot.unit}." if slot.unit else "")}
    note |= {"deprecated": True} if slot.deprecated else {}
    note |= {"default": slot.default} if slot.default is not None else {}
    return note | _any_of(forms)


def _or_null(forms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A single form stays single, because editors explain ``anyOf`` badly."""
    if len(forms) == 1 and "type" in forms[0]:
        return [forms[0] | {"type": [forms[0]["type"], "null"]}]
    if len(forms) == 1 and "enum" in forms[0]:
        return [{"enum": [*forms[0]["enum"], None]}]
    return [*forms, {"type": "null"}]


def _any_of(forms: list[dict[str, Any]]) -> dict[str, Any]:
    return forms[0] if len(forms) == 1 else {"anyOf": forms}
