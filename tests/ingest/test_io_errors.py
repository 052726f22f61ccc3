"""A damaged disk or a stale handle at one file or folder: that item fails and says why, everything else is done."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tomoportal.archive import Archive
from tomoportal.archive.verify import verify
from tomoportal.errors import StorageError
from tomoportal.ingest import Options, Report, load_config, make_plan, open_source, run_plan
from tomoportal.storage import open_store
from tomoportal.testing.faulty import READS, FaultyStore
from tomoportal.testing.sources import SHAPE, SPACING, write_mrc

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Ingest = Callable[..., Report]
Tree = Callable[[Path], dict[str, str]]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomoportal.ingest.patience.time.sleep", lambda seconds: None)


@pytest.fixture
def broken_entry(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], None]:
    """Makes a path impossible to open or to look at, for the whole process; listings of its folder still name it."""

    class Entry:
        def __init__(self, entry: os.DirEntry[str], code: int) -> None:
            self._entry, self._code = entry, code
            self.name, self.path = entry.name, entry.path

        def stat(self, **_: Any) -> Any:
            raise OSError(self._code, os.strerror(self._code))

        def __getattr__(self, name: str) -> Any:
            return getattr(self._entry, name)

    def breaks(path: Path, code: int) -> None:
        # What Python code calls: both in `os` and, for a path as text, in `io`.
        for name in ("stat", "open", "lstat"):
            monkeypatch.setattr(os, name, _refusing(getattr(os, name), path, code))
        monkeypatch.setattr("builtins.open", _refusing(open, path, code))
        scandir = os.scandir

        class Scan:
            def __init__(self, folder: Any = ".") -> None:
                if str(folder) == str(path):
                    raise OSError(code, os.strerror(code), str(folder))
                self._found = scandir(folder)

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                self._found.close()

            def __iter__(self) -> Any:
                return self

            def __next__(self) -> Any:
                one = next(self._found)
                return Entry(one, code) if one.path == str(path) else one

        monkeypatch.setattr(os, "scandir", Scan)

    return breaks


def _refusing(call: Any, path: Path, code: int) -> Any:
    def refusing(asked: Any, *arguments: Any, **more: Any) -> Any:
        if isinstance(asked, str | os.PathLike) and os.fspath(asked) == str(path):
            raise OSError(code, os.strerror(code), str(asked))
        return call(asked, *arguments, **more)

    return refusing


@pytest.mark.parametrize(
    ("name", "code"),
    [("tomograms/TS_01.rec", errno.EIO), ("stacks/TS_01.mdoc", errno.ESTALE), ("points/TS_01.csv", errno.ENXIO)],
)
def test_one_file_that_cannot_be_read_fails_its_items_only(
    raw: Path, ingest: Ingest, tmp_path: Path, broken_entry: Callable[[Path, int], None], name: str, code: int
) -> None:
    broken_entry(raw / name, code)
    archive = tmp_path / "archive"
    report = ingest(raw / "config.yaml", archive)
    assert not report.errors
    failed = [one for one in report.failures if one.outcome == "failed"]
    assert failed
    assert all(one.label.startswith("10001/TS_01/") for one in report.failures)
    assert all(os.strerror(code) in (one.why or "") and name in (one.why or "") for one in failed), failed
    assert (archive / "10001/TS_02/Reconstructions/VoxelSpacing13.480/Tomograms/101/tomogram_metadata.json").exists()
    assert (archive / "10001/dataset_metadata.json").exists()


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE])
def test_one_folder_that_cannot_be_listed_is_an_error_of_the_plan(
    raw: Path, ingest: Ingest, tmp_path: Path, broken_entry: Callable[[Path, int], None], code: int
) -> None:
    broken_entry(raw / "denoised", code)
    report = ingest(raw / "config.yaml", tmp_path / "archive")
    assert not report.ok
    assert not report.failures, report.failures[0].why
    (error,) = report.errors
    assert "denoised/" in str(error)
    assert os.strerror(code) in str(error)
    assert "the disk or the mount" in str(error)
    assert report.counts["created"] > 20


def test_a_header_that_cannot_be_read_while_planning_leaves_its_run_out(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, broken_entry: Callable[[Path, int], None]
) -> None:
    finder = {"tomogram_header": {"list_glob": "tomograms/{run_name}.rec"}}
    config = edit(raw, lambda c: c["voxel_spacings"][0].update(sources=[finder]))
    broken_entry(raw / "tomograms/TS_01.rec", errno.EIO)
    report = ingest(config, tmp_path / "archive")
    (error,) = report.errors
    assert error.run == "10001/TS_01"
    assert "tomograms/TS_01.rec" in error.problem.what
    assert "voxel_spacings[0].sources[0].tomogram_header" in error.problem.where
    assert (tmp_path / "archive/10001/TS_02/run_metadata.json").exists()


def test_a_changed_file_that_cannot_be_read_fails_its_item_and_keeps_what_is_there(
    raw: Path, ingest: Ingest, tmp_path: Path, tree: Tree, broken_entry: Callable[[Path, int], None]
) -> None:
    archive = tmp_path / "archive"
    assert ingest(raw / "config.yaml", archive).ok
    before = tree(archive)
    write_mrc(raw / "denoised/TS_01.mrc", _volume(), SPACING)
    (raw / "points/TS_02.csv").write_text("1,2,3\n")
    broken_entry(raw / "denoised/TS_01.mrc", errno.EIO)
    report = ingest(raw / "config.yaml", archive)
    assert {one.label.split("/")[1] for one in report.failures} == {"TS_01"}
    assert any(one.outcome == "replaced" and "TS_02/annotation" in one.label for one in report.results)
    after = tree(archive)
    volume = "10001/TS_01/Reconstructions/VoxelSpacing13.480/Tomograms/101/"
    kept = {key: digest for key, digest in before.items() if key.startswith(volume)}
    assert kept
    assert {key: after.get(key) for key in kept} == kept


def _volume() -> Any:
    import numpy as np

    return np.ones(SHAPE, np.int16)


class _Disk(FaultyStore):
    """An archive's disk that fails in one folder, always."""

    def __init__(self, folder: Path, part: str, code: int, *, reading: bool) -> None:
        super().__init__(open_store(folder, create=True))
        self.part, self.code, self.reading = part, code, reading

    def step(self, operation: str, key: str) -> None:
        if self.part in key and (operation in READS) is self.reading:
            raise StorageError(os.strerror(self.code), where=key) from OSError(self.code, "broken")


@pytest.mark.parametrize("reading", [False, True], ids=["writing", "reading"])
def test_one_place_of_the_archive_that_fails_costs_what_belongs_there(
    raw: Path, ingest: Ingest, tmp_path: Path, tree: Tree, reading: bool
) -> None:
    part = "TS_01/Alignments" if not reading else "manifest/10001/TS_01"
    config = load_config(raw / "config.yaml")
    source = open_source(raw, config.source_prefix, beside=config.folder)
    archive = Archive.open(_Disk(tmp_path / "archive", part, errno.EIO, reading=reading))
    plan = make_plan(config, source, Archive.open(tmp_path / "archive"), Options())
    report = run_plan(plan, archive, source.store)
    assert not report.ok
    assert report.failures
    elsewhere = {one.label for one in report.failures if not one.label.startswith("10001/TS_01/")}
    # Dataset and deposition show the first tomogram: what that is cannot be told, but their documents are there.
    assert elsewhere == ({"10001/dataset/dataset", "10301/deposition/deposition"} if reading else set())
    assert (tmp_path / "archive/10001/dataset_metadata.json").exists()
    assert any(os.strerror(errno.EIO) in (one.why or "") for one in report.failures)
    found = [one for one in verify(Archive.open(tmp_path / "archive")) if one.severity == "error"]
    assert not [one for one in found if "TS_01" not in one.path and one.rule != "V207"], found
    assert ingest(raw / "config.yaml", tmp_path / "archive").ok
    assert ingest(raw / "config.yaml", tmp_path / "undisturbed").ok
    assert tree(tmp_path / "archive") == tree(tmp_path / "undisturbed")
