"""Source masks that several annotations take their labels from: each is read once (F61), by all processes together.

A file on the local disk is mapped, and reading it again costs nothing. Everything else (OME-Zarr, TIFF, any object
store) is read into a temporary file when the first annotation asks for it. Where several processes work on one machine
that file lies in a folder that all of them know, and the first that asks fills it.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tomoportal.errors import LockedError
from tomoportal.storage import Store
from tomoportal.storage.file_locks import file_lock

if TYPE_CHECKING:
    from tomoportal.formats.label_volume import LabelVolume
    from tomoportal.formats.volumes import Volume

__all__ = ["SharedLabels"]

_MOST = 4
_MOST_FILES = 8
"""In the folder that processes share: twice as many, since they need not work on the same masks."""
_LONGEST = 24 * 3600.0  # seconds that another process may take to read a mask


class SharedLabels:
    """The source masks that were used last; closing it removes its temporary files.

    ``folder`` belongs to all processes that are given the same; who made it removes it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._volumes: OrderedDict[tuple[str, str], Volume] = OrderedDict()

    def open(self, source: Store, key: str, digest: str, *, workers: int = 1) -> Volume:
        """The mask under a key with that content, a `LabelVolume` unless it is mapped; not the caller's to close."""
        known = self._volumes.get((key, digest))
        if known is None:
            while len(self._volumes) >= _MOST:
                self._volumes.popitem(last=False)[1].close()
            known = self._volumes[key, digest] = self._opened(source, key, digest, workers)
        self._volumes.move_to_end((key, digest))
        return known

    def close(self) -> None:
        """Let go of all of them."""
        while self._volumes:
            self._volumes.popitem()[1].close()

    def _opened(self, source: Store, key: str, digest: str, workers: int) -> Volume:
        from tomoportal.formats.label_volume import LabelVolume
        from tomoportal.formats.opening import open_volume

        volume = open_volume(source, key)
        if volume.mapped:
            return volume
        try:
            if self._folder is None:
                return LabelVolume(volume, workers=workers)
            return self._shared(self._folder, volume, f"{key} {digest}", workers)
        except BaseException:
            volume.close()
            raise

    def _shared(self, folder: Path, volume: Volume, content: str, workers: int) -> LabelVolume:
        from tomoportal.formats.label_volume import LabelVolume

        path = folder / hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        with file_lock(f"{path}.lock", volume.name, _LONGEST):
            opened = LabelVolume(volume, workers=workers, path=path)
            os.utime(path)  # used now
        _keep_newest(folder, _MOST_FILES)
        return opened


def _keep_newest(folder: Path, most: int) -> None:
    """Remove the masks that were not used for longest. Who has one open keeps it: the file only loses its name."""
    used = []
    for known in folder.glob("*.json"):
        path = known.with_suffix("")
        with suppress(FileNotFoundError):  # another process was faster
            used.append((path.stat().st_mtime_ns, path))
    for _, path in sorted(used)[:-most]:
        with suppress(LockedError), file_lock(f"{path}.lock", path.name, 0.0):
            for file in (path.with_name(f"{path.name}.json"), path):
                file.unlink(missing_ok=True)
