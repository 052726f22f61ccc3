"""Curves behind filaments: from control points to evenly spaced points, and back (reference copick-model, 17).

Points and control points are ``(n, 3)`` in Å, x, y, z. A curve is cut at its anchors, its control points or, for a
B-spline, its places at the knots; each piece is divided into equal lengths of at most ``step``. So every anchor is one
of the points, and points that do not hold all anchors belong to another curve.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomoportal.errors import AnnotationError

__all__ = [
    "CURRENT_FRACTION",
    "CURVE_KINDS",
    "MAX_DEGREE",
    "MIN_POINT_DISTANCE",
    "MIN_SAMPLES",
    "SAMPLES_PER_STEP",
    "check_curve",
    "control_points_from_polyline",
    "curve_anchors",
    "curve_is_current",
    "distances_to_polyline",
    "evaluate_curve",
    "median_spacing",
    "reverse_knots",
]

Floats = NDArray[np.float64]

CURVE_KINDS: Final = ("catmull-rom", "linear", "bspline")
MIN_SAMPLES: Final = 16
"""Samples of a piece before its length is measured, at least."""
SAMPLES_PER_STEP: Final = 16
MIN_POINT_DISTANCE: Final = 1e-6
"""Å; control points that are closer are the same point."""
CURRENT_FRACTION: Final = 0.01
"""Part of the step by which an anchor may lie beside the points."""
MAX_DEGREE: Final = 5
_BLOCK: Final = 500_000  # pairs of point and line segment that are compared at a time


def _places(points: ArrayLike) -> Floats:
    return np.asarray(points, dtype=float).reshape(-1, 3)


def check_curve(
    kind: str,
    control_points: ArrayLike,
    step: float,
    alpha: float | None = None,
    degree: int | None = None,
    knots: Sequence[float] | None = None,
) -> None:
    """Raise :class:`AnnotationError` for a curve that has no points: an unknown kind, or one that breaks a rule."""
    if kind not in CURVE_KINDS:
        raise AnnotationError(f"Unknown curve kind {kind!r}.", fix=f"known kinds are {', '.join(CURVE_KINDS)}")
    points = _places(control_points)
    if not np.isfinite(points).all():
        raise AnnotationError("Curve control points must be finite.", fix="remove the ones that are not")
    if not (math.isfinite(step) and step > 0):
        raise AnnotationError(f"The step of a curve must be a positive length in Å, not {step}.")
    if kind == "bspline":
        _check_bspline(len(points), degree, knots)
        return
    if len(points) < 2:
        raise AnnotationError(f"A {kind} curve needs at least two control points.", where=f"{len(points)} given")
    close = np.flatnonzero(np.linalg.norm(np.diff(points, axis=0), axis=1) <= MIN_POINT_DISTANCE)
    if len(close):
        raise AnnotationError(f"Control points {close[0]} and {close[0] + 1} coincide.", fix="remove one of them")
    if kind == "catmull-rom" and alpha is not None and not 0 <= alpha <= 1:
        raise AnnotationError(f"The alpha of a Catmull-Rom curve must be between 0 and 1, not {alpha}.")


def _check_bspline(count: int, degree: int | None, knots: Sequence[float] | None) -> None:
    if degree is None or knots is None:
        raise AnnotationError("A bspline curve needs a degree and knots.")
    if isinstance(degree, bool) or int(degree) != degree or not 1 <= degree <= MAX_DEGREE:
        raise AnnotationError(f"The degree of a B-spline must be an integer from 1 to {MAX_DEGREE}, not {degree}.")
    if count < degree + 1:
        raise AnnotationError(f"A B-spline of degree {degree} needs at least {degree + 1} control points, not {count}.")
    u = np.asarray(knots, dtype=float)
    if u.ndim != 1 or len(u) != count + degree + 1:
        raise AnnotationError(
            f"A B-spline of degree {degree} with {count} control points needs {count + degree + 1} knots, not {u.size}."
        )
    if not np.isfinite(u).all():
        raise AnnotationError("B-spline knots must be finite.")
    if (np.diff(u) < 0).any():
        raise AnnotationError("B-spline knots must be non-decreasing.")
    values, counts = np.unique(u, return_counts=True)
    if len(values) < 2 or counts[0] != degree + 1 or counts[-1] != degree + 1:
        raise AnnotationError(
            f"B-spline knots must be clamped: the end knots must repeat exactly {degree + 1} times.",
            fix="repeat the first and the last knot",
        )
    if (counts[1:-1] > degree).any():
        raise AnnotationError(f"Interior B-spline knots may repeat at most {degree} times.")


# --- evaluation


def _bspline(points: Floats, knots: Floats, degree: int, places: Floats) -> Floats:
    """The spline at parameters ``(m,)``: control points weighted by their basis functions (Cox–de Boor)."""
    inside = np.minimum(places, np.nextafter(knots[-1], knots[0]))[:, None]
    basis = ((knots[:-1] <= inside) & (inside < knots[1:])).astype(float)
    for order in range(1, degree + 1):
        width = knots[order:] - knots[:-order]
        rise = np.divide(
            places[:, None] - knots[:-order], width, out=np.zeros((len(places), len(width))), where=width > 0
        )
        basis = rise[:, :-1] * basis[:, :-1] + np.where(width[1:] > 0, 1 - rise[:, 1:], 0) * basis[:, 1:]
    return np.asarray(basis @ points)


def _catmull_rom(control: Floats, alpha: float, parts: Floats) -> Floats:
    """Places between the second and the third of four control points, at ``parts`` from 0 to 1 (Barry–Goldman)."""
    t = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(control, axis=0), axis=1) ** alpha)])
    at = (t[1] + (t[2] - t[1]) * parts)[:, None]

    def between(one: Floats, other: Floats, start: float, stop: float) -> Floats:
        return np.asarray(((stop - at) * one + (at - start) * other) / (stop - start))

    lines = [between(control[n], control[n + 1], t[n], t[n + 1]) for n in range(3)]
    bows = [between(lines[n], lines[n + 1], t[n], t[n + 2]) for n in range(2)]
    return between(bows[0], bows[1], t[1], t[2])


def _sampled(length: float, step: float, anchors: tuple[Floats, Floats], inner: Callable[[Floats], Floats]) -> Floats:
    """Samples of a piece, from its first anchor to its last, of which the inner ones are at equal parameters."""
    count = max(MIN_SAMPLES, math.ceil(SAMPLES_PER_STEP * length / step))
    return np.vstack([anchors[0], inner(np.arange(1, count) / count), anchors[1]])


def _pieces(points: Floats, step: float, kind: str, alpha: float, degree: int, knots: Floats) -> list[Floats]:
    anchors = curve_anchors(points, kind, degree, knots)
    if kind != "bspline":
        around = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
        found = []
        for n, ends in enumerate(itertools.pairwise(anchors)):

            def inner(parts: Floats, n: int = n, ends: tuple[Floats, Floats] = ends) -> Floats:
                if kind == "linear":
                    return ends[0] + parts[:, None] * (ends[1] - ends[0])
                return _catmull_rom(around[n : n + 4], alpha, parts)

            found.append(_sampled(float(np.linalg.norm(ends[1] - ends[0])), step, ends, inner))
        return found
    spans = [n for n in range(degree, len(points)) if knots[n] < knots[n + 1]]
    found = []
    for n, ends in zip(spans, itertools.pairwise(anchors), strict=True):
        polygon = np.linalg.norm(np.diff(points[n - degree : n + 1], axis=0), axis=1).sum()

        def on_span(parts: Floats, n: int = n) -> Floats:
            return _bspline(points, knots, degree, knots[n] + (knots[n + 1] - knots[n]) * parts)

        found.append(_sampled(float(polygon), step, ends, on_span))
    return found


def _divided(samples: Floats, step: float) -> Floats:
    """Points at equal lengths along a piece, without its end; none if it has no length."""
    gaps = np.linalg.norm(np.diff(samples, axis=0), axis=1)
    samples = samples[np.concatenate([[True], gaps > 0])]
    along = np.concatenate([[0.0], np.cumsum(gaps[gaps > 0])])
    if along[-1] <= 0:
        return np.empty((0, 3))
    count = max(1, math.ceil(along[-1] / step - 1e-9))
    places = np.arange(count) * (along[-1] / count)
    return np.column_stack([np.interp(places, along, samples[:, axis]) for axis in range(3)])


def evaluate_curve(
    control_points: ArrayLike,
    step: float,
    kind: str = "catmull-rom",
    alpha: float | None = 0.5,
    degree: int | None = None,
    knots: Sequence[float] | None = None,
) -> Floats:
    """Points ``(n, 3)`` in Å on the curve, at most ``step`` Å apart, every anchor among them.

    Raises :class:`AnnotationError` for a curve that :func:`check_curve` refuses or that has no length.
    """
    check_curve(kind, control_points, step, alpha, degree, knots)
    pieces = _pieces(
        _places(control_points),
        float(step),
        kind,
        0.5 if alpha is None else float(alpha),
        int(degree or 0),
        np.asarray(() if knots is None else knots, dtype=float),
    )
    divided = [_divided(piece, float(step)) for piece in pieces]
    if not any(map(len, divided)):
        raise AnnotationError("The curve has zero length.", fix="move its control points apart")
    return np.vstack([*divided, pieces[-1][-1:]])


def curve_anchors(
    control_points: ArrayLike,
    kind: str = "catmull-rom",
    degree: int | None = None,
    knots: ArrayLike | None = None,
) -> Floats:
    """``(n, 3)``: the control points, or a B-spline's places at its knots, each once."""
    points = _places(control_points)
    if kind != "bspline":
        return points
    if degree is None or knots is None:
        raise AnnotationError("A bspline curve needs a degree and knots.")
    u = np.asarray(knots, dtype=float)
    return _bspline(points, u, int(degree), np.unique(u[int(degree) : len(points) + 1]))


# --- whether points belong to a curve


def distances_to_polyline(queries: ArrayLike, polyline: ArrayLike) -> Floats:
    """``(m,)``: how far, in Å, places ``(m, 3)`` are from the line through points ``(n, 3)``."""
    places, line = _places(queries), _places(polyline)
    if len(line) == 1:
        return np.asarray(np.linalg.norm(places - line[0], axis=1))
    start, way = line[:-1], np.diff(line, axis=0)
    square = np.maximum((way**2).sum(axis=1), np.finfo(float).tiny)
    found = np.empty(len(places))
    rows = max(1, _BLOCK // len(way))
    for first in range(0, len(places), rows):
        offset = places[first : first + rows, None] - start
        part = np.clip((offset * way).sum(axis=2) / square, 0, 1)
        found[first : first + rows] = np.linalg.norm(offset - part[..., None] * way, axis=2).min(axis=1)
    return found


def curve_is_current(
    points: ArrayLike,
    control_points: ArrayLike,
    step: float,
    kind: str = "catmull-rom",
    degree: int | None = None,
    knots: Sequence[float] | None = None,
) -> bool:
    """Whether the points start and end with the curve and hold all its anchors; never for an unknown kind."""
    line = _places(points)
    if kind not in CURVE_KINDS or len(line) < 2:
        return False
    try:
        anchors = curve_anchors(control_points, kind, degree, knots)
    except (TypeError, ValueError, IndexError):
        return False  # what cannot be evaluated did not make these points
    if not len(anchors):
        return False
    allowed = CURRENT_FRACTION * float(step)
    ends = np.linalg.norm(line[[0, -1]] - anchors[[0, -1]], axis=1)
    return bool((ends <= allowed).all() and (distances_to_polyline(anchors, line) <= allowed).all())


def control_points_from_polyline(points: ArrayLike, tolerance: float) -> Floats:
    """As few of the points as make a Catmull-Rom curve that no point is farther from than ``tolerance`` Å.

    The farthest point is added until none is; the first of equals. Raises :class:`AnnotationError` for a tolerance
    that is not positive, fewer than two different points, and closed lines.
    """
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise AnnotationError(f"The tolerance must be a positive length in Å, not {tolerance}.")
    line = _places(points)
    moved = np.linalg.norm(np.diff(line, axis=0), axis=1) > MIN_POINT_DISTANCE
    line = line[np.concatenate([[True], moved])] if len(line) else line
    if len(line) < 2:
        raise AnnotationError("A filament needs at least two distinct points.")
    if np.linalg.norm(line[-1] - line[0]) <= MIN_POINT_DISTANCE:
        raise AnnotationError("The line ends where it starts; closed filaments are not supported.")
    chosen = [0, len(line) - 1]
    while True:
        control = line[sorted(chosen)]
        distances = distances_to_polyline(line, evaluate_curve(control, tolerance))
        farthest = int(np.argmax(distances))
        if distances[farthest] <= tolerance or farthest in chosen:
            return control
        chosen.append(farthest)


def reverse_knots(knots: ArrayLike) -> Floats:
    """The knots of the curve in the other direction."""
    u = np.asarray(knots, dtype=float)
    return np.asarray((u[0] + u[-1] - u)[::-1])


def median_spacing(points: ArrayLike) -> float:
    """The median distance of neighbours in Å; 0 for fewer than two points."""
    line = _places(points)
    return float(np.median(np.linalg.norm(np.diff(line, axis=0), axis=1))) if len(line) > 1 else 0.0
