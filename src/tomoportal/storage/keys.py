"""Keys: the names of objects in a store."""

from __future__ import annotations

from tomoportal.errors import StorageError

__all__ = ["check_key", "check_prefix", "join", "name_of", "parent_of"]


def check_key(key: str) -> str:
    """Return ``key`` if it names an object below the root: relative, ``/``-separated, no ``.``/``..``/empty parts."""
    if not key or key[0] == "/" or key[-1] == "/" or "//" in key or "\0" in key:
        raise _bad(key)
    if "." in key and any(part in (".", "..") for part in key.split("/")):
        raise _bad(key)
    return key


def check_prefix(prefix: str) -> str:
    """Like :func:`check_key` for a folder: the empty prefix is the root, one trailing ``/`` is taken off."""
    if prefix in ("", "/"):
        return ""
    return check_key(prefix.removesuffix("/"))


def join(*parts: str) -> str:
    """Join the parts that are not empty with ``/``."""
    return "/".join(part for part in parts if part)


def parent_of(key: str) -> str:
    """The folder of a key; the empty prefix for a key at the root."""
    return key.rpartition("/")[0]


def name_of(key: str) -> str:
    """The last part of a key."""
    return key.rpartition("/")[2]


def _bad(key: str) -> StorageError:
    return StorageError(
        f"{key!r} is not a key of a store",
        fix="use a path relative to the store's root, with '/' between names and without '.', '..' or empty names",
    )
