"""Pages of the bucket's list: parameters of ListObjects and ListObjectsV2, and the keys that they ask for."""

from __future__ import annotations

import base64
import binascii
import math
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from tomoportal.storage import Folder, Stat, Store, behind

__all__ = ["MOST_KEYS", "BadArgumentError", "Levels", "Listing", "Page", "list_page"]

MOST_KEYS = 1000
"""Keys and folders of one page, at most."""


class BadArgumentError(ValueError):
    """A parameter that cannot be understood: status 400, ``InvalidArgument``."""

    def __init__(self, name: str, value: str, text: str) -> None:
        super().__init__(text)
        self.name, self.value, self.text = name, value, text


@dataclass(frozen=True, slots=True)
class Listing:
    """What is asked for."""

    version: int
    prefix: str
    delimiter: str
    limit: int
    start_after: str
    token: str | None
    url_encoded: bool
    with_owner: bool

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Listing:
        """From the query string; raises :class:`BadArgumentError`."""
        version = 2 if parameters.get("list-type") == "2" else 1
        if "list-type" in parameters and version == 1:
            raise BadArgumentError("list-type", parameters["list-type"], "There are list types 1 (unnamed) and 2.")
        encoding = parameters.get("encoding-type", "")
        if encoding not in {"", "url"}:
            raise BadArgumentError("encoding-type", encoding, "Invalid Encoding Method specified in Request")
        limit = parameters.get("max-keys") or str(MOST_KEYS)
        if not (limit.isascii() and limit.isdigit() and len(limit) <= 10):
            text = "Provided max-keys not an integer or within integer range"
            raise BadArgumentError("max-keys", limit, text)
        token = parameters.get("continuation-token") if version == 2 else None
        if token is not None:
            _position(token)
        return cls(
            version=version,
            prefix=parameters.get("prefix", ""),
            delimiter=parameters.get("delimiter", ""),
            limit=min(int(limit), MOST_KEYS),
            start_after=parameters.get("start-after" if version == 2 else "marker", ""),
            token=token,
            url_encoded=encoding == "url",
            with_owner=version == 1 or parameters.get("fetch-owner", "").lower() == "true",
        )

    @property
    def position(self) -> str:
        """The text behind which the page begins."""
        if self.token is not None:
            return _position(self.token)
        marker = self.start_after
        # A marker of ListObjects that is a folder of the page before stands for all that is in the folder.
        if self.version == 1 and self.delimiter and marker.endswith(self.delimiter) and len(marker) > len(self.prefix):
            return behind(marker)
        return marker


@dataclass(slots=True)
class Page:
    """What was found; ``last`` is the last key or folder of the page."""

    objects: list[Stat] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    last: str = ""
    next_token: str = ""

    @property
    def truncated(self) -> bool:
        """Whether there is more."""
        return bool(self.next_token)


Hidden = Callable[[str], str | None]
"""``hidden(key)`` → the folder (or the key itself) that the one who asks may not see; None if it may be seen."""


class Levels:
    """Folders of an object store by level: read once for all pages of a listing, which each read it all otherwise.

    Object stores tell a level from its beginning only. The first page reads anew; what continues it is cut from what
    the first one read, as long as that is not too long ago.
    """

    patience = 60.0
    """Seconds from one page to the next."""
    largest = 200_000
    """Entries of all levels together; larger ones are read again for every page."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, list[Stat | Folder]]] = OrderedDict()
        self._lock = threading.Lock()

    def scan(self, store: Store, asked: Listing, after: str) -> Iterator[Stat | Folder]:
        """As ``Store.scan``."""
        by_folder = asked.delimiter == "/"
        inside = asked.token is None and asked.start_after  # may lie within a folder
        if not by_folder or inside or store.local_path("") is not None:
            return store.scan(asked.prefix, after=after, by_folder=by_folder)
        place = f"{store.url}\n{asked.prefix}"
        level = self._kept(place) if after else None
        if level is None:
            level = list(store.scan(asked.prefix, by_folder=True))
            self._keep(place, level)
        return islice(level, bisect_right(level, after, key=_place), None)

    def _kept(self, place: str) -> list[Stat | Folder] | None:
        with self._lock:
            when, level = self._known.get(place, (-math.inf, None))
            if time.monotonic() - when > self.patience:
                return None
            self._known[place] = time.monotonic(), level or []
            return level

    def _keep(self, place: str, level: list[Stat | Folder]) -> None:
        with self._lock:
            self._known.pop(place, None)
            self._known[place] = time.monotonic(), level
            size = sum(len(each) for _, each in self._known.values())
            while size > self.largest:
                _, (_, gone) = self._known.popitem(last=False)
                size -= len(gone)


def _place(found: Stat | Folder) -> str:
    return f"{found.key}/" if isinstance(found, Folder) else found.key


def list_page(store: Store, asked: Listing, hidden: Hidden, levels: Levels) -> Page:
    """One page. What is read of the store is what the page holds and one key more, or one level."""
    page = Page()
    if asked.limit == 0:
        return page
    position = asked.position
    for found in _entries(store, asked, hidden, levels):
        if len(page.objects) + len(page.folders) == asked.limit:
            page.next_token = _token(position)
            break
        if isinstance(found, Stat):
            page.objects.append(found)
            page.last = position = found.key
        else:
            page.folders.append(found)
            page.last, position = found, behind(found)
    return page


def _entries(store: Store, asked: Listing, hidden: Hidden, levels: Levels) -> Iterator[Stat | str]:
    """Objects, and folders as texts that end with the delimiter, in order."""
    position: str | None = asked.position
    while position is not None:
        position = yield from _run(store, asked, position, hidden, levels)


def _run(
    store: Store, asked: Listing, after: str, hidden: Hidden, levels: Levels
) -> Generator[Stat | str, None, str | None]:
    """Entries up to one behind which the store has to be asked anew; returns that place, None at the end."""
    for found in levels.scan(store, asked, after):
        skipped = hidden(found.key)
        if skipped == found.key:
            continue
        if skipped is not None:
            return behind(f"{skipped}/")
        if isinstance(found, Folder):
            yield f"{found.key}/"
            continue
        end = found.key.find(asked.delimiter, len(asked.prefix)) if asked.delimiter else -1
        if end < 0:
            yield found
            continue
        group = found.key[: end + len(asked.delimiter)]
        yield group
        return behind(group)
    return None


def _token(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode()).decode()


def _position(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        text = "The continuation token provided is incorrect"
        raise BadArgumentError("continuation-token", token, text) from error
