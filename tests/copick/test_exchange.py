"""The commands of ours and of upstream 1.31: the same options, the same files, each reading what the other writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.cli import main
from tomoportal.cli.copick import command as group
from tomoportal.formats import copick_csv_poses, dynamo_poses, motivelist_poses, open_mrc, read_star
from tomoportal.formats.rotations import from_zxz_angles
from tomoportal.storage import open_store

SIZE = 10.0
EXPORTS = {
    "em": ["--output-format", "em", "--voxel-size", "10", "--index-map", "map.txt"],
    "dynamo": ["--output-format", "dynamo", "--voxel-size", "10", "--index-map", "map.txt"],
    "csv": ["--output-format", "csv"],
    "star": ["--output-format", "star", "--voxel-size", "10"],
    "tilt": [
        "--output-format", "star", "--voxel-size", "10", "--tilt-series-pixel-size", "2.5", "--tomo-type", "wbp",
    ],
    "listed": ["--output-format", "star", "--voxel-size", "10", "--tomograms-star", "tomograms.star"],
    "tubes": ["--output-format", "star", "--voxel-size", "10", "--half-sets", "filament"],
    "pose": ["--output-format", "star", "--voxel-size", "10", "--filament-angles", "pose"],
    "centered": [
        "--output-format", "star", "--voxel-size", "10", "--tilt-series-pixel-size", "2", "--coordinates", "centered",
    ],
}  # fmt: skip
ENDINGS = {"em": "em", "dynamo": "tbl", "csv": "csv"}
IMPORTS = {
    "em": ["picks-em", "all.em", "--voxel-size", "10", "--index-map", "map.txt"],
    "dynamo": ["picks-dynamo", "all.tbl", "--voxel-size", "10", "--index-map", "map.txt"],
    "csv": ["picks", "all.csv"],
    "star": ["picks-relion", "star.star", "--voxel-size", "10"],
    "tilt": ["picks-relion", "tilt.star", "--relion-version", "relion4"],
    "listed": ["picks-relion", "listed.star", "--tomograms-star", "tomograms.star"],
}

TOMOGRAMS = """data_global

loop_
_rlnTomoName #1
_rlnTomoTiltSeriesPixelSize #2
_rlnVoltage #3
_rlnSphericalAberration #4
_rlnAmplitudeContrast #5
_rlnTomoSizeX #6
_rlnTomoSizeY #7
_rlnTomoSizeZ #8
TS_001 2.5 300.0 2.7 0.1 100 80 60
TS_002 2.5 300.0 2.7 0.1 100 80 64
"""

# Runs many commands of upstream in one process.
THEIRS = """
import contextlib, io, json, os, sys
from click.testing import CliRunner
from copick.cli.cli import main, cli
import copick.cli.add, copick.cli.export, copick.cli.sync, copick.cli.stats
from copick.cli.cli import add_core_commands
add_core_commands(cli)
os.chdir(sys.argv[1])
told = []
for arguments in json.loads(sys.argv[2]):
    done = CliRunner().invoke(cli, arguments)
    told.append([done.exit_code, done.output[-3000:] + repr(done.exception)])
print(json.dumps(told))
"""


def ours(*arguments: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["copick", *map(str, arguments)])
    assert ended.value.code == 0, arguments


@dataclass
class Both:
    """A folder with the project ``c.json``; ``ours/`` and ``theirs/`` hold what the packages exported from it."""

    folder: Path
    upstream: Callable[..., Any]

    def theirs(self, *commands: list[str]) -> None:
        for (code, output), arguments in zip(
            self.upstream(THEIRS, self.folder, json.dumps(commands)), commands, strict=True
        ):
            assert code == 0, (arguments, output)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, make_config: Any, upstream: Any) -> Both:
    folder = tmp_path_factory.mktemp("both")
    config = make_config(folder).rename(folder / "c.json")
    root = copick.from_file(config)
    generator = np.random.default_rng(1)
    for number, name in enumerate(("TS_001", "TS_002")):
        run = root.new_run(name)
        run.new_voxel_spacing(SIZE).new_tomogram("wbp").from_numpy(generator.normal(size=(15 + number, 20, 25)))
        for label, user in (("ribosome", "ada"), ("microtubule", "tracer")):
            transforms = np.tile(np.eye(4), (6, 1, 1))
            transforms[:, :3, :3] = from_zxz_angles(generator.uniform(-180, 180, (6, 3)))
            transforms[:, :3, 3] = generator.normal(size=(6, 3))
            picks = run.new_picks(label, "1", user)
            ids = np.array([1, 1, 1, 1, 2, 2])
            picks.from_numpy(generator.uniform(0, 200, (6, 3)), transforms, ids, generator.uniform(size=6))
        lines = [generator.uniform(0, 200, (4, 3)), generator.uniform(0, 200, (3, 3))]
        run.new_filaments("microtubule", "1", "tracer").from_numpy(lines, polarity_known=[True, False])
        labels = generator.integers(0, 5, (15, 20, 25)).astype(np.uint8)
        run.new_segmentation(SIZE, "all", "0", True, user_id="seg").from_numpy(labels)
    (folder / "map.txt").write_text("4,TS_001\n9,TS_002\n")
    (folder / "tomograms.star").write_text(TOMOGRAMS)
    made = Both(folder, upstream)
    commands = []
    for kind, options in EXPORTS.items():
        uri = "microtubule:tracer/1" if kind in ("tubes", "pose") else "ribosome:ada/1"
        file = f"{'all' if kind in ENDINGS else kind}.{ENDINGS.get(kind, 'star')}"
        commands.append(["export", "picks", "--config", "c.json", "--picks-uri", uri, *options, "--output-file", file])
    for what, uri in (("segmentation", "all:seg/0@10?multilabel=true"), ("tomogram", "wbp@10")):
        options = ["--output-format", "mrc", "--output-dir", "v"]
        commands.append(["export", what, "--config", "c.json", f"--{what}-uri", uri, *options])
    for side in ("ours", "theirs"):
        (folder / side).mkdir()
        moved = [[f"{side}/{word}" if before in ("--output-file", "--output-dir") else word
                  for before, word in zip(["", *command], command, strict=False)] for command in commands]  # fmt: skip
        if side == "theirs":
            made.theirs(*moved)
        else:
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                for command in moved:
                    ours(*command)
    return made


@pytest.mark.parametrize("kind", ["star", "tilt", "listed", "tubes", "pose", "centered"])
def test_star_files_have_the_same_columns_and_numbers(both: Both, kind: str) -> None:
    mine, theirs = (read_star((both.folder / side / f"{kind}.star").read_bytes(), side) for side in ("ours", "theirs"))
    for block in ("optics", "particles"):
        one, other = mine.table(block), theirs.table(block)
        assert (one is None) == (other is None), block
        if one is None or other is None:
            continue
        assert sorted(one.columns) == sorted(other.columns)
        for column in one.columns:
            if column in ("rlnTomoName", "rlnOpticsGroupName"):
                assert one.text(column) == other.text(column)
            else:
                np.testing.assert_allclose(
                    one.numbers(column), other.numbers(column), rtol=0, atol=2e-6, err_msg=column
                )


def test_other_lists_have_the_same_numbers(both: Both) -> None:
    data = {
        (side, ending): (both.folder / side / f"all.{ending}").read_bytes()
        for side in ("ours", "theirs")
        for ending in ENDINGS.values()
    }
    assert data["ours", "csv"].split() == data["theirs", "csv"].split()
    tables = [np.loadtxt(both.folder / side / "all.tbl") for side in ("ours", "theirs")]
    np.testing.assert_allclose(tables[0], tables[1], rtol=0, atol=1e-9)
    lists = [np.frombuffer(data[side, "em"], "<f4", offset=512).reshape(-1, 20) for side in ("ours", "theirs")]
    np.testing.assert_allclose(lists[0][:, 1:], lists[1][:, 1:], rtol=0, atol=1e-5)  # column 0 is av3's score
    assert data["ours", "em"][:16] == data["theirs", "em"][:16]


@pytest.mark.parametrize("path", ["TS_001/VoxelSpacing10.000/wbp.mrc", "TS_002/Segmentations/all_seg_0.mrc"])
def test_volumes_have_the_same_voxels(both: Both, path: str) -> None:
    mine, theirs = (open_mrc(open_store(both.folder / side / "v"), path) for side in ("ours", "theirs"))
    np.testing.assert_array_equal(mine.read(0, mine.shape[0]), theirs.read(0, theirs.shape[0]))
    assert mine.dtype == theirs.dtype
    assert mine.voxel_size == pytest.approx(theirs.voxel_size)


def test_each_adds_what_the_other_exported(both: Both, make_config: Any) -> None:
    """Ours → theirs and theirs → ours, every format; then the picks of both projects against the original."""
    commands: dict[str, list[list[str]]] = {"ours": [], "theirs": []}
    for side, other in (("ours", "theirs"), ("theirs", "ours")):
        place = both.folder / f"project-{side}"
        place.mkdir()
        make_config(place)
        config = f"project-{side}/copick_config.json"
        for name in ("TS_001", "TS_002"):
            tomogram = f"{other}/v/{name}/VoxelSpacing10.000/wbp.mrc"
            commands[side].append(["add", "tomogram", tomogram, "--config", config, "--run", name])
            labels = f"{other}/v/{name}/Segmentations/all_seg_0.mrc"
            commands[side].append(["add", "segmentation", labels, "--config", config, "--run", name, "--name", "all"])
        for kind, (verb, file, *options) in IMPORTS.items():
            names = ["--object-name", "ribosome", "--user-id", "ada", "--session-id", kind]
            star = ["add", verb, f"{other}/{file}", "--config", config, *options, *names]
            commands[side].append(star)
    both.theirs(*commands["theirs"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(both.folder)
        for command in commands["ours"]:
            ours(*command)
    original = copick.from_file(both.folder / "c.json")
    for side in ("ours", "theirs"):
        root = copick.from_file(both.folder / f"project-{side}/copick_config.json")
        for name in ("TS_001", "TS_002"):
            found, wanted = root.get_run(name), original.get_run(name)
            assert found is not None
            assert wanted is not None
            truth = wanted.get_picks("ribosome")[0]
            assert {each.session_id for each in found.picks} == set(IMPORTS)
            for each in found.picks:
                tolerance = 2e-5 if each.session_id == "em" else 1e-5 if each.session_id == "tilt" else 2e-6
                np.testing.assert_allclose(each.full_positions(), truth.full_positions(), rtol=0, atol=tolerance)
                np.testing.assert_allclose(each.arrays().rotations, truth.arrays().rotations, rtol=0, atol=2e-7)
                if each.session_id in ("em", "dynamo", "csv"):
                    np.testing.assert_allclose(each.scores(), truth.scores(), atol=1e-6)
            tomogram = found.voxel_spacings[0].tomograms[0]
            mine = wanted.voxel_spacings[0].tomograms[0]
            np.testing.assert_array_equal(tomogram.numpy(), mine.numpy())
            assert len(tomogram._folder.paths()) == 3
            np.testing.assert_array_equal(found.segmentations[0].numpy(), wanted.segmentations[0].numpy())


def test_the_lists_are_the_picks(both: Both) -> None:
    """Not only alike: what the files say is where the points are."""
    root = copick.from_file(both.folder / "c.json")
    truth = {run.name: run.get_picks("ribosome")[0] for run in root.runs}
    folder = both.folder / "ours"
    by_number = {4: "TS_001", 9: "TS_002"}
    numbered = [
        dynamo_poses((folder / "all.tbl").read_bytes(), "tbl", voxel_spacing=SIZE),
        motivelist_poses((folder / "all.em").read_bytes(), "em", voxel_spacing=SIZE),
    ]
    named = [{by_number[number]: poses for number, poses in each.items()} for each in numbered]
    named.append(copick_csv_poses((folder / "all.csv").read_bytes(), "csv"))
    for each in named:
        assert set(each) == set(truth)
        for name, poses in each.items():
            np.testing.assert_allclose(poses.centres, truth[name].full_positions(), rtol=0, atol=2e-5)


# --- options


# Upstream's click tree: command -> option -> what it takes.
TREE = """
import json, click
from copick.cli.cli import cli, add_core_commands
add_core_commands(cli)
def walk(command, path=()):
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from walk(each, (*path, name))
        return
    found = {}
    for each in command.params:
        if getattr(each, "hidden", False):
            continue
        default = each.default if isinstance(each.default, (str, int, float, bool)) else None
        found[each.name] = {
            "names": [*each.opts, *each.secondary_opts], "multiple": getattr(each, "multiple", False),
            "argument": isinstance(each, click.Argument), "default": default,
            "choices": list(each.type.choices) if isinstance(each.type, click.Choice) else None}
    yield " ".join(path), found
print(json.dumps(dict(walk(cli))))
"""
OTHER_DEFAULTS = {"--chunk-size"}  # 128: C67


def test_every_option_of_upstream_is_there(both: Both) -> None:
    theirs = both.upstream(TREE)
    context = click.Context(click.Command("x"))
    missing = []
    compared = 0
    for path, parameters in theirs.items():
        command: click.Command | None = group
        for name in path.split():
            command = command.get_command(context, name) if isinstance(command, click.Group) else None
        if command is None:
            missing.append(path)
            continue
        mine = {name: each for each in command.params for name in (*each.opts, *each.secondary_opts)}
        for parameter in parameters.values():
            if parameter["argument"]:
                arguments = [each.name for each in command.params if isinstance(each, click.Argument)]
                assert len(arguments) == sum(each["argument"] for each in parameters.values()), path
                continue
            for name in parameter["names"]:
                if name not in mine:
                    missing.append(f"{path} {name}")
                    continue
                each = mine[name]
                compared += 1
                if parameter["choices"] and isinstance(each.type, click.Choice):
                    assert set(parameter["choices"]) <= set(each.type.choices), (path, name)
                if name in OTHER_DEFAULTS or name in ("--config", "-c", "--debug", "--no-debug"):
                    continue
                if parameter["default"] not in (None, "", False) and not each.multiple:
                    assert each.default == parameter["default"], (path, name)
                assert each.multiple == parameter["multiple"] or not parameter["multiple"], (path, name)
    assert not missing
    assert compared > 250
