"""Ingestion: config → sources → plan → steps → publish.

from tomoportal.archive import Archive
from tomoportal.ingest import load_config, make_plan, open_source, run_plan

config = load_config("raw/config.yaml")                  # every problem at once, with file and line
source = open_source("raw", config.source_prefix, beside=config.folder)
archive = Archive.open("archive", create=True)
plan = make_plan(config, source, archive)                # a value: items, unmatched globs, errors per run
report = run_plan(plan, archive, source.store, jobs=4)   # skips what is right, collects every failure
report.ok
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tomoportal.ingest.cluster import Cluster, Slurm
    from tomoportal.ingest.config import Config, load_config
    from tomoportal.ingest.migrations import CURRENT_VERSION
    from tomoportal.ingest.plan import Item, Options, Plan
    from tomoportal.ingest.planner import make_plan
    from tomoportal.ingest.report import Report, Result
    from tomoportal.ingest.running import run_plan
    from tomoportal.ingest.sources import SourceRoot, open_source
    from tomoportal.ingest.stale import prune
    from tomoportal.ingest.upgrade import Upgraded, upgrade_config

_HOMES = {
    "CURRENT_VERSION": "migrations",
    "Cluster": "cluster",
    "Config": "config",
    "Item": "plan",
    "Options": "plan",
    "Plan": "plan",
    "Report": "report",
    "Result": "report",
    "Slurm": "cluster",
    "SourceRoot": "sources",
    "load_config": "config",
    "make_plan": "planner",
    "prune": "stale",
    "open_source": "sources",
    "run_plan": "running",
    "Upgraded": "upgrade",
    "upgrade_config": "upgrade",
}

__all__ = [
    "CURRENT_VERSION",
    "Cluster",
    "Config",
    "Item",
    "Options",
    "Plan",
    "Report",
    "Result",
    "Slurm",
    "SourceRoot",
    "Upgraded",
    "load_config",
    "make_plan",
    "open_source",
    "prune",
    "run_plan",
    "upgrade_config",
]


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
