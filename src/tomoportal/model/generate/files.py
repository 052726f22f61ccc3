"""Which files are generated, and from what."""

from __future__ import annotations

from pathlib import Path

from linkml_runtime.utils.schemaview import SchemaView

from tomoportal.model.entities import parse_entities
from tomoportal.model.generate.catalog import entities_json
from tomoportal.model.generate.json_schema import json_schema
from tomoportal.model.generate.pages import catalog_page, class_page, core_page, index_page
from tomoportal.model.generate.pydantic_module import pydantic_module
from tomoportal.model.generate.reading import annotation, one_line, open_schema
from tomoportal.model.generate.spec import Schema, read_enum, read_schema

__all__ = ["config_schema", "documents_schema", "outputs", "write"]

_GENERATED = Path(__file__).parents[1] / "generated"
_JSON_SCHEMA = _GENERATED / "json_schema"
_PAGES = Path(__file__).parents[4] / "docs" / "reference" / "schema"


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
    catalog, documents, config = open_schema("catalog"), documents_schema(), config_schema()
    entities = entities_json(catalog)
    files = {
        _GENERATED / "entities.json": entities,
        _GENERATED / "documents.py": pydantic_module(documents),
        _GENERATED / "config.py": pydantic_module(config),
        _JSON_SCHEMA / "ingestion_config.json": json_schema(config, "Container"),
    }
    for root in documents.roots:
        files[_JSON_SCHEMA / f"{documents.classes[root].kind}_metadata.json"] = json_schema(documents, root)
    return files | {_PAGES / name: text for name, text in _pages(catalog, entities, documents, config).items()}


def _pages(catalog: SchemaView, entities: str, documents: Schema, config: Schema) -> dict[str, str]:
    core = open_schema("core")
    enums = [read_enum(catalog, name) for name in sorted(catalog.all_enums())]
    pages = {
        "documents.md": class_page(documents),
        "config.md": class_page(config),
        "core.md": core_page(core, documents, config),
        "catalog.md": catalog_page(catalog, parse_entities(entities), enums),
    }
    schemas = {"documents.md": documents, "config.md": config, "core.md": core.schema, "catalog.md": catalog.schema}
    titles = {name: (schema.title, one_line(schema.description)) for name, schema in schemas.items()}
    return {"README.md": index_page(titles), **pages}


def write() -> list[Path]:
    """Write what differs; returns the paths that changed."""
    changed = []
    for path, text in outputs().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed
