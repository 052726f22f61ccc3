"""catalog.yaml → entities.json."""

from __future__ import annotations

import json
import re
from typing import Any

from linkml_runtime.linkml_model.meta import ClassDefinition, SlotDefinition
from linkml_runtime.utils.schemaview import SchemaView

from tomoportal.model.generate.reading import annotation, one_line

__all__ = ["entities_json"]

_TYPES = {"integer": "Int", "float": "Float", "string": "String", "boolean": "Boolean", "datetime": "DateTime"}


def entities_json(view: SchemaView) -> str:
    """JSON text with all entities (alphabetical) and enums of the catalog schema."""
    classes = view.all_classes()
    names = sorted(name for name, cls in classes.items() if not cls.abstract and not cls.mixin)
    enums = {
        name: list(enum.permissible_values) for name, enum in sorted(view.all_enums().items(), key=lambda pair: pair[0])
    }
    data = {"entities": [_entity(view, classes[name]) for name in names], "enums": enums}
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def _entity(view: SchemaView, cls: ClassDefinition) -> dict[str, Any]:
    name = str(cls.name)
    table = _snake(name)
    members: list[dict[str, Any]] = []
    for slot in _attributes(view, cls):
        if slot.range in view.all_classes():
            members.append(_relation(slot, table))
            if not slot.multivalued:
                members.append(_foreign_key(slot))
        else:
            members.append(_field(view, slot))
    return {
        "name": name,
        "python_name": annotation(cls, "python_name") or name,
        "root": annotation(cls, "root") or _camel(f"{table}s"),
        "table": table,
        "label": cls.title,
        "plural": annotation(cls, "plural"),
        "description": one_line(cls.description),
        "members": members,
        "order_by": _order_by(members, annotation(cls, "order_id_before")),
    }


def _attributes(view: SchemaView, cls: ClassDefinition) -> list[SlotDefinition]:
    """Attributes in schema order: those of the parent, the class's own, those of its mixins."""
    lines = [view.get_class(cls.is_a)] if cls.is_a else []
    lines += [cls, *(view.get_class(mixin) for mixin in cls.mixins)]
    return [slot for line in lines for slot in line.attributes.values()]


def _relation(slot: SlotDefinition, table: str) -> dict[str, Any]:
    many = bool(slot.multivalued)
    return {
        "name": slot.name,
        "wire": _camel(slot.name),
        "target": slot.range,
        "many": many,
        "column": f"{table}_id" if many else f"{slot.name}_id",
        "label": slot.title,
        "description": one_line(slot.description),
    }


def _foreign_key(slot: SlotDefinition) -> dict[str, Any]:
    name = f"{slot.name}_id"
    return {
        "name": name,
        "wire": _camel(name),
        "type": "Int",
        "enum": None,
        "required": bool(slot.required),
        "references": slot.range,
        "path": None,
        "unit": None,
        "label": f"{slot.title} id",
        "description": f"Id: {one_line(slot.description)}",
    }


def _field(view: SchemaView, slot: SlotDefinition) -> dict[str, Any]:
    enum = slot.range if slot.range in view.all_enums() else None
    kind = "Matrix" if slot.array else "Enum" if enum else _TYPES[slot.range or "string"]
    prefix = slot.name.split("_", 1)[0]
    return {
        "name": slot.name,
        "wire": _camel(slot.name),
        "type": kind,
        "enum": enum,
        "required": bool(slot.required),
        "references": None,
        "path": annotation(slot, "path") or (prefix if prefix in ("s3", "https") else None),
        "unit": slot.unit.symbol if slot.unit else None,
        "label": slot.title,
        "description": one_line(slot.description),
    }


def _order_by(members: list[dict[str, Any]], id_before: str | None) -> list[str]:
    sortable = [
        member["name"]
        for member in members
        if member["name"] != "id" and not member.get("many") and not member.get("references")
    ]
    sortable.insert(sortable.index(id_before) if id_before else len(sortable), "id")
    return sortable


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
