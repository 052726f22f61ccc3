"""The listing of an older archive, asked folder by folder without further requests."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping

__all__ = ["Tree"]

_AFTER_SLASH = chr(ord("/") + 1)  # the first key behind a folder sorts from here


class Tree:
    """Keys and sizes of files below one folder; hidden files and folders do not count."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = {key: size for key, size in sizes.items() if not any(p.startswith(".") for p in _outside(key))}
        self.keys = sorted(self.sizes)

    def below(self, folder: str) -> Iterator[str]:
        """Keys of all files below a folder, sorted."""
        start = f"{folder}/" if folder else ""
        for key in self.keys[bisect_left(self.keys, start) :]:
            if not key.startswith(start):
                return
            yield key

    def is_folder(self, folder: str) -> bool:
        return next(self.below(folder), None) is not None

    def has(self, key: str) -> bool:
        """Whether a file or a folder lies there."""
        return key in self.sizes or self.is_folder(key)

    def names(self, folder: str) -> tuple[list[str], list[str]]:
        """Names of the folders and of the files directly in a folder, sorted."""
        start = f"{folder}/" if folder else ""
        folders: list[str] = []
        files: list[str] = []
        at = bisect_left(self.keys, start)
        while at < len(self.keys) and self.keys[at].startswith(start):
            head, found, _ = self.keys[at][len(start) :].partition("/")
            if found:
                folders.append(head)
                at = bisect_left(self.keys, f"{start}{head}{_AFTER_SLASH}", at)
            else:
                files.append(head)
                at += 1
        return sorted(folders), sorted(files)

    def resolve(self, path: object, folder: str) -> str | None:
        """The key that a document in ``folder`` means by a path.

        Older documents hold a bare file name, a key, a key behind the bucket's name or behind ``s3://…``; and the
        folder of a voxel spacing may be spelled with another number of decimals than the document says.
        """
        if not isinstance(path, str) or not path.strip("/"):
            return None
        key = re.sub(r"^[a-z0-9]+://", "", path).strip("/")
        _, _, rest = key.partition("/")
        for each in (key, rest, f"{folder}/{key}", f"{folder}/{key.rpartition('/')[2]}"):
            if each and self.has(each):
                return each
        return None


def _outside(key: str) -> list[str]:
    """The parts of a key down to a Zarr folder, in which hidden files are data."""
    return key.partition(".zarr/")[0].split("/")
