"""The documents of a run, read in the order in which they refer to each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

from tomoportal.catalog.inventory import RunFolder, Sizes, Spacing
from tomoportal.catalog.mapping.alignments import add_alignment
from tomoportal.catalog.mapping.annotations import add_annotation, is_annotation
from tomoportal.catalog.mapping.rows import Document, ItemRefused, Key, Sheet
from tomoportal.catalog.mapping.runs import RunContext, add_run
from tomoportal.catalog.mapping.tiltseries import add_tiltseries
from tomoportal.catalog.mapping.tomograms import add_spacing, add_tomogram
from tomoportal.storage import Stat

__all__ = ["read_run"]

Load = Callable[[str], Document | None]
LoadOptional = Callable[[str, str], Document | None]
LoadRows = Callable[[str], list[Mapping[str, object]] | None]


def read_run(
    sheet: Sheet,
    folder: RunFolder,
    sizes: Sizes,
    dataset: int,
    deposition: int,
    depositions: Collection[int],
    load: Load,
    load_optional: LoadOptional,
    rows: LoadRows,
) -> bool:
    """Put all rows of a run on the sheet; False if the run itself cannot be a row."""
    document = load(folder.document.key)
    if document is None:
        return False
    name = document.get("run_name")
    if name is None:
        sheet.warn(f"{document.key}: run_name", "the name is missing; that of the folder is used")
        name = folder.name
    computed = {"dataset_id": dataset, "name": name, "prefix_key": f"{folder.prefix}/"}
    try:
        run = sheet.add("Run", Key(folder.prefix), document, {}, computed)
    except ItemRefused:
        return False
    context = RunContext(sheet, folder, sizes, deposition, depositions, load, load_optional, rows, run)
    add_run(context)
    for tiltseries in _documents(context, folder.tiltseries):
        _attempt(partial(add_tiltseries, context, tiltseries))
    for alignment in _documents(context, folder.alignments):
        _attempt(partial(add_alignment, context, alignment))
    for spacing in folder.spacings:
        _read_spacing(context, spacing)
    return True


def _read_spacing(context: RunContext, spacing: Spacing) -> None:
    tomograms = _documents(context, spacing.tomograms)
    annotations = [document for document in _documents(context, spacing.annotations) if is_annotation(document)]
    parent = add_spacing(context, spacing, tomograms)
    for tomogram in tomograms:
        _attempt(partial(add_tomogram, context, spacing, parent, tomogram))
    folders = [document.folder for document in annotations]
    for annotation in annotations:
        alone = folders.count(annotation.folder) == 1
        _attempt(partial(add_annotation, context, parent, annotation, alone=alone))


def _documents(context: RunContext, stats: Iterable[Stat]) -> list[Document]:
    """Documents in the order of their folders' numbers, so that 101 comes before 1000."""
    ordered = sorted(stats, key=lambda stat: _natural(stat.key))
    return [document for stat in ordered if (document := context.load(stat.key)) is not None]


def _natural(key: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isascii() and part.isdigit() else (0, part) for part in key.split("/")]


def _attempt(add: Callable[[], object]) -> None:
    """One item; if it is refused, its problems are on the sheet and the rest goes on."""
    try:
        add()
    except ItemRefused:
        return
