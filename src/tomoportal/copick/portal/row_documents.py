"""Documents that hold all rows of a portal that a project needs, as upstream keeps them (``copick.util.portal_cache``).

Projects of ours ask their portal in parts and keep each answer (:mod:`.answers`). This is for programs that keep rows
by themselves; both kinds lie in the same folders, and are listed and cleared together. What cannot be read counts as
not there, and that nothing can be written is no error: the next program asks again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from tomoportal.client import PUBLIC_PORTAL, Endpoint
from tomoportal.copick.portal.answers import (
    CACHE_FOLDER,
    KeptAnswer,
    clear_cache,
    kept_answers,
    users_cache_folder,
)
from tomoportal.copick.portal.config import CacheSettings, CopickConfigCDP, cache_settings, settings_of
from tomoportal.errors import LockedError, MissingPartError, NotFoundError, StorageError
from tomoportal.storage import Store, open_store
from tomoportal.storage.filesystem_spec import open_fsspec
from tomoportal.storage.reconnecting import ReconnectingFileSystem

__all__ = [
    "DATA_KEYS",
    "SCHEMA_VERSION",
    "SHAPE_TYPES",
    "CacheLocation",
    "CacheSettings",
    "CacheStatus",
    "build_overlay_fs",
    "clear",
    "compute_fingerprint",
    "fingerprint_for_config",
    "get_or_fetch",
    "object_identifiers",
    "resolve_locations",
    "settings_from_config",
    "status_for_config",
]

Data = dict[str, Any]

SHAPE_TYPES: Final = ["Point", "OrientedPoint", "SegmentationMask", "InstanceSegmentationMask"]
"""The shapes whose rows upstream's projects keep."""
SCHEMA_VERSION: Final = 1
DATA_KEYS: Final = (
    "runs",
    "annotation_files",
    "annotation_shapes",
    "annotations",
    "annotation_authors",
    "voxel_spacings",
    "tomograms",
    "tomogram_authors",
)

settings_from_config = cache_settings


@dataclass
class CacheLocation:
    """A place where a document is looked for: an fsspec file system, the folder and the document in it."""

    fs: Any
    directory: str
    path: str
    local_path: str | None = None
    """The document on a local disk, where programs can wait for each other; else None."""

    @property
    def lockable(self) -> bool:
        return self.local_path is not None

    @property
    def _name(self) -> str:
        return self.path[len(self.directory) + 1 :]

    def _store(self, *, create: bool = False) -> Store:
        """The folder. Raises :class:`StorageError`."""
        if self.local_path is not None:
            return open_store(Path(self.directory), create=create)
        inner = getattr(self.fs, "_fs", self.fs)
        return open_fsspec(inner.unstrip_protocol(self.directory), inner.storage_options)


@dataclass
class CacheStatus:
    """Whether there is a document, and whether it may still be used."""

    path: str
    exists: bool
    fresh: bool | None = None
    created: str | None = None
    """When the rows were fetched, in the form of ISO 8601."""
    age_seconds: float | None = None
    lockable: bool = False


# --- what a document is for


def object_identifiers(config: Any) -> list[str]:
    """The ids of the objects of a config by which annotations are chosen, sorted."""
    found = (getattr(each, "identifier", None) for each in getattr(config, "pickable_objects", ()))
    return sorted(each for each in found if each is not None)


def compute_fingerprint(
    dataset_ids: Iterable[int], identifiers: Iterable[str], *, portal_url: str | None = None
) -> str:
    """The same for the same rows, in whichever order; ``portal_url`` (GraphQL) if it is not the public one's (C73).

    Of the public portal it is upstream's, if the same version of the public client is installed.
    """
    about = {
        "dataset_ids": sorted(map(int, dataset_ids)),
        "identifiers": sorted(identifiers),
        "shape_types": SHAPE_TYPES,
        "cdp_version": _client_version(),
        "schema_version": SCHEMA_VERSION,
    }
    endpoint = Endpoint(portal_url).url if portal_url else PUBLIC_PORTAL
    if endpoint != PUBLIC_PORTAL:
        about["portal_url"] = endpoint
    return sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _client_version() -> str:
    try:
        return metadata.version("cryoet-data-portal")
    except metadata.PackageNotFoundError:
        return "unknown"


def fingerprint_for_config(config: Any) -> str:
    """The fingerprint of the rows of a project."""
    url = settings_of(config).url if isinstance(config, CopickConfigCDP) else getattr(config, "portal_url", None)
    return compute_fingerprint(getattr(config, "dataset_ids", ()), object_identifiers(config), portal_url=url)


# --- where it lies


def build_overlay_fs(config: Any) -> tuple[ReconnectingFileSystem, str]:
    """The file system of a config's overlay, and the overlay's path in it."""
    fs = ReconnectingFileSystem(config.overlay_root, getattr(config, "overlay_fs_args", None) or {})
    return fs, str(fs._strip_protocol(config.overlay_root))


def resolve_locations(
    fingerprint: str, settings: CacheSettings, fs_overlay: Any = None, root_overlay: str | None = None
) -> list[CacheLocation]:
    """The places in the order in which they are tried: the overlay, then the user's folder; or the folder chosen."""
    name = f"portal_{fingerprint}.json"
    users = users_cache_folder(settings.cache_dir)
    found = [CacheLocation(_local_files(), str(users), f"{users}/{name}", f"{users}/{name}")]
    if not settings.cache_dir and fs_overlay is not None and root_overlay:
        folder = f"{root_overlay.rstrip('/')}/{CACHE_FOLDER}"
        protocol = getattr(getattr(fs_overlay, "_fs", fs_overlay), "protocol", ())
        is_local = bool({"file", "local"} & {*((protocol,) if isinstance(protocol, str) else protocol)})
        found.insert(0, CacheLocation(fs_overlay, folder, f"{folder}/{name}", f"{folder}/{name}" if is_local else None))
    return found


def _local_files() -> Any:
    from tomoportal.storage.filesystem_spec import file_system

    return file_system("file://", {"auto_mkdir": True})


# --- in and out


def _document(location: CacheLocation) -> Data | None:
    try:
        found = json.loads(location._store().get(location._name))
    except (StorageError, MissingPartError, OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _age(document: Data) -> float | None:
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(document["created"])).total_seconds()
    except (KeyError, TypeError, ValueError):
        return None


def _is_usable(document: Data, fingerprint: str, ttl_seconds: int) -> bool:
    age = _age(document)
    return (
        document.get("schema_version") == SCHEMA_VERSION
        and document.get("fingerprint") == fingerprint
        and isinstance(document.get("data"), dict)
        and (ttl_seconds <= 0 or (age is not None and age <= ttl_seconds))
    )


def _look(location: CacheLocation, fingerprint: str, settings: CacheSettings) -> Data | None:
    found = _document(location)
    usable = found is not None and _is_usable(found, fingerprint, settings.ttl_seconds)
    return found["data"] if found is not None and usable else None


@contextmanager
def _alone(location: CacheLocation, seconds: int) -> Iterator[None]:
    """One of the programs that start together fetches; the others wait, no longer than ``seconds``."""
    if not location.lockable:
        yield
        return
    with location._store(create=True).lock(location._name, timeout=max(1, seconds)):
        yield


def get_or_fetch(
    fingerprint: str,
    dataset_ids: Sequence[int],
    settings: CacheSettings,
    fetch_fn: Callable[[], Data],
    fs_overlay: Any = None,
    root_overlay: str | None = None,
    force: bool = False,
) -> Data:
    """The rows from a document, or from ``fetch_fn``, which is called at most once; dates come back as text.

    ``force`` fetches even if there is a document, and replaces it.
    """
    if not settings.enabled:
        return fetch_fn()
    locations = resolve_locations(fingerprint, settings, fs_overlay, root_overlay)
    fetched: Data | None = None
    for location in locations if not force else ():
        found = _look(location, fingerprint, settings)
        if found is not None:
            return found
    for location in locations:
        with ExitStack() as held:
            try:
                held.enter_context(_alone(location, settings.lock_timeout_seconds))
            except (StorageError, MissingPartError) as error:  # the next place, unless somebody else fetched meanwhile
                found = _look(location, fingerprint, settings) if isinstance(error, LockedError) and not force else None
                if found is not None:
                    return found
                continue
            found = _look(location, fingerprint, settings) if not force else None
            if found is not None:  # another one fetched while this one waited
                return found
            fetched = fetch_fn() if fetched is None else fetched
            with suppress(StorageError, MissingPartError):
                _keep(location, fingerprint, dataset_ids, fetched)
                return fetched
    return fetch_fn() if fetched is None else fetched


def _keep(location: CacheLocation, fingerprint: str, dataset_ids: Iterable[int], data: Data) -> None:
    document = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(),
        "cdp_version": _client_version(),
        "dataset_ids": sorted(map(int, dataset_ids)),
        "fingerprint": fingerprint,
        "data": data,
    }
    location._store(create=True).put(location._name, json.dumps(document, default=str).encode(), durable=False)


# --- what is there


def _ours(config: Any) -> list[KeptAnswer]:
    """The answers that our projects of this config keep; none for configs that are no project of ours."""
    if not isinstance(config, CopickConfigCDP):
        return []
    from tomoportal.copick.sources import open_source

    overlay = open_source(config.overlay_root, config.overlay_fs_args, read_only=False)
    return [each for each in kept_answers(settings_of(config), overlay.store) if each.endpoint is not None]


def _places(config: Any, fs_overlay: Any, root_overlay: str | None) -> tuple[str, list[CacheLocation]]:
    if fs_overlay is None:
        fs_overlay, root_overlay = build_overlay_fs(config)
    fingerprint = fingerprint_for_config(config)
    return fingerprint, resolve_locations(fingerprint, cache_settings(config), fs_overlay, root_overlay)


def status_for_config(config: Any, fs_overlay: Any = None, root_overlay: str | None = None) -> list[CacheStatus]:
    """What is at each place, then the answers that projects of ours keep; no portal is asked."""
    fingerprint, locations = _places(config, fs_overlay, root_overlay)
    seconds = cache_settings(config).ttl_seconds
    found = []
    for location in locations:
        document = _document(location)
        status = CacheStatus(location.path, location.fs.exists(location.path), lockable=location.lockable)
        if document is not None:
            status.created, status.age_seconds = document.get("created"), _age(document)
            status.fresh = _is_usable(document, fingerprint, seconds)
        found.append(status)
    return [*found, *(CacheStatus(each.where, True, each.is_fresh, age_seconds=each.age) for each in _ours(config))]


def clear(config: Any, remove_all: bool = False, fs_overlay: Any = None, root_overlay: str | None = None) -> list[str]:
    """Remove the document of a project and the answers kept for its datasets, or all that lie in its places.

    Returns the paths of what is gone; no portal is asked.
    """
    _, locations = _places(config, fs_overlay, root_overlay)
    removed = []
    for location in locations:
        with suppress(NotFoundError, MissingPartError):  # there is no such folder, or nothing that could have made it
            store = location._store()
            for name in [each.key for each in store.children()[1]]:
                if name == location._name or (remove_all and name.startswith("portal_") and name.endswith(".json")):
                    store.delete(name)
                    removed.append(f"{location.directory}/{name}")
    datasets = set(getattr(config, "dataset_ids", ()))
    answers = [each for each in _ours(config) if remove_all or set(each.dataset_ids) <= datasets]
    clear_cache(answers)
    return [*removed, *(each.where for each in answers)]
