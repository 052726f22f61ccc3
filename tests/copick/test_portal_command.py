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
