"""How the address of an archive file is stored, and the bases that complete it when a request is answered.

A path column holds one text for both of its wire fields (``s3Prefix``, ``httpsPrefix``):

- the archive **key** (``10001/TS_1/``): the base is put before it when it is answered;
- a **foreign** value, served verbatim: ``/`` + the s3 text + a line feed + the https text. Archive keys never begin
  with ``/``, so the two forms cannot be confused.

In an https address the characters of a key that would end or change its path (``ESCAPED``) are percent-encoded, so
that the link opens the file. All others stay: clients name the local file after the address, and they and browsers
encode blanks and letters themselves. An s3 address is not a URL but bucket and key, verbatim.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ESCAPED", "PLACEHOLDER", "Bases", "stored_address", "stored_text"]

PLACEHOLDER = "archive://"
"""Stands for the https base in stored viewer configurations (DESIGN 7)."""

ESCAPED = "%#?\\"
"""What is percent-encoded in an https address; ``%`` comes first."""


@dataclass(frozen=True, slots=True)
class Bases:
    """What is put before an archive key on the wire, without a trailing slash.

    ``Bases(s3="s3://tomoportal", https="http://127.0.0.1:8000/files")``
    """

    s3: str
    https: str

    def parameters(self) -> dict[str, str]:
        return {"s3_base": self.s3.rstrip("/") + "/", "https_base": self.https.rstrip("/") + "/"}


def stored_text(text: str | None) -> str | None:
    """Stored form of a path in a document: a key as it is, anything that is no key as a foreign value."""
    if text is None or text == "":
        return None
    if "://" in text or text.startswith("/"):
        return _foreign(text, text)
    return text


def stored_address(s3: str | None, https: str | None, bases: Bases) -> str | None:
    """Stored form of a pair of addresses: their common key below the bases, else both verbatim."""
    if s3 is None and https is None:
        return None
    parameters = bases.parameters()
    keys: set[str | None] = set()
    if s3 is not None:
        keys.add(_below(s3, parameters["s3_base"]))
    if https is not None:
        key = _below(https, parameters["https_base"])
        keys.add(key and _plain(key))
    key = keys.pop() if len(keys) == 1 else None
    return key if key else _foreign(s3, https)


def _below(text: str, base: str) -> str | None:
    return text[len(base) :] if text.startswith(base) else None


def _plain(path: str) -> str:
    for character in reversed(ESCAPED):
        path = path.replace(f"%{ord(character):X}", character)
    return path


def _foreign(s3: str | None, https: str | None) -> str:
    return f"/{s3 or ''}\n{https or ''}"
