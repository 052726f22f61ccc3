"""The archive: where files lie, what is on record about them, and how they get there whole.

    from tomoportal.archive import Archive, Container, ItemRecord, identity, layout

    archive = Archive.open("/data/archive", create=True)
    archive.recover()                                       # finish what a killed process left
    run = Container.run(10001, "TS_1")

    key = identity.tiltseries(deposition=10301)
    number = archive.allocate(run, "tiltseries", run.key, key)          # 100; the same again next time
    prefix = layout.tiltseries_prefix(10001, "TS_1", number)
    with archive.stage(run, "tiltseries", key) as staging:              # discards what is not published
        staging.store.put(layout.rawtlt(10001, "TS_1", number), b"-60.0\\n")
        with staging.store.open_writer(layout.volume_mrc(prefix, "TS_1")) as writer:
            writer.write(slab)                                          # keys are final; bytes go aside
        document = {..., "mrc_file": layout.volume_mrc(prefix, "TS_1")}
        published = archive.publish(
            run,
            ItemRecord("tiltseries", key, number, input_digest),
            staging,
            (layout.tiltseries_document(10001, "TS_1", number), document),
        )
    published.outcome                                                   # "created", "updated" or "unchanged"

Before converting, ask whether there is anything to do; when only metadata changed, keep the data files:

    current = archive.manifest(run).items.get(("tiltseries", key))
    if current and current.input_digest == input_digest: ...            # right already
    staging.keep(layout.volume_zarr(prefix, "TS_1"))                    # a file, or a folder of files

Items without a document (gains, the mdoc, key photos) are published with ``document=None``. What a run did not touch
is listed by ``archive.orphans(run, touched)`` and removed by ``archive.remove_item(run, kind, key)``.
"""

from __future__ import annotations

from tomoportal.archive import documents, identity, layout
from tomoportal.archive.archive import Archive, Recovered
from tomoportal.archive.findings import RULES, Finding, Severity
from tomoportal.archive.layout import Container
from tomoportal.archive.manifest import ItemRecord, Manifest
from tomoportal.archive.publish import Published
from tomoportal.archive.source_digests import SourceDigests
from tomoportal.archive.staging import Staging
from tomoportal.archive.verify import Verification, examine, verify
from tomoportal.storage import FileRecord

__all__ = [
    "RULES",
    "Archive",
    "Container",
    "FileRecord",
    "Finding",
    "ItemRecord",
    "Manifest",
    "Published",
    "Recovered",
    "Severity",
    "SourceDigests",
    "Staging",
    "Verification",
    "documents",
    "examine",
    "identity",
    "layout",
    "verify",
]
