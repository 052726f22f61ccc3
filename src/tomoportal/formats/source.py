"""The volume as it will be stored: type decided, values checked, statistics known before the first byte is written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.spool import Box, Spool, boxes
from tomoportal.formats.statistics import BlockStatistics, Statistics, measure, total
from tomoportal.formats.volumes import Volume, Voxels

__all__ = ["Kind", "NanPolicy", "Source"]

Kind: TypeAlias = Literal["tomogram", "tiltseries", "semantic_mask", "instance_mask"]
NanPolicy: TypeAlias = Literal["error", "zero"]

_KEPT = ("int8", "int16", "uint16", "float32")
_WIDENED = {"uint8": "int16", "bool": "int8", "float16": "float32"}
_ROUNDED = {"int32": "float32", "uint32": "float32", "float64": "float32"}
_EXACT_IN_FLOAT32 = 2**24


@dataclass(frozen=True)
class _Measured:
    statistics: BlockStatistics | None
    not_finite: int
    first: tuple[int, int, int] | None
    labels: Voxels | None


class Source:
    """Reads a volume in the type in which it will be stored, after one look at all of it.

    ``dtype``, ``statistics``, ``nonzero`` (number of voxels that are not 0), ``labels`` (of an instance mask) and
    ``notes`` are known once the object exists. A volume that is not memory-mapped is read exactly once, into a
    temporary file without a name.
    """

    def __init__(
        self,
        volume: Volume,
        kind: Kind,
        *,
        dtype: str | None = None,
        nan: NanPolicy = "error",
        workers: int = 1,
    ) -> None:
        self._volume = volume
        self._kind: Kind = kind
        self._nan: NanPolicy = nan
        self.shape = volume.shape
        self.notes: list[str] = []
        self._spool: Spool | None = None
        self._mapped: Voxels | None = None
        self._replace = False
        self.labels: tuple[int, ...] = ()
        self.dtype = self._working_dtype(dtype)
        try:
            self._look(workers)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the temporary file. The volume itself stays open: it belongs to the caller."""
        self._mapped = None
        if self._spool is not None:
            self._spool.close()

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        """Voxels as they will be stored."""
        if self._mapped is not None:
            found = self._mapped[z0:z1, y0:y1, x0:x1]
        else:
            found = self._stored(self._volume.read(z0, z1, y0, y1, x0, x1))
        if self._replace:
            found = np.where(np.isfinite(found), found, found.dtype.type(0))
        return found.astype(self.dtype, copy=False)

    def _working_dtype(self, dtype: str | None) -> np.dtype[Any]:
        """The type for the first look: final, except that of an instance mask, which depends on the largest label."""
        name = self._volume.dtype.name
        if self._kind == "instance_mask":
            return self._label_dtype(name)
        if self._kind == "semantic_mask":
            if name not in ("int8", "uint8", "bool"):
                raise FormatError(
                    f"a semantic mask holds 0 and 1 as bytes, not {name}",
                    where=self._volume.name,
                    fix="make the mask with semantic_mask(volume, label=…) or semantic_mask(volume, threshold=…)",
                )
            return np.dtype("int8")
        if name in _ROUNDED:
            self.notes.append(f"{name} became float32")
        target = name if name in _KEPT else _WIDENED.get(name) or _ROUNDED.get(name)
        if target is None:
            raise FormatError(
                f"voxels of type {name} cannot be stored as MRC and OME-Zarr without loss",
                where=self._volume.name,
                fix="convert them to float32, int16, uint16 or int8 first",
            )
        if dtype not in (None, "float32", target):
            raise FormatError(
                f"{target} cannot be stored as {dtype}",
                where=self._volume.name,
                fix="leave dtype out, or ask for float32",
            )
        return np.dtype(dtype or target)

    def _label_dtype(self, name: str) -> np.dtype[Any]:
        dtype = np.dtype(name)
        if dtype.kind not in "biuf":
            raise FormatError(
                f"labels of type {name} are not supported",
                where=self._volume.name,
                fix="store them as uint16 or uint32",
            )
        # Labels stay in the type of the source until the largest is known, unless an offset leads out of it.
        return np.dtype("int16") if self._volume.value_offset else dtype

    def _stored(self, voxels: Voxels) -> Voxels:
        if self._kind == "instance_mask":
            return voxels.astype(self.dtype, copy=False) + offset if (offset := self._volume.value_offset) else voxels
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows float32 becomes infinite and is counted
            return voxels.astype(self.dtype, copy=False)

    # --- the first look

    def _look(self, workers: int) -> None:
        first, *others = boxes(self._volume, max(self.dtype.itemsize, self._volume.dtype.itemsize))
        voxels = self._stored(self._volume.read(*first))
        shift = self._shift(voxels)
        if not self._volume.mapped:
            self._spool = Spool(self.shape, voxels.dtype)
            self._spool.put(first, voxels)
        parts = [self._measure(first, voxels, shift)]
        del voxels
        with ThreadPoolExecutor(workers) as pool:
            parts.extend(pool.map(lambda box: self._measure(box, self._fetch(box), shift), others))
        self._judge(parts)
        if self._spool is not None:
            self._mapped = self._spool.voxels

    def _fetch(self, box: Box) -> Voxels:
        voxels = self._stored(self._volume.read(*box))
        if self._spool is not None:
            self._spool.put(box, voxels)
        return voxels

    def _shift(self, voxels: Voxels) -> float:
        first = voxels.reshape(-1)[0]
        return float(first) if np.isfinite(first) else 0.0

    def _measure(self, box: Box, voxels: Voxels, shift: float) -> _Measured:
        not_finite, first = 0, None
        if voxels.dtype.kind == "f" and not (np.isfinite(voxels.min()) and np.isfinite(voxels.max())):
            wrong = ~np.isfinite(voxels)
            not_finite = int(np.count_nonzero(wrong))
            z, y, x = np.unravel_index(int(np.argmax(wrong)), voxels.shape)
            first = (int(z) + box[0], int(y) + box[2], int(x) + box[4])
            if self._nan == "error":
                return _Measured(None, not_finite, first, None)
            voxels = np.where(wrong, voxels.dtype.type(0), voxels)
        is_mask = self._kind in ("semantic_mask", "instance_mask")
        labels = _labels(voxels) if self._kind == "instance_mask" else None
        return _Measured(measure(voxels, shift, count_nonzero=is_mask), not_finite, first, labels)

    def _judge(self, parts: list[_Measured]) -> None:
        name = self._volume.name
        not_finite = sum(part.not_finite for part in parts)
        if not_finite:
            first = next(part.first for part in parts if part.first)
            if self._nan == "error":
                raise FormatError(
                    f"{not_finite} of {np.prod(self.shape, dtype=object)} voxels are NaN or infinite,"
                    f" the first at z, y, x = {', '.join(map(str, first))}",
                    where=name,
                    fix="replace them in the source file, for instance by 0 or by the mean of the others",
                )
            self._replace = True
            self.notes.append(f"{not_finite} voxels that were NaN or infinite became 0")
        measured = [part.statistics for part in parts if part.statistics is not None]
        self.statistics: Statistics = total(measured)
        self.nonzero = sum(part.nonzero for part in measured)
        low, high = self.statistics.min, self.statistics.max
        if self._kind == "semantic_mask" and (low < 0 or high > 1):
            raise FormatError(
                f"a semantic mask holds 0 and 1 only; this one reaches from {low:g} to {high:g}",
                where=name,
                fix="make the mask with semantic_mask(volume, label=…)",
            )
        if self._kind == "instance_mask":
            self._judge_labels([part.labels for part in parts if part.labels is not None])
        elif self._volume.dtype.name in ("int32", "uint32") and max(-low, high) >= _EXACT_IN_FLOAT32:
            self.notes.append(f"values above {_EXACT_IN_FLOAT32} are rounded to float32")

    def _judge_labels(self, found: list[Voxels]) -> None:
        labels = np.unique(np.concatenate(found))
        if labels.dtype.kind == "f":
            exact = 2 ** (np.finfo(labels.dtype).nmant + 1)
            if np.any(labels != np.rint(labels)) or labels[-1] > exact:
                raise FormatError(
                    "labels are whole numbers; this volume holds fractions or values that its type cannot hold exactly",
                    where=self._volume.name,
                    fix="store the labels as uint16 or uint32",
                )
            labels = np.unique(labels.astype(np.int64))  # 0.0 and -0.0 are one label
        if labels[0] < 0 or labels[-1] > np.iinfo(np.uint32).max:
            raise FormatError(
                f"labels reach from {labels[0]} to {labels[-1]}; allowed are 0 to {np.iinfo(np.uint32).max}",
                where=self._volume.name,
                fix="renumber the labels",
            )
        self.labels = tuple(int(label) for label in labels if label)
        self.dtype = np.min_scalar_type(int(labels[-1]))


def _labels(voxels: Voxels) -> Voxels:
    """The values that occur. Objects are runs of equal voxels, so that few voxels need be sorted."""
    flat = voxels.reshape(-1)
    starts = np.flatnonzero(flat[1:] != flat[:-1])
    return np.unique(np.concatenate([flat[:1], flat[1:][starts]]))
