"""Links to chosen parts of a project (``copick.ops.deposit``); see :mod:`tomoportal.copick.transfers.deposit`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tomoportal.copick.logs import get_logger
from tomoportal.copick.tasks import Outcome, perform
from tomoportal.copick.transfers.deposit import DEPOSITED, plan_deposit

if TYPE_CHECKING:
    from tomoportal.copick.runs import CopickRun

__all__ = ["deposit", "deposit_run"]

_Uris = Sequence[str] | None


def _chosen(*uris: _Uris) -> dict[str, Sequence[str]]:
    return {kind: given for kind, given in zip(DEPOSITED, uris, strict=True) if given is not None}


def _result(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    errors = [f"{task.what}: {error}" for task, error in outcomes if error is not None]
    return {"processed": len(outcomes) - len(errors), "errors": errors}


def deposit_run(
    run: CopickRun,
    target_dir: str,
    run_name_prefix: str = "",
    run_name_regex: str | None = None,
    picks_uris: _Uris = None,
    meshes_uris: _Uris = None,
    segmentations_uris: _Uris = None,
    tomograms_uris: _Uris = None,
    features_uris: _Uris = None,
    logger: Any = None,
) -> dict[str, Any]:
    """Link parts of one run: how many were ``processed``, and ``errors``."""
    uris = _chosen(picks_uris, meshes_uris, segmentations_uris, tomograms_uris, features_uris)
    tasks = plan_deposit(
        run.root, target_dir, uris, run_names=[run.name], run_name_prefix=run_name_prefix, run_name_regex=run_name_regex
    )
    return _result(perform(tasks, workers=1))


def deposit(
    config: str | os.PathLike[str],
    target_dir: str,
    run_names: Sequence[str] | None = None,
    run_name_prefix: str = "",
    run_name_regex: str | None = None,
    picks_uris: _Uris = None,
    meshes_uris: _Uris = None,
    segmentations_uris: _Uris = None,
    tomograms_uris: _Uris = None,
    features_uris: _Uris = None,
    n_workers: int = 8,
) -> None:
    """Link parts of the project of a config; what could not be linked is logged.

    Raises :class:`AnnotationError` for unknown runs, names that do not match and data that are not on a local disk.
    """
    from tomoportal.copick.opening import from_file

    tasks = plan_deposit(
        from_file(config),
        target_dir,
        _chosen(picks_uris, meshes_uris, segmentations_uris, tomograms_uris, features_uris),
        run_names=run_names,
        run_name_prefix=run_name_prefix,
        run_name_regex=run_name_regex,
    )
    for problem in _result(perform(tasks, workers=n_workers))["errors"]:
        get_logger("tomoportal.copick").error("%s", problem)
