"""The archive: a tree of files in the public layout, and the manifests that keep it whole."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tomoportal.archive import documents, journal, layout, publish, staging
from tomoportal.archive.layout import OWN, Container
from tomoportal.archive.manifest import FIRST_ID, ItemRecord, Manifest
from tomoportal.archive.publish import Published
from tomoportal.archive.staging import Staging
from tomoportal.errors import ArchiveError, Problem, StorageError
from tomoportal.storage import Lock, Store, open_store

__all__ = ["Archive", "Recovered"]

_LOCK_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Recovered:
    """An interrupted publication: ``outcome`` is ``finished`` or ``withdrawn``, or ``damaged`` with a ``problem``.

    A damaged journal (or manifest) stays as it is; publications of its container are refused until it is mended.
    """

    container: Container
    outcome: str
    problem: Problem | None = None


class Archive:
    """An archive on a store. It holds no state: several processes may work on one archive at a time."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def open(cls, url: str | os.PathLike[str] | Store, *, create: bool = False, read_only: bool = False) -> Archive:
        """Open the archive at a URL (see :func:`tomoportal.storage.open_store`) or on a store."""
        return cls(url if isinstance(url, Store) else open_store(url, create=create, read_only=read_only))

    @property
    def url(self) -> str:
        return self.store.url

    @property
    def read_only(self) -> bool:
        return self.store.read_only

    # --- reading

    def manifest(self, container: Container) -> Manifest:
        """The manifest as it is now; an empty one for a container that tomoportal never wrote."""
        return journal.load_manifest(self.store, container)

    def containers(self) -> Iterator[Container]:
        """The containers with a manifest, sorted by key."""
        yield from sorted(layout.containers_of(stat.key for stat in self.store.list(f"{OWN}/manifest")))

    def document(self, key: str) -> dict[str, Any]:
        """A metadata document. Raises :class:`NotFoundError` and :class:`DocumentError`."""
        return documents.load(self.store.get(key), key)

    def orphans(
        self, container: Container, touched: Collection[tuple[str, str]], *, deposition_id: int | None = None
    ) -> list[ItemRecord]:
        """Items that a run did not touch (``(kind, identity_key)``), sorted; only those of one deposition if given."""
        items = self.manifest(container).items
        return [
            items[key]
            for key in sorted(items)
            if key not in touched and deposition_id in (None, items[key].deposition_id)
        ]

    # --- writing

    def allocate(
        self, container: Container, kind: str, scope: str, identity_key: str, *, wanted: int | None = None
    ) -> int:
        """The id of an item: 100, 101, …; the same key always gets the same id. ``wanted`` is given if it is free.

        ``scope`` is the folder that ids of this ``kind`` are counted in (the run, or for annotations the voxel
        spacing folder). An id that was ever given, or whose folder exists, is not given to another key.
        """
        return self.allocate_all(container, [(kind, scope, identity_key)], numbers=[wanted])[0]

    def allocate_all(
        self,
        container: Container,
        wanted: Sequence[tuple[str, str, str]],
        *,
        numbers: Sequence[int | None] | None = None,
    ) -> list[int]:
        """The ids of several items, ``(kind, scope, identity_key)`` each, in this order; the manifest is written once.

        ``numbers`` are given where they are free. See :meth:`allocate`.
        """
        known = self.manifest(container).ids
        if all(key in known for key in wanted):
            return [known[key] for key in wanted]
        with self._locked(container):
            manifest = self.manifest(container)
            taken: dict[tuple[str, str], int] = {}
            for key, number in zip(wanted, numbers or [None] * len(wanted), strict=True):
                if key not in manifest.ids:
                    kind, scope = key[:2]
                    if number is not None and number not in manifest.given(kind, scope):
                        manifest.ids[key] = number
                        continue
                    if (kind, scope) not in taken:
                        taken[kind, scope] = self._highest_folder(kind, scope)
                    manifest.ids[key] = manifest.next_id(kind, scope, taken[kind, scope])
            self.store.put(layout.manifest(container), manifest.dump())
            return [manifest.ids[key] for key in wanted]

    def stage(self, container: Container, kind: str, identity_key: str, *, manifest: Manifest | None = None) -> Staging:
        """A place to write the files of an item; see :class:`Staging`. ``manifest``: as it was read a moment ago."""
        known = self.manifest(container) if manifest is None else manifest
        return Staging(self.store, container, known.items.get((kind, identity_key)))

    def publish(
        self,
        container: Container,
        item: ItemRecord,
        staging: Staging | None = None,
        document: tuple[str, dict[str, Any]] | None = None,
        *,
        as_read: bool = False,
    ) -> Published:
        """Make an item part of the archive: its files, the manifest, and last its document ``(key, content)``.

        ``item`` comes without ``files``; they are the records of ``staging`` and the document. Files that the item had
        and has no longer are removed; nothing is written that is there already. Killed at any moment, the archive has
        the old item or, after :meth:`recover`, the new one. ``as_read`` lets pass what readers of older documents put
        up with, such as a sample type that is no longer in use; only migration needs it.

        Raises :class:`DocumentError` for a document that breaks the schema, and :class:`ArchiveError` for a document
        of another deposition or a file of another item.
        """
        with self._locked(container) as lock:
            manifest = self.manifest(container)
            return publish.publish(self.store, container, manifest, item, staging, document, lock, as_read=as_read)

    def remove_item(self, container: Container, kind: str, identity_key: str) -> ItemRecord:
        """Take an item out: its document first, then its files and its entry. Its id is not given again."""
        with self._locked(container) as lock:
            return publish.remove(self.store, container, self.manifest(container), (kind, identity_key), lock)

    def recover(self) -> list[Recovered]:
        """Finish what killed processes left: roll their journals forward, remove their staged files.

        Cheap when there is nothing to do (two listings). A publication that is under way elsewhere is waited for.
        A journal that cannot be read hinders no other container: it is told in the list, with what to do about it.
        """
        if self.read_only:
            return []
        done = []
        for container in journal.pending(self.store):
            with self.store.lock(container.key, timeout=_LOCK_TIMEOUT) as lock:
                try:
                    outcome = journal.resume(self.store, container, lock)
                except ArchiveError as error:
                    problem = Problem(error.where or layout.journal(container), error.what, error.fix)
                    done.append(Recovered(container, "damaged", problem))
                else:
                    if outcome:
                        done.append(Recovered(container, outcome))
        if not any(each.problem for each in done):  # what a damaged journal needs is not known: nothing is removed
            needed = [journal.staging_of(self.store, container) for container in journal.pending(self.store)]
            staging.sweep(self.store, [token for token in needed if token])
        return done

    def pending(self) -> list[Container]:
        """Containers with a publication that was interrupted, or is under way."""
        return journal.pending(self.store)

    @contextmanager
    def _locked(self, container: Container) -> Iterator[Lock]:
        if self.read_only:
            raise StorageError("the archive was opened read-only", where=container.key, fix="open it without read_only")
        with self.store.lock(container.key, timeout=_LOCK_TIMEOUT) as lock:
            journal.resume(self.store, container, lock)
            yield lock

    def _highest_folder(self, kind: str, scope: str) -> int:
        """The highest number of a folder that exists already for a kind, also in an archive without manifests."""
        patterns = {
            "tiltseries": "TiltSeries/*",
            "alignment": "Alignments/*",
            "tomogram": "Reconstructions/*/Tomograms/*",
            "annotation": "Annotations/*",
        }
        if kind not in patterns:
            return FIRST_ID - 1
        scope = scope.removesuffix("/Annotations") if kind == "annotation" else scope
        names = [match.key.rpartition("/")[2] for match in self.store.sub(scope).glob(patterns[kind] + "/")]
        return max((int(name) for name in names if name.isascii() and name.isdigit()), default=FIRST_ID - 1)
