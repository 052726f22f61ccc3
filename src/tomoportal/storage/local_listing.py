"""Listings of a folder of the local file system, in the order of keys."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator

from tomoportal.storage.base import Folder, Stat
from tomoportal.storage.keys import join
from tomoportal.storage.os_errors import explain

__all__ = ["TEMPORARY", "Listing", "stat_of", "version_tag"]

TEMPORARY = ".tomoportal-tmp-"
"""How the names of files begin that are being written."""

_COARSEST = 3_000_000_000
"""Nanoseconds: FAT counts in two seconds."""


def stat_of(key: str, status: os.stat_result) -> Stat:
    """What is told about a file."""
    return Stat(key, status.st_size, status.st_mtime, version_tag(status))


def _looked_at(key: str, entry: os.DirEntry[str]) -> Stat | None:
    """What is told about a file that was listed; None if it was removed since.

    A file that cannot be looked at (a stale handle, a damaged disk) is listed without size and version: it is there,
    its neighbours are sound, and whoever reads it learns why not.
    """
    try:
        return stat_of(key, entry.stat())
    except FileNotFoundError:
        return None
    except OSError:
        return Stat(key, 0, 0.0, "")


def version_tag(status: os.stat_result) -> str:
    """The version of a file: every write makes a new inode and, where a condition holds, a later time."""
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def is_settled(etag: str) -> bool:
    """Whether a version is older than the coarsest ticks of file systems, so that no other one has its time."""
    return time.time_ns() - int(etag.split("-")[1], 16) > _COARSEST


def made_newer(path: str, than: int) -> str:
    """The version of a file that replaces one of the time ``than`` (ns), with a later time whatever the clock says.

    Inodes are used again: of three versions within a tick, the third could look like the first.
    """
    status = os.stat(path)
    if status.st_mtime_ns <= than:
        os.utime(path, ns=(status.st_atime_ns, than + 1))
        status = os.stat(path)
    return version_tag(status)


class Listing:
    """The files and folders below a root; temporary files and links that lead out of it are left out."""

    def __init__(self, root: str, *, follow_links: bool) -> None:
        self.root, self.follow_links = root, follow_links

    def walk(self, prefix: str, path: str) -> Iterator[Stat]:
        """All files below the folder ``prefix``, which lies at ``path``."""
        for name, entry in self.entries(prefix, path):
            key = join(prefix, entry.name)
            if name.endswith("/"):
                yield from self.walk(key, entry.path)
            else:
                found = _looked_at(key, entry)
                if found is not None:
                    yield found

    def children(self, prefix: str, path: str) -> tuple[list[str], list[Stat]]:
        """One level: names of folders, and files."""
        folders: list[str] = []
        files: list[Stat] = []
        for name, entry in self.entries(prefix, path):
            if name.endswith("/"):
                folders.append(entry.name)
            else:
                found = _looked_at(join(prefix, entry.name), entry)
                if found is not None:
                    files.append(found)
        return sorted(folders), files

    def scan(self, folder: str, path: str, prefix: str, after: str, by_folder: bool) -> Iterator[Stat | Folder]:
        """See :meth:`Store.scan`; ``folder`` is the part of ``prefix`` up to the last ``/``, and lies at ``path``.

        Only folders that hold wanted keys are read, one at a time.
        """
        base = f"{folder}/" if folder else ""
        if not after.startswith(base):
            if after > base:
                return
            after = ""
        for name, entry in self.entries(folder, path, after[len(base) :].partition("/")[0]):
            key = base + name
            if not key.startswith(prefix):
                continue
            if not name.endswith("/"):
                found = _looked_at(key, entry) if key > after else None
                if found is not None:
                    yield found
                continue
            begun = after.startswith(key)
            if not begun and key < after:
                continue
            inside = self.scan(key[:-1], entry.path, "", after if begun else "", False)
            if not by_folder:
                yield from inside
            elif next(inside, None) if begun else self.holds_a_file(key[:-1], entry.path):
                yield Folder(key[:-1])

    def holds_a_file(self, prefix: str, path: str) -> bool:
        """Whether there is a file at any depth; files beside folders are seen first."""
        entries = self.entries(prefix, path)
        if any(not name.endswith("/") for name, _ in entries):
            return True
        return any(self.holds_a_file(join(prefix, entry.name), entry.path) for _, entry in entries)

    def entries(self, prefix: str, path: str, start: str = "") -> list[tuple[str, os.DirEntry[str]]]:
        """Entries of one folder, folders with a trailing slash, in the order of their full keys.

        Those whose names come before ``start`` and do not begin it are left out.
        """
        entries = []
        try:
            with os.scandir(path) as found:
                for entry in found:
                    if entry.name < start and not start.startswith(entry.name):
                        continue
                    if entry.name.startswith(TEMPORARY):
                        continue
                    if entry.is_symlink() and not self._link_is_inside(entry.path):
                        continue
                    if entry.is_dir():
                        entries.append((entry.name + "/", entry))
                    elif entry.is_file():
                        entries.append((entry.name, entry))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # what can have no name is not there
                return []
            raise explain(error, prefix or path) from error
        return sorted(entries, key=lambda pair: pair[0])

    def _link_is_inside(self, path: str) -> bool:
        if not os.path.exists(path):
            return False
        real = os.path.realpath(path)
        # A link to a folder that holds it would never end.
        if os.path.isdir(real) and (path + "/").startswith(real + "/"):
            return False
        return self.follow_links or real.startswith(self.root + "/")
