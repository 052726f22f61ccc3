"""Docs that cannot lie: what they name exists, and what they show works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tomoportal
from tomoportal.cli import COMMANDS

ROOT = Path(__file__).parents[1]
SOURCE = Path(tomoportal.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    text = re.sub(r"`[^`]*`", "", page.read_text())  # patterns in code are no links
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_module_and_room_that_the_architecture_names_exists() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    for name in re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py)?)`", text):
        beside = ROOT / name
        assert (SOURCE / name).exists() or beside.exists(), f"docs/architecture.md names {name}"
    for name in re.findall(r"`([a-z_0-9]+\.py)`", text.partition("## The copick room")[2].partition("\n## ")[0]):
        assert (SOURCE / "copick" / name).exists(), f"docs/architecture.md names {name}"


def test_every_room_stands_in_the_architecture() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    missing = sorted(room for room in rooms if f"`{room}/`" not in text)
    assert not missing, f"docs/architecture.md does not say what these rooms are for: {missing}"


def test_the_readme_lists_the_commands_that_there_are() -> None:
    listed = re.findall(r"^\| `tomoportal (\w+)`", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:^|[`\n])make ([a-z-]+)", page.read_text()))
        assert named <= targets, f"{page.name} names make targets that do not exist: {named - targets}"
