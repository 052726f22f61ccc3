"""Runs of a portal: what its tables and the overlay hold of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tomoportal.copick.annotation_lists import document_identity, segmentation_identity
from tomoportal.copick.meshes import CopickMesh
from tomoportal.copick.names import voxel_key
from tomoportal.copick.picks import CopickPicks
from tomoportal.copick.portal.annotations import (
    CopickMeshCDP,
    CopickMeshMetaCDP,
    CopickPicksCDP,
    CopickPicksFileCDP,
    CopickSegmentationCDP,
    CopickSegmentationMetaCDP,
)
from tomoportal.copick.portal.captions import PortalCaptions
from tomoportal.copick.portal.images import CopickVoxelSpacingCDP, CopickVoxelSpacingMetaCDP
from tomoportal.copick.portal.naming import PORTAL_USER
from tomoportal.copick.portal.rows import PortalAnnotationMeta, PortalObject
from tomoportal.copick.portal.tables import CAPTIONS, MASKS, MESHES, POINTS
from tomoportal.copick.runs import CopickRun, CopickRunMeta
from tomoportal.copick.segmentations import CopickSegmentation
from tomoportal.copick.sources import Source, shadowed
from tomoportal.copick.spacings import CopickVoxelSpacing
from tomoportal.errors import FormatError, Problem, ReadOnlyError

if TYPE_CHECKING:
    from tomoportal.copick.portal.root import CopickRootCDP

__all__ = ["CopickRunCDP", "CopickRunMetaCDP"]

_Names = str | Iterable[str] | None
_File = tuple[PortalAnnotationMeta, str, Source, str]


class CopickRunMetaCDP(CopickRunMeta):
    """The name, which is the text of the portal's id, and what the portal says; None for runs of the overlay."""

    portal_run_id: int | None = None
    portal_run_name: str | None = None
    portal_dataset_id: int | None = None

    @classmethod
    def from_portal(cls, source: Any) -> CopickRunMetaCDP:
        """Of a run of the public client, or a row."""
        about = {"portal_run_name": source.name, "portal_dataset_id": source.dataset_id}
        return cls(name=str(source.id), portal_run_id=source.id, **about)


class CopickRunCDP(CopickRun):
    """A run of the portal, or one that exists in the overlay only."""

    root: CopickRootCDP
    meta: CopickRunMetaCDP

    @property
    def portal_run_id(self) -> int | None:
        return self.meta.portal_run_id

    @property
    def portal_run_name(self) -> str | None:
        return self.meta.portal_run_name

    @property
    def portal_dataset_id(self) -> int | None:
        return self.meta.portal_dataset_id

    @property
    def static_path(self) -> str:
        """Empty: a run of a portal has no folder of its own among the files that are read."""
        return ""

    def ensure(self, create: bool = False) -> bool:
        """Whether it is there on the portal or in the overlay; made in the overlay if asked for."""
        return self.portal_run_id is not None or super().ensure(create)

    def _delete_data(self) -> None:
        if self.portal_run_id is not None:
            raise ReadOnlyError(
                "Cannot delete run in a read-only source.",
                where=self.name,
                fix="delete the picks, meshes, segmentations or tomograms of the overlay one by one",
            )
        super()._delete_data()

    # --- voxel spacings

    def _voxel_spacing_factory(self) -> tuple[type[CopickVoxelSpacingCDP], type[CopickVoxelSpacingMetaCDP]]:
        return CopickVoxelSpacingCDP, CopickVoxelSpacingMetaCDP

    def _portal_spacings(self) -> list[dict[str, Any]]:
        return self.root._tables.spacings(self.portal_run_id) if self.portal_run_id is not None else []

    def _portal_spacing_ids(self, voxel_size: float) -> list[int]:
        """The portal's voxel spacings of a size to three decimals: one, unless it distinguishes more decimals."""
        key = voxel_key(voxel_size)
        return [row["id"] for row in self._portal_spacings() if voxel_key(row["voxelSpacing"]) == key]

    def _listed_spacings(self) -> dict[float, tuple[float, dict[Source, str]]]:
        """Those of the overlay, and those of the portal, whose sizes have more than three decimals (C38)."""
        found = super()._listed_spacings()
        for row in reversed(self._portal_spacings()):
            key = voxel_key(row["voxelSpacing"])
            found[key] = (row["voxelSpacing"], found.get(key, (0.0, {}))[1])
        return found

    def query_voxelspacings(self) -> list[CopickVoxelSpacing]:
        """The voxel spacings of the portal and of the overlay, sorted."""
        return [self._with_portal_id(each) for each in super().query_voxelspacings()]

    def get_voxel_spacing(self, voxel_size: float, **kwargs: Any) -> CopickVoxelSpacing | None:
        """The voxel spacing of this size to three decimals, or None."""
        found = super().get_voxel_spacing(voxel_size, **kwargs)
        return None if found is None else self._with_portal_id(found)

    def _with_portal_id(self, spacing: CopickVoxelSpacing) -> CopickVoxelSpacing:
        assert isinstance(spacing, CopickVoxelSpacingCDP)
        if spacing.portal_vs_id is None:
            spacing.meta.portal_vs_id = next(iter(self._portal_spacing_ids(spacing.voxel_size)), None)
        return spacing

    # --- annotations

    def _picks_factory(self) -> tuple[type[CopickPicksCDP], type[CopickPicksFileCDP]]:
        return CopickPicksCDP, CopickPicksFileCDP

    def _mesh_factory(self) -> tuple[type[CopickMeshCDP], type[CopickMeshMetaCDP]]:
        return CopickMeshCDP, CopickMeshMetaCDP

    def _segmentation_factory(self) -> tuple[type[CopickSegmentationCDP], type[CopickSegmentationMetaCDP]]:
        return CopickSegmentationCDP, CopickSegmentationMetaCDP

    def _portal_files(self, shapes: Sequence[str]) -> Iterator[_File]:
        """The annotation files of these shapes: metadata, name of the object, source and key."""
        if self.portal_run_id is not None:
            yield from self._described(self.root._tables.files(self.portal_run_id), shapes)

    def _described(self, rows: Iterable[dict[str, Any]], shapes: Sequence[str]) -> Iterator[_File]:
        root, tables = self.root, self.root._tables
        names = root._object_names()
        for row in rows:
            shape, spacing = row["annotationShape"], row["tomogramVoxelSpacing"]
            annotation = shape["annotation"]
            name = names.get(annotation["objectId"])
            if name is None or shape["shapeType"] not in shapes:
                continue
            try:
                source, key = root._files.place(row["s3Path"], row["httpsPath"])
            except FormatError as error:
                root._note(Problem(f"annotation file {row['id']}", f"{error.what}: {error.where}", error.fix))
                continue
            told = {"id": row["id"], "format": row["format"], "s3_path": row["s3Path"], "https_path": row["httpsPath"]}
            number = annotation["id"]
            about = {
                "id": number,
                "run_id": self.portal_run_id,
                "object_id": annotation["objectId"],
                "object_name": annotation["objectName"],
            }
            shaped = {"id": shape["id"], "annotation_id": number, "shape_type": shape["shapeType"]}
            metadata = PortalAnnotationMeta(
                PortalObject(about, "Annotation", tables.annotation),
                PortalObject(shaped, "AnnotationShape"),
                PortalObject(told, "AnnotationFile", tables.annotation_file),
                spacing["voxelSpacing"] if spacing else None,
                partial(tables.annotation_authors, number),
            )
            yield metadata, name, source, key

    @property
    def captions(self) -> list[PortalCaptions]:
        """The portal's texts about the run and about what is annotated in it, in the order of their ids."""
        if self.portal_run_id is None:
            return []
        rows = self.root._tables.captions(self.portal_run_id)
        return [PortalCaptions(self, *found) for found in self._described(rows, CAPTIONS)]

    def query_picks(self, *, include_shadowed: bool = False) -> list[CopickPicks]:
        """The portal's picks in the order of their ids, then the overlay's, which shadow those of the same names."""
        overlay = super().query_picks(include_shadowed=include_shadowed)
        found: list[CopickPicks] = []
        for metadata, name, source, key in self._portal_files(POINTS):
            file = CopickPicksFileCDP.model_construct(
                **_named(metadata, name),
                trust_orientation=metadata.shape_type == "OrientedPoint",
                points=[],
                portal_metadata=metadata,
            )
            found.append(CopickPicksCDP(self, file, True, source=source, key=key))
        found += overlay
        return found if include_shadowed else shadowed(found, document_identity)

    def query_meshes(self, *, include_shadowed: bool = False) -> list[CopickMesh]:
        """The portal's meshes in the order of their ids, then the overlay's."""
        overlay = super().query_meshes(include_shadowed=include_shadowed)
        found: list[CopickMesh] = []
        for metadata, name, source, key in self._portal_files(MESHES):
            meta = CopickMeshMetaCDP.model_construct(**_named(metadata, name), portal_metadata=metadata)
            found.append(CopickMeshCDP(self, meta, None, True, source=source, key=key))
        found += overlay
        return found if include_shadowed else shadowed(found, document_identity)

    def query_segmentations(self, *, include_shadowed: bool = False) -> list[CopickSegmentation]:
        """The portal's masks in the order of their ids, then the overlay's segmentations."""
        overlay = super().query_segmentations(include_shadowed=include_shadowed)
        found: list[CopickSegmentation] = []
        for metadata, name, source, key in self._portal_files(MASKS):
            meta = CopickSegmentationMetaCDP.model_construct(
                user_id=PORTAL_USER,
                session_id=str(metadata.annotation_file_id),
                name=name,
                is_multilabel=False,
                is_instance=metadata.shape_type == "InstanceSegmentationMask",
                is_panoptic=False,
                voxel_size=metadata.voxel_spacing or 0.0,
                portal_metadata=metadata,
            )
            found.append(CopickSegmentationCDP(self, meta, True, source=source, key=key))
        found += overlay
        return found if include_shadowed else shadowed(found, segmentation_identity)

    def get_picks(  # upstream's portal back end takes more before the keywords
        self,
        object_name: _Names = None,
        user_id: _Names = None,
        session_id: _Names = None,
        portal_meta_query: Mapping[str, Any] | None = None,
        portal_author_query: Sequence[str] | None = None,
        *,
        include_shadowed: bool = False,
        **kwargs: Any,
    ) -> list[CopickPicks]:
        """The picks that match every filter, whose annotation's columns equal those of the query.

        All of the authors asked for must be among those of the annotation.
        """
        found = super().get_picks(object_name, user_id, session_id, include_shadowed=include_shadowed)
        return _of_portal(found, portal_meta_query, portal_author_query)

    def get_meshes(
        self,
        object_name: _Names = None,
        user_id: _Names = None,
        session_id: _Names = None,
        portal_meta_query: Mapping[str, Any] | None = None,
        portal_author_query: Sequence[str] | None = None,
        *,
        include_shadowed: bool = False,
        **kwargs: Any,
    ) -> list[CopickMesh]:
        """The meshes that match; the portal's filters are those of :meth:`get_picks`."""
        found = super().get_meshes(object_name, user_id, session_id, include_shadowed=include_shadowed)
        return _of_portal(found, portal_meta_query, portal_author_query)

    def get_segmentations(
        self,
        user_id: _Names = None,
        session_id: _Names = None,
        is_multilabel: bool | None = None,
        name: _Names = None,
        voxel_size: float | Iterable[float] | None = None,
        portal_meta_query: Mapping[str, Any] | None = None,
        portal_author_query: Sequence[str] | None = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
        include_shadowed: bool = False,
        **kwargs: Any,
    ) -> list[CopickSegmentation]:
        """The segmentations that match; the portal's filters are those of :meth:`get_picks`."""
        found = super().get_segmentations(
            user_id,
            session_id,
            is_multilabel,
            name,
            voxel_size,
            is_instance=is_instance,
            is_panoptic=is_panoptic,
            include_shadowed=include_shadowed,
        )
        return _of_portal(found, portal_meta_query, portal_author_query)


def _named(metadata: PortalAnnotationMeta, name: str) -> dict[str, Any]:
    return {"pickable_object_name": name, "user_id": PORTAL_USER, "session_id": str(metadata.annotation_file_id)}


def _of_portal(found: list[Any], query: Mapping[str, Any] | None, authors: Sequence[str] | None) -> list[Any]:
    if query is None and authors is None:
        return found
    return [each for each in found if each.meta.portal_metadata.compare(query or {}, authors or ())]
