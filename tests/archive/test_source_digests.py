from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tomoportal.archive import Archive, SourceDigests
from tomoportal.errors import NotFoundError
from tomoportal.storage import open_store
from tomoportal.testing.faulty import FaultyStore

CACHE = ".tomoportal/cache/source-digests.json"


@pytest.fixture
def archive() -> Archive:
    return Archive.open("memory://")


@pytest.fixture
def source(tmp_path: Path) -> FaultyStore:
    for name, data in {"a.mrc": b"abc", "v.zarr/0/0": b"0", "v.zarr/.zattrs": b"{}", "v.zarr2/x": b"2"}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (1_000_000, 1_000_000))
    return FaultyStore(open_store(tmp_path))


def test_a_file_is_read_once(archive: Archive, source: FaultyStore) -> None:
    with SourceDigests(archive) as digests:
        assert digests.digest(source, "a.mrc") == hashlib.sha256(b"abc").hexdigest()
        reads = source.counts["get_range"]
        assert reads
        digests.digest(source, "a.mrc")
    with SourceDigests(archive) as digests:
        assert digests.digest(source, "a.mrc") == hashlib.sha256(b"abc").hexdigest()
    assert source.counts["get_range"] == reads


def test_a_change_of_equal_size_is_seen(archive: Archive, source: FaultyStore, tmp_path: Path) -> None:
    with SourceDigests(archive) as digests:
        digests.digest(source, "a.mrc")
    (tmp_path / "a.mrc").write_bytes(b"abd")
    os.utime(tmp_path / "a.mrc", (1_000_001, 1_000_001))
    assert SourceDigests(archive).digest(source, "a.mrc") == hashlib.sha256(b"abd").hexdigest()


def test_a_file_that_is_just_written_is_not_remembered(
    archive: Archive, source: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomoportal.archive.source_digests.time.time", lambda: 1_000_001.0)
    with SourceDigests(archive) as digests:
        digests.digest(source, "a.mrc")
    assert not archive.store.exists(CACHE)


def test_a_folder_is_its_names_and_contents(archive: Archive, source: FaultyStore, tmp_path: Path) -> None:
    with SourceDigests(archive) as digests:
        first = digests.digest(source, "v.zarr")
        lines = "".join(
            f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in ((".zattrs", b"{}"), ("0/0", b"0"))
        )
        assert first == hashlib.sha256(lines.encode()).hexdigest()
    reads = source.counts["get_range"]
    assert SourceDigests(archive).digest(source, "v.zarr") == first
    assert source.counts["get_range"] == reads
    (tmp_path / "v.zarr" / "0" / "0").rename(tmp_path / "v.zarr" / "0" / "1")
    assert SourceDigests(archive).digest(source, "v.zarr") != first
    with pytest.raises(NotFoundError):
        digests.digest(source, "missing")


def test_two_users_of_the_cache_keep_what_the_other_found(archive: Archive, source: FaultyStore) -> None:
    first, second = SourceDigests(archive), SourceDigests(archive)
    first.digest(source, "a.mrc")
    second.digest(source, "v.zarr")
    first.flush()
    second.flush()
    reads = source.counts["get_range"]
    with SourceDigests(archive) as digests:
        digests.digest(source, "a.mrc")
        digests.digest(source, "v.zarr")
    assert source.counts["get_range"] == reads


@pytest.mark.parametrize("data", [b"", b"nonsense", b'{"a": 1}'])
def test_a_damaged_cache_is_no_error(archive: Archive, source: FaultyStore, data: bytes) -> None:
    archive.store.put(CACHE, data)
    assert SourceDigests(archive).digest(source, "a.mrc") == hashlib.sha256(b"abc").hexdigest()


def test_a_read_only_archive_has_no_cache_written(source: FaultyStore, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    with SourceDigests(Archive.open(tmp_path / "archive", read_only=True)) as digests:
        digests.digest(source, "a.mrc")
    assert list((tmp_path / "archive").iterdir()) == []
