"""Points as objects, for scripts that handle them one by one; arrays are in :mod:`.pick_documents`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, field_validator

from tomoportal.copick.lazy_models import LazyModel

__all__ = ["CopickLocation", "CopickPicksFile", "CopickPoint"]

_IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def _identity() -> list[list[float]]:
    return [list(row) for row in _IDENTITY]


class CopickLocation(LazyModel):
    """A place in Å from the corner of the volume, x, y, z."""

    model_config = ConfigDict(extra="allow")

    x: float
    y: float
    z: float


class CopickPoint(LazyModel):
    """One picked place: its location in Å, the 4×4 transformation from the object into the tomogram, id and score."""

    model_config = ConfigDict(extra="allow")

    location: CopickLocation
    transformation_: list[list[float]] | None = Field(default_factory=_identity)
    instance_id: int | None = 0
    score: float | None = 1.0

    @field_validator("transformation_", mode="before")
    @classmethod
    def _is_affine(cls, value: Any) -> Any:
        matrix = np.asarray(value, dtype=float) if value is not None else np.empty(0)
        if matrix.shape != (4, 4):
            raise ValueError("transformation must be a 4x4 matrix.")
        if matrix[3, 3] != 1.0:
            raise ValueError("Last element of transformation matrix must be 1.0.")
        if not np.allclose(matrix[3, :], (0.0, 0.0, 0.0, 1.0)):
            raise ValueError("Last row of transformation matrix must be [0, 0, 0, 1].")
        return matrix.tolist() if isinstance(value, np.ndarray) else value

    @property
    def transformation(self) -> NDArray[np.float64]:
        """The 4×4 matrix, row-major; its translation in Å is added to the location."""
        return np.array(self.transformation_ or _IDENTITY, dtype=float)

    @transformation.setter
    def transformation(self, value: NDArray[np.float64]) -> None:
        matrix = np.asarray(value, dtype=float)
        # An assertion, not an error of ours: callers of the other library catch it (reference copick-api, 17).
        if matrix.shape != (4, 4):
            raise AssertionError("transformation must be a 4x4 matrix.")
        if matrix[3, 3] != 1.0:
            raise AssertionError("Last element of transformation matrix must be 1.0.")
        if not np.allclose(matrix[3, :], (0.0, 0.0, 0.0, 1.0)):
            raise AssertionError("Last row of transformation matrix must be [0, 0, 0, 1].")
        self.transformation_ = matrix.tolist()


class CopickPicksFile(LazyModel):
    """A document of picks. Unknown keys are kept."""

    model_config = ConfigDict(extra="allow")

    pickable_object_name: str
    user_id: str
    session_id: str
    run_name: str | None = None
    voxel_spacing: float | None = None
    unit: str = "angstrom"
    points: list[CopickPoint] | None = Field(default_factory=list)
    trust_orientation: bool | None = True
