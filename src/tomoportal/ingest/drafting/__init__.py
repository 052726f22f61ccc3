"""Drafting a config: look at a folder of raw files, group them to runs, and write what can be known about them.

from tomoportal.ingest.drafting import Answers, draft_config, survey_folder

survey = survey_folder("raw")             # every file with its role, read from headers and names
draft = draft_config(survey, Answers())   # text of a commented config, text of a run data map, notes
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tomoportal.ingest.drafting.draft import Answers, Draft, draft_config, free_ids
    from tomoportal.ingest.drafting.survey import Survey, survey_folder

_HOMES = {
    "Answers": "draft",
    "Draft": "draft",
    "Survey": "survey",
    "draft_config": "draft",
    "free_ids": "draft",
    "survey_folder": "survey",
}

__all__ = ["Answers", "Draft", "Survey", "draft_config", "free_ids", "survey_folder"]


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
