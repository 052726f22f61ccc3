"""Health, errors in the asker's form, headers of every answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest

import tomoportal
from tomoportal.errors import NotFoundError, TomoportalError
from tomoportal.server import LiveServer, Settings, create_app
from tomoportal.testing.sample_archive import write_sample_archive

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_health(http: httpx.Client) -> None:
    answer = http.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "version": tomoportal.__version__,
        "checks": {"archive": "ok", "catalog": "ok"},
    }
    assert answer.headers["cache-control"] == "no-store"


def test_health_tells_what_is_gone(tmp_path: Path) -> None:
    write_sample_archive(tmp_path / "archive")
    settings = Settings(archive=str(tmp_path / "archive"), db=f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    with LiveServer(settings) as server:
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        shutil.move(tmp_path / "archive", tmp_path / "elsewhere")
        answer = httpx.get(f"{server.url}/healthz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["archive"] != "ok"
        assert answer.json()["checks"]["catalog"] == "ok"
        shutil.move(tmp_path / "elsewhere", tmp_path / "archive")
        assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_pages_are_mounted(http: httpx.Client) -> None:
    answer = http.get("/", headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


def test_unknown_paths_in_the_form_that_is_asked_for(http: httpx.Client) -> None:
    page = http.get("/no/such/page", headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    data = http.get("/no/such/page", headers={"Accept": "application/json"})
    assert data.status_code == 404
    assert data.json()["error"]["status"] == 404
    text = http.get("/no/such/page")
    assert (text.status_code, text.headers["content-type"]) == (404, "text/plain; charset=utf-8")


def test_wrong_methods(http: httpx.Client) -> None:
    answer = http.post("/healthz")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_every_answer_is_hardened(http: httpx.Client) -> None:
    for path in ("/", "/healthz", "/no/such/page", "/files/10001/dataset_metadata.json", "/graphql"):
        headers = http.get(path, headers=BROWSER).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert "default-src" in headers["content-security-policy"], path
        assert "server" not in headers, path


def test_a_host_that_is_none_is_refused(http: httpx.Client) -> None:
    answer = http.post("/graphql", json={"query": "{ datasets { id } }"}, headers={"Host": 'x"y'})
    assert answer.status_code == 400


def test_an_archive_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        create_app(Settings(archive=str(tmp_path / "missing")))


def test_an_application_needs_a_catalog(tmp_path: Path) -> None:
    write_sample_archive(tmp_path)
    with pytest.raises(TomoportalError, match="index"):
        create_app(Settings(archive=str(tmp_path)))
