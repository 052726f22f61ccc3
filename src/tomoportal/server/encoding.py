"""What the bytes of an answer are: content types, and gzip for those who accept it."""

from __future__ import annotations

import gzip

__all__ = ["accepts", "accepts_gzip", "compress", "content_type", "prefers_html"]

JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_BINARY = "application/octet-stream"

# Only types that a browser shows without running anything: the archive's files share the pages' origin.
_BY_EXTENSION = {
    ".json": JSON,
    ".zarray": JSON,
    ".zattrs": JSON,
    ".zgroup": JSON,
    ".zmetadata": JSON,
    ".ndjson": "application/x-ndjson",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".glb": "model/gltf-binary",
    ".csv": "text/csv; charset=utf-8",
} | dict.fromkeys((".txt", ".mdoc", ".tlt", ".rawtlt", ".xtilt", ".xf", ".star", ".com", ".doc", ".aln"), _TEXT)

_LEAST_WORTH_COMPRESSING = 1024
_LARGE = 1 << 20


def content_type(key: str) -> str:
    """The content type of a file of the archive, by its name."""
    name = key.rpartition("/")[2].lower()
    dot = name.rfind(".")
    return _BY_EXTENSION.get(name[dot:], _BINARY) if dot >= 0 else _BINARY


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether a client's ``Accept-Encoding`` allows gzip."""
    qualities = _qualities(accept_encoding)
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def accepts(accept: str | None, media_type: str) -> bool:
    """Whether a client's ``Accept`` names this type itself (wildcards do not count)."""
    return _qualities(accept).get(media_type, 0.0) > 0


def prefers_html(accept: str | None) -> bool:
    """Whether the client is a browser that navigates: it names HTML, and JSON not before it."""
    qualities = _qualities(accept)
    return qualities.get("text/html", 0.0) > qualities.get(JSON, 0.0)


def compress(body: bytes, accept_encoding: str | None) -> tuple[bytes, bool]:
    """The body as gzip if the client accepts it and it pays; whether it was compressed. Same input, same bytes."""
    if len(body) < _LEAST_WORTH_COMPRESSING or not accepts_gzip(accept_encoding):
        return body, False
    # Large answers are compressed fast rather than well: beyond level 1 the time exceeds that of a local network.
    return gzip.compress(body, 1 if len(body) > _LARGE else 6, mtime=0), True


def _qualities(header: str | None) -> dict[str, float]:
    found = {}
    for part in (header or "").split(","):
        name, *parameters = part.split(";")
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if name.strip():
            found[name.strip().lower()] = quality
    return found
