"""Which names the runs of a portal get in exported files: those that their tilt series have, or ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal, TypeAlias

from tomoportal.copick.names import check_run_name
from tomoportal.copick.root import CopickRoot
from tomoportal.errors import AnnotationError

__all__ = ["RunNames", "written_names"]

RunNames: TypeAlias = Literal["portal", "id"]


def written_names(root: CopickRoot, names: RunNames = "portal") -> Mapping[str, str]:
    """Run → its name in files, no two alike: the portal's name unless ``names`` is ``id``, its own elsewhere.

    Where runs of several datasets share a name the dataset's id stands before it: ``10001_TS_1``. A run that this does
    not tell from others, or whose name cannot be that of a file, keeps its id.
    """
    if names == "id":
        return {}
    choices = {run.name: [*_told(run), run.name] for run in root.runs}
    chosen = dict.fromkeys(choices, 0)
    while True:
        found = {run: each[chosen[run]] for run, each in choices.items()}
        taken = Counter(name.casefold() for name in found.values())
        again = [run for run, name in found.items() if taken[name.casefold()] > 1 and name != choices[run][-1]]
        if not again:
            return found
        for run in again:
            chosen[run] += 1


def _told(run: object) -> list[str]:
    name, dataset = getattr(run, "portal_run_name", None), getattr(run, "portal_dataset_id", None)
    try:
        return [check_run_name(name), f"{dataset}_{name}"] if name is not None else []
    except AnnotationError:
        return []
