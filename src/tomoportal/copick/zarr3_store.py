"""A folder of one of our stores as a store of zarr 3, which tells of changes. Imported only where zarr 3 is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.abc.store import Store as ZarrStore
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, _local

from tomoportal.copick.zarr_keys import names_below, names_in
from tomoportal.errors import NotFoundError
from tomoportal.storage import Store

if TYPE_CHECKING:
    from tomoportal.copick.volume_versions import VolumeVersions

__all__ = ["KeyStore", "WatchedStore"]

_IN_PLACE = not hasattr(_local, "_atomic_write")
"""Whether this zarr writes into files: before version 3.1.4 it did, and a second name of a file changes with it."""


class KeyStore(ZarrStore):
    """Keys below ``prefix``. Every call of the store runs in a thread, so that chunks are fetched concurrently."""

    def __init__(
        self, store: Store, prefix: str, *, read_only: bool = False, versions: VolumeVersions | None = None
    ) -> None:
        super().__init__(read_only=read_only)
        self._inner, self._prefix, self._versions = store, prefix, versions

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_versions": None}

    def with_read_only(self, read_only: bool = False) -> KeyStore:
        return KeyStore(self._inner, self._prefix, read_only=read_only, versions=self._versions)

    def __eq__(self, value: object) -> bool:
        return isinstance(value, KeyStore) and (self._inner, self._prefix) == (value._inner, value._prefix)

    def __str__(self) -> str:
        return f"{self._inner.url}/{self._prefix}"

    def _key(self, key: str) -> str:
        return f"{self._prefix}/{key}" if key else self._prefix

    @property
    def supports_writes(self) -> bool:
        return not self.read_only

    @property
    def supports_deletes(self) -> bool:
        return not self.read_only

    @property
    def supports_listing(self) -> bool:
        return True

    async def get(self, key: str, prototype: BufferPrototype, byte_range: Any = None) -> Buffer | None:
        try:
            data = await asyncio.to_thread(self._read, self._key(key), byte_range)
        except NotFoundError:
            return None
        return prototype.buffer.from_bytes(data)

    def _read(self, key: str, request: Any) -> bytes:
        if request is None:
            return self._inner.get(key)
        if isinstance(request, RangeByteRequest):
            return self._inner.get_range(key, request.start, request.end - request.start)
        size = self._inner.stat(key).size
        if isinstance(request, OffsetByteRequest):
            return self._inner.get_range(key, request.offset, max(0, size - request.offset))
        assert isinstance(request, SuffixByteRequest)
        start = max(0, size - request.suffix)
        return self._inner.get_range(key, start, size - start)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, Any]]
    ) -> list[Buffer | None]:
        return list(await asyncio.gather(*(self.get(key, prototype, each) for key, each in key_ranges)))

    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(self._inner.exists, self._key(key))

    async def set(self, key: str, value: Buffer) -> None:
        self._check_writable()
        if self._versions is not None:
            await asyncio.to_thread(self._versions.before_change)
        await asyncio.to_thread(self._inner.put, self._key(key), value.to_bytes(), durable=False)

    async def delete(self, key: str) -> None:
        self._check_writable()
        if self._versions is not None:
            await asyncio.to_thread(self._versions.before_change)
        await asyncio.to_thread(self._inner.delete, self._key(key))

    async def delete_dir(self, prefix: str) -> None:
        self._check_writable()
        if self._versions is not None:
            await asyncio.to_thread(self._versions.before_deletion, prefix.strip("/"))
        await asyncio.to_thread(self._inner.delete_tree, self._key(prefix.strip("/")))

    async def clear(self) -> None:
        await self.delete_dir("")

    async def list(self) -> AsyncIterator[str]:
        for key in await asyncio.to_thread(names_below, self._inner, self._prefix):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        for key in await asyncio.to_thread(names_below, self._inner, self._prefix):
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        for name in await asyncio.to_thread(names_in, self._inner, self._prefix, prefix.rstrip("/")):
            yield name


class WatchedStore(LocalStore):
    """A folder on the disk as zarr's own store, which tells ``versions`` before it changes anything.

    What is sent to another process tells nobody.
    """

    def __init__(self, root: Path | str, *, read_only: bool = False, versions: VolumeVersions | None = None) -> None:
        super().__init__(root, read_only=read_only)
        self._versions = versions

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_versions": None}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalStore) and self.root == other.root

    def with_read_only(self, read_only: bool = False) -> WatchedStore:
        return type(self)(self.root, read_only=read_only, versions=self._versions)

    async def _before_change(self) -> None:
        if self._versions is not None and not self.read_only:
            await asyncio.to_thread(self._versions.before_change, in_place=_IN_PLACE)

    async def _before_deletion(self, prefix: str) -> None:
        if self._versions is not None and not self.read_only:
            await asyncio.to_thread(self._versions.before_deletion, prefix.strip("/"), in_place=_IN_PLACE)

    async def set(self, key: str, value: Buffer) -> None:
        await self._before_change()
        await super().set(key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        await self._before_change()
        await super().set_if_not_exists(key, value)

    async def delete(self, key: str) -> None:
        await self._before_change()
        await super().delete(key)

    async def delete_dir(self, prefix: str) -> None:
        await self._before_deletion(prefix)
        await super().delete_dir(prefix)

    async def clear(self) -> None:
        await self._before_deletion("")
        self.root.mkdir(parents=True, exist_ok=True)
        await super().clear()

    def set_sync(self, key: str, value: Buffer) -> None:
        if self._versions is not None:
            self._versions.before_change(in_place=_IN_PLACE)
        super().set_sync(key, value)

    def delete_sync(self, key: str) -> None:
        if self._versions is not None:
            self._versions.before_change(in_place=_IN_PLACE)
        super().delete_sync(key)
