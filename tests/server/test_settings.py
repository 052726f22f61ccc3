"""Settings: which source wins, what is refused, and that the table tells all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from click.testing import CliRunner

from tomoportal.cli.serve import command
from tomoportal.errors import SettingsError
from tomoportal.server import Settings, load_settings, settings_table


def test_defaults_are_safe() -> None:
    settings = Settings(archive="/data")
    assert (settings.host, settings.port, settings.bucket) == ("127.0.0.1", 8000, "tomoportal")
    assert settings.public_url is None
    assert settings.trusted_proxies == ()


def test_command_line_over_environment_over_file(tmp_path: Path) -> None:
    file = tmp_path / "tomoportal.toml"
    file.write_text('archive = "from-file"\nport = 1\nhost = "1.1.1.1"\nbucket = "from-file"\n')
    environment = {"TOMOPORTAL_PORT": "2", "TOMOPORTAL_HOST": "2.2.2.2"}
    settings = load_settings({"host": "3.3.3.3", "port": None}, environment=environment, file=file)
    assert (settings.host, settings.port, settings.bucket) == ("3.3.3.3", 2, "from-file")


def test_the_archive_of_a_file_is_relative_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tomoportal.toml"
    file.write_text('archive = "data"\n')
    assert load_settings(environment={}, file=file).archive == str(tmp_path / "data")
    file.write_text('archive = "s3://bucket/prefix"\n')
    assert load_settings(environment={}, file=file).archive == "s3://bucket/prefix"


def test_the_file_is_found_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tomoportal.toml").write_text('archive = "/a"\nsite_name = "Our portal"\n')
    monkeypatch.chdir(tmp_path)
    assert load_settings(environment={}).site_name == "Our portal"


def test_unknown_keys_name_file_and_key(tmp_path: Path) -> None:
    file = tmp_path / "tomoportal.toml"
    file.write_text('archive = "/a"\nprot = 8000\n')
    with pytest.raises(SettingsError, match="prot") as caught:
        load_settings(environment={}, file=file)
    assert str(file) in str(caught.value)
    assert "port" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"archive": ""}, "archive"),
        ({"port": "eighty"}, "--port"),
        ({"port": 70000}, "port"),
        ({"bucket": "Has_Capitals"}, "bucket"),
        ({"public_url": "cryoet.lab.example"}, "public_url"),
        ({"public_url": "https://lab.example/portal"}, "public_url"),
        ({"files_url": "ftp://lab.example"}, "files_url"),
        ({"cors_origins": "https://lab.example/page"}, "cors_origins"),
        ({"workers": 0}, "workers"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(given: dict[str, object], named: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"archive": "/a", **given}, environment={"TOMOPORTAL_CONFIG": ""})
    assert named in str(caught.value)


def test_wrong_types_in_the_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "tomoportal.toml"
    file.write_text('archive = "/a"\naccess_log = "perhaps"\n')
    with pytest.raises(SettingsError, match="access_log"):
        load_settings(environment={}, file=file)
    file.write_text("archive = \n")
    with pytest.raises(SettingsError, match=r"tomoportal\.toml"):
        load_settings(environment={}, file=file)
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(environment={}, file=tmp_path / "missing.toml")


def test_lists_come_as_text_or_as_lists(tmp_path: Path) -> None:
    environment = {"TOMOPORTAL_CORS_ORIGINS": "https://a.example, https://b.example", "TOMOPORTAL_ACCESS_LOG": "yes"}
    settings = load_settings({"archive": "/a"}, environment=environment)
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.access_log is True
    file = tmp_path / "t.toml"
    file.write_text('archive = "/a"\ntrusted_proxies = ["10.0.0.1", "10.0.0.2"]\n')
    assert load_settings(environment={}, file=file).trusted_proxies == ("10.0.0.1", "10.0.0.2")


def test_every_setting_is_an_option_of_the_command() -> None:
    options = {name for parameter in command.params for name in parameter.opts}
    assert {row.option for row in settings_table()} | {"--config"} == options
    shown = CliRunner().invoke(command, ["--help"]).output
    assert "[default: 8000]" in shown


def test_the_table_documents_every_setting() -> None:
    rows = {row.name: row for row in settings_table()}
    assert list(rows) == [item.name for item in dataclasses.fields(Settings)]
    assert all(row.meaning.endswith(".") for row in rows.values())
    assert rows["public_url"].env == "TOMOPORTAL_PUBLIC_URL"
    assert rows["cors_origins"].option == "--cors-origins"
    assert (rows["port"].default, rows["access_log"].default, rows["archive"].default) == ("8000", "false", "")
