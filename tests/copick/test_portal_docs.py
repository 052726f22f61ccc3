"""docs/copick-portal.md: its examples, on a portal, and its tables."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import tomoportal.copick as copick
from tomoportal.cli import main
from tomoportal.copick.portal.config import CopickConfigCDP
from tomoportal.server import LiveServer

PAGE = (Path(__file__).parents[2] / "docs" / "copick-portal.md").read_text()
PORTAL = "https://cryoet.lab.example"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_work(
    portal: LiveServer, portal_root: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(blocks("sh")[0].replace(PORTAL, portal.url))[1:])
    assert ended.value.code == 0
    names: dict[str, Any] = {}
    for block in blocks("python")[:2]:
        exec(compile(block, "docs/copick-portal.md", "exec"), names)
    assert "arithmetic 3 False" in capsys.readouterr().out
    assert names["slab"].shape == (10, 80, 96)
    assert len(names["reviewed"]) == 6
    assert len(names["shown"]) == 1
    assert names["run"].get_picks(user_id="ada")
    for command in blocks("sh")[1].replace("\\\n", " ").splitlines():
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(command)[1:])
        assert ended.value.code == 0
    training = copick.from_file("training.json")
    assert training.splits == {"train": ["1", "2"]}  # type: ignore[attr-defined]
    assert "ribosome" in {each.pickable_object_name for each in training.picks()}
    assert len(training.tomograms()) == 2


def test_every_key_of_ours_is_told() -> None:
    told = set(re.findall(r"^\| `(portal_\w+)` \|", PAGE, re.MULTILINE))
    assert told == {name for name in CopickConfigCDP.OURS if name.startswith("portal_")}


def test_every_variable_of_the_environment_that_is_told_is_read() -> None:
    source = Path(inspect.getfile(CopickConfigCDP)).read_text()
    told = set(re.findall(r"COPICK_PORTAL_\w+", PAGE))
    assert len(told) == 6
    assert all(f'"{name}"' in source for name in told)


def test_the_knobs_are_those_that_the_tests_turn() -> None:
    source = Path(__file__).with_name("test_portal_upstream.py").read_text()
    assert "cryoet_data_portal._client.DEFAULT_URL = " in blocks("python")[2]
    assert "cryoet_data_portal._client.DEFAULT_URL = " in source
    assert "FSSPEC_S3_ENDPOINT_URL" in blocks("sh")[-1]
    assert "FSSPEC_S3_ENDPOINT_URL" in source
