"""Stores on object storage, by obstore: S3 and what speaks it, and memory for tests."""

from __future__ import annotations

import builtins
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore import exceptions
from obstore.store import MemoryStore, S3Store

from tomoportal.errors import ConflictError, NotFoundError, ReadOnlyError, StorageError
from tomoportal.storage.base import LOCK_TIMEOUT, Folder, Lock, Reading, Stat, Store, Writer
from tomoportal.storage.hiccups import may_pass
from tomoportal.storage.keys import behind, check_key, check_prefix, join, just_before, parent_of
from tomoportal.storage.leases import lease
from tomoportal.storage.owners import new_token

__all__ = ["ObjectStore", "memory_store", "s3_store"]

_PART_SIZE = 8 * 1024 * 1024
_PARTS_IN_FLIGHT = 4
_REQUESTS_IN_FLIGHT = 16
_BULK = 1000
_ATTEMPTS = 4  # at reading what broke off
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)  # seconds before a conditional write is tried again
# 12 to 30 s in all: with a base of 3 a random pause is half as long again as the last one; with the library's own
# base of 2 pauses do not grow, and a server that restarts is given up after two.
_RETRIES: Any = {
    "max_retries": 20,
    "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=2), "base": 3},
}
_LARGEST_COPY = 5 * 1024**3  # of one server-side copy request

# Where a text stops to be the beginning of a path: behind the first of two slashes, before a control character.
_REFUSED = re.compile(r"/(?=/)|[\x00-\x1f\x7f]")

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

# The library has one set of threads per process, made at its first request. A process that was forked after that has
# none: its requests would wait for ever, and disturb those of its parent.
_threads = {"made": False, "lost": False}


def _after_fork() -> None:
    _threads["lost"] = _threads["made"]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def s3_store(url: str, *, read_only: bool = False) -> ObjectStore:
    """The store of ``s3://bucket/prefix?endpoint=…&region=…&anonymous=true``; see :func:`open_store`."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    unknown = sorted(options.keys() - {"endpoint", "region", "anonymous"})
    if not parts.netloc or unknown:
        what = f"unknown options {', '.join(unknown)}" if unknown else "the address names no bucket"
        raise StorageError(what, where=url, fix="write s3://bucket/prefix?endpoint=…&region=…&anonymous=true")
    endpoint = options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    config: Any = {"region": region or "us-east-1"}
    if endpoint:
        config["endpoint"] = endpoint
        config["virtual_hosted_style_request"] = False
    anonymous = options.get("anonymous", os.environ.get("AWS_SKIP_SIGNATURE", "")).lower() in ("1", "true", "yes")
    if anonymous:
        config["skip_signature"] = True
    client: Any = {"allow_http": True} if (endpoint or "").startswith("http://") else None
    never: Any = {"max_retries": 0}
    remote, once = (
        S3Store(parts.netloc, config=config, client_options=client, retry_config=again) for again in (_RETRIES, never)
    )
    return ObjectStore(remote, url, check_prefix(parts.path.strip("/")), read_only=read_only, once=once)


def memory_store(*, read_only: bool = False) -> ObjectStore:
    """An empty store in the memory of this process."""
    return ObjectStore(MemoryStore(), "memory://", "", read_only=read_only)


class ObjectStore(Store):
    """Objects of one bucket below a prefix. A writer sends parts while it is written to, a few MiB at a time."""

    def __init__(self, remote: Any, url: str, prefix: str, *, read_only: bool = False, once: Any = None) -> None:
        self._native = remote
        self._native_once = once or remote  # which tries no request again
        self._prefix = prefix
        self.url = url
        self.read_only = read_only
        self._conditional: bool | None = None

    def __reduce__(self) -> tuple[object, ...]:
        if not self.url.startswith("s3://"):
            raise StorageError("a store in memory cannot be sent to another process", where=self.url)
        return _reopen, (self.url, self.read_only)

    @property
    def _once(self) -> Any:
        return self._native_once if self._remote is self._native else self._remote

    @property
    def _remote(self) -> Any:
        """The library's store. Raises :class:`StorageError` in a process that has lost the library's threads."""
        if _threads["lost"] and self.url.startswith("s3://"):
            raise StorageError(
                "this process was forked from one that had read from an object store, and cannot do so itself",
                where=self.url,
                fix="start workers by forkserver or spawn (of a data loader: multiprocessing_context='forkserver'),"
                " or read nothing from object stores before they are forked",
            )
        _threads["made"] = True
        return self._native

    def _path(self, key: str) -> str:
        return join(self._prefix, check_key(key))

    def _folder(self, prefix: str) -> str | None:
        return join(self._prefix, check_prefix(prefix)) or None

    def _writable(self, key: str) -> str:
        if self.read_only:
            raise StorageError("the store was opened read-only", where=key, fix="open it without read_only")
        return self._path(key)

    def _stat(self, meta: Any) -> Stat:
        path = str(meta["path"])
        key = path[len(self._prefix) + 1 :] if self._prefix else path
        return Stat(key, int(meta["size"]), meta["last_modified"].timestamp(), meta["e_tag"] or "")

    # --- reading

    @property
    def lists_keys(self) -> bool:
        return True

    def local_path(self, key: str) -> Path | None:
        check_prefix(key)
        return None

    def get(self, key: str) -> bytes:
        path = self._path(key)
        return _whole(key, lambda: bytes(obstore.get(self._remote, path).bytes()))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if length <= 0:
            self.stat(key)
            return b""
        path = self._path(key)
        try:
            return _whole(key, lambda: bytes(obstore.get_range(self._remote, path, start=start, length=length)))
        except NotFoundError:
            raise
        except StorageError:
            if start >= self.stat(key).size:  # a range behind the end is refused by some servers
                return b""
            raise

    def chunks(self, key: str, size: int = 4 * 1024 * 1024) -> Iterator[bytes]:
        with _explained(key):
            for piece in obstore.get(self._remote, self._path(key)).stream(min_chunk_size=size):
                yield bytes(piece)

    def open_reader(self, key: str, start: int = 0, stop: int | None = None) -> Reading:
        options: Any = {}
        if start < 0:
            options["range"] = {"suffix": -start}
        elif stop is not None:
            options["range"] = (start, stop)
        elif start:
            options["range"] = {"offset": start}
        with _explained(key):
            found = obstore.get(self._remote, self._path(key), options=options)
            return Reading(self._stat(found.meta), int(found.range[0]), _arriving(key, found))

    def get_version(self, key: str) -> tuple[bytes, str]:
        def read() -> tuple[bytes, str]:
            found = self.open_reader(key)
            return b"".join(found.pieces), found.stat.etag

        return _whole(key, read)

    def stat(self, key: str) -> Stat:
        with _explained(key):
            return self._stat(obstore.head(self._remote, self._path(key)))

    def is_folder(self, prefix: str) -> bool:
        folder = self._folder(prefix)
        return _whole(prefix, lambda: any(len(b) > 0 for b in obstore.list(self._remote, folder, chunk_size=1)))

    def list(self, prefix: str = "") -> Iterator[Stat]:
        folder = self._folder(prefix)
        return self._listed(prefix, folder)

    def _listed(self, prefix: str, folder: str | None) -> Iterator[Stat]:
        for batch in self._batches(prefix, folder, None):
            yield from map(self._stat, batch)

    def _batches(self, where: str, folder: str | None, offset: str | None) -> Iterator[Any]:
        """Pages of a listing. One that broke off is continued behind the last key that came."""
        for attempt in range(_ATTEMPTS):
            try:
                with _explained(where):
                    for batch in obstore.list(self._remote, folder, offset=offset, chunk_size=_BULK):
                        yield batch
                        offset = str(batch[-1]["path"])
                return
            except StorageError as error:
                if attempt == _ATTEMPTS - 1 or not _broke_off(error):
                    raise

    def children(self, prefix: str = "") -> tuple[builtins.list[str], builtins.list[Stat]]:
        folder = self._folder(prefix)
        found = _whole(prefix, lambda: obstore.list_with_delimiter(self._remote, folder))
        folders = sorted(str(path).rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])
        return folders, sorted(map(self._stat, found["objects"]), key=lambda stat: stat.key)

    def scan(self, prefix: str = "", *, after: str = "", by_folder: bool = False) -> Iterator[Stat | Folder]:
        try:
            folder = check_prefix(parent_of(prefix))
        except StorageError:  # no key begins like this
            return iter(())
        return self._scan_level(folder, prefix, after) if by_folder else self._scan(folder, prefix, after)

    def _scan(self, folder: str, prefix: str, after: str) -> Iterator[Stat]:
        start = self._offset(max(after, just_before(prefix)))
        for batch in self._batches(prefix, self._folder(folder), start):
            for stat in map(self._stat, batch):
                if stat.key.startswith(prefix):
                    if stat.key > after:
                        yield stat
                elif stat.key > prefix:
                    return

    def _scan_level(self, folder: str, prefix: str, after: str) -> Iterator[Stat | Folder]:
        names, files = self.children(folder)
        folders = [Folder(join(folder, name)) for name in names]
        level: builtins.list[tuple[str, Stat | Folder]] = [(f"{each.key}/", each) for each in folders]
        level += [(each.key, each) for each in files]
        for key, found in sorted(level, key=lambda pair: pair[0]):
            if not key.startswith(prefix):
                continue
            begun = isinstance(found, Folder) and after.startswith(key)
            if next(self._scan(found.key, key, after), None) if begun else key > after:
                yield found

    def _offset(self, after: str) -> str | None:
        """``after`` as the remote store takes it, a little earlier if need be; it knows well-formed paths only."""
        if refused := _REFUSED.search(after):
            after = after[: refused.end() if refused[0] == "/" else refused.start()]
        if after.endswith("/"):  # it would be taken off; this lies just before
            after = behind(f"{after[:-1]}.")
        try:
            check_key(after)
        except StorageError:
            return None
        return join(self._prefix, after)

    # --- writing

    @property
    def conditional(self) -> bool:
        """Whether the server honours conditional writes. Asked once per store, by two small writes."""
        if self._conditional is None:
            self._conditional = self._probe()
            if not self._conditional:
                _log.warning(
                    "%s ignores conditional writes: use one writer at a time, changes by others are not detected",
                    self.url,
                )
        return self._conditional

    def _probe(self) -> bool:
        path = self._writable(f".tomoportal/locks/probe-{new_token()}")
        with _explained(".tomoportal/locks"):
            try:
                try:
                    obstore.put(self._remote, path, b"1", mode="create")
                    obstore.put(self._remote, path, b"2", mode="create")
                except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                    return True  # also after the first one, if it was sent twice
                except exceptions.NotSupportedError:
                    return False
                return False
            finally:
                with suppress(exceptions.BaseError):
                    obstore.delete(self._remote, path)

    def put(
        self,
        key: str,
        data: bytes | bytearray | memoryview,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        durable: bool = True,
    ) -> str:
        path = self._writable(key)
        view = memoryview(data).cast("B") if not isinstance(data, bytes) else data
        if if_absent or if_match is not None:
            if self.conditional:
                return self._put_if(key, path, view, "create" if if_absent else {"e_tag": if_match})
            self._compare(key, if_match)
        with _explained(key):
            return str(obstore.put(self._remote, path, view)["e_tag"] or "")

    def _put_if(self, key: str, path: str, data: bytes | memoryview, mode: Any) -> str:
        """A write with a condition. If an answer was lost, the next attempt may meet what the last one has written."""
        is_first = True
        for pause in (*_PAUSES, None):
            try:
                with _explained(key):
                    return str(obstore.put(self._once, path, data, mode=mode, use_multipart=False)["e_tag"] or "")
            except ConflictError:
                found, etag = (b"", "") if is_first else self.get_version(key)
                if is_first or found != data:
                    raise
                return etag
            except StorageError as error:
                if pause is None or not may_pass(error):
                    raise
                is_first = False
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _compare(self, key: str, if_match: str | None) -> None:
        """The next best to a conditional write: look first."""
        try:
            found = self.stat(key).etag
        except NotFoundError:
            found = None
        if found != if_match:
            raise ConflictError("the object was changed by somebody else", where=key, fix="read it again, and retry")

    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        return _ObjectWriter(self._remote, key, self._writable(key))

    def delete(self, key: str) -> None:
        path = self._writable(key)
        with suppress(NotFoundError):
            _whole(key, lambda: obstore.delete(self._remote, path))

    def delete_files(self, keys: Iterable[str]) -> None:
        paths = [self._writable(key) for key in keys]
        for start in range(0, len(paths), _BULK):
            bulk = paths[start : start + _BULK]
            _whole(bulk[0], lambda bulk=bulk: obstore.delete(self._remote, bulk))  # type: ignore[misc]

    def delete_tree(self, prefix: str) -> None:
        self.delete_files([stat.key for stat in self.list(prefix)])

    def move(self, source: str, target: str) -> None:
        self._writable(target)
        if self.exists(source):
            self._move_file((source, target))
            return
        keys = [stat.key for stat in self.list(source)]
        if not keys:
            raise NotFoundError("there is no such file or folder", where=source)
        self.move_files([(key, join(target, key[len(source) + 1 :])) for key in keys])

    def move_files(self, pairs: Iterable[tuple[str, str]]) -> None:
        listed = builtins.list(pairs)
        self.copy_files(listed)
        self.delete_files([source for source, _ in listed])

    def copy_files(self, pairs: Iterable[tuple[str, str]]) -> None:
        with ThreadPoolExecutor(_REQUESTS_IN_FLIGHT, "copy") as pool:
            for _ in pool.map(self._copy, pairs):
                pass

    def _move_file(self, pair: tuple[str, str]) -> None:
        self._copy(pair)
        self.delete(pair[0])

    def _copy(self, pair: tuple[str, str]) -> None:
        source, target = pair
        start, end = self._path(source), self._writable(target)
        try:
            with _explained(source):
                obstore.copy(self._remote, start, end)
                return
        except NotFoundError:
            raise
        except StorageError:
            if self.stat(source).size <= _LARGEST_COPY:
                raise
        with self.open_writer(target) as writer:
            for piece in self.chunks(source):
                writer.write(piece)

    def lock(self, name: str, *, timeout: float = LOCK_TIMEOUT) -> AbstractContextManager[Lock]:
        key = f".tomoportal/locks/{check_key(name)}.json"
        self._writable(key)
        return lease(self, key, name, timeout, conditional=self.conditional)


class _ObjectWriter(Writer):
    """Parts that were sent before an exception never become an object; a bucket's lifecycle rule removes them."""

    def __init__(self, remote: Any, key: str, path: str) -> None:
        super().__init__(key)
        self._remote, self._path = remote, path
        with _explained(key):
            self._file: Any = obstore.open_writer(
                remote, path, buffer_size=_PART_SIZE, max_concurrency=_PARTS_IN_FLIGHT
            )

    def _write(self, view: memoryview) -> None:
        with _explained(self.key):
            for start in range(0, view.nbytes, _PART_SIZE):
                self._file.write(bytes(view[start : start + _PART_SIZE]))

    def _commit(self) -> None:
        with _explained(self.key):
            self._file.close()

    def _abort(self) -> None:
        self._file = None


def _arriving(key: str, found: Any) -> Iterator[bytes]:
    with _explained(key):
        for piece in found.stream(min_chunk_size=1 << 20):
            yield bytes(piece)


def _whole(where: str, action: Callable[[], _T]) -> _T:
    """What ``action`` gives, which may be done twice; again if an answer broke off, where the library gives up."""
    for _ in range(_ATTEMPTS - 1):
        try:
            with _explained(where):
                return action()
        except StorageError as error:
            if not _broke_off(error):
                raise
    with _explained(where):
        return action()


def _broke_off(error: StorageError) -> bool:
    return isinstance(error.__cause__, exceptions.GenericError) and "body" in str(error.__cause__)


def _reopen(url: str, read_only: bool) -> ObjectStore:
    return s3_store(url, read_only=read_only)


@contextmanager
def _explained(where: str) -> Iterator[None]:
    try:
        yield
    except (StorageError, ConflictError):
        raise
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise NotFoundError("there is no such object", where=where) from error
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
        raise ConflictError(
            "the object was changed by somebody else", where=where, fix="read it again, and retry"
        ) from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, PermissionError) as error:
        raise ReadOnlyError(
            "the object store refuses access",
            where=where,
            fix="check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or add anonymous=true to the address",
        ) from error
    except (exceptions.BaseError, OSError) as error:
        if "/latest/api/token" in str(error):  # without keys the client asks for those of a rented machine
            raise ReadOnlyError(
                "no keys for the object store are set",
                where=where,
                fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for a public bucket add anonymous=true to"
                ' the address (in a copick config "anon": true)',
            ) from error
        what = "no answer from the object store" if "sending request" in str(error) else "the object store failed"
        raise StorageError(
            f"{what}: {_first_line(error)}", where=where, fix="check the endpoint and try again"
        ) from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
