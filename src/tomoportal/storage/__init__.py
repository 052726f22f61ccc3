"""Open a store from a URL; atomic writes, digests, locks, listings, globs.

    from tomoportal.storage import open_store

    store = open_store("/data/archive", create=True)            # or "s3://bucket/prefix?endpoint=https://host"
    store.put("10001/dataset_metadata.json", b"{}")             # atomic: old or new, never half
    with store.open_writer("10001/TS_1/volume.mrc") as writer:  # streams; nothing appears if the block raises
        writer.write(slab)
    writer.record                                               # FileRecord(key, size, sha256)
    for stat in store.list("10001"):                            # recursive, sorted by key
        ...
    for found in store.scan("10001/TS_", after=last_key):       # pages of a listing, as S3 has them
        ...
    store.glob("10001/*/TiltSeries/**/*.mrc")                   # shell rules; zarr folders count as one match
    with store.lock("10001/TS_1"):                              # one holder among all processes
        ...

Keys are relative, ``/``-separated and never contain ``..``. One :class:`Store` may be shared by threads and sent to
worker processes (it is pickled as its URL).
"""

from __future__ import annotations

from tomoportal.storage.base import FileRecord, Folder, Lock, Reading, Stat, Store, Writer, sha256_of
from tomoportal.storage.keys import behind
from tomoportal.storage.local_listing import version_tag
from tomoportal.storage.opening import open_store

__all__ = [
    "FileRecord",
    "Folder",
    "Lock",
    "Reading",
    "Stat",
    "Store",
    "Writer",
    "behind",
    "open_store",
    "sha256_of",
    "version_tag",
]
