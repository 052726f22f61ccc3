"""Copies, moves and removals by URI, as tasks (``copick cp``, ``mv`` and ``rm``).

A target URI is a plain one for one object, or holds placeholders where the source names several:
``ribosome:{user_id}/checked``. The type of a segmentation never changes. What is in the way is told beforehand and not
replaced, unless it is the same already or ``overwrite`` is given; its last state stays in the history (C5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

from tomoportal.copick.documents import RunDocument
from tomoportal.copick.names import checked_name, voxel_key
from tomoportal.copick.picks import PicksDifference
from tomoportal.copick.removed import removed_documents
from tomoportal.copick.root import CopickRoot
from tomoportal.copick.runs import CopickRun
from tomoportal.copick.segmentation_differences import SegmentationDifference
from tomoportal.copick.segmentations import CopickSegmentation
from tomoportal.copick.tasks import Action, Task, refuse
from tomoportal.copick.transfers.copies import (
    Names,
    copy_document,
    copy_segmentation,
    is_empty_document,
    is_same_document,
    is_same_segmentation,
)
from tomoportal.copick.uri import (
    no_match,
    parse_copick_uri,
    resolve_copick_objects,
    serialize_copick_uri,
    serialize_copick_uri_from_dict,
)
from tomoportal.errors import AnnotationError, Problem

__all__ = ["Copied", "differences", "is_pattern", "plan_removal", "plan_restore", "plan_transfer"]

Copied: TypeAlias = Literal["picks", "filaments", "mesh", "segmentation"]
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS: Final = ("object_name", "name", "user_id", "session_id", "voxel_spacing")
_GLOB: Final = re.compile(r"[*?]|\[[^\]]{2,}\]|\[[^%@:/?#&\[\]*]\]")
_FLAGS: Final = ("multilabel", "instance", "panoptic")
_ONE: Final = {
    "picks": ("lists of picks", "object:user/session"),
    "segmentation": ("segmentations", "name:user/session@voxel size"),
}


def is_pattern(uri: str, object_type: str) -> bool:
    """Whether a URI may name several objects of a run: a pattern, a regular expression, or parts that are missing."""
    parts = parse_copick_uri(uri, object_type)
    if parts["pattern_type"] == "regex":
        return True
    texts = [value for key, value in parts.items() if key not in ("object_type", "pattern_type", *_FLAGS)]
    return any(_GLOB.search(str(text)) for text in texts)


def plan_removal(
    root: CopickRoot, object_type: str, uri: str, *, run_name: str | None = None, force: bool = False
) -> list[Task]:
    """Remove what a URI names. A pattern needs ``force`` (C50); one read-only object refuses all (C17)."""
    if is_pattern(uri, object_type) and not force:
        raise AnnotationError(
            "The URI is a pattern (parts that are missing count as *), so that it may name much.",
            where=uri,
            fix="look with --dry-run, then say --force",
        )
    found = resolve_copick_objects(uri, root, object_type, run_name)
    if not found:
        raise no_match(object_type, uri)
    problems = [
        Problem(f"{_run_of(each).name} {serialize_copick_uri(each)}", "is in a read-only source", "leave it out")
        for each in found
        if each.read_only
    ]
    refuse(problems, "These cannot be removed")
    return [
        Task("remove", f"{_run_of(each).name} {serialize_copick_uri(each)}", _run_of(each).name, each.delete)
        for each in found
    ]


def _run_of(entity: Any) -> CopickRun:
    owner = getattr(entity, "tomogram", entity)
    owner = getattr(owner, "voxel_spacing", owner)
    run: CopickRun = owner.run
    return run


# --- copies and moves


def plan_transfer(
    root: CopickRoot,
    object_type: Copied,
    source_uri: str,
    target_uri: str,
    *,
    move: bool = False,
    run_name: str | None = None,
    overwrite: bool = False,
) -> list[Task]:
    """Copy or move what ``source_uri`` names to ``target_uri``, within each run.

    What is in the way makes that task fail, the others are done. Raises :class:`AnnotationError` for URIs that do not
    go together, and when nothing matches.
    """
    sources = resolve_copick_objects(source_uri, root, object_type, run_name)
    if not sources:
        raise no_match(object_type, source_uri)
    per_run: dict[str, int] = {}
    for each in sources:
        per_run[each.run.name] = per_run.get(each.run.name, 0) + 1
    several = is_pattern(source_uri, object_type) or max(per_run.values()) > 1
    template = _template(object_type, target_uri, several, max(per_run.values()))
    tasks: list[Task] = []
    taken: dict[tuple[str, str], str] = {}
    for each in sources:
        task = _transfer(root, object_type, each, template, move, overwrite)
        _, _, target = task.what.partition(" → ")
        first = taken.setdefault((each.run.name, target), task.what)
        if first != task.what:
            task = _failed(task, "Two objects would become this one.", "put more placeholders into the target URI")
        tasks.append(task)
    return tasks


def _template(object_type: str, uri: str, several: bool, count: int) -> dict[str, Any]:
    """The parts of a target URI. Raises :class:`AnnotationError` for placeholders that do not fit the source."""
    named = _PLACEHOLDER.findall(uri)
    unknown = sorted(set(named) - set(_PLACEHOLDERS))
    if unknown:
        raise AnnotationError(
            f"There is no placeholder {{{unknown[0]}}}.", where=uri, fix=f"known are {', '.join(_PLACEHOLDERS)}"
        )
    if several and not named:
        raise AnnotationError(
            f"Source URI matches {count} objects or uses patterns. Target URI must contain template placeholders",
            where=uri,
            fix="for instance {object_name}:{user_id}/copy",
        )
    if named and not several:
        raise AnnotationError("A single object takes a target URI without placeholders.", where=uri)
    parts = parse_copick_uri(uri, object_type)
    if parts["pattern_type"] == "regex" or any(
        parts.get(key) in ("*", "") for key in ("object_name", "name", "user_id", "session_id") if key in parts
    ):
        raise AnnotationError("The target URI must name object, user and session.", where=uri, fix="name:user/session")
    return parts


def _filled(part: str, source: Any) -> str:
    name = source.name if isinstance(source, CopickSegmentation) else source.pickable_object_name
    values = {"object_name": name, "name": name, "user_id": source.user_id, "session_id": source.session_id}
    if isinstance(source, CopickSegmentation):
        values["voxel_spacing"] = f"{source.voxel_size:g}"
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), part)


def _transfer(
    root: CopickRoot, object_type: str, source: Any, template: dict[str, Any], move: bool, overwrite: bool
) -> Task:
    run: CopickRun = source.run
    strict = bool(root.config.strict)
    names = Names(
        checked_name(_filled(template.get("object_name", template.get("name", "")), source), "name", strict=strict),
        checked_name(_filled(template["user_id"], source), "user_id", strict=strict),
        checked_name(_filled(template["session_id"], source), "session_id", strict=strict),
    )
    what = f"{run.name} {serialize_copick_uri(source)} → {_target_uri(source, names)}"
    action: Action = "move" if move else "copy"
    plain = Task(action, what, run.name, lambda: None)
    if move and source.read_only:
        return _failed(plain, "The source is read-only.", "copy it instead")
    if isinstance(source, CopickSegmentation):
        return _segmentation(plain, source, names, template, move, overwrite)
    if root.get_object(names.name) is None:
        return _failed(plain, f"Object name {names.name} not found in pickable objects.", "add object first")
    return _document(plain, source, names, move, overwrite)


def _target_uri(source: Any, names: Names) -> str:
    if not isinstance(source, CopickSegmentation):
        return serialize_copick_uri_from_dict(
            "picks", object_name=names.name, user_id=names.user_id, session_id=names.session_id
        )
    return serialize_copick_uri_from_dict(
        "segmentation",
        name=names.name,
        user_id=names.user_id,
        session_id=names.session_id,
        voxel_spacing=source.voxel_size,
        multilabel=source.is_multilabel,
        instance=source.is_instance,
        panoptic=source.is_panoptic,
    )


def _failed(task: Task, what: str, fix: str) -> Task:
    return Task(task.action, task.what, task.run, task.do, task.source, AnnotationError(what, fix=fix))


def _document(task: Task, source: RunDocument, names: Names, move: bool, overwrite: bool) -> Task:
    run: CopickRun = source.run
    listed = run.picks if source.FOLDER == "Picks" else run.meshes if source.FOLDER == "Meshes" else run.filaments
    wanted = (names.user_id, names.session_id, names.name)
    known: RunDocument | None = next(
        (each for each in listed if (each.user_id, each.session_id, each.pickable_object_name) == wanted), None
    )
    if known is source:
        return _failed(task, "Source and target are the same.", "name another user or session")
    is_there = known is not None and is_same_document(source, run, names, known)
    if known is not None and not is_there and not overwrite and not is_empty_document(known):
        return _failed(task, "The target exists already.", "use another session, or --overwrite")

    def do() -> None:
        if not is_there:
            copy_document(source, run, names, known)
        if move:
            _remove_if_copied(source, run, names)

    return Task("keep" if is_there and not move else task.action, task.what, task.run, do)


def _remove_if_copied(source: Any, run: CopickRun, names: Names) -> None:
    """C6: the source goes when the copy has been read again and is the same."""
    run._forget()
    listed: Sequence[RunDocument]
    if source.FOLDER == "Picks":
        listed = run.query_picks()
    elif source.FOLDER == "Meshes":
        listed = run.query_meshes()
    else:
        listed = run.query_filaments()
    wanted = (names.user_id, names.session_id, names.name)
    copies = [each for each in listed if (each.user_id, each.session_id, each.pickable_object_name) == wanted]
    if not copies or not is_same_document(source, run, names, copies[0]):
        raise AnnotationError("The copy is not the same as the source, which stays.", where=source.path)
    source.delete()


def _segmentation(
    task: Task, source: CopickSegmentation, names: Names, template: dict[str, Any], move: bool, overwrite: bool
) -> Task:
    root, run = source.run.root, source.run
    flags = {"multilabel": source.is_multilabel, "instance": source.is_instance, "panoptic": source.is_panoptic}
    if any(template[flag] is not None and template[flag] != on for flag, on in flags.items()):
        return _failed(task, "cp and mv do not convert segmentation types", "leave the type out of the target")
    spacing = _filled(template["voxel_spacing"], source)
    if spacing != "*" and voxel_key(float(spacing)) != voxel_key(source.voxel_size):
        return _failed(task, "cp and mv do not change the voxel size.", "leave it out of the target")
    if source.segmentation_type in ("binary", "instance") and root.get_object(names.name) is None:
        return _failed(task, f"Object name {names.name} not found in pickable objects.", "add object first")
    found = run.get_segmentations(
        names.user_id, names.session_id, None, names.name, source.voxel_size, is_instance=None, is_panoptic=None
    )
    known = next((each for each in found if each.segmentation_type == source.segmentation_type), None)
    if known is source:
        return _failed(task, "Source and target are the same.", "name another user or session")
    is_there = known is not None and not known._folder.is_empty() and is_same_segmentation(source, known)
    if known is not None and not is_there and not overwrite and not known._folder.is_empty():
        return _failed(task, "The target exists already.", "use another session, or --overwrite")

    def do() -> None:
        made = known if is_there and known is not None else copy_segmentation(source, run, names)
        if move:
            if not is_same_segmentation(source, made):
                raise AnnotationError("The copy is not the same as the source, which stays.", where=source.path)
            source.delete()

    return Task("keep" if is_there and not move else task.action, task.what, task.run, do)


# --- versions


def plan_restore(root: CopickRoot, object_type: str, uri: str, run_name: str, version: int) -> list[Task]:
    """A previous version of one document or segmentation becomes the current one, whose state goes to the history.

    What was removed comes back as well. Raises :class:`AnnotationError` if the URI names none or several, and
    :class:`NotFoundError` for a version that is not kept.
    """
    found = resolve_copick_objects(uri, root, object_type, run_name)
    is_there = bool(found)
    found = found or removed_documents(uri, root, object_type, run_name)
    if len(found) != 1:
        raise AnnotationError(f"The URI names {len(found)} {object_type} of {run_name}.", where=uri, fix="name one")
    document = found[0]
    document._previous(version)
    what = f"{run_name} {serialize_copick_uri(document)} version {version}"
    action: Action = "replace" if is_there else "create"
    return [Task(action, what, run_name, lambda: document.restore(version), document.path)]


def differences(
    root: CopickRoot, object_type: str, uri: str, other: str | int, run_name: str | None = None
) -> dict[str, PicksDifference | SegmentationDifference]:
    """Of each run, how the picks or the segmentation of ``uri`` differ from those of another URI or their version."""
    found: dict[str, PicksDifference | SegmentationDifference] = {}
    for run in root.runs if run_name is None else [run_name]:
        name = run if isinstance(run, str) else run.name
        mine = resolve_copick_objects(uri, root, object_type, name)
        if not mine:
            continue
        theirs = [other] if isinstance(other, int) else resolve_copick_objects(other, root, object_type, name)
        if len(mine) > 1 or len(theirs) != 1:
            noun, form = _ONE[object_type]
            raise AnnotationError(
                f"In {name} the URIs name {len(mine)} and {len(theirs)} {noun}.", fix=f"name one with each: {form}"
            )
        found[name] = mine[0].diff(theirs[0])
    if not found:
        raise no_match(object_type, uri)
    return found
