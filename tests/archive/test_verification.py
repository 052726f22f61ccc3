"""Every rule on the content of files: an archive that breaks it, and one with everything that breaks none."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomoportal.archive import RULES, Archive, Finding, verify
from tomoportal.testing.sources import PIXEL, SHAPE, SPACING

sys.path.insert(0, str(Path(__file__).parent))

from whole_archive import (
    ALIGNMENT,
    ALIGNMENT_DOCUMENT,
    CAPTION,
    CTF,
    FRAMES,
    GAIN,
    GLOBAL_CAPTION,
    INSTANCES,
    INSTANCES_DOCUMENT,
    LAYER_INFO,
    MASK,
    MDOC,
    MESH,
    OBJECTS,
    ORIENTED,
    POINTS,
    POINTS_DOCUMENT,
    RAWTLT,
    RUN,
    SERIES,
    SERIES_DOCUMENT,
    TOMOGRAM,
    TOMOGRAM_DOCUMENT,
    VIEWER,
    VOXELS,
    edit,
    edit_header,
    edit_text,
    edit_voxels,
    glb,
    rewrite_volume,
    write_whole_archive,
)

MRC, ZARR = f"{TOMOGRAM}/TS_01.mrc", f"{TOMOGRAM}/TS_01.zarr"
STACK, STACK_ZARR = f"{SERIES}/TS_01.mrc", f"{SERIES}/TS_01.zarr"
PHOTO = "10001/Images/snapshot.png"

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole_archive(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "archive"))


def found(root: Path, **options: Any) -> list[Finding]:
    return [each for each in verify(Archive.open(root), **options) if each.rule != "V106"]


def test_an_archive_with_everything_is_sound(root: Path) -> None:
    """The public portal's own checks fail on captions, which they take for documents (F80)."""
    assert [str(each) for each in found(root, voxels=True)] == []
    assert [str(each) for each in found(root, digests=False)] == []


def document(key: str, **changes: Any) -> Damage:
    return lambda root: edit(root, key, lambda content: content.update(changes))


def change(key: str, how: Callable[[Any], object]) -> Damage:
    return lambda root: edit(root, key, how)


def header(key: str, **fields: Any) -> Damage:
    return lambda root: edit_header(root, key, **fields)


def text(key: str, old: str, new: str) -> Damage:
    return lambda root: edit_text(root, key, old, new)


def content(key: str, data: str | bytes) -> Damage:
    def write(root: Path) -> None:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(data.encode() if isinstance(data, str) else data)

    return write


def append(key: str, data: bytes) -> Damage:
    return lambda root: (root / key).write_bytes((root / key).read_bytes() + data)


def remove(key: str) -> Damage:
    return lambda root: (root / key).unlink()


def every_row(name: str, how: Callable[[dict[str, Any]], object]) -> Callable[[Any], object]:
    def changed(content: Any) -> None:
        for row in content[name]:
            how(row)

    return changed


def row(name: str, index: int, **changes: Any) -> Callable[[Any], object]:
    return lambda content: content[name][index].update(changes)


def scale(level: int, factor: float, kind: int = 0) -> Callable[[Any], object]:
    def changed(content: Any) -> None:
        step = content["multiscales"][0]["datasets"][level]["coordinateTransformations"][kind]
        step[step["type"]] = [value * factor for value in step[step["type"]]]

    return changed


def no_translations(content: Any) -> None:
    for level in content["multiscales"][0]["datasets"]:
        del level["coordinateTransformations"][1:]


def points(how: Callable[[dict[str, Any]], object], key: str = POINTS) -> Damage:
    def changed(root: Path) -> None:
        rows = [json.loads(line) for line in (root / key).read_text().splitlines()]
        for each in rows:
            how(each)
        (root / key).write_text("\n".join(map(json.dumps, rows)))

    return changed


def many_points(root: Path, matrix: object = None) -> None:
    rows = [{"type": "point", "location": {"x": 1.0 + n / 10, "y": 2.0, "z": 3.0}} for n in range(30)]
    for each in rows if matrix else ():
        each.update(type="orientedPoint", xyz_rotation_matrix=matrix)
        each["location"]["x"] *= 7  # type: ignore[index]
    (root / (ORIENTED if matrix else POINTS)).write_text("\n".join(map(json.dumps, rows)))


def move(axis: str, by: float) -> Callable[[dict[str, Any]], object]:
    return lambda each: each["location"].update({axis: each["location"][axis] + by})


def voxel(key: str, value: float) -> Damage:
    return lambda root: edit_voxels(root, key, lambda voxels: voxels.__setitem__((1, 2, 3), value))


def zarr_with_nan(root: Path) -> None:
    volume = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    rewrite_volume(root, f"{TOMOGRAM}/TS_01", volume, "tomogram")
    edit_voxels(root, MRC, lambda voxels: voxels.__setitem__((1, 2, 3), np.nan))
    shutil.rmtree(root / ZARR)
    edit(root, TOMOGRAM_DOCUMENT, lambda content: content.pop("omezarr_dir"))


def other_level(root: Path) -> None:
    shutil.copytree(root / f"{VOXELS}/Tomograms/101/TS_01.zarr/1", root / f"{MASK}.zarr/1", dirs_exist_ok=True)


IDENTITY = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
MIRROR = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]]
AFFINE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
TURNED = [[0.0923706, -0.9957247], [0.9957247, 0.0923706]]


def matrix(first: list[float]) -> list[list[float]]:
    return [first, [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def turned(degrees: float, factor: float = 1.0) -> list[list[float]]:
    c, s = np.cos(np.radians(degrees)) * factor, np.sin(np.radians(degrees)) * factor
    return [[float(c), float(-s)], [float(s), float(c)]]


SECTIONS = "per_section_alignment_parameters"
PARAMETERS = "per_section_parameter"

CASES: list[tuple[str, str, Damage]] = [
    # documents and photos
    ("V205", TOMOGRAM_DOCUMENT, document(TOMOGRAM_DOCUMENT, authors=[{"name": "Ada", "primary_author_status": True}])),
    ("V206", PHOTO, content(PHOTO, "no picture")),
    ("V207", PHOTO, content(PHOTO, b"GIF89a" + bytes([40, 0, 40, 0, 0, 0, 0]))),
    # viewer and leftovers
    ("V306", f"{VOXELS}/Annotations/120", content(f"{VOXELS}/Annotations/120/x_point.ndjson", "")),
    ("V307", VIEWER, document(VIEWER, layers=[])),
    ("V308", LAYER_INFO, content(LAYER_INFO, "[]")),
    # MRC
    ("V601", MRC, lambda root: (root / MRC).write_bytes((root / MRC).read_bytes()[:-10])),
    ("V602", MRC, header(MRC, map=b"XYZ ")),
    ("V602", MRC, header(MRC, machst=b"\0\0\0\0")),
    ("V602", MRC, header(MRC, cellb=(90.0, 60.0, 90.0))),
    ("V602", MRC, header(MRC, mx=5)),
    ("V603", MRC, header(MRC, ispg=0)),
    ("V603", STACK, header(STACK, mz=4)),
    ("V604", f"{MASK}.mrc", header(f"{MASK}.mrc", mode=12, nz=6)),
    ("V605", MRC, append(MRC, b"12345678")),
    ("V606", MRC, header(MRC, cella=(431.36, 7.84 * SHAPE[1], 161.76))),
    ("V606", STACK, document(SERIES_DOCUMENT, pixel_spacing=7.28)),
    ("V607", MRC, header(MRC, origin=(1.0, 0.0, 0.0))),
    ("V607", MRC, header(MRC, nversion=0)),
    # OME-Zarr
    ("V611", ZARR, content(f"{ZARR}/.zattrs", "{}")),
    ("V611", ZARR, lambda root: shutil.rmtree(root / ZARR / "2")),
    ("V612", ZARR, change(f"{ZARR}/.zattrs", lambda c: c["multiscales"][0]["axes"].reverse())),
    ("V612", ZARR, change(f"{ZARR}/.zattrs", lambda c: c["multiscales"][0]["axes"][0].update(unit="nanometer"))),
    ("V613", ZARR, change(f"{ZARR}/.zattrs", scale(1, 0.5))),
    ("V614", ZARR, change(f"{ZARR}/1/.zarray", lambda c: c.update(shape=[7, 12, 16]))),
    ("V615", ZARR, change(f"{ZARR}/.zattrs", no_translations)),  # F17
    ("V616", ZARR, change(f"{ZARR}/.zattrs", scale(1, 2.0, kind=1))),
    (
        "V617",
        f"{INSTANCES}.zarr",
        change(f"{INSTANCES}.zarr/.zattrs", lambda c: c["multiscales"][0].update(metadata={})),
    ),
    ("V618", ZARR, content(f"{ZARR}/.zmetadata", "{}")),
    (
        "V621",
        f"{INSTANCES}.zarr",
        change(INSTANCES_DOCUMENT, lambda c: c.update(files=c["files"][:1])),
    ),
    ("V622", ZARR, header(MRC, nz=6, mz=6, cella=(431.36, 323.52, 6 * SPACING))),
    ("V623", ZARR, header(MRC, mode=1)),
    ("V624", TOMOGRAM_DOCUMENT, document(TOMOGRAM_DOCUMENT, size={"z": 12, "y": 24, "x": 33})),
    ("V625", SERIES, lambda root: shutil.copy(root / STACK, root / f"{SERIES}/old.mrc")),
    # tilts and frames
    ("V701", MDOC, content(MDOC, "nothing of the kind")),
    ("V702", MDOC, text(MDOC, "TiltAngle = 2.004", "TiltAngle = 92.004")),
    ("V702", MDOC, text(MDOC, "TiltAngle = 2.004", "Tilt = 2.004")),
    ("V703", MDOC, text(MDOC, "SubFramePath = X:\\frames\\TS_01_001.tif\n", "")),
    ("V704", FRAMES, change(FRAMES, lambda c: c["frames"].pop())),
    ("V705", MDOC, text(MDOC, "TS_01_001.tif", "TS_01_002.tif")),
    ("V705", MDOC, remove(f"{RUN}/Frames/TS_01_003.tif")),
    (
        "V706",
        f"{RUN}/Frames/TS_01_000.tif",
        text(MDOC, "ExposureTime = 1.5\n", "ExposureTime = 1.5\nNumSubFrames = 8\n"),
    ),
    ("V707", MDOC, text(MDOC, "[ZValue = 3]", "[ZValue = 7]")),
    ("V707", MDOC, text(MDOC, "[ZValue = 3]", "[ZValue = 2]")),
    ("V708", FRAMES, change(FRAMES, row("frames", 1, accumulated_dose=50.0))),
    ("V709", FRAMES, change(FRAMES, row("frames", 1, exposure_dose=4.5))),
    ("V711", FRAMES, remove(GAIN)),
    ("V712", f"{RUN}/Frames", lambda root: _small_frame(root / f"{RUN}/Frames/TS_01_003.tif")),
    ("V713", f"{RUN}/Frames/list.txt", content(f"{RUN}/Frames/list.txt", "1")),
    ("V714", GAIN, header(GAIN, nx=8, ny=24)),
    ("V715", f"{RUN}/Frames/TS_01_000.tif", content(f"{RUN}/Frames/TS_01_000.tif", b"II*\0")),
    ("V721", RAWTLT, content(RAWTLT, "one\ntwo\n")),
    ("V722", RAWTLT, text(RAWTLT, "   2.00", "  92.00")),
    ("V723", SERIES_DOCUMENT, append(RAWTLT, b"4.0\n")),
    ("V724", SERIES_DOCUMENT, text(RAWTLT, "   2.00\n", "")),
    ("V725", RAWTLT, text(RAWTLT, "   2.00", "   2.90")),
    ("V726", SERIES_DOCUMENT, lambda root: _without_last_section(root)),
    ("V731", SERIES_DOCUMENT, document(SERIES_DOCUMENT, total_flux=0)),
    ("V732", SERIES_DOCUMENT, document(SERIES_DOCUMENT, tilt_range={"min": -2.0, "max": 2.0})),
    ("V733", SERIES_DOCUMENT, document(SERIES_DOCUMENT, tilt_range={"min": -60.0, "max": 60.0})),
    ("V735", SERIES_DOCUMENT, document(SERIES_DOCUMENT, tilt_axis=60.0)),
    ("V736", SERIES_DOCUMENT, document(SERIES_DOCUMENT, total_flux=120.0)),
    ("V737", SERIES_DOCUMENT, change(SERIES_DOCUMENT, lambda c: c[PARAMETERS].append(c[PARAMETERS][0]))),
    ("V738", SERIES_DOCUMENT, change(SERIES_DOCUMENT, row(PARAMETERS, 0, z_index=9))),
    ("V738", SERIES_DOCUMENT, change(SERIES_DOCUMENT, row(PARAMETERS, 0, z_index=1))),
    ("V738", SERIES_DOCUMENT, change(SERIES_DOCUMENT, row(PARAMETERS, 0, phase_shift=90.0))),
    ("V739", SERIES_DOCUMENT, change(SERIES_DOCUMENT, row(PARAMETERS, 0, raw_angle=-3.0))),
    ("V740", SERIES_DOCUMENT, text(MDOC, f"PixelSpacing = {PIXEL}", "PixelSpacing = 7.0")),
    ("V741", SERIES_DOCUMENT, document(SERIES_DOCUMENT, binning_from_frames=4)),
    ("V742", SERIES_DOCUMENT, lambda root: _half_pixels(root)),
    ("V745", CTF, content(CTF, "a b c\n")),
    ("V746", CTF, append(CTF, b"9.0 30000.0 29000.0 10.0 0.0 0.1 8.0\n")),
    ("V747", SERIES_DOCUMENT, change(SERIES_DOCUMENT, every_row(PARAMETERS, lambda r: r.update(major_defocus=3.0)))),
    ("V748", SERIES_DOCUMENT, change(SERIES_DOCUMENT, row(PARAMETERS, 2, major_defocus=31000.0))),
    # alignment
    ("V751", f"{ALIGNMENT}/TS_01.xf", content(f"{ALIGNMENT}/TS_01.xf", "1 2 3\n")),
    ("V752", ALIGNMENT_DOCUMENT, append(f"{ALIGNMENT}/TS_01.tlt", b"4.02\n")),
    ("V753", ALIGNMENT_DOCUMENT, change(ALIGNMENT_DOCUMENT, row(SECTIONS, 0, z_index=40))),
    ("V753", ALIGNMENT_DOCUMENT, change(ALIGNMENT_DOCUMENT, row(SECTIONS, 0, z_index=1))),
    ("V754", ALIGNMENT_DOCUMENT, change(ALIGNMENT_DOCUMENT, row(SECTIONS, 0, tilt_angle=None))),
    ("V757", ALIGNMENT_DOCUMENT, change(ALIGNMENT_DOCUMENT, row(SECTIONS, 0, in_plane_rotation=[[1.0, 0], [0, -1.0]]))),
    ("V757", ALIGNMENT_DOCUMENT, change(ALIGNMENT_DOCUMENT, row(SECTIONS, 0, in_plane_rotation=turned(84.7, 1.2)))),
    ("V758", ALIGNMENT_DOCUMENT, change(ALIGNMENT_DOCUMENT, row(SECTIONS, 0, in_plane_rotation=turned(84.7, 1.003)))),
    (
        "V759",
        ALIGNMENT_DOCUMENT,
        change(ALIGNMENT_DOCUMENT, every_row(SECTIONS, lambda r: r.update(in_plane_rotation=turned(-95.3)))),
    ),
    ("V760", ALIGNMENT_DOCUMENT, change(ALIGNMENT_DOCUMENT, row(SECTIONS, 1, tilt_angle=-1.5))),
    ("V760", ALIGNMENT_DOCUMENT, document(ALIGNMENT_DOCUMENT, offset_unit="pixel")),  # F22
    ("V761", ALIGNMENT_DOCUMENT, change(ALIGNMENT_DOCUMENT, row(SECTIONS, 1, x_offset=900.0))),
    ("V762", ALIGNMENT_DOCUMENT, document(ALIGNMENT_DOCUMENT, volume_dimension={"x": 32, "y": 24, "z": 12})),
    ("V763", TOMOGRAM_DOCUMENT, document(TOMOGRAM_DOCUMENT, affine_transformation_matrix=matrix([-1, 0, 0, 0]))),
    ("V763", ALIGNMENT_DOCUMENT, document(ALIGNMENT_DOCUMENT, affine_transformation_matrix=matrix([-1, 0, 0, 0]))),
    ("V764", TOMOGRAM_DOCUMENT, document(TOMOGRAM_DOCUMENT, affine_transformation_matrix=matrix([1, 0.2, 0, 0]))),
    ("V771", TOMOGRAM_DOCUMENT, document(SERIES_DOCUMENT, pixel_spacing=6.0)),
    ("V772", TOMOGRAM_DOCUMENT, document(SERIES_DOCUMENT, pixel_spacing=20.0)),
    # annotations
    ("V801", POINTS, content(POINTS, '{"type": "point"}')),
    ("V801", MESH, content(MESH, "solid x")),
    ("V802", POINTS_DOCUMENT, document(POINTS_DOCUMENT, object_count=99)),
    ("V802", POINTS, change(POINTS_DOCUMENT, every_row("files", lambda f: f.update(object_count=1)))),
    ("V803", POINTS, points(move("x", 100.0))),
    ("V804", ORIENTED, points(lambda each: each.update(xyz_rotation_matrix=MIRROR), ORIENTED)),
    ("V804", ORIENTED, points(lambda each: each["xyz_rotation_matrix"][0].__setitem__(0, 2.0), ORIENTED)),
    ("V805", POINTS, many_points),
    ("V806", ORIENTED, lambda root: many_points(root, IDENTITY)),
    ("V807", f"{INSTANCES}.zarr", lambda root: rewrite_volume(root, INSTANCES, _labels((10, 24, 32)), "instance_mask")),
    ("V808", MESH, content(MESH, glb([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], 0))),
    ("V808", MESH, content(MESH, glb([0.0, 0.0, float("nan")], [1.0, 1.0, 1.0]))),
    ("V809", MESH, content(MESH, glb([0.0, 0.0, 0.0], [400.0, 1.0, 1.0]))),
    ("V810", CAPTION, content(CAPTION, '{"objects": [{"id": "a"}]}')),
    ("V810", GLOBAL_CAPTION, content(GLOBAL_CAPTION, '{"captions": [{"id": 0, "text": ""}, {"id": 0, "text": ""}]}')),
    ("V811", CAPTION, remove(MESH)),
    ("V812", OBJECTS, content(OBJECTS, '[{"object_id": 7, "object_name": "x"}]')),
    ("V812", OBJECTS, content(OBJECTS, "{}")),
]

DEEP: list[tuple[str, str, Damage]] = [
    ("V631", MRC, zarr_with_nan),
    ("V632", f"{MASK}.zarr", lambda root: rewrite_volume(root, MASK, np.zeros(SHAPE, np.int8), "semantic_mask")),
    ("V633", ZARR, voxel(MRC, 5.0)),
    ("V633", STACK_ZARR, voxel(STACK, 5)),
    ("V634", f"{MASK}.zarr", lambda root: (root / f"{MASK}.zarr/1/0/0/0").unlink()),
    ("V635", f"{MASK}.zarr", lambda root: rewrite_volume(root, MASK, _labels(SHAPE).astype("i1"), "tomogram")),
    (
        "V636",
        f"{INSTANCES}.zarr",
        change(f"{INSTANCES}.zarr/.zattrs", lambda c: _first_label(c).update({"label-value": 2})),
    ),
    ("V637", MRC, header(MRC, dmax=99.0)),
    ("V638", f"{ZARR}/0/0/0/0", content(f"{ZARR}/0/0/0/0", "rubbish")),
]


def _first_label(content: Any) -> dict[str, Any]:
    first: dict[str, Any] = content["multiscales"][0]["metadata"]["image-label"]["colors"][0]
    return first


def _labels(shape: tuple[int, int, int]) -> Any:
    labels = np.zeros(shape, np.uint16)
    labels[2:5, 3:9, 4:12], labels[6:8, 12:20, 16:28] = 1, 100
    return labels


def _half_pixels(root: Path) -> None:
    """The mdoc's pixels are half as large, and its images have as many of them."""
    edit_text(root, MDOC, f"PixelSpacing = {PIXEL}", f"PixelSpacing = {PIXEL / 2}")
    edit_text(root, MDOC, "Voltage", "ImageSize = 48 32\nVoltage")


def _small_frame(path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)


def _without_last_section(root: Path) -> None:
    text = (root / MDOC).read_text()
    (root / MDOC).write_text(text[: text.index("[ZValue = 3]")])


@pytest.mark.parametrize(("rule", "path", "damage"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_faults(root: Path, rule: str, path: str, damage: Damage) -> None:
    damage(root)
    matching = [each for each in found(root, digests=False) if each.rule == rule]
    assert [each.path for each in matching][:1] == [path], "\n".join(map(str, found(root)))
    for each in matching:
        assert each.severity == RULES[rule].severity
        assert len(each.message) < 400
        assert each.fix


@pytest.mark.parametrize(("rule", "path", "damage"), DEEP, ids=[f"{n}-{case[0]}" for n, case in enumerate(DEEP)])
def test_faulty_voxels(root: Path, rule: str, path: str, damage: Damage) -> None:
    damage(root)
    matching = [each for each in found(root, digests=False, voxels=True) if each.rule == rule]
    assert {each.path for each in matching} == {path}, "\n".join(map(str, found(root, voxels=True)))
    assert rule not in {each.rule for each in found(root, digests=False)}


def test_every_rule_has_a_faulty_example() -> None:
    tests = Path(__file__).parents[1]
    files = [*(tests / "archive").glob("test_verif*.py"), tests / "ingest/test_checks.py"]
    text = "".join(path.read_text() for path in files)
    assert [rule for rule in RULES if f'"{rule}"' not in text] == []
