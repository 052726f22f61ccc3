"""Faults of other ingestions that a whole run must not have: what is lost, made twice, mixed up or passed over."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomoportal.archive import Archive, Container
from tomoportal.archive.verify import verify
from tomoportal.ingest import Options, Plan, Report, load_config, make_plan, open_source, prune, run_plan
from tomoportal.storage import open_store
from tomoportal.testing.faulty import FaultyStore
from tomoportal.testing.sources import SHAPE, SPACING, sample_config, write_config, write_mrc, write_sources

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Ingest = Callable[..., Report]
Planner = Callable[..., Plan]
Tree = Callable[[Path], dict[str, str]]
Whole = Callable[..., Path]

RUN = "10001/TS_01"
FOLDER = f"{RUN}/Reconstructions/VoxelSpacing13.480"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with sources of two runs with every entity type (`raw`), and the archive that was made of them."""
    whole: Any = importlib.import_module("whole_sources")
    folder = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        sizes = {"snapshot": (64, 48), "thumbnail": (16, 12), "expanded": (80, 60)}
        patch.setattr("tomoportal.formats.keyphotos.KEY_PHOTO_SIZES", sizes)
        config = load_config(whole.write_whole_sources(folder / "raw", 2))
        source = open_source(folder / "raw", config.source_prefix)
        archive = Archive.open(folder / "archive", create=True)
        assert run_plan(make_plan(config, source, archive), archive, source.store).ok
        yield folder


def _document(archive: Path, key: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((archive / key).read_bytes())
    return document


def _one_run(config: dict[str, Any]) -> None:
    config["runs"] = [{"sources": [{"literal": {"value": ["TS_01"]}}]}]


# --- integrity


def test_a_corrected_file_of_equal_size_arrives_on_an_object_store_too(raw: Path) -> None:
    """F2: one meaning everywhere. No option is needed, and none is ignored: contents are compared, not sizes."""
    archive = Archive.open("memory://")

    def ingest() -> None:
        config = load_config(raw / "config.yaml")
        source = open_source(raw, config.source_prefix)
        assert run_plan(make_plan(config, source, archive), archive, source.store).ok

    ingest()
    mdoc = raw / "stacks/TS_01.mdoc"
    stored = f"{RUN}/Frames/TS_01.mdoc"
    assert archive.store.get(stored) == mdoc.read_bytes()
    mdoc.write_text(mdoc.read_text().replace("Voltage = 300", "Voltage = 200"))
    ingest()
    assert archive.store.get(stored) == mdoc.read_bytes()


def test_folders_without_a_document_are_reported_and_never_removed(
    raw: Path, ingest: Ingest, plan_of: Planner, tmp_path: Path, tree: Tree
) -> None:
    """F6: what another process is writing, or imported earlier without metadata, is none of our business."""
    archive = tmp_path / "archive"
    assert ingest(raw / "config.yaml", archive).ok
    theirs = {
        f"{FOLDER}/Annotations/777/membrane-1.0_point.ndjson": b'{"type": "point"}\n',
        f"{FOLDER}/Annotations/100/notes.txt": b"mine",
        f"{RUN}/TiltSeries/101/TS_01.mrc": b"half a file",
    }
    for key, data in theirs.items():
        (archive / key).parent.mkdir(parents=True, exist_ok=True)
        (archive / key).write_bytes(data)
    write_mrc(raw / "tomograms/TS_01.rec", np.ones(SHAPE, np.float32), SPACING)
    (raw / "points/TS_01.csv").write_text("1,1,1\n")
    assert ingest(raw / "config.yaml", archive).ok
    prune(Archive.open(archive), plan_of(raw / "config.yaml", archive).stale)
    for key, data in theirs.items():
        assert (archive / key).read_bytes() == data
    found = {(one.rule, one.path) for one in verify(Archive.open(archive))}
    assert ("V306", f"{FOLDER}/Annotations/777") in found
    assert ("V306", f"{RUN}/TiltSeries/101") in found
    assert ("V104", f"{FOLDER}/Annotations/100/notes.txt") in found


def test_every_file_is_written_by_one_item(tmp_path: Path, write_whole: Whole, plan_of: Planner) -> None:
    """F8: documents and pictures of datasets and depositions are the work of one step, as all other files are."""
    plan = plan_of(write_whole(tmp_path / "raw", 2))
    written = Counter(key for item in plan.items for key in (*item.outputs, item.document) if key)
    assert [key for key, count in written.items() if count > 1] == []
    assert Counter(item.kind for item in plan.items)["dataset"] == 1
    assert Counter(item.kind for item in plan.items)["deposition"] == 1


@pytest.mark.slow
def test_two_ingestions_at_once_leave_the_archive_of_one(tmp_path: Path, write_whole: Whole, tree: Tree) -> None:
    """F8, F9: two commands with the same config, started together, agree on ids and lose nothing."""
    config = write_whole(tmp_path / "raw", 2)

    def command(archive: str) -> subprocess.Popen[str]:
        arguments = ["ingest", str(config), "--archive", str(tmp_path / archive), "--jobs", "1", "--json"]
        return subprocess.Popen(
            [sys.executable, "-m", "tomoportal", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    both = [command("shared"), command("shared")]
    for process in both:
        out, err = process.communicate()
        assert process.returncode == 0, (out, err)
    alone = command("alone")
    alone.communicate()
    assert tree(tmp_path / "shared") == tree(tmp_path / "alone")
    assert not [one for one in verify(Archive.open(tmp_path / "shared")) if one.severity == "error"]


def test_nothing_is_left_beside_the_archive(
    raw: Path, edit: Edit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F13: private scratch space, removed also after failures; files of one name from two folders never mix."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    used: set[str] = set()
    opened = os.open

    def watched(path: Any, *arguments: Any, **more: Any) -> int:
        if str(path).startswith(str(scratch)):
            used.add(str(path))
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", watched)
    (raw / "other").mkdir()
    write_mrc(raw / "other/TS_01.rec", np.full(SHAPE, 7, np.int16), SPACING)
    write_mrc(raw / "tomograms/TS_01.rec", np.full(SHAPE, 3, np.int16), SPACING)
    (raw / "tomograms/TS_02.rec").write_bytes(b"no volume")

    def change(config: dict[str, Any]) -> None:
        config["tomograms"][1]["sources"][0]["source_glob"]["list_glob"] = "other/{run_name}.rec"

    config = load_config(edit(raw, change))
    remote = open_store("memory://")
    for path in raw.rglob("*"):
        if path.is_file():
            remote.put(path.relative_to(raw).as_posix(), path.read_bytes(), durable=False)
    source = open_source(raw, config.source_prefix)
    archive = Archive.open(tmp_path / "archive", create=True)
    report = run_plan(make_plan(config, source, archive), archive, remote)
    assert any(failure.label.startswith("10001/TS_02/") for failure in report.failures)
    assert used, "the volumes of a remote source lie here while they are converted"
    assert list(scratch.iterdir()) == []
    assert list((tmp_path / "archive/.tomoportal").glob("staging/*")) == []
    for number, value in ((100, 3), (101, 7)):
        data = (tmp_path / "archive" / FOLDER / f"Tomograms/{number}/TS_01.mrc").read_bytes()[1024:]
        assert set(np.frombuffer(data, np.int16).tolist()) == {value}


# --- numbers


def test_excluded_views_are_left_out_though_the_file_gets_another_name(done: Path) -> None:
    """F25: tilt.com is read before it becomes TS_01.com; view 2 of its EXCLUDELIST has no parameters."""
    document = _document(done / "archive", f"{RUN}/Alignments/100/alignment_metadata.json")
    assert [row["z_index"] for row in document["per_section_alignment_parameters"]] == [0, 2, 3]
    assert (document["tilt_offset"], document["x_rotation_offset"]) == (0.75, 1.25)  # F72: no whole number
    assert b"EXCLUDELIST 2" in (done / "archive" / RUN / "Alignments/100/TS_01.com").read_bytes()


def test_local_alignments_are_kept_and_declared(done: Path) -> None:
    """F24, and F23 beside it: the file as it is, its type and both offsets in the document."""
    folder = done / "archive/10001/TS_02/Alignments/100"
    assert (folder / "TS_02.aln").read_bytes() == (done / "raw/stacks/TS_02.aln").read_bytes()
    document = json.loads((folder / "alignment_metadata.json").read_bytes())
    assert document["alignment_type"] == "LOCAL"
    assert (document["tilt_offset"], document["x_rotation_offset"]) == (1.5, -0.5)


def test_masks_are_shown_as_they_are_with_their_exact_spacing(done: Path) -> None:
    """F32: no precomputed copy in whole nanometres; the viewer reads the OME-Zarr, whose scale is 13.48 Å."""
    folder = done / "archive" / FOLDER
    layers = {path.name for path in (folder / "NeuroglancerPrecompute").iterdir() if path.is_dir()}
    assert not [name for name in layers if "mask" in name]
    state = json.loads((folder / "NeuroglancerPrecompute/100-neuroglancer_config.json").read_text())
    masks = [layer for layer in state["layers"] if layer["type"] == "segmentation" and ".zarr" in str(layer["source"])]
    assert len(masks) == 4
    for mask in (folder / "Annotations").glob("*/*mask.zarr"):
        datasets = json.loads((mask / ".zattrs").read_text())["multiscales"][0]["datasets"]
        assert datasets[0]["coordinateTransformations"][0]["scale"] == [13.48] * 3


# --- errors and operation


def test_a_run_without_its_mdoc_is_an_error_and_the_others_are_done(raw: Path, tmp_path: Path) -> None:
    """F38: reported with its name, exit code 1, no partial output of that run."""
    (raw / "stacks/TS_01.mdoc").unlink()
    command = ["ingest", str(raw / "config.yaml"), "--archive", str(tmp_path / "a"), "--jobs", "1", "--json"]
    done = subprocess.run([sys.executable, "-m", "tomoportal", *command], capture_output=True, text=True)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert not report["ok"]
    assert [error["run"] for error in report["errors"]] == [RUN]
    assert "no mdoc" in report["errors"][0]["what"]
    assert report["counts"]["failed"] == 0
    assert not (tmp_path / "a" / RUN).exists()
    assert (tmp_path / "a/10001/TS_02/TiltSeries/100/tiltseries_metadata.json").exists()


@pytest.mark.parametrize(
    ("name", "data", "annotation"),
    [
        ("points/TS_01.csv", b"1,2,three\n", "100"),
        ("masks/TS_01_labels.mrc", b"cut", "101"),
        ("masks/TS_01_labels.mrc", None, "101"),
    ],
    ids=["converter", "no mask", "truncated mask"],
)
def test_what_cannot_be_converted_is_a_failure_and_no_empty_annotation(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, name: str, data: bytes | None, annotation: str
) -> None:
    """F40, F41: converters and validity checks that fail are told, with the file; nothing of theirs is published."""
    path = raw / name
    path.write_bytes(path.read_bytes()[:-100] if data is None else data)
    report = ingest(edit(raw, _one_run), tmp_path / "archive")
    assert not report.ok
    failed = [one for one in report.failures if one.outcome == "failed"]
    assert failed
    assert all(name in (one.why or "") for one in failed)
    assert not (tmp_path / "archive" / FOLDER / "Annotations" / annotation).exists()
    assert (tmp_path / "archive" / FOLDER / "Tomograms/100/tomogram_metadata.json").exists()


def test_options_reach_the_workers(raw: Path, tmp_path: Path) -> None:
    """F45, F60: two processes make the volumes, and both as the command line says."""
    pids = tmp_path / "pids"
    pids.mkdir()
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def hook(event, arguments):\n"
        "    if event == 'open' and '/staging/' in str(arguments[0]):\n"
        f"        os.close(os.open({str(pids)!r} + '/' + str(os.getpid()), os.O_CREAT))\n"
        "sys.addaudithook(hook)\n"
    )
    command = ["ingest", str(raw / "config.yaml"), "--archive", str(tmp_path / "a"), "--jobs", "2"]
    command += ["--dtype", "float32", "--chunk-size", "8", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "tomoportal", *command],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])},
    )
    assert done.returncode == 0, done.stderr
    assert len(list(pids.iterdir())) == 2  # who writes staged files: the two workers, and not their parent
    volumes = list((tmp_path / "a").rglob("Tomograms/*/*.zarr/0/.zarray"))
    assert len(volumes) == 4
    for path in volumes:
        described = json.loads(path.read_text())
        assert (described["dtype"], described["chunks"]) == ("<f4", [8, 8, 8])


def test_two_configs_in_one_process_do_not_know_of_each_other(tmp_path: Path, tree: Tree) -> None:
    """F48: no state in modules or classes; run at the same time, they write what each does alone."""
    plans = []
    for number in (1, 2):
        folder = tmp_path / f"raw{number}"
        write_sources(folder, runs=1, seed=number)
        data = sample_config()
        data["standardization_config"]["deposition_id"] = 10300 + number
        data["depositions"][0]["metadata"]["deposition_identifier"] = 10300 + number
        data["depositions"][0]["sources"] = [{"literal": {"value": [10300 + number]}}]
        data["tomograms"][0]["metadata"]["reconstruction_software"] = f"program {number}"
        config = load_config(write_config(folder / "config.yaml", data))
        plans.append((config, open_source(folder, config.source_prefix)))

    def run(number: int, name: str) -> None:
        config, source = plans[number]
        archive = Archive.open(tmp_path / name, create=True)
        assert run_plan(make_plan(config, source, archive), archive, source.store).ok

    for number in (0, 1):
        run(number, f"alone{number}")
    threads = [threading.Thread(target=run, args=(number, f"together{number}")) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in (0, 1):
        assert tree(tmp_path / f"together{number}") == tree(tmp_path / f"alone{number}")
    assert tree(tmp_path / "alone0") != tree(tmp_path / "alone1")


def test_a_laptop_without_network_and_without_accounts_is_enough(tmp_path: Path, write_whole: Whole) -> None:
    """F49: local first. Any attempt to reach another machine ends the process with code 99."""
    code = (
        "import os, sys\n"
        "def hook(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.bind'):\n"
        "        os._exit(99)\n"
        "sys.addaudithook(hook)\n"
        "from tomoportal.cli import cli\n"
        "sys.exit(cli.main(['ingest', sys.argv[1], '--archive', sys.argv[2], '--jobs', '1'], standalone_mode=False))"
    )
    config = write_whole(tmp_path / "raw", 1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HTTP", "http"))}
    done = subprocess.run(
        [sys.executable, "-c", code, str(config), str(tmp_path / "archive")], env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr


# --- speed


def test_previews_are_drawn_once_for_every_tomogram(
    tmp_path: Path, write_whole: Whole, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F62: one rendering gives all four pictures; dataset and deposition copy theirs."""
    step: Any = importlib.import_module("tomoportal.ingest.steps.key_photos")
    drawn: list[str] = []
    render = step.render_key_photos

    def counted(volume: Any, *arguments: Any, **more: Any) -> Any:
        drawn.append(volume.name)
        return render(volume, *arguments, **more)

    monkeypatch.setattr(step, "render_key_photos", counted)
    assert ingest(write_whole(tmp_path / "raw", 2), tmp_path / "archive").ok
    assert len(drawn) == len(set(drawn)) == 2  # six tomograms, four of which have a picture in the config


def test_star_files_are_parsed_once_whatever_the_number_of_runs_and_files(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F63: also where two files alternate, as they do from run to run."""
    step: Any = importlib.import_module("tomoportal.ingest.steps.point_files")
    (raw / "more.star").write_bytes((raw / "particles.star").read_bytes())
    parsed: list[str] = []
    read = step.read_star

    def counted(data: bytes, name: str) -> Any:
        parsed.append(name)
        return read(data, name)

    monkeypatch.setattr(step, "read_star", counted)

    def change(config: dict[str, Any]) -> None:
        second = json.loads(json.dumps(config["annotations"][0], default=str))
        second["metadata"]["annotation_ingest_id"] = "second-1"
        second["sources"] = [second["sources"][1]]
        second["sources"][0]["OrientedPoint"]["glob_string"] = "more.star"
        config["annotations"].append(second)

    assert ingest(edit(raw, change), tmp_path / "archive").ok
    assert sorted(parsed) == ["more.star", "particles.star"]


def test_a_second_run_on_an_object_store_downloads_nothing(raw: Path, tmp_path: Path) -> None:
    """F66: version tags of the store tell that nothing changed; digests in the manifest say what is right."""
    remote = open_store("memory://")
    for path in raw.rglob("*"):
        if path.is_file():
            remote.put(path.relative_to(raw).as_posix(), path.read_bytes(), durable=False)
    counting = FaultyStore(remote)
    config = load_config(raw / "config.yaml")
    archive = Archive.open(tmp_path / "archive", create=True)

    def run() -> Report:
        source = open_source(raw, config.source_prefix)
        source = type(source)(counting, "")
        return run_plan(make_plan(config, source, archive, Options()), archive, counting)

    assert run().ok
    assert counting.counts["get_range"] > 10
    for stat in list(remote.list()):  # not remembered while they are this young
        assert stat.modified
    _age(archive, remote)
    counting.counts.clear()
    report = run()
    assert report.counts["skipped"] + report.counts["absent"] == len(report.results)
    assert counting.counts["get_range"] == 0
    assert counting.counts["get"] == 1  # the map of the runs


def _age(archive: Archive, remote: Any) -> None:
    """Sources that are a few seconds old, as any real one is: their digests are remembered now."""
    from unittest import mock

    from tomoportal.archive.source_digests import SourceDigests

    with (
        mock.patch("tomoportal.archive.source_digests.time.time", return_value=1e12),
        SourceDigests(archive) as digests,
    ):
        counting = FaultyStore(remote)
        for stat in remote.list():
            digests.digest(counting, stat.key)


# --- documents


@pytest.mark.parametrize("stated", [True, False, None])
def test_is_portal_standard_is_stored_per_file(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, stated: bool | None
) -> None:
    """F77: the flag of a source stands at its files, and only there."""

    def change(config: dict[str, Any]) -> None:
        _one_run(config)
        if stated is not None:
            config["annotations"][0]["sources"][0]["Point"]["is_portal_standard"] = stated

    assert ingest(edit(raw, change), tmp_path / "archive").ok
    files = _document(tmp_path / "archive", f"{FOLDER}/Annotations/100/cytosolic_ribosome-1.0.json")["files"]
    assert [file["is_portal_standard"] for file in files] == [bool(stated), False]


def test_the_whole_example_verifies_and_a_second_run_changes_nothing(
    tmp_path: Path, write_whole: Whole, ingest: Ingest, tree: Tree, full_photos: None
) -> None:
    """F69: every document of every entity type keeps the schema; F5: done work is recognised."""
    config = write_whole(tmp_path / "raw", 1)
    assert ingest(config, tmp_path / "archive").ok
    before = tree(tmp_path / "archive")
    found = verify(Archive.open(tmp_path / "archive"), voxels=True)
    assert {one.rule for one in found} <= {"V707"}, found  # the mdoc of the sample is sorted by angle
    report = ingest(config, tmp_path / "archive")
    assert report.counts["created"] == report.counts["replaced"] == 0
    assert tree(tmp_path / "archive") == before
    manifest = Archive.open(tmp_path / "archive").manifest(Container.run(10001, "TS_01"))
    kinds = {kind for kind, _ in manifest.items}
    assert {"ctf", "gain", "identified_objects", "key_photos", "viewer_config"} <= kinds
    shutil.rmtree(tmp_path / "archive")
