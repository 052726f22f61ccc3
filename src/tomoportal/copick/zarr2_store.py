"""A folder of one of our stores as zarr 2 takes it: a mapping from keys to bytes. Imported only where zarr 2 is."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from tomoportal.copick.zarr_keys import names_below, names_in
from tomoportal.errors import NotFoundError, ReadOnlyError
from tomoportal.storage import Store

if TYPE_CHECKING:
    from tomoportal.copick.volume_versions import VolumeVersions

__all__ = ["KeyMapping", "mapping"]


class KeyMapping(MutableMapping[str, bytes]):
    """Keys below ``prefix``; ``path`` is the address of the folder. Chunk keys have ``/`` between their numbers."""

    _dimension_separator = "/"

    def __init__(
        self, store: Store, prefix: str, path: str, *, read_only: bool = False, versions: VolumeVersions | None = None
    ) -> None:
        self._store, self._prefix, self.path, self.read_only = store, prefix, path, read_only
        self._versions = versions

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_versions": None}

    def _key(self, key: str) -> str:
        return f"{self._prefix}/{key}"

    def __getitem__(self, key: str) -> bytes:
        try:
            return self._store.get(self._key(key))
        except NotFoundError as error:
            raise KeyError(key) from error

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._store.exists(self._key(key))

    def __setitem__(self, key: str, value: Any) -> None:
        self._check()
        self._store.put(self._key(key), bytes(memoryview(value).cast("B")), durable=False)

    def __delitem__(self, key: str) -> None:
        self._check()
        if key not in self:
            raise KeyError(key)
        self._store.delete(self._key(key))

    def __iter__(self) -> Iterator[str]:
        return iter(names_below(self._store, self._prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def listdir(self, path: str = "") -> list[str]:
        return names_in(self._store, self._prefix, path.strip("/"))

    def rmdir(self, path: str = "") -> None:
        self._refuse_if_read_only()
        if self._versions is not None:
            self._versions.before_deletion(path.strip("/"))
        self._store.delete_tree(self._key(path.strip("/")) if path.strip("/") else self._prefix)

    def _check(self) -> None:
        self._refuse_if_read_only()
        if self._versions is not None:
            self._versions.before_change()

    def _refuse_if_read_only(self) -> None:
        if self.read_only:
            raise ReadOnlyError("Cannot store a volume in a read-only source.", where=self.path)


def mapping(
    store: Store, key: str, where: str, *, read_only: bool, versions: VolumeVersions | None = None
) -> KeyMapping:
    """The folder as a mapping, which tells ``versions`` before it changes anything."""
    return KeyMapping(store, key, where, read_only=read_only, versions=versions)
