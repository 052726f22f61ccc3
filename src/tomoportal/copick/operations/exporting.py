"""Exports by functions (``copick.ops.export``); see :mod:`tomoportal.copick.exchange`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tomoportal.copick.exchange.exporting_picks import (
    PicksExport,
    StarOptions,
    chosen_picks,
    picks_file,
    plan_picks_export,
    relion_filaments,
)
from tomoportal.copick.exchange.exporting_volumes import (
    VolumeExport,
    plan_segmentations_export,
    plan_tomograms_export,
    write_volume,
)
from tomoportal.copick.logs import get_logger
from tomoportal.copick.operations.mapping import map_runs
from tomoportal.copick.particles.index_maps import read_relion_tomograms
from tomoportal.copick.particles.relion_frames import (
    FilamentPolarity,
    check_relion_coordinates,
    check_relion_filament_options,
    filament_polarity,
)
from tomoportal.copick.tasks import Task, perform
from tomoportal.errors import AnnotationError
from tomoportal.formats.relion_particles import RelionTomogram
from tomoportal.formats.star import read_star
from tomoportal.storage import open_store

if TYPE_CHECKING:
    from tomoportal.copick.picks import CopickPicks
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun
    from tomoportal.copick.segmentations import CopickSegmentation
    from tomoportal.copick.tomograms import CopickTomogram

__all__ = [
    "RELION_LAYOUTS",
    "RelionExport",
    "export",
    "export_picks",
    "export_picks_combined",
    "export_relion_particles",
    "export_run",
    "export_segmentation",
    "export_tomogram",
]

RELION_LAYOUTS = ("particles", "import")
_STAR = (
    *("include_optics", "tilt_series_pixel_size", "filament_columns", "polarity_from_filaments", "filaments_uri"),
    *("tomo_type", "coordinates", "filament_angles"),
)


def _star(given: Mapping[str, Any], **more: Any) -> StarOptions:
    """The options of RELION's files among a function's arguments."""
    check_relion_coordinates(given["coordinates"])
    check_relion_filament_options(given["filament_angles"], given["half_sets"])
    file = given.get("tomograms_star")
    return StarOptions(
        tomograms=read_relion_tomograms(file) if file else {},
        half_sets=given["half_sets"] or "none",
        smallest_counts=True,
        **{name: given[name] for name in _STAR},
        **more,
    )


def _check_star_size(output_format: str, voxel_spacing: float | None) -> None:
    """Upstream's contract of two functions; :func:`export_relion_particles` and the command can do without."""
    if output_format.lower() == "star" and voxel_spacing is None:
        raise AnnotationError("voxel_spacing is required for STAR export.", fix="give it in Å")


def _do(tasks: Sequence[Task]) -> None:
    for _, error in perform(tasks, workers=1):
        if error is not None:
            raise error


@dataclass
class RelionExport:
    """What :func:`export_relion_particles` wrote: the file, for the import layout its ``files``, and counts by run."""

    path: str
    layout: str
    files: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    filament: bool = False
    polarity: dict[str, FilamentPolarity] = field(default_factory=dict)
    half_sets: dict[int, int] = field(default_factory=dict)


def export_picks(
    picks: CopickPicks,
    output_path: str,
    output_format: str,
    voxel_spacing: float | None = None,
    include_optics: bool = True,
    run_name: str | None = None,
    tomogram_index: int = 1,
    log: bool = False,
    tilt_series_pixel_size: float | None = None,
    tomograms_star: str | None = None,
    filament_columns: str = "auto",
    polarity_from_filaments: bool = True,
    filaments_uri: str | None = None,
    tomo_type: str | None = None,
    coordinates: str = "auto",
    filament_angles: Literal["frame", "pose"] = "frame",
    half_sets: Literal["filament"] | None = None,
) -> str:
    """One list of picks as a file; returns its path."""
    given = locals()
    _check_star_size(output_format, voxel_spacing)
    run = picks.run.name
    wanted = PicksExport("", output_format.lower(), voxel_spacing, {run: tomogram_index}, None, _star(given))
    path = Path(output_path)
    data = picks_file(picks.run.root, wanted, picks, run)
    open_store(path.absolute().parent, create=True).put(path.name, data)
    return output_path


def export_relion_particles(
    root: CopickRoot | str | os.PathLike[str],
    picks_uri: str,
    output_path: str,
    *,
    voxel_spacing: float | None = None,
    run_names: Sequence[str] | None = None,
    layout: str = "particles",
    tomo_type: str | None = None,
    tomogram_centers: Mapping[str, tuple[float, float, float]] | None = None,
    tilt_series_pixel_size: float | Mapping[str, float] | None = None,
    tomograms_star: str | None = None,
    coordinates: str = "auto",
    include_optics: bool = True,
    filament_columns: str = "auto",
    polarity_from_filaments: bool = True,
    filaments_uri: str | None = None,
    allow_empty: bool = False,
    filament_angles: Literal["frame", "pose"] = "frame",
    half_sets: Literal["filament"] | None = None,
) -> RelionExport:
    """Picks of many runs as a RELION particle file, or as its import of coordinates.

    Raises :class:`AnnotationError` for unknown runs, and where there are no picks unless ``allow_empty``.
    """
    given = locals()
    if layout not in RELION_LAYOUTS:
        raise AnnotationError(f"layout must be one of {RELION_LAYOUTS}, not {layout!r}")
    if isinstance(root, (str, os.PathLike)):
        from tomoportal.copick.opening import from_file

        root = from_file(root)
    star = _star(given, layout=layout)
    centres = {name: RelionTomogram(centre) for name, centre in (tomogram_centers or {}).items()}
    star = replace(star, tomograms={**star.tomograms, **centres})
    try:
        found = chosen_picks(root, picks_uri, run_names)
    except AnnotationError:
        if not allow_empty or any(root.get_run(name) is None for name in run_names or ()):
            raise
        found = {}
    found = {run: kept for run, many in found.items() if (kept := [picks for picks in many if len(picks.scores())])}
    names = [run.name for run in root.runs] if run_names is None else list(run_names)
    rows = {name: sum(len(picks.scores()) for picks in found.get(name, ())) for name in names}
    made = RelionExport(output_path, layout, rows=rows)
    path = Path(output_path)
    if not found:
        if not allow_empty:
            raise AnnotationError("No picks found to export", where=picks_uri)
        name, labels = "particles", tuple(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ")
        if layout == "import":
            name, labels = "coordinate_files", ("rlnTomoImportParticleFile",)
        columns = enumerate(("rlnTomoName", *labels), start=1)
        text = f"data_{name}\n\nloop_\n" + "".join(f"_{each} #{number}\n" for number, each in columns)
        open_store(path.absolute().parent, create=True).put(path.name, text.encode())
        return made
    wanted = PicksExport(picks_uri, "star", voxel_spacing, None, list(found), star)
    _do(plan_picks_export(root, wanted, output_file=path))
    if layout == "import":
        made.files = {name: (path.parent / "coordinates" / f"{name}.star").as_posix() for name in found}
    made.filament = relion_filaments(root, star, found) is not None
    if made.filament:
        for name, many in found.items():
            parts = [_polarity(picks, star) for picks in many]
            sources = sorted({part.source for part in parts if part.source})
            known, unknown = sum(part.known for part in parts), sum(part.unknown for part in parts)
            made.polarity[name] = FilamentPolarity(", ".join(sources) or None, known, unknown)
    if half_sets == "filament" and layout != "import":
        table = read_star(path.read_bytes(), path.name).table("particles")
        values = table.text("rlnRandomSubset") if table is not None else ()
        made.half_sets = {number: values.count(str(number)) for number in (1, 2)}
    return made


def _polarity(picks: CopickPicks, star: StarOptions) -> FilamentPolarity:
    if star.polarity_from_filaments:
        return filament_polarity(picks, star.filaments_uri)[1]
    return FilamentPolarity(None, 0, len(set(picks.instance_ids().tolist())))


def export_picks_combined(
    config: str | os.PathLike[str],
    output_file: str,
    picks_uri: str,
    output_format: str,
    voxel_spacing: float | None = None,
    run_names: Sequence[str] | None = None,
    run_to_index: Mapping[str, int] | None = None,
    include_optics: bool = True,
    log: bool = False,
    tilt_series_pixel_size: float | None = None,
    tomograms_star: str | None = None,
    filament_columns: str = "auto",
    polarity_from_filaments: bool = True,
    filaments_uri: str | None = None,
    tomo_type: str | None = None,
    coordinates: str = "auto",
    star_layout: str = "particles",
    filament_angles: Literal["frame", "pose"] = "frame",
    half_sets: Literal["filament"] | None = None,
) -> str:
    """The picks of many runs as one file; returns its path."""
    given = locals()
    from tomoportal.copick.opening import from_file

    _check_star_size(output_format, voxel_spacing)
    star = _star(given, layout=star_layout)
    wanted = PicksExport(picks_uri, output_format.lower(), voxel_spacing, run_to_index, run_names, star)
    _do(plan_picks_export(from_file(config), wanted, output_file=Path(output_file)))
    return output_file


def _volume(
    entity: Any, output_path: str, output_format: str, level: int, compression: str | None, every: bool, channel: Any
) -> str:
    path = Path(output_path).absolute()
    wanted = VolumeExport("", output_format.lower(), level, every, compression or "none", None, channel)  # type: ignore[arg-type]
    write_volume(entity, path.parent, path.name, wanted)
    return output_path


def export_tomogram(
    tomogram: CopickTomogram,
    output_path: str,
    output_format: str,
    level: int = 0,
    compression: str | None = None,
    copy_all_levels: bool = True,
    log: bool = False,
) -> str:
    """A tomogram as MRC, TIFF, EM or OME-Zarr; returns the path."""
    return _volume(tomogram, output_path, output_format, level, compression, copy_all_levels, None)


def export_segmentation(
    segmentation: CopickSegmentation,
    output_path: str,
    output_format: str,
    level: int = 0,
    compression: str | None = None,
    copy_all_levels: bool = True,
    log: bool = False,
    channel: str | None = None,
) -> str:
    """A segmentation as MRC, TIFF, EM or OME-Zarr, every label unchanged; returns the path."""
    return _volume(segmentation, output_path, output_format, level, compression, copy_all_levels, channel)


def export_run(
    run: CopickRun,
    output_dir: str,
    picks_uri: str | None = None,
    segmentation_uri: str | None = None,
    tomogram_uri: str | None = None,
    output_format: str | None = None,
    voxel_spacing: float | None = None,
    level: int = 0,
    compression: str | None = None,
    include_optics: bool = True,
    run_to_index: Mapping[str, int] | None = None,
    log: bool = False,
    tilt_series_pixel_size: float | None = None,
    tomograms_star: str | None = None,
    filament_columns: str = "auto",
    channel: str | None = None,
    polarity_from_filaments: bool = True,
    filaments_uri: str | None = None,
    tomo_type: str | None = None,
    coordinates: str = "auto",
    filament_angles: Literal["frame", "pose"] = "frame",
    half_sets: Literal["filament"] | None = None,
) -> dict[str, Any]:
    """What the URIs name in one run: counts of ``picks``, ``segmentations``, ``tomograms``, and ``errors``."""
    given = locals()
    found: dict[str, Any] = {"picks": 0, "segmentations": 0, "tomograms": 0, "errors": []}
    kind, folder, names = str(output_format), Path(output_dir), [run.name]
    volume = (kind, level, True, compression or "none", names)
    try:
        plans: dict[str, Sequence[Task]] = {}
        if picks_uri:
            wanted = PicksExport(picks_uri, kind, voxel_spacing, run_to_index, names, _star(given))
            plans["picks"] = plan_picks_export(run.root, wanted, output_dir=folder)
        if segmentation_uri:
            labels = VolumeExport(segmentation_uri, *volume, channel)  # type: ignore[arg-type]
            plans["segmentations"] = plan_segmentations_export(run.root, labels, folder)
        if tomogram_uri:
            plans["tomograms"] = plan_tomograms_export(run.root, VolumeExport(tomogram_uri, *volume), folder)  # type: ignore[arg-type]
    except (OSError, ValueError) as error:
        return {**found, "errors": [f"Error exporting {run.name}: {error}"]}
    for what, tasks in plans.items():
        done: dict[str, bool] = {}  # a panoptic segmentation is one, in however many files
        for task, problem in perform(tasks, workers=1):
            done[task.source] = done.get(task.source, True) and problem is None
            if problem is not None:
                found["errors"].append(f"Error exporting {what}: {task.what}: {problem}")
        found[what] = sum(done.values())
    return found


def export(
    config: str | os.PathLike[str],
    output_dir: str,
    run_names: Sequence[str] | None = None,
    picks_uri: str | None = None,
    segmentation_uri: str | None = None,
    tomogram_uri: str | None = None,
    output_format: str | None = None,
    voxel_spacing: float | None = None,
    level: int = 0,
    compression: str | None = None,
    include_optics: bool = True,
    run_to_index: Mapping[str, int] | None = None,
    n_workers: int = 8,
    log: bool = False,
    tilt_series_pixel_size: float | None = None,
    tomograms_star: str | None = None,
    filament_columns: str = "auto",
    channel: str | None = None,
    polarity_from_filaments: bool = True,
    filaments_uri: str | None = None,
    tomo_type: str | None = None,
    coordinates: str = "auto",
    filament_angles: Literal["frame", "pose"] = "frame",
    half_sets: Literal["filament"] | None = None,
) -> list[str]:
    """What the URIs name in many runs; returns what went wrong, nothing if all went well."""
    given = {name: value for name, value in locals().items() if name not in ("config", "run_names", "n_workers")}
    from tomoportal.copick.opening import from_file

    root = from_file(config)
    names = [run.name for run in root.runs] if run_names is None else list(run_names)
    results = map_runs(export_run, root, names, n_workers, show_progress=False, **given)
    errors = [str(error) for error in results.errors.values()]
    errors += [error for result in results.values() if result for error in result["errors"]]
    for error in errors:
        get_logger("tomoportal.copick").error("%s", error)
    return errors
