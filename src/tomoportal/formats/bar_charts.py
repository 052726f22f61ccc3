"""Bar charts of counts as SVG or PNG, the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

from PIL import Image, ImageDraw, ImageFont

__all__ = ["Chart", "chart_png", "chart_svg"]

_WIDTH: Final = 800
_LABELS: Final = 240
_ROW: Final = 24
_BAR: Final = 16
_TITLE: Final = 36
_MARGIN: Final = 16
_COUNTS: Final = 90
_COLOR: Final = "#3b6ea5"
_INK: Final = "#222222"
_LONGEST: Final = 34


@dataclass(frozen=True)
class Chart:
    """A title, and a bar for each name; bars stand in the order of ``counts``."""

    title: str
    counts: Mapping[str, int]


def _rows(charts: tuple[Chart, ...]) -> tuple[list[tuple[int, str, str, int, int]], int]:
    """Kind, text, count as text, y and length of the bar in pixels of every row; and the height of the picture."""
    found: list[tuple[int, str, str, int, int]] = []
    y = _MARGIN
    room = _WIDTH - _LABELS - _COUNTS - 2 * _MARGIN
    for chart in charts:
        found.append((0, chart.title, "", y, 0))
        y += _TITLE
        most = max(chart.counts.values(), default=0)
        for name, count in chart.counts.items():
            found.append((1, _short(name), f"{count:,}", y, round(room * count / most) if most else 0))
            y += _ROW
        y += _MARGIN
    return found, y


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def chart_svg(*charts: Chart) -> bytes:
    """The charts below each other; names are text that can be searched and selected."""
    rows, height = _rows(charts)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
        ' font-family="sans-serif" font-size="13" role="img">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
    ]
    for kind, name, count, y, length in rows:
        text = escape(name)
        if kind == 0:
            parts.append(f'<text x="{_MARGIN}" y="{y + 18}" font-size="16" fill="{_INK}">{text}</text>')
            continue
        base, bar = y + 13, _MARGIN + _LABELS
        parts += [
            f'<text x="{bar - 8}" y="{base}" text-anchor="end" fill="{_INK}">{text}</text>',
            f'<rect x="{bar}" y="{y}" width="{length}" height="{_BAR}" fill="{_COLOR}"/>',
            f'<text x="{bar + length + 6}" y="{base}" fill="{_INK}">{count}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""]).encode()


def chart_png(*charts: Chart) -> bytes:
    """The charts below each other, in the font that comes with Pillow."""
    rows, height = _rows(charts)
    image = Image.new("RGB", (_WIDTH, height), "white")
    draw = ImageDraw.Draw(image)
    font, large = ImageFont.load_default(13), ImageFont.load_default(16)
    for kind, name, count, y, length in rows:
        if kind == 0:
            draw.text((_MARGIN, y), name, _INK, large)
            continue
        bar = _MARGIN + _LABELS
        draw.text((bar - 8, y + _BAR / 2), name, _INK, font, anchor="rm")
        draw.rectangle((bar, y, bar + length, y + _BAR), _COLOR)
        draw.text((bar + length + 6, y + _BAR / 2), count, _INK, font, anchor="lm")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
