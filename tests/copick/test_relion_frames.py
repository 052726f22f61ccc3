"""Data frames in RELION's columns: the same as upstream's, out and in (reference copick-model, 20)."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.errors import MissingPartError

# Both packages in one process: upstream as `copick`, ours beside it; every frame of one is that of the other.
SAME = """
import json, sys, warnings
import numpy as np
import pandas as pd
warnings.simplefilter("ignore")
import copick
import copick.util.relion as theirs_util
import copick.util.formats as theirs_formats
import tomoportal.copick as ours
import tomoportal.copick.particles.relion_frames as frames
import tomoportal.copick.particles.relion_rows as rows
config = sys.argv[1]
root = ours.from_file(config)
generator = np.random.default_rng(5)
run = root.new_run("TS_001")
run.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(np.zeros((20, 30, 40), "float32"), levels=1)
bare = root.new_run("TS_002")
bare.new_voxel_spacing(7.5)
filaments = run.new_filaments("microtubule", "1")
lines = [generator.uniform(0, 300, (6, 3)) for _ in range(4)]
filaments.from_numpy(lines, polarity_known=[True, False, True, False])

def made(run, name, ids, session="1"):
    count = len(ids)
    transforms = np.tile(np.eye(4), (count, 1, 1))
    transforms[:, :3, :3] = np.linalg.qr(generator.normal(size=(count, 3, 3)))[0]
    transforms[:, 0, :3] *= np.linalg.det(transforms[:, :3, :3])[:, None]
    transforms[:2, :3, :3] = [np.eye(3), np.diag([1, -1, -1])]
    transforms[:, :3, 3] = generator.normal(size=(count, 3))
    picks = run.new_picks(name, session)
    picks.from_numpy(generator.uniform(0, 300, (count, 3)), transforms, ids)
    return picks

cases = [made(run, "ribosome", np.arange(9)), made(run, "microtubule", np.repeat([1, 2, 3, 4], [5, 2, 4, 3])),
         made(bare, "proteasome", np.zeros(4, int))]
upstream = copick.from_file(config)
count = 0
for mine in cases:
    other = upstream.get_run(mine.run.name).get_picks(mine.pickable_object_name)[0]
    for arguments in ({}, {"tilt_series_pixel_size": 1.5}, {"tomogram_center": (1, 2, 3)}, {"voxel_spacing": 10.0},
                      {"filament": True, "half_sets": "filament"}, {"filament": True, "filament_angles": "pose"},
                      {"coordinates": "centered", "tilt_series_pixel_size": 2.0}, {"tomo_type": "wbp"}):
        if arguments.get("filament") and mine is not cases[1]:
            continue
        found = []
        for each in (mine, other):
            try:
                found.append(each.df(**arguments))
            except ValueError:
                found.append(None)
        assert (found[0] is None) == (found[1] is None), arguments
        if found[0] is None:
            continue
        assert list(found[0].columns) == list(found[1].columns), arguments
        for column in found[0].columns:
            one, two = found[0][column].to_numpy(), found[1][column].to_numpy()
            if column == "rlnTomoName" or one.dtype.kind == "i":
                assert (one == two).all(), column
        numbers = [f.drop(columns=["rlnTomoName"]) for f in found]
        angles = [c for c in numbers[0].columns if c.endswith(("Rot", "Tilt", "Psi"))]
        np.testing.assert_allclose(numbers[0].drop(columns=angles), numbers[1].drop(columns=angles), atol=1e-6)
        for one, two in zip(*(rows.relion_rows_to_poses(f) for f in found)):
            np.testing.assert_allclose(one, two, atol=1e-6)
        back = mine.run.new_picks(mine.pickable_object_name, "9", exist_ok=True)
        back.from_df(found[1], tilt_series_pixel_size=arguments.get("tilt_series_pixel_size"),
                     tomogram_center=arguments.get("tomogram_center"))
        run9 = copick.from_file(config).get_run(mine.run.name)
        again = run9.new_picks(mine.pickable_object_name, "8", exist_ok=True)
        again.from_df(found[0], tilt_series_pixel_size=arguments.get("tilt_series_pixel_size"),
                      tomogram_center=arguments.get("tomogram_center"))
        for one, two in zip(back.numpy(), again.numpy()):
            np.testing.assert_allclose(one, two, atol=1e-5)
        assert (back.instance_ids() == again.instance_ids()).all()
        count += 1
    for uri in (None, "microtubule:*/*", "nothing"):
        found = []
        for module, each in ((frames, mine), (theirs_util, other)):
            try:
                known, polarity = module.filament_polarity(each, uri)
                found.append([known.tolist(), polarity.source, polarity.known, polarity.unknown])
            except ValueError as error:
                found.append(None)
        assert found[0] == found[1], (uri, found)
    assert frames.copick_tomogram_center(mine) == theirs_util.copick_tomogram_center(other)
optics = pd.DataFrame({"rlnOpticsGroup": [1, 2], "rlnTomoTiltSeriesPixelSize": [1.5, 2.5]})
table = pd.DataFrame({"rlnCoordinateX": [1.0, 2], "rlnCoordinateY": [3.0, 4], "rlnCoordinateZ": [5.0, 6],
                      "rlnOpticsGroup": [2, 1], "rlnOriginXAngst": [1.0, 2], "rlnOriginYAngst": [0.0, 3],
                      "rlnOriginZAngst": [0.5, 1], "rlnAngleRot": [10.0, 20], "rlnAngleTilt": [30.0, 40],
                      "rlnAnglePsi": [50.0, 60], "rlnTomoSubtomogramRot": [70.0, 80],
                      "rlnTomoSubtomogramTilt": [15.0, 25], "rlnTomoSubtomogramPsi": [35.0, 45]})
for module_rows, module_util in ((rows, rows), (theirs_formats, theirs_util)):
    places = module_rows.relion_coordinates_to_angstrom(table, optics=optics)
    assert places.tolist() == [[2.5, 7.5, 12.5], [3.0, 6.0, 9.0]]
    poses = module_util.relion_rows_to_poses(table)
    if module_rows is rows:
        kept = poses
for one, two in zip(kept, poses):
    np.testing.assert_allclose(one, two, atol=1e-9)
print(json.dumps(count))
"""


def test_frames_are_those_of_upstream(config: Path, plugins: Any) -> None:
    assert plugins(SAME, config) > 10


REFUSALS = """
import json, sys
import numpy as np
import pandas as pd
import tomoportal.copick as copick
from tomoportal.copick.particles import relion_frames as frames, relion_rows as rows
run = copick.from_file(sys.argv[1]).new_run("a")
picks = run.new_picks("ribosome", "1")
eye = np.tile(np.eye(4), (3, 1, 1))
bad = eye.copy()
bad[1, 0, 0] = -1
places = np.zeros((3, 3))
table = pd.DataFrame({f"rlnCoordinate{a}": [1.0] for a in "XYZ"})
centred = pd.DataFrame({f"rlnCenteredCoordinate{a}Angst": [1.0] for a in "XYZ"})
build = frames.build_relion_particles_df
told = {}
for name, ask in {
    "C54": lambda: build(places, bad, tomogram_center=(0, 0, 0)),
    "no pixel": lambda: build(places, eye),
    "no centre": lambda: build(places, eye, coordinates="centered"),
    "mode": lambda: build(places, eye, coordinates="other"),
    "angles": lambda: build(places, eye, filament_angles="other"),
    "halves": lambda: build(places, eye, half_sets="other"),
    "no ids": lambda: build(places, eye, tomogram_center=(0, 0, 0), filament=True),
    "polarity": lambda: build(places, eye, tomogram_center=(0, 0, 0), polarity_known=[True]),
    "tubes": lambda: build(places, eye, tomogram_center=(0, 0, 0), half_sets="filament"),
    "auto": lambda: picks.df(filament="yes"),
    "format": lambda: picks.df("dynamo"),
    "columns": lambda: picks.from_df(pd.DataFrame({"x": [1]})),
    "size": lambda: picks.from_df(table),
    "dimensions": lambda: picks.from_df(centred),
    "version": lambda: rows.relion_coordinates_to_angstrom(table, relion_version="relion5"),
    "unknown version": lambda: rows.relion_coordinates_to_angstrom(table, relion_version="relion6"),
    "detect": lambda: rows.detect_relion_version(pd.DataFrame()),
    "spacing": lambda: frames.get_tomogram_spacing_and_dimensions(picks),
}.items():
    try:
        ask()
    except ValueError as error:
        told[name] = [type(error).__name__, str(error)]
assert (rows.detect_relion_version(table), rows.detect_relion_version(centred)) == ("relion4", "relion5")
print(json.dumps(told))
"""


def test_what_has_no_columns_is_refused(config: Path, plugins: Any) -> None:
    """C54: matrices that are no rotations are listed, not written as zero angles."""
    told = plugins(REFUSALS, config)
    assert "no rotations" in told["C54"][1]
    assert "[1]" in told["C54"][1]
    assert told["size"][0] == "RelionPixelSizeError"
    assert told["dimensions"][0] == "RelionTomogramCenterError"
    assert "is not supported" in told["format"][1]
    assert "required RELION columns" in told["columns"][1]
    assert len(told) == 18


def test_without_pandas_the_error_says_so(picks: copick.CopickPicks, monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def no_pandas(name: str, *rest: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_pandas)
    picks.from_numpy(np.zeros((1, 3)))
    with pytest.raises(MissingPartError, match="pandas"):
        picks.df(tomogram_center=(0, 0, 0))
