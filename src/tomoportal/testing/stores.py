"""What every store must do. Subclass :class:`StoreTests` and give it a fixture ``store`` (empty, writable)."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoportal.errors import ConflictError, LockedError, NotFoundError, StorageError
from tomoportal.storage import FileRecord, Folder, Store, behind, sha256_of

__all__ = ["StoreTests"]


def _keys(store: Store, prefix: str = "") -> list[str]:
    return [stat.key for stat in store.list(prefix)]


_SCANNED = ["a b/c", "a#/x", "a-b", "a.txt", "a/b.txt", "a/b/c", "a/b/d/e", "a/ba", "ab/c", "b", "é/ö"]


def _scanned(store: Store, prefix: str, after: str, *, by_folder: bool = False) -> list[str]:
    found = store.scan(prefix, after=after, by_folder=by_folder)
    return [f"{each.key}/" if isinstance(each, Folder) else each.key for each in found]


def _is_key(text: str) -> bool:
    return not any(part in ("", ".", "..") for part in text.split("/"))


class StoreTests:
    """The conformance suite of stores."""

    # --- one object

    def test_get_returns_what_was_put(self, store: Store) -> None:
        store.put("a/b", b"bytes")
        assert store.get("a/b") == b"bytes"
        store.put("a/b", memoryview(b"other bytes"))
        assert store.get("a/b") == b"other bytes"
        store.put("a/b", bytearray())
        assert store.get("a/b") == b""

    def test_a_missing_object_is_not_found(self, store: Store) -> None:
        store.put("folder/file", b"1")
        for key in ("missing", "folder", "folder/missing", "folder/file/deeper"):
            for read in (
                store.get,
                store.stat,
                lambda each: store.get_range(each, 0, 1),
                lambda each: sha256_of(store, each),
            ):
                with pytest.raises(NotFoundError) as caught:
                    read(key)
                assert isinstance(caught.value, FileNotFoundError)
            assert not store.exists(key)
        assert store.exists("folder/file")

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [(0, 4, b"0123"), (3, 2, b"34"), (8, 10, b"89"), (10, 1, b""), (20, 5, b""), (2, 0, b"")],
    )
    def test_ranges_end_with_the_object(self, store: Store, start: int, length: int, expected: bytes) -> None:
        store.put("key", b"0123456789")
        assert store.get_range("key", start, length) == expected

    def test_chunks_are_the_object(self, store: Store) -> None:
        data = bytes(range(256)) * 64
        store.put("key", data)
        assert b"".join(store.chunks("key", 1000)) == data
        store.put("empty", b"")
        assert b"".join(store.chunks("empty")) == b""

    @pytest.mark.parametrize(
        ("start", "stop", "expected"),
        [(0, None, b"0123456789"), (3, 5, b"34"), (7, None, b"789"), (8, 99, b"89"), (-3, None, b"789")],
    )
    def test_facts_and_bytes_come_together(self, store: Store, start: int, stop: int | None, expected: bytes) -> None:
        etag = store.put("key", b"0123456789")
        reading = store.open_reader("key", start, stop)
        assert (reading.stat.key, reading.stat.size, reading.stat.etag) == ("key", 10, etag)
        assert reading.start == (10 + start if start < 0 else start)
        assert b"".join(reading.pieces) == expected
        with pytest.raises(StorageError):
            store.open_reader("missing" if stop is None else "key", 99)

    def test_stat_has_size_time_and_version(self, store: Store) -> None:
        first = store.put("key", b"123")
        stat = store.stat("key")
        assert (stat.key, stat.size, stat.etag, stat.is_folder) == ("key", 3, first, False)
        assert abs(stat.modified - time.time()) < 600
        assert store.put("key", b"456") == store.stat("key").etag != first

    @pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.", "a\0b"])
    def test_keys_that_are_no_keys_are_refused(self, store: Store, key: str) -> None:
        for call in (
            lambda: store.get(key),
            lambda: store.put(key, b""),
            lambda: store.stat(key),
            lambda: store.open_writer(key),
            lambda: store.delete(key),
        ):
            with pytest.raises(StorageError):
                call()

    @pytest.mark.parametrize("key", ["a b/c d", "ä/ö.txt", "[x]*?/#%20&+=", "a~b!c$d'(e)", "…/日本", ".hidden/.file"])
    def test_odd_names_keep_their_names(self, store: Store, key: str) -> None:
        store.put(key, b"1")
        assert store.get(key) == b"1"
        assert _keys(store) == [key]
        assert store.stat(key).key == key
        store.move(key, "moved/" + key)
        assert _keys(store) == ["moved/" + key]
        store.delete("moved/" + key)
        assert _keys(store) == []

    def test_delete(self, store: Store) -> None:
        store.put("a/b", b"1")
        store.delete("a/b")
        assert not store.exists("a/b")
        store.delete("a/b")
        store.delete("never/was")
        assert store.children("") == ([], [])

    # --- conditional writes

    def test_if_absent_writes_once(self, store: Store) -> None:
        store.put("a/key", b"first", if_absent=True)
        with pytest.raises(ConflictError):
            store.put("a/key", b"second", if_absent=True)
        assert store.get("a/key") == b"first"
        assert _keys(store) == ["a/key"]

    def test_if_match_detects_another_writer(self, store: Store) -> None:
        first = store.put("key", b"first")
        second = store.put("key", b"second", if_match=first)
        assert store.get("key") == b"second"
        with pytest.raises(ConflictError):
            store.put("key", b"third", if_match=first)
        assert store.get("key") == b"second"
        store.put("key", b"third", if_match=second)
        store.delete("key")
        with pytest.raises(ConflictError):
            store.put("key", b"fourth", if_match=second)
        assert _keys(store) == []

    def test_of_many_conditional_creators_one_wins(self, store: Store) -> None:
        won: list[int] = []

        def create(number: int) -> None:
            try:
                store.put("key", str(number).encode(), if_absent=True)
                won.append(number)
            except ConflictError:
                pass

        threads = [threading.Thread(target=create, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert store.get("key") == str(won[0]).encode()

    # --- writers

    def test_a_writer_appears_when_it_is_closed(self, store: Store) -> None:
        with store.open_writer("a/big") as writer:
            writer.write(b"first ")
            writer.write(memoryview(b"second"))
            assert not store.exists("a/big")
            assert _keys(store) == []
        assert store.get("a/big") == b"first second"
        assert writer.record == FileRecord("a/big", 12, hashlib.sha256(b"first second").hexdigest())
        assert sha256_of(store, "a/big") == writer.record
        with pytest.raises(StorageError):
            writer.write(b"more")

    def test_a_writer_that_fails_leaves_nothing(self, store: Store) -> None:
        store.put("kept", b"old")

        def fail(key: str) -> None:
            with store.open_writer(key) as writer:
                writer.write(b"half")
                raise RuntimeError

        for key in ("kept", "a/new"):
            with pytest.raises(RuntimeError):
                fail(key)
        assert store.get("kept") == b"old"
        assert _keys(store) == ["kept"]
        assert store.children("")[0] == []

    def test_a_writer_without_data_makes_an_empty_object(self, store: Store) -> None:
        with store.open_writer("empty"):
            pass
        assert store.get("empty") == b""

    def test_a_writer_takes_more_than_a_part(self, store: Store) -> None:
        piece = bytes(range(256)) * 4096
        with store.open_writer("big") as writer:
            for _ in range(21):
                writer.write(piece)
        assert store.stat("big").size == writer.size == 21 * len(piece)
        assert sha256_of(store, "big").sha256 == hashlib.sha256(piece * 21).hexdigest()

    def test_a_write_to_be_flushed_later_is_visible_at_once(self, store: Store) -> None:
        store.put("a/b", b"1", durable=False)
        with store.open_writer("a/c", durable=False) as writer:
            writer.write(b"2")
        assert (store.get("a/b"), store.get("a/c")) == (b"1", b"2")
        store.sync("a")
        store.sync()
        store.sync("missing")
        assert _keys(store) == ["a/b", "a/c"]

    # --- listings

    def test_listings_are_sorted_and_know_folders(self, store: Store) -> None:
        keys = ["a.txt", "a/b/c", "a/b.txt", "a/ba", "ab/c", "b", "a-b"]
        for key in keys:
            store.put(key, key.encode())
        assert _keys(store) == sorted(keys)
        assert _keys(store, "a") == ["a/b.txt", "a/b/c", "a/ba"]
        assert _keys(store, "a/") == ["a/b.txt", "a/b/c", "a/ba"]
        assert _keys(store, "a/b") == ["a/b/c"]
        assert _keys(store, "b") == []
        assert _keys(store, "missing") == []
        assert [stat.size for stat in store.list("a")] == [7, 5, 4]
        folders, files = store.children()
        assert folders == ["a", "ab"]
        assert [stat.key for stat in files] == ["a-b", "a.txt", "b"]
        folders, files = store.children("a")
        assert (folders, [stat.key for stat in files]) == (["b"], ["a/b.txt", "a/ba"])
        assert store.children("missing") == ([], [])
        assert [store.is_folder(key) for key in ("a", "a/b", "a/ba", "missing")] == [True, True, False, False]

    def test_a_listing_is_longer_than_a_page(self, store: Store) -> None:
        store.put("before", b"")
        many = [f"many/{number:04d}" for number in range(1050)]
        keys = ["before", *(f"later/{number // 10}/{number:02d}" for number in range(50)), *many]
        for key in keys[1:]:
            store.put(key, b"", durable=False)
        assert _keys(store, "many") == many
        assert len(store.children("many")[1]) == 1050
        found: list[str] = []
        while page := list(itertools.islice(store.scan(after=found[-1] if found else ""), 300)):
            found += [each.key for each in page]
        assert found == keys
        store.delete_tree("many")
        assert _keys(store) == keys[:51]

    @pytest.mark.parametrize(
        ("prefix", "after", "expected", "by_folder"),
        [
            ("", "", _SCANNED, ["a b/", "a#/", "a-b", "a.txt", "a/", "ab/", "b", "é/"]),
            ("a", "", _SCANNED[:-2], ["a b/", "a#/", "a-b", "a.txt", "a/", "ab/"]),
            ("a/", "", ["a/b.txt", "a/b/c", "a/b/d/e", "a/ba"], ["a/b.txt", "a/b/", "a/ba"]),
            ("a/b", "", ["a/b.txt", "a/b/c", "a/b/d/e", "a/ba"], ["a/b.txt", "a/b/", "a/ba"]),
            ("a/b/", "", ["a/b/c", "a/b/d/e"], ["a/b/c", "a/b/d/"]),
            ("a/b/c", "", ["a/b/c"], ["a/b/c"]),
            ("a.txt", "", ["a.txt"], ["a.txt"]),
            ("a#", "", ["a#/x"], ["a#/"]),
            ("", "a/b.txt", _SCANNED[5:], ["a/", "ab/", "b", "é/"]),
            ("", "a/b/c", _SCANNED[6:], ["a/", "ab/", "b", "é/"]),
            ("", "a/ba", _SCANNED[8:], ["ab/", "b", "é/"]),
            ("", "a", _SCANNED, ["a b/", "a#/", "a-b", "a.txt", "a/", "ab/", "b", "é/"]),
            ("", "a.", _SCANNED[3:], ["a.txt", "a/", "ab/", "b", "é/"]),
            ("", "a/", _SCANNED[4:], ["a/", "ab/", "b", "é/"]),
            ("", "a//b", _SCANNED[4:], ["a/", "ab/", "b", "é/"]),
            ("", behind("a/"), _SCANNED[8:], ["ab/", "b", "é/"]),
            ("a/b", "a/b/c", ["a/b/d/e", "a/ba"], ["a/b/", "a/ba"]),
            ("a/b", behind("a/b/"), ["a/ba"], ["a/ba"]),
            ("a/b", "A", ["a/b.txt", "a/b/c", "a/b/d/e", "a/ba"], ["a/b.txt", "a/b/", "a/ba"]),
            ("a/b", "a/c", [], []),
            ("a/b", "b", [], []),
            ("", "é/ö", [], []),
            ("b/", "", [], []),
            ("missing/x", "", [], []),
            ("a//", "", [], []),
            ("/", "", [], []),
            ("../", "", [], []),
            ("a/./b", "", [], []),
        ],
    )
    def test_a_scan_has_the_order_of_keys(
        self, store: Store, prefix: str, after: str, expected: list[str], by_folder: list[str]
    ) -> None:
        for key in _SCANNED:
            store.put(key, key.encode(), durable=False)
        assert _scanned(store, prefix, after) == expected
        assert _scanned(store, prefix, after, by_folder=True) == by_folder
        for found in store.scan(prefix, after=after):
            assert found == store.stat(found.key)

    def test_any_scan_is_a_part_of_all_keys(self, store: Store) -> None:
        names = st.text("ab/ .-0é\ue000\U0001f9ec", min_size=1, max_size=7)

        @settings(max_examples=20, derandomize=True, database=None)
        @given(texts=st.lists(names.filter(_is_key), max_size=12, unique=True), data=st.data())
        def scan(texts: list[str], data: st.DataObject) -> None:
            keys = [key for key in texts if not any(other.startswith(f"{key}/") for other in texts)]
            store.delete_tree("")
            for key in keys:
                store.put(key, b"", durable=False)
            prefix, after = (data.draw(names | st.just("") | st.sampled_from([*keys, ""])) for _ in range(2))
            right = [key for key in sorted(keys, key=str.encode) if key.encode() > after.encode()]
            right = [key for key in right if key.startswith(prefix)]
            assert _scanned(store, prefix, after) == right
            heads = [key[len(prefix) :].partition("/") for key in right]
            level = dict.fromkeys(prefix + name + slash for name, slash, _ in heads)
            assert _scanned(store, prefix, after, by_folder=True) == list(level)

        scan()

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("*.mrc", ["top.mrc"]),
            ("*", ["run1", "run10", "run2", "top.mrc"]),
            ("run?", ["run1", "run2"]),
            ("run[12]", ["run1", "run2"]),
            ("run[!1]", ["run2"]),
            ("run*/", ["run1", "run10", "run2"]),
            ("run*/*.mrc", ["run1/a.mrc", "run10/A.mrc", "run2/b.mrc"]),
            ("run1/a.mrc", ["run1/a.mrc"]),
            ("run*/a.mrc", ["run1/a.mrc"]),
            ("run1", ["run1"]),
            ("run1/*.zarr", ["run1/v.zarr"]),
            ("run1/*", ["run1/a.mrc", "run1/deep", "run1/v.zarr"]),
            ("**/*.mrc", ["run1/a.mrc", "run1/deep/er/c.mrc", "run10/A.mrc", "run2/b.mrc", "top.mrc"]),
            ("run1/**", ["run1/a.mrc", "run1/deep", "run1/deep/er", "run1/deep/er/c.mrc", "run1/v.zarr"]),
            ("run1/**/c.mrc", ["run1/deep/er/c.mrc"]),
            ("**/er/*", ["run1/deep/er/c.mrc"]),
            ("**/0", []),
            ("run1/v.zarr/0/*", ["run1/v.zarr/0/0", "run1/v.zarr/0/1"]),
            ("run1/v.zarr/.z*", ["run1/v.zarr/.zgroup"]),
            (".hidden/*", [".hidden/x.mrc"]),
            ("**/**/b.mrc", ["run2/b.mrc"]),
            ("missing/*", []),
            ("run1//a.mrc", ["run1/a.mrc"]),
            ("RUN1/*", []),
            ("", []),
        ],
    )
    def test_glob(self, store: Store, pattern: str, expected: list[str]) -> None:
        for key in (
            "top.mrc",
            "run1/a.mrc",
            "run1/deep/er/c.mrc",
            "run1/v.zarr/.zgroup",
            "run1/v.zarr/0/0",
            "run1/v.zarr/0/1",
            "run2/b.mrc",
            "run10/A.mrc",
            ".hidden/x.mrc",
        ):
            store.put(key, b"1")
        found = store.glob(pattern)
        assert [match.key for match in found] == expected
        for match in found:
            assert isinstance(match, Folder) == match.is_folder == store.is_folder(match.key)

    @pytest.mark.parametrize("pattern", ["/absolute", "../x", "a/../*"])
    def test_glob_stays_inside(self, store: Store, pattern: str) -> None:
        with pytest.raises(StorageError):
            store.glob(pattern)

    # --- trees

    def test_move_of_an_object_replaces_its_target(self, store: Store) -> None:
        store.put("a/b", b"new")
        store.put("c/d", b"old")
        store.move("a/b", "c/d")
        assert _keys(store) == ["c/d"]
        assert store.get("c/d") == b"new"
        assert store.children()[0] == ["c"]
        with pytest.raises(NotFoundError):
            store.move("a/b", "x")

    def test_move_of_a_tree_merges(self, store: Store) -> None:
        for key in ("from/1", "from/sub/2", "fromage"):
            store.put(key, b"new")
        store.move("from", "to/here")
        assert _keys(store) == ["fromage", "to/here/1", "to/here/sub/2"]
        for key in ("from/1", "from/sub/3"):
            store.put(key, b"newer")
        store.move("from", "to/here")
        assert _keys(store) == ["fromage", "to/here/1", "to/here/sub/2", "to/here/sub/3"]
        assert (store.get("to/here/1"), store.get("to/here/sub/2")) == (b"newer", b"new")

    def test_several_files_are_written_in_order(self, store: Store) -> None:
        store.put("a/1", b"old")
        store.put_files([("a/1", b"new"), ("b/c/2", b""), ("a/1", b"newest")])
        assert [(key, store.get(key)) for key in _keys(store)] == [("a/1", b"newest"), ("b/c/2", b"")]
        store.put_files([])
        with pytest.raises(StorageError):
            store.put_files([("a/2", b""), ("a/../3", b"")])
        assert "a/3" not in _keys(store)

    def test_prepared_files_appear_when_they_are_placed(self, store: Store) -> None:
        store.put("staging/x/1", b"1", durable=False)
        store.put("a/old", b"old")
        with store.prepare({"a/old": b"new", "b/c/2": b"2", "d/3": b"3"}, near="staging") as prepared:
            assert _keys(store) == ["a/old", "staging/x/1"]
            assert store.get("a/old") == b"old"
            prepared.place(["b/c/2"])
            assert _keys(store) == ["a/old", "b/c/2", "staging/x/1"]
            moved: list[list[str]] = []
            prepared.place(["a/old"], moves=[("staging/x/1", "m/x/1")], check=lambda: moved.append(_keys(store)))
        assert moved == [["a/old", "b/c/2", "m/x/1"]]
        assert {key: store.get(key) for key in _keys(store)} == {"a/old": b"new", "b/c/2": b"2", "m/x/1": b"1"}

    def test_many_files_move_and_vanish_at_once(self, store: Store) -> None:
        keys = [f"x/{number % 3}/{number}" for number in range(40)]
        for key in keys:
            store.put(key, key.encode(), durable=False)
        store.move_files([(key, "y/" + key) for key in keys])
        assert _keys(store) == sorted("y/" + key for key in keys)
        assert all(store.get("y/" + key) == key.encode() for key in keys)
        store.delete_files(["y/" + key for key in keys[:20]] + ["y/missing"])
        assert len(_keys(store)) == 20
        store.move_files([])
        store.delete_files([])

    def test_delete_tree_has_exact_edges(self, store: Store) -> None:
        for key in ("a/1", "a/b/2", "ab/3", "a.txt"):
            store.put(key, b"")
        store.delete_tree("a")
        assert _keys(store) == ["a.txt", "ab/3"]
        store.delete_tree("missing")
        store.delete_tree("")
        assert _keys(store) == []
        store.put("again/1", b"1")
        assert _keys(store) == ["again/1"]

    # --- views

    def test_a_view_has_keys_of_its_own(self, store: Store) -> None:
        store.put("a/b/c", b"1")
        store.put("ab", b"2")
        view = store.sub("a")
        assert _keys(view) == ["b/c"]
        assert view.children("b")[1][0].key == "b/c"
        assert [match.key for match in view.glob("*/*")] == ["b/c"]
        assert _keys(view.sub("b")) == ["c"]
        with view.sub("b").open_writer("d") as writer:
            writer.write(b"3")
        assert writer.record.key == "d"
        view.copy_files([("b/d", "e")])
        view.move_files([("e", "f/g")])
        assert store.get("a/f/g") == b"3"
        with pytest.raises(StorageError):
            view.get("../ab")
        view.delete_tree("")
        assert _keys(store) == ["ab"]
        assert store.sub("") is store

    # --- locks

    def test_a_lock_has_one_holder(self, store: Store) -> None:
        with store.lock("10001/run") as lock:
            lock.check()
            with pytest.raises(LockedError), store.lock("10001/run", timeout=0.05):
                pass
            with store.lock("10001/other run", timeout=0.05):
                pass
        with store.lock("10001/run", timeout=1.0):
            pass
        assert _keys(store) == []

    def test_a_lock_is_released_by_an_exception(self, store: Store) -> None:
        with pytest.raises(RuntimeError), store.lock("name"):
            raise RuntimeError
        with store.lock("name", timeout=1.0):
            pass

    def test_waiting_threads_get_the_lock_one_by_one(self, store: Store) -> None:
        store.put("count", b"0")

        def count() -> None:
            for _ in range(3):
                with store.lock("count", timeout=60):
                    store.put("count", str(int(store.get("count")) + 1).encode(), durable=False)

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.get("count") == b"12"
