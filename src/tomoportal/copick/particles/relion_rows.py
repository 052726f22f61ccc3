"""Rows of RELION's particle tables, as pandas data frames, become picks (``copick.util.relion``).

Coordinates are centred ones plus the centre of the tomogram, else pixels times the pixel size of the tilt series,
else pixels of a tomogram of the given voxel size, with a warning (reference copick-model, 20).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.logs import get_logger
from tomoportal.copick.particles.relion_frames import (
    Center,
    Floats,
    copick_tomogram_center,
    has_columns,
    order_filament_rows,
    smallest_spacing,
)
from tomoportal.errors import AnnotationError
from tomoportal.formats.relion_columns import (
    ANGLES,
    CENTERED,
    GROUP,
    NAME,
    ORIGINS,
    PIXEL_SIZE,
    PIXELS,
    SUBTOMOGRAM,
    TUBE,
)
from tomoportal.formats.rotations import from_relion_angles

if TYPE_CHECKING:
    from tomoportal.copick.picks import CopickPicks

__all__ = [
    "RelionPixelSizeError",
    "RelionTomogram",
    "RelionTomogramCenterError",
    "detect_relion_version",
    "relion_coordinates_to_angstrom",
    "relion_df_to_picks",
    "relion_instance_ids",
    "relion_rows_to_poses",
    "relion_tilt_series_pixel_sizes",
]


class RelionPixelSizeError(AnnotationError):
    """Coordinates in pixels whose size nothing says."""


class RelionTomogramCenterError(AnnotationError):
    """Coordinates from the centre of a tomogram whose size nothing says."""


@dataclass(frozen=True)
class RelionTomogram:
    """What a tomograms.star says of a tomogram: its centre x, y, z in Å, the pixel size in Å, and of the optics."""

    name: str
    center_angstrom: Center
    tilt_series_pixel_size: float
    voltage: float | None = None
    spherical_aberration: float | None = None
    amplitude_contrast: float | None = None


def _numbers(frame: Any, columns: Sequence[str]) -> Floats:
    return np.asarray(frame[list(columns)].to_numpy(dtype=float), dtype=float)


def detect_relion_version(df: Any) -> str:
    """``relion5`` for centred coordinates, ``relion4`` for pixels. Raises :class:`AnnotationError` for neither."""
    if has_columns(df, CENTERED):
        return "relion5"
    if has_columns(df, PIXELS):
        return "relion4"
    raise AnnotationError("Cannot detect RELION version: there are no columns of coordinates.", where=", ".join(PIXELS))


def relion_tilt_series_pixel_sizes(df: Any, optics: Any) -> Floats | None:
    """``(n,)``: each particle's pixel size of the tilt series in Å, from the table of optics; None if it has none."""
    if optics is None or not len(optics) or PIXEL_SIZE not in optics.columns:
        return None
    sizes = optics[PIXEL_SIZE].astype(float).tolist()
    if len(sizes) == 1:
        return np.full(len(df), sizes[0])
    for key in (GROUP, "rlnOpticsGroupName"):
        if key in df.columns and key in optics.columns:
            known = dict(zip(optics[key].tolist(), sizes, strict=True))
            groups = df[key].tolist()
            missing = sorted({str(group) for group in groups if group not in known})
            if missing:
                raise AnnotationError(f"The optics groups {', '.join(missing)} are missing from the optics table.")
            return np.array([known[group] for group in groups], dtype=float)
    raise AnnotationError("There are several optics groups, but the particles do not say which is theirs.")


def relion_coordinates_to_angstrom(
    df: Any,
    *,
    voxel_spacing: float | None = None,
    tomogram_centers: Mapping[str, Center] | None = None,
    tomogram_center: Center | None = None,
    tomo_name: str | None = None,
    tilt_series_pixel_size: float | None = None,
    optics: Any = None,
    tomograms: Mapping[str, RelionTomogram] | None = None,
    relion_version: str | None = None,
) -> Floats:
    """Positions ``(n, 3)`` in Å from the corner, without refined origins.

    ``relion_version`` allows only centred coordinates (``relion5``) or only pixels (``relion4``). Raises
    :class:`RelionTomogramCenterError` and :class:`RelionPixelSizeError` where something is unknown.
    """
    if relion_version not in (None, "relion4", "relion5"):
        raise AnnotationError(f"Unknown RELION version '{relion_version}'; expected 'relion4' or 'relion5'.")
    names = None if tomo_name is None else [tomo_name] * len(df)
    names = df[NAME].astype(str).tolist() if NAME in df.columns else names
    known = {name: each.center_angstrom for name, each in (tomograms or {}).items()} | dict(tomogram_centers or {})
    if has_columns(df, CENTERED) and relion_version != "relion4":
        missing = sorted(set(names or ()) - set(known))
        if tomogram_center is not None:
            return np.asarray(_numbers(df, CENTERED) + np.asarray(tomogram_center, dtype=float))
        if names is not None and not missing:
            return np.asarray(_numbers(df, CENTERED) + np.array([known[name] for name in names]).reshape(-1, 3))
        if relion_version == "relion5" or not has_columns(df, PIXELS):
            raise RelionTomogramCenterError(
                f"RELION 5.0 coordinates require tomogram dimensions; unknown: {missing or 'all'}.",
                fix="give a tomograms.star, or add the tomograms to the project first",
            )
    elif relion_version == "relion5":
        raise AnnotationError(f"There are no columns {', '.join(CENTERED)}, which RELION 5 needs.")
    if not has_columns(df, PIXELS):
        raise AnnotationError(f"There are no columns {', '.join(PIXELS)}.", fix="give a table of particles")
    pixels = _numbers(df, PIXELS)
    if tilt_series_pixel_size is not None:
        return pixels * float(tilt_series_pixel_size)
    sizes = relion_tilt_series_pixel_sizes(df, optics)
    if sizes is None and tomograms and names is not None and set(names) <= set(tomograms):
        sizes = np.array([tomograms[name].tilt_series_pixel_size for name in names], dtype=float)
    if sizes is not None:
        return np.asarray(pixels * sizes[:, None])
    if voxel_spacing is None:
        raise RelionPixelSizeError(
            "rlnCoordinateX/Y/Z need a pixel size, and the file states none.",
            fix="give the tilt series' pixel size, a tomograms.star, or the voxel size of the coordinates",
        )
    get_logger("tomoportal.copick").warning(
        "coordinates are read as pixels of a tomogram at %s Å: the tilt series' are unknown", voxel_spacing
    )
    return pixels * float(voxel_spacing)


def relion_instance_ids(df: Any) -> NDArray[np.int64] | None:
    """``(n,)``: the filaments' numbers, or None without such a column."""
    return np.asarray(df[TUBE].to_numpy(), dtype=np.int64) if TUBE in df.columns else None


def relion_rows_to_poses(df: Any) -> tuple[Floats, Floats]:
    """Rotations ``(n, 3, 3)`` with the subtomogram's, and refined origins ``(n, 3)`` in Å in the tomogram's axes."""

    def turned(columns: Sequence[str]) -> Floats:
        if has_columns(df, columns):
            return from_relion_angles(_numbers(df, columns))
        return np.tile(np.eye(3), (len(df), 1, 1))

    outer, origins = turned(SUBTOMOGRAM), np.zeros((len(df), 3))
    if has_columns(df, ORIGINS):
        origins = _numbers(df, ORIGINS)
    return np.asarray(outer @ turned(ANGLES)), np.asarray((outer @ origins[:, :, None])[:, :, 0])


def relion_df_to_picks(
    picks: CopickPicks,
    df: Any,
    *,
    optics: Any = None,
    tilt_series_pixel_size: float | None = None,
    tomogram_center: Center | None = None,
    relion_version: str | None = None,
) -> None:
    """Replace the picks by the rows and store them; the centre is that of the run's tomogram unless given."""
    if not has_columns(df, CENTERED) and not has_columns(df, PIXELS):
        raise AnnotationError("DataFrame does not contain required RELION columns.", where=", ".join(PIXELS))
    rows = order_filament_rows(df)
    if tomogram_center is None and has_columns(rows, CENTERED):
        tomogram_center = copick_tomogram_center(picks)
    places = relion_coordinates_to_angstrom(
        rows.drop(columns=[NAME], errors="ignore"),
        voxel_spacing=smallest_spacing(picks),
        tomogram_center=tomogram_center,
        tilt_series_pixel_size=tilt_series_pixel_size,
        optics=optics,
        relion_version=relion_version,
    )
    rotations, offsets = relion_rows_to_poses(rows)
    transforms = np.tile(np.eye(4), (len(rows), 1, 1))
    transforms[:, :3, :3] = rotations
    picks.from_numpy(places - offsets, transforms, relion_instance_ids(rows))
