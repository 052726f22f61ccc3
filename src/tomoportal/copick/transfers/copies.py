"""One entity as another: picks, meshes, filaments and segmentations under other names, runs or projects.

Whole documents are copied, with every key that is in them (C9, C10); the names in them become the new ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tomoportal.copick import versions
from tomoportal.copick.documents import RunDocument
from tomoportal.copick.filaments import CopickFilaments
from tomoportal.copick.meshes import CopickMesh
from tomoportal.copick.names import DocumentName, document_name
from tomoportal.copick.pick_output import write_picks
from tomoportal.copick.picks import CopickPicks
from tomoportal.copick.root import CopickRoot
from tomoportal.copick.runs import CopickRun
from tomoportal.copick.segmentations import CopickSegmentation
from tomoportal.copick.zarr_copies import copy_folder, same_folder
from tomoportal.errors import AnnotationError
from tomoportal.formats.meshes.glb import is_empty_glb

__all__ = [
    "Names",
    "copy_document",
    "copy_objects",
    "copy_segmentation",
    "is_empty_document",
    "is_same_document",
    "is_same_segmentation",
    "mapped_labels",
]


@dataclass(frozen=True)
class Names:
    """What an annotation is called: object (or name), user and session."""

    name: str
    user_id: str
    session_id: str

    @property
    def document(self) -> DocumentName:
        return DocumentName(self.user_id, self.session_id, self.name)


def _content(source: RunDocument, run: CopickRun, names: Names) -> bytes:
    """The bytes of a document that says the new names."""
    said = {
        "pickable_object_name": names.name,
        "user_id": names.user_id,
        "session_id": names.session_id,
        "run_name": run.name,
    }
    if isinstance(source, CopickPicks):
        return write_picks(source._current(), {**source._fields(), **said})
    if isinstance(source, CopickFilaments):
        return json.dumps({**json.loads(source._read()), **said}, indent=4).encode()
    return source._read()


def copy_document(source: RunDocument, run: CopickRun, names: Names, known: RunDocument | None) -> None:
    """Write picks, a mesh or filaments as ``names`` into ``run``, in place of ``known`` if it is there.

    One conditional write: a document that somebody else makes or changes meanwhile raises :class:`ConflictError`.
    """
    data = _content(source, run, names)
    if known is not None and not known.read_only:
        if known._etag is None:
            known._read()
        known._write(data, overwrite=False)
    else:
        run.ensure(create=True)
        place = run.root._source_for(read_only=False)
        file = document_name(names.user_id, names.session_id, names.name, source.ENDING)
        key = f"{run._key}/{source.FOLDER}/{file}"
        versions.save(place.store, key, data, seen=None, overwrite=False, keep=source._keep)
    _forget(run)


def is_same_document(source: RunDocument, run: CopickRun, names: Names, known: RunDocument) -> bool:
    """Whether the copy is there already, with every key of the document (C9)."""
    if isinstance(source, CopickPicks) and isinstance(known, CopickPicks):
        return source._current().same_as(known._current()) and _told(source) == _told(known)
    return _content(source, run, names) == known._read()


def _told(picks: CopickPicks) -> dict[str, Any]:
    """What a document says beside its points and its names."""
    names = ("pickable_object_name", "user_id", "session_id", "run_name")
    return {key: value for key, value in picks._fields().items() if key not in names}


def is_empty_document(known: RunDocument) -> bool:
    """Whether nobody put anything into it yet."""
    if isinstance(known, CopickPicks):
        return not len(known.numpy()[0])
    if isinstance(known, CopickMesh):
        return is_empty_glb(known._read(), known.path)
    return isinstance(known, CopickFilaments) and not known.filaments


def _forget(run: CopickRun) -> None:
    run._forget()
    run._invalidate_annotations()


# --- objects

_OBJECT_FIELDS = {"color", "emdb_id", "pdb_id", "identifier", "map_threshold", "radius", "metadata"}


def copy_objects(source: CopickRoot, target: CopickRoot, wanted: Mapping[str, str]) -> list[str]:
    """Objects (target's name → source's name) that the target has not; returns their names there.

    A label that is taken there becomes the next free one. Raises :class:`AnnotationError` if the source has no such
    object, and then nothing has been changed.
    """
    found = {}
    for name, original in wanted.items():
        if target.get_object(name) is not None:
            continue
        known = source.get_object(original)
        if known is None:
            raise AnnotationError(f"Object name {original} not found in the source project.", fix="correct the list")
        found[name] = known
    for name, known in found.items():
        meta = known.meta.model_dump(include=_OBJECT_FIELDS)
        taken = {each.label for each in target.pickable_objects}
        target.new_object(name, known.is_particle, label=None if known.label in taken else known.label, **meta)
    return list(found)


# --- segmentations


def _made(source: CopickSegmentation, run: CopickRun, names: Names) -> CopickSegmentation:
    return run.new_segmentation(
        source.voxel_size,
        names.name,
        names.session_id,
        source.is_multilabel,
        names.user_id,
        exist_ok=True,
        is_instance=source.is_instance,
        is_panoptic=source.is_panoptic,
    )


def copy_segmentation(
    source: CopickSegmentation, run: CopickRun, names: Names, *, labels: Mapping[int, int] | None = None
) -> CopickSegmentation:
    """Copy a segmentation key by key; or, where ``labels`` changes some, voxel by voxel with as many levels (C104)."""
    made = _made(source, run, names)
    if not labels or not (source.is_multilabel or source.is_panoptic):
        copy_folder(source._source.store, source._key, made._source.store, made._key, made._versions)
        return made
    voxels = source.numpy()
    made.from_numpy(mapped_labels(voxels, labels, is_panoptic=source.is_panoptic), levels=len(source._folder.paths()))
    return made


def is_same_segmentation(source: CopickSegmentation, known: CopickSegmentation) -> bool:
    return same_folder(source._source.store, source._key, known._source.store, known._key)


def mapped_labels(voxels: Any, labels: Mapping[int, int], *, is_panoptic: bool = False) -> Any:
    """The label volume ``(z, y, x)`` (panoptic: channel 0) with other values. Raises for one that has no new value."""
    part = voxels[0] if is_panoptic else voxels
    found = np.unique(part)
    unknown = sorted(set(found.tolist()) - {0} - set(labels))
    if unknown:
        raise AnnotationError(
            f"The segmentation holds the labels {', '.join(map(str, unknown[:10]))}, which belong to no object.",
            fix="add objects with these labels to the source's config",
        )
    table = np.array([0 if value == 0 else labels[value] for value in found.tolist()], np.uint64)
    mapped = table[np.searchsorted(found, part)]
    return np.stack([mapped, voxels[1].astype(np.uint64)]) if is_panoptic else mapped
