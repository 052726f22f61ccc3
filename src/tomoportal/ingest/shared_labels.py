"""Source masks that several annotations take their labels from: each is read once (F61).

A file on the local disk is mapped, and reading it again costs nothing. Everything else (OME-Zarr, TIFF, any object
store) is read into a temporary file when the first annotation asks for it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from tomoportal.storage import Store

if TYPE_CHECKING:
    from tomoportal.formats.volumes import Volume

__all__ = ["SharedLabels"]

_MOST = 4


class SharedLabels:
    """The source masks that were used last; closing it removes their temporary files."""

    def __init__(self) -> None:
        self._volumes: OrderedDict[tuple[str, str], Volume] = OrderedDict()

    def open(self, source: Store, key: str, digest: str, *, workers: int = 1) -> Volume:
        """The mask under a key with that content, a `LabelVolume` unless it is mapped; not the caller's to close."""
        known = self._volumes.get((key, digest))
        if known is None:
            while len(self._volumes) >= _MOST:
                self._volumes.popitem(last=False)[1].close()
            known = self._volumes[key, digest] = _opened(source, key, workers)
        self._volumes.move_to_end((key, digest))
        return known

    def close(self) -> None:
        """Let go of all of them."""
        while self._volumes:
            self._volumes.popitem()[1].close()


def _opened(source: Store, key: str, workers: int) -> Volume:
    from tomoportal.formats.label_volume import LabelVolume
    from tomoportal.formats.opening import open_volume

    volume = open_volume(source, key)
    if volume.mapped:
        return volume
    try:
        return LabelVolume(volume, workers=workers)
    except BaseException:
        volume.close()
        raise
