"""One call for each of many runs, in threads or processes (reference copick-api, 13)."""

from __future__ import annotations

import logging
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from tomoportal.copick.logs import get_logger
from tomoportal.errors import AnnotationError

if TYPE_CHECKING:
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun

__all__ = ["RunResults", "map_runs", "report_results"]

_LOGGER = "tomoportal.copick"


class RunResults(dict[str, Any]):
    """What each run gave, by its name, in the order of the runs; None for those that failed, whose errors are kept."""

    errors: dict[str, Exception]

    def __init__(self) -> None:
        super().__init__()
        self.errors = {}


def _on_name(root: CopickRoot, name: str, callback: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    run = root.get_run(name)
    if run is None:
        raise AnnotationError(f"Run '{name}' not found", fix="names of runs are case-sensitive")
    return callback(run, **arguments)


def map_runs(
    callback: Callable[..., Any],
    root: CopickRoot,
    runs: Iterable[str] | Iterable[CopickRun],
    workers: int = 8,
    parallelism: Literal["thread", "process"] = "thread",
    run_args: Iterable[dict[str, Any]] | None = None,
    show_progress: bool = True,
    task_desc: str | None = None,
    *,
    raise_on_error: bool = False,
    **kwargs: Any,
) -> RunResults:
    """Call ``callback(run, **run_args[i], **kwargs)`` for every run, several at a time.

    A run that fails is logged and gives None; its error is in the ``errors`` of the result, or raised if
    ``raise_on_error`` (C53). ``runs`` may be any iterable of names or runs. Raises :class:`AnnotationError` if there
    is not one ``run_args`` per run. Processes are new ones: the callback must be importable, and a script that starts
    them needs ``if __name__ == "__main__":``.
    """
    chosen = list(runs)
    arguments = [{} for _ in chosen] if run_args is None else list(run_args)
    if len(arguments) != len(chosen):
        raise AnnotationError(
            "Length of runs and run_args must be the same.", where=f"{len(chosen)} runs, {len(arguments)} run_args"
        )
    if parallelism not in ("thread", "process"):
        raise AnnotationError(f"Invalid parallelism type: {parallelism}, must be 'thread' or 'process'")
    futures: dict[Future[Any], str] = {}
    results = RunResults()
    with _executor(parallelism, workers) as pool:
        for run, own in zip(chosen, arguments, strict=True):
            if isinstance(run, str):
                futures[pool.submit(_on_name, root, run, callback, {**own, **kwargs})] = run
            elif hasattr(run, "name") and hasattr(run, "root"):
                futures[pool.submit(callback, run, **{**own, **kwargs})] = run.name
            else:
                raise AnnotationError(f"Invalid run type: {type(run).__name__}", fix="give names, or runs of a root")
        results.update(dict.fromkeys(futures.values()))
        with _progress(task_desc or "Processing runs", len(futures), shown=show_progress) as advance:
            for future in as_completed(futures):
                name, error = futures[future], future.exception()
                advance()
                if isinstance(error, Exception):
                    results.errors[name] = error
                    get_logger(_LOGGER).error("Error processing run %s", name, exc_info=error)
                elif error is not None:
                    raise error
                else:
                    results[name] = future.result()
    if raise_on_error and results.errors:
        raise next(results.errors[name] for name in results if name in results.errors)
    return results


def _executor(parallelism: str, workers: int) -> Executor:
    if parallelism == "process":
        # A fork of a process whose threads hold locks (those of a store's client, say) waits for them for ever.
        kinds = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if "forkserver" in kinds else "spawn")
        return ProcessPoolExecutor(max_workers=workers, mp_context=context)
    return ThreadPoolExecutor(max_workers=workers, thread_name_prefix="runs")


@contextmanager
def _progress(title: str, total: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """A count on the terminal, if there is one."""
    shown = shown and total > 1 and sys.stderr.isatty()
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if shown:
            sys.stderr.write(f"\r{title}: {done}/{total}")
            sys.stderr.flush()

    yield advance
    if shown:
        sys.stderr.write("\n")


def report_results(results: dict[str, Any], total_files: int, logger: logging.Logger | None = None) -> None:
    """Log what :func:`map_runs` gave: per run a dictionary of the number ``processed`` and a list of ``errors``."""
    log = logger or get_logger(_LOGGER)
    errors = [
        problem
        for name, result in results.items()
        for problem in ([f"Run {name} failed completely"] if result is None else result["errors"])
    ]
    processed = sum(result["processed"] for result in results.values() if result is not None)
    if not errors:
        log.info("Successfully processed all %d items", processed)
        return
    log.error("Failed to process %d items:", len(errors))
    for problem in errors:
        log.error("%s", problem)
    if processed:
        log.info("Successfully processed %d out of %d items", processed, total_files)
