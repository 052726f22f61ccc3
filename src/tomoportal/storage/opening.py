"""From a URL to a store."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from tomoportal.errors import StorageError
from tomoportal.storage.base import Store

__all__ = ["open_store"]


def open_store(
    url: str | os.PathLike[str], *, create: bool = False, read_only: bool = False, follow_links: bool = False
) -> Store:
    """Open the store that ``url`` names.

    ``/path``, ``relative/path``, ``file:///path``
        a folder; ``create`` makes it. Links that lead out of it are refused unless ``follow_links`` (for raw data).
    ``s3://bucket/prefix?endpoint=http://host:port&region=…&anonymous=true``
        S3 or anything that speaks it; what the query does not say comes from ``AWS_ENDPOINT_URL``, ``AWS_REGION``,
        ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, … as usual.
    ``memory://``
        an empty store in memory, for tests.

    Raises :class:`~tomoportal.errors.NotFoundError` for a folder that does not exist and
    :class:`~tomoportal.errors.StorageError` for a URL that no store understands.
    """
    text = os.fspath(url)
    scheme = text.partition("://")[0] if "://" in text else ""
    if scheme in ("", "file"):
        from tomoportal.storage.local import LocalStore

        path = unquote(urlsplit(text).path) if scheme else text
        return LocalStore(path, create=create, read_only=read_only, follow_links=follow_links)
    if scheme == "s3":
        from tomoportal.storage.objects import s3_store

        return s3_store(text, read_only=read_only)
    if scheme == "memory":
        from tomoportal.storage.objects import memory_store

        return memory_store(read_only=read_only)
    raise StorageError(
        f"no store for addresses that start with {scheme}://", where=text, fix="use a path, file://, s3:// or memory://"
    )
