"""A run: its document, frames, gains, identified objects, and the order in which the rest is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from tomoportal.catalog.inventory import RunFolder, Sizes
from tomoportal.catalog.mapping.people import same
from tomoportal.catalog.mapping.rows import Document, ItemRefused, Key, Row, Sheet

__all__ = ["RunContext", "add_run"]

_FRAME = same("acquisition_order", "accumulated_dose", "exposure_dose", "is_gain_corrected")
_OBJECT = same("object_id", "object_name", "object_state", "object_description")


@dataclass(slots=True)
class RunContext:
    """What the mapping of a run's documents has at hand."""

    sheet: Sheet
    folder: RunFolder
    sizes: Sizes
    dataset_deposition: int
    depositions: Collection[int]
    load: Callable[[str], Document | None]
    """Reads a document; notes a problem and gives None if it cannot be read."""
    load_optional: Callable[[str, str], Document | None]
    """Reads a document that can be done without; warns at the given place if it cannot be read."""
    rows: Callable[[str], list[Mapping[str, object]] | None]
    """Reads a list of objects like ``load``."""
    run: Row


def add_run(context: RunContext) -> None:
    """Frames, gains and identified objects of a run whose row exists."""
    if context.folder.frames is not None and (document := context.load(context.folder.frames.key)):
        _add_frames(context, document)
    for stat in context.folder.gains:
        document = Document(stat.key, {})
        computed = {"run_id": context.run.key, "file_path_key": stat.key}
        context.sheet.add("GainFile", Key(stat.key), document, {}, computed)
    if context.folder.identified_objects is not None:
        _add_objects(context, context.folder.identified_objects.key)


def _add_frames(context: RunContext, document: Document) -> None:
    mdoc = document.get("frames_acquisition_file")
    sheet = context.sheet
    if isinstance(mdoc, str):
        path = sheet.path(mdoc)
        computed: dict[str, object] = {"run_id": context.run.key, "mdoc_path_key": path}
        # Below the run: a document may name the file of another run by mistake.
        sheet.add("FrameAcquisitionFile", context.run.key.below(path), document, {}, computed)
    for place, content in document.items("frames"):
        frame = content.get("path")
        computed = {
            "run_id": context.run.key,
            "deposition_id": context.dataset_deposition,
            "frame_path_key": frame,
            "file_size": context.sizes.of(sheet.path(frame)) if isinstance(frame, str) else None,
        }
        key = context.run.key.below(content.get("acquisition_order"))
        try:
            if content.get("acquisition_order") is None:
                raise sheet.refuse(f"{document.key}: {place}.acquisition_order", "a required value is missing")
            sheet.add("Frame", key, document, _FRAME, computed, content=content, place=place)
        except ItemRefused:
            continue


def _add_objects(context: RunContext, path: str) -> None:
    document = Document(path, {})
    for index, content in enumerate(context.rows(path) or []):
        key = context.run.key.below(content.get("object_id"), content.get("object_state") or "")
        try:
            context.sheet.add(
                "IdentifiedObject",
                key,
                document,
                _OBJECT,
                {"run_id": context.run.key},
                content=content,
                place=f"[{index}]",
                numbered=True,
            )
        except ItemRefused:
            continue
