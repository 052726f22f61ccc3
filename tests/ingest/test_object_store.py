"""Sources and archive on an object store: the same archive as on a disk, also after kill -9."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tomoportal.archive import Archive
from tomoportal.archive.verify import verify
from tomoportal.ingest import Report, load_config, make_plan, open_source, run_plan
from tomoportal.storage import open_store
from tomoportal.testing.object_server import s3_server
from tomoportal.testing.sources import write_sources

pytestmark = pytest.mark.slow


def test_an_archive_in_a_bucket_equals_one_on_disk(
    tmp_path: Path, ingest: Callable[..., Report], tree: Callable[[Path], dict[str, str]]
) -> None:
    config = write_sources(tmp_path / "raw", runs=1)
    assert ingest(config, tmp_path / "archive").ok
    with s3_server() as url:
        address, query = url.split("?")
        raw = open_store(f"{address}/raw?{query}", create=True)
        for path in sorted((tmp_path / "raw").rglob("*")):
            if path.is_file():
                raw.put(path.relative_to(tmp_path / "raw").as_posix(), path.read_bytes())
        loaded = load_config("config.yaml", store=raw)
        source = open_source(f"{address}/raw?{query}", loaded.source_prefix, beside=loaded.folder)
        archive = Archive.open(f"{address}/archive?{query}", create=True)
        report = run_plan(make_plan(loaded, source, archive), archive, source.store, jobs=1)
        assert report.ok, report.failures
        found = {stat.key: hashlib.sha256(archive.store.get(stat.key)).hexdigest() for stat in archive.store.list()}
        expected = tree(tmp_path / "archive")
        assert {key: digest for key, digest in found.items() if not key.startswith(".tomoportal")} == {
            key: digest for key, digest in expected.items() if not key.startswith(".tomoportal")
        }
        again = run_plan(make_plan(loaded, source, archive), archive, source.store, jobs=1)
        assert again.counts["skipped"] + again.counts["absent"] == len(again.results)


# `tomoportal ingest` in a process that kills itself before its n-th request that changes the bucket (0: counts only).
_DRIVER = """
import os, signal, sys
import obstore
from tomoportal.storage import objects
import tomoportal.formats.keyphotos as keyphotos
keyphotos.KEY_PHOTO_SIZES = {"snapshot": (512, 384), "thumbnail": (134, 100), "expanded": (160, 120)}
target, changes = int(sys.argv[1]), 0

def counted(request):
    def ask(*arguments, **more):
        global changes
        changes += 1
        if changes == target:
            os.kill(os.getpid(), signal.SIGKILL)
        return request(*arguments, **more)
    return ask

obstore.put, obstore.copy, obstore.delete = map(counted, (obstore.put, obstore.copy, obstore.delete))
objects._ObjectWriter._commit = counted(objects._ObjectWriter._commit)
from tomoportal.cli import cli
code = cli.main(["ingest", *sys.argv[2:], "--jobs", "1", "--json"], standalone_mode=False)
print(changes, file=sys.stderr)
sys.exit(code or 0)
"""


def _ingest_into(url: str, config: Path, kill_at: int = 0) -> tuple[int, str]:
    command = [sys.executable, "-c", _DRIVER, str(kill_at), str(config), "--archive", url]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr


def _digests(archive: Archive) -> dict[str, str]:
    """What is in the bucket, but for what an archive may lose or keep to itself."""
    own = (".tomoportal/cache", ".tomoportal/locks", ".tomoportal/staging")
    return {
        stat.key: hashlib.sha256(archive.store.get(stat.key)).hexdigest()
        for stat in archive.store.list()
        if not stat.key.startswith(own)
    }


def test_killed_in_the_middle_an_archive_in_a_bucket_is_finished_by_the_next_run(
    tmp_path: Path, write_whole: Callable[..., Path]
) -> None:
    """F4, F5 with every entity type: nothing but an unfinished publication is found, and then the same bytes."""
    config = write_whole(tmp_path / "raw", 1)
    unfinished = {"V306", "V501", "V504", "V707"}
    with s3_server() as server:
        address, _, query = server.partition("?")
        code, told = _ingest_into(f"{address}/undisturbed?{query}", config)
        assert code == 0, told
        changes = int(told.splitlines()[-1])
        expected = _digests(Archive.open(f"{address}/undisturbed?{query}"))
        assert len(expected) > 100
        for part in (0.1, 0.45, 0.8):
            url = f"{address}/killed{part}?{query}"
            code, _ = _ingest_into(url, config, int(part * changes))
            assert code == -signal.SIGKILL
            archive = Archive.open(url)
            found = verify(archive)
            assert {one.rule for one in found} <= unfinished, found
            assert _digests(archive) != expected
            code, told = _ingest_into(url, config)
            assert code == 0, told
            assert _digests(archive) == expected
