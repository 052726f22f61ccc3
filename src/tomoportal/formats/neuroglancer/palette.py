"""Twenty colours that can be told apart on black, and which object gets which.

A colour depends on the object's id alone, so that it is the same in every run, every viewer state and every build,
whatever else is shown (upstream's colours depended on the order of file listings). Each colour has a contrast of at
least 3:1 on black (WCAG 2 relative luminance).
"""

from __future__ import annotations

import hashlib

__all__ = ["PALETTE", "color_of", "contrast_on_black", "rgb"]

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
    digest = hashlib.sha256(object_id.strip().lower().encode("utf-8")).digest()
    return PALETTE[int.from_bytes(digest[:8], "big") % len(PALETTE)]


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue (0 … 255) of ``#rrggbb``."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def contrast_on_black(color: str) -> float:
    """WCAG contrast ratio of a colour on black, 1 … 21."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (part / 255 for part in rgb(color))
    ]
    return (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05) / 0.05
