"""What the demo simulates: two datasets, their runs, and the scale (full for people, tiny for tests)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tomoportal.demo.specimen import Recipe

__all__ = ["DATASETS", "DEPOSITION", "SCALES", "Dataset", "Run", "Scale", "ScaleName"]

ScaleName = Literal["full", "tiny"]

DEPOSITION = 10300
_TOTAL_DOSE = 120.0  # e⁻/Å²


@dataclass(frozen=True)
class Dataset:
    """A dataset of the demo: archive id, folder of the lab, ground-truth format of its particles."""

    identifier: int
    folder: str
    title: str
    description: str


@dataclass(frozen=True)
class Run:
    """One tilt series to simulate. ``defocus`` is the target in Å, ``seed`` makes it different from the others."""

    name: str
    dataset: Dataset
    recipe: Recipe
    seed: int
    defocus: float
    tilt_axis: float
    quality: int


@dataclass(frozen=True)
class Scale:
    """Size of the simulation. ``shape`` is that of the tomogram, (z, y, x); ``pixel`` in Å; the stack is square."""

    name: ScaleName
    shape: tuple[int, int, int]
    pixel: float
    tilt_limit: float
    tilt_step: float
    runs: tuple[Run, ...]
    pick_threshold: float
    """Robust standard deviations of the picker's correlation map: where it is right often, not always."""

    @property
    def sections(self) -> int:
        return 2 * round(self.tilt_limit / self.tilt_step) + 1

    @property
    def dose(self) -> float:
        """e⁻/Å² per section, four decimals."""
        return round(_TOTAL_DOSE / self.sections, 4)


CYTOSOL = Dataset(
    10000,
    "cytosol",
    "In-silico cytosol with membrane vesicles",
    "Simulated tilt series and tomograms of a crowded cytosol: 80S ribosomes, 20S proteasomes and ferritin of known"
    " position and orientation, ATP synthases on deformed lipid vesicles, actin filaments, and thousands of smaller"
    " proteins that nobody annotated.",
)
IN_VITRO = Dataset(
    10001,
    "in_vitro",
    "In-silico mixture of purified complexes",
    "Simulated tilt series and tomograms of purified complexes in a thin film of ice: virus-like capsids, 80S"
    " ribosomes, ferritin, beta-galactosidase and thyroglobulin of known position and orientation, and gold beads.",
)
DATASETS = (CYTOSOL, IN_VITRO)


def _full() -> Scale:
    shape, pixel = (128, 384, 384), 10.08
    box = (shape[2] * pixel, shape[1] * pixel, shape[0] * pixel)

    def cytosol(ribosomes: int, vesicles: int, filaments: int) -> Recipe:
        return Recipe(
            box,
            1050.0,
            {"ribosome": ribosomes, "proteasome": 50, "ferritin": 40, "atp-synthase": 12 * vesicles},
            vesicles=vesicles,
            vesicle_radius=(330.0, 560.0),
            filaments=filaments,
            crowders=9000,
            gold=6,
        )

    def in_vitro(capsids: int, ribosomes: int) -> Recipe:
        counts = {
            "capsid": capsids,
            "ribosome": ribosomes,
            "ferritin": 70,
            "beta-galactosidase": 70,
            "thyroglobulin": 60,
        }
        return Recipe(box, 800.0, counts, gold=12)

    return Scale(
        "full",
        shape,
        pixel,
        60.0,
        3.0,
        (
            Run("TS_001", CYTOSOL, cytosol(140, 4, 6), 11, 45_000.0, 84.1, 5),
            Run("TS_002", CYTOSOL, cytosol(110, 6, 5), 12, 40_000.0, 84.1, 4),
            Run("TS_003", CYTOSOL, cytosol(160, 2, 8), 13, 50_000.0, 84.1, 4),
            Run("TS_101", IN_VITRO, in_vitro(24, 40), 21, 35_000.0, 84.3, 5),
            Run("TS_102", IN_VITRO, in_vitro(16, 60), 22, 42_500.0, 84.3, 4),
        ),
        12.0,
    )


def _tiny() -> Scale:
    shape, pixel = (48, 96, 96), 10.08
    box = (shape[2] * pixel, shape[1] * pixel, shape[0] * pixel)
    cytosol = Recipe(
        box,
        420.0,
        {"ribosome": 6, "proteasome": 4, "ferritin": 4, "atp-synthase": 2},
        vesicles=1,
        vesicle_radius=(140.0, 160.0),
        filaments=1,
        filament_length=500.0,
        crowders=200,
        gold=2,
    )
    in_vitro = Recipe(
        box, 420.0, {"capsid": 2, "ribosome": 5, "ferritin": 4, "beta-galactosidase": 4, "thyroglobulin": 3}, gold=3
    )
    return Scale(
        "tiny",
        shape,
        pixel,
        60.0,
        6.0,
        (
            Run("TS_001", CYTOSOL, cytosol, 31, 45_000.0, 84.1, 5),
            Run("TS_101", IN_VITRO, in_vitro, 41, 40_000.0, 84.3, 4),
        ),
        5.0,
    )


SCALES = {"full": _full, "tiny": _tiny}
