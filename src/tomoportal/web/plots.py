"""Small plots as inline SVG, drawn on the server: no script, no image file."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

__all__ = ["scatter"]

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 560, 200, 48, 34, 10, 12


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    """At most ``count`` round numbers from ``low`` to ``high``."""
    span = high - low or 1.0
    step = 10.0 ** len(str(int(span))) / 10.0
    while span / step > count:
        step *= 2
    while span / step < count / 2:
        step /= 2
    first = -(-low // step)
    return [step * (first + k) for k in range(int((high - step * first) // step) + 1)]


def scatter(points: Sequence[tuple[float, float]], *, x_label: str, y_label: str, title: str) -> Markup:
    """Points ``(x, y)`` with labelled axes; the title is read out by screen readers."""
    if not points:
        return Markup("")
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)
    x1, y1 = (x1 if x1 > x0 else x0 + 1), (y1 if y1 > y0 else y0 + 1)
    pad = (y1 - y0) * 0.06
    y0, y1 = y0 - pad, y1 + pad

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (x - x0) / (x1 - x0) * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - (y - y0) / (y1 - y0) * (_HEIGHT - _BOTTOM - _TOP),
        )

    parts = [
        Markup('<svg class="plot" viewBox="0 0 {} {}" role="img"><title>{}</title>').format(_WIDTH, _HEIGHT, title)
    ]
    for value in _ticks(y0, y1):
        _, y = place(x0, value)
        parts.append(
            Markup('<line class="axis" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(_LEFT, _WIDTH - _RIGHT, y, y)
            + Markup('<text x="{}" y="{:.1f}" text-anchor="end">{:g}</text>').format(_LEFT - 6, y + 4, value)
        )
    for value in _ticks(x0, x1, 8):
        x, _ = place(value, y0)
        parts.append(
            Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{:g}</text>').format(x, _HEIGHT - _BOTTOM + 15, value)
        )
    for x, y in (place(x, y) for x, y in points):
        parts.append(Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(x, y))
    middle = (_HEIGHT - _BOTTOM + _TOP) / 2
    parts.append(Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(_WIDTH / 2, _HEIGHT - 4, x_label))
    parts.append(
        Markup('<text x="12" y="{0}" text-anchor="middle" transform="rotate(-90 12 {0})">{1}</text></svg>').format(
            middle, y_label
        )
    )
    return Markup("").join(parts)
