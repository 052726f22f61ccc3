"""Which keys of the archive are served at all, before anybody asks who may see them."""

from __future__ import annotations

import re

__all__ = ["UNSPEAKABLE", "is_ours", "is_plain"]

_OURS = ".tomoportal"  # the folder of locks, ids and caches, and the beginning of temporary names
UNSPEAKABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""What XML and log lines cannot hold: control characters, halves of pairs, the two that are no characters."""

_NO_KEY = re.compile(rf"{UNSPEAKABLE.pattern}|(?:\A|/)\.{{0,2}}(?:/|\Z)")


def is_plain(key: str) -> bool:
    """Whether a key has the archive's form: relative, no empty part, no ``.`` or ``..``, no control character."""
    return _NO_KEY.search(key) is None


def is_ours(key: str) -> bool:
    """Whether a key lies in the archive's own house-keeping."""
    return _OURS in key and any(part.startswith(_OURS) for part in key.split("/"))
