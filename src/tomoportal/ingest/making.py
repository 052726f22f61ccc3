"""Making one item: is it right already? If not, make its files aside and publish them with its document."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tomoportal.archive import Archive, Container, ItemRecord, Published
from tomoportal.archive.source_digests import SourceDigests
from tomoportal.errors import DocumentError, TomoportalError, is_disk_full
from tomoportal.ingest.bench import Bench
from tomoportal.ingest.inputs import digest_of, input_parts, is_complete
from tomoportal.ingest.patience import patiently
from tomoportal.ingest.plan import Item, Options
from tomoportal.ingest.records import container_of
from tomoportal.ingest.report import Result
from tomoportal.ingest.shared_labels import SharedLabels
from tomoportal.ingest.steps import step_of
from tomoportal.storage import Store

__all__ = ["Maker"]

_FLUSH_EVERY = 10.0  # seconds between two writes of the digest cache


@dataclass
class Maker:
    """Makes items one after the other, in the main process or in a worker."""

    archive: Archive
    source: Store
    options: Options
    jobs: int = 1
    """Threads for one conversion."""
    together: Path | None = None
    """Folder by which the processes of one machine share what they read."""
    _digests: SourceDigests = field(init=False)
    _memory: dict[str, Any] = field(default_factory=dict)
    _labels: SharedLabels = field(init=False)
    _flushed: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._digests = SourceDigests(self.archive, self.together)
        self._labels = SharedLabels(self.together)

    def make(self, item: Item) -> Result:
        """Make one item. Every failure is a result, so that the other items go on."""
        began = time.monotonic()
        result = self._tried(item)
        if time.monotonic() - self._flushed > _FLUSH_EVERY:
            self._flush()
        return replace(result, seconds=time.monotonic() - began)

    def _tried(self, item: Item) -> Result:
        try:
            result, remarks = patiently(lambda: self._make(item))
            return replace(result, warnings=(*remarks, *result.warnings))
        except TomoportalError as error:
            return Result.of(item, "failed", str(error), stop=is_disk_full(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours in one item must not take the others with it
            text = "".join(traceback.format_exception_only(error)).strip()
            where = traceback.extract_tb(error.__traceback__)[-1]
            return Result.of(
                item, "failed", f"{text} ({where.filename.rpartition('/')[2]}:{where.lineno})", stop=is_disk_full(error)
            )

    def announce(self, item: Item) -> bool:
        """Publish the document of a new item before what it comes after, so that what is made meanwhile has its parent.

        Whether that was needed and done; what stands in the way is told when the item is made.
        """
        early = step_of(item.kind).early
        if early is None or item.document is None:
            return False
        inputs = {"early": True}
        try:
            if self.archive.store.exists(item.document):
                return False
            self._publish(
                container_of(item.place), item, digest_of(inputs), inputs, None, (item.document, dict(early(item)))
            )
        except TomoportalError:
            return False
        return True

    def close(self) -> None:
        """Write the digests of sources that were found; let go of what items shared."""
        self._labels.close()
        self._flush()

    def _flush(self) -> None:
        self._digests.flush()
        self._flushed = time.monotonic()

    def _make(self, item: Item) -> Result:
        container = container_of(item.place)
        manifest = self.archive.manifest(container)
        step = step_of(item.kind)
        bench = Bench(
            self.archive,
            self.source,
            self.options,
            self._digests,
            manifest,
            jobs=self.jobs,
            memory=self._memory,
            labels=self._labels,
        )
        context = step.context(item, bench) if step.context else None
        parts = input_parts(item, self.options, self.source, self._digests, manifest, context)
        bench.known = parts["sources"]
        digest = digest_of(parts)
        record = manifest.items.get((item.kind, item.identity))
        if record is not None and record.input_digest == digest and is_complete(record, self.archive.store):
            if record.inputs.get("absent"):
                return Result.of(item, "absent", str(record.inputs["absent"]))
            return Result.of(item, "skipped")
        with self.archive.stage(container, item.kind, item.identity, manifest=manifest) as staging:
            bench.staging = staging
            made = step.make(item, bench)
            if made.absent is not None:  # on record, so that the next run need not look again
                self._publish(container, item, digest, {**parts, "absent": made.absent}, None, None)
                return Result.of(item, "absent", made.absent, made.warnings)
            told = {"facts": dict(made.facts), "origin": item.settings.get("origin")}
            inputs = {**parts, **{name: value for name, value in told.items() if value}}
            document = (item.document, dict(made.document)) if item.document and made.document is not None else None
            published = self._publish(container, item, digest, inputs, staging, document)
        result = Result.of(item, "created" if published.outcome == "created" else "replaced", warnings=made.warnings)
        return replace(result, bytes=published.item.size)

    def _publish(
        self, container: Container, item: Item, digest: str, inputs: dict[str, Any], staging: Any, document: Any
    ) -> Published:
        record = ItemRecord(
            item.kind,
            item.identity,
            item.archive_id,
            digest,
            deposition_id=item.deposition_id,
            inputs=inputs,
        )
        try:
            return self.archive.publish(container, record, staging, document)
        except DocumentError as error:
            raise DocumentError(
                error.problems, source=f"{item.config_path} → {document[0]}" if document else item.config_path
            ) from error
