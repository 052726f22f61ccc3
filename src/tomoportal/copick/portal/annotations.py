"""Picks, meshes and segmentations of a portal, which are only read; those of its overlay are as in other projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tomoportal.copick.documents import RunDocument
from tomoportal.copick.meshes import CopickMesh, CopickMeshMeta
from tomoportal.copick.picks import CopickPicks
from tomoportal.copick.points import CopickPicksFile
from tomoportal.copick.portal.entities import FromPortal
from tomoportal.copick.portal.naming import PORTAL_USER, camel
from tomoportal.copick.portal.points import read_portal_points
from tomoportal.copick.portal.rows import PortalAnnotationMeta
from tomoportal.copick.segmentations import CopickSegmentation, CopickSegmentationMeta
from tomoportal.copick.sources import Source
from tomoportal.copick.versions import Version
from tomoportal.errors import FormatError, NotFoundError

if TYPE_CHECKING:
    from tomoportal.copick.portal.runs import CopickRunCDP

__all__ = [
    "CopickMeshCDP",
    "CopickMeshMetaCDP",
    "CopickPicksCDP",
    "CopickPicksFileCDP",
    "CopickSegmentationCDP",
    "CopickSegmentationMetaCDP",
]


class CopickPicksFileCDP(CopickPicksFile, FromPortal):
    """A document of picks with the portal's metadata."""

    @classmethod
    def from_portal_container(cls, source: PortalAnnotationMeta, name: str | None = None) -> CopickPicksFileCDP:
        """The document of an annotation file, without its points; ``name`` is that of the object in the config.

        Without one, the object is called as the portal calls it, with the file's id.
        """
        session = str(source.annotation_file_id)
        return cls(
            pickable_object_name=name or f"{camel(source.object_name or '')}-{session}",
            user_id=PORTAL_USER,
            session_id=session,
            portal_metadata=source,
            trust_orientation=source.shape_type == "OrientedPoint",
        )


class CopickMeshMetaCDP(CopickMeshMeta, FromPortal):
    """Who made a mesh of what, with the portal's metadata."""


class CopickSegmentationMetaCDP(CopickSegmentationMeta, FromPortal):
    """Who segmented what, with the portal's metadata."""


class _PortalDocument(RunDocument):
    """A file of the portal, or a document of the overlay."""

    run: CopickRunCDP
    _portal_key: str | None = None
    """Where it lies in the portal's files; None for those of the overlay."""

    @property
    def _key(self) -> str:
        return self._portal_key or super()._key

    @property
    def directory(self) -> str | None:  # type: ignore[override]
        """The folder in the overlay; None for what is the portal's."""
        return None if self._portal_key else super().directory

    @property
    def from_tool(self) -> bool:
        """Whether nobody edits it by hand: made by a tool, or the portal's."""
        return self.read_only or super().from_tool

    def history(self) -> list[Version]:
        return [] if self._portal_key else super().history()


class CopickPicksCDP(_PortalDocument, CopickPicks):
    """Points of an annotation file: one request, when they are first asked for."""

    _meta: CopickPicksFileCDP

    def __init__(
        self,
        run: CopickRunCDP,
        file: CopickPicksFile,
        read_only: bool = False,
        *,
        source: Source | None = None,
        etag: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(run, file, read_only, source=source, etag=etag)
        self._portal_key = key

    @property
    def trust_orientation(self) -> bool | None:
        """Whether the rotations mean anything: in the portal's files, whether the points are oriented (C9)."""
        if self._portal_key:
            return self._meta.trust_orientation
        self._ensure()
        return self._meta.trust_orientation

    @trust_orientation.setter
    def trust_orientation(self, value: bool) -> None:
        self._ensure()
        self._meta.trust_orientation = value

    def _ensure(self) -> None:
        if self._portal_key is None:
            super()._ensure()
        elif not self._loaded:
            self.load()

    def load(self) -> CopickPicksFile:
        """Read the points. Raises :class:`FormatError` for a file that cannot be read, which the others survive."""
        if self._portal_key is None:
            return super().load()
        try:
            table = read_portal_points(
                _portal_bytes(self.run, self._source, self._portal_key),
                _spacing(self._meta, self.path),
                self.path,
                oriented=self._meta.trust_orientation is True,
            )
        except FormatError as error:
            self._report(error.what, error.fix)
            raise
        self._table, self._points, self._loaded = table, None, True
        self._meta.points = []
        return self._meta


class CopickMeshCDP(_PortalDocument, CopickMesh):
    """A mesh of an annotation file, whose vertices become Å."""

    meta: CopickMeshMetaCDP

    def __init__(
        self,
        run: CopickRunCDP,
        meta: CopickMeshMeta,
        mesh: Any = None,
        read_only: bool = False,
        *,
        source: Source | None = None,
        etag: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(run, meta, mesh, read_only, source=source, etag=etag)
        self._portal_key = key

    def _read(self, **options: Any) -> bytes:
        if self._portal_key is None:
            return super()._read(**options)
        return _portal_bytes(self.run, self._source, self._portal_key)

    @property
    def is_in_angstrom(self) -> bool:
        """Whether the vertices of the file itself are in Å, not in voxels; what :attr:`mesh` gives is in Å anyway."""
        return self._portal_key is None or _is_in_angstrom(self._decoded(self._read()))

    def load(self) -> Any:
        """Read the file. Vertices of the portal's meshes are in voxels unless the file says otherwise."""
        found = super().load()
        if self._portal_key is not None and not _is_in_angstrom(found):
            found.apply_scale(_spacing(self.meta, self.path))
        return found


class CopickSegmentationCDP(CopickSegmentation):
    """A mask of an annotation file."""

    meta: CopickSegmentationMetaCDP

    def __init__(
        self,
        run: CopickRunCDP,
        meta: CopickSegmentationMeta,
        read_only: bool = False,
        *,
        source: Source | None = None,
        folder: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(run, meta, read_only, source=source, folder=folder)
        self._portal_key = key

    @property
    def _key(self) -> str:
        return self._portal_key or super()._key

    @property
    def from_tool(self) -> bool:
        """Whether nobody edits it by hand: made by a tool, or the portal's."""
        return self.read_only or super().from_tool

    def history(self) -> list[Version]:
        return [] if self._portal_key else super().history()

    @property
    def portal_segmentation_id(self) -> int | None:
        """The id of the annotation file."""
        return self.meta.portal_annotation_file_id


def _portal_bytes(run: CopickRunCDP, source: Source, key: str) -> bytes:
    try:
        return run.root._files.read(source, key)
    except NotFoundError as error:
        fix = "the portal names a file that is not there: root.refresh(), or tell the portal's keepers"
        raise NotFoundError(f"File not found: {source.where(key)}", fix=fix) from error


def _spacing(meta: FromPortal, where: str) -> float:
    spacing: float | None = meta.portal_metadata.voxel_spacing
    if not spacing:
        raise FormatError(
            "the portal gives no voxel spacing for this file, so its voxels cannot become Å",
            where=where,
            fix="tell the portal's keepers; the other annotations of the run are not affected",
        )
    return spacing


def _is_in_angstrom(mesh: Any) -> bool:
    """Whether the file says so: our archives name the unit in the extras of the mesh."""
    parts = [mesh, *getattr(mesh, "geometry", {}).values()]
    return any(each.metadata.get("unit") == "angstrom" for each in parts)
