"""Small plots as inline SVG, drawn without a library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

__all__ = ["plot"]

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 360, 180, 52, 38, 10, 12


def plot(points: Sequence[tuple[float, float]], *, x_label: str, y_label: str, title: str) -> str:
    """Points ``(x, y)`` joined in their order, with labelled axes; ``title`` is what a screen reader says."""
    if not points:
        return ""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    (x0, x1), (y0, y1) = _widened(min(xs), max(xs)), _widened(min(ys), max(ys))

    def place(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + (x - x0) / (x1 - x0) * (_WIDTH - _LEFT - _RIGHT)
        return across, _HEIGHT - _BOTTOM - (y - y0) / (y1 - y0) * (_HEIGHT - _BOTTOM - _TOP)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><title>{escape(title)}</title>']
    for value in _ticks(y0, y1, 5):
        _, y = place(x0, value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in _ticks(x0, x1, 6):
        x, _ = place(value, y0)
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 15}" text-anchor="middle">{value:g}</text>')
    line = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in points)
    parts.append(f'<polyline class="line" points="{line}"/>')
    parts += ['<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="2.5"/>'.format(*place(x, y)) for x, y in points]
    middle_x, middle_y = (_LEFT + _WIDTH - _RIGHT) / 2, (_HEIGHT - _BOTTOM + _TOP) / 2
    parts.append(f'<text x="{middle_x}" y="{_HEIGHT - 5}" text-anchor="middle">{escape(x_label)}</text>')
    turned = f'text-anchor="middle" transform="rotate(-90 12 {middle_y})"'
    parts.append(f'<text x="12" y="{middle_y}" {turned}>{escape(y_label)}</text></svg>')
    return "".join(parts)


def _widened(low: float, high: float) -> tuple[float, float]:
    margin = (high - low) * 0.05 or 1.0
    return low - margin, high + margin


def _ticks(low: float, high: float, count: int) -> list[float]:
    """At most about ``count`` round numbers between ``low`` and ``high``."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
