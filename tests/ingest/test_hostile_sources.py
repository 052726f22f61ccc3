"""Folders that somebody else made: links out of them, names with dots, bombs, pickles, headers of 2^60 voxels."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tomoportal.archive import Archive
from tomoportal.ingest import Options, Plan, Report, load_config, make_plan, open_source, run_plan
from tomoportal.testing.sources import SHAPE, SPACING, write_mrc

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Ingest = Callable[..., Report]
Planner = Callable[..., Plan]

SECRET = b"not for the public" * 100


def _listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# --- links


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder beside the sources that nobody named."""
    folder = tmp_path / "secret"
    folder.mkdir()
    (folder / "file").write_bytes(SECRET)
    write_mrc(folder / "volume.mrc", np.ones(SHAPE, np.float32), SPACING)
    return folder


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("frames/TS_01_000.tif", "file"),
        pytest.param("gains/CountRef_TS_01.mrc", "file", marks=pytest.mark.slow),
        pytest.param("stacks/TS_01.xf", "file", marks=pytest.mark.slow),
        ("tomograms/TS_01.rec", "volume.mrc"),
        pytest.param("points/TS_01.csv", "file", marks=pytest.mark.slow),
        ("masks", "."),
    ],
)
def test_a_link_out_of_the_source_folder_is_refused_by_name(
    raw: Path, ingest: Ingest, tmp_path: Path, secret: Path, link: str, target: str
) -> None:
    """Its run is an error of the plan; nothing of what it leads to gets into the archive, and the others are done."""
    if link == "masks":
        (raw / link).rename(tmp_path / "elsewhere")
        (raw / link).symlink_to(tmp_path / "elsewhere")
    else:
        (raw / link).unlink()
        (raw / link).symlink_to(secret / target)
    report = ingest(raw / "config.yaml", tmp_path / "archive")
    assert not report.ok
    assert any(f"{link.partition('.')[0]}" in str(error) for error in report.errors)
    assert all("is a link out of the source folder" in error.problem.what for error in report.errors)
    assert all("--follow-links" in (error.problem.fix or "") for error in report.errors)
    if link != "masks":
        assert {error.run for error in report.errors} == {"10001/TS_01"}
        assert (tmp_path / "archive/10001/TS_02/run_metadata.json").exists()
    written = [path for path in (tmp_path / "archive").rglob("*") if path.is_file()]
    assert not any(SECRET in path.read_bytes() for path in written)


def test_links_inside_the_folder_and_trusted_ones_are_followed(raw: Path, tmp_path: Path, secret: Path) -> None:
    (raw / "stacks/TS_01.rawtlt").rename(raw / "angles")
    (raw / "stacks/TS_01.rawtlt").symlink_to("../angles")
    config = str(raw / "config.yaml")

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = ["ingest", config, "--archive", str(tmp_path / "a"), "--jobs", "1", "--json", *more]
        return subprocess.run([sys.executable, "-m", "tomoportal", *command], capture_output=True, text=True)

    assert run("--plan").returncode == 0
    (raw / "tomograms/TS_01.rec").unlink()
    (raw / "tomograms/TS_01.rec").symlink_to(secret / "volume.mrc")
    assert run("--plan").returncode == 1
    done = run("--follow-links")
    assert done.returncode == 0, done.stdout
    stored = tmp_path / "a/10001/TS_01/Reconstructions/VoxelSpacing13.480/Tomograms/100/TS_01.mrc"
    assert set(np.frombuffer(stored.read_bytes()[1024:], np.float32).tolist()) == {1.0}


def test_a_link_that_is_put_there_after_planning_is_refused_too(raw: Path, tmp_path: Path, secret: Path) -> None:
    config = load_config(raw / "config.yaml")
    source = open_source(raw, config.source_prefix)
    archive = Archive.open(tmp_path / "archive", create=True)
    plan = make_plan(config, source, archive, Options())
    (raw / "frames/TS_01_000.tif").unlink()
    (raw / "frames/TS_01_000.tif").symlink_to(secret / "file")
    report = run_plan(plan, archive, source.store)
    (failed,) = [one for one in report.failures if one.outcome == "failed"]
    assert "a symbolic link leads out of the store" in (failed.why or "")
    assert not (tmp_path / "archive/10001/TS_01/Frames/TS_01_000.tif").exists()


def test_a_drafted_command_allows_links_where_there_are_some(raw: Path, secret: Path) -> None:
    from tomoportal.cli.init import command

    (raw / "config.yaml").unlink()

    def drafted() -> str:
        done = CliRunner().invoke(command, [str(raw), "--yes", "--force"], standalone_mode=False)
        assert done.return_value == 0, done.output
        return done.output

    assert "--follow-links" not in drafted()
    (raw / "tomograms/TS_01.rec").unlink()
    (raw / "tomograms/TS_01.rec").symlink_to(secret / "volume.mrc")
    assert "--follow-links" in drafted()


# --- names


def test_a_run_cannot_be_named_out_of_the_archive(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    names = ["../../outside", "..", "a/../../b", "/etc", "a\x00b", "TS\n02", "x" * 300]

    def change(config: dict[str, Any]) -> None:
        config["runs"] = [{"sources": [{"literal": {"value": [*names, "TS_01"]}}]}]

    before = _listing(tmp_path)
    report = ingest(edit(raw, change), tmp_path / "archive")
    assert {error.run for error in report.errors} == {f"10001/{name}" for name in names}
    assert {path.split("/")[0] for path in _listing(tmp_path) - before} == {"archive"}
    assert {path.name for path in (tmp_path / "archive/10001").iterdir()} == {
        "TS_01",
        "Images",
        "dataset_metadata.json",
    }


@pytest.mark.parametrize("value", ["../../../secret", "/etc", "a/../../..", "..\\..", "{run_name}"])
def test_a_column_of_the_map_cannot_lead_out_of_the_sources(
    raw: Path, edit: Edit, plan_of: Planner, value: str
) -> None:
    """Variables are put into globs; what comes out is a place below the source folder, or an error of the run."""
    rows = (raw / "run_data.csv").read_text().replace(",IMOD", f",{value}")
    (raw / "run_data.csv").write_text(rows)
    (raw.parent / "secret").mkdir()
    (raw.parent / "secret/gain.mrc").write_bytes(SECRET)
    plan = plan_of(
        edit(raw, lambda c: c["gains"][0].update(sources=[{"source_glob": {"list_glob": "x/{software}/gain.mrc"}}]))
    )
    assert not plan.ok
    assert not [item for item in plan.items if item.kind == "gain"]
    if ".." in value.split("/"):
        assert all("leaves the source folder" in error.problem.what for error in plan.errors)


def test_names_of_objects_cannot_lead_out_of_their_folder(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path
) -> None:
    def change(config: dict[str, Any]) -> None:
        config["runs"] = [{"sources": [{"literal": {"value": ["TS_02"]}}]}]
        config["annotations"][0]["metadata"]["annotation_object"]["name"] = "../../../../../../../evil"
        config["annotations"][0]["metadata"]["annotation_object"]["description"] = "/etc/passwd"

    before = _listing(tmp_path)
    ingest(edit(raw, change), tmp_path / "archive")
    new = _listing(tmp_path) - before
    assert {path.split("/")[0] for path in new} == {"archive"}
    assert not any("evil" in path.partition("Annotations/")[0] for path in new)


def test_frames_that_an_mdoc_names_elsewhere_are_not_looked_for(raw: Path, ingest: Ingest, tmp_path: Path) -> None:
    mdoc = raw / "stacks/TS_01.mdoc"
    mdoc.write_text(mdoc.read_text().replace("X:\\frames\\TS_01_000.tif", "../../../../etc/passwd"))
    report = ingest(raw / "config.yaml", tmp_path / "archive")
    document = json.loads((tmp_path / "archive/10001/TS_01/Frames/frames_metadata.json").read_text())
    assert report.ok
    assert [frame["path"] is None for frame in document["frames"]] == [True, False, False, False]
    assert "passwd" not in json.dumps(document)


# --- sizes


def _claim(data: bytes, *sizes: int) -> bytes:
    """An MRC header with these numbers of columns, rows and sections."""
    return struct.pack("<3i", *sizes) + data[12:28] + struct.pack("<3i", *sizes) + data[40:]


def _bomb(folder: Path) -> None:
    """A chunk of 64 KB of Zarr that would become 64 MB, in an array that says it holds 8 voxels."""
    folder.mkdir()
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    scale = {"type": "scale", "scale": [SPACING] * 3}
    axes = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
    multiscale = {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}
    (folder / ".zattrs").write_text(json.dumps({"multiscales": [multiscale]}))
    array = {"zarr_format": 2, "shape": [2, 2, 2], "chunks": [2, 2, 2], "dtype": "|i1", "order": "C", "fill_value": 0}
    (folder / "0").mkdir()
    array |= {"compressor": {"id": "zlib", "level": 9}, "filters": None, "dimension_separator": "/"}
    (folder / "0/.zarray").write_text(json.dumps(array))
    (folder / "0/0/0").mkdir(parents=True)
    (folder / "0/0/0/0").write_bytes(zlib.compress(bytes(64 << 20), 9))


def _spoil(raw: Path, how: str) -> str:
    """Make the tomogram of the first run hostile; returns its key."""
    path = raw / "tomograms/TS_01.rec"
    data = path.read_bytes()
    if how == "2^60 voxels":
        path.write_bytes(_claim(data, 1 << 20, 1 << 20, 1 << 20))
    elif how == "2^31 in each direction":
        path.write_bytes(_claim(data, (1 << 31) - 1, (1 << 31) - 1, (1 << 31) - 1))
    elif how == "negative":
        path.write_bytes(_claim(data, -4, 8, 8))
    elif how == "extended header":
        path.write_bytes(data[:92] + struct.pack("<i", (1 << 31) - 1) + data[96:])
    elif how == "gzip bomb":
        path.write_bytes(gzip.compress(bytes(32 << 20)))
    elif how == "pickle":
        path.write_bytes(pickle.dumps(np.ones(SHAPE)))
    elif how == "zarr bomb":
        path.unlink()
        _bomb(path)
    elif how == "zarr of 2^60":
        path.unlink()
        _bomb(path)
        text = (path / "0/.zarray").read_text().replace("[2, 2, 2]", f"[{1 << 20}, {1 << 20}, {1 << 20}]")
        (path / "0/.zarray").write_text(text)
    return "tomograms/TS_01.rec"


@pytest.mark.parametrize(
    "how",
    [
        "2^60 voxels",
        "zarr bomb",
        "zarr of 2^60",
        *(
            pytest.param(how, marks=pytest.mark.slow)
            for how in ("2^31 in each direction", "negative", "extended header", "gzip bomb", "pickle")
        ),
    ],
)
def test_a_hostile_volume_fails_alone_and_takes_no_memory(raw: Path, edit: Edit, tmp_path: Path, how: str) -> None:
    """In a process that may have 1 GB of address space more than it starts with: what asks for more ends."""
    config = edit(
        raw, lambda c: c["tomograms"][0].update(sources=[{"source_glob": {"list_glob": "tomograms/{run_name}.rec"}}])
    )
    key = _spoil(raw, how)
    code = (
        "import resource, sys\n"
        "from tomoportal.cli import cli\n"
        "import numpy, numcodecs, tomoportal.ingest.running, tomoportal.ingest.planner, tomoportal.formats.convert\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), used + (1 << 30)))\n"
        "sys.exit(cli.main(sys.argv[1:], standalone_mode=False))\n"
    )
    command = ["ingest", str(config), "--archive", str(tmp_path / "a"), "--jobs", "1", "--json"]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, timeout=600)
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    failed = [one for one in report["failures"] if one["outcome"] == "failed"]
    assert failed
    assert all(one["item"].startswith("10001/TS_01/") and key in one["why"] for one in failed), failed
    assert not any("MemoryError" in one["why"] for one in failed), failed
    assert not (tmp_path / "a/10001/TS_01/Reconstructions/VoxelSpacing13.480/Tomograms/100").exists()
    assert (tmp_path / "a/10001/TS_02/Reconstructions/VoxelSpacing13.480/Tomograms/100").exists()


class _Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("name", ["points/TS_01.csv", "particles.star", "stacks/TS_01.xf", "stacks/TS_01.mdoc"])
def test_a_pickle_under_any_name_is_not_opened(raw: Path, ingest: Ingest, tmp_path: Path, name: str) -> None:
    (raw / name).write_bytes(pickle.dumps(_Evil(tmp_path / "evil")))
    report = ingest(raw / "config.yaml", tmp_path / "archive")
    assert report.failures
    assert not (tmp_path / "evil").exists()


def test_a_yaml_that_grows_without_end_is_refused(raw: Path, plan_of: Planner) -> None:
    from tomoportal.errors import ConfigError

    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join(['*' + old] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    (raw / "config.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError):
        plan_of(raw / "config.yaml")
