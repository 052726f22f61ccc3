"""Plays the steps of a sequence on projects of ours, of upstream's and of both, and tells where they differ."""

from __future__ import annotations

import json
import math
import os
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sequences import Step

__all__ = ["DIFFERENCES", "Hand", "Player", "shortened"]

HAND = Path(__file__).with_name("hand.py")

DIFFERENCES: dict[str, tuple[str, str]] = {
    "(AttributeError|TypeError).*NoneType.*'AnnotationError'": ("got", "C47: a run that is not there is a ValueError"),
    "AttributeError.*'str' object has no attribute": (
        "counted|got",
        "C47: names of runs are taken as the functions say",
    ),
    "AttributeError.*'NoneType' object has no attribute 'get_tomogram'.*ours {'answer': ": (
        "got",
        "C47: a run without such tomograms has none",
    ),
    "ValueError.*Cannot .* in a read-only source": (".*_region|write_.*", "both refuse, for one of two reasons"),
    "'object is read-only'.*UnknownLevelError": ("read_.*", "upstream tries to make a group to read what is empty"),
    r"mappings.*ours .*\?(multilabel|instance|panoptic)=true": ("manage_", "ours names the type of the copy, too"),
    "KeyError.*only panoptic ones have channels": ("read_segmentation", "both refuse, for one of two reasons"),
}
"""What is said of an outcome → the operation, and why it may differ."""


class Hand:
    """A process that works on projects: see ``hand.py``."""

    def __init__(self, name: str, python: Path | str, **variables: str) -> None:
        self.name = name
        known = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "TOMOPORTAL_AS_COPICK")}
        self.process = subprocess.Popen(
            [str(python), "-W", "ignore", str(HAND), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=None if os.environ.get("HAND_TRACES") else subprocess.DEVNULL, text=True, env={**known, **variables},
        )  # fmt: skip
        self.package = self._read()["version"]

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the hand of {self.name} has died"
        return json.loads(line)

    def ask(self, name: str, *arguments: Any) -> Callable[[], Any]:
        """Begins; what is returned waits for the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, arguments]) + "\n")
        self.process.stdin.flush()
        return self._read

    def close(self) -> None:
        self.process.communicate()


# --- what is equal


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        if isinstance(one, (int, float)) and isinstance(other, (int, float)):
            return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-4) or (math.isnan(one) and math.isnan(other))
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        if one[:1] == other[:1] == ["ERROR"]:
            return one[1] in other  # ours may be a subclass, and of two classes
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def where(one: Any, other: Any, place: str = "") -> str:
    """The first place at which they differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            if key not in one or key not in other:
                side = "theirs" if key in one else "ours"
                return f"{place}/{key}: only {side}: {str(one.get(key, other.get(key)))[:300]}"
            if not same(one[key], other[key]):
                return where(one[key], other[key], f"{place}/{key}")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (each, twin) in enumerate(zip(one, other, strict=True)):
            if not same(each, twin):
                return where(each, twin, f"{place}[{number}]")
    return f"{place}: theirs {str(one)[:600]} | ours {str(other)[:600]}"


def is_label(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) > 1 and isinstance(value[0], str) and value[-1] in ("static", "overlay")
    )


def without_twins(told: Any) -> Any:
    """C27: of upstream's twins, what the overlay does not shadow."""
    if isinstance(told, dict):
        return {key: without_twins(value) for key, value in told.items()}
    if not isinstance(told, list):
        return told

    def of(each: Any) -> Any:
        if is_label(each):
            return each
        return next((part for part in each if is_label(part)), None) if isinstance(each, list) else None

    names = [of(each) for each in told]
    shadows = {json.dumps(each[:-1]) for each in names if each is not None and each[-1] == "overlay"}
    kept = [
        each
        for each, name in zip(told, names, strict=True)
        if name is None or name[-1] == "overlay" or json.dumps(name[:-1]) not in shadows
    ]
    return kept if is_label(told) else [without_twins(each) for each in kept]


def in_any_order(told: Any) -> Any:
    """C30: what upstream has in an arbitrary order."""
    for run in told["runs"].values():
        for key in ("spacings", "tomograms", "features"):
            run[key].sort(key=lambda each: json.dumps(each[0] if key != "spacings" else each))
    return told


def coarse_by_shape(told: Any, touched: set[tuple[str, str]]) -> None:
    """C8, C46: coarse levels of what was changed in part, or has odd edges, differ by their values."""
    for name, run in told["runs"].items():
        for kind in ("tomograms", "segmentations"):
            for _, value in run[kind]:
                levels = value[0] if isinstance(value, list) and value else value
                if not isinstance(levels, dict):
                    continue
                first = levels["0"]
                odd = isinstance(first[0], list) and any(edge % 4 for edge in first[0])
                odd = odd or kind == "segmentations"  # ours takes the first of eight voxels, upstream another one
                odd = odd or "int" in first[1]  # means are rounded, upstream's cut off
                for level, told_ in levels.items():
                    if level != "0" and told_[0] != "ERROR" and (odd or (name, kind) in touched):
                        told_[2] = "by shape only"


# --- what lies on the disk


def files_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = [
            part
            for part in relative.parts
            if part.startswith(".") and part not in (".meta", ".zattrs", ".zarray", ".zgroup")
        ]
        if hidden or path.is_dir():
            continue
        found[str(relative)] = content(path, folder)
    return found


def content(path: Path, folder: Path) -> Any:
    if path.name in (".zattrs", ".zarray", ".zgroup") or path.suffix == ".json":
        told = json.loads(path.read_text().replace(str(folder), ""))
        for point in told.get("points", ()) if path.parent.name == "Picks" else ():
            point["score"] = 1.0 if point["score"] is None else point["score"]  # null is read as 1.0 by both
        if path.name == ".zarray":
            told.pop("chunks")  # C67
            told.pop("compressor")  # ours chooses it by the type of the voxels: smaller chunks
        for scales in told.get("multiscales", ()) if path.name == ".zattrs" else ():
            scales["metadata"] = scales["metadata"] or {}  # upstream's functions write null, its methods {}
            for each in scales["datasets"]:
                each["coordinateTransformations"] = [
                    form
                    for form in each["coordinateTransformations"]
                    if form["type"] != "translation"  # C46
                ]
        return told
    return path.read_bytes() if path.name == ".meta" else None


def disk_differences(theirs: Path, ours: Path) -> Iterator[str]:
    one, other = files_of(theirs), files_of(ours)
    for name in sorted({*one, *other}):
        if name in one and name in other:
            if not same(one[name], other[name]):
                yield f"{name}{where(one[name], other[name])}"
        elif name in one and name.endswith(".zgroup") and [*(theirs / name).parent.iterdir()] == [theirs / name]:
            continue  # C43: upstream makes a group of an empty volume by reading it
        elif name in one:
            yield f"{name}: only theirs"
        elif not (name.endswith("/0/.zattrs") and other[name] == {}):  # written by zarr 3 for an array
            yield f"{name}: only ours"


# --- playing


class Player:
    def __init__(self, theirs: Hand, ours: Hand) -> None:
        self.theirs, self.ours = theirs, ours
        self.used: set[str] = set()

    def both(self, name: str, *arguments: Any) -> tuple[Any, Any]:
        waiting = self.theirs.ask(name, *arguments), self.ours.ask(name, *arguments)
        return waiting[0](), waiting[1]()

    def apart(self, steps: list[Step], folders: tuple[Path, Path], *, every: int = 1) -> Iterator[str]:
        """Each on a project of its own; findings."""
        waiting = self.theirs.ask("open_project", str(folders[0])), self.ours.ask("open_project", str(folders[1]))
        waiting[0](), waiting[1]()
        touched: set[tuple[str, str]] = set()
        for number, (name, arguments) in enumerate(steps):
            note_touched(name, arguments, touched)
            one, other = self.both(name, *arguments)
            if (found := self.outcome(name, arguments, one, other)) is not None:
                yield f"step {number} {name} {arguments}: {found}"
            last = number == len(steps) - 1
            if number % every == every - 1 or last:
                yield from (
                    f"after step {number} {name} {arguments}: {each}" for each in self.told(touched, kept=False)
                )
                yield from (
                    f"after step {number} {name} {arguments}: on disk: {each}" for each in disk_differences(*folders)
                )
        waiting = self.theirs.ask("open_project", str(folders[1])), self.ours.ask("open_project", str(folders[0]))
        waiting[0](), waiting[1]()
        yield from (f"at the end, each reads the other's: {each}" for each in self.told(touched, kept=False))

    def mixed(self, steps: list[Step], folder: Path, seed: int, *, every: int = 1) -> Iterator[str]:
        """Each step by one of them on the same project; both must then see the same."""
        chance = random.Random(seed)
        touched: set[tuple[str, str]] = set()
        for number, (name, arguments) in enumerate(steps):
            hand = chance.choice([self.theirs, self.ours])
            note_touched(name, arguments, touched)
            hand.ask("open_project", str(folder))()
            hand.ask(name, *arguments)()
            if number % every == every - 1 or number == len(steps) - 1:
                for each in (self.theirs, self.ours):
                    each.ask("open_project", str(folder))()
                yield from (
                    f"after step {number} {name} {arguments} by {hand.name}: {each}" for each in self.told(touched)
                )

    def told(self, touched: set[tuple[str, str]], kept: bool = False) -> Iterator[str]:
        one, other = self.both("tell", True, kept)
        if "answer" not in one or "answer" not in other:
            yield f"cannot be told: {one if 'answer' not in one else other}"
            return
        trees = [in_any_order(without_twins(each["answer"])) for each in (one, other)]
        for tree in trees:
            coarse_by_shape(tree, touched)
        if not same(*trees):
            yield where(*trees)

    def outcome(self, name: str, arguments: list[Any], one: Any, other: Any) -> str | None:
        if "answer" in one and "answer" in other:
            left, right = without_twins(one["answer"]), without_twins(other["answer"])
            if same(left, right):
                return None
            found = where(left, right)
        elif "error" in one and "error" in other:
            if one["error"][0] in other["error"]:
                return None
            found = f"{one} | {other}"
        elif one == other:
            return None
        else:
            found = f"theirs {str(one)[:700]} | ours {str(other)[:1400]}"
        for pattern, (operation, _) in DIFFERENCES.items():
            if re.fullmatch(operation, name) and re.search(pattern, found):
                self.used.add(pattern)
                return None
        return found


def note_touched(name: str, arguments: list[Any], touched: set[tuple[str, str]]) -> None:
    if name == "tomogram_region":
        touched.add((arguments[0], "tomograms"))
    elif name == "segmentation_region":
        touched.add((arguments[0], "segmentations"))


def shortened(steps: list[Step], fails: Callable[[list[Step]], bool]) -> list[Step]:
    """The fewest steps that still fail, found by leaving out ever smaller parts."""
    size = max(1, len(steps) // 2)
    while size:
        place, before = 0, len(steps)
        while place < len(steps):
            fewer = steps[:place] + steps[place + size :]
            if fewer and fails(fewer):
                steps = fewer
            else:
                place += size
        size = size if len(steps) < before and size == 1 else size // 2
    return steps
