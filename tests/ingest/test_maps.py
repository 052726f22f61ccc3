from __future__ import annotations

import hashlib

import pytest

from tomoportal.errors import Problem
from tomoportal.ingest.maps import RunMap, read_run_map


def _read(files: dict[str, bytes], **settings: str) -> tuple[RunMap, list[Problem]]:
    return read_run_map(settings, files.get, lambda key: f"c.yaml:1 ({key})")


def test_every_column_becomes_a_variable_and_the_digest_is_kept() -> None:
    data = '\ufeffrun_name,ts-quality,a b\nTS_1,4,"x,y"\n\nTS_2,5,z\n'.encode()
    maps, problems = _read({"m.csv": data}, run_data_map_file="m.csv")
    assert not problems
    assert maps.row("TS_1") == {"run_name": "TS_1", "ts-quality": "4", "a b": "x,y"}
    assert maps.row("TS_9") == {}
    assert maps.digests == {"m.csv": hashlib.sha256(data).hexdigest()}


def test_tsv_and_the_legacy_maps_add_up() -> None:
    files = {
        "m.tsv": b"run_name\tq\nTS_1\t4\n",
        "t.csv": b"TS_1,tomo 1\n",
        "f.csv": b"TS_1,frame1\n",
        "s.csv": b"TS_1, ts1\n",
    }
    maps, problems = _read(
        files,
        run_data_map_file="m.tsv",
        run_to_tomo_map_csv="t.csv",
        run_to_frame_map_csv="f.csv",
        run_to_ts_map_csv="s.csv",
    )
    assert not problems
    assert maps.row("TS_1") == {
        "run_name": "TS_1",
        "q": "4",
        "mapped_tomo_name": "tomo 1",
        "mapped_frame_name": "frame1",
        "mapped_ts_name": "ts1",
    }


@pytest.mark.parametrize(
    ("data", "what", "where"),
    [
        (None, "does not exist", "c.yaml:1"),
        (b"", "empty", "m.csv"),
        (b"run,q\nTS_1,4\n", "no column 'run_name'", "m.csv:1"),
        (b"run_name,q\nTS_1,4,5\n", "3 cells under 2 columns", "m.csv:2"),
        (b"run_name,q\nTS_1,4\nTS_1,5\n", "second row for run 'TS_1', first on line 2", "m.csv:3"),
        (b"run_name,q,q\nTS_1,4,5\n", "q occurs more than once", "m.csv:1"),
        (b"run_name\n\xff\xfe\n", "UTF-8", "m.csv"),
    ],
)
def test_what_is_wrong_with_a_map_is_said_with_its_line(data: bytes | None, what: str, where: str) -> None:
    _, problems = _read({"m.csv": data} if data is not None else {}, run_data_map_file="m.csv")
    assert what in problems[0].what
    assert problems[0].where.startswith(where)


def test_legacy_maps_with_one_column_or_two_values_for_a_run() -> None:
    _, problems = _read({"t.csv": b"TS_1\nTS_2,a\nTS_2,b\n"}, run_to_tomo_map_csv="t.csv")
    assert [problem.where for problem in problems] == ["t.csv:1", "t.csv:3"]
