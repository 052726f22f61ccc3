"""Picks as pandas data frames in RELION's columns, and back (``copick.util.relion``; reference copick-model, 20).

Positions go out as location + translation; they come in with translation 0, refined origins and the subtomogram's
angles composed into location and rotation.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.logs import get_logger
from tomoportal.copick.names import voxel_key
from tomoportal.copick.particles.data_frames import pandas
from tomoportal.errors import AnnotationError
from tomoportal.formats.poses import Poses
from tomoportal.formats.relion_columns import NAME, TRACK, TUBE
from tomoportal.formats.relion_particles import (
    RelionFilaments,
    RelionTomogram,
    particle_columns,
    tube_halves,
)
from tomoportal.formats.rotations import TOLERANCE

if TYPE_CHECKING:
    from tomoportal.copick.filaments import CopickFilaments
    from tomoportal.copick.picks import CopickPicks
    from tomoportal.copick.root import CopickRoot

__all__ = [
    "COORDINATES",
    "FILAMENT_ANGLES",
    "HALF_SETS",
    "Center",
    "FilamentPolarity",
    "Floats",
    "build_relion_particles_df",
    "check_relion_coordinates",
    "check_relion_filament_options",
    "copick_tomogram_center",
    "filament_half_sets",
    "filament_polarity",
    "filament_polarity_known",
    "get_tomogram_centers_from_copick",
    "get_tomogram_spacing_and_dimensions",
    "has_columns",
    "is_filament_export",
    "normalize_transforms",
    "order_filament_rows",
    "picks_to_df_relion",
    "polarity_filaments",
    "smallest_spacing",
]

Floats: TypeAlias = NDArray[np.float64]
Center: TypeAlias = tuple[float, float, float]

COORDINATES: Final = ("auto", "centered")
FILAMENT_ANGLES: Final = ("frame", "pose")
HALF_SETS: Final = (None, "filament")


def has_columns(frame: Any, columns: Sequence[str]) -> bool:
    return set(columns) <= set(frame.columns)


# --- picks and their tomograms


def normalize_transforms(picks: CopickPicks, eps: float = 1e-8) -> Floats:
    """The transformations ``(n, 4, 4)`` with 1 in the last place. Raises :class:`AnnotationError` for perspective."""
    matrices = picks.numpy()[1]
    bad = np.flatnonzero((np.abs(matrices[:, 3, :3]) > eps).any(axis=1) | (np.abs(matrices[:, 3, 3]) <= eps))
    if len(bad):
        raise AnnotationError(f"The transformations {bad.tolist()} are not affine.", where=picks.path)
    return np.asarray(matrices / matrices[:, 3, 3, None, None])


def get_tomogram_spacing_and_dimensions(
    picks: CopickPicks, only_voxel_size: bool = False
) -> tuple[float, int | None, int | None, int | None]:
    """The smallest voxel spacing (Å) of the run that has a tomogram, and its size x, y, z in voxels.

    With ``only_voxel_size`` the smallest voxel spacing at all. Raises :class:`AnnotationError` if there is none.
    """
    spacings = sorted(picks.run.voxel_spacings, key=lambda each: each.voxel_size)
    if not only_voxel_size:
        spacings = [each for each in spacings if each.tomograms]
    if not spacings:
        what = "voxel spacing" if only_voxel_size else "voxel spacing with a tomogram"
        raise AnnotationError(f"At least one {what} must be defined.", where=picks.run.name, fix="add one to the run")
    if len(spacings) > 1:
        warnings.warn(f"Multiple voxel spacings found, using the smallest ({spacings[0].voxel_size}).", stacklevel=2)
    if only_voxel_size:
        return spacings[0].voxel_size, None, None, None
    tomogram = spacings[0].tomograms[0]
    if len(spacings[0].tomograms) > 1:
        warnings.warn(f"Multiple tomograms found, using {tomogram.tomo_type}.", stacklevel=2)
    z, y, x = tomogram._folder.array(None).shape
    return spacings[0].voxel_size, x, y, z


def get_tomogram_centers_from_copick(
    root: CopickRoot, run_names: Sequence[str], voxel_spacing: float | None = None, tomo_type: str | None = None
) -> dict[str, Center]:
    """Run → the centre x, y, z in Å of its tomogram (of that spacing and type, else the finest); only where known."""
    found: dict[str, Center] = {}
    for name in run_names:
        run = root.get_run(name)
        spacings = sorted(run.voxel_spacings, key=lambda each: each.voxel_size) if run is not None else []
        for spacing in spacings:
            if voxel_spacing is not None and voxel_key(spacing.voxel_size) != voxel_key(voxel_spacing):
                continue
            tomograms = [each for each in spacing.get_tomograms(tomo_type) if not each._folder.is_empty()]
            if tomograms and name not in found:
                z, y, x = (size / 2 * spacing.voxel_size for size in tomograms[0]._folder.array(None).shape)
                found[name] = (x, y, z)
    return found


def copick_tomogram_center(
    picks: CopickPicks, voxel_spacing: float | None = None, tomo_type: str | None = None
) -> Center | None:
    """The centre x, y, z in Å of the tomogram that the picks are in, or None if the run has none."""
    for size in dict.fromkeys([voxel_spacing, None if tomo_type is None else voxel_spacing]):
        found = get_tomogram_centers_from_copick(picks.run.root, [picks.run.name], size, tomo_type)
        if picks.run.name in found:
            return found[picks.run.name]
    return None


def smallest_spacing(picks: CopickPicks) -> float | None:
    return min((each.voxel_size for each in picks.run.voxel_spacings), default=None)


# --- filaments


@dataclass
class FilamentPolarity:
    """Where the polarity was taken from (a URI), and for how many filaments it is known."""

    source: str | None
    known: int
    unknown: int


def is_filament_export(picks: CopickPicks, filament: bool | str) -> bool:
    """Whether columns of filaments are written: as told, or with ``"auto"`` if the object is declared a filament."""
    if isinstance(filament, bool):
        return filament
    if filament != "auto":
        raise AnnotationError(f"filament must be True, False or 'auto', not {filament!r}")
    found = picks.run.root.get_object(picks.pickable_object_name)
    return found is not None and found.is_filament


def _uri(each: CopickPicks | CopickFilaments) -> str:
    return f"{each.pickable_object_name}:{each.user_id}/{each.session_id}"


def polarity_filaments(picks: CopickPicks, filaments_uri: str | None = None) -> CopickFilaments | None:
    """The filaments that the picks were sampled from: of the URI, else of the same object, user and session."""
    run = picks.run
    if filaments_uri is None:
        found = run.get_filaments(picks.pickable_object_name, picks.user_id, picks.session_id)
    else:
        from tomoportal.copick.uri import resolve_copick_objects

        found = resolve_copick_objects(filaments_uri, run.root, "filaments", run.name)
        if len(found) > 1:
            found = [each for each in found if each.pickable_object_name == picks.pickable_object_name]
    if len(found) > 1:
        raise AnnotationError(
            f"{filaments_uri} matches several Filaments in {run.name} ({', '.join(map(_uri, found))}).",
            fix="name one session: ids of filaments are unique only within one",
        )
    return found[0] if found else None


def filament_polarity(
    picks: CopickPicks, filaments_uri: str | None = None
) -> tuple[NDArray[np.bool_], FilamentPolarity]:
    """Whether the polarity of each pick's filament is known, and what that rests on.

    Raises :class:`AnnotationError` if the URI names no filaments, or an id of a pick is not among them.
    """
    ids = picks.instance_ids()
    filaments = polarity_filaments(picks, filaments_uri)
    if filaments is None:
        if filaments_uri is not None and len(ids):
            raise AnnotationError(
                f"No Filaments match {filaments_uri} in {picks.run.name}, so the polarity of {_uri(picks)} is unknown.",
                fix="name the filaments that the picks were sampled from",
            )
        return np.zeros(len(ids), bool), FilamentPolarity(None, 0, len(set(ids.tolist())))
    known = {each.instance_id: each.polarity_known for each in filaments.filaments}
    missing = sorted(set(ids.tolist()) - set(known))
    if missing:
        raise AnnotationError(
            f"{len(missing)} filament IDs of {_uri(picks)} in {picks.run.name} have no filament in {_uri(filaments)}:"
            f" {missing[:20]}.",
            fix="name the filaments that the picks were sampled from",
        )
    used = {identity: known[identity] for identity in ids.tolist()}
    count = sum(used.values())
    polarity = FilamentPolarity(_uri(filaments), count, len(used) - count)
    return np.array([used[identity] for identity in ids.tolist()], dtype=bool), polarity


def filament_polarity_known(picks: CopickPicks, filaments_uri: str | None = None) -> NDArray[np.bool_]:
    """``(n,)``: whether the polarity of each pick's filament is known."""
    return filament_polarity(picks, filaments_uri)[0]


def filament_half_sets(df: Any) -> NDArray[np.int64]:
    """``(n,)`` of 1 and 2: whole filaments, the longest first, each to the smaller half, to the first if equal."""
    if not len(df):
        return np.zeros(0, np.int64)
    if TUBE not in df.columns:
        raise AnnotationError(
            f"Half sets of filaments are keyed by {TUBE}, which these {len(df)} particles do not have.",
            fix="write filament columns, or no half sets",
        )
    names = df[NAME].astype(str).tolist() if NAME in df.columns else [""] * len(df)
    return tube_halves(names, df[TUBE].to_numpy(dtype=np.int64))


def order_filament_rows(df: Any) -> Any:
    """The rows by tomogram, filament and length along it; as they are where that is not known."""
    if not has_columns(df, (TUBE, TRACK)):
        return df
    keys = [*([NAME] if NAME in df.columns else []), TUBE, TRACK]
    return df.sort_values(keys, kind="stable").reset_index(drop=True)


# --- out


def check_relion_coordinates(coordinates: str) -> None:
    """Raise :class:`AnnotationError` for coordinates that there are not."""
    if coordinates not in COORDINATES:
        raise AnnotationError(f"coordinates must be one of {COORDINATES}, not {coordinates!r}")


def check_relion_filament_options(filament_angles: str, half_sets: str | None) -> None:
    """Raise :class:`AnnotationError` for a mode that there is not."""
    if filament_angles not in FILAMENT_ANGLES:
        raise AnnotationError(f"filament_angles must be one of {FILAMENT_ANGLES}, not {filament_angles!r}")
    if half_sets not in HALF_SETS:
        raise AnnotationError(f"half_sets must be one of {HALF_SETS}, not {half_sets!r}")


def build_relion_particles_df(
    positions: NDArray[Any],
    transforms: NDArray[Any],
    *,
    tomo_name: str | None = None,
    tomogram_center: Center | None = None,
    tilt_series_pixel_size: float | None = None,
    legacy_voxel_spacing: float | None = None,
    instance_ids: NDArray[Any] | None = None,
    filament: bool = False,
    polarity_known: bool | Sequence[bool] | NDArray[Any] = False,
    coordinates: str = "auto",
    filament_angles: Literal["frame", "pose"] = "frame",
    half_sets: Literal["filament"] | None = None,
) -> Any:
    """A frame of particles from locations ``(n, 3)`` in Å and transformations ``(n, 4, 4)``.

    Centred coordinates where the centre is known, pixels where the tilt series' pixel size is. Raises
    :class:`AnnotationError` if neither is known, for matrices that are no rotations (C54), and for filaments without
    ids.
    """
    package = pandas()
    check_relion_coordinates(coordinates)
    check_relion_filament_options(filament_angles, half_sets)
    matrices = np.asarray(transforms, dtype=float).reshape(-1, 4, 4)
    poses = Poses.of(positions, matrices[:, :3, :3], matrices[:, :3, 3], None, instance_ids)
    known = np.asarray(polarity_known, dtype=bool)
    if known.shape not in ((), (len(poses),)):
        raise AnnotationError(f"polarity_known has shape {known.shape}; expected one value per pick ({len(poses)}).")
    unlike = np.abs(np.swapaxes(poses.rotations, 1, 2) @ poses.rotations - np.eye(3)).max(axis=(1, 2)) > TOLERANCE
    bad = np.flatnonzero(unlike | ~(np.linalg.det(poses.rotations) > 0))
    if len(bad):
        raise AnnotationError(
            f"{len(bad)} transformations are no rotations, and so have no angles: {bad[:20].tolist()}.",
            where=tomo_name,
            fix="give these points rotations, or leave them out",
        )
    if tilt_series_pixel_size is None and tomogram_center is None and legacy_voxel_spacing is not None:
        get_logger("tomoportal.copick").warning(
            "%s: coordinates in pixels of a tomogram at %s Å; RELION takes them for the tilt series'",
            tomo_name,
            legacy_voxel_spacing,
        )
    name = tomo_name or ""
    polar = {name: np.broadcast_to(known, (len(poses),))}
    columns, _ = particle_columns(
        {name: poses},
        {name: RelionTomogram(tomogram_center, tilt_series_pixel_size)},
        legacy_voxel_spacing,
        False,
        coordinates,
        RelionFilaments(polar, filament_angles) if filament else None,
    )
    frame = package.DataFrame(columns)
    if half_sets is not None:
        frame["rlnRandomSubset"] = filament_half_sets(frame)
    return frame


def picks_to_df_relion(
    picks: CopickPicks,
    *,
    voxel_spacing: float | None = None,
    tilt_series_pixel_size: float | None = None,
    tomogram_center: Center | None = None,
    filament: bool | str = "auto",
    polarity_known: bool | Sequence[bool] | NDArray[Any] = False,
    tomo_type: str | None = None,
    coordinates: str = "auto",
    filament_angles: Literal["frame", "pose"] = "frame",
    half_sets: Literal["filament"] | None = None,
) -> Any:
    """The picks as a frame; the centre is that of the run's tomogram unless given."""
    center = tomogram_center or copick_tomogram_center(picks, voxel_spacing, tomo_type)
    return build_relion_particles_df(
        picks.numpy()[0],
        normalize_transforms(picks),
        tomo_name=picks.run.name,
        tomogram_center=center,
        tilt_series_pixel_size=tilt_series_pixel_size,
        legacy_voxel_spacing=voxel_spacing if voxel_spacing is not None else smallest_spacing(picks),
        instance_ids=picks.instance_ids(),
        filament=is_filament_export(picks, filament),
        polarity_known=polarity_known,
        coordinates=coordinates,
        filament_angles=filament_angles,
        half_sets=half_sets,
    )
