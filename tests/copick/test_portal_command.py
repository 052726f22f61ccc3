"""``tomoportal copick from-portal``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tomoportal.copick as copick
from tomoportal.cli import main
from tomoportal.server import LiveServer


@pytest.fixture
def command(tmp_path: Path, portal: LiveServer, capsys: pytest.CaptureFixture[str], portal_root: Any) -> Any:
    def call(*arguments: str) -> tuple[int, str, str]:
        overlay = ["--overlay", str(tmp_path / "overlay")]
        with pytest.raises(SystemExit) as ended:
            main(["copick", "from-portal", *arguments, *([] if "--overlay" in arguments else overlay)])
        told = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, told.out, told.err

    return call


def test_a_config_is_written_that_opens(command: Any, portal: LiveServer, tmp_path: Path) -> None:
    path = tmp_path / "new" / "project.json"
    code, out, err = command("DS-10001", "10002", "--output", str(path), "--endpoint", portal.url, "--user-id", "ada")
    assert (code, out.strip()) == (0, str(path))
    assert f"5 objects annotated in 2 datasets of {portal.url}/graphql" in " ".join(err.split())
    root = copick.from_file(path)
    assert len(root.runs) == 3
    assert root.user_id == "ada"
    assert json.loads(path.read_text())["dataset_ids"] == [10001, 10002]
    code, _, err = command("10001", "--output", str(path), "--endpoint", portal.url)
    assert code == 1
    assert "exists already" in err
    assert json.loads(path.read_text())["dataset_ids"] == [10001, 10002]
    code, out, _ = command("10001", "--output", str(path), "--endpoint", portal.url, "--force", "--json")
    assert code == 0
    assert json.loads(out)["datasets"] == [10001]
    assert {each["identifier"] for each in json.loads(out)["objects"]} == set(root.go_map) - {"GO:0005840"}


def test_a_dry_run_shows_the_objects_and_writes_nothing(command: Any, portal: LiveServer, tmp_path: Path) -> None:
    path = tmp_path / "project.json"
    given = ["DS-10001", "--output", str(path), "--endpoint", portal.url, "--dry-run"]
    code, out, err = command(*given)
    assert code == 0
    assert [line.split()[1:] for line in out.splitlines() if line.startswith("cytosolic-ribosome ")] == [
        ["GO:0022626", "points"]
    ]
    assert "4 objects annotated in 1 dataset of" in " ".join(err.split())
    code, out, _ = command(*given, "--json")
    assert (code, json.loads(out)["dry_run"], len(json.loads(out)["objects"])) == (0, True, 4)
    assert not path.exists()
    assert not (tmp_path / "overlay").exists()


def test_how_files_are_read_is_kept(command: Any, portal: LiveServer, tmp_path: Path) -> None:
    path = tmp_path / "project.json"
    given = ["--s3-endpoint", f"{portal.url}/s3", "--access", "s3"]
    assert command("10001", "--output", str(path), "--endpoint", portal.url, *given)[0] == 0
    saved = json.loads(path.read_text())
    assert (saved["portal_access"], saved["portal_s3_endpoint_url"]) == ("s3", f"{portal.url}/s3")


def test_the_environment_names_the_portal(
    command: Any, portal: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config says which portal it is about: the environment of the next program may be another one."""
    monkeypatch.setenv("COPICK_PORTAL_URL", portal.url)
    path = tmp_path / "project.json"
    assert command("10001", "--output", str(path))[0] == 0
    assert json.loads(path.read_text())["portal_url"] == f"{portal.url}/graphql"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["DS-77", "--endpoint", "PORTAL"], "the portal has no dataset 77"),
        (["RN-77", "--endpoint", "PORTAL"], "is the id of a run"),
        (["dataset", "--endpoint", "PORTAL"], "is not an id"),
        (["10001", "--endpoint", "http://127.0.0.1:9"], "http://127.0.0.1:9/graphql: the portal cannot be reached"),
        (["10001", "--endpoint", "PORTAL/nowhere"], "this is no GraphQL endpoint: HTTP status 404"),
        (["10001", "--endpoint", "portal"], "is not the address of a portal"),
        (["10001", "--endpoint", "PORTAL", "--access", "file"], "where the archive is mounted is not said"),
    ],
)
def test_errors_name_the_address_and_the_way_out(
    command: Any, portal: LiveServer, tmp_path: Path, arguments: list[str], told: str
) -> None:
    path = tmp_path / "project.json"
    code, out, err = command(*(each.replace("PORTAL", portal.url) for each in arguments), "--output", str(path))
    assert (code, out) == (1, "")
    assert told in err
    assert "fix: " in err
    assert not path.exists()


def test_a_call_without_a_dataset_is_wrong(command: Any) -> None:
    assert command()[0] == 2


@pytest.fixture
def verb(portal_root: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """Runs a verb of `tomoportal copick` on a project of the portal, in a folder of its own."""
    portal_root()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPICK_CONFIG", str(tmp_path / "project" / "config.json"))

    def call(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["copick", *arguments])
        told = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, told.out + told.err

    return call


def points_of(root: Any) -> str:
    """The URI of the portal's unoriented points of the membrane."""
    (found,) = root.picks("membrane")
    return f"membrane:data-portal/{found.session_id}"


def test_c9_c12_copies_of_the_portals_picks_keep_what_it_said(verb: Any, portal_root: Any, tmp_path: Path) -> None:
    source = points_of(portal_root())
    assert verb("cp", "picks", source, "membrane:ada/1")[0] == 0
    target = tmp_path / "target.json"
    assert verb("config", "filesystem", "--overlay-root", "target", "--config", str(target))[0] == 0
    assert verb("sync", "picks", "--target-config", str(target), "--source-users", "data-portal")[0] == 0
    copies = [
        tmp_path / "project" / "overlay" / "ExperimentRuns" / "1" / "Picks" / "ada_1_membrane.json",
        tmp_path
        / "target"
        / "ExperimentRuns"
        / "1"
        / "Picks"
        / f"{source.partition(':')[2].replace('/', '_')}_membrane.json",
    ]
    for path in copies:
        document = json.loads(path.read_text())
        assert document["trust_orientation"] is False
        assert document["portal_metadata"]["portal_annotation"]["annotation_method"] == "arithmetic"
        assert document["portal_metadata"]["portal_author_names"] == ["Ada Author", "Ben Author"]
        assert len(document["points"]) == 3


def test_c57_what_the_portal_has_cannot_be_deposited_as_links(verb: Any, portal_root: Any, tmp_path: Path) -> None:
    code, told = verb("deposit", "--target-dir", "deposit", "--picks", points_of(portal_root()))
    assert code == 1
    assert "requires local filesystem storage" in told
    assert verb("cp", "picks", points_of(portal_root()), "membrane:ada/1")[0] == 0
    assert verb("deposit", "--target-dir", "deposit", "--picks", "membrane:ada/1")[0] == 0
    assert [path.parent.parent.name for path in (tmp_path / "deposit").rglob("*.json")] == ["10001_TS_1_1"]


def test_verbs_work_on_the_portals_data(verb: Any, portal_root: Any) -> None:
    source = points_of(portal_root())
    assert "total picks: 11" in verb("stats", "picks")[1]
    assert verb("validate") == (0, "0 problems\n")
    code, told = verb("rm", "picks", source, "--force")
    assert code == 1
    assert "read-only" in told
    assert verb("export", "picks", "--picks-uri", source, "--output-format", "csv", "--output-dir", "out")[0] == 0
    assert verb("cp", "segmentation", "membrane:data-portal/*@10", "membrane:ada/{session_id}@10")[0] == 0
    (copied,) = portal_root().segmentations("ada")
    assert copied.numpy().sum() == 11513


def test_the_cache_is_shown_and_cleared(verb: Any, portal_root: Any, asked: Any) -> None:
    portal_root().picks()
    asked()
    found = json.loads(verb("cache", "info", "--json")[1])
    assert {tuple(each["dataset_ids"]) for each in found} == {(10001,)}
    assert verb("cache", "clear", "--yes")[0] == 0
    assert json.loads(verb("cache", "info", "--json")[1]) == []
    assert asked() == {}, "nothing is asked for that"
    assert portal_root().picks()
    assert asked() == {"200": 2}
