"""Filaments: traced centrelines of one object by one user or tool in one session (reference copick-model, 16).

``points`` are the centreline that readers use; the curve behind them is for editors (:mod:`.filament_curves`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from tomoportal.copick.documents import RunDocument
from tomoportal.copick.filament_curves import CURVE_KINDS
from tomoportal.copick.filament_documents import CopickFilament, CopickFilamentCurve, CopickFilamentsFile, line_of
from tomoportal.copick.logs import get_logger
from tomoportal.copick.names import DocumentName
from tomoportal.copick.pick_input import angstrom_per
from tomoportal.copick.sources import Source
from tomoportal.errors import AnnotationError, FormatError, UnknownNameError

if TYPE_CHECKING:
    from tomoportal.copick.runs import CopickRun

__all__ = ["CopickFilaments"]


class CopickFilaments(RunDocument):
    """Filaments in Å, x, y, z from the corner of the volume."""

    FOLDER = "Filaments"
    ENDING = ".json"
    WHAT = "filaments"
    LOOSE_OBJECT = True

    def __init__(
        self,
        run: CopickRun,
        file: CopickFilamentsFile,
        read_only: bool = False,
        *,
        source: Source | None = None,
        etag: str | None = None,
    ) -> None:
        self._place(
            run, DocumentName(file.user_id, file.session_id, file.pickable_object_name), read_only, source, etag
        )
        self.meta = file
        self._loaded = bool(file.filaments)

    @property
    def filaments(self) -> list[CopickFilament]:
        """The filaments; assigning validates the whole document. Saved by :meth:`store`."""
        if not self._loaded:
            self.load()
        return self.meta.filaments

    @filaments.setter
    def filaments(self, value: Iterable[CopickFilament]) -> None:
        if not self._loaded and self._etag is not None:
            seen = self._etag
            self.load()
            self._etag = seen
        self.meta = CopickFilamentsFile.model_validate(
            {**self.meta.model_dump(exclude={"filaments"}), "filaments": [each.model_dump() for each in value]}
        )
        self._loaded = True

    @property
    def voxel_spacing(self) -> float | None:
        """Of the data that were traced, in Å."""
        if not self._loaded:
            self.load()
        return self.meta.voxel_spacing

    def get(self, instance_id: int) -> CopickFilament | None:
        return next((each for each in self.filaments if each.instance_id == instance_id), None)

    def instance_ids(self) -> NDArray[np.int64]:
        """``(k,)``, one per filament."""
        return np.array([each.instance_id for each in self.filaments], np.int64)

    def numpy(self) -> list[NDArray[np.float64]]:
        """One ``(m, 3)`` array of points in Å per filament."""
        return [each.numpy() for each in self.filaments]

    def from_numpy(
        self,
        polylines: Sequence[NDArray[Any]],
        instance_ids: Sequence[int] | None = None,
        polarity_known: Sequence[bool] | None = None,
        scores: Sequence[float] | None = None,
        radii: Sequence[float | None] | None = None,
        voxel_spacing: float | None = None,
        metadata: Sequence[dict[str, Any]] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        """Replace all filaments by these ``(m, 3)`` lines in Å and store them; ids are 1, 2, … unless given."""
        self._replace(
            [{"points": np.asarray(line).tolist()} for line in polylines],
            (instance_ids, polarity_known, scores, radii, metadata),
            voxel_spacing,
            overwrite=overwrite,
        )

    def from_curves(
        self,
        curves: Sequence[CopickFilamentCurve],
        instance_ids: Sequence[int] | None = None,
        polarity_known: Sequence[bool] | None = None,
        scores: Sequence[float] | None = None,
        radii: Sequence[float | None] | None = None,
        voxel_spacing: float | None = None,
        metadata: Sequence[dict[str, Any]] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        """Replace all filaments by the points of these curves and store them."""
        checked = [CopickFilamentCurve.model_validate(curve) for curve in curves]
        self._replace(
            [{"points": line_of(curve.evaluate()), "curve": curve} for curve in checked],
            (instance_ids, polarity_known, scores, radii, metadata),
            voxel_spacing,
            overwrite=overwrite,
        )

    def from_control_points(
        self,
        control_points: Sequence[NDArray[Any]],
        instance_ids: Sequence[int] | None = None,
        step: float | None = None,
        kind: str = "catmull-rom",
        alpha: float = 0.5,
        polarity_known: Sequence[bool] | None = None,
        scores: Sequence[float] | None = None,
        radii: Sequence[float | None] | None = None,
        voxel_spacing: float | None = None,
        metadata: Sequence[dict[str, Any]] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        """Replace all filaments by curves through these control points, each ``(n, 3)`` in Å, and store them.

        Points are at most ``step`` Å apart, by default the voxel spacing, which has to be known then.
        """
        distance = step or voxel_spacing or self.meta.voxel_spacing
        if distance is None:
            raise AnnotationError("The step between points is unknown.", fix="give step or voxel_spacing in Å")
        shape: dict[str, Any] = {"alpha": alpha} if kind == "catmull-rom" else {}
        curves = [
            CopickFilamentCurve(kind=kind, control_points=line_of(each), step=distance, **shape)
            for each in control_points
        ]
        self.from_curves(
            curves, instance_ids, polarity_known, scores, radii, voxel_spacing, metadata, overwrite=overwrite
        )

    def _replace(
        self,
        lines: list[dict[str, Any]],
        columns: tuple[Sequence[Any] | None, ...],
        voxel_spacing: float | None,
        *,
        overwrite: bool,
    ) -> None:
        """``columns`` as in :meth:`from_numpy`, one value per line."""
        names = ("instance_id", "polarity_known", "score", "radius", "metadata")
        given = {name: column for name, column in zip(names, columns, strict=True) if column is not None}
        given.setdefault("instance_id", range(1, len(lines) + 1))
        for name, column in given.items():
            if len(column) != len(lines):
                raise AnnotationError(f"There are {len(lines)} filaments, but {len(column)} values of {name}.")
        self.filaments = [
            CopickFilament(**line, **{name: column[n] for name, column in given.items()})
            for n, line in enumerate(lines)
        ]
        if voxel_spacing is not None:
            self.meta.voxel_spacing = voxel_spacing
        self.store(overwrite=overwrite)

    def control_points(self) -> list[NDArray[np.float64] | None]:
        """One ``(n, 3)`` array in Å per filament; None where it has no curve that its points were made from."""
        return [
            np.asarray(each.curve.control_points, dtype=float)
            if each.curve is not None and each.curve_is_current()
            else None
            for each in self.filaments
        ]

    def editable_curve(
        self, instance_id: int, tolerance: float | None = None, kinds: Iterable[str] = CURVE_KINDS
    ) -> CopickFilamentCurve:
        """The curve of one filament for an editor; the step is the voxel spacing. Raises :class:`UnknownNameError`."""
        found = self.get(instance_id)
        if found is None:
            known = ", ".join(map(str, self.instance_ids().tolist())) or "none"
            raise UnknownNameError(f"There is no filament {instance_id}.", where=self.path, fix=f"there are: {known}")
        return found.editable_curve(tolerance, self.voxel_spacing, kinds)

    def _empty(self) -> bytes:
        """The content of new filaments, which this object then holds."""
        self._loaded = True
        return json.dumps(self.meta.model_dump(), indent=4).encode()

    def _decoded(self, data: bytes) -> CopickFilamentsFile:
        try:
            found = json.loads(data)
            names = {
                "pickable_object_name": self.pickable_object_name,
                "user_id": self.user_id,
                "session_id": self.session_id,
            }
            file = CopickFilamentsFile.model_validate({**found, **names})
        except (ValueError, TypeError, RecursionError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise FormatError(f"these are no filaments: {what}", where=self.path, fix="restore a version") from error
        if angstrom_per(file.unit) != 1.0:
            fix = "convert points, radii and curves to Å and set unit to angstrom"
            raise FormatError(f"the unit of the filaments is {file.unit!r}", where=self.path, fix=fix)
        return file

    def _hold(self, content: CopickFilamentsFile) -> CopickFilamentsFile:
        self.meta, self._loaded = content, True
        return content

    def store(self, *, overwrite: bool = False) -> None:
        """Save; as :meth:`CopickPicks.store <tomoportal.copick.picks.CopickPicks.store>`, without merging.

        A curve that the points were not made from is left out, with a warning: the points count.
        """
        self._source.refuse_if_read_only("store filaments")
        if not self._loaded:
            return
        stale = [
            each for each in self.meta.filaments if each.curve and each.curve.is_known and not each.curve_is_current()
        ]
        if stale:
            ids = ", ".join(str(each.instance_id) for each in stale)
            get_logger("tomoportal.copick").warning(
                "%s: the curves of the filaments %s are dropped, for their points were changed since", self.path, ids
            )
        for each in stale:
            each.curve = None
        checked = CopickFilamentsFile.model_validate(self.meta.model_dump())
        self._write(json.dumps(checked.model_dump(), indent=4).encode(), overwrite=overwrite)
