"""Where the files of a project are: a static source that is only read and an overlay that is written, each a store.

URLs are those of fsspec, as copick configs hold them. Local folders and S3 are opened by :mod:`tomoportal.storage`;
any other protocol through fsspec, if that is installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from tomoportal.copick.listing import Listing
from tomoportal.errors import NotFoundError, StorageError
from tomoportal.storage import Store, open_store

if TYPE_CHECKING:
    from tomoportal.copick.read_ahead import ReadAhead

__all__ = ["Source", "open_source", "same_place", "shadowed"]

_LOCAL = ("", "local", "file")


@dataclass(eq=False)
class Source:
    """One side of a project. ``url`` is as in the config, without trailing slashes."""

    url: str
    store: Store
    listing: Listing
    read_only: bool
    zarr_format: int = 2
    """The version of Zarr in which new volumes are written."""

    @classmethod
    def of(cls, store: Store, *, read_only: bool, url: str | None = None) -> Source:
        return cls(url or store.url, store, Listing(store), read_only)

    def __post_init__(self) -> None:
        local = self.store.local_path("")
        self._start = str(local) if local is not None else self.url.partition("?")[0].rstrip("/")
        self._ahead: ReadAhead | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ahead": None}

    def where(self, key: str) -> str:
        """The full address of a key, for messages and for properties named ``path``."""
        return f"{self._start}/{key}" if key else self._start

    def read(self, key: str) -> tuple[bytes, str]:
        """The bytes of a document that is read for the first time, and their version tag; remote ones come ahead."""
        if not self.listing.is_remote:
            return self.store.get_version(key)
        if self._ahead is None:
            from tomoportal.copick.read_ahead import ReadAhead

            self._ahead = ReadAhead(self.store, self.listing.documents_like)
        return self._ahead.read(key)

    def zarr_folders(self, place: str, asker: str) -> tuple[list[str], list[str]]:
        """Names of the Zarr folders in a folder, and of files that only look like one by their names."""
        listed = self.listing.folder(place, asker)
        folders = listed.folders
        if not self.read_only and any(".zarr.old-" in name for name in folders):
            from tomoportal.copick.volume_folders import put_back

            folders = sorted([*folders, *put_back(self.store, place, folders)])
        return [name for name in folders if _is_zarr(name)], [name for name in listed.files if _is_zarr(name)]

    def refuse_if_read_only(self, what: str) -> None:
        """Raise :class:`PermissionError` in the words that upstream's users know."""
        if self.read_only:
            from tomoportal.errors import ReadOnlyError

            raise ReadOnlyError(
                f"Cannot {what} in a read-only source.",
                where=self.url,
                fix="write to the overlay: make a new one there",
            )


def _is_zarr(name: str) -> bool:
    return name.endswith(".zarr") and not name.startswith(".")


def open_source(url: str, arguments: Mapping[str, Any] | None, *, read_only: bool) -> Source:
    """Open the place that a config names. A local folder that does not exist is made, unless it is only read.

    Raises :class:`~tomoportal.errors.StorageError` and, for a protocol without its package,
    :class:`~tomoportal.errors.MissingPartError`.
    """
    arguments = dict(arguments or {})
    scheme, separator, rest = url.partition("://")
    scheme = scheme if separator else ""
    if scheme in _LOCAL:
        path = os.path.expanduser(rest if separator else url)
        store = _local(path, read_only=read_only)
    elif scheme in ("s3", "s3a") and not _s3_unknown(arguments):
        store = open_store(_s3_url(rest, arguments), read_only=read_only)
    else:
        from tomoportal.storage.filesystem_spec import open_fsspec

        store = open_fsspec(url, arguments, read_only=read_only)
    return Source.of(store, read_only=read_only, url=url.rstrip("/") or url)


def _local(path: str, *, read_only: bool) -> Store:
    try:
        # Links to runs on other disks are how large projects are put together.
        return open_store(path or "/", create=not read_only, read_only=read_only, follow_links=True)
    except NotFoundError as error:
        raise NotFoundError(
            f"the folder of the project {'is not there' if read_only else 'cannot be made'}",
            where=os.path.abspath(path),
            fix="correct static_root in the config" if read_only else "correct overlay_root in the config",
        ) from error


def _s3_unknown(arguments: Mapping[str, Any]) -> set[str]:
    """Arguments that only s3fs understands, or that would have to be secrets in an address."""
    client = arguments.get("client_kwargs") or {}
    return (arguments.keys() - {"anon", "endpoint_url", "client_kwargs", "auto_mkdir"}) | (
        set(client) - {"region_name", "endpoint_url"}
    )


def _s3_url(rest: str, arguments: Mapping[str, Any]) -> str:
    client = arguments.get("client_kwargs") or {}
    options = {
        "endpoint": arguments.get("endpoint_url") or client.get("endpoint_url"),
        "region": client.get("region_name"),
        "anonymous": "true" if arguments.get("anon") else None,
    }
    query = urlencode({key: value for key, value in options.items() if value})
    return f"s3://{quote(rest.strip('/'))}" + (f"?{query}" if query else "")


def same_place(one: Store, other: Store) -> bool:
    """Whether two stores are one folder or prefix, however their addresses are spelt (C28)."""
    first, second = one.local_path(""), other.local_path("")
    if first is not None and second is not None:
        try:
            return os.path.samefile(first, second)
        except OSError as error:
            raise StorageError("cannot compare the folders of the project", where=str(first)) from error
    if one is other:
        return True
    return first is second is None and one.url.rstrip("/") == other.url.rstrip("/") and "memory:" not in one.url


_Entity = TypeVar("_Entity")


def shadowed(found: Iterable[_Entity], identity: Callable[[_Entity], Hashable]) -> list[_Entity]:
    """One entity per identity, the last one of each: sources are listed static first, and the overlay counts (C27).

    The order stays that of the listing, by source and then by the name of the file: upstream's, on which scripts that
    take the first one rely.
    """
    last: dict[Hashable, _Entity] = {}
    for each in found:
        last.pop(identity(each), None)
        last[identity(each)] = each
    return list(last.values())
