"""An in-silico specimen, from bead models to raw lab files and an ingestion config.

    from tomoportal.demo import make_demo

    config = make_demo("demo-source", jobs=2)        # then: tomoportal ingest demo-source/demo.yaml

The chain: ``campaign`` (which datasets and runs) → ``particles``, ``specimen`` (what is in the ice) → ``projection``,
``microscope`` (tilt series) → ``reconstruction`` (tomograms) → ``masks``, ``picking`` (annotations) → ``lab_files``,
``simulation`` (the files of a run) → ``config``, ``build`` (everything together).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tomoportal.demo.build import CONFIG, make_demo
    from tomoportal.demo.campaign import ScaleName

_HOMES = {"CONFIG": "build", "ScaleName": "campaign", "make_demo": "build"}

__all__ = ["CONFIG", "ScaleName", "make_demo"]


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
