"""docs/copick-cli.md: its examples, one after the other, on files as it describes them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tomoportal.cli import main
from tomoportal.formats import ArrayVolume, Poses, RelionTomogram, write_relion
from tomoportal.formats.volume_output import write_mrc
from tomoportal.storage import open_store

PAGE = Path(__file__).parents[2] / "docs" / "copick-cli.md"


def test_the_examples_of_the_guide_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(1)
    for name in ("TS_001", "TS_002"):
        volume = generator.normal(size=(8, 16, 16)).astype(np.float32)
        write_mrc(ArrayVolume(volume), open_store(tmp_path / "raw", create=True), f"{name}.mrc", voxel_spacing=10)
        mask = ArrayVolume((volume > 0).astype(np.int8))
        write_mrc(mask, open_store(tmp_path / "masks", create=True), f"{name}.mrc", voxel_spacing=10)
        star = write_relion(
            {name: Poses.of(generator.uniform(0, 80, (4, 3)))}, {name: RelionTomogram((80.0, 80.0, 40.0))}
        )
        open_store(tmp_path / "picks", create=True).put(f"{name}.star", star)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPICK_CONFIG", "config.json")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("tomoportal copick")]
    assert len(lines) > 20
    for line in lines:
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(line)[1:])
        assert ended.value.code == 0, (line, capsys.readouterr().err)
    assert len(list((tmp_path / "out").rglob("*"))) > 12
