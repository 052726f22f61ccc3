"""Rows of a portal's tables as listings need them; further columns are asked for when somebody looks at them.

The names of columns are those of the public client: ``s3_path``, ``object_id``, ``scale_0_dimensions``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final

from tomoportal.errors import AnnotationError
from tomoportal.model.entities import ENTITIES

__all__ = ["PortalAnnotationMeta", "PortalObject", "PortalTomogramMeta", "columns", "from_wire", "selection"]

Values = Mapping[str, Any]
_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "Boolean": lambda text: {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}[
        text.lower()
    ],
    "Float": float,
    "Int": int,
}
"""How text becomes a value of a column."""
Authors = list[str] | Callable[[], list[str]] | None


@cache
def columns(entity: str) -> dict[str, str]:
    """Column → its name on the wire, of all scalars of an entity."""
    return {re.sub(r"^scale(?=\d)", "scale_", field.name): field.wire for field in ENTITIES[entity].fields}


def selection(entity: str) -> str:
    """All scalars of an entity, as a GraphQL selection."""
    return " ".join(columns(entity).values())


def from_wire(entity: str, row: Values) -> dict[str, Any]:
    """A row with its columns named as in Python; what is no scalar is left out."""
    return {name: row[wire] for name, wire in columns(entity).items() if wire in row}


class PortalObject:
    """A row of a table, with its columns as attributes.

    ``more`` gives the columns that are not there yet, by the row's id; it is called once, when one of them is used.
    """

    def __init__(
        self, data: Values | None = None, entity: str | None = None, more: Callable[[int], Values] | None = None
    ) -> None:
        self._data: dict[str, Any] = dict(data or {})
        self._entity = entity
        self._more = more

    def _complete(self) -> dict[str, Any]:
        if self._more is not None:
            self._data = {**self._more(self._data["id"]), **self._data}
            self._more = None
        return self._data

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # also while it is unpickled
            raise AttributeError(name)
        if name in self._data:
            return self._data[name]
        found = self._complete()
        if name in found:
            return found[name]
        if self._entity is not None and name in columns(self._entity):
            return None
        raise AttributeError(f"{self._entity or 'the row'} has no column {name!r}")

    def to_dict(self) -> dict[str, Any]:
        """All columns; those of an overlay's entity are what its document holds."""
        return dict(self._complete())

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As :meth:`to_dict`, under the name that upstream's models have."""
        return self.to_dict()

    def __bool__(self) -> bool:
        return bool(self._data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PortalObject) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._entity or ''} {self._data.get('id')})"


def _matches(row: PortalObject, entity: str, query: Values, authors: Iterable[str], known: Iterable[str]) -> bool:
    """Equality of all columns of the query that are not None, and all of the authors among those of the row.

    Raises :class:`AnnotationError` for a column that the table does not have.
    """
    for name in query:
        if name not in columns(entity):
            near = difflib.get_close_matches(name, columns(entity), 1)
            raise AnnotationError(
                f"{ENTITIES[entity].label} has no column {name!r}.",
                where="portal_meta_query",
                fix=f"write {near[0]!r}" if near else f"columns are: {', '.join(columns(entity))}",
            )
    wanted = {name: _typed(entity, name, value) for name, value in query.items() if value is not None}
    authors = list(authors)
    if not wanted and not authors:
        return True
    return (
        bool(row)
        and all(getattr(row, name) == value for name, value in wanted.items())
        and (not authors or set(authors) <= set(known))
    )


def _typed(entity: str, name: str, value: Any) -> Any:
    """A value that stands as text on a command line, as its column has it; other values as they are."""
    kind = next(each.type for each in ENTITIES[entity].fields if each.wire == columns(entity)[name])
    if not isinstance(value, str) or kind not in _READERS:
        return value
    try:
        return _READERS[kind](value.strip())
    except (ValueError, KeyError) as error:
        raise AnnotationError(
            f"{value!r} is no value of {ENTITIES[entity].label}'s column {name}.",
            where="portal_meta_query",
            fix="write true or false" if kind == "Boolean" else "write a number",
        ) from error


def _listed(authors: Authors) -> list[str]:
    return list((authors() if callable(authors) else authors) or ())


def _row(value: Any, entity: str) -> PortalObject:
    """A row of ours, of a mapping, or of an object of the public client."""
    if isinstance(value, PortalObject):
        return value
    return PortalObject(value if value is None or isinstance(value, Mapping) else value.to_dict(), entity)


class PortalAnnotationMeta:
    """Which annotation, shape and file of the portal an entity is, or was copied from; empty for other entities."""

    def __init__(
        self,
        portal_annotation: PortalObject | Values | None = None,
        portal_annotation_shape: PortalObject | Values | None = None,
        portal_annotation_file: PortalObject | Values | None = None,
        voxel_spacing: float | None = None,
        portal_author_names: Authors = None,
        **others: Any,
    ) -> None:
        self.portal_annotation = _row(portal_annotation, "Annotation")
        self.portal_annotation_shape = _row(portal_annotation_shape, "AnnotationShape")
        self.portal_annotation_file = _row(portal_annotation_file, "AnnotationFile")
        self.voxel_spacing = voxel_spacing
        """Å, of the file's points or voxels."""
        self._authors = portal_author_names
        self._others = others

    def __bool__(self) -> bool:
        return self.annotation_file_id is not None

    @property
    def portal_author_names(self) -> list[str]:
        """The annotation's authors in their order."""
        self._authors = _listed(self._authors)
        return self._authors

    @property
    def portal_authors(self) -> list[str]:
        return self.portal_author_names

    @property
    def annotation_id(self) -> int | None:
        return self.portal_annotation.id  # type: ignore[no-any-return]

    @property
    def annotation_shape_id(self) -> int | None:
        return self.portal_annotation_shape.id  # type: ignore[no-any-return]

    @property
    def annotation_file_id(self) -> int | None:
        return self.portal_annotation_file.id  # type: ignore[no-any-return]

    @property
    def shape_type(self) -> str | None:
        return self.portal_annotation_shape.shape_type  # type: ignore[no-any-return]

    @property
    def object_name(self) -> str | None:
        return self.portal_annotation.object_name  # type: ignore[no-any-return]

    @property
    def object_id(self) -> str | None:
        return self.portal_annotation.object_id  # type: ignore[no-any-return]

    @property
    def s3_path(self) -> str | None:
        return self.portal_annotation_file.s3_path  # type: ignore[no-any-return]

    def compare(self, meta: Values, authors: Iterable[str]) -> bool:
        """Whether columns of the annotation equal those of ``meta``, and all ``authors`` are among its authors."""
        known = self.portal_author_names if authors else ()
        return _matches(self.portal_annotation, "Annotation", meta, authors, known)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in a document of picks."""
        return {
            "portal_annotation": self.portal_annotation.to_dict(),
            "portal_annotation_shape": self.portal_annotation_shape.to_dict(),
            "portal_annotation_file": self.portal_annotation_file.to_dict(),
            "voxel_spacing": self.voxel_spacing,
            "portal_author_names": self.portal_author_names,
            **self._others,
        }

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As :meth:`to_dict`, under the name that upstream's models have."""
        return self.to_dict()


class PortalTomogramMeta:
    """Which tomogram of the portal an entity is; empty for those of the overlay."""

    def __init__(self, portal_metadata: PortalObject | Values | None = None, portal_authors: Authors = None) -> None:
        self.portal_metadata = _row(portal_metadata, "Tomogram")
        self._authors = portal_authors

    @classmethod
    def from_portal_cached(cls, source: Any, author_names: Authors) -> PortalTomogramMeta:
        """Of a tomogram of the public client, or a row, and the names of its authors."""
        return cls(source, author_names)

    @property
    def portal_authors(self) -> list[str]:
        """The tomogram's authors in their order."""
        self._authors = _listed(self._authors)
        return self._authors

    def compare(self, meta: Values, authors: Iterable[str]) -> bool:
        """Whether columns of the tomogram equal those of ``meta``, and all ``authors`` are among its authors."""
        known = self.portal_authors if authors else ()
        return _matches(self.portal_metadata, "Tomogram", meta, authors, known)

    def model_dump(self, **options: Any) -> dict[str, Any]:
        return {"portal_metadata": self.portal_metadata.to_dict(), "portal_authors": self.portal_authors}
