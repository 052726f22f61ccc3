"""The list 'Bad input' of the issue: an error that names file and field, nothing half-written, the other runs done."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomoportal.ingest import Report
from tomoportal.testing.sources import SHAPE, SPACING, write_mrc

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Ingest = Callable[..., Report]
VOLUME = "tomograms/TS_01.rec"


def _patch(path: Path, offset: int, layout: str, *values: float) -> None:
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, offset, *values)
    path.write_bytes(bytes(data))


def _truncate(raw: Path) -> None:
    path = raw / VOLUME
    path.write_bytes(path.read_bytes()[:5000])


def _nan(raw: Path) -> None:
    volume = np.ones(SHAPE, np.float32)
    volume[3, 4, 5] = np.nan
    write_mrc(raw / VOLUME, volume, SPACING)


def _anisotropic(raw: Path) -> None:
    _patch(raw / VOLUME, 40, "<3f", SHAPE[2] * SPACING, SHAPE[1] * SPACING * 2, SHAPE[0] * SPACING)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_truncate, ("header promises", "5000")),
        (lambda raw: _patch(raw / VOLUME, 8, "<i", 120), ("header promises", "120")),
        (lambda raw: _patch(raw / VOLUME, 12, "<i", 77), ("mode", "77")),
        (lambda raw: (raw / VOLUME).write_bytes(b""), ("TS_01.rec",)),
        (lambda raw: (raw / VOLUME).write_bytes(b"not an mrc file" * 100), ("TS_01.rec",)),
        (_nan, ("NaN", "TS_01.rec")),
        (_anisotropic, ("not cubes", "cella")),
    ],
    ids=["truncated", "wrong nz", "unknown mode", "empty", "no mrc", "nan", "anisotropic"],
)
def test_a_bad_volume_fails_its_run_only(
    raw: Path, ingest: Ingest, tmp_path: Path, spoil: Callable[[Path], object], words: tuple[str, ...]
) -> None:
    spoil(raw)
    archive = tmp_path / "archive"
    report = ingest(raw / "config.yaml", archive)
    assert not report.ok
    assert all(failure.label.startswith("10001/TS_01/") for failure in report.failures)
    texts = " ".join(f"{failure.name}: {failure.why}" for failure in report.failures)
    for word in (VOLUME, *words):
        assert word in texts
    assert not (archive / "10001/TS_01/Reconstructions/VoxelSpacing13.480/Tomograms/100").exists()
    assert (archive / "10001/TS_02/Reconstructions/VoxelSpacing13.480/Tomograms/100/tomogram_metadata.json").exists()
    assert (archive / "10001/dataset_metadata.json").exists()
    assert not list((archive / ".tomoportal").glob("staging/*/*"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda raw: _patch(raw / VOLUME, 40, "<3f", 0, 0, 0), "no voxel size"),
        (lambda raw: _patch(raw / VOLUME, 212, "<4B", 0, 0, 0, 0), "machine stamp"),
        (lambda raw: _patch(raw / VOLUME, 40, "<3f", *(10.0 * n for n in SHAPE[::-1])), "13.480"),
    ],
    ids=["zero voxel size", "machine stamp", "other spacing"],
)
def test_what_the_config_can_mend_is_a_warning(
    raw: Path, ingest: Ingest, tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(raw)
    report = ingest(raw / "config.yaml", tmp_path / "archive")
    assert report.ok
    assert any(words in text and VOLUME in name and VOLUME not in text for name, text in report.warnings)


def test_unsigned_bytes_keep_their_contrast(raw: Path, ingest: Ingest, tmp_path: Path) -> None:
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 256
    write_mrc(raw / VOLUME, values.astype(np.uint8).view(np.int8), SPACING)
    _patch(raw / VOLUME, 76, "<3f", 0.0, 255.0, 127.5)
    report = ingest(raw / "config.yaml", tmp_path / "archive")
    assert any("unsigned bytes" in text for _, text in report.warnings)
    written = tmp_path / "archive/10001/TS_01/Reconstructions/VoxelSpacing13.480/Tomograms/100/TS_01.mrc"
    stored = np.frombuffer(written.read_bytes()[1024:], np.int8).reshape(SHAPE)
    assert np.array_equal(stored.astype(int), values - 128)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("stacks/TS_01.mdoc", b"[ZValue = 0]\nTiltAngle = steep\n", ("steep", "stacks/TS_01.mdoc")),
        ("stacks/TS_01.rawtlt", b"-4\n-2\nzero\n2\n", ("zero", "stacks/TS_01.rawtlt:3")),
        ("stacks/TS_01.rawtlt", b"-4\n-2\n0\n", ("3 raw tilt angles for 4 sections",)),
        ("stacks/TS_01.rawtlt", b"-44\n-2\n0\n2\n", ("-44",)),
        ("stacks/TS_01.xf", b"1 0 0 1 0\n", ("six numbers", "stacks/TS_01.xf:1")),
        ("stacks/TS_01.tlt", b"-4\n-2\n0\n", ("differ in length",)),
        ("points/TS_01.csv", b"1,2,3\n1,2\n", ("points/TS_01.csv:2",)),
        ("masks/TS_01_labels.mrc", b"nothing", ("masks/TS_01_labels.mrc",)),
        ("particles.star", b"data_\nloop_\n_rlnCoordinateX #1\n1\n", ("particles.star", "rlnCoordinateY")),
    ],
)
def test_a_bad_small_file_is_named_with_its_line(
    raw: Path, ingest: Ingest, tmp_path: Path, name: str, data: bytes, words: tuple[str, ...]
) -> None:
    (raw / name).write_bytes(data)
    report = ingest(raw / "config.yaml", tmp_path / "archive")
    texts = " ".join(f"{failure.name} {failure.why}" for failure in report.failures)
    for word in words:
        assert word in texts
    if name != "particles.star":
        assert not any("TS_02" in failure.label for failure in report.failures)


def test_a_source_that_vanishes_after_planning_is_named(
    raw: Path, ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tomoportal.ingest import running

    class Vanishing(running._Schedule):
        def __init__(self, *arguments: Any) -> None:
            (raw / VOLUME).unlink()
            super().__init__(*arguments)

    monkeypatch.setattr(running, "_Schedule", Vanishing)
    report = ingest(raw / "config.yaml", tmp_path / "archive")
    assert any(VOLUME in (failure.why or "") for failure in report.failures)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(raw: Path, ingest: Ingest, tmp_path: Path) -> None:
    (raw / VOLUME).chmod(0)
    report = ingest(raw / "config.yaml", tmp_path / "archive")
    assert any(VOLUME in (failure.why or "") for failure in report.failures)


class _FullDisk:
    """A file on a disk that takes so many more bytes."""

    left = 0

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: Any) -> Any:
        _FullDisk.left -= len(data)
        if _FullDisk.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._file.write(data)


@pytest.mark.parametrize("left", [20_000, 150_000])
def test_a_full_disk_stops_the_work_and_leaves_nothing_half_written(
    raw: Path,
    ingest: Ingest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tree: Callable[[Path], dict[str, str]],
    left: int,
) -> None:
    from tomoportal.storage.local import LocalStore

    create = LocalStore._create_beside

    def limited(self: LocalStore, *where: Any) -> Any:
        temporary, file = create(self, *where)
        return temporary, _FullDisk(file)

    monkeypatch.setattr(_FullDisk, "left", left)
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "_create_beside", limited)
        report = ingest(raw / "config.yaml", tmp_path / "archive")
    failed = [failure for failure in report.failures if failure.outcome == "failed"]
    assert len(failed) == 1
    assert "the disk is full" in (failed[0].why or "")
    assert sum(failure.outcome == "not attempted" for failure in report.failures) > 3
    assert ingest(raw / "config.yaml", tmp_path / "archive").ok  # after some space was freed
    assert ingest(raw / "config.yaml", tmp_path / "undisturbed").ok
    assert tree(tmp_path / "archive") == tree(tmp_path / "undisturbed")
