"""A LinkML schema as plain data: the classes with all their slots, inherited ones included.

The emitters (pydantic, JSON Schema, Markdown) read nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from linkml_runtime.linkml_model.meta import ClassDefinition, SlotDefinition, TypeDefinition
from linkml_runtime.utils.schemaview import SchemaView

from tomoportal.model.generate.reading import annotation, one_line
from tomoportal.model.values import Alternative, Anything, Choice, Day, Matrix, Number, Text, Truth

__all__ = ["Class", "Enum", "Schema", "Slot", "read_enum", "read_schema"]

_OVERRIDES = (
    "range",
    "required",
    "recommended",
    "minimum_cardinality",
    "description",
    "minimum_value",
    "maximum_value",
)


@dataclass(frozen=True)
class Slot:
    """A key of a class."""

    name: str
    target: str | None
    """Class that the value is an instance of; else ``alternatives`` say what it may be."""
    alternatives: tuple[Alternative, ...]
    ranges: tuple[str, ...]
    """Names of the types, enums or the class of the value."""
    many: bool
    required: bool
    recommended: bool
    nullable: bool
    minimum_items: int | None
    default: Any
    unit: str | None
    description: str
    deprecated: str | None


@dataclass(frozen=True)
class Class:
    name: str
    description: str
    slots: tuple[Slot, ...]
    kind: str | None
    """Name of the document in ``validate_document``."""
    file: str | None


@dataclass(frozen=True)
class Enum:
    name: str
    description: str
    values: dict[str, str]
    """Value → description."""
    aliases: dict[str, str]
    """Other spelling → value."""


@dataclass(frozen=True)
class Schema:
    """Everything that the roots of a schema need; parts come before what is made of them."""

    name: str
    title: str
    description: str
    classes: dict[str, Class]
    enums: dict[str, Enum]
    types: dict[str, Text]
    roots: tuple[str, ...]
    homes: dict[str, str]
    """Class or enum → name of the schema file that defines it."""


def read_schema(view: SchemaView, roots: list[str], *, placeholders: bool) -> Schema:
    """The classes that can be reached from ``roots``; without ``placeholders`` values are final."""
    return _Reader(view, placeholders).read(roots)


def read_enum(view: SchemaView, name: str) -> Enum:
    """An enum with the descriptions and other spellings of its values."""
    definition = view.get_enum(name)
    values = definition.permissible_values
    return Enum(
        name=name,
        description=one_line(definition.description),
        values={text: one_line(value.description) for text, value in values.items()},
        aliases={str(alias): text for text, value in values.items() for alias in value.aliases},
    )


class _Reader:
    def __init__(self, view: SchemaView, placeholders: bool) -> None:
        self.view = view
        self.placeholders = placeholders
        self.classes: dict[str, Class] = {}
        self.enums: dict[str, Enum] = {}
        self.types: dict[str, Text] = {}

    def read(self, roots: list[str]) -> Schema:
        for root in roots:
            self._visit(root)
        schema = self.view.schema
        return Schema(
            name=schema.name,
            title=schema.title,
            description=one_line(schema.description),
            classes=self.classes,
            enums=dict(sorted(self.enums.items())),
            types=dict(sorted(self.types.items())),
            roots=tuple(roots),
            homes=_homes(self.view),
        )

    def _visit(self, name: str) -> None:
        if name in self.classes:
            return
        definition = self.view.get_class(name)
        slots = tuple(self._slot(slot) for slot in _all_slots(self.view, definition).values())
        self.classes[name] = Class(
            name=name,
            description=one_line(definition.description),
            slots=slots,
            kind=annotation(definition, "kind"),
            file=annotation(definition, "file"),
        )

    def _slot(self, slot: SlotDefinition) -> Slot:
        ranges = [part.range for part in slot.any_of] or [slot.range or "string"]
        target = ranges[0] if ranges[0] in self.view.all_classes() and ranges[0] != "Any" else None
        if target:
            self._visit(target)
        else:
            ranges = [name for name in ranges if self.placeholders or not self._is_placeholder(name)]
        return Slot(
            name=slot.name,
            target=target,
            alternatives=() if target else tuple(self._alternative(name, slot) for name in ranges),
            ranges=tuple(ranges),
            many=bool(slot.multivalued),
            required=bool(slot.required),
            recommended=bool(slot.recommended),
            nullable=annotation(slot, "nullable") is not None,
            minimum_items=slot.minimum_cardinality,
            default=_default(slot.ifabsent),
            unit=slot.unit.symbol if slot.unit else None,
            description=one_line(slot.description),
            deprecated=slot.deprecated,
        )

    def _is_placeholder(self, name: str) -> bool:
        return name in self.view.all_types() and annotation(self.view.get_type(name), "placeholder") is not None

    def _alternative(self, name: str, slot: SlotDefinition) -> Alternative:
        if name == "Any":
            return Anything()
        if name in self.view.all_enums():
            return self._choice(name)
        if slot.array:
            rows, columns = (dimension.exact_cardinality for dimension in slot.array.dimensions)
            return Matrix(rows, columns)
        definition = self.view.get_type(name)
        unit = slot.unit.symbol if slot.unit else None
        if definition.pattern:
            return self._text(name, definition)
        base = str(definition.typeof or name)
        if base in ("float", "integer"):
            bounds = [
                _first(getattr(slot, end), getattr(definition, end)) for end in ("minimum_value", "maximum_value")
            ]
            return Number(bounds[0], bounds[1], unit, base == "integer")
        return {"boolean": Truth(), "date": Day(), "string": Text()}[base]

    def _text(self, name: str, definition: TypeDefinition) -> Text:
        prefix = annotation(definition, "drop_prefix") if self.placeholders else None
        text = Text(definition.title, definition.pattern, str(definition.examples[0].value), prefix)
        return self.types.setdefault(name, text)

    def _choice(self, name: str) -> Choice:
        if name not in self.enums:
            definition = self.view.get_enum(name)
            values = definition.permissible_values
            aliases = {str(alias): text for text, value in values.items() for alias in value.aliases}
            self.enums[name] = Enum(
                name=name,
                description=one_line(definition.description),
                values={text: one_line(value.description) for text, value in values.items()},
                aliases=aliases if self.placeholders else {},
            )
        enum = self.enums[name]
        return Choice(*enum.values, aliases=enum.aliases)


def _homes(view: SchemaView) -> dict[str, str]:
    """Class or enum → name of the schema that defines it."""
    schemas = [view.schema_map[name] for name in view.imports_closure()]
    return {name: schema.name for schema in schemas for group in (schema.classes, schema.enums) for name in group}


def _all_slots(view: SchemaView, definition: ClassDefinition) -> dict[str, SlotDefinition]:
    """Slots of a class: those of its parent, of its mixins, its own, with its ``slot_usage`` applied."""
    slots: dict[str, SlotDefinition] = {}
    for ancestor in _ancestors(definition):
        slots |= _all_slots(view, view.get_class(ancestor))
    slots |= definition.attributes
    for name, usage in definition.slot_usage.items():
        slots[name] = _override(slots[name], usage)
    return slots


def _ancestors(definition: ClassDefinition) -> Iterator[str]:
    if definition.is_a:
        yield definition.is_a
    yield from definition.mixins


def _override(slot: SlotDefinition, usage: SlotDefinition) -> SlotDefinition:
    slot = deepcopy(slot)
    for key in _OVERRIDES:
        if getattr(usage, key) is not None:
            setattr(slot, key, getattr(usage, key))
    if "nullable" in usage.annotations:
        slot.annotations = usage.annotations
    return slot


def _default(text: str | None) -> Any:
    """Value of an ``ifabsent``: ``true``, ``int(1)``, ``float(0)``, ``string(xyz)``."""
    if text is None or text in ("true", "false"):
        return None if text is None else text == "true"
    found = re.fullmatch(r"(int|float|string)\((.*)\)", text)
    if found is None:
        raise ValueError(f"ifabsent {text!r} is not understood")
    return {"int": int, "float": float, "string": str}[found[1]](found[2])


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
