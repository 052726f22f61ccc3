"""Key photos of datasets and depositions: a given file or URL, else those of the first tomogram that has them."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from tomoportal.ingest.bench import Bench
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import Planning
from tomoportal.ingest.records import container_of
from tomoportal.ingest.scope import Scope
from tomoportal.ingest.sources import LINKS_FIX, is_remote
from tomoportal.ingest.trees import OutsideError

__all__ = ["NAMES", "context", "needs_tomogram", "picture_settings", "write_pictures"]

NAMES = ("snapshot", "thumbnail")
_CANDIDATES = 20
_TIMEOUT = 60.0
_LIMIT = 64 * 1024 * 1024
_EXTENSIONS = (".png", ".jpg", ".jpeg", ".gif")


def picture_settings(planning: Planning, section: str, scope: Scope, runs: list[Item]) -> dict[str, Any]:
    """Where each picture comes from: a key of the source root, a URL, or the first tomograms of ``runs``."""
    given: dict[str, str | None] = {}
    for index, entry in enumerate(planning.config.section(section)):
        for number, source in enumerate(entry.get("sources") or ()):
            if not planning.passes(source, scope, (section, index, "sources", number), ""):
                continue
            value = (source.get("literal") or {}).get("value")
            if not isinstance(value, Mapping) and source:
                planning.warn((section, index, "sources", number), "key photos are taken from literals only")
            if isinstance(value, Mapping):
                path = (section, index, "sources", number, "literal", "value")
                given |= {
                    name: planning.expand(value[name], scope, (*path, name), "") for name in NAMES if value.get(name)
                }
    pictures: dict[str, Any] = {}
    for name in NAMES:
        path_or_url = given.get(name)
        if path_or_url and is_remote(path_or_url) and not path_or_url.startswith("s3://"):
            pictures[name] = {"url": path_or_url, "extension": _extension(path_or_url.partition("?")[0])}
        elif path_or_url:
            key = planning.source.key_photo(path_or_url)
            try:
                planning.source.check_inside(key)
            except OutsideError as error:
                planning.fail("", section, str(error), LINKS_FIX)
            if planning.source.tree.is_file(key):
                pictures[name] = {"source": key, "extension": _extension(key)}
            else:
                where = next(iter(planning.config.section(section)), None)
                planning.warn(
                    (section, 0) if where else section,
                    f"key photo {path_or_url!r} is not below the source root; the first tomogram is shown instead",
                )
                pictures[name] = {"extension": ".png"}
        else:
            pictures[name] = {"extension": ".png"}
    photos = [item for item in runs if item.kind == "key_photos"][:_CANDIDATES]
    return {
        "pictures": pictures,
        "tomograms": [
            [list(item.place), item.identity, {name: item.settings["photos"][name] for name in NAMES}]
            for item in photos
        ],
    }


def context(item: Item, bench: Bench) -> Any:
    """Digests of the tomogram pictures that stand in for missing ones, as they enter the input digest."""
    return _first_tomogram(item, bench)[1]


def needs_tomogram(settings: Mapping[str, Any]) -> bool:
    """Whether a picture is not given, so that one of a tomogram stands in."""
    return not all("source" in picture or "url" in picture for picture in settings["pictures"].values())


def write_pictures(item: Item, bench: Bench, targets: Mapping[str, str]) -> tuple[dict[str, str | None], list[str]]:
    """Write both pictures; returns their keys (None where there is no picture) and warnings (F39)."""
    result: dict[str, str | None] = {}
    warnings: list[str] = []
    instead = _first_tomogram(item, bench)[0]
    for name in NAMES:
        picture = item.settings["pictures"][name]
        target: str | None = targets[name]
        if "source" in picture:
            bench.copy(picture["source"], targets[name])
        elif "url" in picture:
            data = _download(picture["url"], warnings)
            if data is None:
                target = None
            else:
                bench.target.put(targets[name], data)
        elif instead is not None:
            bench.target.put(targets[name], bench.archive.store.get(instead[name]))
        else:
            target = None
        result[name] = target
    if None in result.values():
        warnings.append("there is no key photo: none is given and no tomogram has one yet")
    return result, warnings


def _first_tomogram(item: Item, bench: Bench) -> tuple[dict[str, str] | None, list[str]]:
    if not needs_tomogram(item.settings):
        return None, []
    for place, identity, photos in item.settings["tomograms"]:
        record = bench.archive.manifest(container_of(tuple(place))).items.get(("key_photos", identity))
        if record is not None:
            digests = {file.key: file.sha256 for file in record.files}
            if all(key in digests for key in photos.values()):
                return dict(photos), [digests[key] for key in photos.values()]
    return None, []


def _download(url: str, warnings: list[str]) -> bytes | None:
    request = urllib.request.Request(url, headers={"User-Agent": "tomoportal"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # only http(s): the config's pattern says so
            data: bytes = answer.read(_LIMIT + 1)
    except (urllib.error.URLError, OSError, ValueError) as error:
        warnings.append(f"key photo {url} could not be downloaded: {error}")
        return None
    if len(data) > _LIMIT:
        warnings.append(f"key photo {url} is larger than 64 MB and is left out")
        return None
    return data


def _extension(path: str) -> str:
    suffix = PurePosixPath(path).suffix.lower()
    return suffix if suffix in _EXTENSIONS else ".png"
