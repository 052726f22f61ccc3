"""The store that a manifest describes: copick's usual keys, each of which lies where a row of a table says.

What has a table exists if and only if it has a row. Documents without a table (filaments, earlier versions) lie below
the base address; a store without folders, such as a plain web server, has none of them.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from tomoportal.copick.croissant.index import CroissantIndex, joined, place_of
from tomoportal.copick.croissant.schema import RUNS, TABLES, Row, digest, key_of, row_of
from tomoportal.copick.listing import Folder, Listing
from tomoportal.copick.sources import Source, open_source
from tomoportal.errors import NotFoundError, ReadOnlyError, StorageError
from tomoportal.storage import Lock, Stat, Store, Writer
from tomoportal.storage.base import LOCK_TIMEOUT

__all__ = ["CroissantListing", "CroissantSource", "CroissantStore"]

_UNLISTED: Final = "Filaments"
_NDJSON: Final = ".ndjson"


@dataclass(frozen=True)
class _Place:
    """Where a key lies, and the row of the entity that it belongs to."""

    source: Source
    key: str
    row: Row | None

    @property
    def is_portal_points(self) -> bool:
        return self.key.endswith(_NDJSON)


class CroissantStore(Store):
    """Keys of a manifest. Written to only if the manifest is the project's overlay (mode A).

    Beside an overlay in the manifest's own place, ``elsewhere`` leaves out the rows whose files the overlay holds:
    they would be there twice, once of them read-only (C28).
    """

    def __init__(self, index: CroissantIndex, *, read_only: bool, elsewhere: bool = False) -> None:
        self.index, self.read_only, self.elsewhere = index, read_only, elsewhere
        self.url = index.base_url
        self._opened: dict[str, Source] = {}
        self._tree: tuple[int, dict[str, Folder]] | None = None

    # --- where things are

    @property
    def _base(self) -> Source:
        if self.url not in self._opened:
            self._opened[self.url] = open_source(self.url, self.index.static_fs_args, read_only=self.read_only)
        return self._opened[self.url]

    def _types(self, key: str) -> frozenset[str]:
        place = "/".join(key.split("/")[:3])
        rows = self.index.rows("copick/tomograms") if key.endswith("_features.zarr") else ()
        return frozenset(row["tomo_type"] for row in rows if key_of("copick/voxel_spacings", row) == place)

    def entity(self, key: str) -> tuple[str, str, Row] | None:
        """The key, table and row of the entity that a key belongs to; a row by its key columns, listed or not."""
        parts = key.split("/")
        if any(part.startswith(".") for part in parts[:-1]) or (parts[-1].startswith(".") and len(parts) < 4):
            return None
        depth = next((n for n, part in enumerate(parts, 1) if part.endswith(".zarr")), len(parts))
        whole = "/".join(parts[:depth])
        found = row_of(whole, self._types(whole))
        return (whole, *found) if found is not None else None

    def _row(self, table: str, about: Row) -> Row | None:
        row = self.index.get(table, about)
        return row if row is not None and self._counts(table, row) else None

    def _counts(self, table: str, row: Row) -> bool:
        """Whether a row stands for something that is listed here."""
        if not self.elsewhere:
            return True
        return bool(row.get("url")) and joined(self.url, row["url"]) != joined(self.url, key_of(table, row))

    def _place(self, key: str) -> _Place:
        found = self.entity(key)
        if found is None or found[1] in ("copick/runs", "copick/voxel_spacings"):
            return _Place(self._base, key, None)
        whole, table, about = found
        row = self._row(table, about)
        if row is None:
            return _Place(self._base, key, None)
        rest = key[len(whole) :]
        url = str(row["url"])
        if "://" not in url:
            return _Place(self._base, _key_in(self._base.url, url.strip("/")) + rest, row)
        address = joined(self.url, url)
        parent = address.rstrip("/").rpartition("/")[0]
        if parent not in self._opened:
            self._opened[parent] = place_of(address, self.index.static_fs_args, read_only=self.read_only)[0]
        return _Place(self._opened[parent], _key_in(parent, address.rstrip("/").rpartition("/")[2]) + rest, row)

    def where(self, key: str) -> str:
        """The address of a key."""
        place = self._place(key)
        return place.source.where(place.key)

    def _listed(self, key: str) -> _Place:
        """The place of a key that can be read. Raises :class:`NotFoundError` for an entity without a row."""
        found = self.entity(key)
        if found is not None and self._row(found[1], found[2]) is None:
            raise NotFoundError("the manifest does not list it", where=key)
        return self._place(key)

    # --- reading

    def get(self, key: str) -> bytes:
        place = self._listed(key)
        data = place.source.store.get(place.key)
        return _picks_of(data, place, key) if place.is_portal_points else data

    def get_range(self, key: str, start: int, length: int) -> bytes:
        place = self._listed(key)
        if place.is_portal_points:
            return self.get(key)[start : start + length]
        return place.source.store.get_range(place.key, start, length)

    def stat(self, key: str) -> Stat:
        place = self._listed(key)
        return replace(place.source.store.stat(place.key), key=key)

    def _folders(self) -> dict[str, Folder]:
        version = self.index.version
        if self._tree is None or self._tree[0] != version:
            self._tree = (version, self._planted())
        return self._tree[1]

    def _planted(self) -> dict[str, Folder]:
        found: dict[str, Folder] = {}
        for id in TABLES:
            for row in self.index.rows(id):
                if not self._counts(id, row):
                    continue
                key = key_of(id, row)
                parts = key.split("/")
                is_file = id in ("copick/picks", "copick/meshes")
                for depth in range(1, len(parts)):
                    folder = found.setdefault("/".join(parts[:depth]), Folder())
                    name = parts[depth]
                    if is_file and depth == len(parts) - 1:
                        etag = row.get("sha256") or digest(str(row["url"]).encode())
                        folder.files[name] = Stat(key, 0, 0.0, etag)
                    elif name not in folder.folders:
                        folder.folders.append(name)
        for folder in found.values():
            folder.folders.sort()
        return found

    def folder(self, key: str) -> Folder:
        """What is in a folder; versions of files are those of the store where they can be written."""
        parts = key.split("/")
        if any(part.endswith(".zarr") or part.startswith(".") for part in parts) or parts[2:3] == [_UNLISTED]:
            place = self._place(key)
            try:
                folders, files = place.source.store.children(place.key)
            except StorageError:
                if not self.read_only:
                    raise
                return Folder()
            below = len(place.key) + 1 if place.key else 0
            stats = [replace(stat, key=f"{key}/{stat.key[below:]}") for stat in files]
            return Folder(folders, {stat.key.rpartition("/")[2]: stat for stat in stats})
        known = self._folders().get(key, Folder())
        if self.read_only:
            return known
        found = Folder(list(known.folders), {})
        for name, stat in known.files.items():
            try:
                found.files[name] = self.stat(stat.key)
            except NotFoundError:
                continue  # a row whose file somebody removed by hand
        if parts[0] == RUNS and len(parts) == 2 and self._base.store.is_folder(f"{key}/{_UNLISTED}"):
            found.folders.append(_UNLISTED)
        return found

    def children(self, prefix: str = "") -> tuple[builtins.list[str], builtins.list[Stat]]:
        folder = self.folder(prefix)
        return sorted(folder.folders), [folder.files[name] for name in sorted(folder.files)]

    def list(self, prefix: str = "") -> Iterator[Stat]:
        folders, files = self.children(prefix)
        yield from files
        for name in folders:
            yield from self.list(f"{prefix}/{name}" if prefix else name)

    def is_folder(self, prefix: str) -> bool:
        found = self.entity(prefix)
        if found is not None and found[0] == prefix:
            return self._row(found[1], found[2]) is not None
        return super().is_folder(prefix)

    def local_path(self, key: str) -> Path | None:
        """None: what is written has to be entered into a table."""
        return None

    # --- writing

    def _writable(self, key: str) -> None:
        if self.read_only:
            raise ReadOnlyError(
                "Cannot store anything in a read-only source.",
                where=self.url,
                fix="give an overlay_root that can be written: changes go there then",
            )

    def _enter(self, key: str, data: bytes | bytearray | memoryview | None = None) -> None:
        """Enter what a key belongs to into the tables, with its run and voxel spacing."""
        if key.endswith("/.meta"):
            key = key.removesuffix("/.meta")
        found = self.entity(key)
        if found is None:
            return
        whole, table, about = found
        if "run" in about and self.index.get("copick/runs", {"name": about["run"]}) is None:
            self.index.add_row("copick/runs", {"name": about["run"]})
        if table in ("copick/tomograms", "copick/features"):
            spacing = {"run": about["run"], "voxel_size": about["voxel_size"]}
            if self.index.get("copick/voxel_spacings", spacing) is None:
                self.index.add_row("copick/voxel_spacings", spacing)
        old = self.index.get(table, about)
        if "sha256" in TABLES[table].columns and data is not None:
            self.index.add_row(table, {**(old or {**about, "url": whole}), "sha256": digest(data)})
        elif old is None:
            self.index.add_row(table, {**about, "url": whole})

    def put(
        self,
        key: str,
        data: bytes | bytearray | memoryview,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        durable: bool = True,
    ) -> str:
        self._writable(key)
        place = self._place(key)
        if place.is_portal_points:
            raise ReadOnlyError("Cannot store picks in a portal's file.", where=place.key, fix="make new ones")
        etag = place.source.store.put(place.key, data, if_match=if_match, if_absent=if_absent, durable=durable)
        self._enter(key, data)
        return etag

    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        self._writable(key)
        place = self._place(key)
        self._enter(key)
        return place.source.store.open_writer(place.key, durable=durable)

    def delete(self, key: str) -> None:
        self._writable(key)
        place = self._place(key)
        place.source.store.delete(place.key)
        found = self.entity(key)
        if found is not None and found[0] == key:
            self.index.remove_row(found[1], found[2])

    def delete_tree(self, prefix: str) -> None:
        self._writable(prefix)
        inside = self.entity(prefix)
        if inside is not None and inside[0] != prefix:  # a part of a Zarr folder
            place = self._place(prefix)
            place.source.store.delete_tree(place.key)
            return
        for id in reversed(TABLES):
            for row in self.index.rows(id):
                key = key_of(id, row)
                if key == prefix or key.startswith(f"{prefix}/"):
                    place = self._place(key)
                    place.source.store.delete_tree(place.key)
                    place.source.store.delete(place.key)
                    self.index.remove_row(id, row)
        self._base.store.delete_tree(prefix)

    def move(self, source: str, target: str) -> None:
        keys = [source] if self.exists(source) else [stat.key for stat in self.list(source)]
        if not keys:
            raise NotFoundError("there is nothing to move", where=source)
        for key in keys:
            self.put(target + key[len(source) :], self.get(key))
        self.delete(source) if keys == [source] else self.delete_tree(source)

    def lock(self, name: str, *, timeout: float = LOCK_TIMEOUT) -> AbstractContextManager[Lock]:
        return self._base.store.lock(name, timeout=timeout)


def _key_in(place: str, url: str) -> str:
    """The key that an address stands for: on web servers, addresses are percent-encoded, and keys are not."""
    return unquote(url) if place.startswith(("http://", "https://")) else url


def _picks_of(data: bytes, place: _Place, key: str) -> bytes:
    """A portal's points, which are in voxels, as picks in Å."""
    from tomoportal.copick.pick_output import write_picks
    from tomoportal.copick.portal.points import read_any_portal_points

    row = place.row or {}
    size = row.get("voxel_size") or _size_in(str(row.get("url")))
    table, oriented = read_any_portal_points(data, size, place.source.where(place.key))
    names = {"pickable_object_name": row.get("object_name"), "user_id": row.get("user_id")}
    names |= {"session_id": row.get("session_id"), "run_name": row.get("run")}
    names |= {"unit": "angstrom", "voxel_spacing": size, "trust_orientation": oriented}
    return write_picks(table, names)


def _size_in(url: str) -> float:
    """Older manifests state the voxel size in the address alone."""
    from tomoportal.copick.names import parse_voxel_spacing
    from tomoportal.errors import FormatError

    for part in url.split("/"):
        size = parse_voxel_spacing(part) if part.startswith("VoxelSpacing") else ""
        if isinstance(size, float):
            return size
    raise FormatError("the voxel size of these points is unknown", where=url, fix="add voxel_size to picks.csv")


class CroissantListing(Listing):
    """Folders as the tables have them: no request for any of them."""

    def __init__(self, store: CroissantStore) -> None:
        super().__init__(store)
        self._tables = store

    def __reduce__(self) -> tuple[object, ...]:
        return CroissantListing, (self._tables,)

    def folder(self, key: str, asker: str = "") -> Folder:
        return self._tables.folder(key)


class CroissantSource(Source):
    """The side of a project that a manifest describes."""

    @classmethod
    def of_index(cls, index: CroissantIndex, *, read_only: bool, elsewhere: bool = False) -> CroissantSource:
        store = CroissantStore(index, read_only=read_only, elsewhere=elsewhere)
        return cls(store.url, store, CroissantListing(store), read_only)

    def where(self, key: str) -> str:
        store = self.store
        assert isinstance(store, CroissantStore)
        return store.where(key)
