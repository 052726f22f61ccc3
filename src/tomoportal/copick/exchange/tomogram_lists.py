"""Which file is the tomogram of which run, as lists of other programs say."""

from __future__ import annotations

from pathlib import Path

from tomoportal.copick.exchange.files import RunFile
from tomoportal.copick.particles.index_maps import read_bytes, read_index_map, read_tomolist, tomolist_runs
from tomoportal.errors import FormatError
from tomoportal.formats.star import StarTable, read_star

__all__ = ["dynamo_files", "relion_files"]


def dynamo_files(tomolist: str | Path, index_map: str | Path | None = None) -> list[RunFile]:
    """The files of Dynamo's list; runs are those of ``index_map``, else the files' names."""
    paths = read_tomolist(tomolist)
    runs = read_index_map(index_map) if index_map else tomolist_runs(paths)
    missing = sorted(set(paths) - set(runs))
    if missing:
        raise FormatError(
            f"The tomograms {', '.join(map(str, missing[:10]))} are not in the index map.",
            where=str(index_map),
            fix="add lines for them",
        )
    return [RunFile(path, runs[number]) for number, path in paths.items()]


def relion_files(
    tomograms_star: str | Path, base: str | Path, half: str = "half1"
) -> tuple[list[RunFile], dict[str, float]]:
    """The reconstructed tomograms of RELION's list, and voxel sizes in Å by run: tilt-series pixel times binning.

    Paths are relative to ``base``. Raises :class:`FormatError` for a list without reconstructions.
    """
    path = Path(tomograms_star)
    star = read_star(read_bytes(path), path.name)
    table = star.table_with("rlnTomoName")
    number = half.removeprefix("half")
    column = _first(table, f"rlnTomoReconstructedTomogramHalf{number}", "rlnTomoReconstructedTomogram")
    pixel = _first(
        table, "rlnTomoTiltSeriesPixelSize", "rlnTiltSeriesPixelSize", "rlnMicrographOriginalPixelSize"
    )  # the last one in lists of older versions
    binning = table.numbers("rlnTomoTomogramBinning") if "rlnTomoTomogramBinning" in table else None
    names, files, sizes = table.text("rlnTomoName"), table.text(column), table.numbers(pixel)
    found = [RunFile(Path(base) / file, name) for name, file in zip(names, files, strict=True)]
    voxels = {
        name: float(sizes[row] * (binning[row] if binning is not None else 1.0)) for row, name in enumerate(names)
    }
    return found, voxels


def _first(table: StarTable, *columns: str) -> str:
    found = next((column for column in columns if column in table), None)
    if found is None:
        raise FormatError(
            f"The tomograms have none of {', '.join(columns)}.",
            where=f"{table.source}:{table.line}",
            fix="give the tomograms.star that RELION wrote after the reconstruction",
        )
    return found
