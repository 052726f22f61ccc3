"""The main job on real files, as a user does it: `init`, `up`, then look at it in a browser and ask the API.

Tomograms with masks and particles, a tilt stack with its mdoc, an IMOD alignment: all read in place.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cryoet_data_portal
import mrcfile
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Frame, Page, expect

from tomoportal.server import LiveServer, Settings

pytestmark = pytest.mark.real_data

SOURCES = {
    "MT_001.mrc": "mrc/tomogram/derived_mt_96cube_float32.mrc",
    "MT_001_mask.mrc": "mrc/segmentation/derived_mt_96cube_mask_int8.mrc",
    "krios.mrc": "mrc/tomogram/krios_k2_100cube_int16_imod.mrc",
    "krios_particles.star": "annotations/star/relion_3.0.star",
    "TS_017/TS_017.st": "mrc/tilt_series/derived_SERI_extended_header.st",
    "TS_017/TS_017.mdoc": "tilt/mdoc/serialem4_TS_017.mdoc",
    "TS_001/TS_001.rec": "mrc/tomogram/tf30_microtubules_32x64x78.rec",
    **{f"TS_001/TS_001.{end}": f"tilt/imod/TS_001/TS_001.{end}" for end in ("rawtlt", "tlt", "xf", "xtilt")},
    "Position_10.mdoc": "tilt/mdoc/tomo5_Position_10.mdoc",
}


# For all tests of the session: those with a browser run beside those of other modules.
@pytest.fixture(scope="session")
def portal(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A portal made of real files by the commands that a user types."""
    raw = tmp_path_factory.mktemp("real") / "raw"
    for name, target in SOURCES.items():
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).symlink_to(real_data / target)
    angles = re.findall(r"TiltAngle = (\S+)", (raw / "TS_017/TS_017.mdoc").read_text())[:4]
    (raw / "TS_017/TS_017.rawtlt").write_text("".join(f"{float(angle):.2f}\n" for angle in angles))
    archive = raw.parent / "archive"
    for arguments in (
        ("init", str(raw), "--yes", "--archive", str(archive)),
        ("up", str(raw / "tomoportal.yaml"), "--archive", str(archive), "--follow-links", "--no-serve"),
        ("verify", "--archive", str(archive)),
    ):
        done = subprocess.run([sys.executable, "-m", "tomoportal", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    with LiveServer(Settings(archive=str(archive))) as server:
        yield server.url


def test_the_public_client_finds_and_downloads_real_data(
    portal: str, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = cryoet_data_portal.Client(f"{portal}/graphql")
    runs = {run.name: run for run in cryoet_data_portal.Run.find(client)}
    assert {"krios", "MT_001", "TS_017", "TS_001", "Position_10"} <= set(runs)
    assert runs["TS_017"].tiltseries[0].tilt_axis == 82.9
    assert len(list(runs["TS_001"].alignments[0].per_section_alignments)) == 40
    shapes = {shape.shape_type for one in runs["krios"].annotations for shape in one.annotation_shapes}
    assert "OrientedPoint" in shapes
    assert any(one.object_name for one in runs["MT_001"].annotations)
    monkeypatch.chdir(tmp_path)
    runs["krios"].tomograms[0].download_mrcfile()
    assert mrcfile.validate("krios.mrc", print_file=io.StringIO())
    with (
        mrcfile.open("krios.mrc") as ours,
        mrcfile.open(real_data / SOURCES["krios.mrc"], permissive=True) as theirs,
    ):
        assert np.array_equal(ours.data, theirs.data)


@pytest.mark.parametrize(("run", "layers"), [("MT_001", 2), ("krios", 2), ("TS_001", 1)])
def test_a_real_tomogram_is_seen_in_the_viewer(
    page: Page,
    portal: str,
    watching: Callable[[Page], Any],
    wait_until_shown: Callable[[Frame, int], None],
    run: str,
    layers: int,
) -> None:
    watch = watching(page)
    page.goto(f"{portal}/browse-data/datasets?search={run}")
    page.locator("tbody th a").first.click()
    page.get_by_role("link", name=run, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(run)
    page.get_by_role("link", name="View tomogram", exact=True).click()
    element = page.wait_for_selector("iframe#viewer")
    frame = element.content_frame() if element is not None else None
    assert frame is not None
    frame.wait_for_url("**/viewer/v/portal/**")
    wait_until_shown(frame, layers)
    panel = page.locator("iframe#viewer").bounding_box()
    assert panel is not None
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), int)
    top, left = int(panel["y"]) + 110, 310
    slices = picture[top : top + 260, left : left + 480]  # the xy panel: right of the controls, below the layer bar
    grey = (np.ptp(slices, axis=2) < 8) & (slices[..., 0] > 40) & (slices[..., 0] < 220)  # neither lines nor frames
    assert grey.sum() > 500, "the volume is not visible"
    assert not watch.errors
    assert not watch.outside(portal)
