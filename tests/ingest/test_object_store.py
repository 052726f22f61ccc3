"""Sources and archive on an object store: the same archive as on a disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tomoportal.archive import Archive
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
