"""The lists of a run's annotations: picks, meshes, segmentations and filaments of static and overlay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from tomoportal.copick.documents import RunDocument
from tomoportal.copick.meshes import CopickMesh, CopickMeshMeta
from tomoportal.copick.names import (
    parse_document,
    parse_segmentation,
    voxel_key,
)
from tomoportal.copick.picks import CopickPicks
from tomoportal.copick.points import CopickPicksFile
from tomoportal.copick.segmentations import CopickSegmentation, CopickSegmentationMeta
from tomoportal.copick.sources import Source, shadowed
from tomoportal.errors import AnnotationError, Problem

if TYPE_CHECKING:
    from tomoportal.copick.filament_documents import CopickFilamentsFile
    from tomoportal.copick.filaments import CopickFilaments
    from tomoportal.copick.root import CopickRoot

__all__ = ["AnnotationLists", "document_identity", "query_filament_files", "segmentation_identity"]

_Document = TypeVar("_Document", bound=RunDocument)
_Names = str | Iterable[str] | None


def _chosen(value: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one, or one of the wanted ones; None wants any."""
    if wanted is None:
        return True
    return value == wanted if isinstance(wanted, str) else value in set(wanted)


class AnnotationLists:
    """The lists of a run's annotations, read when they are first asked for."""

    @property
    def name(self) -> str:
        raise AnnotationError("a run has a name")

    @property
    def _key(self) -> str:
        raise AnnotationError("a run has a place")

    def __init__(self, root: CopickRoot) -> None:
        self.root = root
        self._picks: list[CopickPicks] | None = None
        self._meshes: list[CopickMesh] | None = None
        self._segmentations: list[CopickSegmentation] | None = None
        self._filaments: list[CopickFilaments] | None = None

    # --- listing

    def _listed(self, factory: tuple[type[_Document], type[Any]], include_shadowed: bool) -> list[_Document]:
        clazz, meta = factory
        make: Any = clazz
        found: list[_Document] = []
        for source in self.root._sources:
            place = f"{self._key}/{clazz.FOLDER}"
            for file, stat in source.listing.folder(place).files.items():
                if not file.endswith(clazz.ENDING) or file.startswith("."):
                    continue
                name = parse_document(file, clazz.ENDING, object_may_hold_underscores=clazz.LOOSE_OBJECT)
                if isinstance(name, str):
                    self.root._note(Problem(source.where(f"{place}/{file}"), name, "rename it, or move it elsewhere"))
                    continue
                told = meta(pickable_object_name=name.object_name, user_id=name.user_id, session_id=name.session_id)
                found.append(make(self._run, told, read_only=source.read_only, source=source, etag=stat.etag))
        return found if include_shadowed else shadowed(found, document_identity)

    def query_picks(self, *, include_shadowed: bool = False) -> list[CopickPicks]:
        """The picks that the stores hold now; the overlay's shadow static ones unless both are asked for (C27)."""
        return self._listed(self._picks_factory(), include_shadowed)

    def query_meshes(self, *, include_shadowed: bool = False) -> list[CopickMesh]:
        return self._listed(self._mesh_factory(), include_shadowed)

    def query_filaments(self, *, include_shadowed: bool = False) -> list[CopickFilaments]:
        return self._listed(self._filaments_factory(), include_shadowed)

    def query_segmentations(self, *, include_shadowed: bool = False) -> list[CopickSegmentation]:
        found = []
        for source in self.root._sources:
            present = source.listing.folder(self._key, "segmentations").folders
            for folder in ("Segmentations", "InstanceSegmentations", "PanopticSegmentations"):
                if folder not in present:
                    continue
                place = f"{self._key}/{folder}"
                folders, files = source.zarr_folders(place, "segmentations")
                for store in folders:
                    segmentation = self._segmentation_in(source, folder, store)
                    if isinstance(segmentation, str):
                        self.root._note(
                            Problem(source.where(f"{place}/{store}"), segmentation, "rename it, or move it elsewhere")
                        )
                    else:
                        found.append(segmentation)
                for file in files:
                    where = source.where(f"{place}/{file}")
                    self.root._note(Problem(where, "a file with the name of a Zarr folder", "move it"))
        return found if include_shadowed else shadowed(found, segmentation_identity)

    def _segmentation_in(self, source: Source, folder: str, store: str) -> CopickSegmentation | str:
        """The segmentation that the name of a Zarr folder names, or why it names none."""
        name = parse_segmentation(store, folder)
        if isinstance(name, str):
            return name
        clazz, meta = self._segmentation_factory()
        described = meta(
            user_id=name.user_id,
            session_id=name.session_id,
            name=name.name,
            voxel_size=name.voxel_size,
            is_multilabel=name.kind == "multilabel",
            is_instance=name.kind == "instance",
            is_panoptic=name.kind == "panoptic",
        )
        return clazz(self._run, described, source.read_only, source=source, folder=store)

    @property
    def _run(self) -> Any:
        return self

    def _picks_factory(self) -> tuple[type[CopickPicks], type[CopickPicksFile]]:
        return CopickPicks, CopickPicksFile

    def _mesh_factory(self) -> tuple[type[CopickMesh], type[CopickMeshMeta]]:
        return CopickMesh, CopickMeshMeta

    def _segmentation_factory(self) -> tuple[type[CopickSegmentation], type[CopickSegmentationMeta]]:
        return CopickSegmentation, CopickSegmentationMeta

    def _filaments_factory(self) -> tuple[type[CopickFilaments], type[CopickFilamentsFile]]:
        # Seldom needed, and of the models the dearest to import.
        from tomoportal.copick.filament_documents import CopickFilamentsFile
        from tomoportal.copick.filaments import CopickFilaments

        return CopickFilaments, CopickFilamentsFile

    @property
    def picks(self) -> list[CopickPicks]:
        if self._picks is None:
            self._picks = self.query_picks()
        return self._picks

    @property
    def meshes(self) -> list[CopickMesh]:
        if self._meshes is None:
            self._meshes = self.query_meshes()
        return self._meshes

    @property
    def segmentations(self) -> list[CopickSegmentation]:
        if self._segmentations is None:
            self._segmentations = self.query_segmentations()
        return self._segmentations

    @property
    def filaments(self) -> list[CopickFilaments]:
        if self._filaments is None:
            self._filaments = self.query_filaments()
        return self._filaments

    # --- choosing

    def get_picks(
        self,
        object_name: _Names = None,
        user_id: _Names = None,
        session_id: _Names = None,
        *,
        include_shadowed: bool = False,
        **kwargs: Any,
    ) -> list[CopickPicks]:
        """The picks that match every given filter, each a name or several."""
        found = self.query_picks(include_shadowed=True) if include_shadowed else self.picks
        return [each for each in found if _document_chosen(each, object_name, user_id, session_id)]

    def get_meshes(
        self,
        object_name: _Names = None,
        user_id: _Names = None,
        session_id: _Names = None,
        *,
        include_shadowed: bool = False,
        **kwargs: Any,
    ) -> list[CopickMesh]:
        found = self.query_meshes(include_shadowed=True) if include_shadowed else self.meshes
        return [each for each in found if _document_chosen(each, object_name, user_id, session_id)]

    def get_filaments(
        self,
        object_name: _Names = None,
        user_id: _Names = None,
        session_id: _Names = None,
        *,
        include_shadowed: bool = False,
        **kwargs: Any,
    ) -> list[CopickFilaments]:
        found = self.query_filaments(include_shadowed=True) if include_shadowed else self.filaments
        return [each for each in found if _document_chosen(each, object_name, user_id, session_id)]

    def get_segmentations(
        self,
        user_id: _Names = None,
        session_id: _Names = None,
        is_multilabel: bool | None = None,
        name: _Names = None,
        voxel_size: float | Iterable[float] | None = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
        include_shadowed: bool = False,
        **kwargs: Any,
    ) -> list[CopickSegmentation]:
        """The segmentations that match; binary and multilabel ones unless a type is named, None means any."""
        found = self.query_segmentations(include_shadowed=True) if include_shadowed else self.segmentations
        sizes: set[float] | None = None
        if voxel_size is not None:
            given = voxel_size if isinstance(voxel_size, Iterable) else [voxel_size]
            sizes = {voxel_key(size) for size in given}
        return [
            each
            for each in found
            if _chosen(each.user_id, user_id)
            and _chosen(each.session_id, session_id)
            and _chosen(each.name, name)
            and (is_multilabel is None or each.is_multilabel == is_multilabel)
            and (is_instance is None or each.is_instance == is_instance)
            and (is_panoptic is None or each.is_panoptic == is_panoptic)
            and (sizes is None or voxel_key(each.voxel_size) in sizes)
        ]

    def user_picks(self) -> list[CopickPicks]:
        return [each for each in self.picks if self._is_mine(each)]

    def tool_picks(self) -> list[CopickPicks]:
        return [each for each in self.picks if each.from_tool]

    def user_meshes(self) -> list[CopickMesh]:
        return [each for each in self.meshes if self._is_mine(each)]

    def tool_meshes(self) -> list[CopickMesh]:
        return [each for each in self.meshes if each.from_tool]

    def user_segmentations(self) -> list[CopickSegmentation]:
        return [each for each in self.segmentations if self._is_mine(each)]

    def tool_segmentations(self) -> list[CopickSegmentation]:
        return [each for each in self.segmentations if each.from_tool]

    def _is_mine(self, each: RunDocument | CopickSegmentation) -> bool:
        user = self.root.config.user_id
        return each.from_user if user is None else each.user_id == user

    # --- refreshing and deleting

    def _forget(self) -> None:
        raise AnnotationError("a run forgets its listing")

    def refresh_picks(self) -> None:
        """Ask the stores again (C60)."""
        self._forget()
        self._picks = self.query_picks()

    def refresh_meshes(self) -> None:
        self._forget()
        self._meshes = self.query_meshes()

    def refresh_segmentations(self) -> None:
        self._forget()
        self._segmentations = self.query_segmentations()

    def refresh_filaments(self) -> None:
        self._forget()
        self._filaments = self.query_filaments()

    def refresh_annotations(self) -> None:
        self.refresh_picks()
        self._meshes, self._segmentations, self._filaments = (
            self.query_meshes(),
            self.query_segmentations(),
            self.query_filaments(),
        )

    def _invalidate_annotations(self) -> None:
        self._picks = self._meshes = self._segmentations = self._filaments = None

    def delete_picks(self, object_name: _Names = None, user_id: _Names = None, session_id: _Names = None) -> None:
        """Remove all picks that match; none if one of them is read-only (C17)."""
        _delete_all(self.get_picks(object_name, user_id, session_id))

    def delete_meshes(self, object_name: _Names = None, user_id: _Names = None, session_id: _Names = None) -> None:
        _delete_all(self.get_meshes(object_name, user_id, session_id))

    def delete_filaments(self, object_name: _Names = None, user_id: _Names = None, session_id: _Names = None) -> None:
        _delete_all(self.get_filaments(object_name, user_id, session_id))

    def delete_segmentations(
        self,
        user_id: _Names = None,
        session_id: _Names = None,
        is_multilabel: bool | None = None,
        name: _Names = None,
        voxel_size: float | Iterable[float] | None = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
    ) -> None:
        chosen = self.get_segmentations(
            user_id, session_id, is_multilabel, name, voxel_size, is_instance=is_instance, is_panoptic=is_panoptic
        )
        for each in chosen:
            each._refuse_if_read_only("delete")
        for each in chosen:
            each.delete()

    def _drop(self, entity: RunDocument | CopickSegmentation) -> None:
        """Take a deleted entity out of its list."""
        for field in ("_picks", "_meshes", "_segmentations", "_filaments"):
            known = getattr(self, field)
            if known is not None and any(each is entity for each in known):
                setattr(self, field, [each for each in known if each is not entity])


def document_identity(each: RunDocument) -> tuple[str, str, str]:
    return each.user_id, each.session_id, each.pickable_object_name


def segmentation_identity(each: CopickSegmentation) -> tuple[str, float, str, str, str]:
    return each.segmentation_type, voxel_key(each.voxel_size), each.user_id, each.session_id, each.name


def _document_chosen(each: RunDocument, object_name: _Names, user_id: _Names, session_id: _Names) -> bool:
    return (
        _chosen(each.pickable_object_name, object_name)
        and _chosen(each.user_id, user_id)
        and _chosen(each.session_id, session_id)
    )


def _delete_all(chosen: Iterable[Any]) -> None:
    chosen = list(chosen)
    for each in chosen:
        each._check_deletable()
    for each in chosen:
        each.delete()


def query_filament_files(run: AnnotationLists, read_only: bool) -> list[CopickFilaments]:
    """The filaments of a run's static source, or of its overlay."""
    return [each for each in run.query_filaments(include_shadowed=True) if each.read_only == read_only]
