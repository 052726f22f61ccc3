"""Re-read an archive and report everything that is wrong with it.

One container at a time, or several in as many processes: its files are listed once, its documents read, its files
hashed by a few threads in pieces of a few MiB, its volumes read in boxes. Memory grows with the number of files of one
run, never with their size. Findings come in the order of containers and rules, whatever ran first.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from tomoportal.archive import layout
from tomoportal.archive.archive import Archive
from tomoportal.archive.findings import Finding, finding
from tomoportal.archive.layout import OWN, Container
from tomoportal.archive.verification.container import ContainerCheck
from tomoportal.archive.verification.summary import Summary, summarize
from tomoportal.errors import ArchiveError, LockedError, StorageError

__all__ = ["Verification", "examine", "verify"]

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Verification:
    """What was found, and what every container holds, for the report."""

    url: str
    findings: tuple[Finding, ...]
    summaries: tuple[Summary, ...]
    digests: bool
    voxels: bool


def verify(
    archive: Archive,
    *,
    digests: bool = True,
    voxels: bool = False,
    containers: Iterable[Container] | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Finding]:
    """Everything that is wrong with an archive, or with some of its containers; see :data:`rules.RULES`.

    Always read are documents, headers and text files (mdoc, tilt angles, points). ``digests`` reads every file that is
    on record once more, to compare its SHA-256; without it sizes are compared. ``voxels`` decodes the volumes.
    Interrupted publications are finished first if the archive may be written to; a container where that cannot be done
    is named and not checked, since half of its files may be new. ``jobs`` is the number of processes;
    ``progress(done, total, text)`` counts containers, the text names what was just read.
    """
    options = {"digests": digests, "voxels": voxels, "containers": containers, "jobs": jobs, "progress": progress}
    return list(examine(archive, **options).findings)  # type: ignore[arg-type]


def examine(
    archive: Archive,
    *,
    digests: bool = True,
    voxels: bool = False,
    containers: Iterable[Container] | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Verification:
    """As :func:`verify`, with a summary of every container."""
    found = [] if containers is not None else list(_leftovers(archive))
    under_way = set(archive.pending()) if containers is None else set()
    chosen = sorted(set(_containers(archive) if containers is None else containers) - under_way)
    report = progress or (lambda done, total, text: None)
    summaries = []
    for number, (findings, summary) in enumerate(_checked(archive, chosen, digests, voxels, jobs, report)):
        found += findings
        summaries.append(summary)
        report(number + 1, len(chosen), chosen[number].key)
    bare = {each.path for each in found if each.rule == "V106"}
    # A tree that another program wrote has no manifest at all; it is said once per dataset.
    shown = [each for each in found if each.rule != "V106" or each.path.partition("/")[0] not in bare - {each.path}]
    return Verification(archive.url, tuple(dict.fromkeys(shown)), tuple(summaries), digests, voxels)


def _checked(
    archive: Archive, chosen: list[Container], digests: bool, voxels: bool, jobs: int, report: Progress
) -> Iterator[tuple[list[Finding], Summary]]:
    """The findings of every container, in their order."""
    jobs = min(jobs, len(chosen))
    if jobs <= 1 or archive.url.startswith("memory:"):  # another process would see an empty memory
        depositions: dict[str, bool] = {}
        for number, container in enumerate(chosen):

            def tell(key: str, number: int = number) -> None:
                report(number, len(chosen), key)

            yield _check(archive, container, digests, voxels, depositions, tell)
        return
    spawn = multiprocessing.get_context("spawn")  # threads of a store do not survive a fork
    with ProcessPoolExecutor(jobs, spawn) as pool:
        tasks = [pool.submit(_check, archive, container, digests, voxels) for container in chosen]
        try:
            for task in tasks:
                yield task.result()
        except BrokenProcessPool as error:
            raise ArchiveError(
                "a process of verify ended before its work was done", fix="run it again with --jobs 1"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _check(
    archive: Archive,
    container: Container,
    digests: bool,
    voxels: bool,
    depositions: dict[str, bool] | None = None,
    tell: Callable[[str], None] = lambda key: None,
) -> tuple[list[Finding], Summary]:
    from tomoportal.archive.verification import check_contents

    check = ContainerCheck(archive, container, {} if depositions is None else depositions, tell)
    found = [*check.run(digests), *check_contents(check.view, voxels=voxels)]
    return found, summarize(check.view)


def _containers(archive: Archive) -> Iterator[Container]:
    """Every container that has a folder or a manifest."""
    yield from archive.containers()
    for name in archive.store.children("")[0]:
        folders, files = archive.store.children(name)
        inside = {owner for folder in folders if (owner := layout.owner(f"{name}/{folder}/x"))}
        if files and (dataset := layout.owner(f"{name}/x")):
            inside.add(dataset)
        yield from inside


def _leftovers(archive: Archive) -> Iterator[Finding]:
    try:
        recovered = archive.recover()
    except (StorageError, LockedError):
        recovered = []  # no right to write, or somebody is at it: reported below as pending
    for done in recovered:
        key = layout.journal(done.container)
        if done.problem:
            yield finding("V505", done.problem.where, done.problem.what)
        elif done.outcome == "finished":
            yield finding("V501", key, f"{done.container} was finished")
        else:
            yield finding("V502", key, f"staged files of {done.container} were lost; the item was taken out")
    for container in archive.pending():
        yield finding("V503", layout.journal(container), f"{container} is in the middle of a publication: not checked")
    for token in archive.store.children(f"{OWN}/staging")[0]:
        yield finding("V504", f"{OWN}/staging/{token}", "files wait for their publication")
