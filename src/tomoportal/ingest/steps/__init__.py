"""One module per entity: how its items are planned, and how one of them is made."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomoportal.ingest.bench import Bench, Made
    from tomoportal.ingest.plan import Item

__all__ = ["Step", "step_of"]

_MODULES = {
    "deposition": "depositions",
    "dataset": "datasets",
    "run": "runs",
    "gain": "gains",
    "collection_metadata": "mdocs",
    "frames": "frames",
    "tiltseries_volume": "volumes",
    "ctf": "ctfs",
    "tiltseries": "tilt_series",
    "alignment": "alignments",
    "tomogram_volume": "volumes",
    "identified_objects": "identified_objects",
    "annotation": "annotations",
    "key_photos": "key_photos",
    "viewer_config": "viewer_configs",
    "tomogram": "tomograms",
}


@dataclass(frozen=True)
class Step:
    """How items of one kind are made. A change of what is written needs a new ``version``."""

    version: int
    make: Callable[[Item, Bench], Made]
    context: Callable[[Item, Bench], Any] | None = None
    """What else enters the input digest, known only when the items before are finished."""
    early: Callable[[Item], Mapping[str, Any]] | None = None
    """The document as it can be written before the items that it comes after; ``make`` replaces it."""


def step_of(kind: str) -> Step:
    """The step of a kind of item."""
    module = importlib.import_module(f"{__name__}.{_MODULES[kind]}")
    return Step(module.VERSION, module.make, getattr(module, "context", None), getattr(module, "early", None))
