"""What a power cut leaves: nothing gets its name before its content is flushed, no journal goes before all else is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tomoportal.archive import Archive, Container, ItemRecord, layout

RUN = Container.run(10001, "TS_1")
DOCUMENT = layout.run_document(10001, "TS_1")
Event = tuple[str, str, str, list[str]]


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Every flush, renaming and removal in their order: ``(what, path, new path, what lies in it)``."""
    seen: list[Event] = []

    def watch(name: str) -> None:
        original = getattr(os, name)

        def watched(first: Any, *more: Any, **options: Any) -> Any:
            path = os.readlink(f"/proc/self/fd/{first}") if name == "fsync" else str(first)
            inside = [str(each)[len(path) :] for each in Path(path).rglob("*")] if name in ("rename", "replace") else []
            done = original(first, *more, **options)
            seen.append((name, path, str(more[0]) if name in ("rename", "replace") else "", inside))
            return done

        monkeypatch.setattr(os, name, watched)

    for name in ("fsync", "rename", "replace", "unlink"):
        watch(name)
    return seen


def publish(archive: Archive, files: dict[str, bytes], digest: str) -> None:
    document = {"run_name": "TS_1", "deposition_id": 10301, "last_updated_at": len(digest)}
    with archive.stage(RUN, "run", "TS_1") as staging:
        for key, data in files.items():
            staging.store.put(f"{RUN.key}/{key}", data)
        archive.publish(RUN, ItemRecord("run", "TS_1", None, digest), staging, (DOCUMENT, document))


def check(root: Path, events: list[Event]) -> tuple[int, int]:
    """Go through the events as a disk that keeps only what was flushed; the numbers of renamings and flushes."""
    journal = str(root / layout.journal(RUN))
    flushed: set[str] = set()  # files and folders, under the names that they have
    open_folders: set[str] = set()  # where names were changed and not flushed
    publishing = False
    renamings = 0
    for what, path, new, inside in events:
        if what == "fsync":
            flushed.add(path)
            open_folders.discard(path)
        elif what == "unlink" and path == journal:
            assert not open_folders, f"the journal goes before {open_folders} are flushed"
            publishing = False
        elif what in ("rename", "replace"):
            before = {path + each: new + each for each in ("", *inside)}
            in_staging = "/.tomoportal/staging/" in new
            if not in_staging:
                renamings += 1
                missing = [old for old in before if old not in flushed]
                assert not missing, f"{new} gets its name before {missing} are flushed"
                if new == journal:
                    publishing = True
                else:
                    assert publishing or "/manifest/" in new, f"{new} is changed without a journal"
                    assert os.path.dirname(journal) not in open_folders, "the journal's own name is not flushed"
                open_folders.add(os.path.dirname(new))
            flushed |= {each for old, each in before.items() if old in flushed}
    assert not publishing
    return renamings, sum(what == "fsync" for what, *_ in events)


def test_a_publication_is_flushed_in_the_right_order(tmp_path: Path, events: list[Event]) -> None:
    archive = Archive.open(tmp_path, create=True)
    first = {"Gains/a": b"a", "Gains/b": b"b", **{f"x.zarr/{level}/0/0/{n}": b"c" for level in (0, 1) for n in (0, 1)}}
    publish(archive, first, "1")
    renamings, flushes = check(tmp_path, events)
    # The journal, the folder of gains, the Zarr, the manifest, the document.
    assert renamings == 5
    assert flushes <= 6 + 10 + 2 + 2 + 4  # files, folders of the staging area, journal, targets, manifest and document
    events.clear()
    publish(archive, {"Gains/a": b"new", "Gains/c": b"c", "x.zarr/0/0/0/0": b"new", "x.zarr/2/0/0/0": b"c"}, "22")
    check(tmp_path, events)
    held = {stat.key.removeprefix(f"{RUN.key}/"): archive.store.get(stat.key) for stat in archive.store.list(RUN.key)}
    del held["run_metadata.json"]
    assert held == {"Gains/a": b"new", "Gains/c": b"c", "x.zarr/0/0/0/0": b"new", "x.zarr/2/0/0/0": b"c"}
