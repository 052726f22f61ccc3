"""The work bench of one item: where its sources are read and its files are written until they are published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tomoportal.archive import Archive, Manifest, Staging
from tomoportal.archive.source_digests import SourceDigests
from tomoportal.errors import DocumentError, NotFoundError
from tomoportal.ingest.plan import Options
from tomoportal.ingest.shared_labels import SharedLabels
from tomoportal.storage import Store

__all__ = ["Bench", "Made"]


@dataclass(frozen=True)
class Made:
    """What a step hands over for publishing, beside the files that it wrote."""

    document: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Small results that later items need, kept in the manifest: the contrast limits of a volume."""
    absent: str | None = None
    """Why there is nothing to publish, such as a label that the mask of this run does not hold."""


@dataclass
class Bench:
    """Sources, archive and staging area of the item that is being made."""

    archive: Archive
    source: Store
    options: Options
    digests: SourceDigests
    manifest: Manifest
    staging: Staging | None = None
    jobs: int = 1
    memory: dict[str, Any] = field(default_factory=dict)
    """Small things that consecutive items share, such as a parsed star file; keyed by the reader."""
    labels: SharedLabels = field(default_factory=SharedLabels)
    """Source masks that several items take labels from."""
    known: Mapping[str, str] = field(default_factory=dict)
    """Digests of the item's sources, by key."""

    @property
    def target(self) -> Store:
        """The store to write to: keys are final, files appear when the item is published."""
        assert self.staging is not None
        return self.staging.store

    def read(self, key: str) -> bytes:
        """Bytes of a small source file."""
        return self.source.get(key)

    def digest(self, key: str) -> str:
        """SHA-256 of a source file, remembered over runs."""
        return self.known.get(key) or self.digests.digest(self.source, key)

    def document(self, key: str) -> dict[str, Any] | None:
        """A document of the archive; None if it is missing or unreadable."""
        try:
            return self.archive.document(key)
        except (NotFoundError, DocumentError):
            return None

    def copy(self, source: str, target: str) -> None:
        """Copy a source file of any size, in pieces."""
        with self.target.open_writer(target) as writer:
            for piece in self.source.chunks(source):
                writer.write(piece)
