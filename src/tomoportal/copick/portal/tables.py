"""What a project asks its portal for: a handful of questions for any number of runs.

Reference copick-portal, 8 and 15. Every kind of listing (runs; images; annotations) is asked for when it is first
needed, for all runs at once, with the columns that listings use; the other columns of annotations and tomograms when
somebody looks at one of them. Questions name ranges of ids, so they are short, the same in every program, and may be
asked conditionally.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from tomoportal.copick.portal.answers import Answers, Data
from tomoportal.copick.portal.rows import from_wire, selection
from tomoportal.errors import NotFoundError, Problem

__all__ = ["SHAPE_TYPES", "Tables"]

Row = dict[str, Any]

POINTS: Final = ("Point", "OrientedPoint", "InstanceSegmentation")
MASKS: Final = ("SegmentationMask", "InstanceSegmentationMask")
MESHES: Final = ("Mesh",)
CAPTIONS: Final = ("GlobalCaption", "AnnotationCaption")
SHAPE_TYPES: Final = (*POINTS, *MASKS, *MESHES)
_FORMATS: Final = {**dict.fromkeys(POINTS, "ndjson"), **dict.fromkeys(MASKS, "zarr"), **dict.fromkeys(MESHES, "glb")}

_RUNS_AT_A_TIME: Final = 500
_QUESTIONS_AT_A_TIME: Final = 4

# RUNS and IDS are put in when the question is asked.
_RUNS: Final = "{ datasets(where: {id: {_in: IDS}}) { id } runs(where: {datasetId: {_in: IDS}}) { id name datasetId } }"
_IMAGES: Final = (
    "{ tomogramVoxelSpacings(where: {run: RUNS}) { id runId voxelSpacing }"
    " tomograms(where: {tomogramVoxelSpacing: {run: RUNS}}) { id tomogramVoxelSpacingId reconstructionMethod processing"
    " processingSoftware ctfCorrected isVisualizationDefault s3OmezarrDir httpsOmezarrDir } }"
)
_OF_FILES: Final = (
    "{ id format s3Path httpsPath tomogramVoxelSpacing { voxelSpacing }"
    " annotationShape { id shapeType annotation { id runId objectId objectName } } }"
)
_FILES: Final = (
    '{ annotationFiles(where: {format: {_in: ["glb" "ndjson" "zarr"]} annotationShape: {annotation: {run: RUNS}'
    f" shapeType: {{_in: [{' '.join(SHAPE_TYPES)}]}}}}}}) {_OF_FILES} }}"
)
_CAPTIONS: Final = (
    "{ annotationFiles(where: {annotationShape: {annotation: {run: RUNS}"
    f" shapeType: {{_in: [{' '.join(CAPTIONS)}]}}}}}}) {_OF_FILES} }}"
)
_ANNOTATION_DETAILS: Final = (
    f"{{ annotations(where: {{run: RUNS}}) {{ {selection('Annotation')} }}"
    f" annotationFiles(where: {{annotationShape: {{annotation: {{run: RUNS}}}}}}) {{ {selection('AnnotationFile')} }}"
    " annotationAuthors(where: {annotation: {run: RUNS}}) { annotationId authorListOrder name } }"
)
_TOMOGRAM_DETAILS: Final = (
    f"{{ tomograms(where: {{tomogramVoxelSpacing: {{run: RUNS}}}}) {{ {selection('Tomogram')} }}"
    " tomogramAuthors(where: {tomogram: {tomogramVoxelSpacing: {run: RUNS}}}) { tomogramId authorListOrder name } }"
)


class Tables:
    """The rows of the datasets of a project, by what they belong to. Safe to use from many threads."""

    def __init__(self, answers: Answers, dataset_ids: Sequence[int], tell: Callable[[Problem], None]) -> None:
        self._answers = answers
        self._dataset_ids = sorted(set(dataset_ids))
        self._tell = tell
        self._lock = threading.RLock()
        self._revalidate = False
        self._known: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def forget(self) -> None:
        """Ask the portal whether what is known still holds, the next time that it is used (C82)."""
        with self._lock:
            self._known.clear()
            self._revalidate = True

    def _once(self, kind: str, make: Callable[[], Any]) -> Any:
        with self._lock:
            if kind not in self._known:
                self._known[kind] = make()
            return self._known[kind]

    # --- the questions

    def _ask(self, query: str, smaller: Callable[[], Data] | None = None) -> Data:
        return self._answers.get(query, revalidate=self._revalidate, smaller=smaller)

    def _for_all_runs(self, query: str) -> Data:
        """The rows of all runs, asked for in ranges of ids, several at a time."""
        ids = sorted(self.runs())
        ranges = [ids[start : start + _RUNS_AT_A_TIME] for start in range(0, len(ids), _RUNS_AT_A_TIME)]
        if len(ranges) < 2:
            return self._for_runs(query, ids) if ids else defaultdict(list)
        with ThreadPoolExecutor(_QUESTIONS_AT_A_TIME, "portal") as pool:
            return _joined(list(pool.map(lambda some: self._for_runs(query, some), ranges)))

    def _for_runs(self, query: str, ids: list[int]) -> Data:
        """The rows of a range of runs; a portal that cannot answer for so many is asked for halves."""

        def halves() -> Data:
            half = len(ids) // 2
            return _joined([self._for_runs(query, some) for some in (ids[:half], ids[half:])])

        runs = f"{{datasetId: {{_in: {self._dataset_ids}}} id: {{_gte: {ids[0]} _lte: {ids[-1]}}}}}"
        return self._ask(query.replace("RUNS", runs), halves if len(ids) > 1 else None)

    # --- runs

    def runs(self) -> dict[int, Row]:
        """``id``, ``name`` and ``datasetId`` of all runs, by id and sorted by it.

        Raises :class:`NotFoundError` if the portal has none of the datasets; single ones that it lacks are reported.
        """
        return self._once("runs", self._read_runs)  # type: ignore[no-any-return]

    def _read_runs(self) -> dict[int, Row]:
        data = self._ask(_RUNS.replace("IDS", str(self._dataset_ids)))
        missing = sorted(set(self._dataset_ids) - {row["id"] for row in data["datasets"]})
        if missing:
            where, said = self._answers.endpoint.url, ", ".join(map(str, missing))
            what = f"the portal has no dataset {said}"
            fix = "correct dataset_ids in the config; datasets appear at their release date"
            if len(missing) == len(self._dataset_ids):
                raise NotFoundError(what, where=where, fix=fix)
            self._tell(Problem(where, what, fix))
        return {row["id"]: row for row in sorted(data["runs"], key=lambda row: row["id"])}

    def run_id(self, name: str) -> int | None:
        """The run whose id, or else whose name on the portal, is ``name`` (C76); the lowest id if several have it."""
        runs = self.runs()
        if name.isdecimal() and int(name) in runs:
            return int(name)
        return self._once("names", lambda: {row["name"]: i for i, row in reversed(runs.items())}).get(name)  # type: ignore[no-any-return]

    # --- images

    def spacings(self, run_id: int) -> list[Row]:
        """``id`` and ``voxelSpacing`` (Å) of a run's voxel spacings."""
        return self._images()[0].get(run_id, [])

    def tomograms(self, spacing_id: int) -> list[Row]:
        """The tomograms of a voxel spacing, those that are shown by default first, then by id."""
        return self._images()[1].get(spacing_id, [])

    def _images(self) -> tuple[dict[int, list[Row]], dict[int, list[Row]]]:
        return self._once("images", self._read_images)  # type: ignore[no-any-return]

    def _read_images(self) -> tuple[dict[int, list[Row]], dict[int, list[Row]]]:
        data = self._for_all_runs(_IMAGES)
        rank = lambda row: (not row["isVisualizationDefault"], row["id"])  # noqa: E731
        tomograms = [row for row in data["tomograms"] if row["s3OmezarrDir"] or row["httpsOmezarrDir"]]
        return (
            _by("runId", sorted(data["tomogramVoxelSpacings"], key=lambda row: row["id"])),
            _by("tomogramVoxelSpacingId", sorted(tomograms, key=rank)),
        )

    # --- annotations

    def files(self, run_id: int) -> list[Row]:
        """The annotation files of a run, each with its shape and annotation inside, by id."""
        return self._files().get(run_id, [])

    def _files(self) -> dict[int, list[Row]]:
        return self._once("files", self._read_files)  # type: ignore[no-any-return]

    def _read_files(self) -> dict[int, list[Row]]:
        rows = self._for_all_runs(_FILES)["annotationFiles"]
        return _by_run([row for row in rows if row["format"] == _FORMATS[row["annotationShape"]["shapeType"]]])

    def captions(self, run_id: int) -> list[Row]:
        """The files of captions of a run, as :meth:`files`."""
        return self._once("captions", self._read_captions).get(run_id, [])  # type: ignore[no-any-return]

    def _read_captions(self) -> dict[int, list[Row]]:
        return _by_run(self._for_all_runs(_CAPTIONS)["annotationFiles"])

    def object_counts(self) -> Counter[tuple[str, str]]:
        """How many annotation files each object has, by its id and name."""
        return self._once("objects", self._count_objects)  # type: ignore[no-any-return]

    def _count_objects(self) -> Counter[tuple[str, str]]:
        annotations = (row["annotationShape"]["annotation"] for rows in self._files().values() for row in rows)
        return Counter((each["objectId"], each["objectName"]) for each in annotations)

    # --- all columns

    def annotation(self, number: int) -> Row:
        """All columns of an annotation."""
        return self._annotation_details()[0].get(number, {})

    def annotation_file(self, number: int) -> Row:
        """All columns of an annotation file."""
        return self._annotation_details()[1].get(number, {})

    def annotation_authors(self, number: int) -> list[str]:
        """The names of an annotation's authors in their order."""
        return self._annotation_details()[2].get(number, [])

    def tomogram(self, number: int) -> Row:
        """All columns of a tomogram."""
        return self._tomogram_details()[0].get(number, {})

    def tomogram_authors(self, number: int) -> list[str]:
        """The names of a tomogram's authors in their order."""
        return self._tomogram_details()[1].get(number, [])

    def _annotation_details(self) -> tuple[dict[int, Row], dict[int, Row], dict[int, list[str]]]:
        return self._once("annotation details", self._read_annotation_details)  # type: ignore[no-any-return]

    def _read_annotation_details(self) -> tuple[dict[int, Row], dict[int, Row], dict[int, list[str]]]:
        data = self._for_all_runs(_ANNOTATION_DETAILS)
        return (
            _by_id("Annotation", data["annotations"]),
            _by_id("AnnotationFile", data["annotationFiles"]),
            _authors("annotationId", data["annotationAuthors"]),
        )

    def _tomogram_details(self) -> tuple[dict[int, Row], dict[int, list[str]]]:
        return self._once("tomogram details", self._read_tomogram_details)  # type: ignore[no-any-return]

    def _read_tomogram_details(self) -> tuple[dict[int, Row], dict[int, list[str]]]:
        data = self._for_all_runs(_TOMOGRAM_DETAILS)
        return _by_id("Tomogram", data["tomograms"]), _authors("tomogramId", data["tomogramAuthors"])


def _joined(parts: Sequence[Data]) -> Data:
    found: Data = defaultdict(list)
    for part in parts:
        for name, rows in part.items():
            found[name].extend(rows)
    return found


def _by(column: str, rows: Sequence[Row]) -> dict[int, list[Row]]:
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return found


def _by_run(files: Sequence[Row]) -> dict[int, list[Row]]:
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in sorted(files, key=lambda row: row["id"]):
        found[row["annotationShape"]["annotation"]["runId"]].append(row)
    return found


def _by_id(entity: str, rows: Sequence[Row]) -> dict[int, Row]:
    return {row["id"]: from_wire(entity, row) for row in rows}


def _authors(column: str, rows: Sequence[Row]) -> dict[int, list[str]]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["authorListOrder"], row["name"])):
        found[row[column]].append(row["name"])
    return found
