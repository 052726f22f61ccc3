"""What clients of the public portal ask, in GraphQL, and the same as SQL written by hand."""

# ruff: noqa: E501  statements are easier to read on one line
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Question", "questions"]

_FACETS = """
  datasetCount: datasetsAggregate {aggregate {count}}
  runCount: runsAggregate {aggregate {count}}
  organisms: datasetsAggregate {aggregate {count groupBy {organismName}}}
  cameras: tiltseriesAggregate {aggregate {count groupBy {cameraManufacturer}}}
  methods: tomogramsAggregate {aggregate {count groupBy {reconstructionMethod}}}
  softwares: tomogramsAggregate {aggregate {count groupBy {reconstructionSoftware}}}
  objects: annotationsAggregate {aggregate {count groupBy {objectName}}}
  shapes: annotationShapesAggregate {aggregate {count groupBy {shapeType}}}
  identified: identifiedObjectsAggregate {aggregate {count groupBy {objectName}}}
"""
BROWSE = (
    """{datasets(orderBy: [{releaseDate: desc}, {title: asc}], limitOffset: {limit: 20, offset: %d}) {
    id title organismName datasetPublications keyPhotoThumbnailUrl relatedDatabaseEntries
    authors(orderBy: [{authorListOrder: asc}]) {edges {node {name primaryAuthorStatus correspondingAuthorStatus}}}
    runsAggregate {aggregate {count}}
    objects: runsAggregate {aggregate {count groupBy {annotations {objectName groundTruthStatus}}}}
  }"""
    + _FACETS
    + "}"
)
DATASET = """{datasets(where: {id: {_eq: %d}}) {id title description organismName s3Prefix fileSize
    authors(orderBy: [{authorListOrder: asc}]) {edges {node {name orcid}}}
    fundingSources {edges {node {fundingAgencyName grantId}}}
    deposition {id title}
    runsAggregate {aggregate {count}}}
  runs(where: {datasetId: {_eq: %d}}, orderBy: [{name: asc}]) {id name
    tiltseriesAggregate {aggregate {count avg {tiltSeriesQuality}}}
    tomogramsAggregate {aggregate {count}}
    annotationsAggregate {aggregate {count groupBy {objectName groundTruthStatus}}}
    tomograms(first: 1, where: {isVisualizationDefault: {_eq: true}}) {edges {node {id keyPhotoThumbnailUrl}}}
    tiltseries(first: 1) {edges {node {id tiltSeriesQuality}}}}}"""
RUN = """{runs(where: {id: {_eq: %d}}) {id name s3Prefix
    dataset {id title organismName deposition {id title} authors {edges {node {name}}}}
    tiltseries {edges {node {id tiltSeriesQuality tiltMin tiltMax s3MrcFile httpsMrcFile pixelSpacing}}}
    alignments {edges {node {id alignmentType volumeXDimension}}}
    tomogramVoxelSpacings {edges {node {id voxelSpacing}}}
    tomograms {edges {node {id name processing voxelSpacing sizeX sizeY sizeZ s3OmezarrDir httpsMrcFile
      authors(orderBy: [{authorListOrder: asc}]) {edges {node {name}}} deposition {id title}}}}
    annotations(orderBy: [{groundTruthStatus: desc}, {depositionDate: desc}]) {edges {node {id objectName methodType
      authors {edges {node {name}}} deposition {id title}
      annotationShapes {edges {node {id shapeType annotationFiles {edges {node {id format s3Path fileSize}}}}}}}}}
    tomogramsAggregate {aggregate {count groupBy {processing}}}
    annotationsAggregate {aggregate {count groupBy {objectName groundTruthStatus}}}
    framesAggregate {aggregate {count}}
    perSectionParametersAggregate {aggregate {count max {majorDefocus}}}}}"""
LANDING = "{datasetsAggregate {aggregate {count}} depositionsAggregate {aggregate {count}} runsAggregate {aggregate {count}} tomogramsAggregate {aggregate {count}} annotationsAggregate {aggregate {count}}}"


@dataclass(frozen=True)
class Question:
    """A query with the numbers that are put into it, and the same as SQL; ``goal`` in CPU ms at N = 200."""

    name: str
    query: str
    numbers: Callable[[int], tuple[int, ...]]
    goal: float | None
    repeats: int
    sql: tuple[str, ...]


def questions(scale: int) -> list[Question]:
    from tomoportal.model.entities import ENTITIES

    annotation = ENTITIES["Annotation"]
    scalars = " ".join(field.wire for field in annotation.fields)
    columns = ", ".join(f'{_column(field)} AS "{field.wire}"' for field in annotation.fields)
    run_scalars = "id datasetId name s3Prefix httpsPrefix"
    runs = round(scale * 8059 / 200)
    by_dataset = "SELECT {} FROM annotation WHERE run_id IN (SELECT id FROM run WHERE dataset_id = 2) ORDER BY id"
    facets = [
        f"SELECT {column} AS k, count(*) AS n FROM {table} GROUP BY {column}"
        for table, column in (
            ("dataset", "organism_name"),
            ("tiltseries", "camera_manufacturer"),
            ("tomogram", "reconstruction_method"),
            ("tomogram", "reconstruction_software"),
            ("annotation", "object_name"),
            ("annotation_shape", "shape_type"),
            ("identified_object", "object_name"),
        )
    ]
    page = "SELECT id FROM dataset ORDER BY release_date DESC, title LIMIT 20 OFFSET 20"
    browse = [
        f"SELECT id, title, organism_name, dataset_publications, key_photo_thumbnail_url FROM dataset WHERE id IN ({page})",
        f"SELECT dataset_id, name, primary_author_status FROM dataset_author WHERE dataset_id IN (SELECT id FROM ({page}) p)",
        f"SELECT dataset_id, count(*) AS n FROM run WHERE dataset_id IN (SELECT id FROM ({page}) p) GROUP BY dataset_id",
        "SELECT r.dataset_id, a.object_name, a.ground_truth_status, count(*) AS n FROM run r JOIN annotation a"
        f" ON a.run_id = r.id WHERE r.dataset_id IN (SELECT id FROM ({page}) p) GROUP BY 1, 2, 3",
        "SELECT count(*) AS n FROM dataset",
        "SELECT count(*) AS n FROM run",
    ]
    of_dataset = "(SELECT id FROM run WHERE dataset_id = 2)"
    dataset = [
        "SELECT * FROM dataset WHERE id = 2",
        "SELECT name, orcid FROM dataset_author WHERE dataset_id = 2 ORDER BY author_list_order",
        "SELECT id, name FROM run WHERE dataset_id = 2 ORDER BY name",
        f"SELECT run_id, count(*) AS n, avg(tilt_series_quality)::int AS q FROM tiltseries WHERE run_id IN {of_dataset} GROUP BY 1",
        f"SELECT run_id, count(*) AS n FROM tomogram WHERE run_id IN {of_dataset} GROUP BY 1",
        "SELECT run_id, object_name, ground_truth_status, count(*) AS n FROM annotation"
        f" WHERE run_id IN {of_dataset} GROUP BY 1, 2, 3",
        f"SELECT run_id, id, key_photo_thumbnail_url FROM tomogram WHERE is_visualization_default AND run_id IN {of_dataset}",
    ]
    run = [
        "SELECT r.id, r.name, d.id AS d, d.title FROM run r JOIN dataset d ON d.id = r.dataset_id WHERE r.id = 77",
        "SELECT id, tilt_series_quality, tilt_min, tilt_max, mrc_file_key FROM tiltseries WHERE run_id = 77",
        "SELECT id, alignment_type FROM alignment WHERE run_id = 77",
        "SELECT id, voxel_spacing FROM tomogram_voxel_spacing WHERE run_id = 77",
        "SELECT id, name, processing, voxel_spacing, size_x, size_y, size_z, mrc_file_key FROM tomogram WHERE run_id = 77",
        "SELECT id, object_name, method_type, deposition_id FROM annotation WHERE run_id = 77",
        "SELECT annotation_id, name FROM annotation_author WHERE annotation_id IN (SELECT id FROM annotation WHERE run_id = 77)",
        "SELECT s.annotation_id, s.id, f.id AS f, f.format, f.path_key, f.file_size FROM annotation_shape s JOIN annotation_file f"
        " ON f.annotation_shape_id = s.id WHERE s.annotation_id IN (SELECT id FROM annotation WHERE run_id = 77)",
        "SELECT count(*) AS n FROM frame WHERE run_id = 77",
        "SELECT count(*) AS n, max(major_defocus) AS m FROM per_section_parameters WHERE run_id = 77",
    ]
    counts = [
        f"SELECT count(*) AS n FROM {table}" for table in ("dataset", "deposition", "run", "tomogram", "annotation")
    ]
    files = (
        "SELECT f.id, f.format, f.path_key, f.file_size FROM annotation_file f WHERE f.annotation_shape_id IN (SELECT id FROM"
        " annotation_shape WHERE annotation_id IN (SELECT id FROM annotation WHERE run_id IN"
        f" {of_dataset})) ORDER BY f.id"
    )
    return [
        Question(
            "browse page, 20 datasets, nine global counts",
            BROWSE,
            lambda i: (20 * (i % 9),),
            12,
            12,
            (*browse, *facets),
        ),
        Question("dataset page, 156 runs", DATASET, lambda i: (2, 2), 15, 12, tuple(dataset)),
        Question("run page", RUN, lambda i: (1 + i * 7 % runs,), 10, 40, tuple(run)),
        Question(
            "`Run.get_by_id`",
            f"{{runs(where: {{id: {{_eq: %d}}}}) {{{run_scalars}}}}}",
            lambda i: (1 + i * 7 % runs,),
            0.8,
            200,
            ("SELECT id, dataset_id, name, prefix_key, prefix_key AS p FROM run WHERE id = 77",),
        ),
        Question(
            "`Annotation.find`, one dataset, 624 rows",
            f"{{annotations(where: {{run: {{datasetId: {{_eq: %d}}}}}}) {{{scalars}}}}}",
            lambda i: (2,),
            5,
            30,
            (by_dataset.format(columns),),
        ),
        Question(
            "all annotations",
            f"{{annotations {{{scalars}}}}}",
            lambda i: (),
            250 if scale == 200 else None,
            3,
            (f"SELECT {columns} FROM annotation ORDER BY id",),
        ),
        Question(
            "`AnnotationFile.find`, three steps",
            "{annotationFiles(where: {annotationShape: {annotation: {run: {datasetId: {_eq: %d}}}}})"
            " {id format s3Path fileSize}}",
            lambda i: (2,),
            None,
            20,
            (files,),
        ),
        Question("landing counts", LANDING, lambda i: (), None, 40, tuple(counts)),
    ]


def _column(field: Any) -> str:
    if field.path is not None:
        return field.name.partition("_")[2] + "_key"
    return str(field.name)
