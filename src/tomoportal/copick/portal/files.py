"""Where the files of a portal are read: over https, from S3, or below the folder where its archive is mounted."""

from __future__ import annotations

import threading
from urllib.parse import quote, unquote, urlsplit

from tomoportal.copick.portal.answers import users_cache_folder
from tomoportal.copick.portal.config import PortalSettings
from tomoportal.copick.portal.kept_files import KeptFiles
from tomoportal.copick.portal.web import WebStore, bucket_address
from tomoportal.copick.sources import Source
from tomoportal.errors import FormatError
from tomoportal.storage import Store, open_store

__all__ = ["PortalFiles", "quoted"]


class PortalFiles:
    """From the pair of addresses that a portal gives for a file or folder to a source and a key in it."""

    def __init__(self, settings: PortalSettings) -> None:
        self._settings = settings
        self._sources: dict[str, Source] = {}
        self._lock = threading.Lock()
        self.kept: KeptFiles | None = None
        if settings.cache and settings.file_cache_bytes > 0:
            folder = users_cache_folder(settings.cache_folder) / "files"
            self.kept = KeptFiles(folder, limit=settings.file_cache_bytes, seconds=settings.cache_seconds)

    def __reduce__(self) -> tuple[object, ...]:
        return PortalFiles, (self._settings,)

    def read(self, source: Source, key: str) -> bytes:
        """All bytes of a file of points or a mesh. Raises :class:`NotFoundError` and other :class:`StorageError`."""
        if self.kept is not None and isinstance(source.store, WebStore):
            return self.kept.read(source.store, key)
        return source.store.get(key)

    def place(self, s3: str | None, https: str | None) -> tuple[Source, str]:
        """The source, and the key in it. Raises :class:`FormatError` for addresses that are none."""
        bucket, key = _bucket_and_key(s3)
        if self._settings.access == "file" and key:
            return self._source(self._settings.files_root or ""), key
        if https and (self._settings.access != "s3" or not key):
            return self._web(https, key)
        if not key:
            raise FormatError(
                "the portal gives no address that can be read", where=s3 or https, fix="tell the portal's keepers"
            )
        return self._source(f"s3://{bucket}"), key

    def _web(self, https: str, key: str) -> tuple[Source, str]:
        """Portals write the key behind a base, with or without percent-encoding; the S3 address tells which."""
        if key and https.endswith(f"/{key}"):
            return self._source(https[: -len(key) - 1]), key
        if key and https.endswith(f"/{(quoted := quote(key))}"):
            return self._source(https[: -len(quoted) - 1]), key
        parts = urlsplit(https)
        if parts.scheme not in ("http", "https") or not parts.netloc or not parts.path.strip("/"):
            raise FormatError("this is no https address of a file", where=https, fix="tell the portal's keepers")
        return self._source(f"{parts.scheme}://{parts.netloc}"), unquote(parts.path).strip("/")

    def _source(self, base: str) -> Source:
        with self._lock:
            if base not in self._sources:
                self._sources[base] = Source.of(self._open(base), read_only=True, url=base)
            return self._sources[base]

    def _open(self, base: str) -> Store:
        scheme, separator, rest = base.partition("://")
        if separator and scheme in ("http", "https"):
            return WebStore(base)
        if separator and scheme == "s3" and base != self._settings.files_root:
            return WebStore(bucket_address(rest, self._settings.s3_endpoint))
        return open_store(base, read_only=True, follow_links=True)

    def file_system(self, source: Source) -> tuple[str, dict[str, object]]:
        """What fsspec opens the same files with: an address and arguments."""
        if source.url.startswith("s3://"):
            endpoint = self._settings.s3_endpoint
            return source.url, {"anon": True, **({"endpoint_url": endpoint} if endpoint else {})}
        return source.url, {}


def quoted(s3: str | None, https: str | None) -> str | None:
    """The https address as others need it: some portals write the key in it without percent-encoding."""
    key = _bucket_and_key(s3)[1]
    return f"{https[: -len(key)]}{quote(key)}" if https and key and https.endswith(f"/{key}") else https


def _bucket_and_key(address: str | None) -> tuple[str, str]:
    """Of ``s3://bucket/key``, whose key stands there as it is; empty for anything else."""
    scheme, separator, rest = (address or "").partition("://")
    if scheme != "s3" or not separator:
        return "", ""
    bucket, _, key = rest.partition("/")
    return bucket, key.strip("/")
