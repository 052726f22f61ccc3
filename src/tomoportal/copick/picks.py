"""Picks: the points that one user or tool found of one object in one session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.documents import RunDocument
from tomoportal.copick.names import DocumentName
from tomoportal.copick.pick_documents import (
    PicksDocument,
    PickTable,
    compact,
    merge_tables,
    non_rigid,
    point_names,
    table_of,
)
from tomoportal.copick.pick_input import read_picks
from tomoportal.copick.pick_output import write_picks
from tomoportal.copick.points import CopickLocation, CopickPicksFile, CopickPoint
from tomoportal.copick.sources import Source
from tomoportal.copick.versions import Version
from tomoportal.errors import AnnotationError, ConflictError, NotFoundError

if TYPE_CHECKING:
    from tomoportal.copick.runs import CopickRun

__all__ = ["CopickPicks", "PickArrays", "PicksDifference"]

_NAMES = ("pickable_object_name", "user_id", "session_id")
_DEFAULTS = {"run_name": None, "voxel_spacing": None, "unit": "angstrom", "trust_orientation": True}
_EMPTY = PickTable(np.zeros((0, 3)))


@dataclass(frozen=True)
class PickArrays:
    """All points of a document. Lengths in Å, order x, y, z; n points."""

    positions: NDArray[np.float64]
    """(n, 3): locations, as stored."""
    rotations: NDArray[np.float64]
    """(n, 3, 3), from the object into the tomogram."""
    translations: NDArray[np.float64]
    """(n, 3): what is added to the location to get the centre."""
    instance_ids: NDArray[np.int64]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class PicksDifference:
    """What the other list holds that this one does not, and the other way round; points as their arrays' rows."""

    added: NDArray[np.float64]
    """(n, 3) positions only in the other list."""
    removed: NDArray[np.float64]
    """(n, 3) positions only in this list."""
    changed: int
    """Points in both lists whose instance id, score or further keys differ."""


class CopickPicks(RunDocument):
    """Points in Å, x, y, z from the corner of the volume. Arrays until somebody asks for :attr:`points`."""

    FOLDER = "Picks"
    ENDING = ".json"
    WHAT = "picks"

    def __init__(
        self,
        run: CopickRun,
        file: CopickPicksFile,
        read_only: bool = False,
        *,
        source: Source | None = None,
        etag: str | None = None,
    ) -> None:
        name = DocumentName(file.user_id, file.session_id, file.pickable_object_name)
        self._place(run, name, read_only, source, etag)
        self._meta = file
        self._points: list[CopickPoint] | None = file.points or None
        self._table: PickTable | None = None
        self._loaded = bool(file.points)
        self._saved: PicksDocument | None = None

    # --- content

    @property
    def meta(self) -> CopickPicksFile:
        """The document; its points are filled in once they were asked for."""
        return self._meta

    @meta.setter
    def meta(self, file: CopickPicksFile) -> None:
        self._meta = file
        self._points, self._table, self._loaded = list(file.points or []), None, True

    @property
    def trust_orientation(self) -> bool | None:
        """Whether the rotations mean anything. May be set; saved by :meth:`store`."""
        self._ensure()
        return self._meta.trust_orientation

    @trust_orientation.setter
    def trust_orientation(self, value: bool) -> None:
        self._ensure()
        self._meta.trust_orientation = value

    @property
    def points(self) -> list[CopickPoint]:
        """The points as objects. Changes are saved by :meth:`store`; an assigned list is in memory until then (C13)."""
        if self._points is None:
            self._ensure()
            self._points = _objects(self._table or _EMPTY)
            self._meta.points = self._points
        return self._points

    @points.setter
    def points(self, value: Iterable[CopickPoint]) -> None:
        self._points = list(value)
        self._meta.points = self._points
        self._table, self._loaded = None, True

    def _ensure(self) -> None:
        if not self._loaded:
            self._hold(self._decoded(self._read(first=True)))

    def _current(self) -> PickTable:
        self._ensure()
        if self._points is not None and self._meta.points is not self._points:
            self._points = list(self._meta.points or [])  # somebody changed meta instead
        return self._table or _EMPTY if self._points is None else _table_of_objects(self._points)

    def arrays(self) -> PickArrays:
        """Everything about the points as arrays, without an object per point (C65)."""
        table = self._current()
        return PickArrays(
            table.positions.copy(), table.all_rotations(), table.all_translations(), table.all_ids(), table.all_scores()
        )

    def numpy(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Locations ``(n, 3)`` in Å, x, y, z, and transformations ``(n, 4, 4)``, whose translation is not added."""
        table = self._current()
        return table.positions.copy(), table.all_transforms()

    def full_positions(self) -> NDArray[np.float64]:
        """Centres ``(n, 3)`` in Å: location plus translation."""
        table = self._current()
        return table.positions.copy() if table.translations is None else table.positions + table.translations

    def instance_ids(self) -> NDArray[np.int64]:
        """``(n,)``; 0 where a point belongs to no instance."""
        return self._current().all_ids()

    def scores(self) -> NDArray[np.float64]:
        """``(n,)``; 1.0 where a point has none."""
        return self._current().all_scores()

    def from_numpy(
        self,
        positions: NDArray[Any],
        transforms: NDArray[Any] | None = None,
        instance_ids: NDArray[Any] | None = None,
        scores: NDArray[Any] | None = None,
        *,
        overwrite: bool = False,
        allow_non_rigid: bool = False,
    ) -> None:
        """Replace all points and store them: ``(n, 3)`` Å, ``(n, 4, 4)``, ``(n,)``, ``(n,)``.

        Raises :class:`AnnotationError` for arrays that do not fit, else as :meth:`store`.
        """
        table = table_of(positions, transforms, instance_ids, scores)
        self._keep_fields()
        self._table, self._points, self._loaded = table, None, True
        self._meta.points = []
        self.store(overwrite=overwrite, allow_non_rigid=allow_non_rigid)

    def df(self, format: str = "relion", **kwargs: Any) -> Any:
        """A pandas data frame in RELION's columns; ``kwargs`` are those of :func:`.picks_to_df_relion`.

        Raises :class:`MissingPartError` without pandas.
        """
        from tomoportal.copick.particles.relion_frames import picks_to_df_relion

        _check_format(format)
        return picks_to_df_relion(self, **kwargs)

    def from_df(self, df: Any, format: str = "relion", **kwargs: Any) -> None:
        """Replace all points by the rows of a data frame in RELION's columns, and store them."""
        from tomoportal.copick.particles.relion_rows import relion_df_to_picks

        _check_format(format)
        relion_df_to_picks(self, df, **kwargs)

    def _keep_fields(self) -> None:
        """Know the document's other keys before its points are replaced, so that a save keeps them (C10)."""
        if self._saved is None and self._etag is not None:
            self._load_base()

    def _load_base(self) -> None:
        """Read what is stored, as the base of changes: but if somebody saved since it was listed, nobody knows it."""
        seen = self._etag
        self.load()
        if self._etag != seen:
            self._saved, self._etag = None, seen

    def _empty(self) -> bytes:
        """The content of new picks, which this object then holds."""
        self._loaded, self._table = True, _EMPTY
        self._saved = PicksDocument(_EMPTY, self._fields())
        return write_picks(_EMPTY, self._saved.fields)

    # --- store

    def load(self) -> CopickPicksFile:
        """Read the document; what was changed in memory is lost. Returns :attr:`meta`."""
        return self._hold(self._decoded(self._read()))

    def _decoded(self, data: bytes) -> PicksDocument:
        return read_picks(data, self.path)

    def _hold(self, document: PicksDocument) -> CopickPicksFile:
        self._saved = document
        self._table, self._points, self._loaded = document.table, None, True
        fields = dict(document.fields)
        for name, told in zip(_NAMES, (self.pickable_object_name, self.user_id, self.session_id), strict=True):
            if fields.get(name) != told:
                self._report(
                    f"{name} in the file is {fields.get(name)!r}, its name says {told!r}",
                    "the file's name counts; the next save corrects the content",
                )
            fields[name] = told
        self._meta = type(self._meta).model_validate({**fields, "unit": fields.get("unit") or "angstrom", "points": []})
        bad = non_rigid(document.table)
        if len(bad):
            self._report(f"{len(bad)} transformations are no rotations, the first of point {bad[0]}", "save rigid ones")
        if not np.isfinite(document.table.positions).all():
            self._report("some positions are not finite", "remove these points")
        return self._meta

    def store(self, *, overwrite: bool = False, merge: bool = False, allow_non_rigid: bool = False) -> None:
        """Save. What equals the saved state is not written again (C4).

        A document that somebody else saved since it was loaded is not replaced: :class:`ConflictError` is raised,
        unless ``merge`` puts both lists together (a point is its location and orientation) or ``overwrite`` replaces
        theirs, which stays in the history. Raises :class:`PermissionError` in a read-only source and
        :class:`AnnotationError` for points that are not finite, or not rigid unless ``allow_non_rigid``.
        """
        self._source.refuse_if_read_only("store picks")
        if not self._loaded:
            return
        if self._saved is None and self._etag is not None:
            self._take_blindly()
        while True:
            table = self._current()
            self._check(table, allow_non_rigid)
            fields = self._fields()
            if self._saved and not overwrite and self._is_saved(table, fields):
                return
            try:
                compact = bool(self.run.root.config.compact)
                self._write(write_picks(table, fields, compact=compact), overwrite=overwrite)
            except ConflictError:
                if not merge:
                    raise
                self._merge(table, fields)
                continue
            self._saved = PicksDocument(table, fields)
            return

    def _take_blindly(self) -> None:
        """Points that were assigned without loading, and what else was, become changes of what is stored (C10)."""
        points, table, told = self._points, self._table, self._meta.model_dump(exclude_unset=True)
        self._load_base()
        self._meta = type(self._meta).model_validate({**self._meta.model_dump(), **told, "points": []})
        self._points, self._table = points, table
        if points is not None:
            self._meta.points = points

    def _merge(self, mine: PickTable, fields: dict[str, Any]) -> None:
        """Put my changes of the base into what somebody else saved; without a base, nothing of theirs is removed."""
        base = self._saved or PicksDocument(_EMPTY)
        try:
            theirs = self._decoded(self._read())
        except NotFoundError:
            self._saved = self._etag = self._checksum = None
            return
        old = {**_DEFAULTS, **base.fields}
        changed = {key: value for key, value in fields.items() if key not in old or old[key] != value}
        self._hold(theirs)
        self._table = merge_tables(base.table, mine, theirs.table)
        self._meta = type(self._meta).model_validate({**self._meta.model_dump(), **changed, "points": []})

    def _fields(self) -> dict[str, Any]:
        fields = self._meta.model_dump(exclude={"points"})
        if self._saved is not None:
            for key, value in self._saved.fields.items():
                fields.setdefault(key, value)
        names = (self.pickable_object_name, self.user_id, self.session_id)
        return {**fields, **dict(zip(_NAMES, names, strict=True)), "unit": "angstrom"}

    def _is_saved(self, table: PickTable, fields: dict[str, Any]) -> bool:
        return (
            self._saved is not None
            and self._saved.table.same_as(table)
            and {**_DEFAULTS, **self._saved.fields} == {**_DEFAULTS, **fields}
        )

    def _check(self, table: PickTable, allow_non_rigid: bool) -> None:
        if self._saved is not None and table is self._saved.table:
            return  # what was read may be written again
        if not np.isfinite(table.positions).all() or (table.scores is not None and not np.isfinite(table.scores).all()):
            raise AnnotationError("Positions and scores must be finite.", where=self.path, fix="remove these points")
        if table.instance_ids is not None and (table.instance_ids < 0).any():
            raise AnnotationError("instance_ids must be >= 0.", where=self.path, fix="use 0 for no instance")
        bad = non_rigid(table)
        if not len(bad) or allow_non_rigid:
            return
        known = non_rigid(self._saved.table) if self._saved else ()
        if len(bad) > len(known):
            raise AnnotationError(
                f"{len(bad)} transformations are no rotations, the first of point {bad[0]}.",
                where=self.path,
                fix="give orthonormal 3×3 matrices without reflection, or say allow_non_rigid=True",
            )

    def delete(self) -> None:
        """Remove the document; its last state stays in the history."""
        self._delete_data()
        self._points, self._table, self._saved, self._loaded = None, None, None, True
        self.run._drop(self)

    # --- versions

    def diff(self, other: CopickPicks | int | Version | None = None) -> PicksDifference:
        """How another list differs from this one: other picks, a previous version, or (None) what is stored now."""
        mine = self._current()
        if isinstance(other, CopickPicks):
            theirs = other._current()
        elif other is None:
            theirs = self._decoded(self._source.store.get(self._key)).table
        else:
            theirs = self._decoded(self._previous(other)).table
        return _difference(mine, theirs)


def _check_format(name: str) -> None:
    if name != "relion":
        raise AnnotationError(f"Format {name} is not supported.", fix="use format='relion'")


def _difference(mine: PickTable, theirs: PickTable) -> PicksDifference:
    here, there = ({name: row for row, name in enumerate(point_names(table))} for table in (mine, theirs))
    added = [row for name, row in there.items() if name not in here]
    removed = [row for name, row in here.items() if name not in there]
    both = [(here[name], row) for name, row in there.items() if name in here]
    one, other = mine.take([row for row, _ in both]), theirs.take([row for _, row in both])
    unlike = (one.all_ids() != other.all_ids()) | (one.all_scores() != other.all_scores())
    if one.extras != other.extras:
        nothing: tuple[dict[str, Any], ...] = ({},) * one.count
        pairs = zip(one.extras or nothing, other.extras or nothing, strict=True)
        unlike = unlike | np.array([first != second for first, second in pairs], dtype=bool)
    return PicksDifference(theirs.positions[added], mine.positions[removed], int(unlike.sum()))


def _objects(table: PickTable) -> list[CopickPoint]:
    positions, transforms = table.positions.tolist(), table.all_transforms().tolist()
    ids, scores = table.all_ids().tolist(), table.all_scores().tolist()
    if table.extras is None:
        return [
            CopickPoint.model_construct(
                location=CopickLocation.model_construct(x=x, y=y, z=z),
                transformation_=matrix,
                instance_id=identity,
                score=score,
            )
            for (x, y, z), matrix, identity, score in zip(positions, transforms, ids, scores, strict=True)
        ]
    return [
        CopickPoint.model_validate(
            {
                **{key: value for key, value in extra.items() if key != "location"},
                "location": {"x": x, "y": y, "z": z, **extra.get("location", {})},
                "transformation_": matrix,
                "instance_id": identity,
                "score": score,
            }
        )
        for (x, y, z), matrix, identity, score, extra in zip(
            positions, transforms, ids, scores, table.extras, strict=True
        )
    ]


def _table_of_objects(points: list[CopickPoint]) -> PickTable:
    extras: list[dict[str, Any]] = []
    for point in points:
        extra = dict(point.__pydantic_extra__ or {})
        if point.location.__pydantic_extra__:
            extra["location"] = dict(point.location.__pydantic_extra__)
        extras.append(extra)
    count = len(points)
    return compact(
        np.array([(p.location.x, p.location.y, p.location.z) for p in points], np.float64).reshape(count, 3),
        np.array([p.transformation for p in points], np.float64).reshape(count, 4, 4),
        np.array([p.instance_id or 0 for p in points], np.int64),
        np.array([1.0 if p.score is None else p.score for p in points], np.float64),
        tuple(extras),
    )
