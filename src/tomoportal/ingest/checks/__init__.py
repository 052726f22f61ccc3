"""The rules of ``verify`` on the sources of a config, before anything is ingested. Writes nothing.

The plan says what belongs together: a run's mdoc, raw tilt list, stack, alignment files, tomograms and annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tomoportal.archive import Archive, Container, Finding, SourceDigests
from tomoportal.archive.findings import finding
from tomoportal.archive.verification.pictures import picture_findings
from tomoportal.errors import StorageError
from tomoportal.ingest.bench import Bench
from tomoportal.ingest.checks.objects import ObjectTables
from tomoportal.ingest.checks.runs import RunCheck
from tomoportal.ingest.config import Config
from tomoportal.ingest.plan import Item, Plan
from tomoportal.ingest.planner import make_plan
from tomoportal.ingest.sources import SourceRoot
from tomoportal.storage import Store

__all__ = ["check_sources"]

_Progress = Callable[[int, int, str], None]


def check_sources(
    config: Config, source: SourceRoot, *, voxels: bool = False, progress: _Progress | None = None
) -> list[Finding]:
    """Everything that is wrong with the sources of a config; paths are keys below the source root.

    ``voxels`` reads the volumes as well. Raises :class:`ConfigError` as planning does; nothing is written.
    """
    nowhere = Archive.open("memory://", create=True)
    plan = make_plan(config, source, nowhere)
    found = list(_plan_findings(plan, config.name))
    runs: dict[str, list[Item]] = {}
    for item in plan.items:
        if item.run is not None:
            runs.setdefault(item.run, []).append(item)
        elif item.kind in ("dataset", "deposition"):
            found += _photo_findings(source.store, item)
    tables = ObjectTables(source.store)
    with SourceDigests(nowhere) as digests:
        for done, (run, items) in enumerate(runs.items(), start=1):
            bench = Bench(nowhere, source.store, plan.options, digests, nowhere.manifest(Container.of(run)))
            found += RunCheck(source.store, bench, items, tables, voxels).check()
            if progress:
                progress(done, len(runs), run)
    found += tables.strangers({run.rpartition("/")[2] for run in runs})
    return list(dict.fromkeys(found))


def _plan_findings(plan: Plan, name: str) -> Iterator[Finding]:
    for error in plan.errors:
        what = f"{error.run}: {error.problem.what}" if error.run else error.problem.what
        yield finding("V901", error.problem.where or name, what, error.problem.fix)
    for one in plan.unmatched:
        yield finding("V902" if one.wrong else "V903", one.where, str(one).removeprefix(f"{one.where}: "))
    for warning in plan.warnings:
        yield finding("V904", warning.where or name, warning.what, warning.fix)


def _photo_findings(store: Store, item: Item) -> Iterator[Finding]:
    """Key photos of a dataset or deposition that are files; they are copied as they are."""
    for part, picture in item.settings["pictures"].items():
        if "source" in picture:
            try:
                yield from picture_findings(store, picture["source"], part)
            except StorageError as error:
                yield finding("V905", picture["source"], error.what)
