"""Documents of a portal's rows, as upstream keeps them; its own tests run in ``test_upstream_suite.py``."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import fsspec
import pytest

from tomoportal.copick.portal import row_documents as documents
from tomoportal.copick.portal.config import CacheSettings, CopickConfigCDP
from tomoportal.errors import StorageError

ROWS: dict[str, Any] = {name: [] for name in documents.DATA_KEYS}
FINGERPRINT = "f" * 64


@pytest.fixture(autouse=True)
def users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users"))
    return tmp_path / "users" / "copick" / "portal"


def fetched(root: Path | str, fetch: Callable[[], dict[str, Any]], **options: Any) -> dict[str, Any]:
    fs = options.pop("fs", None) or fsspec.filesystem("file", auto_mkdir=True)
    settings = options.pop("settings", CacheSettings(lock_timeout_seconds=300))
    return documents.get_or_fetch(FINGERPRINT, [10001], settings, fetch, fs, str(root), **options)


def test_portals_do_not_share_rows() -> None:
    """C73: the fingerprint of rows of another portal is another one; that of the public portal is upstream's."""
    public = documents.compute_fingerprint([2, 1], ["GO:2", "GO:1"])
    assert documents.compute_fingerprint([1, 2], ["GO:1", "GO:2"], portal_url=documents.PUBLIC_PORTAL) == public
    others = {documents.compute_fingerprint([1, 2], ["GO:1", "GO:2"], portal_url=f"https://{n}.org") for n in "ab"}
    assert len(others | {public}) == 3
    config = CopickConfigCDP(
        pickable_objects=[], overlay_root="local:///o", dataset_ids=[1], portal_url="https://a.org"
    )
    assert documents.fingerprint_for_config(config) == documents.compute_fingerprint(
        [1], [], portal_url="https://a.org"
    )
    assert documents.fingerprint_for_config(config) != documents.compute_fingerprint([1], [])


BOTH = """
import fsspec, json, sys
import copick.util.portal_cache as theirs
import tomoportal.copick.portal.row_documents as ours
fs, folder = fsspec.filesystem("file", auto_mkdir=True), sys.argv[1]
checked = 0
for writer, reader in ((ours, theirs), (theirs, ours)):
    rows = {key: [{"id": 1, "of": writer.__name__}] for key in writer.DATA_KEYS}
    print_ = writer.compute_fingerprint([3, 1], ["GO:1"])
    assert print_ == reader.compute_fingerprint([1, 3], ["GO:1"])
    root = f"{folder}/{writer.__name__}"
    for module, fetch in ((writer, lambda: rows), (reader, lambda: 1 / 0)):
        assert module.get_or_fetch(print_, [1, 3], module.CacheSettings(), fetch, fs, root) == rows
        checked += 1
assert theirs.SHAPE_TYPES == ours.SHAPE_TYPES and theirs.SCHEMA_VERSION == ours.SCHEMA_VERSION
documents = [json.loads(fs.cat(path)) for path in fs.glob(f"{folder}/*/.copick_cache/portal_*.json")]
assert len(documents) == 2 and set(documents[0]) == set(documents[1])
print(checked)
"""


def test_upstream_reads_what_we_keep_and_we_what_it_keeps(plugins: Callable[..., Any], tmp_path: Path) -> None:
    assert plugins(BOTH, tmp_path / "project", XDG_CACHE_HOME=str(tmp_path / "users")) == 4


def test_a_failure_to_fetch_is_told_and_not_tried_again(tmp_path: Path) -> None:
    calls = []

    def fails() -> dict[str, Any]:
        calls.append(1)
        raise StorageError("the portal is down", where="x")

    with pytest.raises(StorageError, match="is down"):
        fetched(tmp_path, fails)
    assert calls == [1]


def test_many_at_once_fetch_once(tmp_path: Path) -> None:
    calls, barrier = [], Barrier(8)

    def work(_: int) -> dict[str, Any]:
        barrier.wait()
        return fetched(tmp_path, lambda: calls.append(1) or ROWS)  # type: ignore[func-returns-value]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [ROWS] * 8
    assert calls == [1]


def test_rows_go_where_they_can_be_written(tmp_path: Path, users_cache: Path) -> None:
    """An overlay that is no folder: the user's cache serves. One in memory: there, whole, without a lock."""
    (tmp_path / "file").write_text("")
    assert fetched(tmp_path / "file", lambda: ROWS) == ROWS
    assert fetched(tmp_path / "file", lambda: pytest.fail("asked again")) == ROWS
    assert [each.name for each in users_cache.glob("portal_*")] == [f"portal_{FINGERPRINT}.json"]
    memory = fsspec.filesystem("memory")
    chosen = CacheSettings(cache_dir=str(tmp_path / "chosen"))
    assert fetched("/project", lambda: {**ROWS, "runs": [{"id": 1}]}, fs=memory, force=True)["runs"] == [{"id": 1}]
    (place,) = memory.glob("/project/.copick_cache/*")
    assert json.loads(memory.cat(place))["data"]["runs"] == [{"id": 1}]
    assert not documents.resolve_locations("f", CacheSettings(), memory, "/project")[0].lockable
    assert fetched("/project", lambda: ROWS, fs=memory, settings=chosen) == ROWS
    assert (tmp_path / "chosen" / f"portal_{FINGERPRINT}.json").exists()
    memory.rm("/project", recursive=True)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "null",
        '{"schema_version": 2}',
        json.dumps({"schema_version": 1, "fingerprint": FINGERPRINT, "created": "2999-01-01T00:00:00", "data": ROWS}),
        json.dumps({"schema_version": 1, "fingerprint": FINGERPRINT, "created": 7, "data": ROWS}),
        json.dumps(
            {"schema_version": 1, "fingerprint": FINGERPRINT, "created": "2999-01-01T00:00:00+00:00", "data": 1}
        ),
        '{"a":' * 100_000,
    ],
    ids=["cut", "list", "null", "schema", "no-zone", "date", "data", "deep"],
)
def test_a_damaged_document_is_a_miss(tmp_path: Path, content: str) -> None:
    place = tmp_path / ".copick_cache" / f"portal_{FINGERPRINT}.json"
    place.parent.mkdir()
    place.write_text(content)
    assert fetched(tmp_path, lambda: {**ROWS, "runs": [1]})["runs"] == [1]
    assert json.loads(place.read_text())["data"]["runs"] == [1]


def test_the_answers_of_our_projects_are_shown_and_cleared_with_them(portal_root: Callable[..., Any]) -> None:
    """A program that clears upstream's cache clears what makes our projects skip the portal."""
    root = portal_root()
    assert len(root.runs) > 0
    found = documents.status_for_config(root.config)
    assert [each.exists for each in found[:2]] == [False, False]
    assert len(found) == 3
    assert found[2].exists
    assert found[2].fresh
    assert documents.clear(root.config) == [found[2].path]
    assert not Path(found[2].path).exists()
    assert documents.clear(root.config) == []
    assert len(documents.status_for_config(root.config)) == 2


def test_a_project_and_its_documents_are_found_by_the_config(portal_root: Callable[..., Any]) -> None:
    config = portal_root().config
    fs, place = documents.build_overlay_fs(config)
    print_ = documents.fingerprint_for_config(config)
    settings = documents.settings_from_config(config)
    documents.get_or_fetch(print_, config.dataset_ids, settings, lambda: ROWS, fs, place)
    status = documents.status_for_config(config)[0]
    assert status.exists
    assert status.fresh
    assert status.created is not None
    assert status.lockable
    assert documents.clear(config, remove_all=True) == [status.path]
