"""RELION's particle lists among the handlers of formats (``copick.util.handlers.picks.star``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from tomoportal.copick.particles.handlers import (
    Array,
    FormatCapabilities,
    PicksData,
    PicksFileHandler,
    poses_of,
    put_file,
)
from tomoportal.copick.particles.index_maps import read_bytes
from tomoportal.copick.particles.relion_frames import Center, check_relion_filament_options
from tomoportal.errors import AnnotationError
from tomoportal.formats.poses import Poses
from tomoportal.formats.relion_columns import NAME
from tomoportal.formats.relion_particles import RelionFilaments, RelionTomogram, write_relion
from tomoportal.formats.star import read_star

__all__ = ["STARPicksHandler", "star_handler"]


class STARPicksHandler(PicksFileHandler):
    """Particle lists of RELION. Tomograms are those of ``copick.util.formats``, or have the same attributes."""

    format_name = "star"
    extensions = (".star",)
    capabilities = FormatCapabilities(True, True, True, True, False, True, True)

    def _data(self, poses: Poses) -> PicksData:
        positions, transforms, _ = super()._data(poses)
        return positions, transforms, None, poses.instance_ids if poses.instance_ids.any() else None

    def read(
        self,
        path: str,
        voxel_spacing: float | None,
        tomogram_centers: Mapping[str, Center] | None = None,
        tomo_name: str | None = None,
        relion_version: str | None = None,
        *,
        tilt_series_pixel_size: float | None = None,
        tomogram_center: Center | None = None,
        tomograms: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> PicksData:
        """The picks of one tomogram, or of all; ``tomogram_center`` (Å) is that of every particle."""
        known: Mapping[str, Any] = _relion_tomograms(tomograms, tomogram_centers)
        if tomogram_center is not None:
            known = dict.fromkeys(_tomograms_in(path), RelionTomogram(tomogram_center))
        options = {"tilt_series_pixel_size": tilt_series_pixel_size, "tomograms": known}
        return self._read(path, voxel_spacing, tomo_name or "", relion_version=relion_version or "auto", **options)

    def read_grouped(
        self,
        path: str,
        voxel_spacing: float | None,
        index_to_run: Mapping[int, str] | None = None,
        tomogram_centers: Mapping[str, Center] | None = None,
        relion_version: str | None = None,
        *,
        tilt_series_pixel_size: float | None = None,
        tomograms: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, PicksData]:
        """Run → its picks, by the names in the file; numbers are not looked at."""
        found = self._particles(
            path,
            voxel_spacing,
            relion_version=relion_version or "auto",
            tilt_series_pixel_size=tilt_series_pixel_size,
            tomograms=_relion_tomograms(tomograms, tomogram_centers),
        )
        if "" in found.by_name:
            raise AnnotationError(
                "STAR file does not contain rlnTomoName column, so its particles cannot be grouped by tomogram.",
                where=path,
                fix="add it as picks of one run",
            )
        return {run: self._data(poses) for run, poses in found.by_name.items()}

    def write(
        self,
        path: str,
        positions: Array,
        transforms: Array,
        voxel_spacing: float | None,
        include_optics: bool = True,
        *,
        tomo_name: str | None = None,
        tomogram_center: Center | None = None,
        tilt_series_pixel_size: float | None = None,
        tomogram: Any = None,
        instance_ids: Array | None = None,
        filament: bool = False,
        polarity_known: bool | Array = False,
        coordinates: Literal["auto", "centered"] = "auto",
        filament_angles: Literal["frame", "pose"] = "frame",
        half_sets: Literal["filament"] | None = None,
        **kwargs: Any,
    ) -> str:
        """The picks of one tomogram; the rest as in :meth:`write_grouped`."""
        name = tomo_name or ""
        return self.write_grouped(
            path,
            {name: (positions, transforms, None)},
            voxel_spacing,
            include_optics=include_optics,
            tomogram_centers={name: tomogram_center} if tomogram_center is not None else None,
            tilt_series_pixel_size=tilt_series_pixel_size,
            tomograms={name: tomogram} if tomogram is not None else None,
            grouped_instance_ids={name: instance_ids} if instance_ids is not None else None,
            filament=filament,
            polarity_known=polarity_known if isinstance(polarity_known, bool) else {name: polarity_known},
            coordinates=coordinates,
            filament_angles=filament_angles,
            half_sets=half_sets,
        )

    def write_grouped(  # upstream takes more before the keywords, and no numbers of runs
        self,
        path: str,
        grouped_data: Mapping[str, PicksData],
        voxel_spacing: float | None,
        run_to_index: Mapping[str, int] | None = None,
        include_optics: bool = True,
        *,
        tomogram_centers: Mapping[str, Center] | None = None,
        tilt_series_pixel_size: float | Mapping[str, float] | None = None,
        tomograms: Mapping[str, Any] | None = None,
        grouped_instance_ids: Mapping[str, Array] | None = None,
        filament: bool = False,
        polarity_known: bool | Mapping[str, bool | Array] = False,
        coordinates: Literal["auto", "centered"] = "auto",
        filament_angles: Literal["frame", "pose"] = "frame",
        half_sets: Literal["filament"] | None = None,
        **kwargs: Any,
    ) -> str:
        """One file of several runs: centred coordinates where every centre is known, pixels where every pixel size is.

        Lengths in Å. Entries of ``tomograms`` count before ``tomogram_centers``; optics are written with pixels.
        ``polarity_known`` says for which points of filaments the order is the direction. Raises
        :class:`FormatError` where centres or pixel sizes are missing.
        """
        check_relion_filament_options(filament_angles, half_sets)
        if half_sets is not None and not filament:
            raise AnnotationError("Half sets of whole filaments need filament columns.", fix="set filament=True")
        ids = grouped_instance_ids or {}
        runs = {run: poses_of(data[0], data[1], None, ids.get(run)) for run, data in grouped_data.items()}
        known = _relion_tomograms(tomograms, tomogram_centers)
        for run in runs:
            given = tilt_series_pixel_size
            size = given.get(run) if isinstance(given, Mapping) else given
            if size is not None:
                known[run] = replace(known.get(run, RelionTomogram()), pixel_size=size)
        polar = dict.fromkeys(runs, polarity_known) if isinstance(polarity_known, bool) else polarity_known
        spread = {run: np.broadcast_to(np.asarray(each, bool), len(runs[run])) for run, each in polar.items()}
        filaments = RelionFilaments(spread, filament_angles, half_sets is not None) if filament else None
        data = write_relion(
            runs,
            known,
            voxel_spacing=voxel_spacing,
            include_optics=include_optics,
            coordinates=coordinates,
            filaments=filaments,
        )
        return put_file(path, data)


def _relion_tomograms(
    tomograms: Mapping[str, Any] | None, centers: Mapping[str, Center] | None
) -> dict[str, RelionTomogram]:
    found = {name: RelionTomogram(center) for name, center in (centers or {}).items()}
    for name, each in (tomograms or {}).items():
        optics = {
            "rlnVoltage": each.voltage,
            "rlnSphericalAberration": each.spherical_aberration,
            "rlnAmplitudeContrast": each.amplitude_contrast,
        }
        known = {label: value for label, value in optics.items() if value is not None}
        found[name] = RelionTomogram(each.center_angstrom, each.tilt_series_pixel_size, known)
    return found


def _tomograms_in(path: str) -> list[str]:
    star = read_star(read_bytes(Path(path)), Path(path).name)
    names = [name for table in star.tables if NAME in table for name in table.text(NAME)]
    return list(dict.fromkeys(names)) or [""]


star_handler: Final = STARPicksHandler()
