"""What an ingestion says while it runs and at its end (F46, F58)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tomoportal.cli.ingest import command
from tomoportal.errors import Problem, StorageError
from tomoportal.ingest.log import ingest_log
from tomoportal.ingest.plan import RunError, Unmatched
from tomoportal.ingest.report import Report, Result


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def test_every_item_has_its_lines_and_their_fields_an_order(raw: Path, tmp_path: Path) -> None:
    (raw / "stacks" / "TS_01.rawtlt").write_text("no angles\n")
    (raw / "denoised" / "TS_02.mrc").unlink()
    log, archive = tmp_path / "log.jsonl", tmp_path / "archive"
    arguments = [str(raw / "config.yaml"), "--archive", str(archive), "--jobs", "1", "--log", str(log)]
    result = CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False)
    assert result.return_value == 1
    lines = _lines(log)
    assert list(lines[0]) == ["time", "event", "config", "create", "replace", "skip", "reference", "errors"]
    assert (lines[1]["event"], lines[1]["pattern"], lines[1]["runs"]) == (
        "unmatched",
        "denoised/{run_name}.mrc",
        ["10001/TS_02"],
    )
    started = [line["item"] for line in lines if line["event"] == "start"]
    done = {line["item"]: line for line in lines if line["event"] == "done"}
    assert len(done) == lines[0]["create"]
    assert len(set(started)) == len(started)
    names = ["item", "container", "kind", "title", "outcome", "why", "seconds", "bytes", "warnings"]
    assert all(list(line) == ["time", "event", *names] for line in done.values())
    failed = [line for line in done.values() if line["outcome"] == "failed"]
    assert [(line["container"], line["kind"]) for line in failed] == [("10001/TS_01", "tiltseries")]
    assert "stacks/TS_01.rawtlt:1" in failed[0]["why"]
    left = [line for line in done.values() if line["outcome"] == "not attempted"]
    assert all(line["item"] not in started for line in left)
    volume = next(line for line in done.values() if line["kind"] == "tomogram_volume")
    assert volume["bytes"] > 12 * 24 * 32 * 4
    assert volume["seconds"] > 0
    assert (lines[-1]["event"], lines[-1]["ok"], lines[-1]["failed"]) == ("end", False, 1)
    assert "stacks/TS_01.rawtlt:1" in result.stdout  # the table says why, and what matched nothing
    assert "unmatched" in result.stdout

    CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False)
    again = _lines(log)[len(lines) :]  # appended
    assert {line["outcome"] for line in again if line["event"] == "done"} == {
        "skipped",
        "absent",
        "failed",
        "not attempted",
    }


def test_an_interrupt_is_the_last_line(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), ingest_log(tmp_path / "log"):
        raise KeyboardInterrupt
    assert [line["event"] for line in _lines(tmp_path / "log")] == ["interrupted"]


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"), ingest_log(tmp_path / "nowhere" / "log"):
        pass


def test_the_summary_names_the_most_frequent_reasons() -> None:
    results = [Result(str(n), str(n), "failed", f"reason {min(n, 4)}") for n in range(7)]
    results += [Result("a", "a", "created"), Result("b", "b", "absent", "no label")]
    errors = (RunError("10001/TS_1", Problem("config.yaml:3", "no mdoc", None)),)
    unmatched = (Unmatched("config.yaml:9 (gains[0])", "gain/*.mrc", ("gain/*.mrc",), (), 2),)
    assert Report(results, errors, unmatched).summary() == [
        ("created", 1, ""),
        ("absent", 1, "no label"),
        ("failed", 7, "reason 4 (3×); reason 0; reason 1; and 2 more"),
        ("not planned", 1, "no mdoc"),
        ("matched nothing", 1, "'gain/*.mrc'"),
    ]
