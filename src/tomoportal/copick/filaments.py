"""Filaments: traced centrelines of one object by one user or tool in one session (reference copick-model, 16).

``points`` are the centreline that readers use. A curve behind them is kept as it is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_serializer, model_validator

from tomoportal.copick.documents import RunDocument
from tomoportal.copick.names import DocumentName
from tomoportal.copick.sources import Source
from tomoportal.errors import AnnotationError, FormatError

if TYPE_CHECKING:
    from tomoportal.copick.runs import CopickRun

__all__ = ["CURVE_KINDS", "CopickFilament", "CopickFilamentCurve", "CopickFilaments", "CopickFilamentsFile"]

CURVE_KINDS: Final = ("catmull-rom", "linear", "bspline")
_NEWEST: Final = 1

_Place = tuple[float, float, float]


class CopickFilamentCurve(BaseModel):
    """The editable or fitted curve behind a filament's points; lengths in Å. Unknown kinds and keys are kept."""

    model_config = ConfigDict(extra="allow")

    kind: str
    control_points: list[_Place]
    step: float = Field(gt=0)
    alpha: float | None = None
    degree: int | None = None
    knots: list[float] | None = None
    smoothing: float | None = None

    @model_serializer(mode="wrap")
    def _without_unset(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}

    @property
    def is_known(self) -> bool:
        return self.kind in CURVE_KINDS


class CopickFilament(BaseModel):
    """One filament: its id from 1 and at least two ordered points in Å, x, y, z."""

    model_config = ConfigDict(extra="allow", validate_assignment=True)

    instance_id: int = Field(ge=1)
    points: list[_Place]
    polarity_known: bool = False
    score: float = 1.0
    radius: float | None = Field(default=None, gt=0)
    metadata: dict[str, Any] = Field(default_factory=dict)
    curve: CopickFilamentCurve | None = None

    @field_validator("points", mode="before")
    @classmethod
    def _points_are_a_line(cls, value: Any) -> Any:
        points = np.asarray(value, dtype=float)
        if points.ndim != 2 or points.shape[1] != 3 or len(points) < 2:
            raise ValueError("A filament needs at least two points.")
        if not np.isfinite(points).all():
            raise ValueError("Filament points must be finite.")
        return points.tolist()

    def numpy(self) -> NDArray[np.float64]:
        """``(m, 3)`` points in Å, x, y, z."""
        return np.array(self.points, dtype=float)

    def reversed(self) -> CopickFilament:
        """The same filament in the other direction; a curve does not survive it here."""
        return self.model_copy(update={"points": self.points[::-1], "curve": None})


class CopickFilamentsFile(BaseModel):
    """A document of filaments. Unknown keys are kept; a newer version of the format is refused."""

    model_config = ConfigDict(extra="allow")

    pickable_object_name: str
    user_id: str
    session_id: str
    run_name: str | None = None
    voxel_spacing: float | None = None
    unit: str = "angstrom"
    version: int = 1
    filaments: list[CopickFilament] = Field(default_factory=list)

    @model_validator(mode="after")
    def _is_consistent(self) -> CopickFilamentsFile:
        if self.version > _NEWEST:
            raise ValueError(
                f"Version {self.version} of the format is newer than {_NEWEST}; install a newer tomoportal."
            )
        ids = [filament.instance_id for filament in self.filaments]
        if len(set(ids)) != len(ids):
            raise ValueError("Filament instance IDs must be unique within a file.")
        return self


class CopickFilaments(RunDocument):
    """Filaments in Å, x, y, z from the corner of the volume."""

    FOLDER = "Filaments"
    ENDING = ".json"
    WHAT = "filaments"
    LOOSE_OBJECT = True

    def __init__(
        self,
        run: CopickRun,
        file: CopickFilamentsFile,
        read_only: bool = False,
        *,
        source: Source | None = None,
        etag: str | None = None,
    ) -> None:
        self._place(
            run, DocumentName(file.user_id, file.session_id, file.pickable_object_name), read_only, source, etag
        )
        self.meta = file
        self._loaded = bool(file.filaments)

    @property
    def filaments(self) -> list[CopickFilament]:
        """The filaments; assigning validates the whole document. Saved by :meth:`store`."""
        if not self._loaded:
            self.load()
        return self.meta.filaments

    @filaments.setter
    def filaments(self, value: Iterable[CopickFilament]) -> None:
        if not self._loaded and self._etag is not None:
            seen = self._etag
            self.load()
            self._etag = seen
        self.meta = CopickFilamentsFile.model_validate(
            {**self.meta.model_dump(exclude={"filaments"}), "filaments": [each.model_dump() for each in value]}
        )
        self._loaded = True

    @property
    def voxel_spacing(self) -> float | None:
        """Of the data that were traced, in Å."""
        if not self._loaded:
            self.load()
        return self.meta.voxel_spacing

    def get(self, instance_id: int) -> CopickFilament | None:
        return next((each for each in self.filaments if each.instance_id == instance_id), None)

    def instance_ids(self) -> NDArray[np.int64]:
        """``(k,)``, one per filament."""
        return np.array([each.instance_id for each in self.filaments], np.int64)

    def numpy(self) -> list[NDArray[np.float64]]:
        """One ``(m, 3)`` array of points in Å per filament."""
        return [each.numpy() for each in self.filaments]

    def from_numpy(
        self,
        polylines: Sequence[NDArray[Any]],
        instance_ids: Sequence[int] | None = None,
        polarity_known: Sequence[bool] | None = None,
        scores: Sequence[float] | None = None,
        radii: Sequence[float | None] | None = None,
        voxel_spacing: float | None = None,
        metadata: Sequence[dict[str, Any]] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        """Replace all filaments by these ``(m, 3)`` lines in Å and store them; ids are 1, 2, … unless given."""
        columns: dict[str, Sequence[Any] | None] = {
            "instance_id": list(range(1, len(polylines) + 1)) if instance_ids is None else instance_ids,
            "polarity_known": polarity_known,
            "score": scores,
            "radius": radii,
            "metadata": metadata,
        }
        given = {name: column for name, column in columns.items() if column is not None}
        for name, column in given.items():
            if len(column) != len(polylines):
                raise AnnotationError(f"There are {len(polylines)} filaments, but {len(column)} values of {name}.")
        self.filaments = [
            CopickFilament(points=np.asarray(line).tolist(), **{name: column[n] for name, column in given.items()})
            for n, line in enumerate(polylines)
        ]
        if voxel_spacing is not None:
            self.meta.voxel_spacing = voxel_spacing
        self.store(overwrite=overwrite)

    def _empty(self) -> bytes:
        """The content of new filaments, which this object then holds."""
        self._loaded = True
        return json.dumps(self.meta.model_dump(), indent=4).encode()

    def load(self) -> CopickFilamentsFile:
        """Read the document; what was changed in memory is lost."""
        data = self._read()
        try:
            found = json.loads(data)
            names = {
                "pickable_object_name": self.pickable_object_name,
                "user_id": self.user_id,
                "session_id": self.session_id,
            }
            self.meta = CopickFilamentsFile.model_validate({**found, **names})
        except (ValueError, TypeError, RecursionError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise FormatError(f"these are no filaments: {what}", where=self.path, fix="restore a version") from error
        self._loaded = True
        return self.meta

    def refresh(self) -> None:
        self.load()

    def store(self, *, overwrite: bool = False) -> None:
        """Save; as :meth:`CopickPicks.store <tomoportal.copick.picks.CopickPicks.store>`, without merging."""
        self._source.refuse_if_read_only("store filaments")
        if self._loaded:
            checked = CopickFilamentsFile.model_validate(self.meta.model_dump())
            self._write(json.dumps(checked.model_dump(), indent=4).encode(), overwrite=overwrite)

    def delete(self) -> None:
        self._delete_data()
        self.run._drop(self)
