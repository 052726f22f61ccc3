"""The sources of one run, against each other and against the config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.archive import Finding
from tomoportal.archive.findings import finding, several
from tomoportal.archive.verification.acquisition import angle_findings, mdoc_findings, parse_angles, parse_mdoc
from tomoportal.archive.verification.alignments import (
    affine_findings,
    aligned_angle_findings,
    matrix_findings,
    parse_alignment_file,
)
from tomoportal.archive.verification.frames import Stack, frame_findings, gain_findings
from tomoportal.archive.verification.tiltseries import axis_findings, pixel_findings, range_findings, value_findings
from tomoportal.archive.verification.tomograms import field_findings
from tomoportal.archive.verification.volumes import spacing_findings
from tomoportal.archive.verification.voxels import value_findings as voxel_findings
from tomoportal.errors import FormatError, StorageError
from tomoportal.formats.ctf import read_ctf
from tomoportal.formats.keyphotos import open_picture
from tomoportal.formats.mdoc import Mdoc
from tomoportal.formats.opening import open_volume
from tomoportal.formats.volumes import ISOTROPY_TOLERANCE, Volume
from tomoportal.ingest.bench import Bench
from tomoportal.ingest.checks.annotations import annotation_findings
from tomoportal.ingest.checks.objects import ObjectTables
from tomoportal.ingest.plan import Item
from tomoportal.storage import Store

__all__ = ["RunCheck"]

_SPACING = 0.001  # Å
_Shape = tuple[int, int, int]


class RunCheck:
    """The sources of one run. What one check reads and another needs too is kept here."""

    def __init__(self, store: Store, bench: Bench, items: list[Item], tables: ObjectTables, voxels: bool) -> None:
        self.store, self.bench, self.items, self.tables, self.voxels = store, bench, items, tables, voxels
        self.found: list[Finding] = []
        self.mdoc: tuple[str, Mdoc] | None = None
        self.frames: list[Stack] = []
        self.angles: NDArray[np.float64] | None = None
        self.stack: _Shape | None = None
        self.pixel: float | None = None
        self.shapes: dict[str, _Shape] = {}
        """Shapes of the tomograms by the key of the MRC file that they become."""

    def check(self) -> list[Finding]:
        """The order matters: what comes later is compared with what came before."""
        topics: dict[str, Callable[[Item], None]] = {
            "collection_metadata": self._collection,
            "frames": self._frames,
            "tiltseries_volume": self._stack,
            "tiltseries": self._tilt_series,
            "ctf": self._ctf,
            "alignment": self._alignment,
            "tomogram_volume": self._tomogram,
            "annotation": self._annotation,
            "key_photos": self._pictures,
            "identified_objects": self._objects,
        }
        for kind, look in topics.items():
            for item in self.items:
                if item.kind == kind and item.action != "reference":
                    look(item)
        self._gains()
        return self.found

    def _read(self, key: str) -> bytes | None:
        try:
            return self.store.get(key)
        except StorageError as error:
            self.found.append(finding("V905", key, error.what))
            return None

    # --- acquisition

    def _collection(self, item: Item) -> None:
        key = item.sources[0]
        data = self._read(key)
        mdoc = None if data is None else parse_mdoc(data, key, self.found)
        if mdoc:
            self.mdoc = (key, mdoc)
            self.found += mdoc_findings(mdoc, key)

    def _frames(self, item: Item) -> None:
        if item.sources:
            folder = item.sources[0].rpartition("/")[0]
            stacks = frame_findings(self.store, list(item.sources), folder, self.mdoc, self.found)
            self.frames += stacks.values()

    def _gains(self) -> None:
        gains = [item.sources[0] for item in self.items if item.kind == "gain"]
        self.found += gain_findings(self.store, gains, self.frames)
        raw = [item for item in self.items if item.kind == "frames" and item.sources]
        if raw and not gains and raw[0].settings["metadata"].get("is_gain_corrected") is False:
            text = "is_gain_corrected is false, and the config names no gain reference"
            self.found.append(finding("V711", f"{raw[0].config_path}.metadata of {raw[0].run}", text))

    def _stack(self, item: Item) -> None:
        self.pixel = item.settings["voxel_spacing"]
        self.stack = self._volume(item, in_plane=True)

    def _tilt_series(self, item: Item) -> None:
        metadata: Mapping[str, Any] = item.settings["metadata"]
        where = item.sources[0] if item.sources else item.title
        mdoc = self.mdoc[1] if self.mdoc else None
        if item.settings.get("raw_tilts"):
            key = item.settings["raw_tilts"]
            data = self._read(key)
            self.angles = None if data is None else parse_angles(data, key, self.found)
            if self.angles is not None:
                self.found += angle_findings(self.angles, key, mdoc)
                if self.stack and len(self.angles) != self.stack[0]:
                    text = f"{len(self.angles)} raw tilt angles, {self.stack[0]} sections in {item.title}"
                    self.found.append(finding("V909", key, text))
        place = f"{item.config_path}.metadata of {item.run}"
        self.found += value_findings(metadata, place)
        self.found += range_findings(metadata, place, self.angles, mdoc)
        if mdoc:
            self.found += axis_findings(metadata, place, mdoc)
            self.found += pixel_findings(metadata, place, mdoc, self.stack)
            if self.stack and self.stack[0] > len(mdoc.exposures):
                text = f"{self.stack[0]} sections in {item.title}, {len(mdoc.exposures)} in {mdoc.name}"
                self.found.append(finding("V726", where, text))

    def _ctf(self, item: Item) -> None:
        key = item.sources[0]
        data = self._read(key)
        if data is None:
            return
        try:
            table = read_ctf(data, key, format=str(item.settings["format"]))
        except FormatError as error:
            self.found.append(finding("V745", key, f"{error.where or key}: {error.what}"))
            return
        beyond = [row.section for row in table.sections if self.stack and row.section > self.stack[0]]
        if beyond and self.stack:
            self.found.append(finding("V746", key, f"section {several(beyond)} does not exist; {self.stack[0]} do"))

    # --- alignment and tomograms

    def _alignment(self, item: Item) -> None:
        place = f"{item.config_path}.metadata of {item.run}" if item.config_path else item.label
        self.found += affine_findings(item.settings["metadata"].get("affine_transformation_matrix"), place)
        counts: dict[str, int] = {}
        for key in item.sources:
            data = self._read(key)
            parsed = None if data is None else parse_alignment_file(data, key, self.found)
            if parsed is None:
                continue
            ending = key[key.rfind(".") :].lower()
            if ending == ".aln":
                counts[key] = parsed.raw_size[2]
                continue
            counts[key] = len(parsed)
            if ending == ".xf":
                # Stored are the transposed matrices; whether they are rotations is the same question.
                self.found += matrix_findings(parsed[:, :4].reshape(-1, 2, 2), list(range(len(parsed))), key)
            elif ending == ".tlt" and self.angles is not None and len(parsed) == len(self.angles):
                self.found += aligned_angle_findings(parsed.tolist(), self.angles.tolist(), key)
        if len({*counts.values(), *([self.stack[0]] if self.stack else [])}) > 1:
            text = "; ".join(f"{key}: {rows} rows" for key, rows in counts.items())
            self.found.append(finding("V752", item.sources[0], f"{text}; the stack has {self._sections()} sections"))

    def _sections(self) -> str:
        return str(self.stack[0]) if self.stack else "an unknown number of"

    def _tomogram(self, item: Item) -> None:
        spacing = float(item.settings["voxel_spacing"])
        self.found += spacing_findings(item.title, spacing)
        shape = self._volume(item, in_plane=False)
        if shape is None:
            return
        self.shapes[str(item.settings["mrc"])] = shape
        if self.stack and self.pixel:
            self.found += field_findings(item.title, shape, spacing, self.stack, self.pixel)

    def _volume(self, item: Item, *, in_plane: bool) -> _Shape | None:
        """Header (and voxels) of a volume; its shape (z, y, x)."""
        key, spacing = item.sources[0].rstrip("/"), float(item.settings["voxel_spacing"])
        try:
            with closing(open_volume(self.store, key)) as volume:
                self.found += _header(volume, key, spacing, in_plane)
                if self.voxels:
                    self.found += voxel_findings(volume, key)
                return volume.shape
        except (FormatError, StorageError) as error:
            self.found.append(finding("V905", key, error.what, error.fix))
            return None

    # --- annotations, pictures, tables

    def _annotation(self, item: Item) -> None:
        self.found += annotation_findings(item, self.shapes.get(str(item.settings.get("mrc"))), self.bench, self.voxels)

    def _pictures(self, item: Item) -> None:
        for key in dict.fromkeys(item.settings.get("given", {}).values()):
            data = self._read(key)
            try:
                if data is not None:
                    open_picture(data, key)
            except FormatError as error:
                self.found.append(finding("V905", key, error.what, error.fix))

    def _objects(self, item: Item) -> None:
        self.found += self.tables.check(item.sources[0], str(item.settings["run_name"]))


def _header(volume: Volume, key: str, spacing: float, in_plane: bool) -> Iterator[Finding]:
    sizes = volume.voxel_size[:2] if in_plane else volume.voxel_size
    text = " × ".join(f"{size:g}" for size in sizes)
    if any(size <= 0 for size in sizes):
        yield finding("V908", key, f"the header says {text} Å; the config says {spacing:g} Å")
    elif max(sizes) > min(sizes) * (1 + ISOTROPY_TOLERANCE):
        yield finding("V907", key, f"the header says {text} Å (x × y × z)")
    elif abs(sizes[1] - spacing) > _SPACING:
        ratio = spacing / sizes[1]
        yield finding("V906", key, f"the header says {sizes[1]:.4f} Å, the config {spacing:g} Å ({ratio:.4f} times)")
