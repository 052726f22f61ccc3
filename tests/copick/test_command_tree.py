"""Every command of ``tomoportal copick``: what it writes it shows first, what it lists programs can read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.cli import main
from tomoportal.cli.copick import COMMANDS
from tomoportal.cli.copick import command as group
from tomoportal.formats import ArrayVolume, Poses, RelionTomogram, write_relion
from tomoportal.formats.dynamo import write_dynamo
from tomoportal.formats.motivelist import write_motivelist
from tomoportal.formats.stopgap import write_stopgap
from tomoportal.formats.volume_output import write_mrc
from tomoportal.server import LiveServer
from tomoportal.storage import open_store

PAGE = Path(__file__).parents[2] / "docs/reference/copick-options.md"

NEW = ("--user-id", "new")
WRITERS: dict[str, tuple[str, ...]] = {
    "config filesystem": ("--overlay-root", "fresh", "--objects", "virus,True", "--config", "fresh.json"),
    "config dataportal": ("-ds", "10001", "--overlay", "fresh", "--output", "fresh.json"),
    "config mlcroissant": (
        *("--croissant-url", "project/Croissant/metadata.json", "--overlay", "fresh", "--output", "fresh.json"),
    ),
    "config export-croissant": ("--project-root", "fresh", "--base-url", "https://lab.example/fresh"),
    "config append-croissant": ("--croissant", "project/Croissant/metadata.json", "--source-config", "other.json"),
    "config set-splits": ("--croissant", "project/Croissant/metadata.json", "--split", "train=TS_001"),
    "from-portal": ("10001", "--overlay", "fresh", "--output", "fresh.json"),
    "cache clear": ("-c", "portal.json", "--yes"),
    "new run": ("TS_009",),
    "new voxelspacing": ("20", "--run", "TS_009"),
    "new picks": ("--particle-name", "ribosome"),
    "add object": ("--name", "virus"),
    "add object-volume": ("--object-name", "ribosome", "--volume-path", "raw/TS_001.mrc"),
    "add tomogram": ("raw/*.mrc", "--tomo-type", "raw"),
    "add tomograms-dynamo": ("--tomolist", "tomograms.txt", "--index-map", "map.csv", "--tomo-type", "raw"),
    "add tomograms-relion": ("--tomograms-star", "tomograms.star", "--base-dir", ".", "--tomo-type", "raw"),
    "add segmentation": ("masks/*.mrc", "--name", "membrane", "--segmentation-type", "binary", *NEW),
    "add picks": ("lists/TS_001.star", "--object-name", "ribosome", *NEW),
    "add picks-em": (
        *("lists/all.em", "--object-name", "ribosome", "--voxel-size", "10", "--index-map", "map.csv", *NEW),
    ),
    "add picks-dynamo": (
        *("lists/all.tbl", "--object-name", "ribosome", "--voxel-size", "10", "--index-map", "map.csv", *NEW),
    ),
    "add picks-stopgap": (
        *("lists/stopgap.star", "--object-name", "ribosome", "--voxel-size", "10", "--index-map", "map.csv", *NEW),
    ),
    "add picks-relion": ("lists/all.star", "--object-name", "ribosome", *NEW),
    "add mesh": ("meshes/TS_001.glb", "--object-name", "membrane", *NEW),
    "export picks": ("--picks-uri", "ribosome:ada/1", "--output-format", "csv", "--output-dir", "out"),
    "export segmentation": ("--segmentation-uri", "membrane", "--output-format", "mrc", "--output-dir", "out"),
    "export tomogram": ("--tomogram-uri", "wbp@10", "--output-format", "mrc", "--output-dir", "out"),
    "export mesh": ("--mesh-uri", "membrane:ada/1", "--output-format", "stl", "--output-dir", "out"),
    "cp": ("picks", "ribosome:ada/1", "ribosome:bob/1"),
    "mv": ("picks", "ribosome:ada/1", "ribosome:bob/1"),
    "rm": ("picks", "ribosome:ada/1"),
    "restore": ("picks", "ribosome:ada/1", "--run", "TS_001", "--version", "1"),
    "sync meshes": ("--target-config", "other.json"),
    "sync picks": ("--target-config", "other.json"),
    "sync segmentations": ("--target-config", "other.json"),
    "sync tomograms": ("--target-config", "other.json"),
    "deposit": ("--target-dir", "out", "--picks", "ribosome"),
}
"""Every command that writes, and a call of it that would write."""

READERS: dict[str, tuple[str, ...]] = {
    "info": (),
    "cache info": ("-c", "portal.json"),
    "browse": (),
    "stats picks": (),
    "stats meshes": (),
    "stats segmentations": (),
    "diff": ("ribosome:ada/1", "ribosome:ada/1"),
    "history": ("picks", "ribosome:ada/1"),
    "validate": (),
}
"""Every command that lists, and a call of it. ``stats --plot`` writes the one file that it is told to."""

NEEDS_NO_CONFIG = {"info": "says which plug-ins there are if it is given no project"}
"""Commands that may be called without a project, and why."""


def leaves(command: click.Command = group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that is no group, by its words; without those of plug-ins."""
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    context = click.Context(command)
    for name in COMMANDS if command is group else command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, (*path, name))


TREE = dict(leaves())


def options(command: click.Command) -> list[click.Option]:
    return [each for each in command.params if isinstance(each, click.Option) and not each.hidden]


def flags(command: click.Command) -> set[str]:
    return {flag for each in options(command) for flag in (*each.opts, *each.secondary_opts)}


def options_page() -> str:
    """The page of all options: for each verb what its commands have in common, and what one of them has."""
    lines = [
        "# Options of `tomoportal copick`",
        "",
        "What `--help` says of each option, verb by verb; [the guide](../copick-cli.md) shows them at work. This page",
        "is written by `python tests/copick/test_command_tree.py`.",
    ]
    for verb in COMMANDS:
        names = [name for name in TREE if name.split()[0] == verb]
        found: dict[tuple[str, str], list[str]] = {}
        for name in names:
            for each in options(TREE[name]):
                found.setdefault((_spelt(each), _meaning(each)), []).append(name.removeprefix(verb).strip())
        lines += ["", f"## {verb}", "", "| option | meaning | of |", "|---|---|---|"]
        for (option, meaning), those in found.items():
            of = "" if len(those) == len(names) else ", ".join(f"`{each}`" for each in those)
            lines.append(f"| {option} | {meaning} | {of} |")
    return "\n".join(lines) + "\n"


def _spelt(option: click.Option) -> str:
    """`-c`, `--config` FILE."""
    given = ", ".join(f"`{each}`" for each in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return given
    if isinstance(option.type, click.Choice):
        return f"{given} {', '.join(map(str, option.type.choices))}"
    return f"{given} {option.metavar or option.type.name.upper().partition(' ')[0]}".replace("|", "\\|")


def _meaning(option: click.Option) -> str:
    said = (option.help or "").replace("|", "\\|").replace("<", "&lt;")
    if not option.show_default:
        return said
    default = option.default if not option.is_flag else (option.opts if option.default else option.secondary_opts)[0]
    return f"{said} [default: `{default}`]"


@dataclass
class Ran:
    code: int
    out: str
    err: str


Call = Callable[..., Ran]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, portal: LiveServer) -> Iterator[Path]:
    """A folder with a project, another one, one on a portal, and files of every kind that can be added."""
    folder = tmp_path_factory.mktemp("tree")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setenv("COPICK_CONFIG", "config.json")
        patched.setenv("COPICK_PORTAL_URL", portal.url)
        patched.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        _fill(folder)
        yield folder


def _fill(folder: Path) -> None:
    objects = [
        {"name": "ribosome", "is_particle": True, "label": 1, "radius": 120},
        {"name": "membrane", "is_particle": False, "label": 2},
    ]
    root = copick.new_config("config.json", "project", pickable_objects=objects)
    copick.new_config("other.json", "other", pickable_objects=objects)
    volume = np.random.default_rng(1).normal(size=(8, 8, 8)).astype(np.float32)
    mask = (volume > 0).astype(np.int8)
    points = np.random.default_rng(2).uniform(0, 80, (4, 3))
    for name in ("TS_001", "TS_002"):
        run = root.new_run(name)
        run.new_voxel_spacing(10).new_tomogram("wbp").from_numpy(volume, levels=1)
        picks = run.new_picks("ribosome", "1", "ada")
        picks.from_numpy(points)
        picks.from_numpy(points[:3])
        run.new_segmentation(10, "membrane", "1", False, "ada").from_numpy(mask)
        write_mrc(ArrayVolume(volume), open_store(folder / "raw", create=True), f"{name}.mrc", voxel_spacing=10)
        write_mrc(ArrayVolume(mask), open_store(folder / "masks", create=True), f"{name}.mrc", voxel_spacing=10)
        mesh = run.new_mesh("membrane", "1", "ada")
        mesh.mesh = _tetrahedron()
        mesh.store()
        _put(folder / f"meshes/{name}.glb", Path(mesh.path).read_bytes())
    poses = Poses.of(points)
    known = {name: RelionTomogram((40.0, 40.0, 40.0)) for name in ("TS_001", "TS_002")}
    _put(folder / "lists/TS_001.star", write_relion({"TS_001": poses}, known))
    _put(folder / "lists/all.star", write_relion({"TS_001": poses, "TS_002": poses}, known))
    _put(folder / "lists/all.em", write_motivelist({1: poses, 2: poses}, voxel_spacing=10))
    _put(folder / "lists/all.tbl", write_dynamo({1: poses, 2: poses}, voxel_spacing=10))
    _put(folder / "lists/stopgap.star", write_stopgap({1: poses, 2: poses}, voxel_spacing=10))
    _put(folder / "map.csv", b"1,TS_001\n2,TS_002\n")
    _put(folder / "tomograms.txt", b"1 raw/TS_001.mrc\n2 raw/TS_002.mrc\n")
    columns = "_rlnTomoName #1\n_rlnTomoReconstructedTomogramHalf1 #2\n_rlnTomoTiltSeriesPixelSize #3\n"
    columns += "_rlnTomoTomogramBinning #4\n"
    _put(folder / "tomograms.star", f"data_global\n\nloop_\n{columns}TS_001 raw/TS_001.mrc 5.0 2.0\n".encode())
    run_main("config", "export-croissant", "--project-root", "project", "--base-url", f"file://{folder}/project")
    copick.from_czcdp_datasets([10001], str(folder / "portal"), output_path="portal.json").runs  # noqa: B018 (asked)


def _put(path: Path, data: bytes) -> None:
    open_store(path.parent, create=True).put(path.name, data)


def _tetrahedron() -> Any:
    import trimesh

    corners = [[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]]
    return trimesh.Trimesh(corners, [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], process=False)


def run_main(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["copick", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def call(place: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(name: str, *arguments: str) -> Ran:
        code = run_main(*name.split(), *arguments)
        told = capsys.readouterr()
        return Ran(code, told.out, told.err)

    return run


def tree_of(folder: Path) -> dict[str, str]:
    """Every file and folder with the digest of its content, and links with what they say."""
    found = {}
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(where, name)
            is_file = path.is_file() and not path.is_symlink()
            content = path.read_bytes() if is_file else os.fsencode(os.readlink(path)) if path.is_symlink() else b""
            found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def test_every_command_writes_or_lists() -> None:
    assert sorted([*WRITERS, *READERS]) == sorted(TREE)


@pytest.mark.parametrize("name", TREE)
def test_every_command_explains_itself(name: str) -> None:
    command = TREE[name]
    assert command.help
    for each in options(command):
        assert each.help, f"{name} {each.opts}"
        assert each.show_default or not each.secondary_opts or not each.default, f"{name} {each.opts}"
    assert "--json" in flags(command)
    assert ("--dry-run" in flags(command)) == (name in WRITERS)


def test_the_page_of_all_options_is_what_help_says() -> None:
    assert PAGE.read_text() == options_page()


@pytest.mark.parametrize("name", WRITERS)
def test_a_dry_run_says_what_would_be_done_and_changes_nothing(name: str, call: Call, place: Path) -> None:
    before = tree_of(place)
    told = call(name, *WRITERS[name], "--dry-run")
    assert (told.code, bool(told.out + told.err)) == (0, True), told.err
    planned = call(name, *WRITERS[name], "--dry-run", "--json")
    assert planned.code == 0, planned.err
    found = json.loads(planned.out)
    assert found["dry_run"] is True
    for key in ("items", "removed", "objects", "project", "rows", "splits"):
        if key in found:
            assert found[key], key
            break
    else:
        pytest.fail(f"{name} does not say what it would do: {found}")
    assert tree_of(place) == before


def test_a_dry_run_refuses_what_would_be_refused(call: Call, place: Path) -> None:
    before = tree_of(place)
    for name, *given in (
        ("config filesystem", "--overlay-root", "x", "--config", "other.json"),
        ("config dataportal", "-ds", "10001", "--overlay", "x", "--output", "other.json"),
        ("config mlcroissant", "--croissant-url", "project/Croissant/metadata.json", "--output", "other.json"),
        ("config mlcroissant", "--croissant-url", "nowhere/metadata.json", "--output", "fresh.json"),
        ("config export-croissant", "--project-root", "project", "--base-url", "https://lab.example/project"),
        ("config export-croissant", "--project-root", "fresh"),
    ):
        told = call(name, *given, "--dry-run")
        assert (told.code, told.out) == (1, ""), (name, given)
        assert "fix: " in told.err
    assert tree_of(place) == before


@pytest.mark.parametrize("name", READERS)
def test_what_lists_prints_one_document_and_changes_nothing(name: str, call: Call, place: Path) -> None:
    before = tree_of(place)
    found = call(name, *READERS[name], "--json")
    assert found.code == 0, found.err
    json.loads(found.out)
    assert tree_of(place) == before


@pytest.mark.parametrize("name", TREE)
def test_a_call_that_fails_does_not_end_with_0(
    name: str, call: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C51, C106."""
    before = tree_of(place)
    given = {**WRITERS, **READERS}[name]
    wrong = call(name, *given, "--no-such-option")
    assert (wrong.code, wrong.out) == (2, "")
    source = next((flag for flag in ("--config", "--source-config") if flag in flags(TREE[name])), None)
    if source and name != "config filesystem":  # whose --config is what it writes
        failed = call(name, *given, source, "nowhere.json", "--json")
        assert (failed.code, failed.out) == (1, "")
        assert failed.err.startswith("error: nowhere.json: the config does not exist\n  fix: ")
        monkeypatch.delenv("COPICK_CONFIG")
        if name not in NEEDS_NO_CONFIG and "-c" not in given and source == "--config":
            none = call(name, *given)
            assert (none.code, none.out) == (2, "")
            assert "COPICK_CONFIG" in none.err
    assert tree_of(place) == before


if __name__ == "__main__":
    PAGE.write_text(options_page())
