"""Kill a publishing process before its n-th change of the file system, for every n; run by ``test_crashes``.

``os._exit`` in an audit hook is what ``kill -9`` is: nothing runs afterwards, no file is closed or removed.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import specimen

from tomoportal.archive import Archive

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}
_KILLED = 37


# A killed process loses nothing that it handed to the kernel: flushing is for power cuts, and slow on a busy disk.
os.fsync = lambda descriptor: None


def tree(root: Path) -> dict[str, bytes]:
    """Every file below the root, hidden ones too; the cache is not part of an archive."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".tomoportal/cache" not in str(path)
    }


def run_and_die(root: Path, round_: int, at: int) -> bool:
    """Publish a round in a child that dies before its n-th change; false if it ended before."""
    child = os.fork()
    if child == 0:
        count = 0

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal count
            if event in _CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & 3):
                if count == at:
                    os._exit(_KILLED)
                count += 1

        sys.addaudithook(hook)
        code = 1
        try:
            specimen.publish_round(Archive.open(root), round_)
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, _KILLED), f"the child failed at change {at}"
    return code == _KILLED


def matrix(base: Path, work: Path, round_: int, expected: dict[str, bytes]) -> int:
    at = 0
    while True:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(base, work)
        killed = run_and_die(work, round_, at)
        archive = Archive.open(work)
        if round_ == 1:
            specimen.check_documents(archive)
        archive.recover()
        specimen.check_whole(archive)
        specimen.publish_round(archive, round_)
        specimen.check_whole(archive)
        found = tree(work)
        assert found.keys() == expected.keys(), (round_, at, found.keys() ^ expected.keys())
        assert found == expected, (round_, at, [key for key in found if found[key] != expected[key]])
        if not killed:
            return at
        at += 1


def main(folder: Path) -> None:
    empty, first, second = folder / "empty", folder / "first", folder / "second"
    empty.mkdir()
    specimen.publish_round(Archive.open(first, create=True), 1)
    shutil.copytree(first, second)
    specimen.publish_round(Archive.open(second), 2)
    for base, round_, expected in ((empty, 1, first), (first, 2, second)):
        print(f"round {round_}: killed at {matrix(base, folder / 'work', round_, tree(expected))} places")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
