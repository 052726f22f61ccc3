"""``verify`` as a whole: order, processes, reading costs, junk in documents, the page and the reference."""

from __future__ import annotations

import io
import json
import shutil
import struct
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tomoportal.archive import RULES, Archive, examine, verify
from tomoportal.archive.findings import rules_markdown
from tomoportal.archive.verification.frames import read_stack
from tomoportal.archive.verification.pictures import picture_size
from tomoportal.errors import FormatError
from tomoportal.formats import ArrayVolume, convert_volume, read_aretomo
from tomoportal.storage import open_store
from tomoportal.testing.faulty import FaultyStore
from tomoportal.testing.sources import PIXEL, SHAPE, SPACING

sys.path.insert(0, str(Path(__file__).parent))

from whole_archive import (
    ALIGNMENT_DOCUMENT,
    CTF,
    FRAMES,
    INSTANCES,
    MDOC,
    POINTS,
    RAWTLT,
    RUN,
    TOMOGRAM,
    edit,
    rewrite_volume,
    write_whole_archive,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole_archive(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "archive"))


def test_several_processes_find_the_same_in_the_same_order(root: Path) -> None:
    for number in range(3):
        shutil.copytree(root / RUN, root / f"10001/TS_0{number + 2}")
    archive = Archive.open(root)
    alone = examine(archive, jobs=1)
    assert len(alone.findings) > 20  # paths and names still say TS_01
    assert examine(archive, jobs=2) == alone


def test_headers_are_read_without_the_rest(root: Path) -> None:
    counting = FaultyStore(Archive.open(root).store)
    verify(Archive.open(counting), digests=False)
    assert counting.counts["put"] == 0
    assert counting.counts["get_range"] < 150


def test_doses_by_time_are_right_too(root: Path) -> None:
    """Numbers sorted by angle, doses by time (F26)."""
    text = (root / MDOC).read_text()
    for number, minute in enumerate(("20", "30", "10", "40")):
        text = text.replace(f"_{number:03}.tif", f"_{number:03}.tif\nDateTime = 06-Jun-23  12:{minute}:00")
    (root / MDOC).write_text(text)

    def by_time(document: dict[str, Any]) -> None:
        for frame, place in zip(document["frames"], (1, 2, 0, 3), strict=True):
            frame.update(accumulated_dose=place * 2.8215, exposure_dose=2.8215)

    edit(root, FRAMES, by_time)
    assert {each.rule for each in verify(Archive.open(root))} == {"V106", "V707"}


def test_an_archive_on_an_object_store(root: Path) -> None:
    """No file can be memory-mapped there."""
    store = open_store("memory://", create=True)
    for path in sorted(root.rglob("*")):
        if path.is_file():
            store.put(path.relative_to(root).as_posix(), path.read_bytes())
    assert {each.rule for each in verify(Archive.open(store), voxels=True, jobs=2)} == {"V106"}


def test_ngff_0_5(root: Path) -> None:
    """Zarr version 3 with shards obeys the same rules."""
    volume = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32)
    store = open_store(root, create=True)
    key = f"{TOMOGRAM}/TS_01"
    shutil.rmtree(root / f"{key}.zarr")
    convert_volume(
        ArrayVolume(volume, SPACING),
        store,
        mrc_key=f"{key}.mrc",
        zarr_prefix=f"{key}.zarr",
        voxel_spacing=SPACING,
        kind="tomogram",
        ngff="0.5",
    )
    archive = Archive.open(root)
    assert {each.rule for each in verify(archive, voxels=True)} == {"V106"}
    edit(
        root, f"{key}.zarr/zarr.json", lambda content: content["attributes"]["ome"]["multiscales"][0]["axes"].reverse()
    )
    assert {each.rule for each in verify(archive)} == {"V106", "V612"}


def test_labels_that_no_mrc_file_can_hold(root: Path) -> None:
    """Above 65535 the MRC file is renumbered; the OME-Zarr holds the labels (F18)."""
    labels = np.zeros(SHAPE, np.uint32)
    labels[2:5, 3:9, 4:12], labels[7:10, 12:20, 16:28] = 1, 70000
    rewrite_volume(root, INSTANCES, labels, "instance_mask")
    assert {each.rule for each in verify(Archive.open(root), voxels=True)} <= {"V106", "V301"}


def test_alignments_of_aretomo(root: Path) -> None:
    table = "".join(f"{n} 84.7 1.0 {n}.5 -1.0 1.0 1.0 1.0 0.0 {angle}\n" for n, angle in enumerate((-4, -2, 2)))
    text = "# AreTomo Alignment / Priims bprmMn\n# RawSize = 48 32 4\n# NumPatches = 0\n# DarkFrame = 2 3 0.0\n" + table
    folder = root / RUN / "Alignments/100"
    for path in folder.glob("TS_01.*"):
        path.unlink()
    (folder / "TS_01.aln").write_text(text)
    sections = read_aretomo(text.encode(), "x").sections(PIXEL)
    key = f"{RUN}/Alignments/100/TS_01.aln"

    def named(document: dict[str, Any]) -> None:
        document.update(format="ARETOMO3", files=[key], alignment_path=key, tilt_path=None, tiltx_path=None)
        document["per_section_alignment_parameters"] = [asdict(section) for section in sections]

    edit(root, ALIGNMENT_DOCUMENT, named)
    archive = Archive.open(root)
    assert [str(each) for each in verify(archive) if each.rule != "V106"] == []
    assert [section.z_index for section in sections] == [0, 1, 3]
    (folder / "TS_01.aln").write_text(text.replace("48 32 4", "48 32 5").replace("DarkFrame = 2", "DarkFrame = 1"))
    assert {"V752", "V751"} <= {each.rule for each in verify(archive)}


def test_one_tomogram_of_an_alignment_may_be_cropped(root: Path) -> None:
    edit(root, f"{TOMOGRAM}/tomogram_metadata.json", lambda document: document["size"].update(z=8))
    rules = {each.rule for each in verify(Archive.open(root))}
    assert "V624" in rules
    assert "V762" not in rules


@pytest.mark.parametrize("form", ["PNG", "GIF", "JPEG"])
def test_sizes_of_pictures(form: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (321, 123)).save(file, form)
    assert picture_size(file.getvalue()) == (321, 123)
    assert picture_size(file.getvalue()[:9]) is None


def test_a_tiff_that_goes_round_in_a_circle() -> None:
    store = open_store("memory://", create=True)
    entry = struct.pack("<HHIHH", 256, 3, 1, 7, 0)
    store.put("x.tif", b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 8))
    with pytest.raises(FormatError, match="circle"):
        read_stack(store, "x.tif")


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60)
@given(data=st.data())
def test_no_content_makes_verify_fail(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("junk")
    shutil.copytree(whole / RUN, root / RUN)
    keys = sorted(str(path.relative_to(root)) for path in root.rglob("*.json"))
    keys += [f"{TOMOGRAM}/TS_01.zarr/.zattrs", f"{TOMOGRAM}/TS_01.zarr/1/.zarray", MDOC, RAWTLT, CTF, POINTS]
    key = data.draw(st.sampled_from(keys))
    if key.endswith(("json", ".zattrs", ".zarray")) and not key.endswith("ndjson"):
        document = json.loads((root / key).read_text())
        _spoil(document, data)
        (root / key).write_text(json.dumps(document))
    else:
        text = bytearray((root / key).read_bytes())
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
        (root / key).write_bytes(text)
    for each in verify(Archive.open(root), digests=False, voxels=True):
        assert each.rule in RULES
    shutil.rmtree(root)


def _spoil(value: Any, data: st.DataObject) -> None:
    """Put junk somewhere into a document."""
    while isinstance(value, (dict, list)) and value:
        place = data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        if not isinstance(value[place], (dict, list)) or not value[place] or data.draw(st.booleans()):
            value[place] = data.draw(_JUNK)
            return
        value = value[place]


def test_the_page_for_the_depositor(root: Path, tmp_path: Path) -> None:
    from tomoportal.cli.verify import command

    (root / RUN / "Frames/<script>.txt").write_bytes(b"")
    page = tmp_path / "report.html"
    run = CliRunner()
    arguments = ["--archive", str(root), "--html", str(page), "--deep", "--jobs", "1"]
    run.invoke(command, arguments, standalone_mode=False)
    text = page.read_text()
    assert "&lt;script&gt;.txt" in text
    assert "<script" not in text
    assert "all voxels." in text
    assert str(tmp_path) not in text
    assert "http" not in text
    assert "48 × 32 × 4 at 8.987 Å" in text
    assert text.count("<svg") == 2
    run.invoke(command, arguments, standalone_mode=False)
    assert page.read_text() == text


def test_options_that_exclude_each_other(root: Path, tmp_path: Path) -> None:
    from tomoportal.cli.verify import command

    config = tmp_path / "config.yaml"
    config.write_text("version: '1.3.0'")
    for arguments in (["--fast", "--deep"], ["--archive", str(root), "--source", str(config)]):
        assert isinstance(CliRunner().invoke(command, arguments, standalone_mode=False).exception, click.UsageError)


def test_the_reference_page_is_that_of_the_rules() -> None:
    page = Path(__file__).parents[2] / "docs/reference/verify.md"
    rules = page.read_text().partition("## Rules\n\n")[2]
    assert rules == rules_markdown(), (
        "docs/reference/verify.md is not up to date: replace all below '## Rules' by `tomoportal verify --rules`"
    )
