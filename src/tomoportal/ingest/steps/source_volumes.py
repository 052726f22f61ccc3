"""Volumes among the sources: OME-Zarr by its folder, everything else by its MRC header."""

from __future__ import annotations

from tomoportal.formats.mrc import open_mrc
from tomoportal.formats.omezarr import is_zarr, open_omezarr
from tomoportal.formats.volumes import Volume
from tomoportal.storage import Store

__all__ = ["open_source_volume"]


def open_source_volume(store: Store, key: str) -> Volume:
    """Open a volume for reading; the content decides, the name does not."""
    return open_omezarr(store, key) if is_zarr(store, key) else open_mrc(store, key)
