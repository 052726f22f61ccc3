"""A small source tree for every test of this room, and the short way through config, plan and run."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import whole_sources

from tomoportal.archive import Archive
from tomoportal.formats.keyphotos import KEY_PHOTO_SIZES
from tomoportal.ingest import Options, Plan, Report, load_config, make_plan, open_source, run_plan
from tomoportal.testing.sources import sample_config, write_config, write_sources

_SIZES = dict(KEY_PHOTO_SIZES)
OWN = (".tomoportal/cache", ".tomoportal/locks", ".tomoportal/staging")


@pytest.fixture(autouse=True)
def small_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key photos of real size cost more than the rest of an ingestion of volumes this small."""
    monkeypatch.setattr(
        "tomoportal.formats.keyphotos.KEY_PHOTO_SIZES",
        {"snapshot": (64, 48), "thumbnail": (16, 12), "expanded": (80, 60)},
    )


@pytest.fixture
def full_photos(small_photos: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key photos of real size after all, for tests that let `verify` look at them."""
    monkeypatch.setattr("tomoportal.formats.keyphotos.KEY_PHOTO_SIZES", _SIZES)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder with two runs and a config."""
    write_sources(tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture
def write_whole() -> Callable[..., Path]:
    """``write_whole(folder, runs)`` writes sources of every entity type and shape; returns the config's path."""
    return whole_sources.write_whole_sources


@pytest.fixture
def plan_of() -> Callable[..., Plan]:
    return _plan


@pytest.fixture
def ingest() -> Callable[..., Report]:
    return _ingest


@pytest.fixture
def edit() -> Callable[..., Path]:
    """``edit(raw, change)`` applies ``change`` to the sample config and writes it; returns its path."""

    def edited(raw: Path, change: Callable[[dict[str, Any]], object]) -> Path:
        config = sample_config()
        change(config)
        return write_config(raw / "config.yaml", config)

    return edited


def _plan(config: Path, archive: Path | str = "memory://", **options: Any) -> Plan:
    loaded = load_config(config)
    store = (
        Archive.open(archive, create=not str(archive).startswith("memory"))
        if Path(archive).exists()
        else Archive.open("memory://")
    )
    source = open_source(config.parent, loaded.source_prefix, beside=loaded.folder)
    return make_plan(loaded, source, store, Options(**options))


def _ingest(config: Path, archive: Path, jobs: int = 1, *, follow_links: bool = False, **options: Any) -> Report:
    loaded = load_config(config)
    source = open_source(config.parent, loaded.source_prefix, beside=loaded.folder, follow_links=follow_links)
    target = Archive.open(archive, create=True)
    return run_plan(make_plan(loaded, source, target, Options(**options)), target, source.store, jobs)


@pytest.fixture
def tree() -> Callable[[Path], dict[str, str]]:
    """``tree(folder)``: every file with its digest, but for what an archive may lose or keep to itself."""

    def digests(folder: Path) -> dict[str, str]:
        found = {}
        for path in sorted(folder.rglob("*")):
            key = path.relative_to(folder).as_posix()
            if path.is_file() and not key.startswith(OWN):
                found[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    return digests
