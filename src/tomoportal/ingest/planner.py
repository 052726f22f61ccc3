"""Making a plan: deposition → dataset → run → voxel spacing, every level seeing the variables of those above it."""

from __future__ import annotations

from collections.abc import Iterable

from tomoportal.archive import Archive, layout
from tomoportal.errors import ArchiveError, ConfigError, Problem, StorageError
from tomoportal.ingest.actions import with_actions
from tomoportal.ingest.config import Config
from tomoportal.ingest.dates import latest_date, stamp
from tomoportal.ingest.finders import Found
from tomoportal.ingest.maps import read_run_map
from tomoportal.ingest.plan import Item, Options, Plan, RunError
from tomoportal.ingest.planning import Entry, Planning, RunPlan, Stop
from tomoportal.ingest.records import Records
from tomoportal.ingest.scope import Scope
from tomoportal.ingest.sources import ROOT_OPTION, SourceRoot
from tomoportal.ingest.stale import find_stale
from tomoportal.ingest.steps import (
    alignments,
    datasets,
    depositions,
    frames,
    gains,
    identified_objects,
    mdocs,
    runs,
    tilt_series,
    tomograms,
)
from tomoportal.ingest.steps.annotations import plan as plan_annotations
from tomoportal.ingest.trees import Tree, is_local
from tomoportal.ingest.unreadable import folder_problems, keep_recorded

__all__ = ["make_plan"]


def make_plan(config: Config, source: SourceRoot, archive: Archive, options: Options | None = None) -> Plan:
    """What an ingestion of ``config`` would do. Writes nothing.

    Raises `ConfigError` with all problems of the whole config; errors of single runs are in the plan.
    """
    options = options or Options()
    settings = config.data["standardization_config"]
    maps, problems = read_run_map(settings, source.read_map, lambda key: config.place(("standardization_config", key)))
    if problems:
        raise ConfigError(problems, source=config.name)
    tree = Tree(archive.store)
    planning = Planning(
        config, source, archive, options, maps, tree, Records(archive, tree), warnings=list(config.warnings)
    )
    root = Scope({}, {"output_path": ""})
    for entry, found in _each(planning, "depositions", root):
        try:
            _deposition(planning, entry, found, root)
        except Stop:
            continue
    _check_required(planning)
    unreadable = folder_problems(planning)
    if planning.problems:
        planning.problems += unreadable
    planning.check()
    _compare_map(planning)
    planning.errors += [RunError("", problem) for problem in unreadable]
    items = keep_recorded(with_actions(planning.items, planning), planning)
    failed = [error.run for error in planning.errors]
    return Plan(
        config=config.name,
        items=tuple(items),
        unmatched=planning.unmatched(),
        warnings=tuple(planning.warnings),
        errors=tuple(planning.errors),
        stale=() if unreadable else find_stale(archive, items, config.deposition_id, failed),
        options=options,
        source_url=source.store.url,
        digest_part=dict(maps.digests),
    )


def _deposition(planning: Planning, entry: Entry, found: Found, root: Scope) -> None:
    deposition_id = int(found.name)
    scope = root.child("deposition", found.name, path=found.key, output=layout.deposition_prefix(deposition_id))
    metadata = entry.metadata or {}
    when = stamp((metadata.get("dates") or {}).get("last_modified_date"), latest_date(planning.config.data))
    made: list[Item] = []
    for dataset_entry, dataset in _each(planning, "datasets", scope):
        made += _dataset(planning, dataset_entry, dataset, scope, deposition_id, when)
    document = depositions.plan(planning, entry, deposition_id, scope, when, made)
    planning.items += [*([document] if document else []), *made]


def _dataset(
    planning: Planning, entry: Entry, found: Found, scope: Scope, deposition_id: int, default: int
) -> list[Item]:
    name = found.name
    try:
        output = layout.dataset_prefix(name)
    except ArchiveError as error:
        planning.fail("", entry.source_path, error.what, error.fix)
    scope = scope.child("dataset", name, path=found.key, output=output)
    reference = datasets.is_reference(planning, entry, name, deposition_id)
    when = stamp(((entry.metadata or {}).get("dates") or {}).get("last_modified_date"), default)
    made: list[Item] = []
    names: set[str] = set()
    for run_entry, run in sorted(_each(planning, "runs", scope), key=lambda pair: pair[1].name):
        if run.name in names:
            continue  # several files of one run; they only name it
        names.add(run.name)
        made += _run(planning, run_entry, run, scope, deposition_id, name, when)
    if not names and planning.config.section("runs"):
        where = planning.config.place(("runs", 0, "sources"))
        whys = "".join(f"; {one.reason}" for one in planning.unmatched() if one.why and "(runs[" in one.where)
        fix = f"check the globs of the section runs and {ROOT_OPTION}"
        planning.problems.append(Problem(where, f"no run was found for dataset {name}{whys}", fix))
    if reference:
        return made
    return [datasets.plan(planning, entry, name, scope, deposition_id, when, made), *made]


def _run(
    planning: Planning, entry: Entry, found: Found, scope: Scope, deposition_id: int, dataset: str, when: int
) -> list[Item]:
    run = RunPlan(planning, deposition_id, dataset, found.name, scope, when)
    try:
        try:
            output = layout.run_prefix(dataset, found.name)
        except ArchiveError as error:
            run.fail(entry.source_path, error.what, error.fix)
        row = planning.maps.row(found.name)
        run.scope = scope.with_variables(row).child("run", found.name, path=found.key, output=output)
        _plan_run(run, found)
    except Stop:
        return []
    except StorageError as error:  # a document of this run, or one of its sources
        if not is_local(error):
            raise
        planning.errors.append(RunError(run.name, Problem(error.where or "", error.what, error.fix)))
        return []
    return run.items


def _plan_run(run: RunPlan, found: Found) -> None:
    document = run.planning.records.document(layout.run_document(run.dataset, run.run))
    foreign = document is not None and document.get("deposition_id") != run.deposition_id
    runs.plan(run, reference=found.reference or foreign)
    gains.plan(run)
    mdocs.plan(run)
    frames.plan(run)
    tilt_series.plan(run)
    spacings = _spacings(run)
    candidates = [candidate for spacing, scope in spacings for candidate in tomograms.candidates(run, scope, spacing)]
    alignments.plan(run, (candidates[0].key, candidates[0].spacing) if candidates else None)
    identified_objects.plan(run)
    volumes = [tomograms.plan(run, candidate) for candidate in candidates]
    drawn: list[Item] = []
    for spacing, scope in spacings:
        here = tuple(volume for volume in volumes if volume.settings["voxel_spacing"] == spacing)
        drawn += plan_annotations(run, scope, spacing, here)
    for candidate, volume in zip(candidates, volumes, strict=True):
        tomograms.finish(run, candidate, volume, tuple(drawn))


def _spacings(run: RunPlan) -> list[tuple[float, Scope]]:
    """Voxel spacings of the run in Å with their scopes; one that is found twice counts once."""
    result: dict[str, tuple[float, Scope]] = {}
    for entry in run.entries("voxel_spacings"):
        for found in entry.found:
            try:
                spacing = round(float(found.name), 3)
                name = layout.voxel_spacing_name(spacing).removeprefix("VoxelSpacing")
            except (ValueError, ArchiveError):
                run.fail(
                    entry.source_path,
                    f"{found.name!r} is not a voxel spacing",
                    "give a length in Å above 0, or correct name_regex",
                )
            if not 1 < spacing < 30 or spacing == int(spacing):
                run.planning.warn(
                    entry.source_path, f"a voxel spacing of {name} Å is unusual", "check the header that it comes from"
                )
            output = layout.voxel_spacing_prefix(run.dataset, run.run, spacing)
            result.setdefault(name, (spacing, run.scope.child("voxel_spacing", name, path=found.key, output=output)))
    return list(result.values())


def _each(planning: Planning, section: str, scope: Scope) -> Iterable[tuple[Entry, Found]]:
    try:
        entries = planning.entries(section, scope)
    except Stop:
        return []
    return [(entry, found) for entry in entries for found in entry.found]


def _check_required(planning: Planning) -> None:
    """A required section that found nothing at all is a problem of the config (F35)."""
    for one in planning.unmatched():
        section = one.where.partition("(")[2].partition("[")[0]
        if (
            section in ("depositions", "datasets", "voxel_spacings")
            and one.everywhere
            and not any(item.kind == "tomogram" for item in planning.items)
        ):
            planning.problems.append(
                Problem(
                    one.where,
                    f"{one.pattern!r} matched nothing; {one.reason}",
                    f"check {'the rule' if one.why else 'the glob'} and {ROOT_OPTION}",
                )
            )


def _compare_map(planning: Planning) -> None:
    """Report runs without a row and rows without a run."""
    if not planning.maps.has_run_data:
        return
    known = {item.place[2] for item in planning.items if item.kind == "run"} | {
        error.run.rpartition("/")[2] for error in planning.errors
    }
    where = ("standardization_config", "run_data_map_file")
    for what, names in (
        ("no row in the run data map for", sorted(known - set(planning.maps.rows))),
        ("rows of the run data map match no run:", sorted(set(planning.maps.rows) - known)),
    ):
        if names:
            listed = ", ".join(names[:10]) + (f", … ({len(names)} in all)" if len(names) > 10 else "")
            planning.warn(where, f"{what} {listed}")
