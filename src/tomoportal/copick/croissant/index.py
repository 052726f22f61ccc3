"""The manifest and its tables in memory, and their changes on disk.

Changes are put on top of what the tables hold at that moment, each table by a conditional write: two writers lose
nothing, and a reader sees a table before or after a change (C90).
"""

from __future__ import annotations

import copy
import csv
import io
import json
import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from tomoportal.copick.croissant.schema import SPLITS_RECORDSET_ID, TABLES, Row, Table, digest, schema_field
from tomoportal.copick.sources import Source, open_source
from tomoportal.errors import (
    AnnotationError,
    ConflictError,
    FormatError,
    NotFoundError,
    ReadOnlyError,
    UnknownNameError,
)
from tomoportal.storage import Store

__all__ = ["CroissantIndex", "joined", "place_of"]

_PATIENCE = 100


def joined(base: str, url: str) -> str:
    """A URL of a table: absolute ones as they are, others below the base."""
    return url if "://" in url or not base else f"{base.rstrip('/')}/{url.lstrip('/')}"


def place_of(url: str, arguments: Mapping[str, Any], *, read_only: bool) -> tuple[Source, str]:
    """The folder that holds an address, as a source, and the name in it."""
    parent, slash, name = url.rstrip("/").rpartition("/")
    return open_source(parent if slash else os.curdir, arguments, read_only=read_only), name


def _address(fs: Any, folder: str) -> tuple[str, dict[str, Any]]:
    """The address and the arguments that open a folder of an fsspec file system."""
    inner = getattr(fs, "_fs", fs)
    protocols = {inner.protocol} if isinstance(inner.protocol, str) else set(inner.protocol)
    is_local = bool(protocols & {"file", "local"})
    return (folder, {}) if is_local else (inner.unstrip_protocol(folder), inner.storage_options)


class CroissantIndex:
    """What a manifest says. Rows are dictionaries by column; changes are written at once, or when committed."""

    doc: dict[str, Any]

    def __init__(
        self,
        doc: Mapping[str, Any],
        croissant_dir: str,
        croissant_fs: Any,
        base_url: str = "",
        static_fs_args: Mapping[str, Any] | None = None,
        config_block: Mapping[str, Any] | None = None,
        runs_by_name: Mapping[str, Row] | None = None,
        voxel_spacings: Iterable[Row] | None = None,
        tomograms: Iterable[Row] | None = None,
        features: Iterable[Row] | None = None,
        picks: Iterable[Row] | None = None,
        meshes: Iterable[Row] | None = None,
        segmentations: Iterable[Row] | None = None,
        instance_segmentations: Iterable[Row] | None = None,
        panoptic_segmentations: Iterable[Row] | None = None,
        objects: Iterable[Row] | None = None,
    ) -> None:
        """A manifest and its rows in memory, for the folder ``croissant_dir`` of an fsspec file system.

        Nothing is read. Rows are written by :meth:`mark_dirty` and :meth:`commit`, beside what is there;
        :meth:`from_url` is the way to open a manifest that there is.
        """
        folder = open_source(*_address(croissant_fs, croissant_dir), read_only=False)
        self._begin(folder, "metadata.json", base_url or None, static_fs_args)
        self.doc = {**doc, **({"copick:config": dict(config_block)} if config_block else {})}
        given = {
            "runs": (runs_by_name or {}).values(), "voxel_spacings": voxel_spacings, "tomograms": tomograms,
            "features": features, "picks": picks, "meshes": meshes, "segmentations": segmentations,
            "instance_segmentations": instance_segmentations, "panoptic_segmentations": panoptic_segmentations,
            "objects": objects,
        }  # fmt: skip
        for id, table in TABLES.items():
            rows = [{name: row.get(name) for name in table.columns} for row in given[id.partition("/")[2]] or ()]
            self._tables[id] = {table.key(row): row for row in rows}

    def _begin(self, folder: Source, name: str, base_url: str | None, static_fs_args: Mapping[str, Any] | None) -> None:
        self._folder, self._name = folder, name
        self._override = base_url
        self.doc = {}
        self.static_fs_args = dict(static_fs_args or {})
        self._tables: dict[str, dict[tuple[Any, ...], Row]] = {}
        self._pending: dict[str, dict[tuple[Any, ...], Row | None]] = {}
        self._objects: list[dict[str, Any]] = []
        self._auto_commit = True
        self._lock = threading.RLock()
        self.version = 0
        """Counts the changes of the tables in memory."""

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    @classmethod
    def from_url(
        cls,
        croissant_url: str,
        *,
        base_url_override: str | None = None,
        fs_args: Mapping[str, Any] | None = None,
        static_fs_args: Mapping[str, Any] | None = None,
    ) -> CroissantIndex:
        """Read a manifest from a path or an address."""
        try:
            folder, name = place_of(croissant_url, fs_args or {}, read_only=True)
        except NotFoundError as error:
            raise NotFoundError(
                "there is no such manifest", where=croissant_url, fix="correct croissant_url"
            ) from error
        index = cls.__new__(cls)
        index._begin(folder, name, base_url_override, static_fs_args)
        index.reload()
        return index

    # --- reading

    def reload(self) -> None:
        """Read the manifest and its tables again; changes that were not committed are lost."""
        with self._lock:
            self.doc = self._document()
            self._tables = {id: self._read(table)[0] for id, table in TABLES.items()}
            self._pending = {}
            self.version += 1

    def _document(self) -> dict[str, Any]:
        where = self._folder.where(self._name)
        try:
            found = json.loads(self._folder.store.get(self._name))
        except NotFoundError as error:
            raise NotFoundError("there is no such manifest", where=where, fix="correct croissant_url") from error
        except ValueError as error:
            raise FormatError(f"the manifest is no JSON: {error}", where=where, fix="export it again") from error
        if not isinstance(found, dict):
            raise FormatError("the manifest is no JSON object", where=where, fix="export it again")
        return found

    def _file(self, table: Table) -> str:
        """Beside the manifest; where the manifest names another file, the name that it says."""
        for each in self.doc.get("distribution", []):
            if each.get("@id") == table.file_object and each.get("contentUrl"):
                return str(each["contentUrl"]).rpartition("/")[2]
        return table.file

    def _read(self, table: Table) -> tuple[dict[tuple[Any, ...], Row], str | None]:
        store, file = self._folder.store, self._file(table)
        try:
            data = store.get(file)
        except NotFoundError:
            return {}, None
        where = self._folder.where(file)
        found: dict[tuple[Any, ...], Row] = {}
        for number, cells in enumerate(csv.DictReader(io.StringIO(data.decode("utf-8"))), 2):
            row = {column: _value(table, column, cells.get(column), f"{where}:{number}") for column in table.columns}
            found[table.key(row)] = row
        return found, digest(data)

    @property
    def base_url(self) -> str:
        """Below which relative addresses of the tables lie."""
        named = self._override or self.doc.get("copick:baseUrl")
        return str(named) if named else self._folder.url.rstrip("/").rpartition("/")[0]

    @property
    def config_block(self) -> dict[str, Any]:
        """The config of the project that the manifest was made from."""
        found = self.doc.get("copick:config")
        return found if isinstance(found, dict) else {}

    @property
    def croissant_dir(self) -> str:
        return self._folder.where("").rstrip("/")

    @property
    def croissant_fs(self) -> Any:
        """An fsspec file system of the manifest's folder."""
        from tomoportal.storage.filesystem_spec import file_system

        return file_system("file://" if self._folder.store.local_path("") is not None else self._folder.url, {})

    def rows(self, recordset_id: str) -> list[Row]:
        """The rows of a table."""
        with self._lock:
            return list(self._tables[recordset_id].values())

    def get(self, recordset_id: str, row: Mapping[str, Any]) -> Row | None:
        """The row of the same key, or None."""
        return self._tables[recordset_id].get(TABLES[recordset_id].key(row))

    def __getattr__(self, name: str) -> Any:
        table = f"copick/{name}"
        if table in TABLES and "_tables" in self.__dict__:
            return self.rows(table)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def runs_by_name(self) -> dict[str, Row]:
        return {row["name"]: row for row in self.rows("copick/runs")}

    def resolve_url(self, url_value: str, **fs_args: Any) -> tuple[Any, str]:
        """The fsspec file system of an address of a table, and the path on it."""
        from tomoportal.storage.filesystem_spec import file_system

        address = joined(self.base_url, url_value)
        fs = file_system(address, {**self.static_fs_args, **fs_args})
        return fs, fs._strip_protocol(address)

    # --- changes

    def add_row(self, recordset_id: str, row: Row) -> None:
        """Add a row, or replace the one of the same key; its voxel size gets the decimals that the run's has (C38)."""
        table = TABLES[recordset_id]
        whole = {column: row.get(column) for column in table.columns}
        with self._lock:
            spacing = self.get("copick/voxel_spacings", whole) if "voxel_size" in table.key_columns else None
            if spacing is not None:
                whole["voxel_size"] = spacing["voxel_size"]
            self._tables[recordset_id][table.key(whole)] = whole
            self._changed(recordset_id, table.key(whole), whole)

    def remove_row(self, recordset_id: str, key: Mapping[str, Any]) -> None:
        """Remove the row of this key, if there is one."""
        identity = TABLES[recordset_id].key(key)
        with self._lock:
            if self._tables[recordset_id].pop(identity, None) is not None:
                self._changed(recordset_id, identity, None)

    def _changed(self, recordset_id: str, key: tuple[Any, ...], row: Row | None) -> None:
        self._pending.setdefault(recordset_id, {})[key] = row
        self.version += 1
        if self._auto_commit:
            self.commit()

    def mark_dirty(self, recordset_id: str) -> None:
        """Write every row of a table with the next commit."""
        with self._lock:
            self._pending.setdefault(recordset_id, {}).update(self._tables[recordset_id])

    def defer_commit(self) -> None:
        """Write nothing until :meth:`commit`."""
        self._auto_commit = False

    def add_objects(self, objects: list[dict[str, Any]]) -> None:
        """Add objects to the config of the manifest, those whose names it does not hold."""
        with self._lock:
            self._objects.extend(objects)

    def resume_commit(self) -> None:
        """Write what has gathered, and every change at once from now on."""
        self._auto_commit = True
        self.commit()

    def commit(self) -> None:
        """Write the changes on top of what the tables hold now. Raises :class:`ReadOnlyError`."""
        with self._lock:
            digests = {}
            for id, changes in list(self._pending.items()):
                digests[id] = self._write(TABLES[id], changes)
                del self._pending[id]
            if digests or self._objects:
                self._declare(digests)

    def _store(self) -> Store:
        """The manifest's folder, opened for writing when something is written."""
        if self._folder.read_only:
            where = self._folder.where(self._name)
            if self._folder.url.startswith(("http://", "https://")) or self.static_fs_args.get("anon"):
                raise ReadOnlyError(
                    f"The Croissant at {where} is read-only.", fix="give overlay_root: changes go there then"
                )
            self._folder = open_source(self._folder.url, {}, read_only=False)
        return self._folder.store

    def _write(self, table: Table, changes: Mapping[tuple[Any, ...], Row | None]) -> str:
        store, file = self._store(), self._file(table)
        for _ in range(_PATIENCE):
            etag = store.stat(file).etag if store.exists(file) else None
            rows, _ = self._read(table)
            for key, row in changes.items():
                if row is None:
                    rows.pop(key, None)
                else:
                    rows[key] = row
            data = dumped(table, list(rows.values()))
            try:
                store.put(file, data, if_match=etag) if etag is not None else store.put(file, data, if_absent=True)
            except ConflictError:
                continue
            self._tables[table.id] = rows
            self.version += 1
            return digest(data)
        raise ConflictError("others keep writing this table", where=self._folder.where(file), fix="try again")

    def _declare(self, digests: Mapping[str, str]) -> None:
        """Put the digests of tables into the manifest, and describe those that it did not have."""
        store = self._store()
        for _ in range(_PATIENCE):
            etag = store.stat(self._name).etag if store.exists(self._name) else None
            document = copy.deepcopy(self._document() if etag is not None else self.doc)
            declare(document, digests)
            describe_splits(document, self.get_all_splits())
            if self._objects:
                known = document.setdefault("copick:config", {}).setdefault("pickable_objects", [])
                names = {each["name"] for each in known}
                known += [each for each in self._objects if each["name"] not in names]
            try:
                data = json.dumps(document, indent=2).encode()
                store.put(self._name, data, if_match=etag, if_absent=etag is None)
            except ConflictError:
                continue
            self.doc, self._objects = document, []
            return
        raise ConflictError("others keep writing this manifest", where=self._folder.where(self._name), fix="try again")

    # --- splits

    def get_split(self, run_name: str) -> str | None:
        """The split of a run (train, val, …), or None."""
        row = self.get("copick/runs", {"name": run_name})
        return (row.get("split") or None) if row is not None else None

    def set_split(self, run_name: str, split: str | None) -> None:
        """Give a run a split. Raises :class:`UnknownNameError` for a run that the manifest does not hold."""
        row = self.get("copick/runs", {"name": run_name})
        if row is None:
            raise UnknownNameError(f"Run '{run_name}' is not in the Croissant index.", fix="correct the name")
        self.add_row("copick/runs", {**row, "split": split or None})

    def clear_split(self, run_name: str) -> None:
        self.set_split(run_name, None)

    def get_all_splits(self) -> dict[str, list[str]]:
        """Split → its runs, sorted."""
        found: dict[str, list[str]] = {}
        for row in self.rows("copick/runs"):
            if row.get("split"):
                found.setdefault(row["split"], []).append(row["name"])
        return {split: sorted(names) for split, names in found.items()}


def _value(table: Table, column: str, cell: str | None, where: str) -> Any:
    kind = table.type_of(column)
    if kind == "sc:Boolean":
        return (cell or "").strip().lower() in ("true", "1", "yes")
    if not cell:
        return None
    if kind == "sc:Float":
        try:
            return float(cell)
        except ValueError as error:
            raise FormatError(f"{column} {cell!r} is no number", where=where, fix="correct the table") from error
    return cell


def dumped(table: Table, rows: list[Row]) -> bytes:
    """A table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.columns)
    for row in sorted(rows, key=lambda each: each["name"]) if table.name == "runs" else rows:
        cells = (row.get(column) for column in table.columns)
        writer.writerow(["true" if c is True else "false" if c is False else "" if c is None else c for c in cells])
    return text.getvalue().encode()


def declare(document: dict[str, Any], digests: Mapping[str, str], folder: str | None = None) -> None:
    """Name tables (id → SHA-256) in a manifest, with their columns; ``folder`` is where new ones lie."""
    distribution = document.setdefault("distribution", [])
    records = document.setdefault("recordSet", [])
    known = {each.get("@id"): each for each in distribution}
    for id, sha256 in digests.items():
        table = TABLES[id]
        entry = known.get(table.file_object)
        if entry is None:
            entry = {"@type": "cr:FileObject", "@id": table.file_object, "name": table.file_object}
            entry |= {"contentUrl": f"{folder or _beside(document)}{table.file}", "encodingFormat": "text/csv"}
            distribution.append(entry)
        entry["sha256"] = sha256
        record = next((each for each in records if each.get("@id") == id), None)
        if record is None:
            record = {"@type": "cr:RecordSet", "@id": id, "name": table.name, "field": []}
            records.append(record)
        described = {each.get("@id") for each in record["field"]}
        record["field"] += [schema_field(id, c) for c in table.columns if f"{id}/{c}" not in described]


def describe_splits(document: dict[str, Any], splits: Mapping[str, Any]) -> None:
    """Say what the names of splits mean, if there are any, and that the table of runs refers to them."""
    from tomoportal.copick.croissant.splits import split_records

    records = document.setdefault("recordSet", [])
    records[:] = [each for each in records if each.get("@id") != SPLITS_RECORDSET_ID]
    for record in records:
        for field in record.get("field", []) if record.get("@id") == "copick/runs" else []:
            if field.get("@id") == "copick/runs/split":
                field.pop("references", None)
                if splits:
                    field["references"] = {"field": {"@id": f"{SPLITS_RECORDSET_ID}/name"}}
    if splits:
        records.append(split_records(splits))


def _beside(document: Mapping[str, Any]) -> str:
    for each in document.get("distribution", []):
        if str(each.get("contentUrl", "")).endswith(".csv"):
            return str(each["contentUrl"]).rpartition("/")[0] + "/"
    base = document.get("copick:baseUrl")
    if not base:
        raise AnnotationError("The manifest does not say where its tables lie.", fix="export it again")
    return f"{str(base).rstrip('/')}/Croissant/"
