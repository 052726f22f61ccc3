"""Texts of a portal about a run, or about single instances of what is annotated in it (C78)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tomoportal.copick.portal.rows import PortalAnnotationMeta
from tomoportal.copick.sources import Source
from tomoportal.formats.captions import Caption, read_captions

if TYPE_CHECKING:
    from tomoportal.copick.portal.runs import CopickRunCDP

__all__ = ["PortalCaptions"]


class PortalCaptions:
    """A file of captions, read when :meth:`load` is called."""

    def __init__(
        self, run: CopickRunCDP, portal_metadata: PortalAnnotationMeta, object_name: str, source: Source, key: str
    ) -> None:
        self.run = run
        self.portal_metadata = portal_metadata
        """Which annotation they belong to, with its authors and method."""
        self.pickable_object_name = object_name
        self._source, self._key = source, key

    @property
    def path(self) -> str:
        return self._source.where(self._key)

    @property
    def is_global(self) -> bool:
        """Whether they are about the tomogram as a whole; else about single instances, by their labels."""
        return self.portal_metadata.shape_type == "GlobalCaption"

    def load(self) -> tuple[Caption, ...]:
        """The texts. Raises :class:`FormatError` and :class:`NotFoundError`."""
        data = self.run.root._files.read(self._source, self._key)
        return read_captions(data, self.path, kind="captions" if self.is_global else "objects")

    def __repr__(self) -> str:
        about = self.portal_metadata.shape_type
        return f"{type(self).__name__}({about}, pickable_object_name={self.pickable_object_name}) at {hex(id(self))}"
