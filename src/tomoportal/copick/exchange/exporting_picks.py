"""Picks into the particle lists of other programs, as tasks: one file per run, or all runs in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from tomoportal.copick.exchange.tomogram_grids import differing_centres, project_tomograms, tomogram_shapes
from tomoportal.copick.names import checked_voxel_size
from tomoportal.copick.particles.relion_frames import filament_polarity_known
from tomoportal.copick.picks import CopickPicks
from tomoportal.copick.root import CopickRoot
from tomoportal.copick.tasks import Task, refuse
from tomoportal.copick.uri import resolve_copick_objects
from tomoportal.errors import AnnotationError, Problem
from tomoportal.formats.copick_csv import write_copick_csv
from tomoportal.formats.dynamo import write_dynamo
from tomoportal.formats.imod_model import write_imod_model
from tomoportal.formats.motivelist import write_motivelist
from tomoportal.formats.ndjson import write_points
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.poses import Poses
from tomoportal.formats.relion_particles import RelionFilaments, RelionTomogram, write_relion, write_relion_import
from tomoportal.formats.rotations import orthonormal
from tomoportal.formats.stopgap import write_stopgap
from tomoportal.storage import Store, open_store

__all__ = [
    "PARTICLE_ENDINGS",
    "PicksExport",
    "StarOptions",
    "chosen_picks",
    "picks_file",
    "plan_picks_export",
    "poses_of",
    "relion_filaments",
    "relion_files",
]

PARTICLE_ENDINGS: Final = {
    "em": ".em", "star": ".star", "dynamo": ".tbl", "csv": ".csv", "stopgap": ".star", "imod": ".mod",
    "ndjson": ".ndjson",
}  # fmt: skip
_NUMBERED: Final = ("em", "dynamo", "stopgap")
_NEEDS_SIZE: Final = (*_NUMBERED, "imod", "ndjson")
_ONE_RUN_ONLY: Final = ("imod", "ndjson")


@dataclass(frozen=True)
class StarOptions:
    """How RELION's particle files are written; lengths in Å."""

    include_optics: bool = True
    tilt_series_pixel_size: float | Mapping[str, float] | None = None
    """Of all runs, or by run."""
    tomograms: Mapping[str, RelionTomogram] = field(default_factory=dict)
    layout: Literal["particles", "import"] = "particles"
    tomo_type: str | None = None
    coordinates: Literal["auto", "centered"] = "auto"
    filament_columns: Literal["auto", "on", "off"] = "auto"
    polarity_from_filaments: bool = True
    filaments_uri: str | None = None
    filament_angles: Literal["frame", "pose"] = "frame"
    half_sets: Literal["none", "filament"] = "none"
    smallest_counts: bool = False
    """Without a voxel size: upstream's choice of the smallest, even where tomograms have different centres."""


@dataclass(frozen=True)
class PicksExport:
    """What is exported: a URI of picks, the format, and the number of each run's tomogram where the format needs it."""

    uri: str
    output_format: str
    voxel_size: float | None = None
    index_map: Mapping[str, int] | None = None
    run_names: Sequence[str] | None = None
    star: StarOptions = StarOptions()
    names: Mapping[str, str] = field(default_factory=dict)
    """What runs are called in files, where not by their own names."""

    def name(self, run: str) -> str:
        """In files."""
        return self.names.get(run, run)

    def number(self, run: str) -> int:
        """In the index map, which may have either name; 1 if it has none."""
        known = self.index_map or {}
        return known.get(run, known.get(self.name(run), 1))


def chosen_picks(root: CopickRoot, uri: str, run_names: Sequence[str] | None) -> dict[str, list[CopickPicks]]:
    """The picks of a URI by run. Raises :class:`AnnotationError` for unknown runs and if there are none."""
    unknown = [name for name in run_names or () if root.get_run(name) is None]
    if unknown:
        raise AnnotationError(f"Unknown runs: {', '.join(unknown)}", fix="names of runs are case-sensitive")
    found: dict[str, list[CopickPicks]] = {}
    chosen = root.runs if run_names is None else filter(None, map(root.get_run, run_names))
    for name in dict.fromkeys(run.name for run in chosen):
        for picks in resolve_copick_objects(uri, root, "picks", name):
            found.setdefault(name, []).append(picks)
    if not found:
        raise AnnotationError("No picks found to export", where=uri, fix="see `tomoportal copick stats picks`")
    return found


def poses_of(picks: CopickPicks) -> Poses:
    """The points as particles; not turned where the orientation is not to be trusted (C9)."""
    arrays = picks.arrays()
    rotations = arrays.rotations if picks.trust_orientation is not False else None
    return Poses.of(arrays.positions, rotations, arrays.translations, arrays.scores, np.maximum(arrays.instance_ids, 0))


def plan_picks_export(
    root: CopickRoot, export: PicksExport, *, output_dir: Path | None = None, output_file: Path | None = None
) -> list[Task]:
    """One file per picks in ``output_dir``, or one ``output_file`` of all runs; exactly one of them is given.

    Raises :class:`AnnotationError` for lengths, numbers and centres that are needed and not known, unknown runs, and
    where there is nothing to export.
    """
    if (output_dir is None) == (output_file is None):
        raise AnnotationError("Give exactly one of output_dir and output_file.")
    _check(export, combined=output_file is not None)
    found = chosen_picks(root, export.uri, export.run_names)
    if output_file is not None:
        return _combined(root, export, found, output_file)
    assert output_dir is not None
    if export.star.layout == "import":
        raise AnnotationError("The import layout is an index of many runs.", fix="give --output-file")
    return _per_run(root, export, found, output_dir)


def _check(export: PicksExport, *, combined: bool) -> None:
    """Raise :class:`AnnotationError` for an unknown format, and for lengths and numbers that it needs."""
    kind = export.output_format
    if kind not in PARTICLE_ENDINGS:
        raise AnnotationError(f"Unsupported output format: {kind}", fix=f"use {', '.join(PARTICLE_ENDINGS)}")
    if combined and kind in _NUMBERED and export.index_map is None:
        raise AnnotationError(
            f"run_to_index mapping is required for combined {kind.upper()} export: numbers tell the runs apart.",
            fix="give --index-map",
        )
    if export.voxel_size is not None:
        checked_voxel_size(export.voxel_size)
    elif kind in _NEEDS_SIZE:
        raise AnnotationError(
            f"voxel_spacing is required for {kind.upper()} export: its files count voxels.",
            fix="give --voxel-size in Å",
        )


def _per_run(root: CopickRoot, export: PicksExport, found: Mapping[str, list[CopickPicks]], folder: Path) -> list[Task]:
    store = _Target(folder)
    tasks = []
    for run, many in found.items():
        for picks in many:
            names = (export.name(run), picks.pickable_object_name, picks.user_id, picks.session_id)
            file = "_".join(names) + PARTICLE_ENDINGS[export.output_format]
            tasks.append(_task(root, export, picks, run, store, file))
    return tasks


def _task(root: CopickRoot, export: PicksExport, picks: CopickPicks, run: str, target: _Target, file: str) -> Task:
    def write() -> None:
        target.put(file, picks_file(root, export, picks, run))

    return Task("export", file, run, write, f"{picks.pickable_object_name}:{picks.user_id}/{picks.session_id}")


class _Target:
    """A folder that is made when the first file is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store: Store | None = None

    def put(self, key: str, data: bytes) -> None:
        if self._store is None:
            self._store = open_store(self._folder, create=True)
        self._store.put(key, data)


def picks_file(root: CopickRoot, export: PicksExport, picks: CopickPicks, run: str) -> bytes:
    """The bytes of a file of one list of picks. Raises :class:`AnnotationError` as :func:`plan_picks_export` does."""
    _check(export, combined=False)
    poses, size = poses_of(picks), export.voxel_size or 0.0
    kind = export.output_format
    if kind == "csv":
        return write_copick_csv({export.name(run): poses})
    if kind == "star":
        return relion_files(root, export, {run: [picks]})[0]
    _check_rotations(poses, run)
    if kind in _NUMBERED:
        number = export.number(run)
        return _WRITERS[kind]({number: poses}, size)
    if kind == "ndjson":
        return _ndjson(poses, size)
    known = root.get_object(picks.pickable_object_name)
    z, y, x = tomogram_shapes(root, [run], size).get(run, (0, 0, 0))
    return write_imod_model(
        poses,
        voxel_spacing=size,
        object_name=picks.pickable_object_name,
        size=(x, y, z),
        color=(known.color if known is not None else None) or (0, 255, 0, 255),
        radius=(known.radius if known is not None else None) or 0.0,
    )


_WRITERS: Final[Mapping[str, Callable[[Mapping[int, Poses], float], bytes]]] = {
    "em": lambda poses, size: write_motivelist(poses, voxel_spacing=size),
    "dynamo": lambda poses, size: write_dynamo(poses, voxel_spacing=size),
    "stopgap": lambda poses, size: write_stopgap(poses, voxel_spacing=size),
}


def _check_rotations(poses: Poses, run: str) -> None:
    """C54: what is no rotation has no angles."""
    orthonormal(poses.rotations, f"points of {run}")


def _ndjson(poses: Poses, size: float) -> bytes:
    """The archive's rows: with orientations where there are some, else with instances where there are some."""
    turned = not np.allclose(poses.rotations, np.eye(3), rtol=0, atol=1e-12)
    ids = poses.instance_ids if not turned and poses.instance_ids.any() else None
    return write_points(VoxelPoints(poses.centres / size, poses.rotations if turned else None, ids))


# --- all runs in one file


def _combined(root: CopickRoot, export: PicksExport, found: Mapping[str, list[CopickPicks]], path: Path) -> list[Task]:
    kind = export.output_format
    if kind in _ONE_RUN_ONLY:
        raise AnnotationError(f"A file of the type {kind} holds one run.", fix="give --output-dir")
    if kind in _NUMBERED:
        known = set(export.index_map or ())
        missing = [export.name(run) for run in found if not {run, export.name(run)} & known]
        refuse(
            [Problem(name, "is not in the index map", "add a line") for name in missing], "The picks cannot be exported"
        )
    path = path if path.suffix else path.with_suffix(PARTICLE_ENDINGS[kind])
    target = _Target(path.parent)
    count = sum(len(picks.arrays().positions) for many in found.values() for picks in many)

    def write() -> None:
        if kind == "star":
            data, more = relion_files(root, export, found, path.parent)
            for file, content in more.items():
                target.put(f"coordinates/{Path(file).name}", content)
            target.put(path.name, data)
            return
        by_run = {run: Poses.joined([poses_of(picks) for picks in many]) for run, many in found.items()}
        if kind == "csv":
            target.put(path.name, write_copick_csv({export.name(run): poses for run, poses in by_run.items()}))
            return
        for run, poses in by_run.items():
            _check_rotations(poses, export.name(run))
        numbered: dict[int, list[Poses]] = {}
        for run, poses in by_run.items():
            numbered.setdefault(export.number(run), []).append(poses)
        joined = {number: Poses.joined(parts) for number, parts in numbered.items()}
        target.put(path.name, _WRITERS[kind](joined, export.voxel_size or 0))

    runs = f"{len(found)} run{'' if len(found) == 1 else 's'}"
    return [Task("export", f"{path.name}: {count} points of {runs}", "", write, export.uri)]


# --- RELION


def relion_files(
    root: CopickRoot, export: PicksExport, found: Mapping[str, list[CopickPicks]], folder: Path | None = None
) -> tuple[bytes, dict[str, bytes]]:
    """The particle file, and for the import layout the files that its index in ``folder`` names."""
    star = export.star
    particles = {run: Poses.joined([poses_of(picks) for picks in many]) for run, many in found.items()}
    particles = {run: poses for run, poses in particles.items() if len(poses)} or particles
    tomograms = _tomograms(root, export, list(particles))
    filaments = relion_filaments(root, star, {run: found[run] for run in particles})
    if filaments is not None:
        filaments = replace(filaments, polar={export.name(run): polar for run, polar in filaments.polar.items()})
    particles = {export.name(run): poses for run, poses in particles.items()}
    if star.layout == "import":
        return write_relion_import(
            particles,
            tomograms,
            folder=((folder or Path()) / "coordinates").as_posix(),
            voxel_spacing=export.voxel_size,
            coordinates=star.coordinates,
            filaments=filaments,
        )
    data = write_relion(
        particles,
        tomograms,
        voxel_spacing=export.voxel_size,
        include_optics=star.include_optics,
        coordinates=star.coordinates,
        filaments=filaments,
    )
    return data, {}


def _tomograms(root: CopickRoot, export: PicksExport, runs: Sequence[str]) -> dict[str, RelionTomogram]:
    star = export.star
    listed = {run: star.tomograms.get(export.name(run)) or star.tomograms.get(run) for run in runs}
    missing = [run for run, known in listed.items() if known is None]
    if export.voxel_size is None and not star.smallest_counts:
        _check_centres(root, missing, star.tomo_type)
    own = project_tomograms(root, missing, export.voxel_size, star.tomo_type)
    found = {}
    for run in runs:
        known = listed[run] or own.get(run) or RelionTomogram()
        given = star.tilt_series_pixel_size
        size = given.get(run) if isinstance(given, Mapping) else given
        found[export.name(run)] = RelionTomogram(known.centre, size or known.pixel_size, known.optics)
    return found


def _check_centres(root: CopickRoot, runs: Sequence[str], tomo_type: str | None) -> None:
    """Raise :class:`AnnotationError` where it matters which voxel size's tomogram says where the centre is."""
    problems = []
    for run, centres in differing_centres(root, runs, tomo_type).items():
        said = ", ".join(f"{size:g} Å: ({x:g}, {y:g}, {z:g})" for size, (x, y, z) in centres.items())
        problems.append(Problem(run, f"its tomograms have different centres in Å: {said}", "give --voxel-size"))
    refuse(problems, "RELION counts from the centre of the tomogram")


def relion_filaments(
    root: CopickRoot, star: StarOptions, found: Mapping[str, list[CopickPicks]]
) -> RelionFilaments | None:
    objects = {picks.pickable_object_name for many in found.values() for picks in many}
    if star.half_sets == "filament" and star.filament_columns == "off":
        raise AnnotationError(
            "half_sets='filament' cannot be combined with filament_columns='off': --half-sets filament assigns half "
            "sets by rlnHelicalTubeID, one of these columns.",
            fix="write filament columns, or no half sets",
        )
    declared = {name for name in objects if (known := root.get_object(name)) is not None and known.is_filament}
    is_wanted = star.filament_columns == "on" or (star.filament_columns == "auto" and declared == objects)
    if not is_wanted:
        if star.half_sets == "filament":
            count = sum(len(picks.scores()) for many in found.values() for picks in many)
            raise AnnotationError(
                f"Half sets of filaments are keyed by rlnHelicalTubeID, which these {count} particles do not have: "
                "they are exported without filament columns.",
                where=", ".join(sorted(objects - declared)),
                fix="give --filament-columns on if the instance ids are those of filaments",
            )
        return None
    if not star.polarity_from_filaments and star.filaments_uri:
        raise AnnotationError(
            "filaments_uri is given, but polarity_from_filaments is False.",
            fix="leave out --filaments-uri or --no-polarity-from-filaments",
        )
    polar = {}
    for run, many in found.items():
        if star.polarity_from_filaments:
            parts = [filament_polarity_known(picks, star.filaments_uri) for picks in many if len(picks.scores())]
            polar[run] = np.concatenate(parts) if parts else np.zeros(0, np.bool_)
    return RelionFilaments(polar, star.filament_angles, star.half_sets == "filament")
