"""Sizes and centres of a project's tomograms, which formats that count from the centre need."""

from __future__ import annotations

from collections.abc import Iterable

from tomoportal.copick.names import voxel_key
from tomoportal.copick.root import CopickRoot
from tomoportal.copick.runs import CopickRun
from tomoportal.copick.tomograms import CopickTomogram
from tomoportal.errors import FormatError, NotFoundError
from tomoportal.formats.relion_particles import RelionTomogram

__all__ = ["differing_centres", "project_tomograms", "tomogram_shapes"]


def _tomogram(run: CopickRun, voxel_size: float | None, tomo_type: str | None) -> tuple[CopickTomogram, float] | None:
    """The first tomogram with voxels: at this size if there is one, else at the smallest; of this type if given."""
    spacings = sorted(run.voxel_spacings, key=lambda each: each.voxel_size)
    if voxel_size is not None:
        spacings.sort(key=lambda each: voxel_key(each.voxel_size) != voxel_key(voxel_size))
    for spacing in spacings:
        for tomogram in spacing.get_tomograms(tomo_type):
            if not tomogram._folder.is_empty():
                return tomogram, spacing.voxel_size
    return None


def _shape(tomogram: CopickTomogram) -> tuple[int, int, int] | None:
    try:
        z, y, x = tomogram._folder.array("0").shape[-3:]
    except (NotFoundError, FormatError):
        return None
    return z, y, x


def project_tomograms(
    root: CopickRoot, runs: Iterable[str], voxel_size: float | None = None, tomo_type: str | None = None
) -> dict[str, RelionTomogram]:
    """The centre of each run's tomogram: half its shape times its voxel size; runs without one are left out."""
    found = {}
    for name in runs:
        run = root.get_run(name)
        known = _tomogram(run, voxel_size, tomo_type) if run is not None else None
        shape = _shape(known[0]) if known else None
        if known and shape:
            z, y, x = (size / 2 * known[1] for size in shape)
            found[name] = RelionTomogram((x, y, z))
    return found


def differing_centres(
    root: CopickRoot, runs: Iterable[str], tomo_type: str | None = None
) -> dict[str, dict[float, tuple[float, float, float]]]:
    """Runs whose tomograms do not agree on their centre: voxel size → centre, in Å. Binning often cuts off a voxel."""
    found: dict[str, dict[float, tuple[float, float, float]]] = {}
    for name in runs:
        run = root.get_run(name)
        sizes = [spacing.voxel_size for spacing in run.voxel_spacings] if run is not None else []
        centres = {}
        for size in sorted(sizes) if len(sizes) > 1 else ():
            known = project_tomograms(root, [name], size, tomo_type).get(name)
            if known is not None and known.centre is not None:
                centres[size] = known.centre
        if len({tuple(round(length, 2) for length in centre) for centre in centres.values()}) > 1:
            found[name] = centres
    return found


def tomogram_shapes(root: CopickRoot, runs: Iterable[str], voxel_size: float | None) -> dict[str, tuple[int, int, int]]:
    """Shape ``(z, y, x)`` of each run's tomogram of exactly this voxel size; runs without one are left out."""
    found = {}
    for name in runs:
        run = root.get_run(name)
        known = _tomogram(run, voxel_size, None) if run is not None and voxel_size is not None else None
        if known and voxel_size is not None and voxel_key(known[1]) == voxel_key(voxel_size):
            shape = _shape(known[0])
            if shape:
                found[name] = shape
    return found
