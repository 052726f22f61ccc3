"""STAR files of particles as pandas data frames, in and out (``copick.util.formats``).

Numbers become numbers, whole ones whole; names and paths stay text, also where they look like numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tomoportal.copick.particles.data_frames import pandas
from tomoportal.copick.particles.handlers import put_file
from tomoportal.copick.particles.index_maps import read_bytes
from tomoportal.errors import FormatError
from tomoportal.formats.star import StarTable, read_star
from tomoportal.formats.star_output import write_star

__all__ = [
    "group_star_particles_by_tomogram",
    "read_star_particles",
    "read_star_particles_grouped",
    "read_star_particles_with_optics",
    "star_bytes",
    "write_star_particles",
]

_TEXT: Final = re.compile(r"(Name|File|Half\d)$")
_NAME: Final = "rlnTomoName"


def read_star_particles_with_optics(path: str) -> tuple[Any, Any]:
    """The frame of the particles, and that of the optics or None.

    Particles are the table ``data_particles``, else the first one that is no optics. Raises :class:`FormatError`.
    """
    star = read_star(read_bytes(Path(path)), Path(path).name)
    optics = star.table("optics")
    particles = star.table("particles") or next((each for each in star.tables if each is not optics), None)
    if particles is None:
        raise FormatError("No particle data found in STAR file", where=path)
    return _frame(particles), _frame(optics) if optics is not None else None


def _frame(table: StarTable) -> Any:
    package = pandas()
    table.load(*table.columns)
    columns = {}
    for name in table.columns:
        values: Any = list(table.text(name))
        if not _TEXT.search(name):
            try:
                values = package.to_numeric(package.Series(values, dtype=object))
            except (ValueError, TypeError):  # words
                values = table.text(name)
        columns[name] = values
    return package.DataFrame(columns)


def read_star_particles(path: str) -> Any:
    """The frame of the particles."""
    return read_star_particles_with_optics(path)[0]


def read_star_particles_grouped(path: str) -> dict[str, Any]:
    """Tomogram → the frame of its particles."""
    return group_star_particles_by_tomogram(read_star_particles(path))


def group_star_particles_by_tomogram(df: Any) -> dict[str, Any]:
    """Tomogram → its rows in their order. Raises :class:`FormatError` if the frame does not name tomograms."""
    if _NAME not in df.columns:
        raise FormatError(
            f"STAR file does not contain {_NAME} column, so its particles cannot be grouped by tomogram.",
            fix="add it as picks of one run",
        )
    return {str(name): rows.reset_index(drop=True) for name, rows in df.groupby(_NAME)}


def write_star_particles(path: str, df: Any, optics_group: Any = None) -> None:
    """Write a frame as ``data_particles``, and the optics, a frame or a dictionary of one group, before it."""
    blocks = {} if optics_group is None else {"optics": optics_group}
    put_file(path, star_bytes({**blocks, "particles": df}))


def star_bytes(blocks: Mapping[str, Any]) -> bytes:
    """A STAR file of frames, or dictionaries of one row, by block."""
    columns = {}
    for name, block in blocks.items():
        frame = pandas().DataFrame([block]) if isinstance(block, Mapping) else block
        columns[name] = {str(label): frame[label].to_numpy() for label in frame.columns}
    return write_star(columns)
