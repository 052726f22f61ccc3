"""STAR files as RELION and STOPGAP read them: ``data_`` blocks with one ``loop_`` table each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError

__all__ = ["Columns", "write_star"]

Columns: TypeAlias = Mapping[str, Sequence[Any] | NDArray[Any]]
"""Values by label (without the underscore): text, whole numbers or floats, as many in each."""

_NEEDS_QUOTES = re.compile(r"[\s\"'#;]|^(data_|loop_|_)|^$")


def write_star(blocks: Mapping[str, Columns]) -> bytes:
    """The bytes of a file with these blocks; floats with eight decimals, equal tables give equal bytes.

    Raises :class:`FormatError` for columns of different lengths and text that no quotes can hold.
    """
    lines = ["# Written by tomoportal"]
    for name, columns in blocks.items():
        lines += ["", f"data_{name}", "", "loop_"]
        lines += [f"_{label} #{number}" for number, label in enumerate(columns, start=1)]
        texts = [_texts(values) for values in columns.values()]
        if len({len(column) for column in texts}) > 1:
            raise FormatError(f"The columns of data_{name} have different lengths.")
        lines += ["\t".join(row) for row in zip(*texts, strict=True)]
        lines.append("")
    return "\n".join(lines).encode()


def _texts(values: Sequence[Any] | NDArray[Any]) -> list[str]:
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return [f"{value:.8f}" for value in (values + 0.0).tolist()]
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        return [str(value) for value in values.tolist()]
    return list(_quoted(values))


def _quoted(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        text = f"{value:.8f}" if isinstance(value, float) else str(value)
        if not _NEEDS_QUOTES.search(text):
            yield text
        elif "\n" in text or ('"' in text and "'" in text):
            raise FormatError(f"The name {text!r} cannot stand in a STAR file.", fix="rename it")
        else:
            yield f"'{text}'" if '"' in text else f'"{text}"'
