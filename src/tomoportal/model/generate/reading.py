"""Reading the LinkML sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from linkml_runtime.utils.schemaview import SchemaView

__all__ = ["LINKML", "annotation", "one_line", "open_schema"]

LINKML = Path(__file__).parents[1] / "linkml"


def open_schema(name: str) -> SchemaView:
    """The schema ``linkml/<name>.yaml`` with its imports."""
    return SchemaView(str(LINKML / f"{name}.yaml"))


def annotation(element: Any, name: str) -> str | None:
    """Value of an annotation of a schema element, as text."""
    annotations = element.annotations  # a dict or a JsonObj, which has no get()
    found = annotations[name] if name in annotations else None  # noqa: SIM401
    return None if found is None else str(found.value)


def one_line(text: str | None) -> str:
    """A description without the line breaks of its source."""
    return " ".join((text or "").split())
