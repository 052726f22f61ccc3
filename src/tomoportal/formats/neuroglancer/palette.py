"""Twenty colours that can be told apart on black, and which object gets which.

An object's id names its colour, the same in every run and every build (upstream's colours depended on the order of file
listings). Only where that colour is too near to one that another object of the run has already does it get another one.
Each colour has a contrast of at least 3:1 on black (WCAG 2 relative luminance).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

__all__ = ["PALETTE", "color_distance", "color_of", "colors_of", "contrast_on_black", "rgb"]

_APART = 45.0
"""Distance from which on two colours are told apart at once, also in small and half-transparent marks."""
_LIGHTNESS = 0.25
"""What a step of lightness counts beside one of hue: in the viewer light, shade and transparency change it."""

PALETTE: tuple[str, ...] = (
    "#ff5a5f",
    "#ffa02e",
    "#ffe14d",
    "#b6e63e",
    "#4cd964",
    "#2ee6b0",
    "#33d6ff",
    "#4d9dff",
    "#8f86ff",
    "#c77dff",
    "#ff6ee0",
    "#ff8fab",
    "#d9a066",
    "#a3b86c",
    "#5fb7a5",
    "#7fa8d1",
    "#b59ad6",
    "#d98fc4",
    "#f2d0a4",
    "#c8d6e5",
)
"""The colours as ``#rrggbb``."""


def color_of(object_id: str) -> str:
    """Colour of an annotated object by its ontology id (``GO:0005840``); surrounding blanks and case do not count."""
    digest = hashlib.sha256(_name(object_id).encode("utf-8")).digest()
    return PALETTE[int.from_bytes(digest[:8], "big") % len(PALETTE)]


def colors_of(object_ids: Iterable[str]) -> dict[str, str]:
    """Colours of the objects of one run, by the ids as they are given; the first come first.

    An object keeps the colour of :func:`color_of` unless that is near to one that is taken: then it gets the free
    colour that is farthest from all of those. What comes later changes nothing for what came before. Beyond twenty
    objects colours repeat.
    """
    given: dict[str, str] = {}
    found: dict[str, str] = {}
    for object_id in object_ids:
        name = _name(object_id)
        if name not in given:
            taken = set(given.values())
            own = color_of(name)
            if len(taken) < len(PALETTE) and _room(own, taken) < _APART:
                own = max(PALETTE, key=lambda color: _room(color, taken))
            given[name] = own
        found[object_id] = given[name]
    return found


def color_distance(first: str, second: str) -> float:
    """How different two colours look on surfaces: the distance in CIELAB (CIE 1976) with little weight on lightness."""
    (light, green_red, blue_yellow), other = _lab(first), _lab(second)
    steps = (_LIGHTNESS * (light - other[0]), green_red - other[1], blue_yellow - other[2])
    return float(sum(step**2 for step in steps) ** 0.5)


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue (0 … 255) of ``#rrggbb``."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def contrast_on_black(color: str) -> float:
    """WCAG contrast ratio of a colour on black, 1 … 21."""
    red, green, blue = _linear(color)
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) / 0.05


def _name(object_id: str) -> str:
    return object_id.strip().lower()


def _room(color: str, taken: Iterable[str]) -> float:
    return min((color_distance(color, other) for other in taken), default=float("inf"))


def _linear(color: str) -> tuple[float, float, float]:
    """The sRGB components without their gamma curve, 0 … 1."""
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (part / 255 for part in rgb(color))
    )
    return red, green, blue


def _lab(color: str) -> tuple[float, float, float]:
    """CIELAB under D65, from the matrix of sRGB (IEC 61966-2-1)."""
    red, green, blue = _linear(color)
    x, y, z = (
        value ** (1 / 3) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116
        for value in (
            (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
            0.2126 * red + 0.7152 * green + 0.0722 * blue,
            (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
        )
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)
