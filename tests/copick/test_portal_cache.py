"""Answers on disk: who may use them, for how long, and what they survive (reference copick-portal, 10 and 15)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from graphql import build_schema, parse, validate

import tomoportal.copick as copick
from tomoportal.copick.portal import opening, tables
from tomoportal.copick.portal.answers import clear_cache, kept_answers
from tomoportal.copick.portal.config import CopickConfigCDP, settings_of
from tomoportal.errors import PortalError, SettingsError
from tomoportal.server import LiveServer, Settings
from tomoportal.testing.sample_archive import write_sample_archive
from tomoportal.testing.scripted_server import ScriptedServer

MANY, RUNS = 10003, 14


class Between:
    """A server in front of the portal, that passes questions on as long as ``answer`` has nothing else to say."""

    def __init__(self, portal: str) -> None:
        self.answer: Callable[[str], tuple[int, bytes] | None] = lambda query: None
        self.queries: list[str] = []
        self._portal = portal
        self._server = ScriptedServer(self._reply)
        self.url, self.close = self._server.url, self._server.close

    def _reply(self, number: int, request: Any) -> tuple[int, dict[str, str], bytes]:
        query = parse_qs(urlsplit(request.path).query)["query"][0]
        self.queries.append(query)
        if answer := self.answer(query):
            return answer[0], {}, answer[1]
        with urllib.request.urlopen(f"{self._portal}{request.path}") as reply:
            return reply.status, {}, reply.read()


@pytest.fixture
def between(portal: LiveServer) -> Iterator[Between]:
    made = Between(portal.url)
    yield made
    made.close()


def list_all(root: Any) -> int:
    return len(root.picks()) + len(root.segmentations()) + len(root.tomograms())


def cache_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("portal_*.json"))


def test_a_second_program_asks_nothing(portal_root: Any, asked: Any, tmp_path: Path) -> None:
    count = list_all(portal_root())
    asked()
    assert list_all(portal_root()) == count
    assert asked() == {}
    kept = cache_files(tmp_path)
    assert len(kept) == 3
    assert all(path.parent == tmp_path / "project" / "overlay" / ".copick_cache" for path in kept)


def test_c73_portals_with_equal_datasets_never_answer_for_each_other(
    portal_root: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same dataset number, objects, overlay and cache folder; another portal, which has fewer annotations."""
    archive = write_sample_archive(tmp_path_factory.mktemp("other"))
    monkeypatch.setenv("COPICK_PORTAL_CACHE_DIR", str(tmp_path / "shared"))
    with LiveServer(Settings(archive=str(archive.store.local_path("")))) as other:
        root = portal_root()
        mine = list_all(root)
        theirs = list_all(portal_root(portal_url=other.url))
        assert theirs < mine
        assert list_all(portal_root(portal_url=root.portal_url)) == mine
    assert list_all(portal_root(portal_url=other.url)) == theirs, "also when it is gone"
    assert {json.loads(path.read_text())["endpoint"] for path in cache_files(tmp_path / "shared")} == {
        root.portal_url,
        f"{other.url}/graphql",
    }


def test_an_old_answer_is_asked_for_conditionally(portal_root: Any, asked: Any) -> None:
    count = list_all(portal_root())
    age(portal_root(), 100)
    asked()
    assert list_all(portal_root(portal_cache_ttl_seconds=50)) == count
    assert asked() == {"304": 3}
    assert list_all(portal_root()) == count
    assert asked() == {}, "it is young again"
    age(portal_root(), 10**9)
    assert list_all(portal_root(portal_cache_ttl_seconds=0)) == count
    assert asked() == {}, "0 means for ever"


def age(root: Any, seconds: float) -> None:
    for path in cache_files(Path(root.root_overlay)):
        document = json.loads(path.read_text())
        path.write_text(json.dumps({**document, "checked": document["checked"] - seconds}))


def test_c82_refresh_asks_whether_the_answers_still_hold(portal_root: Any, asked: Any) -> None:
    root = portal_root()
    count = list_all(root)
    run = root.runs[0]
    asked()
    root.refresh()
    assert asked() == {"304": 1}
    assert list_all(root) == count
    assert asked() == {"304": 2}
    assert root.runs[0] is run, "C18: the same object"
    list_all(root)
    assert asked() == {}


def test_c82_refresh_shows_what_is_new(portal_root: Any, between: Between) -> None:
    root = portal_root(portal_url=between.url)
    assert len(root.runs) == 2
    between.answer = lambda query: (200, b'{"data": {"datasets": [{"id": 10001}], "runs": []}}')
    assert len(root.runs) == 2
    root.reconnect()
    assert len(root.runs) == 2, "only the overlay is opened again"
    root.refresh()
    assert root.runs == []


def test_a_portal_that_is_down_is_shown_as_it_was_and_that_is_said(portal_root: Any, between: Between) -> None:
    count = list_all(portal_root(portal_url=between.url))
    between.close()
    assert list_all(portal_root()) == count
    age(portal_root(), 90_000)
    root = portal_root()
    with pytest.warns(UserWarning, match=r"cannot be reached: .*; what it answered 25.0 hours ago is shown"):
        assert list_all(root) == count
    assert {problem.where for problem in root.problems()} == {f"{between.url}/graphql"}
    with pytest.raises(PortalError, match="cannot be reached"):
        root.picks(portal_author_query=["Ada Author"])  # never asked before


def test_a_portal_that_answers_with_an_error_is_not_hidden_by_the_cache(portal_root: Any, between: Between) -> None:
    list_all(portal_root(portal_url=between.url))
    between.answer = lambda query: (200, b'{"data": null, "errors": [{"message": "no such field"}]}')
    root = portal_root(portal_cache_ttl_seconds=1)
    age(root, 10)
    with pytest.raises(PortalError, match="no such field"):
        root.runs  # noqa: B018


def test_what_a_portal_cannot_answer_at_once_is_asked_for_in_halves(portal_root: Any, between: Between) -> None:
    """The public portal answers 502 when too much is asked for at a time."""

    def overloaded(query: str) -> tuple[int, bytes] | None:
        found = re.search(r"_gte: (\d+) _lte: (\d+)", query)
        return (502, b"") if found and int(found[2]) - int(found[1]) >= 10 else None

    between.answer = overloaded
    root = portal_root([MANY], portal_url=between.url)
    assert list_all(root) == RUNS * 5
    assert len({picks.session_id for picks in root.picks()}) == RUNS * 4
    between.queries.clear()
    assert list_all(portal_root()) == RUNS * 5
    assert between.queries == [], "what was put together is kept as a whole"
    between.answer = lambda query: (502, b"") if "_gte" in query else None
    with pytest.raises(PortalError, match="HTTP status 502"):
        list_all(portal_root(portal_cache=False))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema_version": 1, "data": {}}', b"\xff"])
def test_damaged_and_foreign_documents_count_as_absent(portal_root: Any, tmp_path: Path, content: bytes) -> None:
    count = list_all(portal_root())
    for path in cache_files(tmp_path):
        path.write_bytes(content)
    assert list_all(portal_root()) == count
    assert all(json.loads(path.read_text())["endpoint"] for path in cache_files(tmp_path))


def test_c73_an_answer_that_names_another_portal_is_a_miss(portal_root: Any, asked: Any, tmp_path: Path) -> None:
    count = list_all(portal_root())
    for path in cache_files(tmp_path):
        path.write_text(json.dumps({**json.loads(path.read_text()), "endpoint": "http://elsewhere/graphql"}))
    asked()
    assert list_all(portal_root()) == count
    assert asked() == {"200": 3}


def test_the_cache_may_be_switched_off_or_lie_elsewhere(
    portal_root: Any, asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_all(portal_root(portal_cache=False))
    assert cache_files(tmp_path) == []
    monkeypatch.setenv("COPICK_PORTAL_CACHE", "1")
    monkeypatch.setenv("COPICK_PORTAL_CACHE_DIR", str(tmp_path / "elsewhere"))
    list_all(portal_root())
    assert [path.parent for path in cache_files(tmp_path)] == [tmp_path / "elsewhere"] * 3
    monkeypatch.setenv("COPICK_PORTAL_CACHE", "perhaps")
    monkeypatch.setenv("COPICK_PORTAL_CACHE_TTL", "soon")
    with pytest.warns(UserWarning, match="COPICK_PORTAL_CACHE"):
        root = portal_root()
    assert not root._settings.cache
    assert root._settings.cache_seconds == 86400


def test_where_the_overlay_cannot_be_written_the_users_cache_serves(portal_root: Any, tmp_path: Path) -> None:
    list_all(portal_root(name="first"))
    users = tmp_path / "cache" / "copick" / "portal"
    assert not users.exists()
    root = portal_root()
    root._overlay.store.put = refuse  # a store that fails; as root, folders without rights can still be written
    list_all(root)
    assert len(cache_files(users)) == 3


def refuse(*arguments: Any, **options: Any) -> str:
    raise OSError("no space left")


def test_programs_that_start_together_ask_once(portal_root: Any, between: Between, tmp_path: Path) -> None:
    portal_root(portal_url=between.url)
    between.queries.clear()
    code = "import sys, tomoportal.copick as copick; print(len(copick.from_file(sys.argv[1]).picks()))"
    command = [sys.executable, "-c", code, str(tmp_path / "project" / "config.json")]
    programs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) for _ in range(4)]
    told = {program.communicate()[0].strip() for program in programs}
    assert told == {"6"}
    assert len(between.queries) == 2, "runs, and annotations"


def test_what_is_kept_can_be_looked_at_and_removed_without_the_portal(portal_root: Any, asked: Any) -> None:
    root = portal_root()
    list_all(root)
    store = root._overlay.store
    store.put(".copick_cache/portal_0123.json", b'{"schema_version": 1}')
    asked()
    found = kept_answers(root._settings, store)
    assert len(found) == 4
    ours = [each for each in found if each.endpoint is not None]
    assert {(each.endpoint, each.dataset_ids, each.is_fresh) for each in ours} == {(root.portal_url, (10001,), True)}
    assert all(Path(each.where).stat().st_size == each.size and each.age < 100 for each in ours)
    assert clear_cache(ours) == 3
    assert [each.endpoint for each in kept_answers(root._settings, store)] == [None], "upstream's stays"
    assert asked() == {}


# --- settings


def config_of(**changes: Any) -> CopickConfigCDP:
    return CopickConfigCDP.model_validate(
        {
            "pickable_objects": [],
            "overlay_root": "x",
            "dataset_ids": [1],
            "config_type": "cryoet_data_portal",
            **changes,
        }
    )


def test_settings_come_from_the_environment_then_from_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = settings_of(config_of())
    assert (plain.access, plain.cache, plain.cache_seconds, plain.lock_seconds) == ("https", True, 86400, 60)
    assert plain.url == "https://graphql.cryoetdataportal.czscience.com/graphql"
    assert settings_of(config_of(portal_s3_endpoint_url="https://s3.example")).access == "s3"
    assert (
        settings_of(config_of(portal_files_root="/data", portal_s3_endpoint_url="https://s3.example")).access == "file"
    )
    monkeypatch.setenv("COPICK_PORTAL_URL", "https://portal.example")
    monkeypatch.setenv("COPICK_PORTAL_ACCESS", "https")
    found = settings_of(config_of(portal_url="https://other.example", portal_files_root="/data"))
    assert (found.url, found.access) == ("https://portal.example", "https")
    monkeypatch.setenv("COPICK_PORTAL_ACCESS", "ftp")
    with pytest.raises(SettingsError, match="'ftp'"):
        settings_of(config_of())
    monkeypatch.setenv("COPICK_PORTAL_ACCESS", "file")
    with pytest.raises(SettingsError, match="where the archive is mounted"):
        settings_of(config_of())


def test_ours_are_written_only_where_they_are_set_and_unknown_keys_are_told(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    document = {"config_type": "cryoet_data_portal", "overlay_root": str(tmp_path), "dataset_ids": [1],
                "pickable_objects": [], "portal_ur": "x"}  # fmt: skip
    with pytest.warns(UserWarning, match="write 'portal_url'"):
        root = copick.from_string(json.dumps(document))
    root.save_config(path)
    saved = json.loads(path.read_text())
    assert saved["portal_ur"] == "x"
    assert saved["portal_cache_ttl_seconds"] == 86400
    assert not {"portal_url", "portal_access", "portal_files_root", "portal_all_objects"} & saved.keys()
    with pytest.raises(ValueError, match="dataset_ids"):
        copick.from_string('{"config_type": "cryoet_data_portal", "overlay_root": "x", "pickable_objects": []}')


# --- the public portal


def test_the_public_portals_schema_knows_every_question() -> None:
    """The contract is the schema in the package of its client, which the public portal's server equals."""
    schema = build_schema(resources.files("cryoet_data_portal").joinpath("data/schema.graphql").read_text())
    runs = "{datasetId: {_in: [10000, 10001]} id: {_gte: 1 _lte: 900}}"
    texts = [tables._RUNS, tables._IMAGES, tables._FILES, tables._CAPTIONS, tables._ANNOTATION_DETAILS]
    texts += [tables._TOMOGRAM_DETAILS, opening._QUERY]
    for text in texts:
        query = text.replace("RUNS", runs).replace("IDS", "[10000, 10001]")
        assert validate(schema, parse(query)) == [], query
        assert len(query) < 4000, "short enough for an address, and so for a conditional question"
