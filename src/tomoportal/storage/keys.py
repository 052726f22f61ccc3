"""Keys: the names of objects in a store."""

from __future__ import annotations

from tomoportal.errors import StorageError

__all__ = ["behind", "check_key", "check_prefix", "join", "just_before", "name_of", "parent_of"]

_LAST_CHARACTER = "\U0010ffff"


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


def behind(text: str) -> str:
    """A text that sorts behind every key that begins with ``text``, and before what follows those; no key itself."""
    return f"{text}{_LAST_CHARACTER}"


def just_before(text: str) -> str:
    """A text before ``text`` with next to nothing between the two, in the order of keys."""
    last = ord(text[-1]) if text else 0
    if last <= 1:
        return text[:-1]
    before = 0xD7FF if last == 0xE000 else last - 1  # the code points between are no characters
    return behind(text[:-1] + chr(before))


def _bad(key: str) -> StorageError:
    return StorageError(
        f"{key!r} is not a key of a store",
        fix="use a path relative to the store's root, with '/' between names and without '.', '..' or empty names",
    )
