"""Which file belongs to which run."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tomoportal.copick.names import check_run_name
from tomoportal.copick.root import CopickRoot
from tomoportal.copick.tasks import Task
from tomoportal.errors import AnnotationError, NotFoundError, Problem

__all__ = ["RunFile", "RunFiles", "found_files", "missing_runs", "run_files"]

_PATTERN = re.compile(r"[*?[]")


@dataclass(frozen=True)
class RunFile:
    """A file (or Zarr folder) and the run that it belongs to."""

    path: Path
    run: str


class RunFiles(NamedTuple):
    """What a path or a pattern names: files of runs, what is wrong with them, and files that the regex leaves out."""

    files: list[RunFile]
    problems: list[Problem]
    skipped: list[Task]


def found_files(pattern: str) -> list[Path]:
    """The file of this path, or the files that a shell pattern matches, sorted. Raises :class:`NotFoundError`."""
    path = Path(pattern).expanduser()
    if path.exists():
        return [path]
    found = sorted(map(Path, glob.glob(str(path), recursive=True))) if _PATTERN.search(pattern) else []
    if not found:
        raise NotFoundError(
            f"No files found matching pattern: {pattern}", fix="correct the path; patterns belong in quotes"
        )
    return found


def run_files(
    pattern: str,
    *,
    run: str = "",
    run_regex: str = "(.*)",
    run_name_prefix: str = "",
    name_of: Callable[[Path], str | None] | None = None,
) -> RunFiles:
    """Every file with its run; two files for one run are a problem (C105), names without a match are left out.

    The run is ``run``, or without it the file's name without its ending; of that, the first group
    of ``run_regex``, with ``run_name_prefix`` before it. Where the regex does not match the name it is looked for in
    the names of the folders with it, the nearest first: ``TS_001/tomo``. These are the folders below that before the
    first wildcard, of a single file its own. ``name_of`` gives another name than that without the ending, or None for
    a file that is read together with another one.
    """
    try:
        regex = re.compile(run_regex)
    except re.error as error:
        raise AnnotationError(f"The regular expression {run_regex!r} is wrong: {error}.") from error
    paths = found_files(pattern)
    given = Path(pattern).expanduser()
    is_single = len(paths) == 1 and paths[0] == given
    fixed = next((number for number, part in enumerate(given.parts) if _PATTERN.search(part)), 0)
    above = len(given.parts) - 2 if is_single else fixed
    found: list[RunFile] = []
    problems: list[Problem] = []
    skipped: list[Task] = []
    for path in paths:
        name = (name_of or _stem)(path)
        if name is None:
            if is_single:
                problems.append(Problem(str(path), "it is read together with another file beside it", "give that one"))
            continue
        names = [run] if run else _names(path, name, above)
        matches = filter(None, map(regex.search, names))
        name = next(filter(None, (match.group(min(1, regex.groups)) for match in matches)), None)
        if name is None:
            what = f"{path.name}: {names[-1]!r} does not match --run-regex {run_regex!r}"
            skipped.append(Task("skip", what, "", lambda: None, str(path)))
            continue
        found.append(RunFile(path, run_name_prefix + name))
    by_run: dict[str, Path] = {}
    for each in found:
        first = by_run.setdefault(each.run, each.path)
        if first != each.path:
            what = f"the run {each.run} is that of {first if first.name == each.path.name else first.name} already"
            fix = "let --run-regex tell them apart, by folders for instance: '(TS_[0-9]+)/'; or add one alone"
            fix = "leave --run out, or add one file alone" if run else fix
            problems.append(Problem(str(each.path), what, fix))
    return RunFiles(found, problems, skipped)


def _names(path: Path, name: str, above: int) -> list[str]:
    """The file's name, then with its folder before it, and so on; without the first ``above`` parts of the path."""
    folders = path.parent.parts[max(above, 0) :]
    return ["/".join([*folders[start:], name]) for start in range(len(folders), -1, -1)]


def _stem(path: Path) -> str:
    return path.stem


def missing_runs(root: CopickRoot, names: Iterable[str], *, create: bool) -> list[Problem]:
    """What is wrong with the names of runs: they are not there and must not or cannot be made."""
    problems = []
    for name in dict.fromkeys(names):
        if root.get_run(name) is not None:
            continue
        if not create:
            problems.append(Problem(name, "there is no such run", "correct the name, or --create"))
            continue
        try:
            check_run_name(name)
        except AnnotationError as error:
            problems.append(Problem(name, error.what, error.fix))
    return problems
