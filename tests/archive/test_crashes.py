"""Killed or failing at any moment, an archive has the old item or the new one, and a rerun finishes the work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import specimen

from tomoportal.archive import Archive
from tomoportal.errors import StorageError
from tomoportal.storage import Store, open_store
from tomoportal.testing.faulty import FaultyStore, Killed
from tomoportal.testing.object_server import s3_server


def test_killed_before_any_change_of_the_file_system(tmp_path: Path) -> None:
    script = Path(__file__).with_name("crash_matrix.py")
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    places = [int(line.split()[-2]) for line in done.stdout.splitlines()]
    assert len(places) == 2
    assert min(places) > 60


def content(store: Store) -> dict[str, bytes]:
    return {stat.key: store.get(stat.key) for stat in store.list() if "/cache/" not in stat.key}


def undisturbed(rounds: int) -> dict[str, bytes]:
    store = open_store("memory://")
    for round_ in range(1, rounds + 1):
        specimen.publish_round(Archive.open(store), round_)
    return content(store)


def sweep_own_staging(store: Store) -> None:
    """In these tests the dead process is this one, so that nobody takes its staging folder for abandoned."""
    store.delete_tree(".tomoportal/staging")


def matrix(stores: Iterator[Store], round_: int, *, kill: bool, stride: int = 1) -> int:
    expected = undisturbed(round_)
    for number in range(0, 100_000, stride):
        store = next(stores)
        if round_ == 2:
            specimen.publish_round(Archive.open(store), 1)
        faulty = FaultyStore.only_writes(store, fail_at=number, kill=kill)
        try:
            specimen.publish_round(Archive.open(faulty), round_)
        except (StorageError, Killed):
            failed = True
        else:
            failed = False
        archive = Archive.open(store)
        if round_ == 1:
            specimen.check_documents(archive)
        assert all(each.outcome == "finished" for each in archive.recover())
        specimen.check_whole(archive)
        if kill:
            sweep_own_staging(store)
        specimen.publish_round(archive, round_)
        specimen.check_whole(archive)
        assert content(store) == expected, number
        if not failed:
            return number
    raise AssertionError("the workload never ended")


def memory() -> Iterator[Store]:
    while True:
        yield open_store("memory://")


@pytest.mark.parametrize("round_", [1, 2])
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "failed"])
def test_any_operation_of_the_store(round_: int, kill: bool) -> None:
    assert matrix(memory(), round_, kill=kill) > 30


@pytest.mark.slow
def test_any_operation_on_s3() -> None:
    with s3_server() as url:
        address, _, query = url.partition("?")

        def buckets() -> Iterator[Store]:
            for number in range(100_000):
                yield open_store(f"{address}/archive{number}?{query}")

        assert matrix(buckets(), 2, kill=True) > 30


def test_an_archive_on_s3_survives_deaths() -> None:
    with s3_server() as url:
        address, _, query = url.partition("?")

        def buckets() -> Iterator[Store]:
            for number in range(100_000):
                yield open_store(f"{address}/archive{number}?{query}")

        assert matrix(buckets(), 2, kill=True, stride=9) > 30


def test_lost_staged_files_withdraw_the_item() -> None:
    """A power cut may take staged files whose names were flushed: the item goes, whole, and comes back by a rerun."""
    store = open_store("memory://")
    archive = Archive.open(store)
    specimen.publish_round(archive, 1)
    operations = 0
    while True:
        faulty = FaultyStore.only_writes(store, fail_at=operations, kill=True)
        with pytest.raises(Killed):
            specimen.publish_round(Archive.open(faulty), 2)
        if archive.pending() and len(list(store.list(".tomoportal/staging"))) > 2:
            break
        sweep_own_staging(store)
        archive.recover()
        operations += 1
    store.delete_tree(".tomoportal/staging")
    assert [each.outcome for each in archive.recover()] == ["withdrawn"]
    specimen.check_whole(archive)
    run = next(archive.containers())
    assert ("frames", "frames") not in archive.manifest(run).items
    assert not store.is_folder(f"{run.key}/Frames")
    specimen.publish_round(archive, 2)
    specimen.check_whole(archive)
    assert content(store) == undisturbed(2)
