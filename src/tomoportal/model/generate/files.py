"""Which files are generated, and from what."""

from __future__ import annotations

from pathlib import Path

from tomoportal.model.generate.catalog import entities_json
from tomoportal.model.generate.reading import open_schema

__all__ = ["outputs", "write"]

_MODEL = Path(__file__).parents[1]


def outputs() -> dict[Path, str]:
    """Path → text of every generated file."""
    return {_MODEL / "generated" / "entities.json": entities_json(open_schema("catalog"))}


def write() -> list[Path]:
    """Write what differs; returns the paths that changed."""
    changed = []
    for path, text in outputs().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed
