"""An annotator's session in napari-copick and copick-shared-ui is on ours what it is on upstream's.

Both packages are driven on copies of one project: what the windows show and what is in the project afterwards is equal.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).with_name("plugin_scripts")))

from plugin_project import check_equal, twins

SCRIPTS = Path(__file__).with_name("plugin_scripts")

OURS_ALONE = {
    "add/mesh", "add/picks-stopgap", "diff", "export/mesh", "from-portal", "history", "restore", "validate"
}  # fmt: skip


@pytest.mark.slow
def test_a_session_of_an_annotator(tmp_path: Path, make_config: Any, plugins: Any) -> None:
    twins(tmp_path, make_config)
    script = SCRIPTS / "napari_session.py"
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
    made = {key for key in check_equal(tmp_path / "ours", tmp_path / "theirs") if "napari" in key}
    assert len(made) == 6, made  # three kinds of segmentations, picks of two objects, filaments
    for place in ("ours", "theirs"):
        assert len(list((tmp_path / place).glob("tab-*.png"))) == len(ours["tabs"])
