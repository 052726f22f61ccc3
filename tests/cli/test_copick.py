"""``tomoportal copick``: what each command does, says and returns, on real projects and files."""

from __future__ import annotations

import curses
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

import tomoportal.copick as copick
from tomoportal.cli import main
from tomoportal.cli.copick import COMMANDS
from tomoportal.cli.copick import command as group
from tomoportal.cli.copick.tree_view import TreeView
from tomoportal.copick.overviews.browsing import project_tree
from tomoportal.errors import StorageError
from tomoportal.formats import ArrayVolume, Mesh, open_em, open_mrc, open_tiff, read_imod_model, read_mesh
from tomoportal.formats.meshes.output import write_stl
from tomoportal.formats.rotations import from_zxz_angles
from tomoportal.formats.volume_output import write_em, write_mrc, write_tiff, write_tiff_channels
from tomoportal.storage import open_store
from tomoportal.storage.local import LocalStore
from tomoportal.testing.object_server import s3_server


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command as users call it, in this process; the config is that of the folder."""
    monkeypatch.setenv("COPICK_CONFIG", str(tmp_path / "config.json"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(["copick", *map(str, arguments)])
        told = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, told.out, told.err)

    return call


@pytest.fixture
def project(run: Run, tmp_path: Path) -> Path:
    """A project without runs: ribosome (1), membrane (2), microtubule (3, a filament)."""
    made = run(
        *("config", "filesystem", "--overlay-root", tmp_path / "project", "--config", tmp_path / "config.json"),
        *("--objects", "ribosome,True,120,4V9D", "--objects", "membrane,False"),
    )
    assert made.code == 0
    assert run("add", "object", "--name", "microtubule", "--object-type", "filament", "--polar").code == 0
    return tmp_path / "config.json"


def opened(config: Path) -> copick.CopickRoot:
    return copick.from_file(config)


def some_picks(config: Path, runs: tuple[str, ...] = ("TS_001", "TS_002"), session: str = "1") -> copick.CopickRoot:
    root = opened(config)
    generator = np.random.default_rng(1)
    for name in runs:
        transforms = np.tile(np.eye(4), (5, 1, 1))
        transforms[:, :3, :3] = from_zxz_angles(generator.uniform(-180, 180, (5, 3)))
        transforms[:, :3, 3] = generator.normal(size=(5, 3))
        picks = root.new_run(name, exist_ok=True).new_picks("ribosome", session, "ada")
        picks.from_numpy(generator.uniform(0, 200, (5, 3)), transforms, np.array([1, 1, 2, 2, 0]), np.linspace(0, 1, 5))
    return root


# --- the group


def test_every_verb_says_in_its_own_help_what_the_overview_says() -> None:
    context = click.Context(group)
    for name, line in COMMANDS.items():
        found = group.get_command(context, name)
        assert found is not None
        assert (found.help or "").replace("\n", " ").startswith(line.rstrip(".")), name
    for name in ("add", "export"):
        below = group.get_command(context, name)
        assert isinstance(below, click.Group)
        for verb in below.list_commands(context):
            found = below.get_command(context, verb)
            assert found is not None
            assert (found.help or "").replace("\n", " ").startswith(below._lines[verb].rstrip(".")), verb  # type: ignore[attr-defined]


def test_plug_ins_stand_in_their_groups(tmp_path: Path) -> None:
    """C70: listed without being loaded; a broken one is told, the others work."""
    (tmp_path / "fake.py").write_text(
        "import click, copick\n@click.command()\ndef grow():\n    click.echo(copick.__name__ + ' grows')\n"
    )
    (tmp_path / "broken.py").write_text("raise RuntimeError('it is broken')\n")
    (tmp_path / "fake-1.0.dist-info").mkdir()
    (tmp_path / "fake-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
    points = "[copick.process.commands]\ngrow = fake:grow\nbroken = broken:command\n"
    (tmp_path / "fake-1.0.dist-info/entry_points.txt").write_text(points)

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tomoportal", "copick", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    overview = call("--help")
    assert re.search(r"process +broken, grow", overview.stdout)
    assert "it is broken" not in overview.stderr
    grown = call("process", "grow")
    assert (grown.returncode, grown.stdout) == (0, "copick grows\n")
    assert "it is broken" in grown.stderr
    assert "process grow" in call("info").stdout
    assert call("convert", "x").returncode == 2


def test_help_loads_no_library_of_arrays() -> None:
    """C70."""
    code = "import sys; from tomoportal.cli import main\ntry:\n main(['copick', '--help'])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('numpy', 'zarr', 'trimesh', 'pydantic') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ("rm", "picks", "ribosome"),
        ("cp", "picks", "a:b/1", "a:b/2"),
        ("new", "run", "TS_001"),
        ("stats", "picks"),
        ("add", "picks", "x.star", "--object-name", "ribosome"),
        ("export", "picks", "--picks-uri", "a", "--output-format", "csv", "--output-dir", "x"),
        ("deposit", "--target-dir", "x"),
        ("browse",),
    ],
)
def test_a_missing_config_is_a_wrong_call_that_is_explained(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """C51: upstream ends most of these in a TypeError."""
    monkeypatch.delenv("COPICK_CONFIG")
    ran = run(*arguments)
    assert ran.code == 2
    assert "--config" in ran.err
    assert "COPICK_CONFIG" in ran.err


def test_a_config_that_cannot_be_used_is_no_traceback(run: Run, project: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"config_type": "filesystem", "pickable_objects": [{"name": "a_b"}]}')
    for config, words in ((tmp_path / "bad.json", "invalid characters"), (tmp_path / "none.json", "does not exist")):
        ran = run("stats", "picks", "-c", config)
        assert ran.code == 1
        assert words in ran.err


# --- new, config


def test_a_project_from_nothing(run: Run, project: Path) -> None:
    config = json.loads(project.read_text())
    assert [each["name"] for each in config["pickable_objects"]] == ["ribosome", "membrane", "microtubule"]
    assert config["pickable_objects"][0]["pdb_id"] == "4V9D"
    assert config["pickable_objects"][2]["metadata"] == {"copick": {"filament": {"polar": True}}}
    assert run("new", "run", "TS_001", "--dry-run").code == 0
    assert not opened(project).runs
    assert run("new", "run", "TS_001").code == 0
    again = run("new", "run", "TS_001")
    assert (again.code, "already exists" in again.err) == (1, True)
    assert run("new", "run", "TS_001", "--overwrite").out.startswith("keep")
    assert run("new", "run", "a/b").code == 1
    assert run("new", "voxelspacing", "10", "--run", "TS_002", "--no-create").code == 1
    assert run("new", "voxelspacing", "10", "--run", "TS_002", "--json").json["done"] == 1
    made = run("new", "picks", "--particle-name", "ribosome", "--json").json
    assert [item["action"] for item in made["items"]] == ["create", "create"]
    assert [item["action"] for item in run("new", "picks", "--particle-name", "ribosome", "--json").json["items"]] == [
        "keep",
        "keep",
    ]
    assert run("config", "filesystem", "--overlay-root", "x", "--config", project).code == 1  # is there already
    assert run("config", "filesystem", "--overlay-root", "x", "--objects", "a").code == 2


# --- add


def tomogram_file(path: Path, ending: str, array: np.ndarray) -> Path:
    store = open_store(path, create=True)
    writers = {"mrc": write_mrc, "em": write_em, "tiff": write_tiff}
    writers[ending](ArrayVolume(array), store, f"TS_001.{ending}", voxel_spacing=7.84)
    return path / f"TS_001.{ending}"


@pytest.mark.parametrize("ending", ["mrc", "em", "tiff"])
def test_tomograms_are_added_with_a_pyramid(run: Run, project: Path, tmp_path: Path, ending: str) -> None:
    array = np.random.default_rng(1).normal(size=(9, 20, 23)).astype(np.float32)
    path = tomogram_file(tmp_path / "raw", ending, array)
    assert run("add", "tomogram", path, "--chunk-size", "8,8,8").code == 0
    found = opened(project).tomograms("wbp", 7.84)[0]
    np.testing.assert_array_equal(found.numpy(), array)
    assert [found.numpy(level).shape for level in "012"] == [(9, 20, 23), (5, 10, 12), (3, 5, 6)]
    assert found.numpy("1")[0, 0, 0] == pytest.approx(array[:2, :2, :2].mean(), abs=1e-6)
    assert run("add", "tomogram", path).out.startswith("keep")  # nothing else is in it
    write_mrc(ArrayVolume(array + 1), open_store(tmp_path / "raw"), "other.mrc", voxel_spacing=7.84)
    other = run("add", "tomogram", tmp_path / "raw/other.mrc", "--run", "TS_001")
    assert (other.code, "already" in other.err) == (1, True)
    turned = run("add", "tomogram", path, "--overwrite", "--transpose", "2,1,0", "--flip", "0")
    assert turned.out.startswith("replace")
    np.testing.assert_array_equal(opened(project).tomograms()[0].numpy(), array.transpose(2, 1, 0)[::-1])
    assert run("add", "tomogram", path, "--tomo-type", "flat", "--no-create-pyramid").code == 0
    assert len(opened(project).tomograms("flat")[0]._folder.paths()) == 1


def test_zarr_goes_in_as_it_came_out(run: Run, project: Path, tmp_path: Path) -> None:
    array = np.random.default_rng(1).normal(size=(9, 20, 23)).astype(np.float32)
    assert run("add", "tomogram", tomogram_file(tmp_path / "raw", "mrc", array)).code == 0
    done = run("export", "tomogram", "--tomogram-uri", "wbp", "--output-dir", "out", "--output-format", "zarr")
    assert done.code == 0
    folder = tmp_path / "out/TS_001/VoxelSpacing7.840/wbp.zarr"
    assert run("add", "tomogram", folder, "--run", "TS_009").code == 0
    np.testing.assert_array_equal(opened(project).get_run("TS_009").voxel_spacings[0].tomograms[0].numpy(), array)  # type: ignore[union-attr]


def test_unsigned_bytes_keep_their_values(run: Run, project: Path, tmp_path: Path) -> None:
    import mrcfile

    with mrcfile.new(tmp_path / "TS_001.mrc") as mrc:
        mrc.set_data(np.arange(-100, 140, dtype=np.int16).reshape(4, 6, 10))
        mrc.voxel_size = 10
    assert run("add", "tomogram", "TS_001.mrc").code == 0
    assert opened(project).tomograms()[0].numpy().max() == 139


def test_problems_of_all_files_are_told_before_anything_is_written(run: Run, project: Path, tmp_path: Path) -> None:
    """C105, C106: upstream adds the good ones, skips others with a warning, and ends with 0."""
    array = np.zeros((4, 4, 4), np.float32)
    store = open_store(tmp_path / "raw", create=True)
    for name in ("TS_001_a.mrc", "TS_001_b.mrc", "TS_002_a.mrc"):
        write_mrc(ArrayVolume(array), store, name, voxel_spacing=10)
    write_mrc(ArrayVolume(array), store, "TS_003_a.mrc", voxel_spacing=0)
    (tmp_path / "raw/TS_004_a.mrc").write_bytes(b"no volume")
    ran = run("add", "tomogram", "raw/*.mrc", "--run-regex", "(TS_[0-9]*)_")
    assert ran.code == 1
    for words in (
        "TS_001_b.mrc",
        "that of TS_001_a.mrc already",
        "TS_003_a.mrc",
        "no usable voxel size",
        "TS_004_a.mrc",
    ):
        assert words in ran.err
    assert not opened(project).runs
    assert run("add", "tomogram", "raw/*.rec").code == 1
    assert run("add", "tomogram", "raw/TS_002_a.mrc", "--no-create").code == 1
    assert run("add", "tomogram", "raw/TS_002_a.mrc", "--transpose", "0,0,1").code == 1
    assert run("add", "tomogram", "raw/TS_002_a.mrc", "--chunk-size", "7,7,7").code == 1
    assert not opened(project).runs


def test_files_that_the_regex_does_not_match_are_left_out_and_named(run: Run, project: Path, tmp_path: Path) -> None:
    store = open_store(tmp_path / "raw", create=True)
    for name in ("TS_001_a.mrc", "TS_001_b.mrc", "other.mrc"):
        write_mrc(ArrayVolume(np.zeros((4, 4, 4), np.float32)), store, name, voxel_spacing=10)
    ran = run("add", "tomogram", "raw/*.mrc", "--run-regex", "(TS_[0-9]*)_b")
    assert (ran.code, ran.out.split()[:2]) == (0, ["create", "TS_001"])
    for words in ("skipped  other.mrc", "skipped  TS_001_a.mrc", "1 item done, 2 skipped"):
        assert words in ran.err
    counts = run("add", "tomogram", "raw/other.mrc", "--run-regex", "(TS_[0-9]*)_b", "--json").json
    assert [counts[key] for key in ("done", "skipped", "failed")] == [0, 1, 0]
    assert [each.name for each in opened(project).runs] == ["TS_001"]


@pytest.fixture
def run_folders(tmp_path: Path) -> Path:
    """``TS_9/raw/TS_001/tomo.mrc`` and so on: only the folders have the names of runs, but the first."""
    folder = tmp_path / "TS_9/raw"
    array = (np.random.default_rng(1).normal(size=(4, 4, 4)) > 0).astype(np.int8)
    corners = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]], float)
    mesh = Mesh(corners, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
    for name in ("TS_001", "TS_002_b"):
        store = open_store(folder / name, create=True)
        write_mrc(ArrayVolume(array), store, "tomo.mrc", voxel_spacing=10)
        write_mrc(ArrayVolume(array), store, "all_label.mrc", voxel_spacing=10)
        write_mrc(ArrayVolume(array), store, "all_instance.mrc", voxel_spacing=10)
        store.put("picks.csv", b"1,2,3\n4,5,6\n")
        store.put("mesh.stl", write_stl(mesh))
    return folder


_FOLDERS: dict[str, tuple[str, ...]] = {
    "tomogram": ("tomo.mrc",),
    "segmentation": ("tomo.mrc", "--name", "membrane", "--segmentation-type", "binary"),
    "segmentation panoptic": ("all_*.mrc", "--name", "all", "--segmentation-type", "panoptic"),
    "picks": ("picks.csv", "--object-name", "ribosome", "--file-type", "csv_plain", "--voxel-size", "10"),
    "mesh": ("mesh.stl", "--object-name", "membrane"),
}


@pytest.mark.parametrize("kind", _FOLDERS)
def test_the_regex_finds_the_run_in_the_names_of_folders(run: Run, project: Path, run_folders: Path, kind: str) -> None:
    """Nearest first, and not above the folder that the pattern names; the file's own name comes before all of them."""
    file, *more = _FOLDERS[kind]
    add = ("add", kind.split()[0])
    ran = run(*add, "TS_9/raw/*/" + file, *more)
    assert (ran.code, "(TS_[0-9]+)/" in ran.err) == (1, True)  # two runs of one name: how folders tell them apart
    for pattern in ("TS_9/raw/*/", "TS_9/**/", f"{run_folders}/*/"):
        planned = run(*add, pattern + file, *more, "--run-regex", "(TS_[0-9]+)", "--json", "--dry-run").json
        assert [each["run"] for each in planned["items"]] == ["TS_001", "TS_002"], pattern
    assert run(*add, "TS_9/raw/*/" + file, *more, "--run-regex", "^(TS_[0-9]+)(?:_.)?/").code == 0
    assert [each.name for each in opened(project).runs] == ["TS_001", "TS_002"]
    if "*" not in file:
        one = run(*add, run_folders / "TS_002_b" / file, *more, "--run-regex", "(TS_[0-9]+_b)", "--json").json
        assert [each["run"] for each in one["items"]] == ["TS_002_b"]
        left = run(*add, run_folders / "TS_001" / file, *more, "--run-regex", "(TS_9)", "--json").json
        assert [each["action"] for each in left["items"]] == ["skip"]  # a folder far above is nobody's run
    named = run_folders / "TS_001" / file.replace("*", "label")
    if kind != "segmentation panoptic":
        moved = named.rename(named.with_stem("TS_007"))
        item = run(*add, moved, *more, "--run-regex", "(TS_[0-9]+)", "--json").json["items"][0]
        assert item["run"] == "TS_007"


def test_a_project_on_a_store_needs_no_editor(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with s3_server() as url:
        arguments = json.dumps({"endpoint_url": url.partition("endpoint=")[2]})
        config = ("config", "filesystem", "--overlay-root", "s3://bucket/new", "--objects", "ribosome,True")
        assert run(*config, "--overlay-fs-args", "endpoint").code == 2
        assert run(*config, "--overlay-fs-args", arguments).code == 0
        assert run("new", "run", "TS_001").code == 0
        assert run("info", "--json").json["project"]["runs"] == 1


def test_a_run_that_is_named_counts_for_patterns_too(run: Run, project: Path, tmp_path: Path) -> None:
    """It was left out of account where the path was a pattern, so that a run of the file's name appeared."""
    store = open_store(tmp_path / "raw", create=True)
    write_mrc(ArrayVolume(np.zeros((4, 4, 4), np.float32)), store, "a.mrc", voxel_spacing=10)
    add = ("add", "tomogram", "raw/*.mrc", "--run", "TS_001", "--json")
    assert [each["run"] for each in run(*add).json["items"]] == ["TS_001"]
    write_mrc(ArrayVolume(np.ones((4, 4, 4), np.float32)), store, "b.mrc", voxel_spacing=10)
    both = run(*add)
    assert (both.code, "the run TS_001 is that of a.mrc already" in both.err) == (1, True)
    assert "leave --run out" in both.err


def test_a_pattern_without_quotes_is_told(run: Run, project: Path) -> None:
    for verb, *more in (("tomogram",), ("picks", "--object-name", "ribosome"), ("picks-relion", "--object-name", "x")):
        wrong = run("add", verb, "raw/a.mrc", "raw/b.mrc", *more)
        assert (wrong.code, "a pattern belongs in quotes" in " ".join(wrong.err.split())) == (2, True), wrong.err
        none = run("add", verb, *more)
        assert (none.code, "Missing argument 'PATH'" in none.err) == (2, True), none.err


@pytest.mark.parametrize(
    "arguments",
    [("validate",), ("info",), ("stats", "picks"), ("cp", "picks", "ribosome:ada/1", "ribosome:bob/1")],
    ids=lambda arguments: arguments[0],
)
def test_a_terminal_shows_that_something_is_going_on(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Before anybody can say how much there is to do; gone before the results, and nothing of it in JSON or a log."""
    some_picks(project)
    assert "looking" not in run(*arguments, "--json").err
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.setenv("TERM", "xterm")
    shown = run(*arguments, "--json")
    assert re.search("looking at|counting", shown.err)
    json.loads(shown.out)
    failed = run("cp", "picks", "ribosom:ada/1", "ribosome:bob/1")
    assert failed.err.rindex("looking at") < failed.err.rindex("No picks match")


def test_typing_errors_are_told_with_what_there_is(run: Run, project: Path, tmp_path: Path) -> None:
    some_picks(project)
    (tmp_path / "a.csv").write_text("1,2,3\n")
    added = run("add", "picks", "a.csv", "--file-type", "csv_plain", "--voxel-size", "1", "--object-name", "ribosom")
    assert (added.code, "write ribosome, or add it" in added.err) == (1, True)
    other = run("new", "picks", "--particle-name", "x")
    assert (other.code, "use one of ribosome, membrane, microtubule, or add it" in other.err) == (1, True)
    copied = run("cp", "picks", "ribosom:ada/1", "ribosome:bob/1")
    assert (copied.code, copied.err.startswith("error: ribosom:ada/1: No picks match the URI.\n  fix: ")) == (1, True)
    counted = run("stats", "picks", "--object-name", "ribosom")
    assert counted.out == "total picks: 0\ntotal pick files: 0\n"  # no tables of nothing
    assert "no object ribosom, only ribosome, membrane, microtubule" in counted.err
    for given, code in (((), 2), (("--picks", "ribosom"), 1)):
        nothing = run("deposit", "--target-dir", "out", *given)
        assert (nothing.code, nothing.out) == (code, "")
    for objects, words in (
        (("my_virus,True",), "write my-virus"),
        (("virus,True", "virus,False"), "virus is given twice"),
        (("virus,True,-5",), "no positive length"),
        (("virus,True,nan",), "no positive length"),
    ):
        given = [part for each in objects for part in ("--objects", each)]
        wrong = run("config", "filesystem", "--overlay-root", "o", "--config", "new.json", *given)
        assert (wrong.code, words in wrong.err) == (2, True), wrong.err
    assert not (tmp_path / "new.json").exists()


def test_what_was_there_already_is_not_counted_as_done(run: Run, project: Path) -> None:
    some_picks(project)
    copy = ("cp", "picks", "ribosome:ada/1", "ribosome:bob/1")
    assert run(*copy, "-r", "TS_001").code == 0
    assert "1 item would be done, 1 kept as it is" in run(*copy, "--dry-run").err
    assert "1 item done, 1 kept as it is; completed successfully" in run(*copy).err
    assert run(*copy, "--json").json["kept"] == 2


def test_old_lists_of_relion_state_the_pixel_size_of_micrographs(run: Run, project: Path, tmp_path: Path) -> None:
    write_mrc(ArrayVolume(np.zeros((4, 4, 4), np.float32)), open_store(tmp_path), "a.mrc", voxel_spacing=1)
    columns = ("rlnTomoName", "rlnMicrographOriginalPixelSize", "rlnTomoTomogramBinning")
    names = [f"_{name} #{number}" for number, name in enumerate((*columns, "rlnTomoReconstructedTomogramHalf1"), 1)]
    (tmp_path / "a.star").write_text("\n".join(["data_global", "", "loop_", *names, "TS_001 1.5 4.0 a.mrc", ""]))
    assert run("add", "tomograms-relion", "--tomograms-star", "a.star", "--base-dir", tmp_path).code == 0
    assert [each.voxel_spacing.voxel_size for each in opened(project).tomograms()] == [6.0]


def test_commands_report_and_end_as_they_should_inside_other_programs(run: Run, project: Path, tmp_path: Path) -> None:
    """Windows and servers of plug-ins run single commands in process, without our ``main`` (C106)."""
    add, stats = (group.get_command(click.Context(group), name) for name in ("add", "stats"))
    other = click.Group("other", commands={"add": add, "stats": stats})  # type: ignore[dict-item]
    (tmp_path / "TS_001.mrc").write_bytes(b"no volume")
    for arguments, code, words in (
        ("add tomogram nothing-*.mrc", 1, "No files found matching pattern: nothing-*.mrc"),
        ("add tomogram TS_001.mrc", 1, "cannot be added"),
        ("stats picks -c nowhere.json", 1, "error: nowhere.json: the config does not exist\n  fix: "),
        ("add object --name x --color 255,0,0", 1, "four comma-separated values"),
        ("add object --name x --metadata {a}", 1, "not in valid JSON format"),
        ("add object", 2, "Missing option '--name'"),
        ("stats picks --json", 0, ""),
    ):
        done = CliRunner().invoke(other, arguments.split())
        assert (done.exit_code, words in done.output) == (code, True), (arguments, done.output)
    root = opened(project)
    root.new_run("TS_002").new_picks("ribosome", "1", "ada")
    Path(root.get_run("TS_002").picks[0].path).write_text("{")  # type: ignore[union-attr]
    copy = group.get_command(click.Context(group), "cp")
    assert copy is not None
    done = CliRunner().invoke(copy, ["picks", "ribosome:ada/1", "ribosome:bob/2"])
    assert done.exit_code == 1


@pytest.mark.parametrize("kind", ["multilabel", "binary", "instance"])
def test_segmentations_keep_every_label(run: Run, project: Path, tmp_path: Path, kind: str) -> None:
    labels = np.random.default_rng(1).integers(0, 2 if kind == "binary" else 40_000, (5, 6, 7)).astype(np.uint16)
    write_mrc(ArrayVolume(labels), open_store(tmp_path), "TS_001.mrc", voxel_spacing=10)
    arguments = ("add", "segmentation", "TS_001.mrc", "--name", "ribosome", "--segmentation-type", kind)
    assert run(*arguments, "--dry-run").out.startswith("create")
    assert not opened(project).runs
    assert run(*arguments).code == 0
    found = opened(project).segmentations(is_instance=None)[0]
    assert found.segmentation_type == kind
    np.testing.assert_array_equal(found.numpy(), labels)
    assert run(*arguments).out.startswith("keep")
    write_mrc(ArrayVolume(labels[::-1].copy()), open_store(tmp_path / "b", create=True), "TS_001.mrc", voxel_spacing=10)
    assert run(arguments[0], arguments[1], "b/TS_001.mrc", *arguments[3:]).code == 1
    assert run(*arguments, "--session-id", "2").code == 0
    if kind == "binary":
        write_mrc(ArrayVolume(labels * 3), open_store(tmp_path), "TS_002.mrc", voxel_spacing=10)
        ran = run(*("add", "segmentation", "TS_002.mrc", "--name", "ribosome", "--segmentation-type", kind))
        assert (ran.code, "holds 0 and 1" in ran.err) == (1, True)
    assert run("add", "segmentation", "TS_001.mrc", "--name", "nobody", "--segmentation-type", "binary").code == 1


def test_a_panoptic_segmentation_comes_from_two_channels(run: Run, project: Path, tmp_path: Path) -> None:
    root = opened(project)
    both = np.stack(
        [np.array([0, 1, 1, 2], np.uint16).reshape(1, 2, 2), np.array([0, 5, 6, 7], np.uint16).reshape(1, 2, 2)]
    )
    made = root.new_run("TS_001").new_segmentation(10, "all", "0", user_id="seg", is_panoptic=True)
    made.from_numpy(both)
    uri = "all:seg/0@10?panoptic=true"
    export = ("export", "segmentation", "--segmentation-uri", uri, "--output-dir", "out", "--output-format")
    assert run(*export, "zarr").code == 0
    folder = "out/TS_001/PanopticSegmentations/all_seg_0.zarr"
    add = ("add", "segmentation", folder, "--name", "all", "--segmentation-type", "panoptic", "--run", "TS_002")
    assert run(*add).code == 0
    found = opened(project).get_run("TS_002").get_segmentations(is_panoptic=True)[0]  # type: ignore[union-attr]
    np.testing.assert_array_equal(found.numpy(), both)
    assert run(*export, "mrc").code == 0
    store = open_store(tmp_path / "out/TS_001/PanopticSegmentations")
    np.testing.assert_array_equal(open_mrc(store, "all_seg_0_instance.mrc").read(0, 1), both[1])
    np.testing.assert_array_equal(open_mrc(store, "all_seg_0_label.mrc").read(0, 1), both[0])
    mrc = "out/TS_001/PanopticSegmentations/alone.mrc"
    (tmp_path / mrc).write_bytes((tmp_path / mrc).with_name("all_seg_0_label.mrc").read_bytes())
    ran_as = ("--name", "all", "--segmentation-type", "panoptic")
    ran = run("add", "segmentation", mrc, *ran_as)
    assert (ran.code, "holds no channels" in ran.err) == (1, True)
    assert "holds no channels" in run("add", "segmentation", "x", "--file-type", "em", *ran_as).err
    write_tiff_channels([ArrayVolume(each) for each in both], open_store(tmp_path), "both.tif")
    turned = ("--transpose", "0,2,1", "--run", "TS_003", "--voxel-size", "10")
    assert run("add", "segmentation", "both.tif", *ran_as, *turned).code == 0
    found = opened(project).get_run("TS_003").get_segmentations(is_panoptic=True)[0]  # type: ignore[union-attr]
    np.testing.assert_array_equal(found.numpy(), both.transpose(0, 1, 3, 2))
    assert "both.tif: the file holds 2 channels" in run("add", "segmentation", "both.tif", "--name", "all").err


def test_what_is_no_volume_is_not_blamed_for_being_no_mrc(run: Run, project: Path, tmp_path: Path) -> None:
    (tmp_path / "TS_001.tiff").write_bytes(b"\0" * 100)
    ran = run("add", "segmentation", "TS_001.tiff", "--name", "nothing", "--segmentation-type", "binary")
    assert ran.code == 1
    assert "Unsupported file type" in ran.err
    assert "nothing not found in pickable objects" in ran.err


def test_objects_and_their_maps(run: Run, project: Path, tmp_path: Path) -> None:
    array = np.random.default_rng(1).normal(size=(6, 6, 6)).astype(np.float32)
    write_mrc(ArrayVolume(array), open_store(tmp_path), "map.mrc", voxel_spacing=5)
    made = run(
        *("add", "object", "--name", "proteasome", "--color", "1,2,3,255", "--metadata", '{"source": "x"}'),
        *("--volume", "map.mrc", "--voxel-size", "5", "--emdb-id", "1234", "--identifier", "GO:0005839"),
    )
    assert made.code == 0
    found = opened(project).get_object("proteasome")
    assert found is not None
    assert (found.label, found.color, found.metadata, found.identifier) == (
        4,
        (1, 2, 3, 255),
        {"source": "x"},
        "GO:0005839",
    )
    np.testing.assert_array_equal(found.numpy(), array)
    for wrong in (
        ("--name", "proteasome"),
        ("--name", "a_b"),
        ("--name", "x", "--label", "1"),
        ("--name", "x", "--color", "1,2,3"),
        ("--name", "x", "--metadata", "[1]"),
        ("--name", "x", "--volume", "map.mrc"),
        ("--name", "x", "--volume", "map.mrc", "--voxel-size", "5", "--object-type", "segmentation"),
    ):
        assert run("add", "object", *wrong).code == 1, wrong
    assert run("add", "object", "--name", "x", "--polar").code == 2
    assert len(opened(project).pickable_objects) == 4
    assert run("add", "object-volume", "--object-name", "ribosome", "--volume-path", "map.mrc").code == 0
    assert run("add", "object-volume", "--object-name", "membrane", "--volume-path", "map.mrc").code == 1
    np.testing.assert_array_equal(opened(project).get_object("ribosome").numpy(), array)  # type: ignore[union-attr]


def test_meshes_in_and_out(run: Run, project: Path, tmp_path: Path) -> None:
    mesh = Mesh.checked([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], [[0, 2, 1], [0, 1, 3]], "x")
    (tmp_path / "TS_001.stl").write_bytes(write_stl(mesh))
    add = ("add", "mesh", "TS_001.stl", "--object-name", "membrane", "--voxel-size", "10")
    assert run(*add).code == 0
    found = opened(project).meshes()[0]
    assert found.mesh.bounds.tolist() == [[0, 0, 0], [10, 20, 30]]
    assert run(*add).code == 1
    for kind in ("glb", "obj", "stl", "ply"):
        done = run("export", "mesh", "--mesh-uri", "membrane", "--output-dir", "out", "--output-format", kind)
        assert done.code == 0
        data = (tmp_path / f"out/TS_001_membrane_copick_1.{kind}").read_bytes()
        assert read_mesh(data, f"a.{kind}").bounds[1].tolist() == [10, 20, 30]


@pytest.mark.parametrize("kind", ["csv", "star", "em", "dynamo", "stopgap", "imod", "ndjson"])
def test_picks_come_back_as_they_went(run: Run, project: Path, tmp_path: Path, kind: str) -> None:
    """C101."""
    root = some_picks(project)
    write_mrc(ArrayVolume(np.zeros((20, 20, 20), np.float32)), open_store(tmp_path), "TS_001.mrc", voxel_spacing=10)
    assert run("add", "tomogram", "TS_001.mrc").code == 0
    assert run("add", "tomogram", "TS_001.mrc", "--run", "TS_002").code == 0
    export = ("export", "picks", "--picks-uri", "ribosome:ada/1", "--output-format", kind, "--voxel-size", "10")
    assert run(*export, "--output-dir", "out").code == 0
    add = ("add", "picks", "out/TS_*", "--object-name", "ribosome", "--session-id", "back", "--voxel-size", "10")
    assert run(*add, "--run-regex", "(TS_[0-9]+)").code == 0
    for name in ("TS_001", "TS_002"):
        mine = root.get_run(name).get_picks(session_id="1")[0]  # type: ignore[union-attr]
        back = opened(project).get_run(name).get_picks(session_id="back")[0]  # type: ignore[union-attr]
        order = np.argsort(mine.instance_ids(), kind="stable") if kind == "imod" else np.arange(5)
        tolerance = 1e-4 if kind in ("em", "imod") else 1e-6
        np.testing.assert_allclose(back.full_positions(), mine.full_positions()[order], rtol=0, atol=tolerance)
        np.testing.assert_allclose(
            back.arrays().rotations, mine.arrays().rotations[order], rtol=0, atol=max(tolerance / 10, 1e-7)
        )
        if kind in ("csv", "em", "dynamo", "stopgap"):
            np.testing.assert_allclose(back.scores(), mine.scores(), atol=1e-6)
            np.testing.assert_allclose(back.arrays().translations, mine.arrays().translations, atol=tolerance)
        if kind in ("csv", "stopgap"):
            np.testing.assert_array_equal(back.instance_ids(), mine.instance_ids())
        assert back.trust_orientation
    same = run(*add, "--run-regex", "(TS_[0-9]+)")
    assert [line.split()[0] for line in same.out.splitlines()] == ["keep", "keep"]


@pytest.mark.parametrize("kind", ["em", "dynamo", "stopgap"])
def test_many_tomograms_in_one_file_are_told_apart_by_an_index_map(
    run: Run, project: Path, tmp_path: Path, kind: str
) -> None:
    root = some_picks(project)
    (tmp_path / "map.csv").write_text("3,TS_001\n7,TS_002\n")
    ending = {"em": "em", "dynamo": "tbl", "stopgap": "star"}[kind]
    export = ("export", "picks", "--picks-uri", "ribosome:ada/1", "--output-format", kind, "--voxel-size", "10")
    assert run(*export, "--output-file", f"all.{ending}").code == 1  # no index map
    assert run(*export, "--output-file", f"all.{ending}", "--index-map", "map.csv").code == 0
    add = (f"all.{ending}", "--object-name", "ribosome", "--session-id", "2", "--voxel-size", "10")
    assert run("add", f"picks-{kind}", *add, "--index-map", "map.csv").code == 0
    back = opened(project).get_run("TS_002").get_picks(session_id="2")[0]  # type: ignore[union-attr]
    mine = root.get_run("TS_002").get_picks(session_id="1")[0]  # type: ignore[union-attr]
    np.testing.assert_allclose(back.full_positions(), mine.full_positions(), atol=1e-4)
    whole = run("add", "picks", *add, "--run", "TS_001")
    assert (whole.code, "tomograms 3, 7" in whole.err) == (1, True)
    (tmp_path / "short.csv").write_text("3,TS_001\n")
    short = run("add", f"picks-{kind}", *add, "--index-map", "short.csv")
    assert (short.code, "7 are not in the index map" in short.err) == (1, True)
    (tmp_path / "twice.csv").write_text("3,TS_001\n3,TS_002\n")
    assert "occurs twice" in run("add", f"picks-{kind}", *add, "--index-map", "twice.csv").err
    if kind == "dynamo":
        (tmp_path / "tomos.doc").write_text("3 /data/TS_001.rec\n7 /data/TS_002.mrc\n")
        assert run("add", "picks-dynamo", *add, "--tomolist", "tomos.doc", "--overwrite").code == 0
        assert run("add", "picks-dynamo", *add).code == 2


def test_points_without_orientation_are_not_trusted(run: Run, project: Path, tmp_path: Path) -> None:
    """C9: what has no orientation must not look as if it had the identity."""
    (tmp_path / "TS_001.coords").write_text("1 2 3\n4 5 6\n")
    assert run("add", "picks", "TS_001.coords", "--object-name", "ribosome", "--voxel-size", "10").code == 0
    found = opened(project).picks()[0]
    assert found.trust_orientation is False
    assert found.numpy()[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    ran = run("add", "picks", "TS_001.coords", "--object-name", "ribosome", "--session-id", "2")
    assert (ran.code, "--voxel-size" in ran.err) == (1, True)


def test_a_plain_table_is_in_voxels_only_if_that_is_said(run: Run, project: Path, tmp_path: Path) -> None:
    (tmp_path / "TS_001.csv").write_text("x,y,z\n1,2,3\n")
    add = ("add", "picks", "TS_001.csv", "--object-name", "ribosome")
    unclear = run(*add, "--voxel-size", "10")
    assert (unclear.code, "csv_plain" in unclear.err) == (1, True)
    assert run(*add).code == 0
    assert run(*add, "--voxel-size", "10", "--file-type", "csv_plain", "--session-id", "2").code == 0
    (tmp_path / "TS_002.csv").write_text("1,2,3\n")
    assert run("add", "picks", "TS_002.csv", "--object-name", "ribosome", "--voxel-size", "10").code == 0
    assert [each.numpy()[0][0].tolist() for each in opened(project).picks()] == [[1, 2, 3], [10, 20, 30], [10, 20, 30]]


def test_bad_picks_leave_no_trace(run: Run, project: Path, tmp_path: Path) -> None:
    (tmp_path / "TS_001.csv").write_text("x,y,z\n1,2,3\n")
    (tmp_path / "TS_002.csv").write_text("x,y,z\n1,2,nan\n")
    matrix = ",".join(f"transform_{row}{column}" for row in range(4) for column in range(4))
    values = ",".join(map(str, np.diag([2.0, 1, 1, 1]).ravel()))
    (tmp_path / "TS_003.csv").write_text(f"x,y,z,{matrix}\n1,2,3,{values}\n")
    ran = run("add", "picks", "TS_*.csv", "--object-name", "ribosome")
    assert ran.code == 1
    for words in ("2 reasons", "TS_002.csv:2", "z is not a number", "TS_003", "are no rotations"):
        assert words in ran.err
    assert not opened(project).runs
    (tmp_path / "picks.tloc").write_bytes(b"\x80\x04K\x01.")
    assert "can run any program" in run("add", "picks", "picks.tloc", "--object-name", "ribosome").err
    (tmp_path / "what.xyz").write_text("1 2 3")
    assert "Could not determine file type" in run("add", "picks", "what.xyz", "--object-name", "ribosome").err


@pytest.mark.real_data
@pytest.mark.parametrize("path", ["copick", "cryolo", "csv", "imod", "ndjson", "star", "xml", "txt", "tomotwin"])
def test_real_files_of_every_program(run: Run, project: Path, real_data: Path, path: str) -> None:
    """Each file is added, or refused with a reason; nothing ends in a traceback or a half project."""
    added = 0
    for file in sorted((real_data / "annotations" / path).iterdir()):
        if not file.is_file() or file.suffix == ".md":
            continue
        ran = run(
            *("add", "picks", file, "--object-name", "ribosome", "--voxel-size", "10", "--run", file.stem, "--json"),
            *("--tilt-series-pixel-size", "2.5"),
        )
        if ran.code == 0:
            added += 1
            assert ran.json["failed"] == 0
        else:
            assert ran.err.startswith("error:"), (file, ran.err)
    assert added or path in ("txt", "tomotwin")
    assert len(opened(project).picks()) >= added


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("dynamo", "t_complex.tbl"),
        ("dynamo", "b4_motl_CR_dynamo.tbl"),
        ("em", "motl_ribosome.em"),
        ("stopgap", "class6_er_mr1_1_sg.star"),
    ],
)
def test_real_lists_of_many_tomograms(
    run: Run, project: Path, real_data: Path, tmp_path: Path, kind: str, file: str
) -> None:
    (tmp_path / "map.csv").write_text("".join(f"{number},TS_{number}\n" for number in range(1, 1000)))
    path = real_data / "annotations" / kind / file
    add = ("add", f"picks-{kind}", path, "--object-name", "ribosome", "--voxel-size", "10", "--index-map", "map.csv")
    assert run(*add).code == 0
    points = sum(len(picks.full_positions()) for picks in opened(project).picks())
    assert points == run("stats", "picks", "--json").json["total_picks"] > 0


# --- export


def test_exports_ask_for_what_they_need(run: Run, project: Path, tmp_path: Path) -> None:
    some_picks(project)
    uri = ("export", "picks", "--picks-uri", "ribosome")
    assert run(*uri, "--output-format", "csv").code == 2
    assert run(*uri, "--output-format", "csv", "--output-dir", "a", "--output-file", "b").code == 2
    assert run(*uri, "--output-format", "star", "--star-layout", "import", "--output-dir", "a").code == 2
    for kind in ("em", "dynamo", "stopgap", "imod", "ndjson"):
        assert "--voxel-size" in run(*uri, "--output-format", kind, "--output-dir", "a").err
    star = run(*uri, "--output-format", "star", "--output-file", "a.star")
    assert (star.code, "centre" in star.err) == (1, True)
    assert run(*uri, "--output-format", "csv", "--output-dir", "a", "-r", "TS_404").code == 1
    assert run("export", "picks", "--picks-uri", "nobody", "--output-format", "csv", "--output-dir", "a").code == 1
    assert not (tmp_path / "a").exists()
    assert run(*uri, "--output-format", "csv", "--output-dir", "a", "--dry-run").code == 0
    assert not (tmp_path / "a").exists()
    both = run(*uri, "--output-format", "csv", "--output-dir", "a", "-r", "TS_001,TS_002")
    assert (both.code, "write -r once per run" in both.err) == (0, True)


def test_a_voxel_size_is_asked_for_where_tomograms_have_different_centres(
    run: Run, project: Path, tmp_path: Path
) -> None:
    """Upstream's command always asks, its functions take the smallest size: particles a few Å beside their places."""
    place = some_picks(project, ("TS_001",)).get_run("TS_001")
    assert place is not None
    export = ("export", "picks", "--picks-uri", "ribosome", "--output-format", "star")
    for size, side in ((10, 8), (20, 4)):
        place.new_voxel_spacing(size).new_tomogram("wbp").from_numpy(np.zeros((side,) * 3, np.float32), levels=1)
    assert run(*export, "--output-file", "same.star").code == 0  # (40, 40, 40) in both
    place.new_voxel_spacing(40).new_tomogram("wbp").from_numpy(np.zeros((1, 1, 1), np.float32), levels=1)
    for where in (("--output-file", "a.star"), ("--output-dir", "many")):
        asked = run(*export, *where)
        assert (asked.code, asked.out) == (1, "")
        assert "TS_001: its tomograms have different centres in Å: 10 Å: (40, 40, 40)" in asked.err
        assert "40 Å: (20, 20, 20)" in asked.err
        assert "--voxel-size" in asked.err
    assert not (tmp_path / "a.star").exists()
    assert run(*export, "--output-file", "b.star", "--voxel-size", "10").code == 0
    assert (tmp_path / "b.star").read_bytes() == (tmp_path / "same.star").read_bytes()


def test_filaments_become_tubes(run: Run, project: Path, tmp_path: Path) -> None:
    root = opened(project)
    place = root.new_run("TS_001")
    points = np.arange(30.0).reshape(10, 3)
    place.new_picks("microtubule", "0", "tracer").from_numpy(points, instance_ids=np.repeat([1, 2], 5))
    traced = place.new_filaments("microtubule", "0", "tracer")
    traced.from_numpy([points[:5], points[5:]], polarity_known=[True, False])
    export = ("export", "picks", "--picks-uri", "microtubule", "--output-format", "star", "--output-file", "a.star")
    assert run(*export, "--voxel-size", "10", "--half-sets", "filament").code == 0
    text = (tmp_path / "a.star").read_text()
    assert "rlnHelicalTubeID" in text
    assert text.split()[-1] in "12"
    from tomoportal.formats import read_star

    table = read_star(text.encode(), "a").table("particles")
    assert table is not None
    assert table.numbers("rlnAnglePsiFlipRatio").tolist() == [0] * 5 + [0.5] * 5
    assert run(*export, "--voxel-size", "10", "--filament-columns", "off").code == 0
    assert "rlnHelicalTubeID" not in (tmp_path / "a.star").read_text()
    none = run(*export, "--voxel-size", "10", "--filaments-uri", "microtubule:nobody/1")
    assert (none.code, "No Filaments match" in none.err) == (1, True)


@pytest.mark.parametrize("kind", ["mrc", "tiff", "em"])
def test_labels_are_exported_exactly_or_not_at_all(run: Run, project: Path, tmp_path: Path, kind: str) -> None:
    labels = np.array([0, 1, 300, 40_000], np.uint32).reshape(1, 2, 2)
    place = opened(project).new_run("TS_001")
    place.new_segmentation(10, "all", "0", True, user_id="seg").from_numpy(labels)
    place.new_segmentation(20, "all", "0", True, user_id="seg").from_numpy(labels)
    place.new_segmentation(10, "all", "1", True, user_id="seg").from_numpy(labels.astype(np.uint32) * 100_000)
    export = ("export", "segmentation", "--output-dir", "out", "--output-format", kind, "--segmentation-uri")
    assert run(*export, "all:seg/0?multilabel=true").code == 0  # two voxel sizes: two files
    found = sorted(path.name for path in (tmp_path / "out/TS_001/Segmentations").iterdir())
    assert found == [f"10.000_all_seg_0-multilabel.{kind}", f"20.000_all_seg_0-multilabel.{kind}"]
    opener = {"mrc": open_mrc, "tiff": open_tiff, "em": open_em}[kind]
    volume = opener(open_store(tmp_path / "out/TS_001/Segmentations"), found[1])
    np.testing.assert_array_equal(volume.read(0, 1), labels)
    assert volume.voxel_size[0] == pytest.approx(20)
    large = run(*export, "all:seg/1")
    if kind == "tiff":
        assert large.code == 0
    else:
        assert (large.code, "without changing labels" in large.err) == (1, True)
    assert run(*export, "all:nobody/1").code == 1


def test_an_imod_model_of_picks_looks_as_the_project_says(run: Run, project: Path, tmp_path: Path) -> None:
    some_picks(project, ("TS_001",))
    export = ("export", "picks", "--picks-uri", "ribosome", "--output-format", "imod", "--voxel-size", "10")
    assert run(*export, "--output-dir", "out").code == 0
    model = read_imod_model((tmp_path / "out/TS_001_ribosome_ada_1.mod").read_bytes(), "a")
    assert model.object_names == ("ribosome",)
    assert [len(each) for each in model.contours] == [1, 2, 2]
    assert len(model.slicer_views) == 5


# --- cp, mv, rm


def test_copies_keep_the_whole_document(run: Run, project: Path) -> None:
    """C9, C10: trust, unknown keys and the points' own extra keys survive; names become the new ones."""
    root = some_picks(project, ("TS_001",))
    path = Path(root.picks()[0].path)
    document = json.loads(path.read_text())
    document["trust_orientation"] = False
    document["portal_metadata"] = {"id": 7}
    document["points"][0]["colour"] = "red"
    path.write_text(json.dumps(document))
    assert run("cp", "picks", "ribosome:ada/1", "ribosome:bob/2").code == 0
    copied = json.loads(path.with_name("bob_2_ribosome.json").read_text())
    assert (copied["user_id"], copied["session_id"], copied["run_name"]) == ("bob", "2", "TS_001")
    assert (copied["trust_orientation"], copied["portal_metadata"]) == (False, {"id": 7})
    assert copied["points"] == document["points"]
    again = run("cp", "picks", "ribosome:ada/1", "ribosome:bob/2")
    assert (again.code, again.out.split()[0]) == (0, "keep")


def test_what_is_in_the_way_fails_alone(run: Run, project: Path) -> None:
    """C106: one conflict, the other copies are made, the exit code is 1."""
    root = some_picks(project)
    root.get_run("TS_001").new_picks("ribosome", "1", "bob").from_numpy(np.ones((1, 3)))  # type: ignore[union-attr]
    dry = run("cp", "picks", "ribosome:ada/1", "ribosome:bob/1", "--dry-run")
    assert (dry.code, "would be done, 1 failed" in dry.err) == (1, True)
    ran = run("cp", "picks", "ribosome:ada/1", "ribosome:bob/1", "--json")
    assert ran.code == 1
    assert (ran.json["done"], ran.json["failed"]) == (1, 1)
    assert "exists already" in ran.json["items"][0]["error"]
    now = opened(project)
    assert len(now.get_run("TS_001").get_picks(user_id="bob")[0].points) == 1  # type: ignore[union-attr]
    assert len(now.get_run("TS_002").get_picks(user_id="bob")[0].points) == 5  # type: ignore[union-attr]
    assert run("cp", "picks", "ribosome:ada/1", "ribosome:bob/1", "--overwrite").code == 0
    replaced = opened(project).get_run("TS_001").get_picks(user_id="bob")[0]  # type: ignore[union-attr]
    assert len(replaced.points) == 5
    replaced.restore(replaced.history()[-1].number)  # C5: what was replaced is there
    assert len(opened(project).get_run("TS_001").get_picks(user_id="bob")[0].points) == 1  # type: ignore[union-attr]


def test_moves_finish_what_was_interrupted(run: Run, project: Path) -> None:
    """C6: killed between copy and removal, both are there; the same command again ends it."""
    some_picks(project)
    assert run("cp", "picks", "ribosome:ada/1", "ribosome:bob/1", "-r", "TS_001").code == 0
    assert run("mv", "picks", "ribosome:ada/1", "ribosome:bob/1").code == 0
    found = [(each.run.name, each.user_id) for each in opened(project).picks()]
    assert found == [("TS_001", "bob"), ("TS_002", "bob")]
    assert run("mv", "picks", "ribosome:bob/1", "ribosome:bob/1").code == 1


def test_targets_take_placeholders_for_patterns_only(run: Run, project: Path) -> None:
    """C103."""
    some_picks(project)
    some_picks(project, session="2")
    many = run("cp", "picks", "ribosome:ada/*", "ribosome:bob/1")
    assert (many.code, "Target URI must contain template placeholders" in many.err) == (1, True)
    assert run("cp", "picks", "ribosome:ada/1", "{object_name}:bob/1").code == 1
    assert run("cp", "picks", "ribosome:ada/*", "{object}:bob/{session_id}").code == 1
    clash = run("cp", "picks", "ribosome:ada/*", "{object_name}:bob/1", "-r", "TS_001")
    assert (clash.code, "Two objects would become this one" in clash.err) == (1, True)
    assert run("cp", "picks", "ribosome:ada/*", "{name}:{user_id}x/{session_id}").code == 0
    assert len(opened(project).picks(user_id="adax")) == 4
    assert run("cp", "picks", "ribosome:ada/1", "nobody:ada/1").code == 1
    assert run("cp", "picks", "nobody", "{name}:a/1").code == 1


def test_segmentations_are_copied_as_they_are(run: Run, project: Path) -> None:
    place = opened(project).new_run("TS_001")
    labels = np.arange(27, dtype=np.uint16).reshape(3, 3, 3) * 300
    place.new_segmentation(10, "all", "0", True, user_id="seg").from_numpy(labels, levels=2)
    assert run("cp", "segmentation", "all:seg/0@10?multilabel=true", "all:ada/1").code == 0
    found = opened(project).segmentations(user_id="ada")[0]
    assert (found.numpy().dtype, len(found._folder.paths()), found.is_multilabel) == (np.uint16, 2, True)
    for wrong in ("all:ada/2?instance=true", "all:ada/2@20"):
        assert run("cp", "segmentation", "all:seg/0@10?multilabel=true", wrong).code == 1
    assert run("mv", "segmentation", "all:seg/0@10?multilabel=true", "all:ada/1").code == 0  # is the same already
    assert [each.user_id for each in opened(project).segmentations()] == ["ada"]


@pytest.mark.parametrize(
    "uri", ["ribosome:[ab]da/1", "ribosome:?da/1", "ribosome:*/1", "re:ribosome:ada/1", "ribosome"]
)
def test_removing_by_a_pattern_needs_force(run: Run, project: Path, uri: str) -> None:
    """C50: upstream asks only where there is a *."""
    some_picks(project)
    ran = run("rm", "picks", uri)
    assert (ran.code, "--force" in ran.err) == (1, True)
    assert len(run("rm", "picks", uri, "--dry-run").out.splitlines()) == 2
    assert len(opened(project).picks()) == 2
    assert run("rm", "picks", uri, "--force").code == 0
    assert not opened(project).picks()


def test_what_is_static_is_not_removed_and_neither_is_the_rest(run: Run, project: Path, tmp_path: Path) -> None:
    """C17."""
    some_picks(project)
    config = json.loads(project.read_text())
    config |= {"static_root": config["overlay_root"], "overlay_root": f"local://{tmp_path}/overlay"}
    project.write_text(json.dumps(config))
    some_picks(project, ("TS_001",), "2")
    ran = run("rm", "picks", "ribosome:ada/*", "--force")
    assert (ran.code, "read-only" in ran.err) == (1, True)
    assert len(opened(project).picks()) == 3
    assert run("rm", "picks", "ribosome:ada/2").code == 0
    moved = run("mv", "picks", "ribosome:ada/1", "ribosome:bob/1")
    assert (moved.code, "copy it instead" in moved.err) == (1, True)


# --- sync, deposit


@pytest.fixture
def target(run: Run, tmp_path: Path) -> Path:
    """Another project, in which the label 1 is taken."""
    path = tmp_path / "target.json"
    made = run(
        "config", "filesystem", "--overlay-root", tmp_path / "other", "--config", path, "--objects", "virus,True"
    )
    assert made.code == 0
    return path


def test_picks_are_brought_to_another_project(run: Run, project: Path, target: Path) -> None:
    some_picks(project)
    sync = ("sync", "picks", "--target-config", target, "--target-runs", "TS_001:A", "--target-users", "ada:bob")
    assert run(*sync, "--target-objects", "ribosome:r80s", "--dry-run").code == 0
    assert not opened(target).runs
    assert run(*sync, "--target-objects", "ribosome:r80s").code == 0
    found = opened(target)
    made = found.get_object("r80s")
    assert made is not None
    assert (made.label, made.radius, made.pdb_id) == (2, 120, "4V9D")
    assert [each.run.name for each in found.picks("r80s", "bob", "1")] == ["A", "TS_002"]
    again = run(*sync, "--target-objects", "ribosome:r80s")
    assert (again.code, [line.split()[0] for line in again.out.splitlines()]) == (0, ["keep", "keep"])
    # C3: newer work in the target is not overwritten; the other run is not held up by it.
    found.get_run("A").get_picks()[0].from_numpy(np.zeros((1, 3)))  # type: ignore[union-attr]
    blocked = run(*sync, "--target-objects", "ribosome:r80s")
    assert (blocked.code, "another one already" in blocked.err) == (1, True)
    assert run(*sync, "--target-objects", "ribosome:r80s", "--exist-ok").code == 0
    assert len(opened(target).get_run("A").get_picks()[0].points) == 5  # type: ignore[union-attr]
    one = run("sync", "picks", "--target-config", target, "--target-runs", "TS_001:B,TS_002:B")
    assert (one.code, "would become this one" in one.err) == (1, True)
    assert run("sync", "picks", "--target-config", target, "--source-runs", "TS_404").code == 1
    assert run("sync", "picks", "--target-config", target, "--target-runs", "TS_001:").code == 2


def test_labels_follow_their_objects(run: Run, project: Path, target: Path) -> None:
    """C104: upstream copies the voxels unchanged, so that 1 would mean virus."""
    place = opened(project).new_run("TS_001")
    labels = np.array([0, 1, 2, 3], np.uint8).reshape(1, 2, 2)
    place.new_segmentation(10, "all", "0", True, user_id="seg").from_numpy(labels, levels=2)
    both = np.stack([labels, labels * 7])
    place.new_segmentation(10, "pan", "0", user_id="seg", is_panoptic=True).from_numpy(both)
    sync = ("sync", "segmentations", "--target-config", target, "--segmentation-type", "all")
    assert run(*sync).code == 0
    root = opened(target)
    now = {each.name: each.label for each in root.pickable_objects}
    assert now["virus"] == 1
    expected = [0, *(now[name] for name in ("ribosome", "membrane", "microtubule"))]
    found = {each.name: each for each in root.segmentations(is_panoptic=None, is_instance=None)}
    assert found["all"].numpy().ravel().tolist() == expected
    assert len(found["all"]._folder.paths()) == 2
    assert found["pan"].numpy(channel="label").ravel().tolist() == expected
    assert found["pan"].numpy(channel="instance").ravel().tolist() == [0, 7, 14, 21]
    assert all(line.startswith("keep") for line in run(*sync).out.splitlines())
    place.get_segmentations(name="all")[0].from_numpy(labels * 3)  # 9 belongs to nobody
    lost = run(*sync, "--exist-ok")
    assert (lost.code, "belong to no object" in lost.err) == (1, True)


def test_meshes_and_tomograms_are_brought_too(run: Run, project: Path, target: Path, tmp_path: Path) -> None:
    array = np.random.default_rng(1).normal(size=(9, 10, 11)).astype(np.float32)
    assert run("add", "tomogram", tomogram_file(tmp_path / "raw", "mrc", array)).code == 0
    mesh = Mesh.checked([[0, 0, 0], [1, 0, 0], [0, 2, 0]], [[0, 2, 1]], "x")
    (tmp_path / "TS_001.stl").write_bytes(write_stl(mesh))
    assert run("add", "mesh", "TS_001.stl", "--object-name", "membrane").code == 0
    assert run("sync", "meshes", "--target-config", target).code == 0
    tomograms = ("sync", "tomograms", "--target-config", target, "--voxel-spacings", "7.84")
    assert run(*tomograms, "--target-tomo-types", "wbp:copy").code == 0
    found = opened(target).tomograms("copy")[0]
    np.testing.assert_array_equal(found.numpy("2"), opened(project).tomograms()[0].numpy("2"))
    assert len(opened(target).meshes()) == 1
    assert run(*tomograms, "--target-tomo-types", "wbp:copy").out.startswith("keep")
    assert run("sync", "tomograms", "--target-config", target, "--voxel-spacings", "ten").code == 1
    opened(project).new_run("TS_002").new_voxel_spacing(12.0)
    both = run(*tomograms, "--target-runs", "TS_001", "--voxel-spacings", "12,7.84")  # wbp beside copy
    assert (both.code, both.out.splitlines()[-1]) == (0, "create   TS_002 VoxelSpacing12.000")
    assert opened(target).get_run("TS_002").get_voxel_spacing(12) is not None  # type: ignore[union-attr]
    opened(project).new_run("TS_003")
    assert run("sync", "picks", "--target-config", target).out.splitlines() == ["create   run TS_003"]


def test_a_deposit_is_a_tree_of_links(run: Run, project: Path, tmp_path: Path) -> None:
    some_picks(project)
    place = opened(project).get_run("TS_001")
    assert place is not None
    place.new_segmentation(10, "all", "0", True, user_id="seg").from_numpy(np.zeros((2, 2, 2), np.uint8))
    deposit = ("deposit", "--target-dir", "dep", "--picks", "ribosome", "--segmentations", "*")
    assert run(*deposit, "--run-name-prefix", "day1_", "--run-name-regex", "TS_(.*)").code == 0
    links = {str(path.relative_to(tmp_path / "dep")) for path in (tmp_path / "dep").rglob("*") if path.is_symlink()}
    assert links == {
        "ExperimentRuns/day1_001/Picks/ada_1_ribosome.json",
        "ExperimentRuns/day1_002/Picks/ada_1_ribosome.json",
        "ExperimentRuns/day1_001/Segmentations/10.000_seg_0_all-multilabel.zarr",
    }
    config = {**json.loads(project.read_text()), "overlay_root": f"local://{tmp_path}/dep"}
    (tmp_path / "dep.json").write_text(json.dumps(config))
    assert len(opened(tmp_path / "dep.json").picks()[0].points) == 5
    again = run(*deposit, "--run-name-prefix", "day1_", "--run-name-regex", "TS_(.*)")
    assert (again.code, {line.split()[0] for line in again.out.splitlines()}) == (0, {"keep"})
    assert run(*deposit, "--run-names", "TS_404").code == 1
    assert "does not match" in run(*deposit, "--run-name-regex", "X(.*)").err
    both = run(*deposit, "--run-name-regex", "(TS)_")  # both runs would be TS
    assert (both.code, "same link" in both.err) == (1, True)


# --- versions, validation


def test_a_store_that_fails_is_no_empty_history(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some_picks(project, ("TS_001",))
    children = LocalStore.children

    def failing(self: LocalStore, prefix: str = "") -> Any:
        if prefix.endswith(".history"):
            raise StorageError("the disk is gone", where=prefix)
        return children(self, prefix)

    monkeypatch.setattr(LocalStore, "children", failing)
    told = run("history", "picks", "removed:ada/1")
    assert (told.code, "the disk is gone" in told.err) == (1, True)


def test_what_was_saved_before_comes_back(run: Run, project: Path) -> None:
    """C5, C93."""
    root = some_picks(project, ("TS_001",))
    root.picks()[0].from_numpy(np.ones((2, 3)))
    listed = run("history", "picks", "ribosome:ada/1", "--json").json
    version = listed[-1]["version"]
    assert [row["run"] for row in listed] == ["TS_001"] * len(listed)
    told = run("diff", "ribosome:ada/1", "--version", version, "--json")
    assert (told.code, told.json) == (1, [{"run": "TS_001", "only_here": 2, "only_there": 5, "changed": 0}])
    restore = ("restore", "picks", "ribosome:ada/1", "-r", "TS_001", "--version")
    assert run(*restore, version, "--dry-run").code == 0
    assert len(opened(project).picks()[0].points) == 2
    assert run(*restore, version).code == 0
    assert len(opened(project).picks()[0].points) == 5
    assert run(*restore, 99).code == 1
    assert run("cp", "picks", "ribosome:ada/1", "ribosome:bob/1").code == 0
    assert run("diff", "ribosome:ada/1", "ribosome:bob/1").code == 0
    assert run("diff", "ribosome:*/1", "ribosome:bob/1").code == 1
    assert run("diff", "ribosome:ada/1").code == 2


def test_a_project_is_checked(run: Run, project: Path) -> None:
    """C95."""
    root = some_picks(project, ("TS_001",))
    assert run("validate").code == 0
    Path(root.picks()[0].path).with_name("foo.json").write_text("{}")
    ran = run("validate", "--json")
    assert (ran.code, len(ran.json)) == (1, 1)
    assert ran.json[0]["where"].endswith("foo.json")


def test_an_interrupted_addition_is_completed_by_the_same_command(run: Run, project: Path, tmp_path: Path) -> None:
    """C1, C7: killed at any moment nothing half is listed, and the command again does the rest."""
    array = np.random.default_rng(1).normal(size=(64, 200, 200)).astype(np.float32)
    store = open_store(tmp_path / "raw", create=True)
    for number in range(4):
        write_mrc(ArrayVolume(array), store, f"TS_{number}.mrc", voxel_spacing=10)
    command = ["add", "tomogram", "raw/*.mrc", "--chunk-size", "32,32,32", "--max-workers", "1"]
    process = subprocess.Popen([sys.executable, "-m", "tomoportal", "copick", *command], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "project/ExperimentRuns/TS_1").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9
    complete = [each for each in opened(project).tomograms() if not each._folder.is_empty()]
    assert len(complete) < 4
    for each in complete:
        np.testing.assert_array_equal(each.numpy(), array)
    again = run(*command)
    assert again.code == 0
    assert again.out.split()[0] == "keep"  # TS_0 was complete
    found = opened(project).tomograms()
    assert len(found) == 4
    for each in found:
        np.testing.assert_array_equal(each.numpy(), array)
        assert not [path for path in Path(each.overlay_path).parent.iterdir() if ".new-" in path.name]


# --- Croissant


def test_a_project_as_a_manifest(run: Run, project: Path, tmp_path: Path) -> None:
    some_picks(project)
    export = ("config", "export-croissant", "--project-root", tmp_path / "project")
    assert run(*export).code == 1  # nobody says where readers find it
    base = ("--base-url", f"file://{tmp_path}/project")
    made = run(
        *export, *base, "--split", "train=TS_001", "--emit-config", "m.json", "--config-overlay", tmp_path / "over"
    )
    assert made.code == 0
    manifest = made.out.splitlines()[0]
    root = opened(tmp_path / "m.json")
    assert [(each.run.name, len(each.points), each.run.split) for each in root.picks()] == [
        ("TS_001", 5, "train"),
        ("TS_002", 5, None),
    ]
    assert run(*export, *base).code == 1  # is there already
    assert run("config", "set-splits", "--croissant", manifest).code == 2
    (tmp_path / "splits.csv").write_text("split,run\nval,TS_002\n")
    given = ("config", "set-splits", "--croissant", manifest, "--splits-file", "splits.csv")
    before = Path(manifest).read_bytes()
    planned = json.loads(run(*given, "--dry-run", "--json").out)
    assert planned["dry_run"]
    assert Path(manifest).read_bytes() == before
    assert run(*given).code == 0
    told = json.loads(run(*given, "--json").out)
    assert told["splits"] == planned["splits"]
    assert run("config", "set-splits", "--croissant", manifest, "--unassign", "TS_001").code == 0
    assert run("config", "mlcroissant", "--croissant-url", manifest, "--output", "n.json").code == 0
    assert [each.split for each in opened(tmp_path / "n.json").runs] == [None, "val"]
    other = run(
        *("config", "filesystem", "--overlay-root", tmp_path / "o", "--config", "o.json"), "--objects", "virus,True"
    )
    assert other.code == 0
    opened(tmp_path / "o.json").new_run("TS_9").new_picks("virus", "1", "eve").from_numpy(np.ones((2, 3)))
    assert run("config", "append-croissant", "--croissant", manifest, "--source-config", "o.json").code == 0
    assert [len(each.points) for each in opened(tmp_path / "n.json").get_run("TS_9").picks] == [2]  # type: ignore[union-attr]


# --- stats, info, browse


def test_statistics(run: Run, project: Path, tmp_path: Path) -> None:
    """C102."""
    some_picks(project)
    found = run("stats", "picks", "--output", "json", "--plot", "a.svg").json
    assert (found["total_picks"], found["total_pick_files"]) == (10, 2)
    assert found["distribution_by_run"] == {"TS_001": 5, "TS_002": 5}
    assert run("stats", "picks", "--json", "-r", "TS_001", "--object-name", "ribosome").json["total_picks"] == 5
    assert run("stats", "picks", "--json", "--user-id", "nobody").json["total_picks"] == 0
    former = run("stats", "picks", "--json", "--runs", "TS_001")
    assert (former.json["total_picks"], "--runs will go" in former.err) == (5, True)
    assert run("stats", "picks", "-r", "TS_404").code == 1
    svg = (tmp_path / "a.svg").read_text()
    assert "TS_002" in svg
    assert "Picks by object" in svg
    table = run("stats", "picks", "--plot", "a.png")
    assert re.search(r"TS_001 +5", table.out)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert run("stats", "picks", "--plot", "a.pdf").code == 2
    assert run("stats", "meshes", "--json").json["total_meshes"] == 0
    assert run("stats", "segmentations", "--json", "--segmentation-type", "binary").json["total_segmentations"] == 0


def test_what_a_project_holds(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some_picks(project)
    told = run("info", "--json").json
    assert (told["project"]["runs"], told["project"]["picks"], told["project"]["objects"]) == (2, 2, 3)
    monkeypatch.delenv("COPICK_CONFIG")
    assert run("info", "--json").json["project"] is None


def test_the_tree_as_text_and_json(run: Run, project: Path) -> None:
    some_picks(project)
    text = run("browse", "--depth", "3").out
    assert "│   └── Picks (1)" in text
    assert "ribosome:ada/1" in text
    tree = run("browse", "--depth", "3", "--json").json
    picks = tree["children"][1]["children"][0]["children"][0]
    assert (picks["label"], picks["details"]["points"], picks["details"]["instances"]) == ("ribosome:ada/1", "5", "2")


def test_what_cannot_be_read_is_shown_as_such(run: Run, project: Path) -> None:
    root = some_picks(project, ("TS_001",))
    Path(root.picks()[0].path).write_text("{")
    picks = run("browse", "--depth", "3", "--json").json["children"][1]["children"][0]["children"][0]
    assert "JSON" in picks["details"]["error"]


def test_the_keys_of_the_browser(project: Path) -> None:
    some_picks(project)
    view = TreeView(project_tree(opened(project)))

    def labels() -> list[str]:
        return [node.label for _, node in view.rows()]

    assert labels() == ["project", "Objects (3)", "TS_001", "TS_002"]
    for key in (curses.KEY_DOWN, ord("l"), ord("j"), ord("j"), ord("j"), ord("j"), ord("\n")):
        assert view.press(key)
    assert labels() == [
        "project",
        "Objects (3)",
        "ribosome",
        "membrane",
        "microtubule",
        "TS_001",
        "Picks (1)",
        "TS_002",
    ]
    assert view.chosen.label == "TS_001"
    view.press(curses.KEY_LEFT)
    assert "Picks (1)" not in labels()
    for key in (curses.KEY_HOME, curses.KEY_UP, curses.KEY_END, curses.KEY_DOWN):
        view.press(key)
    assert view.chosen.label == "TS_002"
    for key in "/mem":
        view.press(ord(key))
    assert labels() == ["project", "Objects (3)", "membrane"]
    view.press(curses.KEY_BACKSPACE)
    assert view.filter == "me"
    view.press(27)
    assert (view.filter, len(labels())) == ("", 7)
    view.press(curses.KEY_NPAGE)
    view.press(curses.KEY_PPAGE)
    view.press(curses.KEY_LEFT)
    assert view.chosen.label == "project"
    assert not view.press(ord("q"))


def test_browsing_in_a_terminal(project: Path) -> None:
    """A real pseudo-terminal: open the run, open its picks, look at the panel, quit."""
    some_picks(project)
    terminal, theirs = pty.openpty()
    surroundings = {**os.environ, "TERM": "xterm", "LINES": "24", "COLUMNS": "120", "COPICK_CONFIG": str(project)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tomoportal", "copick", "browse"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=surroundings,
        start_new_session=True,
    )
    os.close(theirs)
    said = b""

    def until(words: str) -> None:
        """Read on until the screen has the words; ``""``: until the command has closed the terminal."""
        nonlocal said
        end = time.monotonic() + 120
        while True:
            screen = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b[=>]", "", said.decode(errors="replace"))
            if words and words in screen:
                return
            assert time.monotonic() < end, screen[-2000:]
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    said += os.read(terminal, 65536)
                except OSError:  # nobody is at the other end any more
                    assert not words, screen[-2000:]
                    return

    try:
        until("TS_002")
        os.write(terminal, b"jj")  # to TS_001
        until("run: TS_001")
        os.write(terminal, b"l")
        until("Picks (1)")
        os.write(terminal, b"jlj")
        until("points: 5")
        os.write(terminal, b"q")
        until("")
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
