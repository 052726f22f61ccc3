"""The tree of ``copick.ops.browser`` in textual's own test driver: what is listed, what the page says."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.cli.copick.tree_application import ICONS, CopickTreeApp, copick_to_label, launch_app
from tomoportal.errors import AnnotationError, SettingsError


@pytest.fixture
def project(tmp_path: Path) -> copick.CopickRoot:
    objects = [
        {"name": "ribosome", "is_particle": True, "color": [1, 2, 3, 255]},
        {"name": "actin", "is_particle": True, "label": 2, "metadata": {"copick": {"filament": {}}}},
    ]
    root = copick.new_config(tmp_path / "config.json", str(tmp_path / "project"), "tést", "", objects)
    root.user_id = "ada"
    run = root.new_run("TS_1")
    tomogram = run.new_voxel_spacing(10.0).new_tomogram("wbp")
    tomogram.from_numpy(np.zeros((4, 4, 4), np.float32), levels=1)
    tomogram.new_features("edges")
    run.new_picks("ribosome", "1").from_numpy(np.ones((3, 3)))
    run.new_segmentation(10.0, "ribosome", "1").from_numpy(np.zeros((4, 4, 4), np.uint8))
    run.new_segmentation(10.0, "all", "2", is_multilabel=True)
    run.new_mesh("ribosome", "1")
    run.new_filaments("actin", "1").from_numpy([np.arange(6.0).reshape(2, 3)])
    return copick.from_file(tmp_path / "config.json")


def walked(project: copick.CopickRoot) -> tuple[list[str], dict[str, str]]:
    """The labels of the whole tree, indented, and what the page says for each tag."""
    lines, pages = [], {}

    async def walk() -> None:
        app = CopickTreeApp(project)
        async with app.run_test() as pilot:
            shown: list[str] = []
            update = app.markdown.update
            app.markdown.update = lambda text: (shown.append(text), update(text))[1]
            tree = app.query_one("Tree")

            async def visit(node: Any, depth: int) -> None:
                lines.append("  " * depth + str(node.label).split(" ", 1)[1].strip())
                node.expand()
                await pilot.pause()
                if node is not tree.root:
                    tree.move_cursor(node)
                    await pilot.pause()
                pages.setdefault(node.data[0] if node.data else "error", shown[-1] if shown else "")
                for child in list(node.children):
                    await visit(child, depth + 1)

            await visit(tree.root, 0)
            before = len(lines)
            tree.root.children[1].collapse()
            tree.root.children[1].expand()  # nothing is doubled
            await pilot.pause()
            assert len(tree.root.children[1].children) == 5
            assert len(lines) == before

    asyncio.run(walk())
    return lines, pages


def test_everything_of_a_project_is_in_the_tree_and_has_a_page(project: copick.CopickRoot) -> None:
    lines, pages = walked(project)
    assert "\n".join(lines) == (
        "Copick Project tést\n"
        "  Objects\n"
        "    Object ribosome\n"
        "    Object actin\n"
        "  Run TS_1\n"
        "    Voxel Spacings\n"
        "      Voxel Spacing 10.0\n"
        "        Tomogram wbp\n"
        "          Features edges\n"
        "    Picks\n"
        "      Picks ada_1_ribosome\n"
        "    Meshes\n"
        "      Mesh ada_1_ribosome\n"
        "    Segmentations\n"
        "      Segmentation 10.000_ada_1_ribosome\n"
        "      🌈 Segmentation 10.000_ada_2_all\n"
        "    Filaments\n"
        "      Filaments ada_1_actin"
    )
    assert "* Count: 3" in pages["picks"]
    assert "* Count: 1" in pages["filaments"]
    assert pages["run"].startswith("# CopickRun Metadata")
    assert {tag for tag, text in pages.items() if not text} >= {"picks_parent", "filaments_parent", "voxel_parent"}
    assert all(pages[tag] for tag in ("object", "voxel", "tomogram", "feature", "mesh", "segmentation"))


def test_what_cannot_be_read_is_said_in_the_page(project: copick.CopickRoot) -> None:
    Path(project.get_run("TS_1").picks[0].path).write_text("{")
    _, pages = walked(project)
    assert pages["picks"].startswith("# Metadata")
    assert "ada_1_ribosome" in pages["picks"]


def test_labels_tell_colour_and_kind(project: copick.CopickRoot) -> None:
    """Names with brackets are text, not markup; an object that is not in the config has no colour."""
    run = project.get_run("TS_1")
    assert "on rgb(1,2,3)" in [str(span.style) for span in copick_to_label(run.picks[0]).spans]
    assert copick_to_label(run, include_metadata=False).plain == f"{ICONS['run']} Run"
    run.meta.name = "[b]TS[/b]"
    assert copick_to_label(run).plain.endswith("Run [b]TS[/b]")
    (panoptic,) = [each for each in run.segmentations if each.is_multilabel]
    assert "🌈" in copick_to_label(panoptic).plain
    project.config.pickable_objects.clear()
    assert copick_to_label(run.picks[0]).plain.endswith("Picks ada_1_ribosome")
    with pytest.raises(AnnotationError, match="no entity"):
        copick_to_label(object())


def test_a_project_has_to_be_named() -> None:
    with pytest.raises(SettingsError, match="no project"):
        launch_app()


def test_without_textual_the_extra_is_named() -> None:
    code = """
import sys
sys.modules["textual"] = None
import tomoportal.copick
tomoportal.copick.install()
import copick.ops.add
try:
    import copick.ops.browser
except ImportError as error:
    assert "tomoportal[browser]" in str(error), error
else:
    raise AssertionError
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_is_the_module_that_programs_import() -> None:
    """What a program puts into ``copick.ops.browser`` counts, as upstream's tests do it."""
    code = """
import tomoportal.copick
tomoportal.copick.install()
import copick
import copick.ops.browser as browser
import tomoportal.cli.copick.tree_application as ours
assert browser is ours and copick.ops.browser is ours and ours.__spec__.name == ours.__name__
from copick.ops.browser import launch_app
assert launch_app is ours.launch_app
from copick.util import portal_cache
assert portal_cache.get_or_fetch.__module__ == "tomoportal.copick.portal.row_documents"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
