"""Which file belongs to which run, and the glob that finds the files of one role for every run."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from tomoportal.archive.layout import check_name
from tomoportal.errors import ArchiveError
from tomoportal.ingest.drafting.survey import Role, Survey, SurveyedFile

__all__ = ["Group", "Runs", "group_runs"]

_DOUBLE = re.compile(r"\.(mrc|st|mrcs|tif|tiff|eer)\.mdoc$", re.IGNORECASE)
_SUFFIX = re.compile(
    r"([_.-](full|rec|bin\d+|bp|wbp|sirt\d*|sart\d*|ali|aligned|preali|dose-?filt|filt(ered)?|denoised?|cryocare|isonet|topaz|nad|even|odd|"
    r"ctf|rot|flip(ped)?|rotx|tomo(gram)?|vol|newst(ack)?|tilt|stack|fid|\d+(\.\d+)?apx|[\d.]+a?px))+$",
    re.IGNORECASE,
)
_NAMING: tuple[Role, ...] = ("tomogram", "tilt series", "mdoc", "raw tilts")
_MAGIC = str.maketrans({"[": "[[]", "*": "[*]", "?": "[?]"})


@dataclass
class Group:
    """Files of one role that one template finds: at most one per run (frames: any number)."""

    template: str
    files: dict[str, list[SurveyedFile]] = field(default_factory=dict)
    """Files by run."""
    dropped: bool = False
    """Whether the template finds files of other runs too, which are left out."""

    def drop(self, run: str, why: str) -> None:
        """Leave the run's files out."""
        for file in self.files.pop(run):
            file.role, file.why = "left out", why
        self.dropped = True

    @property
    def tag(self) -> str:
        """What the template says beside the run: ``_denoised`` of ``{run_name}_denoised.mrc``."""
        name = self.template.rpartition("/")[2].replace("{run_name}", "")
        stem = name.rpartition(".")[0] if "." in name else name
        return re.sub(r"[^0-9A-Za-z]+", "_", stem.replace("*", "")).strip("_")

    def first(self) -> SurveyedFile:
        """One of the files."""
        return next(iter(self.files.values()))[0]


@dataclass
class Runs:
    """Runs by name, the groups of every role, and files that belong to no run or to all of them."""

    names: list[str]
    groups: dict[Role, list[Group]]
    shared: list[SurveyedFile]


def group_runs(survey: Survey) -> Runs:
    """Find run names in the names of volumes, mdocs and tilt lists, then give every file to its run."""
    names = _run_names(survey)
    by_role: dict[Role, dict[str, Group]] = defaultdict(dict)
    shared: list[SurveyedFile] = []
    for file in survey.files:
        if file.role == "left out":
            continue
        run = _run_of(file.key, names)
        if file.role in ("particles", "points", "gain") and run is None:
            shared.append(file)
            continue
        if run is None and len(names) == 1:
            run = names[0]
        if run is None:
            file.role, file.why = "left out", "its name begins with no run's name"
            continue
        template = _template(file, run)
        group = by_role[file.role].setdefault(template, Group(template))
        group.files.setdefault(run, []).append(file)
    groups = {role: sorted(found.values(), key=lambda group: group.template) for role, found in by_role.items()}
    return Runs(names, groups, shared)


def _run_names(survey: Survey) -> list[str]:
    stems: set[str] = set()
    for role in _NAMING:
        for file in survey.of(role):
            stems.add(_stem(file.name))
    usable = set()
    for stem in stems:
        try:
            usable.add(check_name(stem))
        except ArchiveError:
            continue
    bare = {stem: _SUFFIX.sub("", stem) or stem for stem in usable}
    # A stem without its processing suffixes is the run, unless that would make one run of two mdocs or stacks.
    return sorted({bare[stem] for stem in usable})


def _stem(name: str) -> str:
    double = _DOUBLE.search(name)
    if double:
        return name[: double.start()]
    return name.rpartition(".")[0] or name


def _run_of(key: str, names: list[str]) -> str | None:
    """The run whose name the file name begins with (longest first), else that a folder of it is named after."""
    *folders, name = key.split("/")
    starts = [run for run in names if name.startswith(run) and not name[len(run) : len(run) + 1].isalnum()]
    if starts:
        return max(starts, key=len)
    inside = [run for run in names if run in folders]
    if inside:
        return max(inside, key=len)
    within = [run for run in names if re.search(rf"(?<![0-9A-Za-z]){re.escape(run)}(?![0-9A-Za-z])", name)]
    return max(within, key=len) if within else None


def _template(file: SurveyedFile, run: str) -> str:
    """The key with the run's name replaced, glob characters escaped, and numbering of frames as a wildcard."""
    parts = file.key.split("/")
    parts = ["{run_name}" if part == run else _named(part, run) for part in parts]
    if file.role == "frames":
        name = parts[-1]
        ending = ".mrc.bz2" if name.lower().endswith(".mrc.bz2") else "." + name.rpartition(".")[2]
        parts[-1] = ("{run_name}_*" if name.startswith("{run_name}_") else "*") + ending
    return "/".join(parts)


def _named(part: str, run: str) -> str:
    pattern = rf"(?<![0-9A-Za-z]){re.escape(run)}(?![0-9A-Za-z])"
    pieces = re.split(pattern, part, maxsplit=1)
    escaped = [piece.translate(_MAGIC).replace("{", "{{").replace("}", "}}") for piece in pieces]
    return "{run_name}".join(escaped)
