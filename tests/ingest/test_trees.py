from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.ingest.trees import OutsideError, Tree, join
from tomoportal.storage import open_store

FILES = [
    "TS_1/a.mrc",
    "TS_1/b.zarr/.zgroup",
    "TS_10/a.mrc",
    "TS_2/deep/er/a.mrc",
    "TS_2/[x].mrc",
    "a.mrc",
    ".hidden/a.mrc",
    "TS_1/.a.mrc",
]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return Tree(open_store(tmp_path, read_only=True))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*/a.mrc", ["TS_10/a.mrc", "TS_1/a.mrc"]),
        ("TS_?/*.mrc", ["TS_1/a.mrc", "TS_2/[x].mrc"]),
        ("TS_1", ["TS_1"]),
        ("TS_1/*", ["TS_1/a.mrc", "TS_1/b.zarr"]),
        ("**/a.mrc", ["TS_10/a.mrc", "TS_1/a.mrc", "TS_2/deep/er/a.mrc", "a.mrc"]),
        ("TS_[12]/a.mrc", ["TS_1/a.mrc"]),
        ("TS_2/[[]x].mrc", ["TS_2/[x].mrc"]),
        ("nothing/*", []),
        ("a.mrc/*", []),
        ("./TS_1//a.mrc", ["TS_1/a.mrc"]),
        ("", []),
    ],
)
def test_globs_find_files_and_folders_sorted(tree: Tree, pattern: str, found: list[str]) -> None:
    assert tree.glob(pattern) == sorted(found)


@pytest.mark.parametrize("pattern", ["../x", "a/../../b", "TS_1/.."])
def test_what_leaves_the_folder_is_refused(tree: Tree, pattern: str) -> None:
    with pytest.raises(OutsideError):
        tree.glob(pattern)


def test_each_folder_is_listed_once(tmp_path: Path, tree: Tree) -> None:
    assert tree.glob("*.mrc") == ["a.mrc"]
    (tmp_path / "new.mrc").write_bytes(b"x")
    assert tree.glob("*.mrc") == ["a.mrc"]
    assert not tree.is_file("new.mrc")
    assert tree.is_file("TS_1/a.mrc")
    assert not tree.is_file("TS_1")
    assert tree.exists("TS_1")


_NAMES = st.text("abc1_.", min_size=1, max_size=4)


@given(st.lists(_NAMES, max_size=12), st.text("abc1_.*?", min_size=1, max_size=5))
def test_one_component_matches_as_fnmatch_does(names: list[str], pattern: str) -> None:
    tree = Tree(open_store("memory://"))
    ordered = sorted(set(names))
    expected = [
        name for name in ordered if fnmatch.fnmatchcase(name, pattern) and (name[0] != "." or pattern[0] == ".")
    ]
    assert tree._matching(ordered, pattern) == expected


def test_join() -> None:
    assert join("", "a/", "/b", "c//d") == "a/b/c/d"
