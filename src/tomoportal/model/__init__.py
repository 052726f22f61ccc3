"""What things are: entities of the catalog, metadata documents, ingestion configs, ids.

Everything is derived from the LinkML sources in ``model/linkml/`` (``make schema``). Names are loaded when they are
asked for, so that ``tomoportal.model.entities`` and ``tomoportal.model.ids`` need only the standard library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomoportal.model.entities import ENTITIES, ENUMS, Entity, Field, Relation
    from tomoportal.model.generated import config, documents
    from tomoportal.model.ids import format_id, parse_id
    from tomoportal.model.validation import (
        KINDS,
        Checked,
        canonical_config,
        check_config,
        check_document,
        validate_config,
        validate_document,
    )

__all__ = [
    "ENTITIES",
    "ENUMS",
    "KINDS",
    "Checked",
    "Entity",
    "Field",
    "Relation",
    "canonical_config",
    "check_config",
    "check_document",
    "config",
    "documents",
    "format_id",
    "parse_id",
    "validate_config",
    "validate_document",
]

_HOMES = {
    "entities": ("ENTITIES", "ENUMS", "Entity", "Field", "Relation"),
    "ids": ("format_id", "parse_id"),
    "validation": (
        "KINDS",
        "Checked",
        "canonical_config",
        "check_config",
        "check_document",
        "validate_config",
        "validate_document",
    ),
}


def __getattr__(name: str) -> Any:
    if name in ("config", "documents"):
        return import_module(f"{__name__}.generated.{name}")
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
