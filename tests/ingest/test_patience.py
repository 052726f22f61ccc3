"""Retries (F47): what may pass is tried again, a bounded number of times; what is wrong with a file never is."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from tomoportal.archive import Archive
from tomoportal.errors import (
    ConflictError,
    DocumentError,
    FormatError,
    IngestError,
    NotFoundError,
    Problem,
    ReadOnlyError,
    StorageError,
    TomoportalError,
)
from tomoportal.ingest import Report, load_config, make_plan, open_source, run_plan
from tomoportal.ingest.patience import Patience, is_passing, patiently
from tomoportal.storage import open_store
from tomoportal.storage.os_errors import explain
from tomoportal.testing.faulty import FaultyStore

Ingest = Callable[..., Report]
Tree = Callable[[Path], dict[str, str]]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What would have been slept."""
    slept: list[float] = []
    monkeypatch.setattr("tomoportal.ingest.patience.time.sleep", slept.append)
    return slept


def _caused(error: TomoportalError, cause: BaseException) -> TomoportalError:
    error.__cause__ = cause
    return error


_RESET = explain(OSError(errno.ECONNRESET, "reset"), "key")
_RESET.__cause__ = OSError(errno.ECONNRESET, "reset")


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (_caused(StorageError("x"), OSError(errno.ESTALE, "stale")), True),
        (_caused(StorageError("x"), OSError(errno.ETIMEDOUT, "slow")), True),
        (_caused(StorageError("x"), TimeoutError()), True),
        (_caused(StorageError("x"), OSError(errno.ENOSPC, "full")), False),
        (_caused(StorageError("x"), OSError(errno.EACCES, "denied")), False),
        (StorageError("the store was opened read-only"), False),
        (_caused(NotFoundError("x"), OSError(errno.ENOENT, "none")), False),
        (ConflictError("x"), False),
        (ReadOnlyError("x"), False),
        (_caused(IngestError("x"), _RESET), True),
        (_caused(FormatError("x"), _RESET), False),
        (_caused(DocumentError([Problem("a", "b")]), _RESET), False),
        (IngestError("x"), False),
        (ValueError("x"), False),
    ],
)
def test_f47_errors_have_classes(error: BaseException, passes: bool) -> None:
    assert is_passing(error) is passes


def test_a_server_that_fails_may_recover() -> None:
    from obstore import exceptions

    assert is_passing(_caused(StorageError("x"), exceptions.GenericError("503")))
    assert not is_passing(_caused(StorageError("x"), exceptions.PermissionDeniedError("403")))


def test_attempts_are_bounded_and_pauses_grow(pauses: list[float]) -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        raise _RESET

    with pytest.raises(StorageError):
        patiently(work, Patience(attempts=3, pause=1, growth=2))
    assert len(calls) == 3
    assert pauses == [1, 2]


def test_a_success_after_a_hiccup_says_so(pauses: list[float]) -> None:
    left = [_RESET]

    def work() -> str:
        if left:
            raise left.pop()
        return "made"

    result, (remark,) = patiently(work)
    assert result == "made"
    assert "attempt 1 failed" in remark
    assert len(pauses) == 1


class _Shaky(FaultyStore):
    """The first request for each volume and mdoc is lost, or all requests."""

    def __init__(self, folder: Path, *, always: bool = False) -> None:
        super().__init__(open_store(folder))
        self.asked: list[str] = []
        self.always = always

    def step(self, operation: str, key: str) -> None:
        if operation in ("get", "get_range") and key:
            self.asked.append(key)
            first = key.endswith((".rec", ".mdoc", ".st")) and self.asked.count(key) == 1
            if self.always or first:
                raise StorageError("connection reset", where=key) from OSError(errno.ECONNRESET, "reset")


def _run(raw: Path, target: Path, shaky: _Shaky) -> Report:
    config = load_config(raw / "config.yaml")
    source = open_source(raw, config.source_prefix, beside=config.folder)
    archive = Archive.open(target, create=True)
    plan = make_plan(config, source, archive)
    return run_plan(plan, archive, shaky)


def test_lost_requests_for_sources_cost_nothing_but_time(
    raw: Path, ingest: Ingest, tree: Tree, tmp_path: Path, pauses: list[float]
) -> None:
    assert ingest(raw / "config.yaml", tmp_path / "one").ok
    report = _run(raw, tmp_path / "two", _Shaky(raw))
    assert report.ok, report.failures
    assert pauses
    assert any("was repeated" in text for _, text in report.warnings)
    assert tree(tmp_path / "two") == tree(tmp_path / "one")


def test_a_store_that_stays_away_fails_the_items_after_a_few_attempts(
    raw: Path, tmp_path: Path, pauses: list[float]
) -> None:
    report = _run(raw, tmp_path / "a", _Shaky(raw, always=True))
    failures = [one for one in report.failures if "connection reset" in (one.why or "")]
    assert failures
    assert len(pauses) == 3 * len(failures)


def test_a_broken_file_is_read_once(raw: Path, tmp_path: Path, ingest: Ingest, pauses: list[float]) -> None:
    (raw / "tomograms" / "TS_01.rec").write_bytes(b"no mrc" * 500)
    assert not ingest(raw / "config.yaml", tmp_path / "a").ok
    assert pauses == []
