"""Tomograms and segmentations from files, as tasks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.exchange.files import RunFile, missing_runs, run_files
from tomoportal.copick.exchange.panoptic_files import both_channels, check_channels, panoptic_name, panoptic_spacing
from tomoportal.copick.exchange.volume_files import (
    OrientedVolume,
    axes_of,
    check_pyramid,
    open_file,
    read_whole,
    spacing_of,
    store_tomogram,
)
from tomoportal.copick.labels import label_dtype
from tomoportal.copick.names import checked_name
from tomoportal.copick.objects import unknown_object
from tomoportal.copick.root import CopickRoot
from tomoportal.copick.runs import CopickRun
from tomoportal.copick.segmentations import CopickSegmentation
from tomoportal.copick.tasks import Action, Task, refuse
from tomoportal.copick.tomograms import CopickTomogram
from tomoportal.copick.volumes import ALL, StoredVolume
from tomoportal.errors import AnnotationError, Problem, TomoportalError

__all__ = ["Pyramid", "VolumeOptions", "plan_segmentations", "plan_tomograms", "plan_tomograms_of"]


@dataclass(frozen=True)
class VolumeOptions:
    """How volumes are read: type, voxel size in Å over the header's, axes; whether they replace others, make runs."""

    file_type: str | None = None
    voxel_size: float | None = None
    transpose: str | None = None
    flip: str | None = None
    overwrite: bool = False
    create: bool = True


@dataclass(frozen=True)
class Pyramid:
    """How many levels a tomogram gets, and its chunks ``(z, y, x)``."""

    levels: int = 3
    chunks: tuple[int, int, int] = (128, 128, 128)


def plan_tomograms(
    root: CopickRoot,
    pattern: str,
    tomo_type: str,
    *,
    run: str = "",
    run_regex: str = "(.*)",
    run_name_prefix: str = "",
    options: VolumeOptions | None = None,
    pyramid: Pyramid | None = None,
) -> list[Task]:
    """One file per run. Raises :class:`AnnotationError` with all problems."""
    files, problems, skipped = run_files(pattern, run=run, run_regex=run_regex, run_name_prefix=run_name_prefix)
    tasks = plan_tomograms_of(root, files, tomo_type, options=options, pyramid=pyramid, problems=problems)
    return [*skipped, *tasks]


def plan_tomograms_of(
    root: CopickRoot,
    files: Sequence[RunFile],
    tomo_type: str,
    *,
    options: VolumeOptions | None = None,
    pyramid: Pyramid | None = None,
    problems: Sequence[Problem] = (),
    voxel_sizes: dict[str, float] | None = None,
) -> list[Task]:
    """Files whose runs are known; ``voxel_sizes`` in Å by run, where a list states them."""
    options, pyramid = options or VolumeOptions(), pyramid or Pyramid()
    tomo_type = checked_name(tomo_type, "tomogram type", strict=bool(root.config.strict))
    axes_of(options.transpose, options.flip)
    check_pyramid(pyramid.levels, pyramid.chunks)
    found = [*problems, *missing_runs(root, [each.run for each in files], create=options.create)]
    tasks = []
    for each in files:
        try:
            size = options.voxel_size or (voxel_sizes or {}).get(each.run)
            tasks.append(_tomogram(root, each, tomo_type, size, options, pyramid))
        except TomoportalError as error:
            found.append(Problem(str(each.path), error.what, error.fix))
    refuse(found, "These tomograms cannot be added")
    return tasks


def _tomogram(
    root: CopickRoot, file: RunFile, tomo_type: str, size: float | None, options: VolumeOptions, pyramid: Pyramid
) -> Task:
    with closing(open_file(file.path, options.file_type)) as volume:
        spacing = spacing_of(volume, size)
    known = _known_tomogram(root.get_run(file.run), spacing, tomo_type)
    what = f"{file.run} {tomo_type}@{spacing:g}"
    if known is not None and not options.overwrite:
        if _is_stored(known, file.path, options):  # an interrupted addition is continued
            return Task("keep", what, file.run, lambda: None, str(file.path))
        raise AnnotationError(
            f"{file.run} has a tomogram {tomo_type}@{spacing} already.", fix="use another --tomo-type, or --overwrite"
        )

    def store() -> None:
        with _oriented(file.path, options) as source:
            place = root.new_run(file.run, exist_ok=True).new_voxel_spacing(spacing, exist_ok=True)
            made = place.new_tomogram(tomo_type, exist_ok=True)
            store_tomogram(made, source, levels=pyramid.levels, chunks=pyramid.chunks)

    action: Action = "create" if known is None else "replace"
    return Task(action, what, file.run, store, str(file.path))


def _oriented(path: Path, options: VolumeOptions) -> closing[OrientedVolume]:
    """A file's volume with its axes as they were asked for, until the end of the block."""
    order, flipped = axes_of(options.transpose, options.flip)
    return closing(OrientedVolume(open_file(path, options.file_type), order, flipped))


def _is_stored(known: StoredVolume, path: Path, options: VolumeOptions) -> bool:
    """Whether the finest level has the voxels of a file; looked at slab by slab."""
    with _oriented(path, options) as volume:
        array = known._folder.array("0")
        if array.shape != volume.shape:
            return False
        step = array.chunks[0]
        for start in range(0, volume.shape[0], step):
            stored = known._folder.read("0", (slice(start, start + step), ALL, ALL))
            if not np.array_equal(stored, volume.read(start, min(start + step, volume.shape[0])).astype(array.dtype)):
                return False
        return True


def _known_tomogram(run: CopickRun | None, spacing: float, tomo_type: str) -> CopickTomogram | None:
    """A tomogram with voxels; one without (interrupted, or just made) may be filled."""
    found = run.get_voxel_spacing(spacing) if run is not None else None
    known = next(iter(found.get_tomograms(tomo_type)), None) if found is not None else None
    return None if known is None or known._folder.is_empty() else known


def plan_segmentations(
    root: CopickRoot,
    pattern: str,
    name: str,
    *,
    kind: str = "multilabel",
    user_id: str = "copick",
    session_id: str = "1",
    run: str = "",
    run_regex: str = "(.*)",
    run_name_prefix: str = "",
    options: VolumeOptions | None = None,
) -> list[Task]:
    """Label volumes, one file per run, as segmentations of the type ``kind``.

    Raises :class:`AnnotationError` with all problems; labels that cannot be stored are found when they are read.
    """
    options = options or VolumeOptions()
    strict = bool(root.config.strict)
    user, session = (checked_name(user_id, "user_id", strict=strict), checked_name(session_id, "session_id"))
    name = checked_name(name, "name", strict=strict)
    axes_of(options.transpose, options.flip)
    if kind == "panoptic":
        check_channels(pattern, options.file_type)
    name_of = panoptic_name if kind == "panoptic" else None
    files, problems, tasks = run_files(
        pattern, run=run, run_regex=run_regex, run_name_prefix=run_name_prefix, name_of=name_of
    )
    problems += missing_runs(root, [each.run for each in files], create=options.create)
    if kind in ("binary", "instance") and root.get_object(name) is None:
        error = unknown_object(root, name, f" ({kind} segmentations are named after one)")
        problems.append(Problem(name, error.what, error.fix))
    for each in files:
        try:
            tasks.append(_segmentation(root, each, (kind, name, user, session), options))
        except TomoportalError as error:
            problems.append(Problem(str(each.path), error.what, error.fix))
    refuse(problems, "These segmentations cannot be added")
    return tasks


def _segmentation(root: CopickRoot, file: RunFile, names: tuple[str, str, str, str], options: VolumeOptions) -> Task:
    kind, name, user, session = names
    if kind == "panoptic":
        spacing = panoptic_spacing(file.path, options.file_type, options.voxel_size)
    else:
        with closing(open_file(file.path, options.file_type)) as volume:
            spacing = spacing_of(volume, options.voxel_size)
    known = _known_segmentation(root.get_run(file.run), spacing, names)
    uri = f"{name}:{user}/{session}@{spacing:g}" + ("" if kind == "binary" else f"?{kind}=true")
    if known is not None and not options.overwrite:
        if _has_labels(known, file.path, kind, options):
            return Task("keep", f"{file.run} {uri}", file.run, lambda: None, str(file.path))
        raise AnnotationError(f"{file.run} has {uri} already.", fix="use another --session-id, or --overwrite")

    def store() -> None:
        place = root.new_run(file.run, exist_ok=True)
        flags = {"is_multilabel": kind == "multilabel", "is_instance": kind == "instance"}
        made = place.new_segmentation(
            spacing, name, session, user_id=user, exist_ok=True, is_panoptic=kind == "panoptic", **flags
        )
        made.from_numpy(_labels(file.path, kind, options))

    return Task("create" if known is None else "replace", f"{file.run} {uri}", file.run, store, str(file.path))


def _has_labels(known: CopickSegmentation, path: Path, kind: str, options: VolumeOptions) -> bool:
    """Whether an addition that was interrupted stored this file already."""
    if kind == "panoptic":
        return np.array_equal(known.numpy(), _labels(path, kind, options))
    return _is_stored(known, path, options)


def _labels(path: Path, kind: str, options: VolumeOptions) -> NDArray[Any]:
    if kind == "panoptic":
        order, flipped = axes_of(options.transpose, options.flip)
        both = both_channels(path, options.file_type).transpose((0, *(axis + 1 for axis in order)))
        labels: NDArray[Any] = np.flip(both, tuple(axis + 1 for axis in flipped)) if flipped else both
        return labels
    with _oriented(path, options) as volume:
        labels = read_whole(volume)
    if kind == "binary" and int(labels.max()) > 1:
        label_dtype(labels)  # says what is wrong with values that are no labels at all
        raise AnnotationError(
            f"A binary segmentation holds 0 and 1; this volume reaches {labels.max()}.",
            where=str(path),
            fix="add it as --segmentation-type multilabel or instance",
        )
    return labels


def _known_segmentation(
    run: CopickRun | None, spacing: float, names: tuple[str, str, str, str]
) -> CopickSegmentation | None:
    kind, name, user, session = names
    known = run._same_segmentation(spacing, user, session, name, kind) if run is not None else None
    return None if known is None or known._folder.is_empty() else known
