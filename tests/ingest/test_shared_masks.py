"""A source mask that many annotations use is read once (F61), and what they make is what each alone would make."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import mrcfile
import numpy as np
import pytest
import tifffile

from tomoportal.archive import Archive
from tomoportal.formats.convert import convert_volume
from tomoportal.formats.label_volume import LabelVolume
from tomoportal.formats.mrc import open_mrc
from tomoportal.ingest import Plan, Report, load_config, make_plan, open_source, run_plan, workers
from tomoportal.ingest.shared_labels import SharedLabels
from tomoportal.storage import open_store
from tomoportal.testing.faulty import FaultyStore
from tomoportal.testing.object_server import s3_server
from tomoportal.testing.sources import SHAPE, SPACING, write_mrc

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]

FOLDER = "10001/TS_01/Reconstructions/VoxelSpacing13.480"
LABELS = 10


def _volume() -> Any:
    labels = np.zeros(SHAPE, np.int16)
    for label in range(1, LABELS):
        labels[1:4, 2 * label, 3:9] = label
    return labels


def _ten(name: str) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        config["runs"] = [{"sources": [{"literal": {"value": ["TS_01"]}}]}]
        first, config["annotations"] = config["annotations"][2], []
        for label in range(1, LABELS + 1):
            entry = copy.deepcopy(first)
            entry["metadata"]["annotation_ingest_id"] = f"thing-{label}"
            entry["sources"] = [
                {"SemanticSegmentationMask": {"file_format": "zarr", "glob_string": name, "mask_label": label}}
            ]
            config["annotations"].append(entry)
        for section in ("frames", "gains", "collection_metadata", "rawtilts", "tiltseries", "tomograms", "alignments"):
            del config[section]
        config["tomograms"] = []

    return change


class _Counting(FaultyStore):
    """Counts how often each object is read."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.read: Counter[str] = Counter()

    def step(self, operation: str, key: str) -> None:
        if operation in ("get", "get_range"):
            self.read[key] += 1
        super().step(operation, key)

    def local_path(self, key: str) -> Path | None:
        return None  # as on an object store


def _prepared(raw: Path, edit: Edit, kind: str) -> Path:
    write_mrc(raw / "labels.mrc", _volume(), SPACING)
    if kind == "zarr":
        store = open_store(raw, create=True)
        convert_volume(
            open_mrc(store, "labels.mrc"),
            store,
            mrc_key="unused.mrc",
            zarr_prefix="labels.zarr",
            voxel_spacing=SPACING,
            kind="instance_mask",
            chunk_size=8,
        )
    elif kind == "tif":
        tifffile.imwrite(raw / "labels.tif", _volume(), compression="zlib")
    for path in raw.rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return edit(raw, _with_tomogram(_ten(f"labels.{kind}")))


def _with_tomogram(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def changed(config: dict[str, Any]) -> None:
        tomogram = config["tomograms"][0]
        change(config)
        config["tomograms"] = [tomogram]

    return changed


@pytest.mark.parametrize("kind", ["zarr", "tif", "mrc"])
def test_ten_annotations_read_their_mask_once(raw: Path, edit: Edit, tmp_path: Path, kind: str) -> None:
    loaded = load_config(_prepared(raw, edit, kind))
    source = open_source(raw, loaded.source_prefix)
    archive = Archive.open(tmp_path / "archive", create=True)
    plan: Plan = make_plan(loaded, source, archive)
    counting = _Counting(open_store(raw, read_only=True))
    report: Report = run_plan(plan, archive, counting, jobs=1)
    assert report.ok, report.failures
    absent = [result.why for result in report.results if result.outcome == "absent"]
    assert absent == [f"labels.{kind} does not hold the label 10"]
    voxels = {key: count for key, count in counting.read.items() if key.startswith("labels") and "/.z" not in key}
    # Once for the digest and once for the voxels; what a header takes comes on top, but not ten times.
    chunks = [count for key, count in voxels.items() if "/0/" in key] or [sum(voxels.values())]
    assert max(chunks) <= {"zarr": 2, "tif": 20, "mrc": 8}[kind], voxels
    for label in range(1, LABELS):
        (path,) = (tmp_path / "archive" / FOLDER / f"Annotations/{99 + label}").glob("*.mrc")
        with mrcfile.open(path) as mask:
            assert np.array_equal(mask.data, _volume() == label)


@contextmanager
def _counted_bucket(raw: Path) -> Iterator[tuple[str, Counter[str]]]:
    """The sources in a bucket, behind a server that counts the bytes that are read of every object."""
    read: Counter[str] = Counter()
    guard = threading.Lock()

    class Counted(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower().startswith("x-amz-") or name.lower() in ("range", "authorization")
            }
            answer = client.request(self.command, f"{behind}{self.path}", headers=headers)
            if self.command == "GET" and answer.is_success and "list-type" not in self.path:
                with guard:
                    read[unquote(self.path.partition("?")[0]).split("/", 2)[2]] += len(answer.content)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            return

    with s3_server() as bucket, httpx.Client(timeout=None) as client:
        behind = bucket.partition("endpoint=")[2]
        store = open_store(bucket)
        for path in raw.rglob("*"):
            if path.is_file():
                store.put(path.relative_to(raw).as_posix(), path.read_bytes())
        time.sleep(2.5)  # digests of files that are younger are not remembered
        with ThreadingHTTPServer(("127.0.0.1", 0), Counted) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"s3://bucket?endpoint=http://127.0.0.1:{server.server_port}", read
            finally:
                server.shutdown()
                thread.join()


@pytest.mark.parametrize("kind", ["zarr", pytest.param("mrc", marks=pytest.mark.slow)])
def test_several_workers_read_their_mask_once(
    raw: Path, edit: Edit, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F61: processes that share the ten annotations read together what one alone reads of every object.

    That is each byte once for the digest and once for the voxels, and small headers.
    """
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    loaded = load_config(_prepared(raw, edit, kind))
    (raw / "config.yaml").unlink()
    found = []
    with _counted_bucket(raw) as (url, read):
        for jobs in (1, 3):
            archive = Archive.open(tmp_path / f"archive-{jobs}", create=True)
            source = open_source(url, loaded.source_prefix)
            plan = make_plan(loaded, source, archive)
            read.clear()
            report = run_plan(plan, archive, source.store, jobs)
            assert report.ok, report.failures
            found.append({key: size for key, size in read.items() if key.startswith(f"labels.{kind}")})
    alone, together = found
    if kind == "zarr":
        chunks = {key: size for key, size in together.items() if key.startswith("labels.zarr/0/") and "/.z" not in key}
        stored = [path for path in (raw / "labels.zarr/0").rglob("*") if path.is_file() and path.name[0] != "."]
        assert chunks == {path.relative_to(raw).as_posix(): 2 * path.stat().st_size for path in stored}
    else:
        size = (raw / "labels.mrc").stat().st_size
        headers = together["labels.mrc"] - 2 * size
        assert headers <= 10 * 4096, "what tells shape and type is read by each item"
        assert alone["labels.mrc"] - 2 * size <= headers
    assert list((tmp_path / "tmp").iterdir()) == [], "nothing is left behind"
    for label in range(1, LABELS):
        (path,) = (tmp_path / "archive-3" / FOLDER / f"Annotations/{99 + label}").glob("*.mrc")
        with mrcfile.open(path) as mask:
            assert np.array_equal(mask.data, _volume() == label)


def test_only_a_few_masks_are_kept_and_all_are_let_go(raw: Path) -> None:
    shared = SharedLabels()
    store = open_store(raw)
    first = shared.open(store, "masks/TS_01_labels.mrc", "a")
    assert shared.open(store, "masks/TS_01_labels.mrc", "a") is first
    for number in range(5):
        shared.open(store, "masks/TS_02_labels.mrc", str(number))
    assert shared.open(store, "masks/TS_01_labels.mrc", "a") is not first
    shared.close()
    shared.close()


def test_processes_keep_only_a_few_masks_together(raw: Path, tmp_path: Path) -> None:
    """A mask that another process read is not read again; the files of old ones go, also of those that are open."""
    store = _Counting(open_store(raw))
    folder = tmp_path / "together"
    folder.mkdir()
    ours, theirs = SharedLabels(folder), SharedLabels(folder)
    first = ours.open(store, "masks/TS_01_labels.mrc", "0")
    voxels = first.read(0, 3).copy()
    for number in range(1, 12):
        ours.open(store, "masks/TS_02_labels.mrc", str(number))
    assert len(list(folder.glob("*.json"))) == len(list(folder.iterdir())) / 2 == 8
    before = store.read["masks/TS_02_labels.mrc"]
    again = theirs.open(store, "masks/TS_02_labels.mrc", "11")
    assert store.read["masks/TS_02_labels.mrc"] - before <= 3, "its header only"
    assert isinstance(again, LabelVolume)
    assert again.counts == ours.open(store, "masks/TS_02_labels.mrc", "11").counts
    np.testing.assert_array_equal(again.read(0, 3), open_mrc(open_store(raw), "masks/TS_02_labels.mrc").read(0, 3))
    np.testing.assert_array_equal(voxels, open_mrc(open_store(raw), "masks/TS_01_labels.mrc").read(0, 3))
    ours.close()
    theirs.close()


# Read by the command and by its workers when they start: the first file that they share ends the command.
_KILLER = """
import os, signal, sys
command = int(os.environ.setdefault("COMMAND", str(os.getpid())))

def hook(event, arguments):
    if event == "open" and str(arguments[0]).startswith(os.environ["TMPDIR"]) and arguments[2] & os.O_CREAT:
        try:
            os.kill(command, signal.SIGKILL)
        except ProcessLookupError:
            pass

if command != os.getpid():
    sys.addaudithook(hook)
"""


@pytest.mark.slow
def test_a_killed_ingestion_leaves_no_temporary_files(raw: Path, tmp_path: Path) -> None:
    """kill -9 of the command: its workers end with it, and the last of them removes what they shared."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    (tmp_path / "killer").mkdir()
    (tmp_path / "killer/sitecustomize.py").write_text(_KILLER)
    command = [sys.executable, "-m", "tomoportal", "ingest", str(raw / "config.yaml")]
    command += ["--archive", str(tmp_path / "archive"), "--jobs", "3"]
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(tmp_path / "killer")}
    done = subprocess.run(command, env=environment, stderr=subprocess.DEVNULL)
    assert done.returncode == -signal.SIGKILL
    for _ in range(6000):
        if not any(folder.iterdir()):
            return
        time.sleep(0.05)
    raise AssertionError("the workers leave files behind")


def test_what_a_worker_writes_while_it_ends_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, removed = tmp_path / "together", os.rmdir
    folder.mkdir()

    def late(*arguments: Any, **more: Any) -> None:
        monkeypatch.setattr(os, "rmdir", removed)
        (folder / "late").touch()
        removed(*arguments, **more)

    monkeypatch.setattr(os, "rmdir", late)
    workers._remove(folder)
    assert not folder.exists()
