"""Frames, gain references and frames_metadata.json of a run, against each other and against the mdoc."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tomoportal.archive.findings import Finding, finding, several
from tomoportal.archive.verification.acquisition import mdoc_findings, parse_mdoc, time_order
from tomoportal.archive.verification.view import Entity, View, number, rows
from tomoportal.errors import FormatError, StorageError
from tomoportal.formats.digital_micrograph import open_dm
from tomoportal.formats.mdoc import Mdoc, MdocSection
from tomoportal.formats.mrc import HEADER_SIZE, MrcHeader
from tomoportal.storage import Store

__all__ = ["Stack", "check", "frame_findings", "gain_findings", "mdoc_of", "read_stack"]

_FRAMES = (".mrc", ".tif", ".tiff", ".eer", ".mrc.bz2")
_DIGITAL_MICROGRAPH = (".dm4", ".dm3")
_GAINS = (*_FRAMES, ".gain", *_DIGITAL_MICROGRAPH)
_TIFFS = (".tif", ".tiff", ".eer", ".gain")
_MOST_PAGES = 100_000
_DOSE = 0.01  # e⁻/Å², relative to sums of rounded numbers
_WIDTH, _HEIGHT = 256, 257


@dataclass(frozen=True, slots=True)
class Stack:
    """Size in pixels and number of images of a frame or gain file."""

    width: int
    height: int
    images: int


def mdoc_of(view: View) -> tuple[str, Mdoc] | None:
    """The run's mdoc and its key: that which frames_metadata.json names, else the only one in Frames."""
    known: tuple[str, Mdoc] | None = view.memory.get("mdoc")
    return known


def check(view: View) -> list[Finding]:
    """The folders Frames and Gains. The parsed mdoc is remembered in the view."""
    found: list[Finding] = []
    mdoc = _read_mdoc(view, found)
    folder = f"{view.container.key}/Frames"
    names = [
        key for key in view.files(folder) if "/" not in key[len(folder) + 1 :] and not key.endswith((".json", ".mdoc"))
    ]
    documents = view.of("frames")
    for entity in documents:
        found += _document(entity, mdoc)
    if mdoc:
        found += mdoc_findings(mdoc[1], mdoc[0])
    stacks = frame_findings(view.store, names, folder, mdoc, found)
    found += _gains(view, documents, list(stacks.values()), bool(names))
    return found


def frame_findings(
    store: Store, names: list[str], folder: str, mdoc: tuple[str, Mdoc] | None, found: list[Finding]
) -> dict[str, Stack]:
    """Add the findings on frame files, by themselves and against the mdoc; return the sizes of those that were read."""
    stacks: dict[str, Stack] = {}
    for key in names:
        found += _file(store, key, _FRAMES, stacks)
    if mdoc and names:
        found += _pairs(mdoc, names, stacks)
    found += _sizes(folder, stacks)
    return stacks


def _read_mdoc(view: View, found: list[Finding]) -> tuple[str, Mdoc] | None:
    named = [view.file(entity.content.get("frames_acquisition_file")) for entity in view.of("frames")]
    there = [key for key in view.files(f"{view.container.key}/Frames") if key.endswith(".mdoc")]
    key = next((key for key in (*named, *there) if key in view.sizes), None)
    data = view.read(key) if key else None
    if key is None or data is None:
        return None
    mdoc = parse_mdoc(data, key, found)
    if mdoc is None:
        return None
    view.memory["mdoc"] = (key, mdoc)
    return key, mdoc


# --- the document


def _document(entity: Entity, mdoc: tuple[str, Mdoc] | None) -> Iterator[Finding]:
    frames = rows(entity.content, "frames")
    if mdoc and len(mdoc[1].exposures) != len(frames):
        text = f"it lists {len(frames)} exposures, the mdoc {len(mdoc[1].exposures)}"
        yield finding("V704", entity.key, text)
    orders = [number(frame, "acquisition_order") for frame in frames]
    known = [order for order in orders if order is not None]
    if len(set(known)) < len(known):
        yield finding("V707", entity.key, "an acquisition_order occurs more than once")
    elif known and max(known) > len(frames) - 1:
        text = f"acquisition_order goes up to {max(known):g} for {len(frames)} exposures, counted from 0"
        yield finding("V707", entity.key, text)
    if len(known) == len(frames) and frames:
        yield from _doses(entity, frames, known, mdoc)


def _doses(
    entity: Entity, frames: list[Mapping[str, Any]], orders: list[float], mdoc: tuple[str, Mdoc] | None
) -> Iterator[Finding]:
    """Accumulated doses grow in the order of acquisition, which is that of the times in the mdoc where they differ."""
    before = [number(frame, "accumulated_dose") for frame in frames]
    exposure = [number(frame, "exposure_dose") for frame in frames]
    if any(dose is None for dose in (*before, *exposure)):
        return  # the schema says which
    by_order = sorted(range(len(frames)), key=orders.__getitem__)
    candidates = [by_order]
    timed = time_order(mdoc[1].exposures) if mdoc and len(mdoc[1].exposures) == len(frames) else None
    if timed and mdoc:
        position = {order: place for place, order in enumerate(orders)}
        numbers = [mdoc[1].exposures[place].index for place in timed]
        if all(index in position for index in numbers):
            candidates.append([position[index] for index in numbers])
    problems = [_first_fault([(before[i] or 0.0, exposure[i] or 0.0) for i in order]) for order in candidates]
    if all(problems):
        rule, text = problems[0] or ("", "")
        yield finding(rule, entity.key, text)


def _first_fault(doses: list[tuple[float, float]]) -> tuple[str, str] | None:
    for place, ((one, _), (two, _)) in enumerate(pairwise(doses)):
        if two < one - _DOSE:
            text = f"accumulated_dose falls from {one:g} to {two:g} e⁻/Å² between exposures {place} and {place + 1}"
            return "V708", f"{text} in the order of acquisition"
    total = doses[0][0]
    for place, (accumulated, exposure) in enumerate(doses):
        if abs(accumulated - total) > _DOSE * (1 + total / 10):
            text = (
                f"exposure {place} has an accumulated_dose of {accumulated:g} e⁻/Å²; those before add up to {total:g}"
            )
            return "V709", text
        total += exposure
    return None


# --- files


def _pairs(mdoc: tuple[str, Mdoc], names: list[str], stacks: Mapping[str, Stack]) -> Iterator[Finding]:
    key, sections = mdoc[0], mdoc[1].exposures
    unnamed = [section.index for section in sections if section.frame_name is None]
    if unnamed:
        yield finding(
            "V703", key, f"the sections {several(unnamed)} have no SubFramePath; {len(names)} files are there"
        )
    by_name: dict[str, list[MdocSection]] = {}
    for section in sections:
        if section.frame_name:
            by_name.setdefault(section.frame_name, []).append(section)
    repeated = sorted(name for name, owners in by_name.items() if len(owners) > 1)
    if repeated:
        yield finding("V705", key, f"several sections name {several(repeated)}")
    files = {name.rpartition("/")[2]: name for name in names}
    strangers = sorted(set(files) - set(by_name))
    if strangers:
        yield finding("V705", key, f"no section names the frame file {several(strangers)}")
    missing = sorted(set(by_name) - set(files))
    if missing:
        yield finding("V705", key, f"the frame file {several(missing)} is not there")
    for name, owners in sorted(by_name.items()):
        stack = stacks.get(files.get(name, ""))
        stated = owners[0].get("NumSubFrames")
        # An EER file holds every frame of the camera; programs count them in groups.
        counts = stated is not None and stated.isdigit() and not name.lower().endswith(".eer")
        if stack and counts and int(stated or 0) != stack.images:
            yield finding("V706", files[name], f"it has {stack.images} images, NumSubFrames is {stated}")


def _file(store: Store, key: str, endings: tuple[str, ...], stacks: dict[str, Stack]) -> Iterator[Finding]:
    if not key.lower().endswith(endings):
        yield finding("V713", key, f"usual are {' '.join(endings)}")
        return
    try:
        stack = read_stack(store, key)
    except (FormatError, StorageError) as error:
        yield finding("V715", key, error.what)
        return
    if stack is not None:
        stacks[key] = stack


def _sizes(folder: str, stacks: Mapping[str, Stack]) -> Iterator[Finding]:
    sizes = Counter((stack.width, stack.height) for stack in stacks.values())
    if len(sizes) > 1:
        usual, _ = sizes.most_common(1)[0]
        others = [key.rpartition("/")[2] for key, stack in stacks.items() if (stack.width, stack.height) != usual]
        yield finding("V712", folder, f"most have {usual[0]} × {usual[1]} pixels, not so {several(others)}")


def _gains(view: View, documents: list[Entity], frames: list[Stack], any_frame: bool) -> Iterator[Finding]:
    folder = f"{view.container.key}/Gains"
    names = list(view.files(folder))
    uncorrected = any(entity.content.get("is_gain_corrected") is False for entity in documents)
    if uncorrected and any_frame and not names:
        yield finding("V711", documents[0].key, "is_gain_corrected is false, and the folder Gains is empty")
    yield from gain_findings(view.store, names, frames)


def gain_findings(store: Store, names: list[str], frames: list[Stack]) -> Iterator[Finding]:
    """The findings on gain references, by themselves and against the sizes of the frames that they belong to."""
    gains: dict[str, Stack] = {}
    for key in names:
        yield from _file(store, key, _GAINS, gains)
    for key, gain in gains.items():
        if gain.images != 1:
            yield finding("V714", key, f"it holds {gain.images} images")
        sizes = {(stack.width, stack.height) for stack in frames}
        # References of some cameras are stored turned by 90°, those of super-resolution movies at half size.
        fits = {(w // f, h // f) for w, h in sizes for f in (1, 2, 4)} | {
            (w * f, h * f) for w, h in sizes for f in (2, 4)
        }
        if sizes and not fits & {(gain.width, gain.height), (gain.height, gain.width)}:
            listed = several(f"{width} × {height}" for width, height in sorted(sizes))
            yield finding("V714", key, f"it has {gain.width} × {gain.height} pixels, the frames {listed}")


def read_stack(store: Store, key: str) -> Stack | None:
    """Size and number of images of an MRC, TIFF (EER is one) or DigitalMicrograph file; None for what is compressed.

    Raises :class:`FormatError`. Only headers are read.
    """
    name = key.lower()
    if name.endswith(".mrc"):
        header = MrcHeader.parse(store.get_range(key, 0, HEADER_SIZE), key, store.stat(key).size)
        return Stack(header.nx, header.ny, header.nz)
    if name.endswith(_DIGITAL_MICROGRAPH):
        with closing(open_dm(store, key)) as volume:
            images, height, width = volume.shape
        return Stack(width, height, images)
    return _tiff(store, key) if name.endswith(_TIFFS) else None


def _tiff(store: Store, key: str) -> Stack:
    """Walk through the directories of a TIFF file (specification 6.0, and BigTIFF)."""
    head = store.get_range(key, 0, 16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 8 else 0
    if version not in (42, 43) or (version == 43 and len(head) < 16):
        raise FormatError("it does not begin as a TIFF file does", where=key)
    big = version == 43
    offset = struct.unpack(f"{order}{'Q' if big else 'I'}", head[8:16] if big else head[4:8])[0]
    count_format, count_size, entry_size = ("Q", 8, 20) if big else ("H", 2, 12)
    next_format, next_size = ("Q", 8) if big else ("I", 4)
    width = height = images = 0
    seen: set[int] = set()
    while offset and images < _MOST_PAGES:
        if offset in seen:
            raise FormatError("its directories go round in a circle", where=key)
        seen.add(offset)
        start = store.get_range(key, offset, count_size)
        entries = struct.unpack(f"{order}{count_format}", start)[0] if len(start) == count_size else 0
        if not 0 < entries <= 4096:
            raise FormatError("a directory of the TIFF file is cut off", where=key)
        data = store.get_range(key, offset + count_size, entries * entry_size + next_size)
        if len(data) < entries * entry_size + next_size:
            raise FormatError("a directory of the TIFF file is cut off", where=key)
        if not images:
            sizes = {}
            for at in range(0, entries * entry_size, entry_size):
                tag, kind = struct.unpack(f"{order}HH", data[at : at + 4])
                value = data[at + (12 if big else 8) :]
                sizes[tag] = (
                    struct.unpack(f"{order}H", value[:2])[0] if kind == 3 else struct.unpack(f"{order}I", value[:4])[0]
                )
            width, height = sizes.get(_WIDTH, 0), sizes.get(_HEIGHT, 0)
        images += 1
        offset = struct.unpack(f"{order}{next_format}", data[-next_size:])[0]
    return Stack(width, height, images)
