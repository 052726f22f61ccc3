"""A folder of one of our stores as a store of zarr 3. Imported only where zarr 3 is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.abc.store import Store as ZarrStore
from zarr.core.buffer import Buffer, BufferPrototype

from tomoportal.copick.zarr_keys import names_below, names_in
from tomoportal.errors import NotFoundError
from tomoportal.storage import Store

__all__ = ["KeyStore"]


class KeyStore(ZarrStore):
    """Keys below ``prefix``. Every call of the store runs in a thread, so that chunks are fetched concurrently."""

    def __init__(self, store: Store, prefix: str, *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only)
        self._inner, self._prefix = store, prefix

    def with_read_only(self, read_only: bool = False) -> KeyStore:
        return KeyStore(self._inner, self._prefix, read_only=read_only)

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
        await asyncio.to_thread(self._inner.put, self._key(key), value.to_bytes(), durable=False)

    async def delete(self, key: str) -> None:
        self._check_writable()
        await asyncio.to_thread(self._inner.delete, self._key(key))

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
