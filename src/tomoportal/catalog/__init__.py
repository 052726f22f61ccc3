"""The catalog: a database derived from the archive, and GraphQL over it.

    from tomoportal.archive import Archive
    from tomoportal.catalog import Bases, Catalog, GraphQL, default_url, index

    archive = Archive.open("/data/archive")
    with Catalog.open(default_url(archive), create=True) as catalog:
        report = index(archive, catalog)                      # incremental; ids stay the same for ever
        service = GraphQL(catalog)
        answer = service.execute("{datasets {id title}}", bases=Bases("s3://tomoportal", "http://host/files"))

Heavy parts are imported when their name is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tomoportal.catalog.addresses import Bases
    from tomoportal.catalog.answers import Answer
    from tomoportal.catalog.catalog import Catalog, default_url
    from tomoportal.catalog.execute import GraphQL
    from tomoportal.catalog.indexing import IndexReport, index
    from tomoportal.catalog.visibility import ANYONE, Viewer, owner_of, visible

__all__ = [
    "ANYONE",
    "Answer",
    "Bases",
    "Catalog",
    "GraphQL",
    "IndexReport",
    "Viewer",
    "default_url",
    "index",
    "owner_of",
    "visible",
]

_HOMES = {
    "ANYONE": "visibility",
    "Answer": "answers",
    "Bases": "addresses",
    "Catalog": "catalog",
    "GraphQL": "execute",
    "IndexReport": "indexing",
    "Viewer": "visibility",
    "default_url": "catalog",
    "index": "indexing",
    "owner_of": "visibility",
    "visible": "visibility",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
