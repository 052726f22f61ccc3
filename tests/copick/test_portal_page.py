"""What the pages of a portal show under "Open as copick project": it is run as it stands there."""

from __future__ import annotations

import contextlib
import html
import io
import os
import re
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import tomoportal.copick as copick
from tomoportal.server import LiveServer
from tomoportal.web.copick_projects import copick_project


def shown(portal: LiveServer, address: str) -> list[str]:
    """The texts of the boxes, as a browser copies them."""
    with urllib.request.urlopen(f"{portal.url}{address}") as answer:
        page = answer.read().decode()
    box = page.partition('id="copick"')[2].partition("</section>")[0]
    return [html.unescape(text) for text in re.findall(r"<code>(.*?)</code>", box, re.DOTALL)]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("address", "name", "runs"),
    [("/datasets/10001", "copick-10001", 2), ("/depositions/10301", "copick-deposition-10301", 17)],
)
def test_the_command_of_a_page_writes_a_config_that_opens(
    portal: LiveServer, address: str, name: str, runs: int
) -> None:
    command = shown(portal, address)[0]
    assert shlex.split(command)[:3] == ["tomoportal", "copick", "from-portal"]
    program = Path(sys.executable).with_name("tomoportal")
    subprocess.run(
        ["sh", "-ec", command], check=True, env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    )
    root = copick.from_file(f"{name}.json")
    assert len(root.runs) == runs
    root.runs[0].new_picks("membrane", "1", "ada").from_numpy([[1, 2, 3]])
    assert list(Path(name).rglob("ada_1_membrane.json"))


@pytest.mark.parametrize(("address", "lines"), [("/datasets/10001", 6), ("/depositions/10301", 63)])
def test_the_python_lines_of_a_page_list_its_points(portal: LiveServer, address: str, lines: int) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(shown(portal, address)[1], address, "exec"), {})
    found = printed.getvalue().splitlines()
    assert len(found) == lines
    assert "TS_1 membrane 3" in found


def test_the_lines_for_the_package_copick_open_the_dataset(portal: LiveServer, upstream: Any) -> None:
    script = shown(portal, "/datasets/10001")[2]
    assert "tomoportal" not in script
    upstream(script + "\nimport json\nprint(json.dumps(len(root.runs)))", PYTHONNOUSERSITE="1")
    config = copick.from_file("copick-10001.json").config
    assert config.dataset_ids == [10001]  # type: ignore[attr-defined]


def test_a_host_that_is_no_address_does_not_reach_the_shell(portal: LiveServer) -> None:
    request = urllib.request.Request(f"{portal.url}/datasets/10001", headers={"Host": "lab.example;$(touch x)"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)
    command = copick_project("https://lab.example/$(touch x)", [1], name="copick-1").command
    assert shlex.split(command)[5:7] == ["--endpoint", "https://lab.example/$(touch x)"]
