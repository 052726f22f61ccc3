"""The viewer's document and files (viewer.md sections 1 to 3)."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tomoportal.errors import MissingPartError
from tomoportal.server import LiveServer, Settings
from tomoportal.server.viewer import client
from tomoportal.server.viewer.client import find_client_folder

BASE = "/viewer/v/portal/"

try:
    FOLDER = find_client_folder()
except MissingPartError:  # linux aarch64 has no wheel
    pytest.skip("the neuroglancer package is not installed", allow_module_level=True)


def test_the_installed_version_is_one_that_is_known_to_work() -> None:
    assert version("neuroglancer").startswith("2.41.")
    for pattern in ("index.html", "main.*.js", "main.*.css", "*.wasm"):
        assert list(FOLDER.glob(pattern)), pattern


def test_our_script_runs_before_the_clients_own(http: httpx.Client) -> None:
    page = http.get(BASE)
    scripts = re.findall(r'<script[^>]*src="([^"]+)"', page.text)
    assert scripts[0] == "portal-viewer.js"
    assert len(scripts) > 1
    assert page.text.count("portal-viewer.js") == 1
    assert not re.search(r'<script[^>]*(?:defer|async)[^>]*src="portal-viewer', page.text)


def test_the_documents_own_policy(http: httpx.Client) -> None:
    policy = http.get(BASE).headers["content-security-policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "worker-src 'self' blob:" in policy
    assert "frame-ancestors 'self'" in policy
    assert "*" not in policy
    assert "unsafe-eval" not in http.get("/healthz").headers["content-security-policy"]


def test_data_on_another_host_are_allowed(folder: Path) -> None:
    with LiveServer(Settings(archive=str(folder), files_url="https://data.example/x")) as server:
        policy = httpx.get(f"{server.url}{BASE}").headers["content-security-policy"]
    assert re.search(r"connect-src [^;]*https://data\.example[ ;]", policy)


@pytest.mark.parametrize(
    ("pattern", "kind"), [("*.js", "text/javascript"), ("*.css", "text/css"), ("*.wasm", "application/wasm")]
)
def test_files_are_immutable_and_compressed_once(http: httpx.Client, pattern: str, kind: str) -> None:
    for path in FOLDER.glob(pattern):
        answer = http.get(BASE + path.name)
        assert answer.status_code == 200
        assert answer.content == path.read_bytes()
        assert answer.headers["content-type"].partition(";")[0] == kind
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        with http.stream("GET", BASE + path.name, headers={"Accept-Encoding": "gzip"}) as packed:
            raw = b"".join(packed.iter_raw())
        assert gzip.decompress(raw) == path.read_bytes()
        assert len(raw) < len(answer.content)
        again = http.get(BASE + path.name, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


@pytest.mark.parametrize("name", ["nothing.js", "../__init__.py", "..%2f..%2f__init__.py", "x/main.js", "__init__.py"])
def test_other_files_are_not_served(http: httpx.Client, name: str) -> None:
    assert http.get(BASE + name).status_code == 404


def test_source_maps_are_not_served(http: httpx.Client) -> None:
    maps = list(FOLDER.glob("*.map"))
    assert all(http.get(BASE + path.name).status_code == 404 for path in maps)


def test_the_package_is_found_without_being_imported() -> None:
    code = (
        "import sys; from tomoportal.server.viewer.client import find_client_folder;"
        "print(find_client_folder().is_dir(), 'neuroglancer' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]


def test_a_missing_package_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise MissingPartError("not installed", fix="pip install neuroglancer")

    monkeypatch.setattr(client, "find_client_folder", missing)
    with LiveServer(Settings(archive=str(folder))) as server:
        page = httpx.get(f"{server.url}{BASE}")
        assert page.status_code == 503
        assert "pip install neuroglancer" in page.text
        assert httpx.get(f"{server.url}{BASE}main.js").status_code == 404
        assert httpx.get(f"{server.url}/healthz").status_code == 200
