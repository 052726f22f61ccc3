"""What a portal's entities have in common with each other, beside those of the file back end."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_serializer, field_validator, model_serializer

from tomoportal.copick.lazy_models import LazyModel
from tomoportal.copick.portal.rows import PortalAnnotationMeta

__all__ = ["FromPortal"]


class FromPortal(LazyModel):
    """What says which annotation of the portal something is, or was copied from; not written where there is none."""

    portal_metadata: Any = Field(default_factory=PortalAnnotationMeta)
    """A :class:`PortalAnnotationMeta`, or the dictionary that stands for one in a document."""

    @field_validator("portal_metadata", mode="before")
    @classmethod
    def _is_metadata(cls, value: Any) -> PortalAnnotationMeta:
        return value if isinstance(value, PortalAnnotationMeta) else PortalAnnotationMeta(**(value or {}))

    @field_serializer("portal_metadata")
    def _as_in_documents(self, value: PortalAnnotationMeta) -> dict[str, Any] | None:
        return value.to_dict() if value else None

    @model_serializer(mode="wrap")
    def _without_nothing(self, serialize: Any) -> dict[str, Any]:
        found: dict[str, Any] = serialize(self)
        if found.get("portal_metadata", {}) is None:
            del found["portal_metadata"]
        return found

    @property
    def portal_annotation_id(self) -> int | None:
        metadata: PortalAnnotationMeta = self.portal_metadata
        return metadata.annotation_id

    @property
    def portal_annotation_file_id(self) -> int | None:
        metadata: PortalAnnotationMeta = self.portal_metadata
        return metadata.annotation_file_id

    @property
    def portal_annotation_file_path(self) -> str | None:
        metadata: PortalAnnotationMeta = self.portal_metadata
        return metadata.s3_path
