"""Copies, moves and removals by URI, with results as dictionaries (``copick.ops.manage``).

What they do is :mod:`tomoportal.copick.transfers.by_uri`; here are the names, arguments and results that scripts know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tomoportal.copick.logs import get_logger
from tomoportal.copick.operations.mapping import map_runs
from tomoportal.copick.tasks import perform
from tomoportal.copick.transfers.by_uri import plan_transfer
from tomoportal.copick.uri import resolve_copick_objects, serialize_copick_uri
from tomoportal.errors import AnnotationError

if TYPE_CHECKING:
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun

__all__ = [
    "copy_copick_objects",
    "copy_copick_objects_batch",
    "copy_copick_objects_per_run",
    "move_copick_objects",
    "move_copick_objects_batch",
    "move_copick_objects_per_run",
    "remove_copick_objects",
    "remove_copick_objects_batch",
    "remove_copick_objects_per_run",
]

_MOVABLE = ("picks", "filaments", "mesh", "segmentation")
Result = dict[str, Any]


def _say(log: bool, what: str) -> None:
    if log:
        get_logger("tomoportal.copick").info("%s", what)


def remove_copick_objects(
    root: CopickRoot,
    object_type: str,
    uri: str,
    run_name: str | None = None,
    dry_run: bool = False,
    log: bool = False,
) -> Result:
    """Remove what a URI names: ``deleted``, ``objects`` (URIs) and ``errors``."""
    removed, errors = [], []
    for each in resolve_copick_objects(uri, root, object_type, run_name):
        name = serialize_copick_uri(each)
        try:
            if not dry_run:
                each.delete()
        except (OSError, ValueError) as error:
            errors.append(f"Failed to delete {name}: {error}")
            continue
        removed.append(name)
        _say(log, f"{'Would delete' if dry_run else 'Deleted'}: {name}")
    return {"deleted": len(removed), "objects": removed, "errors": errors}


def _transferred(
    root: CopickRoot,
    object_type: str,
    source: str,
    target: str,
    run: str | None,
    overwrite: bool,
    log: bool,
    move: bool,
) -> Result:
    done, word = ("moved", "Move") if move else ("copied", "Copy")
    if object_type not in _MOVABLE:
        raise AnnotationError(f"{word} operation not supported for object type: {object_type}")
    if not resolve_copick_objects(source, root, object_type, run):
        _say(log, f"No objects found matching source URI: {source}")
        return {done: 0, "mappings": [], "errors": []}
    tasks = plan_transfer(root, object_type, source, target, move=move, run_name=run, overwrite=overwrite)  # type: ignore[arg-type]
    mappings, errors = [], []
    for task, error in perform(tasks, workers=1):
        before, _, after = task.what.removeprefix(f"{task.run} ").partition(" → ")
        if error is None:
            mappings.append((before, after))
        else:
            errors.append(f"Failed to {word.lower()} {before}: {error}")
    return {done: len(mappings), "mappings": mappings, "errors": errors}


def move_copick_objects(
    root: CopickRoot,
    object_type: str,
    source_uri: str,
    target_uri: str,
    run_name: str | None = None,
    overwrite: bool = False,
    log: bool = False,
) -> Result:
    """Move what a URI names: ``moved``, ``mappings`` (pairs of URIs) and ``errors``."""
    return _transferred(root, object_type, source_uri, target_uri, run_name, overwrite, log, True)


def copy_copick_objects(
    root: CopickRoot,
    object_type: str,
    source_uri: str,
    target_uri: str,
    run_name: str | None = None,
    overwrite: bool = False,
    log: bool = False,
) -> Result:
    """Copy what a URI names: ``copied``, ``mappings`` (pairs of URIs) and ``errors``."""
    return _transferred(root, object_type, source_uri, target_uri, run_name, overwrite, log, False)


# --- one run, and many at a time; what goes wrong is in the result


def remove_copick_objects_per_run(run: CopickRun, object_type: str, uri: str, dry_run: bool = False) -> Result:
    """Remove what a URI names in one run."""
    try:
        return remove_copick_objects(run.root, object_type, uri, run.name, dry_run)
    except (OSError, ValueError) as error:
        return {"deleted": 0, "objects": [], "errors": [f"{run.name}: {error}"]}


def _transferred_in(run: CopickRun, object_type: str, source: str, target: str, overwrite: bool, move: bool) -> Result:
    try:
        return _transferred(run.root, object_type, source, target, run.name, overwrite, False, move)
    except (OSError, ValueError) as error:
        return {"moved" if move else "copied": 0, "mappings": [], "errors": [f"{run.name}: {error}"]}


def move_copick_objects_per_run(
    run: CopickRun, object_type: str, source_uri: str, target_uri: str, overwrite: bool = False
) -> Result:
    """Move what a URI names in one run."""
    return _transferred_in(run, object_type, source_uri, target_uri, overwrite, True)


def copy_copick_objects_per_run(
    run: CopickRun, object_type: str, source_uri: str, target_uri: str, overwrite: bool = False
) -> Result:
    """Copy what a URI names in one run."""
    return _transferred_in(run, object_type, source_uri, target_uri, overwrite, False)


def _batch(
    work: Callable[..., Result], root: CopickRoot, run_names: Iterable[str] | None, workers: int, **arguments: Any
) -> dict[str, Any]:
    names = [run.name for run in root.runs] if run_names is None else list(run_names)
    return dict(map_runs(work, root, names, workers, show_progress=False, **arguments))


def remove_copick_objects_batch(
    root: CopickRoot,
    object_type: str,
    uri: str,
    run_names: Iterable[str] | None = None,
    dry_run: bool = False,
    workers: int = 8,
) -> dict[str, Any]:
    """Remove what a URI names in many runs: run → result."""
    arguments: dict[str, Any] = {"object_type": object_type, "uri": uri, "dry_run": dry_run}
    return _batch(remove_copick_objects_per_run, root, run_names, workers, **arguments)


def move_copick_objects_batch(
    root: CopickRoot,
    object_type: str,
    source_uri: str,
    target_uri: str,
    run_names: Iterable[str] | None = None,
    overwrite: bool = False,
    workers: int = 8,
) -> dict[str, Any]:
    """Move what a URI names in many runs: run → result."""
    uris = {"object_type": object_type, "source_uri": source_uri, "target_uri": target_uri}
    return _batch(move_copick_objects_per_run, root, run_names, workers, overwrite=overwrite, **uris)


def copy_copick_objects_batch(
    root: CopickRoot,
    object_type: str,
    source_uri: str,
    target_uri: str,
    run_names: Iterable[str] | None = None,
    overwrite: bool = False,
    workers: int = 8,
) -> dict[str, Any]:
    """Copy what a URI names in many runs: run → result."""
    uris = {"object_type": object_type, "source_uri": source_uri, "target_uri": target_uri}
    return _batch(copy_copick_objects_per_run, root, run_names, workers, overwrite=overwrite, **uris)
