"""Voxel spacings and tomograms of a portal, beside those of the overlay; density maps, which lie there only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_serializer

from tomoportal.copick.objects import CopickObject
from tomoportal.copick.portal.naming import tomogram_types
from tomoportal.copick.portal.rows import PortalObject, PortalTomogramMeta, from_wire
from tomoportal.copick.sources import Source
from tomoportal.copick.spacings import CopickVoxelSpacing, CopickVoxelSpacingMeta
from tomoportal.copick.tomograms import CopickTomogram, CopickTomogramMeta
from tomoportal.errors import FormatError, Problem, ReadOnlyError

if TYPE_CHECKING:
    from tomoportal.copick.portal.runs import CopickRunCDP

__all__ = [
    "CopickObjectCDP",
    "CopickTomogramCDP",
    "CopickTomogramMetaCDP",
    "CopickVoxelSpacingCDP",
    "CopickVoxelSpacingMetaCDP",
]


class CopickObjectCDP(CopickObject):
    """An object that is annotated on the portal; portals have no density maps, the overlay may hold one."""

    def zarr(self) -> Any:
        """The map's folder for zarr; None if there is no map, as upstream says for portals (C43)."""
        return super().zarr() if self.has_density_map() else None


class CopickTomogramMetaCDP(CopickTomogramMeta):
    """The type, and which tomogram of the portal it is; None for those of the overlay."""

    portal_tomo_id: int | None = None
    portal_tomo_path: str | None = None
    portal_metadata: Any = Field(default_factory=PortalTomogramMeta)

    @classmethod
    def from_portal(cls, source: Any, author_names: list[str] | None = None) -> CopickTomogramMetaCDP:
        """Of a tomogram of the public client, or a row; its authors are asked for when needed, unless given."""
        parts = ("reconstruction_method", "processing", "processing_software", "ctf_corrected")
        names = ("reconstructionMethod", "processing", "processingSoftware", "ctfCorrected")
        (tomo_type,) = tomogram_types([{wire: getattr(source, part) for part, wire in zip(parts, names, strict=True)}])
        authors = partial(_authors_of, source) if author_names is None else author_names
        return cls(
            tomo_type=tomo_type,
            portal_tomo_id=source.id,
            portal_tomo_path=source.s3_omezarr_dir,
            portal_metadata=PortalTomogramMeta.from_portal_cached(source, authors),
        )

    @field_serializer("portal_metadata")
    def _as_dictionary(self, value: PortalTomogramMeta) -> dict[str, Any]:
        return value.model_dump()


class CopickTomogramCDP(CopickTomogram):
    """A tomogram of the portal, which is only read, or of the overlay; feature maps of both lie in the overlay."""

    meta: CopickTomogramMetaCDP

    def __init__(
        self,
        voxel_spacing: CopickVoxelSpacing,
        meta: CopickTomogramMeta,
        read_only: bool = False,
        *,
        source: Source | None = None,
        folder: str | None = None,
        config: object = None,
        key: str | None = None,
    ) -> None:
        super().__init__(voxel_spacing, meta, read_only, source=source, folder=folder, config=config)
        self._portal_key = key

    @property
    def _key(self) -> str:
        return self._portal_key or super()._key

    @property
    def portal_tomo(self) -> bool:
        """Whether it is the portal's."""
        return self.meta.portal_tomo_id is not None

    @property
    def static_path(self) -> str:
        return self._source.where(self._portal_key) if self._portal_key else ""

    @property
    def fs_static(self) -> Any:
        return self.voxel_spacing.run.root._fsspec(self._source)


class CopickVoxelSpacingMetaCDP(CopickVoxelSpacingMeta):
    """The voxel size in Å, and the id of the portal's voxel spacing."""

    portal_vs_id: int | None = None

    @classmethod
    def from_portal(cls, source: Any) -> CopickVoxelSpacingMetaCDP:
        """Of a voxel spacing of the public client, or a row."""
        return cls(voxel_size=source.voxel_spacing, portal_vs_id=source.id)


class CopickVoxelSpacingCDP(CopickVoxelSpacing):
    """The tomograms of one voxel size on the portal and in the overlay."""

    run: CopickRunCDP
    meta: CopickVoxelSpacingMetaCDP

    @property
    def portal_vs_id(self) -> int | None:
        return self.meta.portal_vs_id

    def _tomogram_factory(self) -> tuple[type[CopickTomogramCDP], type[CopickTomogramMetaCDP]]:
        return CopickTomogramCDP, CopickTomogramMetaCDP

    def query_tomograms(self, *, include_shadowed: bool = False) -> list[CopickTomogram]:
        """The tomograms of the portal and of the overlay, sorted by type; the overlay's shadow the portal's (C27)."""
        overlay = super().query_tomograms(include_shadowed=include_shadowed)
        hidden = set() if include_shadowed else {each.tomo_type for each in overlay}
        found: list[CopickTomogram] = [each for each in self._portal_tomograms() if each.tomo_type not in hidden]
        return sorted([*found, *overlay], key=lambda each: each.tomo_type)

    def _portal_tomograms(self) -> list[CopickTomogramCDP]:
        root = self.run.root
        rows = [
            row for number in self.run._portal_spacing_ids(self.voxel_size) for row in root._tables.tomograms(number)
        ]
        found = []
        for row, tomo_type in zip(rows, tomogram_types(rows), strict=True):
            try:
                source, key = root._files.place(row["s3OmezarrDir"], row["httpsOmezarrDir"])
            except FormatError as error:
                root._note(Problem(f"tomogram {row['id']}", f"{error.what}: {error.where}", error.fix))
                continue
            about = PortalTomogramMeta(
                PortalObject(from_wire("Tomogram", row), "Tomogram", root._tables.tomogram),
                partial(root._tables.tomogram_authors, row["id"]),
            )
            meta = CopickTomogramMetaCDP.model_construct(
                tomo_type=tomo_type,
                portal_tomo_id=row["id"],
                portal_tomo_path=row["s3OmezarrDir"],
                portal_metadata=about,
            )
            found.append(CopickTomogramCDP(self, meta, read_only=True, source=source, key=key))
        return found

    def get_tomograms(  # upstream's portal back end takes more before the keywords
        self,
        tomo_type: str | None = None,
        portal_meta_query: Mapping[str, Any] | None = None,
        portal_author_query: Sequence[str] | None = None,
        *,
        include_shadowed: bool = False,
        **kwargs: Any,
    ) -> list[CopickTomogram]:
        """The tomograms of a type, or of all types (C41), whose columns on the portal equal those of the query.

        All of the authors asked for must be among those of the tomogram.
        """
        found = super().get_tomograms(tomo_type, include_shadowed=include_shadowed)
        if portal_meta_query is None and portal_author_query is None:
            return found
        query, authors = portal_meta_query or {}, portal_author_query or ()
        return [
            each
            for each in found
            if isinstance(each, CopickTomogramCDP) and each.meta.portal_metadata.compare(query, authors)
        ]

    def ensure(self, create: bool = False) -> bool:
        """Whether it is there on the portal or in the overlay; made in the overlay if asked for."""
        return self.portal_vs_id is not None or super().ensure(create)

    def _delete_data(self) -> None:
        if self.portal_vs_id is not None:
            fix = "delete the tomograms of the overlay one by one"
            raise ReadOnlyError("Cannot delete voxel spacing in a read-only source.", where=self.run.name, fix=fix)
        super()._delete_data()


def _authors_of(tomogram: Any) -> list[str]:
    return [each.name for each in sorted(tomogram.authors, key=lambda each: each.author_list_order)]
