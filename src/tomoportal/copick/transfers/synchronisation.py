"""One project's picks, meshes, segmentations and tomograms into another, as tasks (``copick sync``).

Runs, objects, users and names may have other names in the target. Objects that the target has not are made there, and
its config is saved; where their labels are taken they get others, and the values of multilabel and panoptic volumes
follow (C104). What is in the way fails that task, unless it is the same already or ``exist_ok`` replaces it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from tomoportal.copick.documents import RunDocument
from tomoportal.copick.names import voxel_key, voxel_spacing_folder
from tomoportal.copick.root import CopickRoot
from tomoportal.copick.runs import CopickRun
from tomoportal.copick.segmentations import CopickSegmentation
from tomoportal.copick.tasks import Action, Task
from tomoportal.copick.transfers.copies import (
    Names,
    copy_document,
    copy_objects,
    copy_segmentation,
    is_empty_document,
    is_same_document,
    is_same_segmentation,
    mapped_labels,
)
from tomoportal.copick.zarr_copies import copy_folder, same_folder
from tomoportal.errors import AnnotationError

__all__ = ["Sync", "plan_documents_sync", "plan_segmentations_sync", "plan_tomograms_sync"]


@dataclass(frozen=True)
class Sync:
    """What goes where. Lists that are None mean all; maps say the names in the target where they are others."""

    source: CopickRoot
    target: CopickRoot
    target_config: str | os.PathLike[str] | None
    """Where the target's config is saved when it gets objects; None if it shall get none."""
    source_runs: Collection[str] | None = None
    target_runs: Mapping[str, str] = field(default_factory=dict)
    source_names: Collection[str] | None = None
    """Objects; of segmentations their names; of tomograms their types."""
    target_names: Mapping[str, str] = field(default_factory=dict)
    source_users: Collection[str] | None = None
    target_users: Mapping[str, str] = field(default_factory=dict)
    voxel_sizes: Collection[float] | None = None
    exist_ok: bool = False

    def runs(self) -> list[tuple[CopickRun, str]]:
        """The runs of the source, and their names in the target. Raises :class:`AnnotationError` for unknown ones."""
        names = self.source_runs if self.source_runs is not None else [run.name for run in self.source.runs]
        found = []
        for name in names:
            run = self.source.get_run(name)
            if run is None:
                raise AnnotationError(f"The source has no run {name}.", fix="correct --source-runs")
            found.append((run, self.target_runs.get(name, name)))
        return found

    def has(self, name: str, user: str | None) -> bool:
        return (self.source_names is None or name in self.source_names) and (
            user is None or self.source_users is None or user in self.source_users
        )

    def is_sized(self, size: float) -> bool:
        return self.voxel_sizes is None or voxel_key(size) in {voxel_key(each) for each in self.voxel_sizes}

    def target_run(self, name: str) -> CopickRun:
        """The run of the target, which is made if it is not there."""
        return self.target.new_run(name, exist_ok=True)


class _Objects:
    """The objects that the target gets, made and saved once, by whichever task is first."""

    def __init__(self, sync: Sync) -> None:
        self._sync, self._lock = sync, Lock()
        self._wanted: dict[str, str] = {}
        self._labels: dict[str, int] = {}
        self._done = False

    def want(self, name: str) -> AnnotationError | None:
        """Note that an object is needed; why it cannot be had, if so."""
        target = self._sync.target_names.get(name, name)
        if self._sync.target.get_object(target) is None:
            if self._sync.target_config is None:
                return AnnotationError(f"Object name {target} not found in pickable objects.", fix="add it first")
            if self._sync.source.get_object(name) is None:
                return AnnotationError(
                    f"Object name {name} not found in the source project.", fix="add it to the source's config"
                )
            self._wanted.setdefault(target, name)
        return None

    def tasks(self) -> list[Task]:
        return [Task("create", f"object {target}", "", self.make, source) for target, source in self._wanted.items()]

    def make(self) -> None:
        with self._lock:
            if self._done or not self._wanted:
                return
            copy_objects(self._sync.source, self._sync.target, self._wanted)
            self._sync.target.save_config(self._sync.target_config or "")
            self._done = True

    def labels(self) -> dict[int, int]:
        """The target's label of each label of the source."""
        found = {}
        for each in self._sync.source.pickable_objects:
            target = self._sync.target.get_object(self._sync.target_names.get(each.name, each.name))
            if each.label is not None and target is not None and target.label is not None:
                found[each.label] = target.label
        return found


def _blocked(what: str, run: str, error: AnnotationError) -> Task:
    return Task("copy", what, run, lambda: None, "", error)


def _taken() -> AnnotationError:
    return AnnotationError("The target has another one already.", fix="say --exist-ok to replace it")


def _distinct(tasks: Sequence[Task]) -> list[Task]:
    """Of two things that would become one in the target, only the first is copied; the other fails."""
    seen: set[str] = set()
    found = []
    for task in tasks:
        if task.what in seen:
            error = AnnotationError("Two things of the source would become this one.", fix="correct the maps of names")
            task = _blocked(task.what, task.run, error)
        seen.add(task.what)
        found.append(task)
    return found


def _with_runs(sync: Sync, tasks: list[Task]) -> list[Task]:
    """The tasks, and the runs that none of them makes: the target has every run of the source afterwards."""
    filled = {task.run for task in tasks if task.problem is None}
    names = dict.fromkeys(name for _, name in sync.runs() if name not in filled)
    return [*(_run(sync, name) for name in names if sync.target.get_run(name) is None), *tasks]


def _run(sync: Sync, name: str) -> Task:
    def make() -> None:
        sync.target_run(name)

    return Task("create", f"run {name}", name, make)


def plan_documents_sync(sync: Sync, kind: str) -> list[Task]:
    """``kind`` is picks or meshes."""
    objects = _Objects(sync)
    tasks = []
    for run, target_run in sync.runs():
        documents: Sequence[RunDocument] = run.picks if kind == "picks" else run.meshes
        tasks += [
            _document(sync, objects, each, target_run, kind)
            for each in documents
            if sync.has(each.pickable_object_name, each.user_id)
        ]
    return [*objects.tasks(), *_with_runs(sync, _distinct(tasks))]


def _document(sync: Sync, objects: _Objects, source: RunDocument, target_run: str, kind: str) -> Task:
    names = Names(
        sync.target_names.get(source.pickable_object_name, source.pickable_object_name),
        sync.target_users.get(source.user_id, source.user_id),
        source.session_id,
    )
    what = f"{target_run} {names.name}:{names.user_id}/{names.session_id}"
    problem = objects.want(source.pickable_object_name)
    if problem is not None:
        return _blocked(what, target_run, problem)
    place = sync.target.get_run(target_run)
    known: RunDocument | None = None
    if place is not None:
        getter: Callable[..., Sequence[RunDocument]] = place.get_picks if kind == "picks" else place.get_meshes
        known = next(iter(getter(names.name, names.user_id, names.session_id)), None)
    if known is not None:
        if place is not None and is_same_document(source, place, names, known):
            return Task("keep", what, target_run, lambda: None)
        if not sync.exist_ok and not is_empty_document(known):
            return _blocked(what, target_run, _taken())

    def do() -> None:
        objects.make()
        copy_document(source, sync.target_run(target_run), names, known)

    action: Action = "copy" if known is None else "replace"
    return Task(action, what, target_run, do, source.path)


def plan_segmentations_sync(sync: Sync, kinds: Collection[str] = ("binary", "multilabel")) -> list[Task]:
    """Segmentations of the types ``kinds``, with the labels of the target's objects."""
    objects = _Objects(sync)
    tasks = []
    for run, target_run in sync.runs():
        for each in run.segmentations:
            wanted = each.segmentation_type in kinds and sync.has(each.name, each.user_id)
            if wanted and sync.is_sized(each.voxel_size):
                tasks.append(_segmentation(sync, objects, each, target_run))
    return [*objects.tasks(), *_with_runs(sync, _distinct(tasks))]


def _segmentation(sync: Sync, objects: _Objects, source: CopickSegmentation, target_run: str) -> Task:
    names = Names(
        sync.target_names.get(source.name, source.name),
        sync.target_users.get(source.user_id, source.user_id),
        source.session_id,
    )
    kind = "" if source.segmentation_type == "binary" else f"?{source.segmentation_type}=true"
    what = f"{target_run} {names.name}:{names.user_id}/{names.session_id}@{source.voxel_size:g}{kind}"
    has_labels = source.is_multilabel or source.is_panoptic
    for name in _labelled(source) if has_labels else [source.name]:
        problem = objects.want(name)
        if problem is not None:
            return _blocked(what, target_run, problem)
    place = sync.target.get_run(target_run)
    known: CopickSegmentation | None = None
    if place is not None:
        known = place._same_segmentation(
            source.voxel_size, names.user_id, names.session_id, names.name, source.segmentation_type
        )
    if known is not None and not known._folder.is_empty():
        if _is_same(sync, objects, source, known, has_labels):
            return Task("keep", what, target_run, lambda: None)
        if not sync.exist_ok:
            return _blocked(what, target_run, _taken())

    def do() -> None:
        objects.make()
        labels = objects.labels() if has_labels else {}
        changed = {old: new for old, new in labels.items() if old != new}
        copy_segmentation(source, sync.target_run(target_run), names, labels=labels if changed else None)

    action: Action = "copy" if known is None else "replace"
    return Task(action, what, target_run, do, source.path)


def _labelled(source: CopickSegmentation) -> list[str]:
    """The objects whose labels the source's config gives: those that the volume may hold."""
    return [each.name for each in source.run.root.pickable_objects if each.label is not None]


def _is_same(
    sync: Sync, objects: _Objects, source: CopickSegmentation, known: CopickSegmentation, has_labels: bool
) -> bool:
    labels = objects.labels() if has_labels else {}
    if all(old == new for old, new in labels.items()):
        return is_same_segmentation(source, known)
    try:
        mapped: Any = mapped_labels(source.numpy(), labels, is_panoptic=source.is_panoptic)
    except AnnotationError:
        return False
    voxels = known.numpy()
    return bool(mapped.shape == voxels.shape and (mapped == voxels).all())


def plan_tomograms_sync(sync: Sync) -> list[Task]:
    """Tomograms with all levels; ``source_names`` are types."""
    tasks = []
    for run, target_run in sync.runs():
        for spacing in run.voxel_spacings:
            if not sync.is_sized(spacing.voxel_size):
                continue
            tomograms = [each for each in spacing.tomograms if sync.has(each.tomo_type, None)]
            tasks += [_tomogram(sync, each, target_run) for each in tomograms]
            if not tomograms:
                tasks += _spacing(sync, spacing.voxel_size, target_run)
    return _with_runs(sync, _distinct(tasks))


def _spacing(sync: Sync, size: float, target_run: str) -> list[Task]:
    """A voxel spacing without tomograms, if the target has it not."""
    run = sync.target.get_run(target_run)
    if run is not None and run.get_voxel_spacing(size) is not None:
        return []

    def make() -> None:
        sync.target_run(target_run).new_voxel_spacing(size, exist_ok=True)

    return [Task("create", f"{target_run} {voxel_spacing_folder(size)}", target_run, make)]


def _tomogram(sync: Sync, source: Any, target_run: str) -> Task:
    tomo_type = sync.target_names.get(source.tomo_type, source.tomo_type)
    size = source.voxel_spacing.voxel_size
    what = f"{target_run} {tomo_type}@{size:g}"
    run = sync.target.get_run(target_run)
    spacing = run.get_voxel_spacing(size) if run is not None else None
    known = next(iter(spacing.get_tomograms(tomo_type)), None) if spacing is not None else None
    if known is not None and not known._folder.is_empty():
        if same_folder(source._source.store, source._key, known._source.store, known._key):
            return Task("keep", what, target_run, lambda: None)
        if not sync.exist_ok:
            return _blocked(what, target_run, _taken())

    def do() -> None:
        place = sync.target_run(target_run).new_voxel_spacing(size, exist_ok=True)
        made = place.new_tomogram(tomo_type, exist_ok=True)
        copy_folder(source._source.store, source._key, made._source.store, made._key)

    action: Action = "copy" if known is None else "replace"
    return Task(action, what, target_run, do, source._folder.where)
