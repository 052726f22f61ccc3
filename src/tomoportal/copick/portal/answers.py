"""Answers of a portal, kept on disk by endpoint and query, so that many programs ask once.

Reference copick-portal, 10. One hidden document per query lies in the project's overlay, in ``.copick_cache/``, or,
where that cannot be written, in the user's cache folder. The name is a digest of the endpoint and the query: two
portals never answer for each other (C73). An answer that is older than the project allows is asked for again with its
version tag, which costs a portal whose data have not changed next to nothing; if the portal cannot be reached, the old
answer is used, and that is said.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from tomoportal.client import Answer, Endpoint
from tomoportal.copick.portal.config import PortalSettings
from tomoportal.errors import LockedError, PortalError, Problem, StorageError
from tomoportal.storage import Store, open_store

__all__ = [
    "CACHE_FOLDER",
    "Answers",
    "KeptAnswer",
    "cache_places",
    "clear_cache",
    "kept_answers",
    "users_cache_folder",
]

Data = dict[str, Any]
Place = Store | Path

CACHE_FOLDER: Final = ".copick_cache"
_VERSION: Final = "tomoportal-1"  # of the documents; upstream's are numbers


@dataclass(frozen=True)
class KeptAnswer:
    """A document of the cache: where it lies, what it answers, how old it is."""

    where: str
    key: str
    store: Store
    endpoint: str | None
    """None for documents that upstream wrote."""
    dataset_ids: tuple[int, ...]
    age: float
    """Seconds since the portal last said that it holds."""
    size: int
    is_fresh: bool


@dataclass(frozen=True)
class _Kept:
    data: Data
    etag: str | None
    checked: float


class Answers:
    """Asks an endpoint, or the disk. ``tell`` hears of what a user should know."""

    def __init__(
        self,
        endpoint: Endpoint,
        settings: PortalSettings,
        overlay: Store,
        dataset_ids: Sequence[int],
        tell: Callable[[Problem], None],
    ) -> None:
        self.endpoint = endpoint
        self._settings = settings
        self._overlay = overlay
        self._dataset_ids = sorted(dataset_ids)
        self._tell = tell

    def get(self, query: str, *, revalidate: bool = False, smaller: Callable[[], Data] | None = None) -> Data:
        """``data`` of the answer to a query, from the disk if it is young enough and ``revalidate`` is not said.

        ``smaller`` gets the same data in several questions, if the portal cannot answer this one. Raises
        :class:`PortalError`.
        """
        places = cache_places(self._settings, self._overlay) if self._settings.cache else []
        name = f"portal_{_digest(self.endpoint.url, query)}.json"
        kept = self._look(places, name)
        if kept is not None and not revalidate and self._is_fresh(kept):
            return kept.data
        with self._alone(places, name):
            kept = self._look(places, name)  # another program may have asked while this one waited
            if kept is not None and not revalidate and self._is_fresh(kept):
                return kept.data
            try:
                answer = self.endpoint.fetch(query, etag=kept.etag if kept is not None else None)
            except PortalError as error:
                if smaller is not None and error.passing and kept is None:
                    answer = Answer(smaller(), None)
                elif kept is not None and error.passing:
                    self._say_old(kept, error)
                    return kept.data
                else:
                    raise
            if answer is None:
                assert kept is not None  # only then was the question conditional
                answer = Answer(kept.data, kept.etag)
            self._keep(places, name, query, answer)
            return answer.data

    def _is_fresh(self, kept: _Kept) -> bool:
        return _fresh(self._settings, time.time() - kept.checked)

    def _say_old(self, kept: _Kept, error: PortalError) -> None:
        hours = (time.time() - kept.checked) / 3600
        what = f"{error.what}; what it answered {hours:.1f} hours ago is shown"
        self._tell(Problem(self.endpoint.url, what, "refresh() when the portal can be reached again"))

    def _look(self, places: Sequence[Place], name: str) -> _Kept | None:
        for place in places:
            store = _opened(place, create=False)
            found = _read(store, name) if store is not None else None
            if found is not None and found.get("endpoint") == self.endpoint.url:
                return _Kept(found["data"], found.get("etag"), float(found["checked"]))
        return None

    def _keep(self, places: Sequence[Place], name: str, query: str, answer: Answer) -> None:
        """Write to the first place that takes it. That none does is no error: the next program asks again."""
        document = {
            "schema_version": _VERSION,
            "endpoint": self.endpoint.url,
            "query": query,
            "dataset_ids": self._dataset_ids,
            "checked": time.time(),
            "etag": answer.etag,
            "data": answer.data,
        }
        data = orjson.dumps(document)
        for place in places:
            store = _opened(place, create=True)
            if store is None:
                continue
            try:
                store.put(name, data, durable=False)
                return
            except (StorageError, OSError):
                continue

    @contextmanager
    def _alone(self, places: Sequence[Place], name: str) -> Iterator[None]:
        """One of the programs that start together asks, and the others wait for a while (on local disks)."""
        store = _opened(places[0], create=True) if places and self._settings.lock_seconds > 0 else None
        if store is None or store.local_path("") is None:
            yield
            return
        with ExitStack() as held:
            with suppress(LockedError, StorageError, OSError):  # then two ask
                held.enter_context(store.lock(name, timeout=self._settings.lock_seconds))
            yield


def _digest(endpoint: str, query: str) -> str:
    return hashlib.sha256(f"{_VERSION}\n{endpoint}\n{query}".encode()).hexdigest()


def _fresh(settings: PortalSettings, age: float) -> bool:
    return settings.cache_seconds <= 0 or age <= settings.cache_seconds


def _read(place: Store, name: str) -> dict[str, Any] | None:
    """A document of ours; whatever is unreadable counts as not there."""
    try:
        found = orjson.loads(place.get(name))
    except (StorageError, OSError, orjson.JSONDecodeError):
        return None
    is_ours = isinstance(found, dict) and found.get("schema_version") == _VERSION
    return found if is_ours and isinstance(found.get("data"), dict) and "checked" in found else None


def cache_places(settings: PortalSettings, overlay: Store) -> list[Place]:
    """Where answers are looked for and kept, in this order; folders need not exist."""
    users = users_cache_folder(settings.cache_folder)
    return [users] if settings.cache_folder or overlay.read_only else [overlay.sub(CACHE_FOLDER), users]


def users_cache_folder(chosen: str | None) -> Path:
    """The folder that the settings name, else the one below the user's cache folder."""
    if chosen:
        return Path(chosen).expanduser()
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home).expanduser() if home else Path.home() / ".cache") / "copick" / "portal"


def _opened(place: Place, *, create: bool) -> Store | None:
    if isinstance(place, Store):
        return place
    try:
        return open_store(place, create=create)
    except (StorageError, OSError):
        return None


def kept_answers(settings: PortalSettings, overlay: Store) -> list[KeptAnswer]:
    """The documents in all places, upstream's included, without a word to the portal."""
    now, found = time.time(), []
    for place in cache_places(settings, overlay):
        store = _opened(place, create=False)
        for stat in store.children()[1] if store is not None else ():
            if store is None or not (stat.key.startswith("portal_") and stat.key.endswith(".json")):
                continue
            document = _read(store, stat.key)
            local = store.local_path(stat.key)
            where = str(local) if local is not None else f"{store.url.partition('?')[0]}/{stat.key}"
            age = max(0.0, now - (float(document["checked"]) if document else stat.modified))
            endpoint = str(document["endpoint"]) if document else None
            ids = tuple(document.get("dataset_ids", ())) if document else ()
            is_fresh = document is not None and _fresh(settings, age)
            found.append(KeptAnswer(where, stat.key, store, endpoint, ids, age, stat.size, is_fresh))
    return found


def clear_cache(kept: Iterable[KeptAnswer]) -> int:
    """Remove documents; the next program asks the portal again. Returns how many there were."""
    count = 0
    for each in kept:
        each.store.delete(each.key)
        count += 1
    return count
