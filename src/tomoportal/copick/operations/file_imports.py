"""Additions to a project from files (``copick.ops.add``); see :mod:`tomoportal.copick.exchange`.

``exist_ok`` and ``overwrite`` both replace what is there; a file whose content is there already changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tomoportal.copick.exchange.importing import PicksTarget, plan_picks, plan_picks_of_many_runs
from tomoportal.copick.exchange.importing_volumes import Pyramid, VolumeOptions, plan_segmentations, plan_tomograms
from tomoportal.copick.exchange.volume_files import open_file, spacing_of
from tomoportal.copick.names import sanitize_name
from tomoportal.copick.particles.files import ReadOptions, particle_type
from tomoportal.copick.particles.index_maps import read_relion_tomograms
from tomoportal.copick.pyramids import CHUNK
from tomoportal.copick.tasks import Task, perform
from tomoportal.errors import AnnotationError
from tomoportal.formats.relion_particles import RelionTomogram

if TYPE_CHECKING:
    from tomoportal.copick.picks import CopickPicks
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun
    from tomoportal.copick.segmentations import CopickSegmentation
    from tomoportal.copick.tomograms import CopickTomogram

__all__ = [
    "add_picks",
    "add_picks_from_file",
    "add_picks_grouped_from_file",
    "add_segmentation",
    "add_segmentation_from_file",
    "add_tomogram_from_file",
    "z_add_tomogram_mrc",
]

_CHUNKS = (CHUNK, CHUNK, CHUNK)
_TYPES = {"tbl": "dynamo", "tif": "tiff", "rec": "mrc", "map": "mrc"}


def _do(tasks: Sequence[Task]) -> None:
    for _, error in perform(tasks, workers=1):
        if error is not None:
            raise error


def _run(root: CopickRoot, name: str) -> CopickRun:
    run = root.get_run(name)
    if run is None:
        raise AnnotationError(f"Could not find run {name}.")
    return run


def add_tomogram_from_file(
    root: CopickRoot,
    run_name: str,
    tomo_type: str,
    file_path: str,
    voxel_spacing: float | None = None,
    file_type: str | None = None,
    create_pyramid: bool = True,
    pyramid_levels: int = 3,
    chunks: Sequence[int] = _CHUNKS,
    transpose: str | None = None,
    flip: str | None = None,
    create: bool = True,
    exist_ok: bool = False,
    overwrite: bool = False,
    log: bool = False,
) -> CopickTomogram:
    """A tomogram from an MRC, EM or TIFF file or OME-Zarr folder; ``voxel_spacing`` (Å) counts over the header's."""
    file_type = _TYPES.get(file_type or "", file_type)
    z, y, x = chunks
    options = VolumeOptions(file_type, voxel_spacing, transpose, flip, overwrite or exist_ok, create)
    pyramid = Pyramid(pyramid_levels if create_pyramid else 1, (z, y, x))
    _do(plan_tomograms(root, file_path, tomo_type, run=run_name, options=options, pyramid=pyramid))
    with closing(open_file(Path(file_path), file_type)) as volume:
        spacing = _run(root, run_name).get_voxel_spacing(spacing_of(volume, voxel_spacing))
    assert spacing is not None
    return spacing.get_tomograms(sanitize_name(tomo_type, suppress_warnings=True))[0]


def z_add_tomogram_mrc(
    root: CopickRoot,
    run: str,
    tomo_type: str,
    volume_file: str,
    voxel_spacing: float | None = None,
    create: bool = True,
    exist_ok: bool = False,
    overwrite: bool = False,
    create_pyramid: bool = False,
    pyramid_levels: int = 3,
    chunks: Sequence[int] = _CHUNKS,
    transpose: str | None = None,
    flip: str | None = None,
    meta: dict[str, Any] | None = None,
    log: bool = False,
) -> CopickTomogram:
    """A tomogram from an MRC file; the former name of :func:`add_tomogram_from_file`."""
    return add_tomogram_from_file(
        root, run, tomo_type, volume_file, voxel_spacing, "mrc", create_pyramid, pyramid_levels, chunks, transpose,
        flip, create, exist_ok, overwrite, log,
    )  # fmt: skip


def add_segmentation_from_file(
    root: CopickRoot,
    run_name: str,
    file_path: str,
    voxel_spacing: float | None,
    name: str,
    user_id: str,
    session_id: str,
    file_type: str | None = None,
    multilabel: bool | None = None,
    instance: bool = False,
    panoptic: bool = False,
    transpose: str | None = None,
    flip: str | None = None,
    create: bool = True,
    exist_ok: bool = False,
    overwrite: bool = False,
    log: bool = False,
) -> CopickSegmentation:
    """A segmentation from a file of labels; multilabel unless a type is named."""
    kind = "instance" if instance else "panoptic" if panoptic else "binary" if multilabel is False else "multilabel"
    file_type = _TYPES.get(file_type or "", file_type)
    options = VolumeOptions(file_type, voxel_spacing, transpose, flip, overwrite or exist_ok, create)
    names = {"kind": kind, "user_id": user_id, "session_id": session_id, "run": run_name}
    _do(plan_segmentations(root, file_path, name, options=options, **names))
    clean = [sanitize_name(each, suppress_warnings=True) for each in (user_id, session_id, name)]
    found = _run(root, run_name).get_segmentations(
        clean[0], clean[1], kind == "multilabel", clean[2], voxel_spacing, is_instance=instance, is_panoptic=panoptic
    )
    return found[-1]


def add_segmentation(
    root: CopickRoot,
    run: str,
    mask_path: str,
    voxel_spacing: float,
    name: str,
    user_id: str,
    session_id: str,
    multilabel: bool = False,
    instance: bool = False,
    panoptic: bool = False,
    transpose: str | None = None,
    flip: str | None = None,
    create: bool = True,
    exist_ok: bool = False,
    overwrite: bool = False,
    log: bool = False,
) -> CopickSegmentation:
    """A segmentation from a file; binary unless a type is named."""
    return add_segmentation_from_file(
        root, run, mask_path, voxel_spacing, name, user_id, session_id, None, multilabel, instance, panoptic, transpose,
        flip, create, exist_ok, overwrite, log,
    )  # fmt: skip


def add_picks_from_file(
    root: CopickRoot,
    run_name: str,
    file_path: str,
    object_name: str,
    user_id: str,
    session_id: str,
    voxel_spacing: float | None = None,
    file_type: str | None = None,
    create: bool = True,
    exist_ok: bool = False,
    overwrite: bool = False,
    log: bool = False,
    tilt_series_pixel_size: float | None = None,
    tomograms_star: str | None = None,
    relion_version: str | None = None,
) -> CopickPicks:
    """Picks of one run from a file in any format that is read."""
    target = PicksTarget(object_name, user_id, session_id, overwrite or exist_ok, create)
    options = ReadOptions(
        voxel_spacing,
        tilt_series_pixel_size,
        read_relion_tomograms(tomograms_star) if tomograms_star else {},
        relion_version=relion_version or "auto",  # type: ignore[arg-type]
    )
    kind = _TYPES.get(file_type or "", file_type)
    if kind == "csv":
        options = replace(options, voxel_size=None)  # these tables are in Å
    _do(plan_picks(root, file_path, target, file_type=kind, run=run_name, options=options))
    target = target.checked(root)
    return _run(root, run_name).get_picks(object_name, target.user_id, target.session_id)[0]


def add_picks(
    root: CopickRoot,
    run_name: str,
    path: str,
    object_name: str,
    user_id: str,
    session_id: str,
    voxel_spacing: float,
    file_type: str | None = None,
    tomogram_dimensions: tuple[int, int, int] | None = None,
    create: bool = True,
    exist_ok: bool = False,
    overwrite: bool = False,
    log: bool = False,
) -> CopickPicks:
    """Picks of one run from a file; the former name of :func:`add_picks_from_file`."""
    return add_picks_from_file(
        root, run_name, path, object_name, user_id, session_id, voxel_spacing, file_type, create, exist_ok, overwrite
    )


def add_picks_grouped_from_file(
    root: CopickRoot,
    file_path: str,
    object_name: str,
    user_id: str,
    session_id: str,
    voxel_spacing: float,
    index_to_run: Mapping[int, str],
    file_type: str | None = None,
    tomo_index_row: int = 4,
    create: bool = True,
    exist_ok: bool = False,
    overwrite: bool = False,
    log: bool = False,
    tomogram_centers: Mapping[str, tuple[float, float, float]] | None = None,
    relion_version: str | None = None,
    tilt_series_pixel_size: float | None = None,
    tomograms: Mapping[str, Any] | None = None,
) -> dict[str, CopickPicks]:
    """Picks of many runs from one file: run → picks. ``tomograms`` know centre and pixel size of each run, in Å."""
    known = {name: RelionTomogram(tuple(centre)) for name, centre in (tomogram_centers or {}).items()}  # type: ignore[arg-type]
    for name, each in (tomograms or {}).items():
        centre = each.centre if isinstance(each, RelionTomogram) else tuple(each.center_angstrom)
        pixel = each.pixel_size if isinstance(each, RelionTomogram) else each.tilt_series_pixel_size
        known[name] = RelionTomogram(centre, pixel)
    target = PicksTarget(object_name, user_id, session_id, overwrite or exist_ok, create)
    options = ReadOptions(
        voxel_spacing,
        tilt_series_pixel_size,
        known,
        relion_version=relion_version or "auto",  # type: ignore[arg-type]
        tomogram_row=tomo_index_row,
    )
    kind = _TYPES.get(file_type or "", file_type) or particle_type(Path(file_path))
    if kind == "csv":
        options = replace(options, voxel_size=None)
    tasks = plan_picks_of_many_runs(root, file_path, target, file_type=kind, options=options, index_map=index_to_run)
    _do(tasks)
    target = target.checked(root)
    return {
        task.run: _run(root, task.run).get_picks(object_name, target.user_id, target.session_id)[0] for task in tasks
    }
