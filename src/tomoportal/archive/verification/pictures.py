"""Key photos: whether they are pictures, and large enough for the pages that show them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tomoportal.archive.findings import Finding, finding
from tomoportal.archive.verification.view import View
from tomoportal.storage import Store

__all__ = ["check", "picture_findings", "picture_size"]

_HEAD = 256 * 1024  # a JPEG may carry a colour profile before its size
_SMALLEST = 50
_SMALLEST_OF_TOMOGRAMS = {"thumbnail": 100, "snapshot": 384}  # height in pixels; the width is 4/3 of it


def check(view: View) -> Iterator[Finding]:
    """The photos that the documents of a container name; missing ones are reported as references."""
    for kind in ("dataset", "deposition", "tomogram"):
        for entity in view.of(kind):
            photos = entity.content.get("key_photo" if kind == "tomogram" else "key_photos")
            for part, path in photos.items() if isinstance(photos, dict) else ():
                key = view.file(path)
                if key is not None and key in view.sizes:
                    yield from picture_findings(view.store, key, part, of_tomogram=kind == "tomogram")


def picture_findings(store: Store, key: str, part: str, *, of_tomogram: bool = False) -> Iterator[Finding]:
    """A file that is shown as ``part`` (``snapshot``, ``thumbnail``, …): whether it is a picture, and large enough."""
    size = picture_size(store.get_range(key, 0, _HEAD))
    if size is None:
        yield finding("V206", key, "the file does not begin as a PNG, JPEG or GIF image does")
        return
    width, height = size
    least = _SMALLEST_OF_TOMOGRAMS.get(part, _SMALLEST) if of_tomogram else _SMALLEST
    least_wide = least * 4 // 3 if least > _SMALLEST else least
    if height < least or width < least_wide:
        yield finding(
            "V207", key, f"{width} × {height} pixels (width × height); at least {least_wide} × {least} are needed"
        )


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels from the beginning of a PNG, GIF or JPEG file; None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        width, height = struct.unpack("<HH", data[6:10])
        return width, height
    return _jpeg_size(data) if data.startswith(b"\xff\xd8\xff") else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a start of frame
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
