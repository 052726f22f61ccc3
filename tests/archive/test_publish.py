from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoportal.archive import Archive, Container, FileRecord, ItemRecord, Manifest, identity, layout
from tomoportal.archive.journal import Journal
from tomoportal.archive.manifest import IdRecord
from tomoportal.errors import ArchiveError, DocumentError, StorageError
from tomoportal.storage import Store, open_store
from tomoportal.testing.faulty import FaultyStore

RUN = Container.run(10001, "TS_1")
DOCUMENT = layout.run_document(10001, "TS_1")


def document(**changes: Any) -> dict[str, Any]:
    return {"run_name": "TS_1", "deposition_id": 10301, "last_updated_at": 0, **changes}


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store("memory://") if request.param == "memory" else open_store(tmp_path / "archive", create=True)


@pytest.fixture
def archive(store: Store) -> Archive:
    return Archive.open(store)


def put_files(archive: Archive, files: dict[str, bytes], *, key: str = "item", **fields: Any) -> str:
    with archive.stage(RUN, "gain", key) as staging:
        for name, data in files.items():
            staging.store.put(f"10001/TS_1/Gains/{name}", data)
        return archive.publish(RUN, ItemRecord("gain", key, **fields), staging).outcome


def names(archive: Archive) -> list[str]:
    return [stat.key.removeprefix("10001/TS_1/") for stat in archive.store.list("10001")]


# --- publishing


def test_files_manifest_and_document(archive: Archive) -> None:
    with archive.stage(RUN, "run", "TS_1") as staging:
        staging.store.put("10001/TS_1/Gains/a", b"a")
        with staging.store.sub("10001/TS_1/x.zarr").open_writer("0/0") as writer:
            writer.write(b"chunk")
        assert staging.store.get("10001/TS_1/Gains/a") == b"a"
        assert names(archive) == []
        done = archive.publish(RUN, ItemRecord("run", "TS_1", None, "digest"), staging, (DOCUMENT, document()))
    assert done.outcome == "created"
    assert [record.key for record in done.item.files] == ["10001/TS_1/Gains/a", DOCUMENT, "10001/TS_1/x.zarr/0/0"]
    assert done.item.document == DOCUMENT
    assert done.item.deposition_id == 10301
    assert archive.manifest(RUN).items == {("run", "TS_1"): done.item}
    assert archive.manifest(RUN).files[DOCUMENT].size == len(archive.store.get(DOCUMENT))
    assert archive.manifest(RUN).owner_of("10001/TS_1/Gains/a") == done.item
    assert archive.manifest(RUN).owner_of("10001/TS_1/other") is None
    assert archive.document(DOCUMENT) == document()
    assert list(archive.containers()) == [RUN]
    assert {stat.key.split("/")[1] for stat in archive.store.list(".tomoportal")} == {"manifest"}


def test_the_order_of_changes_is_files_manifest_document() -> None:
    order: list[str] = []

    class Watching(FaultyStore):
        def step(self, operation: str, key: str) -> None:
            if operation in ("put", "move", "delete", "sync"):
                order.append(operation if operation == "sync" else f"{operation} {key.rpartition('/')[2]}")

    archive = Archive.open(Watching(open_store("memory://")))
    with archive.stage(RUN, "run", "TS_1") as staging:
        staging.store.put("10001/TS_1/Gains/a", b"a")
        archive.publish(RUN, ItemRecord("run", "TS_1"), staging, (DOCUMENT, document()))
    assert order == [
        "put a",
        "sync",
        "put TS_1.json",
        "move a",
        "put TS_1.json",
        "put run_metadata.json",
        "delete TS_1.json",
    ]


def test_publishing_again_writes_nothing() -> None:
    store = FaultyStore(open_store("memory://"))
    archive = Archive.open(store)
    put_files(archive, {"a": b"1", "b": b"2"}, input_digest="d")
    before = {stat.key: stat for stat in store.list()}
    store.counts.clear()
    assert put_files(archive, {"a": b"1", "b": b"2"}, input_digest="d") == "unchanged"
    assert {stat.key: stat for stat in store.list()} == before
    assert store.counts["put"] == 2, "the two files are staged"
    assert store.counts["move"] == 0


def test_only_what_changed_is_moved() -> None:
    store = FaultyStore(open_store("memory://"))
    archive = Archive.open(store)
    put_files(archive, {"a": b"1", "b": b"2"})
    before = store.stat("10001/TS_1/Gains/a")
    store.counts.clear()
    assert put_files(archive, {"a": b"1", "b": b"3"}) == "updated"
    assert store.counts["move"] == 1
    assert store.stat("10001/TS_1/Gains/a") == before
    assert store.get("10001/TS_1/Gains/b") == b"3"


def test_equal_sizes_are_not_taken_for_equal_contents(archive: Archive) -> None:  # F1
    put_files(archive, {"a": b"old"}, input_digest="1")
    assert put_files(archive, {"a": b"new"}, input_digest="1") == "updated"
    assert archive.store.get("10001/TS_1/Gains/a") == b"new"


def test_files_that_an_item_no_longer_has_vanish(archive: Archive) -> None:  # F11
    put_files(archive, {"a": b"1", "b": b"2"})
    assert put_files(archive, {"b": b"2"}) == "updated"
    assert names(archive) == ["Gains/b"]


def test_a_file_that_somebody_deleted_comes_back(archive: Archive) -> None:
    put_files(archive, {"a": b"1"})
    archive.store.delete("10001/TS_1/Gains/a")
    assert put_files(archive, {"a": b"1"}) == "updated"
    assert names(archive) == ["Gains/a"]


def test_a_document_that_somebody_changed_comes_back(archive: Archive) -> None:
    archive.publish(RUN, ItemRecord("run", "TS_1"), None, (DOCUMENT, document()))
    archive.store.put(DOCUMENT, b'{"deposition_id": 10301}')
    assert archive.publish(RUN, ItemRecord("run", "TS_1"), None, (DOCUMENT, document())).outcome == "updated"
    assert archive.document(DOCUMENT) == document()


def test_kept_files_are_not_made_again(archive: Archive) -> None:
    put_files(archive, {"v.zarr/0": b"0", "v.zarr/1": b"1", "v.mrc": b"2"}, input_digest="1")
    with archive.stage(RUN, "gain", "item") as staging:
        assert [record.key[-8:] for record in staging.keep("10001/TS_1/Gains/v.zarr")] == ["v.zarr/0", "v.zarr/1"]
        staging.store.put("10001/TS_1/Gains/v.mrc", b"3")
        done = archive.publish(RUN, ItemRecord("gain", "item", None, "2"), staging)
    assert done.outcome == "updated"
    assert names(archive) == ["Gains/v.mrc", "Gains/v.zarr/0", "Gains/v.zarr/1"]
    with archive.stage(RUN, "gain", "item") as staging, pytest.raises(ArchiveError, match="no such file to keep"):
        staging.keep("10001/TS_1/Gains/other")
    with archive.stage(RUN, "gain", "item") as staging:
        staging.keep("10001/TS_1/Gains/v.mrc")
        archive.store.delete("10001/TS_1/Gains/v.mrc")
        with pytest.raises(ArchiveError, match="missing or was changed"):
            archive.publish(RUN, ItemRecord("gain", "item"), staging)


def test_what_is_not_published_is_discarded(archive: Archive) -> None:
    with archive.stage(RUN, "gain", "a") as staging:
        staging.store.put("10001/TS_1/Gains/a", b"1")
    assert list(archive.store.list()) == []


def test_a_staging_area_behaves_like_a_store(archive: Archive) -> None:
    with archive.stage(RUN, "gain", "a") as staging:
        store = staging.store
        for name in ("a", "b", "c", "t/1", "t/2", "u/1"):
            store.put(f"10001/TS_1/{name}", name.encode())
        store.delete("10001/TS_1/a")
        store.move("10001/TS_1/b", "10001/TS_1/B")
        store.move("10001/TS_1/t", "10001/TS_1/T")
        store.move_files([("10001/TS_1/c", "10001/TS_1/C")])
        store.delete_tree("10001/TS_1/u")
        store.delete_files(["10001/TS_1/T/1"])
        assert [record.key for record in staging.records] == ["10001/TS_1/B", "10001/TS_1/C", "10001/TS_1/T/2"]
        assert [stat.key for stat in store.list()] == [record.key for record in staging.records]
        with pytest.raises(ArchiveError, match="does not belong"):
            store.put("10001/TS_2/a", b"")
        with pytest.raises(ArchiveError, match="does not belong"):
            store.open_writer("10001/dataset_metadata.json")


def test_another_process_may_stage(tmp_path: Path) -> None:
    archive = Archive.open(tmp_path, create=True)
    with archive.stage(RUN, "gain", "a") as staging:
        copy = pickle.loads(pickle.dumps(staging.store))
        copy.put("10001/TS_1/Gains/a", b"1")
        staging.add(copy.records.values())
        archive.publish(RUN, ItemRecord("gain", "a"), staging)
    assert archive.store.get("10001/TS_1/Gains/a") == b"1"
    assert pickle.loads(pickle.dumps(archive)).manifest(RUN).files.keys() == {"10001/TS_1/Gains/a"}


# --- refusals


def test_documents_of_another_deposition_are_protected(archive: Archive) -> None:  # F7
    archive.publish(RUN, ItemRecord("run", "TS_1"), None, (DOCUMENT, document()))
    before = archive.store.get(DOCUMENT)
    with pytest.raises(ArchiveError, match=r"deposition 10301 .* deposition 10302"):
        archive.publish(RUN, ItemRecord("run", "TS_1"), None, (DOCUMENT, document(deposition_id=10302)))
    assert archive.store.get(DOCUMENT) == before


def test_foreign_documents_without_a_manifest_are_protected(archive: Archive) -> None:
    archive.store.put(DOCUMENT, b'{"deposition_id": 1}')
    with pytest.raises(ArchiveError, match=r"deposition 1 .* deposition 10301"):
        archive.publish(RUN, ItemRecord("run", "TS_1"), None, (DOCUMENT, document()))


def test_items_without_a_document_are_protected_by_their_deposition(archive: Archive) -> None:
    put_files(archive, {"a": b"1"}, deposition_id=10301)
    with pytest.raises(ArchiveError, match="10302"):
        put_files(archive, {"a": b"1"}, deposition_id=10302)


def test_a_file_has_one_item(archive: Archive) -> None:  # F14
    put_files(archive, {"a": b"1"}, key="first")
    with pytest.raises(ArchiveError, match=r"'second'.*'first'"):
        put_files(archive, {"a": b"2"}, key="second")
    assert archive.store.get("10001/TS_1/Gains/a") == b"1"


def test_a_document_that_breaks_the_schema_is_refused(archive: Archive) -> None:  # F69
    with archive.stage(RUN, "run", "TS_1") as staging:
        staging.store.put("10001/TS_1/Gains/a", b"1")
        with pytest.raises(DocumentError):
            archive.publish(RUN, ItemRecord("run", "TS_1"), staging, (DOCUMENT, {"run_name": "TS_1", "x": 1}))
    assert list(archive.store.list()) == []


def test_a_read_only_archive_is_not_written_to(tmp_path: Path) -> None:
    put_files(Archive.open(tmp_path, create=True), {"a": b"1"})
    archive = Archive.open(tmp_path, read_only=True)
    assert archive.recover() == []
    for change in (
        lambda: archive.publish(RUN, ItemRecord("gain", "x")),
        lambda: archive.allocate(RUN, "gain", "s", "k"),
        lambda: archive.remove_item(RUN, "gain", "item"),
    ):
        with pytest.raises(StorageError, match="read-only"):
            change()


def test_a_manifest_that_cannot_be_read(archive: Archive) -> None:
    for data in (b"", b'{"version": 1}', b'{"version": 9, "container": "a", "ids": [], "items": []}'):
        archive.store.put(layout.manifest(RUN), data)
        with pytest.raises(ArchiveError) as caught:
            archive.manifest(RUN)
        assert caught.value.where == layout.manifest(RUN)


def _interrupted(archive: Archive, name: str) -> Container:
    """A run with the journal of a publication that wrote nothing else before it was killed."""
    run = Container.run(10001, name)
    journal = Journal.new(run, document=(f"{run.key}/run_metadata.json", "{}"))
    archive.store.put(layout.journal(run), msgspec.json.encode(journal))
    return run


_DAMAGE = [
    b"",
    b"{}",
    b"\xff\xfe",
    b'{"version": 9, "container": "10001/TS_2", "staging": null, "withdraw": [], "moves": [], "deletes": [],'
    b' "item": null, "removed": null, "document": null}',
    b'{"version": 1, "container": "10001/TS_9", "staging": null, "withdraw": [], "moves": [], "deletes": [],'
    b' "item": null, "removed": null, "document": null}',
    b'{"version": 1, "container": "10001/TS_2", "staging": "else/where", "withdraw": [], "moves": [], "deletes": [],'
    b' "item": null, "removed": null, "document": null}',
    b'{"version": 1, "container": "10001/TS_2", "staging": null, "withdraw": [], "moves": [{"key": "a", "size": 1,'
    b' "sha256": ""}], "deletes": [], "item": null, "removed": null, "document": null}',
]


@pytest.mark.parametrize("data", _DAMAGE, ids=["empty", "fields", "bytes", "version", "container", "staging", "moves"])
def test_a_damaged_journal_hinders_no_other_run(archive: Archive, data: bytes) -> None:
    first, last = _interrupted(archive, "TS_1"), _interrupted(archive, "TS_5")
    damaged = [Container.run(10001, name) for name in ("TS_2", "TS_3")]
    for run in damaged:
        archive.store.put(layout.journal(run), data)
    done = {each.container: each for each in archive.recover()}
    assert {run: each.outcome for run, each in done.items()} == {
        **dict.fromkeys(damaged, "damaged"),
        **dict.fromkeys((first, last), "finished"),
    }
    assert names(archive) == ["run_metadata.json", "10001/TS_5/run_metadata.json"]
    for run in damaged:
        problem = done[run].problem
        assert problem is not None
        assert problem.where == layout.journal(run)
        assert "journal" in problem.what
        assert problem.fix
        assert archive.store.get(layout.journal(run)) == data
        with pytest.raises(ArchiveError, match="journal"):
            archive.allocate(run, "gain", run.key, "k")
    assert archive.pending() == damaged
    assert put_files(archive, {"b": b"2"}) == "created"  # another run is written to as ever
    for run in damaged:
        archive.store.delete(layout.journal(run))
    assert archive.recover() == []


# --- removal and orphans


def test_remove_item(archive: Archive) -> None:
    number = archive.allocate(RUN, "run", RUN.key, "TS_1")
    with archive.stage(RUN, "run", "TS_1") as staging:
        staging.store.put("10001/TS_1/Gains/a", b"1")
        archive.publish(RUN, ItemRecord("run", "TS_1", number), staging, (DOCUMENT, document()))
    put_files(archive, {"b": b"2"})
    assert archive.remove_item(RUN, "run", "TS_1").archive_id == number
    assert names(archive) == ["Gains/b"]
    assert list(archive.manifest(RUN).items) == [("gain", "item")]
    assert archive.allocate(RUN, "run", RUN.key, "TS_1") == number
    with pytest.raises(ArchiveError, match="there is no"):
        archive.remove_item(RUN, "run", "TS_1")


def test_orphans(archive: Archive) -> None:  # F10
    for key, deposition in (("a", 10301), ("b", 10301), ("c", 10302)):
        put_files(archive, {key: b"1"}, key=key, deposition_id=deposition)
    touched = {("gain", "a")}
    assert [item.identity_key for item in archive.orphans(RUN, touched)] == ["b", "c"]
    assert [item.identity_key for item in archive.orphans(RUN, touched, deposition_id=10301)] == ["b"]
    assert archive.orphans(Container.dataset(10001), touched) == []


# --- ids


def test_ids_are_stable_and_never_given_twice(archive: Archive) -> None:  # F9
    scope = layout.voxel_spacing_prefix(10001, "TS_1", 10)
    other = layout.voxel_spacing_prefix(10001, "TS_1", 20)
    assert [archive.allocate(RUN, "annotation", scope, key) for key in "abca"] == [100, 101, 102, 100]
    assert archive.allocate(RUN, "annotation", other, "a") == 100
    assert archive.allocate(RUN, "tomogram", RUN.key, "a") == 100
    assert archive.allocate(Container.run(10001, "TS_2"), "annotation", scope, "z") == 100


def test_several_ids_are_given_with_one_change_of_the_manifest(tmp_path: Path) -> None:
    store = FaultyStore(open_store(tmp_path / "several", create=True))
    archive = Archive(store)
    archive.allocate(RUN, "alignment", RUN.key, "b")
    store.counts.clear()
    wanted = [("alignment", RUN.key, key) for key in "abca"] + [("tomogram", RUN.key, "a")]
    assert archive.allocate_all(RUN, wanted) == [101, 100, 102, 101, 100]
    assert store.counts["put"] == 1
    assert archive.allocate_all(RUN, wanted) == [archive.allocate(RUN, *key) for key in wanted]
    assert store.counts["put"] == 1
    assert archive.allocate_all(RUN, []) == []


def test_ids_of_an_archive_without_manifests_are_left_alone(archive: Archive) -> None:
    for key in (
        layout.tiltseries_document(10001, "TS_1", 104),
        layout.tomogram_document(10001, "TS_1", 10, 102),
        layout.tomogram_document(10001, "TS_1", 20, 107),
        layout.annotation_document(10001, "TS_1", 10, 111, "a-1.0"),
        layout.alignment_document(10001, "TS_1", 7),
        "10001/TS_1/TiltSeries/notes/x.txt",
    ):
        archive.store.put(key, b"{}")
    scope = layout.voxel_spacing_prefix(10001, "TS_1", 10)
    assert archive.allocate(RUN, "tiltseries", RUN.key, "a") == 105
    assert archive.allocate(RUN, "tomogram", RUN.key, "a") == 108
    assert archive.allocate(RUN, "annotation", scope, "a") == 112
    assert archive.allocate(RUN, "annotation", f"{scope}/Annotations", "a") == 112
    assert archive.allocate(RUN, "alignment", RUN.key, "a") == 100


def _together(calls: list[Callable[[], Any]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_threads_get_different_ids_and_lose_no_item(archive: Archive) -> None:
    ids: dict[str, int] = {}

    def work(key: str) -> None:
        ids[key] = archive.allocate(RUN, "gain", RUN.key, key)
        put_files(archive, {key: key.encode()}, key=key)

    keys = [f"k{number}" for number in range(8)]
    _together([lambda key=key: work(key) for key in keys])
    assert sorted(ids.values()) == list(range(100, 108))
    assert {key for _, key in archive.manifest(RUN).items} == set(keys)


def test_processes_get_different_ids(tmp_path: Path) -> None:  # F9
    code = (
        "import sys; from tomoportal.archive import Archive, Container\n"
        "archive = Archive.open(sys.argv[1]); run = Container.run(10001, 'TS_1')\n"
        "for n in range(10): print(archive.allocate(run, 'gain', 'scope', f'{sys.argv[2]} {n % 5}'))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], stdout=subprocess.PIPE, text=True)
        for name in "abc"
    ]
    found = [process.communicate()[0].split() for process in processes]
    assert sorted({number for each in found for number in each}) == [str(number) for number in range(100, 115)]
    assert all(each[:5] == each[5:] for each in found)


# --- identity keys


def test_identity_keys() -> None:
    assert identity.tiltseries(10301) == identity.alignment("10301") == "deposition=10301"
    path = layout.alignment_document(10001, "TS_1", 100)
    key = identity.tomogram(13.48, path, "WBP", "raw", "a|b\\c", 10301)
    assert key == f"spacing=13.480|alignment={path}|method=WBP|processing=raw|software=a\\|b\\\\c|deposition=10301"
    assert identity.tomogram(10, path, "WBP", "raw", "a|deposition=1", 2) != identity.tomogram(
        10, path, "WBP", "raw", "a", "1|deposition=2"
    )
    annotation = identity.annotation(13.48, 10301, "membrane-1", path)
    assert annotation == f"spacing=13.480|deposition=10301|id=membrane-1|alignment={path}"


def test_identity_keys_are_rebuilt_from_documents() -> None:
    path = layout.alignment_document(10001, "TS_1", 100)
    tomogram = {
        "voxel_spacing": 13.48,
        "alignment_metadata_path": path,
        "reconstruction_method": "WBP",
        "processing": "raw",
        "deposition_id": 10301,
    }
    assert identity.key_of_document("tomogram", tomogram) == identity.tomogram(13.48, path, "WBP", "raw", None, 10301)
    annotation = {"annotation_ingest_id": "m-1", "alignment_metadata_path": path, "deposition_id": 10301}
    assert identity.key_of_document("annotation", annotation, 10) == identity.annotation(10, 10301, "m-1", path)
    assert identity.key_of_document("tiltseries", {"deposition_id": 10301}) == identity.tiltseries(10301)
    assert identity.key_of_document("run", {"deposition_id": 10301}) is None


# --- manifests

text = st.text(max_size=20)
records = st.builds(FileRecord, text, st.integers(0, 2**53), text)
items = st.builds(
    ItemRecord,
    kind=text,
    identity_key=text,
    archive_id=st.none() | st.integers(0, 10**6),
    input_digest=text,
    files=st.lists(records, max_size=4).map(tuple),
    document=st.none() | text,
    deposition_id=st.none() | st.integers(0, 10**6),
    inputs=st.dictionaries(
        text, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text | st.lists(text), max_size=3
    ),
)
ids = st.builds(IdRecord, text, text, text, st.integers(100, 10**6))


@settings(max_examples=50)
@given(text, st.lists(items, max_size=4), st.lists(ids, max_size=4), st.randoms())
def test_a_manifest_comes_back_and_has_one_form(
    container: str, found: list[ItemRecord], given_ids: list[IdRecord], order: Any
) -> None:
    manifest = Manifest(
        container,
        {item.key: item for item in found},
        {(each.kind, each.scope, each.identity_key): each.archive_id for each in given_ids},
    )
    data = manifest.dump()
    assert Manifest.load(data, "") == manifest
    shuffled = list(manifest.items.items())
    order.shuffle(shuffled)
    assert Manifest(container, dict(shuffled), dict(reversed(manifest.ids.items()))).dump() == data


def test_nothing_warns(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        put_files(archive, {"a": b"1"})
    assert caplog.records == []
