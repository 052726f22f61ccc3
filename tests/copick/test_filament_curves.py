"""Curves of filaments: rules, and the same numbers as upstream's on random curves (reference copick-model, 17)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tomoportal.copick as copick
from tomoportal.copick import filament_curves as curves

TELL = """
import json, sys
import numpy as np
from copick.util.filaments import *
from copick.util.filaments import evaluate_curve, curve_anchors, curve_is_current, control_points_from_polyline
told = []
for case in json.load(open(sys.argv[1])):
    shape = {key: case[key] for key in ("kind", "degree", "knots")}
    points = evaluate_curve(case["control_points"], case["step"], alpha=case["alpha"], **shape)
    moved = points + np.linspace(0, case["step"], len(points))[:, None]
    told.append([points.tolist(), curve_anchors(case["control_points"], **shape).tolist(),
                 curve_is_current(points, case["control_points"], case["step"], **shape),
                 curve_is_current(moved, case["control_points"], case["step"], **shape),
                 control_points_from_polyline(points, case["step"] / 3).tolist()])
print(json.dumps(told))
"""


def random_cases() -> list[dict[str, Any]]:
    generator = np.random.default_rng(3)
    cases = []
    for number in range(60):
        kind = curves.CURVE_KINDS[number % 3]
        count = int(generator.integers(2 if kind != "bspline" else 6, 12))
        points = np.cumsum(generator.normal(size=(count, 3)) * 60 + [40, 0, 0], axis=0)
        case: dict[str, Any] = {"kind": kind, "control_points": points.tolist(), "alpha": number % 11 / 10}
        case |= {"step": float(generator.uniform(3, 90)), "degree": None, "knots": None}
        if kind == "bspline":
            degree = int(generator.integers(1, 6))
            inner = np.sort(generator.integers(1, 30, count - degree - 1)).astype(float)
            while len(inner) and np.unique(inner, return_counts=True)[1].max() > degree:
                inner = np.sort(generator.uniform(1, 30, count - degree - 1))
            case |= {"degree": degree, "knots": [0.0] * (degree + 1) + inner.tolist() + [31.0] * (degree + 1)}
        cases.append(case)
    return cases


def test_curves_have_the_points_that_upstream_gives_them(upstream: Any, tmp_path: Any) -> None:
    cases = random_cases()
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    told = upstream(TELL, tmp_path / "cases.json")
    for case, (points, anchors, current, moved, control) in zip(cases, told, strict=True):
        shape = {key: case[key] for key in ("kind", "degree", "knots")}
        found = curves.evaluate_curve(case["control_points"], case["step"], alpha=case["alpha"], **shape)
        np.testing.assert_allclose(found, points, atol=1e-6)
        np.testing.assert_allclose(curves.curve_anchors(case["control_points"], **shape), anchors, atol=1e-8)
        assert curves.curve_is_current(points, case["control_points"], case["step"], **shape) is current is True
        shifted = np.asarray(points) + np.linspace(0, case["step"], len(points))[:, None]
        assert curves.curve_is_current(shifted, case["control_points"], case["step"], **shape) is moved is False
        np.testing.assert_allclose(curves.control_points_from_polyline(points, case["step"] / 3), control, atol=1e-6)


place = st.tuples(*[st.floats(-100, 100)] * 3)


@given(st.lists(place, min_size=2, max_size=8), st.floats(1, 100), st.sampled_from(["catmull-rom", "linear"]))
def test_points_are_evenly_spaced_and_hold_every_anchor(control: list[Any], step: float, kind: str) -> None:
    array = np.array(control)
    if (np.linalg.norm(np.diff(array, axis=0), axis=1) <= 0.5).any():
        return
    points = curves.evaluate_curve(array, step, kind)
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).max() <= step * 1.001
    assert curves.distances_to_polyline(array, points).max() < 1e-9
    assert curves.curve_is_current(points, array, step, kind)
    back = curves.evaluate_curve(array[::-1], step, kind)
    assert curves.distances_to_polyline(back, points).max() <= step  # the same line, cut elsewhere


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "arc"}, "Unknown curve kind"),
        ({"control_points": [[0, 0, np.nan], [1, 0, 0]]}, "must be finite"),
        ({"step": 0}, "positive"),
        ({"control_points": [[0, 0, 0]]}, "at least two"),
        ({"control_points": [[0, 0, 0], [0, 0, 0], [1, 1, 1]]}, "coincide"),
        ({"alpha": 1.5}, "between 0 and 1"),
        ({"kind": "bspline"}, "degree and knots"),
        ({"kind": "bspline", "degree": 6, "knots": [0]}, "from 1 to 5"),
        ({"kind": "bspline", "degree": 3, "knots": [0]}, "at least 4 control points"),
        ({"kind": "bspline", "degree": 1, "knots": [0, 0, 1]}, "needs 4 knots"),
        ({"kind": "bspline", "degree": 1, "knots": [0, 0, 1, np.inf]}, "finite"),
        ({"kind": "bspline", "degree": 1, "knots": [0, 1, 0, 1]}, "non-decreasing"),
        ({"kind": "bspline", "degree": 1, "knots": [0, 0, 1, 2]}, "clamped"),
        (
            {"kind": "bspline", "degree": 1, "knots": [0, 0, 1, 1, 2, 2],
             "control_points": [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]]},
            "at most 1 times",
        ),
    ],
)  # fmt: skip
def test_a_curve_that_cannot_be_is_refused(change: dict[str, Any], words: str) -> None:
    known: dict[str, Any] = {"kind": "catmull-rom", "control_points": [[0, 0, 0], [10, 0, 0]], "step": 2.0}
    with pytest.raises(ValueError, match=words):
        curves.check_curve(**{**known, **change})


def test_closed_and_single_lines_have_no_control_points() -> None:
    for points, tolerance, words in (
        ([[0, 0, 0], [1, 0, 0]], 0, "tolerance"),
        ([[0, 0, 0], [0, 0, 0]], 1, "two distinct"),
        ([[0, 0, 0], [5, 0, 0], [0, 0, 0]], 1, "closed"),
    ):
        with pytest.raises(ValueError, match=words):
            curves.control_points_from_polyline(points, tolerance)


# --- on filaments


def test_filaments_from_curves_and_from_control_points(run: copick.CopickRun) -> None:
    filaments = run.new_filaments("microtubule", "1")
    control = np.array([[0.0, 0, 0], [100, 20, 0], [200, 0, 50]])
    filaments.from_control_points([control, control + 500], voxel_spacing=10, scores=[0.5, 0.7])
    run.refresh_filaments()
    found = run.filaments[0]
    assert found.instance_ids().tolist() == [1, 2]
    assert found.voxel_spacing == 10
    for number, each in enumerate(found.control_points()):
        np.testing.assert_allclose(each, control + 500 * number)
    assert found.editable_curve(2).kind == "catmull-rom"
    with pytest.raises(KeyError, match="no filament 9"):
        found.editable_curve(9)
    edited = found.filaments[0].with_control_points(control[[0, 2]])
    assert edited.curve is not None
    assert len(edited.curve.control_points) == 2
    assert edited.reversed().numpy()[0] == pytest.approx(control[2])
    assert edited.reversed().curve_is_current()
    found.from_curves([edited.curve])
    assert len(found.filaments) == 1
    with pytest.raises(ValueError, match="values of score"):
        found.from_curves([edited.curve], scores=[1, 2])
    with pytest.raises(ValueError, match="step"):
        run.new_filaments("microtubule", "2").from_control_points([control])


def test_a_bspline_is_that_of_scipy_and_keeps_its_knots(upstream: Any) -> None:
    script = """
import json
import numpy as np
from scipy.interpolate import splev, splprep
t = np.linspace(0, 3, 40)
tck, _ = splprep([100 * t, 50 * np.sin(t), 20 * t * t], s=5, k=3)
print(json.dumps([tck[0].tolist(), [each.tolist() for each in tck[1]], tck[2],
                  np.array(splev(np.unique(tck[0]), tck)).T.tolist()]))
"""
    knots, coefficients, degree, anchors = upstream(script)
    curve = copick.CopickFilamentCurve.from_tck((knots, coefficients, degree), step=5, smoothing=5, scale=2)
    np.testing.assert_allclose(curve.anchors(), 2 * np.array(anchors), atol=1e-9)
    filament = copick.CopickFilament.from_curve(1, curve, radius=120)
    assert filament.curve_is_current()
    assert filament.reversed().curve_is_current()
    assert not curve.passes_through_control_points
    with pytest.raises(ValueError, match="keeps its knots"):
        filament.with_control_points(curve.control_points[:-1])
    assert filament.editable_curve(kinds=("linear", "catmull-rom")).kind == "catmull-rom"
    with pytest.raises(ValueError, match="three arrays"):
        copick.CopickFilamentCurve.from_tck((knots, coefficients[:2], degree), step=5)


def test_a_stale_curve_is_dropped_with_a_warning(run: copick.CopickRun, caplog: pytest.LogCaptureFixture) -> None:
    filaments = run.new_filaments("microtubule", "1")
    filaments.from_control_points([[[0.0, 0, 0], [100, 0, 0]]], step=10)
    filaments.filaments[0].points = [(0, 0, 0), (50, 60, 70)]
    assert filaments.control_points() == [None]
    filaments.store()
    assert "dropped" in caplog.text
    assert filaments.filaments[0].curve is None
    unknown = {"kind": "bezier", "control_points": [[0, 0, 0]], "step": 1, "weights": [1]}
    filaments.filaments = [copick.CopickFilament(instance_id=1, points=[[0, 0, 0], [1, 0, 0]], curve=unknown)]
    filaments.store()
    run.refresh_filaments()
    kept = run.filaments[0].filaments[0].curve
    assert kept is not None
    assert (kept.kind, kept.is_known, kept.model_dump()["weights"]) == ("bezier", False, [1])
    with pytest.raises(ValueError, match="Unknown curve kind"):
        kept.evaluate()
