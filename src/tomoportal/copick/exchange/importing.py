"""Picks from files, as tasks: every file is read and every problem found before anything is written (C105)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.exchange.files import RunFile, found_files, missing_runs, run_files
from tomoportal.copick.exchange.tomogram_grids import project_tomograms, tomogram_shapes
from tomoportal.copick.names import checked_name
from tomoportal.copick.objects import unknown_object
from tomoportal.copick.particles.files import Particles, ReadOptions, particle_type, read_particles
from tomoportal.copick.pick_documents import non_rigid, table_of
from tomoportal.copick.picks import CopickPicks
from tomoportal.copick.root import CopickRoot
from tomoportal.copick.tasks import Task, refuse
from tomoportal.errors import AnnotationError, FormatError, Problem, TomoportalError
from tomoportal.formats.poses import Poses

__all__ = ["PicksTarget", "plan_picks", "plan_picks_of_many_runs", "transforms_of"]


@dataclass(frozen=True)
class PicksTarget:
    """Where imported picks go: object, user and session; whether they replace others and make runs."""

    object_name: str
    user_id: str = "copick"
    session_id: str = "1"
    overwrite: bool = False
    create: bool = True

    def checked(self, root: CopickRoot) -> PicksTarget:
        """With names that can be stored. Raises :class:`AnnotationError` for an object that the project has not."""
        strict = bool(root.config.strict)
        if root.get_object(self.object_name) is None:
            raise unknown_object(root, self.object_name)
        return replace(
            self,
            user_id=checked_name(self.user_id, "user_id", strict=strict),
            session_id=checked_name(self.session_id, "session_id", strict=strict),
        )


def plan_picks(
    root: CopickRoot,
    pattern: str,
    target: PicksTarget,
    *,
    file_type: str | None = None,
    run: str = "",
    run_regex: str = "(.*)",
    run_name_prefix: str = "",
    options: ReadOptions | None = None,
) -> list[Task]:
    """One file per run, or tables that name their runs. Raises :class:`AnnotationError` with all problems."""
    options, target = options or ReadOptions(), target.checked(root)
    files, problems, skipped = run_files(pattern, run=run, run_regex=run_regex, run_name_prefix=run_name_prefix)
    options = _completed(root, options, [each.run for each in files])
    found: list[tuple[RunFile, Particles]] = []
    for each in files:
        try:
            kind = file_type or particle_type(each.path)
            particles = read_particles(each.path, kind, options, run=each.run)
        except TomoportalError as error:
            problems.append(_problem(each.path, error))
            continue
        if kind == "csv" and set(particles.by_name) - {""}:
            for name, poses in particles.by_name.items():
                part = Particles({name: poses}, {}, particles.oriented)
                found.append((RunFile(each.path, name or each.run), part))
        else:
            problem = _several(each, particles)
            problems += [problem] if problem else []
            found.append((each, particles))
    parts = [(each.path, each.run, _of(particles, each.run), particles.oriented) for each, particles in found]
    return [*skipped, *_tasks(root, target, parts, problems)]


def plan_picks_of_many_runs(
    root: CopickRoot,
    pattern: str,
    target: PicksTarget,
    *,
    file_type: str,
    options: ReadOptions | None = None,
    index_map: Mapping[int, str] | None = None,
) -> list[Task]:
    """Files that hold particles of many tomograms, told apart by name or, with ``index_map``, by number."""
    options, target = options or ReadOptions(), target.checked(root)
    problems: list[Problem] = []
    parts: list[tuple[Path, str, Poses, bool]] = []
    options = _completed(root, options, [run.name for run in root.runs])
    for path in found_files(pattern):
        try:
            particles = read_particles(path, file_type, options)
            named = dict(particles.by_name)
            if "" in named and len(named[""]):
                raise FormatError(
                    "The particles do not say their tomogram.", fix="use `add picks` with --run for a file of one run"
                )
            unknown = sorted(set(particles.by_number) - set(index_map or {}))
            if unknown:
                raise FormatError(
                    f"The tomograms {', '.join(map(str, unknown[:10]))} are not in the index map.",
                    fix="add lines for them to the map",
                )
            named |= {(index_map or {})[number]: poses for number, poses in particles.by_number.items()}
        except TomoportalError as error:
            problems.append(_problem(path, error))
            continue
        parts += [(path, name, poses, particles.oriented) for name, poses in named.items() if name]
    return _tasks(root, target, parts, problems)


def _of(particles: Particles, run: str) -> Poses:
    if run in particles.by_name:
        return particles.by_name[run]
    return Poses.joined([*particles.by_name.values(), *particles.by_number.values()])


def _several(each: RunFile, particles: Particles) -> Problem | None:
    names = [name for name in particles.by_name if name]
    if len(names) > 1 and each.run not in names:
        what = f"holds particles of {len(names)} tomograms ({', '.join(names[:4])}), none of them {each.run}"
        return Problem(str(each.path), what, "use `add picks-relion`, or name one with --run")
    if len(particles.by_number) > 1:
        numbers = ", ".join(map(str, list(particles.by_number)[:6]))
        what = f"holds particles of the tomograms {numbers}"
        return Problem(str(each.path), what, "use `add picks-em` or `add picks-dynamo` with --index-map")
    return None


def _problem(path: Path, error: TomoportalError) -> Problem:
    inside = f" ({error.where})" if error.where and error.where != path.name else ""
    return Problem(str(path), f"{error.what}{inside}", error.fix)


def _completed(root: CopickRoot, options: ReadOptions, runs: Iterable[str]) -> ReadOptions:
    """With the centres and sizes of the project's own tomograms where none were given."""
    known = [run for run in dict.fromkeys(runs) if root.get_run(run) is not None]
    return replace(
        options,
        tomograms={**project_tomograms(root, known, options.voxel_size), **options.tomograms},
        volume_shapes={**tomogram_shapes(root, known, options.voxel_size), **options.volume_shapes},
    )


def transforms_of(poses: Poses) -> NDArray[np.float64]:
    """(n, 4, 4): rotation, and the shift as translation."""
    transforms = np.tile(np.eye(4), (len(poses), 1, 1))
    transforms[:, :3, :3], transforms[:, :3, 3] = poses.rotations, poses.shifts
    return transforms


def _tasks(
    root: CopickRoot,
    target: PicksTarget,
    parts: Sequence[tuple[Path, str, Poses, bool]],
    problems: list[Problem],
) -> list[Task]:
    problems = [*problems, *missing_runs(root, [run for _, run, _, _ in parts], create=target.create)]
    seen: dict[str, Path] = {}
    tasks = []
    for path, run, poses, oriented in parts:
        if seen.setdefault(run, path) != path:
            problems.append(
                Problem(str(path), f"holds points of {run}, and so does {seen[run].name}", "add one of them alone")
            )
            continue
        bent = non_rigid(table_of(poses.positions, transforms_of(poses)))
        if len(bent):
            what = f"{len(bent)} matrices of {run} are no rotations, the first of point {bent[0] + 1}"
            problems.append(Problem(str(path), what, "correct them"))
            continue
        try:
            tasks.append(_task(root, target, path, run, poses, oriented))
        except TomoportalError as error:
            problems.append(_problem(path, error))
    refuse(problems, "These picks cannot be added")
    return tasks


def _task(root: CopickRoot, target: PicksTarget, path: Path, run: str, poses: Poses, oriented: bool) -> Task:
    uri = f"{target.object_name}:{target.user_id}/{target.session_id}"
    what = f"{run} {uri}: {len(poses)} points"
    known = _known(root, target, run)

    def store() -> None:
        place = root.new_run(run, exist_ok=True)
        picks = known or place.new_picks(target.object_name, target.session_id, target.user_id, exist_ok=True)
        if picks.read_only:
            picks = place.new_picks(target.object_name, target.session_id, target.user_id, exist_ok=True)
        if picks.trust_orientation is not False and not oriented:
            picks.trust_orientation = False  # C9: what has no orientation must not look as if it had one
        elif oriented and not picks.trust_orientation:
            picks.trust_orientation = True
        picks.from_numpy(poses.positions, transforms_of(poses), poses.instance_ids, poses.scores)

    if known is None:
        return Task("create", what, run, store, str(path))
    stored = known.arrays()
    if len(stored.positions) and _equal(stored, poses):
        return Task("keep", what, run, lambda: None, str(path))
    if len(stored.positions) and not target.overwrite:
        raise AnnotationError(
            f"Picks for {target.object_name} by user/tool {target.user_id} already exist in session"
            f" {target.session_id} of {run}.",
            fix="use another --session-id, or --overwrite",
        )
    return Task("replace", what, run, store, str(path))


def _known(root: CopickRoot, target: PicksTarget, run: str) -> CopickPicks | None:
    place = root.get_run(run)
    if place is None:
        return None
    return next(iter(place.get_picks(target.object_name, target.user_id, target.session_id)), None)


def _equal(stored: Any, poses: Poses) -> bool:
    return (
        np.array_equal(stored.positions, poses.positions)
        and np.array_equal(stored.rotations, poses.rotations)
        and np.array_equal(stored.translations, poses.shifts)
        and np.array_equal(stored.instance_ids, poses.instance_ids)
        and np.array_equal(stored.scores, poses.scores)
    )
