"""What a document of filaments holds: lines, the curves behind them, and the rules that both keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, field_validator, model_serializer, model_validator

from tomoportal.copick.filament_curves import (
    CURVE_KINDS,
    check_curve,
    control_points_from_polyline,
    curve_anchors,
    curve_is_current,
    evaluate_curve,
    median_spacing,
    reverse_knots,
)
from tomoportal.copick.lazy_models import LazyModel
from tomoportal.errors import AnnotationError

__all__ = ["CopickFilament", "CopickFilamentCurve", "CopickFilamentsFile", "line_of"]

_NEWEST: Final = 1

_Place = tuple[float, float, float]


class CopickFilamentCurve(LazyModel):
    """The editable or fitted curve behind a filament's points; lengths in Å. Unknown kinds and keys are kept."""

    model_config = ConfigDict(extra="allow")

    kind: str = Field(min_length=1)
    control_points: list[_Place]
    step: float = Field(gt=0)
    alpha: float | None = None
    degree: int | None = None
    knots: list[float] | None = None
    smoothing: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _can_be_evaluated(self) -> CopickFilamentCurve:
        if self.kind == "catmull-rom" and self.alpha is None:
            self.alpha = 0.5
        if self.is_known:
            check_curve(self.kind, self.control_points, self.step, self.alpha, self.degree, self.knots)
        return self

    @model_serializer(mode="wrap")
    def _without_unset(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}

    @classmethod
    def from_tck(
        cls, tck: Sequence[Any], step: float, smoothing: float | None = None, scale: float = 1.0
    ) -> CopickFilamentCurve:
        """The spline ``(knots, coefficients of x, y, z, degree)`` of SciPy's ``splprep``, times ``scale``."""
        knots, coefficients, degree = tck
        columns = np.asarray([np.asarray(each, dtype=float) for each in coefficients])
        if columns.ndim != 2 or len(columns) != 3:
            raise AnnotationError("tck must hold three arrays of coefficients, for x, y and z.")
        points = columns[:, : len(knots) - int(degree) - 1].T * float(scale)
        return cls(
            kind="bspline",
            control_points=line_of(points),
            step=step,
            degree=int(degree),
            knots=[float(each) for each in knots],
            smoothing=smoothing,
        )

    @property
    def is_known(self) -> bool:
        """Whether curves of this kind can be evaluated."""
        return self.kind in CURVE_KINDS

    @property
    def passes_through_control_points(self) -> bool:
        return self.kind in ("catmull-rom", "linear")

    def evaluate(self) -> NDArray[np.float64]:
        """The points ``(n, 3)`` in Å of the curve. Raises :class:`AnnotationError` for an unknown kind."""
        return evaluate_curve(self.control_points, self.step, self.kind, self.alpha, self.degree, self.knots)

    def anchors(self) -> NDArray[np.float64]:
        """Places ``(n, 3)`` in Å that every point list of this curve holds."""
        return curve_anchors(self.control_points, self.kind, self.degree, self.knots)

    def is_current_for(self, points: Any) -> bool:
        """Whether the points were made from this curve."""
        return curve_is_current(points, self.control_points, self.step, self.kind, self.degree, self.knots)

    def reversed(self) -> CopickFilamentCurve:
        """The curve in the other direction."""
        knots = {} if self.knots is None else {"knots": reverse_knots(self.knots).tolist()}
        return CopickFilamentCurve.model_validate(
            {**self.model_dump(), "control_points": self.control_points[::-1], **knots}
        )


class CopickFilament(LazyModel):
    """One filament: its id from 1 and at least two ordered points in Å, x, y, z."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)

    instance_id: int = Field(ge=1)
    points: list[_Place]
    polarity_known: bool = False
    score: float = 1.0
    radius: float | None = Field(default=None, gt=0)
    metadata: dict[str, Any] = Field(default_factory=dict)
    curve: CopickFilamentCurve | None = None

    @field_validator("points", mode="before")
    @classmethod
    def _points_are_a_line(cls, value: Any) -> Any:
        points = np.asarray(value, dtype=float)
        if points.ndim != 2 or points.shape[1] != 3 or len(points) < 2:
            raise ValueError("A filament needs at least two points.")
        if not np.isfinite(points).all():
            raise ValueError("Filament points must be finite.")
        return points.tolist()

    @field_validator("metadata", mode="before")
    @classmethod
    def _no_metadata_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value

    @classmethod
    def from_curve(cls, instance_id: int, curve: CopickFilamentCurve, **fields: Any) -> CopickFilament:
        """The filament whose points the curve gives."""
        checked = CopickFilamentCurve.model_validate(curve)
        return cls(instance_id=instance_id, points=line_of(checked.evaluate()), curve=checked, **fields)

    @classmethod
    def from_control_points(
        cls,
        instance_id: int,
        control_points: Any,
        step: float,
        kind: str = "catmull-rom",
        alpha: float = 0.5,
        **fields: Any,
    ) -> CopickFilament:
        """The filament through control points ``(n, 3)`` in Å, with points at most ``step`` Å apart."""
        if kind not in ("catmull-rom", "linear"):
            raise AnnotationError(f"Control points make catmull-rom or linear curves, not {kind!r}; use from_curve.")
        curve = CopickFilamentCurve(
            kind=kind,
            control_points=line_of(control_points),
            step=step,
            alpha=alpha if kind == "catmull-rom" else None,
        )
        return cls.from_curve(instance_id, curve, **fields)

    def numpy(self) -> NDArray[np.float64]:
        """``(m, 3)`` points in Å, x, y, z."""
        return np.array(self.points, dtype=float)

    def curve_is_current(self) -> bool:
        """Whether there is a curve that can be evaluated, and the points are its points."""
        return self.curve is not None and self.curve.is_current_for(self.points)

    def _step(self) -> float:
        spacing = median_spacing(self.points)
        if spacing <= 0:
            raise AnnotationError("The points coincide, so that no step follows from them.", fix="give the step in Å")
        return spacing

    def with_control_points(self, control_points: Any, step: float | None = None) -> CopickFilament:
        """The filament after its control points ``(n, 3)`` were edited; a B-spline keeps its degree and knots."""
        control = line_of(control_points)
        if self.curve is not None and self.curve_is_current():
            if self.curve.kind == "bspline" and len(control) != len(self.curve.control_points):
                raise AnnotationError(
                    f"A bspline keeps its knots, so it needs {len(self.curve.control_points)} control points,"
                    f" not {len(control)}.",
                    fix="take editable_curve(kinds=('catmull-rom',)) first",
                )
            known = {**self.curve.model_dump(), "step": step or self.curve.step}
        else:
            known = {"kind": "catmull-rom", "alpha": 0.5, "step": step or self._step()}
        curve = CopickFilamentCurve.model_validate({**known, "control_points": control})
        rest = self.model_dump(exclude={"instance_id", "points", "curve"})
        return CopickFilament.from_curve(self.instance_id, curve, **rest)

    def editable_curve(
        self, tolerance: float | None = None, step: float | None = None, kinds: Iterable[str] = CURVE_KINDS
    ) -> CopickFilamentCurve:
        """The curve, if it is current and of these kinds; else a Catmull-Rom curve that fits within ``tolerance`` Å.

        The tolerance is half the step unless given, the step the median spacing of the points.
        """
        if self.curve is not None and self.curve.kind in tuple(kinds) and self.curve_is_current():
            return self.curve
        step = step or self._step()
        control = control_points_from_polyline(self.points, tolerance or step / 2)
        return CopickFilamentCurve(kind="catmull-rom", alpha=0.5, control_points=line_of(control), step=step)

    def editable_control_points(
        self, tolerance: float | None = None, step: float | None = None, kinds: Iterable[str] = CURVE_KINDS
    ) -> NDArray[np.float64]:
        """The control points ``(n, 3)`` in Å of :meth:`editable_curve`."""
        return np.asarray(self.editable_curve(tolerance, step, kinds).control_points, dtype=float)

    def reversed(self) -> CopickFilament:
        """The same filament in the other direction, its curve too."""
        curve = self.curve.reversed() if self.curve is not None else None
        return CopickFilament.model_validate(
            {**self.model_dump(exclude={"curve"}), "points": self.points[::-1], "curve": curve}
        )


def line_of(points: Any) -> list[_Place]:
    """Points ``(n, 3)`` as documents hold them."""
    return [(float(x), float(y), float(z)) for x, y, z in np.asarray(points, dtype=float).reshape(-1, 3)]


class CopickFilamentsFile(LazyModel):
    """A document of filaments. Unknown keys are kept; a newer version of the format is refused."""

    model_config = ConfigDict(extra="allow")

    pickable_object_name: str
    user_id: str
    session_id: str
    run_name: str | None = None
    voxel_spacing: float | None = None
    unit: str = "angstrom"
    version: int = 1
    filaments: list[CopickFilament] = Field(default_factory=list)

    @model_validator(mode="after")
    def _is_consistent(self) -> CopickFilamentsFile:
        if self.version > _NEWEST:
            raise ValueError(
                f"Version {self.version} of the format is newer than {_NEWEST}; install a newer tomoportal."
            )
        ids = [filament.instance_id for filament in self.filaments]
        if len(set(ids)) != len(ids):
            raise ValueError("Filament instance IDs must be unique within a file.")
        return self
