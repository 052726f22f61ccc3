"""A tree of links to chosen parts of one or several projects, in copick's layout (``copick deposit``)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tomoportal.copick.root import CopickRoot
from tomoportal.copick.runs import CopickRun
from tomoportal.copick.tasks import Task, refuse
from tomoportal.copick.uri import resolve_copick_objects
from tomoportal.errors import AnnotationError, Problem
from tomoportal.storage.os_errors import explained

__all__ = ["DEPOSITED", "plan_deposit"]

DEPOSITED = ("picks", "mesh", "segmentation", "tomogram", "feature")


def plan_deposit(
    root: CopickRoot,
    target_dir: str | os.PathLike[str],
    uris: Mapping[str, Sequence[str]],
    *,
    run_names: Sequence[str] | None = None,
    run_name_prefix: str = "",
    run_name_regex: str | None = None,
) -> list[Task]:
    """Links below ``target_dir/ExperimentRuns`` to what ``uris`` name; a type without URIs is left out.

    The run's name in the target is the first group of ``run_name_regex`` with the prefix before it. A link that is
    there already stays. Raises :class:`AnnotationError` for runs that are not there or do not match, for what does not
    lie on a local disk (C57), and where two things would be one link.
    """
    unknown = [name for name in run_names or () if root.get_run(name) is None]
    if unknown:
        raise AnnotationError(f"Run names not found in project: {unknown}", fix="names are case-sensitive")
    names = run_names if run_names is not None else [run.name for run in root.runs]
    runs = [run for name in names if (run := root.get_run(name)) is not None]
    target = Path(target_dir)
    problems: list[Problem] = []
    links: dict[Path, tuple[Path, str]] = {}
    for run in runs:
        name = _target_name(run, run_name_prefix, run_name_regex, problems)
        if name is None:
            continue
        for kind in DEPOSITED:
            for uri in uris.get(kind, ()):
                for each in resolve_copick_objects(uri, root, kind, run.name):
                    _add(each, run, target / "ExperimentRuns" / name, links, problems)
    refuse(problems, "This cannot be deposited")
    return [_task(link, source, run) for link, (source, run) in links.items()]


def _target_name(run: CopickRun, prefix: str, regex: str | None, problems: list[Problem]) -> str | None:
    name = run.name
    if regex:
        try:
            match = re.search(regex, name)
        except re.error as error:
            raise AnnotationError(f"The regular expression {regex!r} is wrong: {error}.") from error
        if match is None:
            problems.append(Problem(name, f"does not match {regex!r}", "correct --run-name-regex"))
            return None
        name = match.group(min(1, match.re.groups))
    return f"{prefix or _portal_prefix(run)}{name}"


def _portal_prefix(run: CopickRun) -> str:
    """Runs of portals are numbers: their dataset and name stand before it."""
    dataset, name = getattr(run, "portal_dataset_id", None), getattr(run, "portal_run_name", None)
    return f"{dataset}_{name}_" if dataset is not None and name is not None else ""


def _add(each: Any, run: CopickRun, folder: Path, links: dict[Path, tuple[Path, str]], problems: list[Problem]) -> None:
    source = each._source.store.local_path(each._key)
    if source is None:
        raise AnnotationError(
            "Deposit operation requires local filesystem storage.",
            where=each._source.where(each._key),
            fix="sync the project to a local one first, then deposit that",
        )
    link = folder / each._key.removeprefix(run._key).lstrip("/")
    first = links.setdefault(link, (source.resolve(), run.name))
    if first[0] != source.resolve():
        problems.append(Problem(str(source), f"would be the same link as {first[0]}", "use --run-name-prefix"))


def _task(link: Path, source: Path, run: str) -> Task:
    what = str(link)
    if link.is_symlink() and Path(os.readlink(link)) == source:
        return Task("keep", what, run, lambda: None, str(source))
    if link.is_symlink() or link.exists():
        there = f"a link to {os.readlink(link)}" if link.is_symlink() else "a file or folder"
        problem = AnnotationError(f"There is {there} already.", fix="remove it, or use --run-name-prefix")
        return Task("link", what, run, lambda: None, str(source), problem)

    def do() -> None:
        with explained(what):
            link.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(source, link)

    return Task("link", what, run, do, str(source))
