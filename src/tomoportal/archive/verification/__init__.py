"""What ``verify`` looks at in one container, one module per topic.

``container`` compares files with the manifest and documents with schema, folder and references, and fills a ``View``;
from it the others read: ``volumes`` (headers, metadata), ``voxels`` (values), ``frames`` and ``acquisition`` (mdoc,
doses), ``tiltseries``, ``alignments``, ``tomograms``, ``annotation_files``, ``pictures``. Functions that are called
``…_findings`` are pure and check sources before ingestion as well. ``summary``, ``plots`` and ``report`` make the page
for a depositor.
"""

from __future__ import annotations

from tomoportal.archive.findings import Finding
from tomoportal.archive.verification.view import View

__all__ = ["check_contents"]


def check_contents(view: View, *, voxels: bool = False) -> list[Finding]:
    """Everything in the files of a container, beyond their digests. ``voxels`` decodes the volumes."""
    from tomoportal.archive.verification import pictures

    found = list(pictures.check(view))
    if view.container.run_name is None:
        return found
    from tomoportal.archive.verification import alignments, annotation_files, frames, tiltseries, tomograms, volumes

    # The order matters: volumes remember headers, frames the mdoc, tilt series the raw angles.
    for topic in (volumes, frames, tiltseries, alignments, tomograms, annotation_files):
        found += topic.check(view)
    if voxels:
        from tomoportal.archive.verification.voxels import check

        found += check(view)
    return found
