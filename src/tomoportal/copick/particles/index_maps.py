"""Lists that say which run a number in a particle list means, and which file a tomogram is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tomoportal.errors import FormatError, NotFoundError
from tomoportal.formats.dynamo import dynamo_tomograms
from tomoportal.formats.relion_particles import RelionTomogram, tomograms_of
from tomoportal.formats.star import read_star

__all__ = ["inverse", "read_bytes", "read_index_map", "read_relion_tomograms", "read_tomolist", "tomolist_runs"]

_ENDINGS = (".mrc", ".rec", ".map", ".em", ".zarr", ".tif", ".tiff")


def read_bytes(path: Path) -> bytes:
    """The bytes of a local file. Raises :class:`NotFoundError`."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFoundError(f"File not found: {path}") from error


def read_index_map(path: str | Path) -> dict[int, str]:
    """Run by number: two columns, divided by a comma or a tab, no header. Numbers and runs occur once."""
    path = Path(path)
    found: dict[int, str] = {}
    for line, text in enumerate(read_bytes(path).decode("utf-8-sig", "replace").splitlines(), start=1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        words = [word.strip() for word in re.split(r"[,\t]", text.strip())]
        where = f"{path.name}:{line}"
        if len(words) != 2 or not re.fullmatch(r"[0-9]{1,9}", words[0]) or not words[1]:
            raise FormatError(
                f"The line is not a number and a run: {text.strip()[:60]!r}.", where=where, fix="write 1,TS_001"
            )
        number = int(words[0])
        if number in found or words[1] in found.values():
            twice = number if number in found else words[1]
            raise FormatError(f"{twice} occurs twice.", where=where, fix="give every number one run")
        found[number] = words[1]
    if not found:
        raise FormatError("The index map is empty.", where=path.name, fix="write lines such as 1,TS_001")
    return found


def read_tomolist(path: str | Path) -> dict[int, Path]:
    """The tomogram file by number, of Dynamo's list; relative paths start at the list's folder."""
    path = Path(path)
    return {number: path.parent / name for number, name in dynamo_tomograms(read_bytes(path), path.name).items()}


def tomolist_runs(tomolist: Mapping[int, Path]) -> dict[int, str]:
    """The run by number: the name of the file without its ending."""
    found = {number: _without_ending(path.name) for number, path in tomolist.items()}
    if len(set(found.values())) < len(found):
        twice = next(name for name in found.values() if list(found.values()).count(name) > 1)
        raise FormatError(f"Two tomograms have the name {twice}.", fix="give --index-map")
    return found


def _without_ending(name: str) -> str:
    ending = next((each for each in _ENDINGS if name.lower().endswith(each)), "")
    return name[: len(name) - len(ending)]


def inverse(index_map: Mapping[int, str]) -> dict[str, int]:
    return {run: number for number, run in index_map.items()}


def read_relion_tomograms(path: str | Path) -> dict[str, RelionTomogram]:
    """Centres and pixel sizes from a ``tomograms.star``."""
    path = Path(path)
    return tomograms_of(read_star(read_bytes(path), path.name))
