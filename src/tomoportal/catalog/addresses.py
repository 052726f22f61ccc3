"""How the address of an archive file is stored, and the bases that complete it when a request is answered.

A path column holds one text for both of its wire fields (``s3Prefix``, ``httpsPrefix``):

- the archive **key** (``10001/TS_1/``): the base is put before it when it is answered;
- a **foreign** value, served verbatim: ``/`` + the s3 text + a line feed + the https text. Archive keys never begin
  with ``/``, so the two forms cannot be confused.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PLACEHOLDER", "Bases", "stored_address", "stored_text"]

PLACEHOLDER = "archive://"
"""Stands for the https base in stored viewer configurations (DESIGN 7)."""


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
    keys = {
        text[len(base) :] if text.startswith(base) else None
        for text, base in ((s3, parameters["s3_base"]), (https, parameters["https_base"]))
        if text is not None
    }
    key = keys.pop() if len(keys) == 1 else None
    return key if key else _foreign(s3, https)


def _foreign(s3: str | None, https: str | None) -> str:
    return f"/{s3 or ''}\n{https or ''}"
