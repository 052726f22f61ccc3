"""Which files are generated, and from what."""

from __future__ import annotations

from pathlib import Path

from tomoportal.model.generate.catalog import entities_json
from tomoportal.model.generate.json_schema import json_schema
from tomoportal.model.generate.pydantic_module import pydantic_module
from tomoportal.model.generate.reading import annotation, open_schema
from tomoportal.model.generate.spec import Schema, read_schema

__all__ = ["config_schema", "documents_schema", "outputs", "write"]

_MODEL = Path(__file__).parents[1]


def documents_schema() -> Schema:
    """The metadata documents: final values only."""
    view = open_schema("documents")
    roots = [name for name, cls in view.all_classes().items() if annotation(cls, "kind")]
    return read_schema(view, roots, placeholders=False)


def config_schema() -> Schema:
    """The ingestion config, in which placeholders may stand for values."""
    return read_schema(open_schema("config"), ["Container"], placeholders=True)


def outputs() -> dict[Path, str]:
    """Path → text of every generated file."""
    generated = _MODEL / "generated"
    documents, config = documents_schema(), config_schema()
    files = {
        generated / "entities.json": entities_json(open_schema("catalog")),
        generated / "documents.py": pydantic_module(documents),
        generated / "config.py": pydantic_module(config),
        generated / "json_schema" / "ingestion_config.json": json_schema(config, "Container"),
    }
    for root in documents.roots:
        kind = documents.classes[root].kind
        files[generated / "json_schema" / f"{kind}_metadata.json"] = json_schema(documents, root)
    return files


def write() -> list[Path]:
    """Write what differs; returns the paths that changed."""
    changed = []
    for path, text in outputs().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed
