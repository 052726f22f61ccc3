"""What was removed, but whose last state is kept in ``.history/``: a removal can be taken back (C5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tomoportal.copick.documents import RunDocument
from tomoportal.copick.names import SEGMENTATION_FOLDERS, parse_document
from tomoportal.copick.root import CopickRoot
from tomoportal.copick.runs import CopickRun
from tomoportal.copick.segmentations import CopickSegmentation
from tomoportal.copick.uri import fits_segmentation, matches_pattern, parse_copick_uri, resolve_copick_objects

__all__ = ["removed_documents"]


def removed_documents(uri: str, root: CopickRoot, object_type: str, run_name: str | None = None) -> list[Any]:
    """Picks, meshes, filaments or segmentations that a URI names, that are not there any more, and that have a history.

    Each can be restored. Raises :class:`AnnotationError` for a URI or a run that cannot be,
    :class:`StorageError` if the store cannot say what it keeps.
    """
    there = {(each.run.name, each._key) for each in resolve_copick_objects(uri, root, object_type, run_name)}
    wanted = parse_copick_uri(uri, object_type)
    runs = root.runs if run_name is None else [run for run in [root.get_run(run_name)] if run is not None]
    return [
        each
        for run in runs
        for each in _kept(run, object_type)
        if (run.name, each._key) not in there and _fits(each, wanted)
    ]


def _fits(each: Any, wanted: dict[str, Any]) -> bool:
    if isinstance(each, CopickSegmentation):
        return fits_segmentation(each, wanted)
    parts = {"object_name": each.pickable_object_name, "user_id": each.user_id, "session_id": each.session_id}
    return all(matches_pattern(value, str(wanted[name]), wanted["pattern_type"]) for name, value in parts.items())


def _kept(run: CopickRun, object_type: str) -> Sequence[RunDocument | CopickSegmentation]:
    """Everything of a type that has a history in the overlay."""
    if object_type == "segmentation":
        return _kept_segmentations(run)
    factories: dict[str, Any] = {
        "picks": run._picks_factory,
        "mesh": run._mesh_factory,
        "filaments": run._filaments_factory,
    }
    clazz, meta = factories[object_type]()
    source = run.root._overlay
    folders, _ = source.store.children(f"{run._key}/{clazz.FOLDER}/.history")
    found = []
    for folder in folders:
        name = parse_document(folder, "", object_may_hold_underscores=clazz.LOOSE_OBJECT)
        if not isinstance(name, str):
            told = meta(pickable_object_name=name.object_name, user_id=name.user_id, session_id=name.session_id)
            found.append(clazz(run, told, source=source))
    return found


def _kept_segmentations(run: CopickRun) -> list[CopickSegmentation]:
    source = run.root._overlay
    found = []
    for place in dict.fromkeys(SEGMENTATION_FOLDERS.values()):
        for stem in source.store.children(f"{run._key}/{place}/.history")[0]:
            segmentation = run._segmentation_in(source, place, f"{stem}.zarr")
            if isinstance(segmentation, CopickSegmentation):
                found.append(segmentation)
    return found
