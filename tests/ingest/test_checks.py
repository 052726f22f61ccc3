"""``verify --source``: the same rules on the files of a config, before anything is ingested."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tomoportal.archive import RULES, Finding
from tomoportal.formats.mrc import HEADER_SIZE, MrcHeader
from tomoportal.ingest import load_config, open_source
from tomoportal.ingest.checks import check_sources
from tomoportal.testing.sources import PIXEL, SHAPE, SPACING, sample_config, write_config, write_mrc

STACK, TOMOGRAM, LABELS = "stacks/TS_01.st", "tomograms/TS_01.rec", "masks/TS_01_labels.mrc"
RAWTLT, TLT, XF, MDOC = (f"stacks/TS_01.{name}" for name in ("rawtlt", "tlt", "xf", "mdoc"))
POINTS = "points/TS_01.csv"
SORTED_BY_ANGLE = ("V707", "stacks/TS_0")  # the sample's mdocs are, and say so by their times

Damage = Callable[[Path], object]


def found(raw: Path, **options: Any) -> list[Finding]:
    config = load_config(raw / "config.yaml")
    source = open_source(raw, config.source_prefix, beside=config.folder)
    before = sorted(path for path in raw.rglob("*"))
    findings = check_sources(config, source, **options)
    assert sorted(path for path in raw.rglob("*")) == before
    return [each for each in findings if (each.rule, each.path[:11]) != SORTED_BY_ANGLE]


def header(key: str, **fields: Any) -> Damage:
    def changed(raw: Path) -> None:
        data = (raw / key).read_bytes()
        new = replace(MrcHeader.parse(data[:HEADER_SIZE], key), **fields)
        (raw / key).write_bytes(new.pack() + data[HEADER_SIZE:])

    return changed


def content(key: str, text: str) -> Damage:
    return lambda raw: (raw / key).write_text(text)


def append(key: str, text: str) -> Damage:
    return lambda raw: (raw / key).write_text((raw / key).read_text() + text)


def replaced(key: str, old: str, new: str) -> Damage:
    return lambda raw: (raw / key).write_text((raw / key).read_text().replace(old, new))


def config(change: Callable[[dict[str, Any]], object]) -> Damage:
    def changed(raw: Path) -> None:
        data = sample_config()
        change(data)
        write_config(raw / "config.yaml", data)

    return changed


def series(**changes: Any) -> Damage:
    return config(lambda data: data["tiltseries"][0]["metadata"].update(changes))


def no_tomograms(data: dict[str, Any]) -> None:
    data["tomograms"][1]["sources"][0]["source_glob"]["list_glob"] = "elsewhere/{run_name}.mrc"


def constant(raw: Path) -> None:
    write_mrc(raw / TOMOGRAM, np.ones(SHAPE, np.float32), SPACING)


def not_a_number(raw: Path) -> None:
    write_mrc(raw / TOMOGRAM, np.full(SHAPE, np.nan, np.float32), SPACING)


PLACE = "tiltseries[0].metadata of 10001/TS_01"
MIRRORED = "  1.0 0.0 0.0 -1.0 0.0 0.0\n" * 4

CASES: list[tuple[str, str | None, Damage]] = [
    ("V901", None, replaced("run_data.csv", f"TS_01,{SPACING}", "TS_01,thick")),
    ("V902", None, config(no_tomograms)),
    ("V903", None, lambda raw: (raw / "denoised/TS_01.mrc").unlink()),
    ("V904", None, config(lambda data: data["tomograms"][0]["metadata"].update(voxel_spacing=20.0))),
    ("V905", TOMOGRAM, lambda raw: (raw / TOMOGRAM).write_bytes((raw / TOMOGRAM).read_bytes()[:-9])),
    ("V905", POINTS, content(POINTS, "one,two,three\n")),
    ("V906", TOMOGRAM, header(TOMOGRAM, cella=(7.84 * SHAPE[2], 7.84 * SHAPE[1], 7.84 * SHAPE[0]))),
    ("V906", STACK, series(pixel_spacing=7.28)),
    ("V907", TOMOGRAM, header(TOMOGRAM, cella=(SPACING * SHAPE[2], SPACING * SHAPE[1], 3 * SPACING * SHAPE[0]))),
    ("V908", TOMOGRAM, header(TOMOGRAM, cella=(0.0, 0.0, 0.0))),
    ("V909", RAWTLT, append(RAWTLT, "4.0\n")),
    ("V701", MDOC, content(MDOC, "nothing")),
    ("V702", MDOC, replaced(MDOC, "TiltAngle = 2.004", "TiltAngle = 200")),
    ("V705", MDOC, replaced(MDOC, "TS_01_001.tif", "TS_01_002.tif")),
    ("V721", RAWTLT, content(RAWTLT, "one\n")),
    ("V725", RAWTLT, replaced(RAWTLT, "   2.00", "   3.00")),
    ("V731", PLACE, series(total_flux=0)),
    ("V733", PLACE, series(tilt_range={"min": -60, "max": 60})),
    ("V735", PLACE, series(tilt_axis=-95.3)),
    ("V740", PLACE, series(pixel_spacing=PIXEL * 1.3)),
    ("V741", PLACE, series(binning_from_frames=8)),
    ("V751", XF, content(XF, "1 2 3\n")),
    ("V752", TLT, append(XF, " 1.0 0.0 0.0 1.0 0.0 0.0\n")),
    ("V755", TLT, content(TLT, "40.0\n20.0\n0.0\n-20.0\n")),
    ("V757", XF, content(XF, MIRRORED)),
    ("V771", TOMOGRAM, series(pixel_spacing=2.0)),
    ("V803", POINTS, append(POINTS, "500,1,1\n")),
    ("V807", LABELS, lambda raw: write_mrc(raw / LABELS, np.eye(4, dtype=np.int8)[None], SPACING)),
]


def test_the_sample_is_sound(raw: Path) -> None:
    assert [str(each) for each in found(raw, voxels=True)] == []


@pytest.mark.parametrize(("rule", "path", "damage"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_faulty_sources(raw: Path, rule: str, path: str | None, damage: Damage) -> None:
    if rule == "V755":
        for key in (RAWTLT, "stacks/TS_02.rawtlt"):
            (raw / key).write_text("-40.0\n-20.0\n0.0\n20.0\n")
    damage(raw)
    matching = [each for each in found(raw) if each.rule == rule]
    assert matching, "\n".join(map(str, found(raw)))
    for each in matching:
        assert each.severity == RULES[rule].severity
        assert each.message
        assert each.fix
    if path is not None:
        assert path in {each.path for each in matching}
    else:
        assert any(each.path.startswith("config.yaml") for each in matching)


@pytest.mark.parametrize(("rule", "damage"), [("V631", not_a_number), ("V632", constant)])
def test_values(raw: Path, rule: str, damage: Damage) -> None:
    damage(raw)
    assert found(raw) == []
    assert (rule, TOMOGRAM) in {(each.rule, each.path) for each in found(raw, voxels=True)}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("objects.csv", "object_id,object_name\nGO:1,x\n", "no column run_name"),
        (
            "objects.csv",
            "run_name,object_id,object_name\nTS_01,GO:0005739,\n",
            "objects.csv:2: the row has no object_id",
        ),
        ("objects.csv", "run_name,object_id,object_name\nTS_01\n", "objects.csv:2"),
        ("stacks/TS_01_ctf.txt", "one\n", "stacks/TS_01_ctf.txt"),
        ("meshes/TS_01.obj", "v 1 2\n", "meshes/TS_01.obj"),
        ("meshes/TS_01.hff", "no hdf5", "meshes/TS_01.hff"),
        ("captions/TS_01_all.json", "{}", "captions/TS_01_all.json"),
        ("points/TS_01_filaments.csv", "0,1,2\n", "points/TS_01_filaments.csv"),
    ],
)
def test_files_of_every_kind_are_read_before_ingestion(
    tmp_path: Path, write_whole: Callable[..., Path], name: str, data: str, words: str
) -> None:
    """F76: tables of objects, CTF estimates, meshes and captions too; that files exist is what the plan says."""
    write_whole(tmp_path, 1)
    assert {each.rule for each in found(tmp_path)} <= {"V903"}
    (tmp_path / name).write_text(data)
    told = [each for each in found(tmp_path) if each.path == name]
    assert [each.rule for each in told] == (["V745"] if "ctf" in name else ["V905"])
    assert words in told[0].message or words in told[0].path


def _picture(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def _tiff(width: int, height: int, images: int = 1) -> bytes:
    buffer = io.BytesIO()
    pages = [Image.new("L", (width, height)) for _ in range(images)]
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("rule", "name", "data"),
    [
        ("V206", "photos/deposition_big.png", b"no picture"),
        ("V207", "photos/deposition_big.png", _picture(20, 20)),
        ("V905", "photos/preview.png", b"no picture"),
        ("V905", "photos/preview.png", _picture(400, 300)[:-40]),
        ("V714", "gains/TS_01.gain", _tiff(17, 5)),
        ("V714", "gains/TS_01.gain", _tiff(48, 32, 2)),
        ("V715", "gains/TS_01.gain", b"no gain"),
        ("V715", "gains/TS_01.dm4", b"no gain"),
        ("V809", "meshes/TS_01.obj", b"v 1 1 1\nv 99 1 1\nv 1 9 1\nf 1 2 3\n"),
        ("V904", "objects.csv", b"run_name,object_id,object_name\nTS_01,GO:0005739,x\nTS_77,GO:0005739,x\n"),
        ("V812", "objects.csv (rows of TS_01)", b"run_name,object_id,object_name\nTS_01,mitochondrion,x\n"),
    ],
)
def test_pictures_gains_meshes_and_objects(
    tmp_path: Path, write_whole: Callable[..., Path], rule: str, name: str, data: bytes
) -> None:
    write_whole(tmp_path, 1)
    if name.endswith(".dm4"):
        (tmp_path / "gains/TS_01.gain").rename(tmp_path / name)
        replaced("config.yaml", "{run_name}.gain", "{run_name}.dm4")(tmp_path)
    before = found(tmp_path)
    assert rule not in {each.rule for each in before} or name.endswith(".dm4")
    (tmp_path / name.partition(" (")[0]).write_bytes(data)
    told = [each for each in found(tmp_path) if each.rule == rule]
    assert {each.path for each in told} == {name}
    assert told[0].severity == RULES[rule].severity


def test_uncorrected_frames_need_a_gain(raw: Path) -> None:
    def uncorrected(data: dict[str, Any]) -> None:
        data["frames"][0]["metadata"]["is_gain_corrected"] = False

    config(uncorrected)(raw)
    with_gain = found(raw)
    config(lambda data: (uncorrected(data), data.pop("gains")))(raw)
    assert [each.rule for each in with_gain] == []
    assert {each.rule for each in found(raw)} == {"V711"}


def test_voxels_of_masks_are_read_too(raw: Path) -> None:
    write_mrc(raw / LABELS, np.full(SHAPE, np.nan, np.float32), SPACING)
    assert found(raw) == []
    assert (("V631", LABELS)) in {(each.rule, each.path) for each in found(raw, voxels=True)}


def test_a_mask_of_another_size_is_refused_by_verify_and_by_ingestion(
    raw: Path, tmp_path: Path, ingest: Callable[..., Any]
) -> None:
    """V807: where such a mask lies in its tomogram nobody knows; the rest of the run is ingested."""
    write_mrc(raw / LABELS, np.eye(4, dtype=np.int8)[None], SPACING)
    assert {(each.rule, each.severity) for each in found(raw) if each.path == LABELS} == {("V807", "error")}
    report = ingest(raw / "config.yaml", tmp_path / "archive")
    failed = [each for each in report.failures if each.outcome == "failed"]
    assert failed
    assert all("its tomogram" in (each.why or "") and "rescale" in (each.why or "") for each in failed)
    assert all("TS_01" in each.name for each in failed)
    assert {each.outcome for each in report.results if "tomogram" in each.name} == {"created"}


def test_what_one_run_says_does_not_enter_another(raw: Path) -> None:
    content(MDOC, "nothing")(raw)
    assert all("TS_02" not in each.path for each in found(raw))


def test_the_command(raw: Path, tmp_path: Path) -> None:
    from tomoportal.cli.verify import command

    page = tmp_path / "report.html"
    arguments = ["--source", str(raw / "config.yaml"), "--json", "--html", str(page)]
    sound = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert sound.return_value == 0
    series(tilt_axis=-95.3, total_flux=0)(raw)
    faulty = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert faulty.return_value == 1
    assert json.loads(faulty.stdout)["counts"]["error"] == 2  # one per run
    assert "before ingestion" in page.read_text()
    assert "<h2>Errors</h2>" in page.read_text()
