"""Tables of RELION and copick as data frames, and RELION's handler: the same as upstream's, and read by it."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomoportal.copick.particles import csv_tables, relion_tables, star_tables
from tomoportal.copick.particles.conversions import points_and_rotations_to_transforms
from tomoportal.copick.particles.relion_rows import RelionTomogram
from tomoportal.copick.particles.star_handler import star_handler
from tomoportal.errors import AnnotationError, FormatError, MissingPartError, NotFoundError
from tomoportal.formats.rotations import from_relion_angles

# Both packages in one process; ours is reached by its own names, upstream's by ``copick``.
BOTH = r"""
import json, os, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
import copick.util.formats as theirs
from copick.util.handlers.picks.star import star_handler as their_handler
from tomoportal.copick.particles import csv_tables, relion_rows, relion_tables, star_tables
from tomoportal.copick.particles.star_handler import star_handler as handler
from scipy.spatial.transform import Rotation

folder = sys.argv[1] + "/"
generator = np.random.default_rng(5)
checked = 0

def poses(count, seed):
    transforms = np.tile(np.eye(4), (count, 1, 1))
    transforms[:, :3, :3] = Rotation.random(count, random_state=seed).as_matrix()
    transforms[:, :3, 3] = generator.normal(size=(count, 3)).round(2)
    return generator.uniform(10, 500, (count, 3)).round(2), transforms

def same(one, two):
    global checked
    assert list(one.columns) == list(two.columns), (list(one.columns), list(two.columns))
    assert len(one) == len(two)
    for name in one.columns:
        if one[name].dtype.kind in "OTUS" or str(one[name].dtype) in ("str", "string"):
            assert list(map(str, one[name])) == list(map(str, two[name])), name
        else:
            np.testing.assert_allclose(one[name].to_numpy(float), two[name].to_numpy(float), atol=2e-6, err_msg=name)
    checked += 1

runs = {"TS_1": poses(7, 1), "TS_2": poses(4, 2)}
ids = {"TS_1": np.array([1, 1, 1, 2, 2, 2, 2]), "TS_2": np.array([1, 1, 3, 3])}
facts = {"TS_1": ((500.0, 480.0, 100.0), 1.35, 300.0, 2.7, 0.1), "TS_2": ((510.0, 480.0, 100.0), 1.4)}
tomograms = {
    module: {name: clazz(name, *values) for name, values in facts.items()}
    for module, clazz in (("theirs", theirs.RelionTomogram), ("ours", relion_rows.RelionTomogram))
}
centers = {name: values[0] for name, values in facts.items()}
cases = [
    {"voxel_spacing": 10.0},
    {"tomogram_centers": centers},
    {"tilt_series_pixel_size": 1.35},
    {"tilt_series_pixel_size": {"TS_1": 1.35, "TS_2": 1.4}, "tomogram_centers": centers, "include_optics": False},
    {"tilt_series_pixel_size": {"TS_1": 1.35}, "voxel_spacing": 10.0},
    {"tomograms": True},
    {"tomograms": True, "coordinates": "centered"},
    {"tomograms": True, "filament": True, "polarity_known": {"TS_1": True}, "half_sets": "filament"},
    {"tomograms": True, "filament": True, "polarity_known": True, "filament_angles": "pose"},
]
for number, case in enumerate(cases):
    options = {who: {**case, **({"tomograms": tomograms[who]} if "tomograms" in case else {})} for who in tomograms}
    for who in options:
        if case.get("filament"):
            options[who]["instance_ids"] = ids
    mine = relion_tables.build_relion_star_tables(runs, **options["ours"])
    other = theirs.build_relion_star_tables(runs, **options["theirs"])
    same(mine[0], other[0])
    assert (mine[1] is None) == (other[1] is None)
    if mine[1] is not None:
        same(mine[1], other[1])
    grouped = {name: (*pair, None) for name, pair in runs.items()}
    paths = {}
    for who, module in (("ours", relion_tables), ("theirs", theirs)):
        paths[who] = f"{folder}{who}{number}.star"
        module.write_star_particles_grouped(paths[who], grouped, **options[who])
    for path in paths.values():
        one, two = star_tables.read_star_particles_with_optics(path), theirs.read_star_particles_with_optics(path)
        same(one[0], two[0])
        assert (one[1] is None) == (two[1] is None)
        mine, other = star_tables.read_star_particles_grouped(path), theirs.read_star_particles_grouped(path)
        assert set(mine) == set(other) == set(runs)
    # the handlers: what one writes the other reads to the same arrays
    for who, one in (("ours", handler), ("theirs", their_handler)):
        path = f"{folder}{who}{number}h.star"
        more = {("grouped_instance_ids" if k == "instance_ids" else k): v for k, v in options[who].items()}
        more.setdefault("voxel_spacing", None)
        one.write_grouped(path, grouped, **more)
        read = {"tilt_series_pixel_size": None, "tomogram_centers": centers}
        if "tomogram_centers" not in case and "tomograms" not in case and "tilt_series_pixel_size" not in case:
            read = {}
        found = [
            reader.read_grouped(path, 10.0, {}, tomograms=tomograms[name], **read)
            for name, reader in (("ours", handler), ("theirs", their_handler))
        ]
        assert set(found[0]) == set(found[1]) == set(runs)
        for run in runs:
            for mine, other in zip(found[0][run], found[1][run]):
                assert (mine is None) == (other is None)
                if mine is not None:
                    np.testing.assert_allclose(mine, other, atol=2e-4)
            checked += 1

single = {"tomogram_center": centers["TS_1"], "tilt_series_pixel_size": 1.35, "tomo_name": "TS_1"}
for name, more in (("named", single), ("nameless", {"tilt_series_pixel_size": 1.35})):
    for who, one in (("ours", handler), ("theirs", their_handler)):
        path = f"{folder}{who}-{name}.star"
        one.write(path, *runs["TS_1"], None, **more)
        for reader in (handler, their_handler):
            places, transforms, scores, found_ids = reader.read(path, None)
            expected = runs["TS_1"][0] + runs["TS_1"][1][:, :3, 3]
            np.testing.assert_allclose(places, expected, atol=1e-4)
            np.testing.assert_allclose(transforms[:, :3, :3], runs["TS_1"][1][:, :3, :3], atol=1e-5)
            assert scores is None and found_ids is None
        same(star_tables.read_star_particles(path), theirs.read_star_particles(path))
center_only = f"{folder}center.star"
handler.write(center_only, *runs["TS_1"], None, tomo_name="TS_1", tomogram_center=centers["TS_1"])
for reader in (handler, their_handler):
    places = reader.read(center_only, None, tomogram_center=centers["TS_1"], relion_version="relion5")[0]
    np.testing.assert_allclose(places, runs["TS_1"][0] + runs["TS_1"][1][:, :3, 3], atol=1e-4)

table, optics = relion_tables.build_relion_star_tables(runs, tomograms=tomograms["ours"])
for who, module in (("ours", relion_tables), ("theirs", theirs)):
    place = f"{folder}{who}"
    index, files = module.write_relion_import_bundle(f"{place}-index.star", table, coordinates_dir=f"{place}-c")
    assert list(files) == list(runs)
same(*(theirs.read_star_particles(f"{folder}{who}-c/TS_2.star") for who in ("ours", "theirs")))
index = {who: theirs.read_star_particles(f"{folder}{who}-index.star") for who in ("ours", "theirs")}
assert list(index["ours"].columns) == list(index["theirs"].columns)

stars = folder + "tomograms.star"
pd_rows = pd.DataFrame({
    "rlnTomoName": ["TS_1", "TS_2"], "rlnTomoSizeX": [4000, 4000], "rlnTomoSizeY": [3600, 3600],
    "rlnTomoSizeZ": [1000, 1200], "rlnTomoTiltSeriesPixelSize": [1.35, 1.4], "rlnVoltage": [300.0, 200.0],
    "rlnTomoTomogramBinning": [7.4, 7.4], "rlnTomoReconstructedTomogramHalf1": ["a/1.mrc", "/b/1.mrc"],
    "rlnTomoReconstructedTomogramHalf2": ["a/2.mrc", "/b/2.mrc"],
})
import starfile
starfile.write({"global": pd_rows}, stars)
assert relion_tables.read_relion5_tomogram_centers(stars) == theirs.read_relion5_tomogram_centers(stars)
for half in ("half1", "half2"):
    mine, other = (m.read_relion_tomograms_star(stars, half, base_dir=folder) for m in (relion_tables, theirs))
    assert {k: (os.path.normpath(p), round(s, 9)) for k, (p, s) in mine.items()} == {
        k: (os.path.normpath(p), round(s, 9)) for k, (p, s) in other.items()}
for name, each in relion_tables.read_relion_tomograms(stars).items():
    other = theirs.read_relion_tomograms(stars)[name]
    assert vars(each) == vars(other), (each, other)

table = folder + "picks.csv"
theirs.write_picks_csv_grouped(table, {n: (*p, np.arange(len(p[0])) / 10) for n, p in runs.items()}, instance_ids=ids)
mine, other = csv_tables.read_picks_csv(table), theirs.read_picks_csv(table)
same(mine, other)
for one, two in zip(csv_tables.copick_csv_df_to_arrays(mine), theirs.copick_csv_df_to_arrays(other)):
    assert list(one.ravel()) == list(two.ravel())
for one, two in zip(csv_tables.read_copick_csv(table), theirs.read_copick_csv(table)):
    assert list(one.ravel()) == list(two.ravel())
for flag in (False, True):
    one, two = csv_tables.csv_to_copick_arrays(mine, flag), theirs.csv_to_copick_arrays(other, flag)
    assert set(one) == set(two)
    for run in one:
        assert len(one[run]) == len(two[run]) == 3 + flag
        assert all(np.array_equal(a, b) for a, b in zip(one[run], two[run]))
bare = pd.DataFrame({"run_name": ["a", "a"], "x": [1, 2], "y": [1, 2], "z": [1, 2]})
assert csv_tables.copick_csv_df_to_arrays(bare)[2] is None
assert set(csv_tables.read_copick_csv_grouped(table)) == set(runs)
for name in ("COORDINATE_MODES", "FILAMENT_ANGLE_MODES", "HALF_SET_MODES", "IMPORT_INDEX_BLOCK"):
    assert getattr(relion_tables, f"RELION_{name}") == getattr(theirs, f"RELION_{name}")
print(json.dumps(checked))
"""


def test_frames_and_files_are_those_of_upstream(plugins: Any, tmp_path: Path) -> None:
    assert plugins(BOTH, tmp_path) > 60


def poses(count: int = 5) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(1)
    rotations = from_relion_angles(generator.uniform(-170, 170, (count, 3)))
    return generator.uniform(0, 100, (count, 3)), points_and_rotations_to_transforms(np.zeros((count, 3)), rotations)


def test_the_handler_needs_no_pandas_and_keeps_ids_and_order(tmp_path: Path) -> None:
    positions, transforms = poses()
    tomogram = RelionTomogram("TS_1", (50.0, 40.0, 30.0), 1.5, voltage=300.0)
    path = str(tmp_path / "new" / "p.star")
    ids = np.array([2, 2, 1, 1, 1])
    star_handler.write(
        path, positions, transforms, None, tomo_name="TS_1", tomogram=tomogram, instance_ids=ids, filament=True,
        polarity_known=np.array([True, True, False, False, False]), half_sets="filament",
    )  # fmt: skip
    found, turned, scores, found_ids = star_handler.read(path, None, tomograms={"TS_1": tomogram})
    order = np.argsort(ids, kind="stable")
    np.testing.assert_allclose(found, positions[order], atol=1e-6)
    np.testing.assert_allclose(turned, transforms[order], atol=1e-6)
    assert scores is None
    assert found_ids.tolist() == ids[order].tolist()
    code = "import sys; from tomoportal.copick.particles import relion_tables, star_handler; "
    code += "print('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_without_pandas_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_pandas(name: str, *rest: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_pandas)
    (tmp_path / "p.star").write_text("data_\nloop_\n_rlnTomoName\nTS_1\n")
    for call in (
        lambda: star_tables.read_star_particles(str(tmp_path / "p.star")),
        lambda: csv_tables.read_picks_csv(str(tmp_path / "p.csv")),
        lambda: relion_tables.build_relion_star_tables({"TS_1": poses()}, voxel_spacing=10.0),
    ):
        with pytest.raises(MissingPartError, match=r"tomoportal\[tables\]"):
            call()


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    positions, transforms = poses()
    path = str(tmp_path / "p.star")
    with pytest.raises(AnnotationError, match="need filament columns"):
        star_handler.write(path, positions, transforms, 10.0, half_sets="filament")
    with pytest.raises(FormatError, match="Neither the centre"):
        star_handler.write(path, positions, transforms, None, tomo_name="TS_1")
    with pytest.raises(FormatError, match="No tomogram center"):
        star_handler.write(path, positions, transforms, 10.0, tomo_name="TS_1", coordinates="centered")
    with pytest.raises(NotFoundError):
        star_handler.read(str(tmp_path / "none.star"), 10.0)
    star_handler.write(path, positions, transforms, 10.0, tilt_series_pixel_size=2.0)
    with pytest.raises(AnnotationError, match="does not contain rlnTomoName"):
        star_handler.read_grouped(path, 10.0)
    with pytest.raises(AnnotationError, match="base_dir is required"):
        relion_tables.read_relion_tomograms_star(path)
    with pytest.raises(AnnotationError, match="Invalid half"):
        relion_tables.read_relion_tomograms_star(path, "third", str(tmp_path))
    with pytest.raises(FormatError, match="Column 'rlnTomoName' not found"):
        relion_tables.read_relion_tomograms_star(path, base_dir=str(tmp_path))
