"""Handlers of formats and conversions of angles: the same arrays as upstream's, and files that both read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomoportal.copick.particles import arrays, conversions
from tomoportal.copick.particles.registry import FormatRegistry, get_picks_format_from_path, get_volume_format_from_path

# Both packages in one process: every array of one is that of the other, files are read crosswise.
SAME = """
import json, os, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
import copick.util.formats as theirs
import copick.util.handlers as their_handlers
import tomoportal.copick.particles.conversions as ours
import tomoportal.copick.particles.arrays as tables
import tomoportal.copick.particles.registry as handlers
from scipy.spatial.transform import Rotation
folder = sys.argv[1] + "/"
generator = np.random.default_rng(2)
count = 12
places, shifts = generator.uniform(10, 500, (count, 3)).round(2), generator.normal(size=(count, 3)).round(3)
rotations = Rotation.random(count, random_state=3).as_matrix()
transforms = ours.points_and_rotations_to_transforms(shifts, rotations)
scores = generator.uniform(size=count).round(3)
close = lambda one, two, tolerance=1e-6: np.testing.assert_allclose(one, two, atol=tolerance)
close(theirs.points_and_rotations_to_transforms(shifts, rotations), transforms)
for convention in ("ZYZ", "zxz", "XYZ", "zyx"):
    angles = generator.uniform(-170, 170, (count, 3))
    close(ours.euler_to_matrix(angles, convention), theirs.euler_to_matrix(angles, convention))
for convention in ("ZYZ", "zxz"):
    for module in (ours, theirs):
        close(theirs.euler_to_matrix(module.matrix_to_euler(rotations, convention), convention), rotations)
for name in ("em", "dynamo"):
    out = getattr(ours, f"copick_to_{name}_transform")
    more = {"return_shifts": True} if name == "em" else {}
    mine = out(places, transforms, 7.5, **more)
    other = getattr(theirs, f"copick_to_{name}_transform")(places, transforms, 7.5, **more)
    close(mine[0], other[0]); close(mine[2], other[2])
    for values in (mine, other):
        arguments = (values[0], values[1], 7.5, values[2]) if name == "em" else (values[0], values[1], values[2], 7.5)
        for module in (ours, theirs):
            back = getattr(module, f"{name}_to_copick_transform")(*arguments)
            close(back[0], places); close(back[1], transforms)
checked = 0
for kind, ending in (("em", "em"), ("dynamo", "tbl"), ("csv", "csv")):
    mine, other = handlers.FormatRegistry.get_picks_handler(kind), their_handlers.FormatRegistry.get_picks_handler(kind)
    data = {"a": (places[:7], transforms[:7], scores[:7]), "b": (places[7:], transforms[7:], scores[7:])}
    for writer, name in ((mine, "mine"), (other, "theirs")):
        single, grouped = f"{folder}{name}.{ending}", f"{folder}{name}-all.{ending}"
        writer.write(single, places, transforms, 7.5, scores=scores)
        writer.write_grouped(grouped, data, 7.5, {"a": 3, "b": 8})
        for reader in (mine, other):
            found = reader.read(single, 7.5)
            close(found[0], places, 2e-3); close(found[1], transforms, 2e-3); close(found[2], scores, 1e-3)
            runs = reader.read_grouped(grouped, 7.5, {3: "a", 8: "b"})
            assert set(runs) == {"a", "b"}
            close(runs["b"][0], places[7:], 2e-3)
            checked += 1
for function in ("read_em_motivelist", "read_dynamo_table"):
    path = folder + ("theirs-all.em" if "em_" in function else "theirs-all.tbl")
    mine, other = (getattr(module, function)(path, include_tomo_index=True) for module in (tables, theirs))
    for one, two in zip(mine, other):
        if one.ndim == 1 or not np.allclose(one, two, atol=1e-3):
            if one.ndim == 2:
                one, two = (theirs.euler_to_matrix(angles, "zxz") for angles in (one, two))
        close(one, two, 2e-3)
volume = generator.normal(size=(3, 4, 5)).astype("float32")
for kind, ending in (("mrc", "mrc"), ("em", "em"), ("tiff", "tif"), ("zarr", "zarr")):
    for number, (writer, reader) in enumerate(((handlers, their_handlers), (their_handlers, handlers))):
        path = f"{folder}volume{number}.{ending}"
        if kind == "em" and writer is their_handlers:
            theirs.write_em_volume(path, volume)
        else:
            writer.FormatRegistry.get_volume_handler(kind).write(path, volume, 7.5)
        if kind == "em" and reader is their_handlers:  # whose handler imports functions that there are not
            found, size = theirs.read_em_volume(path), None
        else:
            found, size = reader.FormatRegistry.get_volume_handler(path).read(path)
        close(found, volume)
        assert size is None or abs(size - 7.5) < 1e-3 or kind in ("em", "tiff"), (kind, size)
        checked += 1
print(json.dumps(checked))
"""


def test_arrays_and_files_are_those_of_upstream(tmp_path: Path, plugins: Any) -> None:
    assert plugins(SAME, tmp_path) == 20


def test_formats_by_name_and_path() -> None:
    assert [get_volume_format_from_path(name) for name in ("a.MRC", "b.rec", "c.zarr/", "d.tif", "e.x")] == [
        "mrc", "mrc", "zarr", "tiff", None,
    ]  # fmt: skip
    assert [get_picks_format_from_path(name) for name in ("a.tbl", "em", "c.star", "d.csv", "e.x")] == [
        "dynamo", "em", "star", "csv", None,
    ]  # fmt: skip
    assert conversions.get_picks_format_from_extension("x.tbl") == "dynamo"
    assert conversions.get_volume_format_from_extension("x.map") == "mrc"

    class Mine:
        format_name, extensions = "mine", (".mine",)

    FormatRegistry.register_volume_handler(Mine())  # type: ignore[arg-type]
    try:
        assert get_volume_format_from_path("x.mine") == "mine"
        assert "mine" in FormatRegistry.list_volume_formats()
    finally:
        del FormatRegistry._volumes["mine"]
    assert FormatRegistry.get_picks_handler_for_extension("csv") is not None
    assert FormatRegistry.get_volume_handler_for_extension(".em") is not None


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    eye = np.tile(np.eye(4), (2, 1, 1))
    with pytest.raises(ValueError, match="run_to_index"):
        arrays.write_em_motivelist_grouped(str(tmp_path / "x.em"), {"a": (np.zeros((2, 3)), eye, None)}, 1.0, {})
    with pytest.raises(ValueError, match="Expected"):
        conversions.transforms_to_points_and_rotations(np.eye(4))
    with pytest.raises(ValueError, match="no order of axes"):
        conversions.euler_to_matrix([[0, 0, 0]], "Zyz")
    with pytest.raises(ValueError, match="not given in"):
        conversions.matrix_to_euler(eye[:, :3, :3], "XYZ")


def test_tables_of_one_tomogram_and_maps(tmp_path: Path) -> None:
    places, angles = np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([[10.0, 20, 30], [40, 50, 60]])
    for write, read, name in (
        (arrays.write_em_motivelist, arrays.read_em_motivelist, "x.em"),
        (arrays.write_dynamo_table, arrays.read_dynamo_table, "x.tbl"),
    ):
        write(str(tmp_path / name), places, angles, scores=np.array([0.5, 0.25]), tomogram_index=4)
        found = read(str(tmp_path / name), include_tomo_index=True)
        np.testing.assert_allclose(found[0], places, atol=1e-4)
        np.testing.assert_allclose(found[1], angles, atol=1e-3)
        assert 4 in found[-1] or 4 in found[-2]
    (tmp_path / "map.csv").write_text("1,TS_1\n2,TS_2\n")
    assert arrays.read_index_map(str(tmp_path / "map.csv")) == {1: "TS_1", 2: "TS_2"}
    assert arrays.read_index_map_inverse(str(tmp_path / "map.csv")) == {"TS_1": 1, "TS_2": 2}
    (tmp_path / "list.vll").write_text("3 /data/TS_3.rec\n")
    assert arrays.read_dynamo_tomolist(str(tmp_path / "list.vll")) == {3: "TS_3"}
    volume = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    arrays.write_em_volume(str(tmp_path / "v.em"), volume)
    arrays.write_tiff_volume(str(tmp_path / "v.tif"), volume, "zlib")
    assert np.array_equal(arrays.read_em_volume(str(tmp_path / "v.em")), volume)
    assert np.array_equal(arrays.read_tiff_volume(str(tmp_path / "v.tif")), volume)
    both = np.stack([volume, volume + 1])
    arrays.write_tiff_volume(str(tmp_path / "v.tif"), both)
    assert np.array_equal(arrays.read_tiff_volume(str(tmp_path / "v.tif")), both)
    eye = np.tile(np.eye(4), (2, 1, 1))
    arrays.write_copick_csv(str(tmp_path / "p.csv"), places, eye, "TS_1", instance_ids=np.array([3, 4]))
    assert "TS_1" in (tmp_path / "p.csv").read_text()
    data = {"a": (places, eye, None), "b": (places, eye, None)}
    arrays.write_picks_csv_grouped(str(tmp_path / "q.csv"), data, {"a": np.array([1, 2])})
    assert (tmp_path / "q.csv").read_text().count("\n") == 5
