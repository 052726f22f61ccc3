"""An annotator's session in napari-copick and copick-shared-ui is on ours what it is on upstream's.

Both packages are driven on copies of one project: what the windows show and what is in the project afterwards is equal.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

spec = importlib.util.spec_from_file_location("plugin_project", Path(__file__).with_name("test_plugins.py"))
assert spec is not None
assert spec.loader is not None
plugin_project = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plugin_project)

OURS_ALONE = {
    "add/mesh", "add/picks-stopgap", "diff", "export/mesh", "from-portal", "history", "restore", "validate"
}  # fmt: skip


@pytest.mark.slow
def test_a_session_of_an_annotator(tmp_path: Path, make_config: Any, plugins: Any) -> None:
    (tmp_path / "ours").mkdir()
    plugin_project.make_project(tmp_path / "ours", make_config)
    shutil.copytree(tmp_path / "ours", tmp_path / "theirs")
    config = tmp_path / "theirs" / "copick_config.json"
    config.write_text(config.read_text().replace(str(tmp_path / "ours"), str(tmp_path / "theirs")))
    script = Path(__file__).with_name("plugin_scripts") / "napari_session.py"
    ours, theirs = (
        plugins(
            script.read_text(),
            tmp_path / place,
            TOMOPORTAL_AS_COPICK=flag,
            QT_QPA_PLATFORM="offscreen",
            HOME=str(tmp_path / place),
            XDG_CACHE_HOME=str(tmp_path / place / "cache"),
        )
        for place, flag in (("ours", "1"), ("theirs", ""))
    )
    assert ours.pop("package").startswith("tomoportal")
    assert theirs.pop("package").startswith("copick")
    assert set(ours["commands"]) - set(theirs["commands"]) == OURS_ALONE
    assert set(theirs.pop("commands")) <= set(ours.pop("commands"))
    assert ours == theirs
    assert not ours["problems"]
    assert "wbp" in str(ours["tree"])
    assert len(ours["layers"]) == 13
    mine, others = plugin_project.contents(tmp_path / "ours"), plugin_project.contents(tmp_path / "theirs")
    made = {key for key in mine if "napari" in key}
    assert len(made) == 6, made  # three kinds of segmentations, picks of two objects, filaments
    assert set(mine) == set(others)
    for key, arrays in mine.items():
        for one, other in zip(arrays, others[key], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6, err_msg=key)
    for place in ("ours", "theirs"):
        assert len(list((tmp_path / place).glob("tab-*.png"))) == len(ours["tabs"])
