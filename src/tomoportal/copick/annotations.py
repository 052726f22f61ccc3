"""What is annotated in a run, and how new annotations are made."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from tomoportal.copick.annotation_lists import AnnotationLists, document_identity, segmentation_identity
from tomoportal.copick.config import RESERVED_NAME_SUFFIXES
from tomoportal.copick.documents import RunDocument
from tomoportal.copick.meshes import CopickMesh
from tomoportal.copick.names import (
    SegmentationType,
    check_distinct,
    checked_name,
    checked_voxel_size,
    segmentation_name,
    voxel_key,
)
from tomoportal.copick.objects import unknown_object
from tomoportal.copick.picks import CopickPicks
from tomoportal.copick.segmentations import CopickSegmentation, kind_of
from tomoportal.errors import AnnotationError

if TYPE_CHECKING:
    from tomoportal.copick.filaments import CopickFilaments

__all__ = ["RunAnnotations"]

_Document = TypeVar("_Document", bound=RunDocument)


class RunAnnotations(AnnotationLists):
    """Makes new annotations in the overlay."""

    def _new_document(
        self,
        factory: tuple[type[_Document], type[Any]],
        kept: list[_Document],
        names: tuple[str, str, str | None],
        exist_ok: bool,
        **told: Any,
    ) -> _Document:
        make: Any
        make, meta = factory
        noun = make.WHAT.capitalize()
        user = self._user(names[2], f"new_{make.WHAT}")
        strict = bool(self.root.config.strict)
        object_name = checked_name(names[0], "object name", strict=strict)
        session = checked_name(names[1], "session_id", strict=strict)
        user = checked_name(user, "user_id", strict=strict)
        if self.root.get_object(object_name) is None:
            raise unknown_object(self.root, object_name)
        wanted = (user, session, object_name)
        found = next((each for each in kept if document_identity(each) == wanted), None)
        if found is not None and not exist_ok:
            raise AnnotationError(
                f"{noun} for {object_name} by user/tool {user} already exist in session {session}.",
                where=found.path,
                fix="use another session_id, or say exist_ok=True",
            )
        if found is not None and not found.read_only:
            return found
        described = meta(pickable_object_name=object_name, user_id=user, session_id=session, **told)
        made: _Document = make(self._run, described)
        check_distinct(made._key, (each._key for each in kept), made.WHAT)
        self._run.ensure(create=True)
        if not made._create(made._empty()):
            if not exist_ok:
                raise AnnotationError(
                    f"{noun} for {object_name} by user/tool {user} already exist in session {session}.",
                    where=made.path,
                    fix="somebody has just made them: refresh the run, or use another session_id",
                )
            made.load()
        if found is not None:
            kept.remove(found)
        kept.append(made)
        return made

    def _user(self, user_id: str | None, what: str) -> str:
        user = user_id if user_id is not None else self.root.config.user_id
        if user is None:
            raise AnnotationError(f"User ID must be set in the root config or supplied to {what}.", fix="give user_id")
        return user

    def new_picks(
        self, object_name: str, session_id: str, user_id: str | None = None, exist_ok: bool = False
    ) -> CopickPicks:
        """Make an empty list of picks in the overlay."""
        names = (object_name, session_id, user_id)
        return self._new_document(self._picks_factory(), self.picks, names, exist_ok, run_name=self.name)

    def new_mesh(
        self, object_name: str, session_id: str, user_id: str | None = None, exist_ok: bool = False, **kwargs: Any
    ) -> CopickMesh:
        """Make an empty mesh in the overlay."""
        names = (object_name, session_id, user_id)
        return self._new_document(self._mesh_factory(), self.meshes, names, exist_ok, **kwargs)

    def new_filaments(
        self, object_name: str, session_id: str, user_id: str | None = None, exist_ok: bool = False
    ) -> CopickFilaments:
        """Make an empty list of filaments in the overlay; warns if the object is not declared a filament."""
        found = self.root.get_object(object_name)
        if found is not None and not found.is_filament:
            warnings.warn(f"The object '{object_name}' is not declared a filament in the config.", stacklevel=2)
        names = (object_name, session_id, user_id)
        return self._new_document(self._filaments_factory(), self.filaments, names, exist_ok, run_name=self.name)

    def new_segmentation(
        self,
        voxel_size: float,
        name: str,
        session_id: str,
        is_multilabel: bool = False,
        user_id: str | None = None,
        exist_ok: bool = False,
        *,
        is_instance: bool = False,
        is_panoptic: bool = False,
        **kwargs: Any,
    ) -> CopickSegmentation:
        """Make an empty segmentation at a voxel size (Å) in the overlay; some types need an object's name."""
        kind = kind_of(is_multilabel, is_instance, is_panoptic)
        size = checked_voxel_size(voxel_size)
        strict = bool(self.root.config.strict)
        user = checked_name(self._user(user_id, "new_segmentation"), "user_id", strict=strict)
        session = checked_name(session_id, "session_id", strict=strict)
        name = checked_name(name, "segmentation name", strict=strict)
        if kind in ("binary", "instance"):
            if self.root.get_object(name) is None:
                raise unknown_object(self.root, name, f" ({kind} segmentations are named after one)")
        elif name.endswith(RESERVED_NAME_SUFFIXES) and kind == "multilabel":
            raise AnnotationError(f"The segmentation name {name!r} ends in its type.", fix="leave -multilabel out")
        found = self._same_segmentation(size, user, session, name, kind)
        if found is not None and not exist_ok:
            raise AnnotationError(
                f"A {kind} segmentation by user/tool {user} already exists in session {session} with name {name} and"
                f" voxel size of {size}.",
                where=found.path,
                fix="use another session_id, or say exist_ok=True",
            )
        if found is not None and not found.read_only:
            found._note()
            return found
        segmentation_name(size, user, session, name, kind)
        clazz, meta = self._segmentation_factory()
        flags = {"is_multilabel": is_multilabel, "is_instance": is_instance, "is_panoptic": is_panoptic}
        described = meta(user_id=user, session_id=session, name=name, voxel_size=size, **flags, **kwargs)
        made = clazz(self._run, described)
        check_distinct(made._key, (each._key for each in self.segmentations), made.WHAT)
        self._run.ensure(create=True)
        if made._is_filled() and not exist_ok:
            raise AnnotationError(
                f"A {kind} segmentation by user/tool {user} already exists in session {session} with name {name} and"
                f" voxel size of {size}.",
                where=made.path,
                fix="somebody has just made it: refresh the run, or use another session_id",
            )
        made._folder.make()
        self._segmentations = [
            *(each for each in self.segmentations if segmentation_identity(each) != segmentation_identity(made)),
            made,
        ]
        return made

    def _same_segmentation(
        self, size: float, user: str, session: str, name: str, kind: SegmentationType
    ) -> CopickSegmentation | None:
        wanted = (kind, voxel_key(size), user, session, name)
        return next((each for each in self.segmentations if segmentation_identity(each) == wanted), None)
