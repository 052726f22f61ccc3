"""What the entity modules use while a plan is made: search, expansion, problems, and what the archive already holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from tomoportal.archive import Archive
from tomoportal.errors import ConfigError, Problem
from tomoportal.ingest.config import Config
from tomoportal.ingest.dates import stamp
from tomoportal.ingest.finders import FINDERS, FindError, Found, Search, find, passes_filters
from tomoportal.ingest.lines import Path
from tomoportal.ingest.maps import RunMap
from tomoportal.ingest.plan import Item, Options, RunError, Unmatched
from tomoportal.ingest.records import Records, container_of
from tomoportal.ingest.scope import Scope, TemplateError
from tomoportal.ingest.sources import SourceRoot
from tomoportal.ingest.trees import Tree

__all__ = ["Entry", "Planning", "RunPlan", "Stop"]


class Stop(Exception):
    """The current run cannot be planned any further; the problem has been recorded."""


@dataclass(frozen=True)
class Entry:
    """One source of one section entry that yielded something, with what it yielded."""

    section: str
    index: int
    number: int
    metadata: Mapping[str, Any] | None
    source: Mapping[str, Any]
    found: tuple[Found, ...]

    @property
    def path(self) -> Path:
        """Place of the section entry in the config."""
        return (self.section, self.index)

    @property
    def source_path(self) -> Path:
        """Place of the source in the config."""
        return (self.section, self.index, "sources", self.number)

    @property
    def keys(self) -> tuple[str, ...]:
        """Source keys of the items that came from files."""
        return tuple(item.key for item in self.found if item.key is not None)


@dataclass
class _Asked:
    runs: list[str] = field(default_factory=list)
    """Parents that the source was asked for: runs, or empty texts for what is above runs."""
    missing: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    left_out: dict[str, set[str]] = field(default_factory=dict)
    """Rule of the source (``match_regex``, ``exclude``) → what was found and left out by it."""
    explained: int = 0
    """Parents for which such a rule is the reason that nothing matched."""
    barred: list[str] = field(default_factory=list)
    """Parents that ``parent_filters`` did not let pass."""
    passed: bool = False
    """Whether they let any pass."""


@dataclass
class Planning:
    """Services and collected results of one planning."""

    config: Config
    source: SourceRoot
    archive: Archive
    options: Options
    maps: RunMap
    destination: Tree
    records: Records
    items: list[Item] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    errors: list[RunError] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """Problems of the whole config; with any of them there is no plan."""
    _asked: dict[Path, _Asked] = field(default_factory=dict)
    _warned: set[tuple[str, str]] = field(default_factory=set)

    def entries(self, section: str, scope: Scope, run: str = "") -> list[Entry]:
        """All sources of a section that apply under a scope and yielded something; raises `Stop`."""
        result: list[Entry] = []
        for index, entry in enumerate(self.config.section(section)):
            for number, source in enumerate(entry.get("sources") or ()):
                path: Path = (section, index, "sources", number)
                if not self.passes(source, scope, path, run):
                    continue
                try:
                    search = find(source, scope, self.source, self.destination, section)
                except FindError as error:
                    place = (*path, *(part for part in error.field.split(".") if part))
                    self.fail(run, place, error.what, error.fix)
                self.asked(path, run, search)
                if search.found:
                    result.append(Entry(section, index, number, entry.get("metadata"), source, search.found))
        return result

    def passes(self, source: Mapping[str, Any], scope: Scope, path: Path, run: str) -> bool:
        """Whether a source applies under a scope; remembers if its ``parent_filters`` say no."""
        passes = passes_filters(source.get("parent_filters"), scope.names)
        asked = self._asked.setdefault(path, _Asked())
        asked.passed |= passes
        if not passes:
            asked.barred.append(run or next(reversed(list(scope.names.values())), ""))
        return passes

    def asked(self, path: Path, run: str, search: Search) -> None:
        """Remember what a source did for a run, for the list of what matched nothing."""
        asked = self._asked.setdefault(path, _Asked(passed=True))
        asked.runs.append(run)
        if search.unmatched and not search.found:
            asked.missing.append(run)
            asked.explained += bool(search.filtered or search.excluded)
            for rule, keys in (("match_regex", search.filtered), ("exclude", search.excluded)):
                if keys:
                    asked.left_out.setdefault(rule, set()).update(keys)
            if len(asked.patterns) < 3:
                asked.patterns += search.unmatched[:1]

    def expand(self, value: Any, scope: Scope, path: Path, run: str) -> Any:
        """Expand the templates of metadata; raises `Stop` when a variable is unknown or a number is none."""
        try:
            return scope.expand_value(value)
        except TemplateError as error:
            self.fail(run, path, error.what, error.fix)

    def fail(self, run: str, path: Path | str, what: str, fix: str | None = None) -> NoReturn:
        """Record a problem, of a run or (run empty) of the whole config, and stop the current run."""
        problem = Problem(self.config.place(path), what, fix)
        if run:
            self.errors.append(RunError(run, problem))
        else:
            self.problems.append(problem)
        raise Stop

    def warn(self, path: Path | str, what: str, fix: str | None = None) -> None:
        """Record a warning once."""
        problem = Problem(self.config.place(path), what, fix)
        if (problem.where, what) not in self._warned:
            self._warned.add((problem.where, what))
            self.warnings.append(problem)

    def stamp_of(self, metadata: Mapping[str, Any], default: int) -> int:
        """``last_updated_at`` of an entity with dates of its own, else ``default``."""
        return stamp((metadata.get("dates") or {}).get("last_modified_date"), default)

    def unmatched(self) -> tuple[Unmatched, ...]:
        """Every source whose patterns matched nothing, everywhere or in some runs, in config order."""
        result: list[Unmatched] = []
        for path, asked in self._asked.items():
            barred = () if asked.passed else tuple(dict.fromkeys(asked.barred))
            if not asked.missing and not barred:
                continue
            runs = tuple(run for run in asked.missing if run)
            result.append(
                Unmatched(
                    self.config.place(path),
                    self._argument(path, "list_glob", "list_globs", "glob_string", "glob_strings", "value"),
                    tuple(asked.patterns),
                    runs,
                    len(asked.runs),
                    everywhere=len(asked.missing) == len(asked.runs),
                    in_archive=self._looks_in_archive(path),
                    why=self._why(path, asked, barred),
                )
            )
        order = list(self.config.data)
        return tuple(
            sorted(
                result,
                key=lambda one: (
                    order.index(_section_of(one.where)) if _section_of(one.where) in order else 0,
                    one.where,
                ),
            )
        )

    def check(self) -> None:
        """Raise `ConfigError` with all problems of the whole config."""
        if self.problems:
            raise ConfigError(dict.fromkeys(self.problems), source=self.config.name)

    def _why(self, path: Path, asked: _Asked, barred: tuple[str, ...]) -> str:
        """Which rule of the source is the reason that nothing matched, and what it left out."""
        if barred:
            names = ", ".join(barred[:5]) + (", …" if len(barred) > 5 else "")
            return f"its parent_filters let none of {len(barred)} pass ({names})"
        if asked.explained < len(asked.missing):
            return ""
        whys: list[str] = []
        for name, found in sorted(asked.left_out.items()):
            keys = sorted(found)
            rule = f"{name} `{self._argument(path[:4] if name == 'exclude' else path, name)}`"
            if len(keys) == 1:
                whys.append(f"{rule} left out the one that was found, {keys[0]}")
            else:
                files = "" if name == "exclude" else " files"
                whys.append(f"{rule} left out all {len(keys)}{files} that were found, for example {keys[0]}")
        return "; ".join(whys)

    def _argument(self, path: Path, *keys: str) -> str:
        """An argument of the finder at a place, by the first of its possible names."""
        value: Any = self.config.data
        for step in path:
            value = value[step]
        if isinstance(value, str):
            return value
        for arguments in (value, *value.values()) if isinstance(value, Mapping) else ():
            if isinstance(arguments, Mapping):
                for key in keys:
                    if arguments.get(key):
                        found = arguments[key]
                        return found if isinstance(found, str) else ", ".join(map(str, found))
        return ""

    def _looks_in_archive(self, path: Path) -> bool:
        value: Any = self.config.data
        for step in path:
            value = value[step]
        kinds = [kind for kind in FINDERS if isinstance(value, Mapping) and value.get(kind) is not None]
        return bool(kinds) and kinds[0].startswith("destination_")


@dataclass
class RunPlan:
    """One run while it is planned: its scope, its owner, and the items made so far."""

    planning: Planning
    deposition_id: int
    dataset: str
    run: str
    scope: Scope
    stamp: int
    """``last_updated_at`` of documents without dates of their own (seconds)."""
    items: list[Item] = field(default_factory=list)
    tilt_series: Item | None = None
    pixel_spacing: float | None = None
    mdoc: Item | None = None
    alignment: str | None = None
    """Key of the one alignment document that tomograms and annotations of this run belong to."""
    alignment_item: Item | None = None
    volume_dimension: Mapping[str, float] | None = None
    _claims: dict[str, Item] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``dataset/run``, as messages name it."""
        return f"{self.dataset}/{self.run}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Labels that every item of the run needs: the run's own document, if this config writes it."""
        return (
            (self.items[0].label,)
            if self.items and self.items[0].kind == "run" and self.items[0].action != "reference"
            else ()
        )

    @property
    def key(self) -> str:
        """The run's folder in the archive, in which its ids are counted."""
        return container_of(self.place).key

    @property
    def place(self) -> tuple[str, ...]:
        """The container of the run's items."""
        return ("run", self.dataset, self.run)

    def entries(self, section: str, scope: Scope | None = None) -> list[Entry]:
        """Sources of a section for this run; see `Planning.entries`."""
        return self.planning.entries(section, scope or self.scope, self.name)

    def one_file(self, section: str, called: str) -> tuple[str, Entry] | None:
        """The only file of a section for this run, if there is any; several are a problem."""
        files = {key: entry for entry in self.entries(section) for key in entry.keys}
        if not files:
            return None
        first, *others = sorted(files)
        if others:
            self.fail(
                files[others[0]].source_path,
                f"{len(files)} {called} for one run: {', '.join(sorted(files))}",
                "narrow the glob so that it matches one file per run",
            )
        return first, files[first]

    def fail(self, path: Path | str, what: str, fix: str | None = None) -> NoReturn:
        """Record a problem of this run and stop planning it."""
        self.planning.fail(self.name, path, what, fix)

    def warn(self, path: Path | str, what: str, fix: str | None = None) -> None:
        """Record a warning about this run."""
        self.planning.warn(path, f"run {self.name}: {what}", fix)

    def add(self, item: Item) -> Item:
        """Add an item; two with one natural key, document or output are a problem (F14)."""
        item = replace(item, deposition_id=self.deposition_id)
        for claim in (f"identity {item.kind}/{item.identity}", *(f"file {key}" for key in item.outputs)):
            other = self._claims.setdefault(claim, item)
            if other is not item:
                self.fail(
                    item.config_path,
                    f"{item.kind} {item.title!r} and {other.kind} {other.title!r} (from {other.config_path})"
                    f" are one object: both have the {claim}",
                    "make them differ in a field of the identity, or bind each to its runs with parent_filters",
                )
        self.items.append(item)
        return item

    def expand(self, value: Any, path: Path, scope: Scope | None = None) -> Any:
        """Expand metadata under the run's variables."""
        return self.planning.expand(value, scope or self.scope, path, self.name)


def _section_of(where: str) -> str:
    return where.partition("(")[2].partition("[")[0]
