"""Rows of a portal of ``scale`` datasets, made for benchmarks and written straight into a catalog.

At scale 200 the catalog is as large as the public portal: 8,059 runs, 12,089 tomograms, 32,236 annotations with
64,472 authors, 40,295 shapes and 48,354 files. The second dataset has 156 runs with 624 annotations at any scale.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tomoportal.catalog import Catalog
from tomoportal.model.entities import ENUMS, Field

__all__ = ["seed"]

RUNS_PER_DATASET = 8059 / 200
LARGE, LARGE_RUNS = 2, 156
SECTIONS = 5
OBJECTS = [f"{kind} {number}" for number in range(12) for kind in ("cytosolic ribosome", "membrane", "microtubule")]
ORGANISMS = ("Homo sapiens", "Escherichia coli", "Chlamydomonas reinhardtii", "Saccharomyces cerevisiae", None)
CAMERAS = ("Gatan", "FEI", "Direct Electron")
METHODS = ("WBP", "SART", "SIRT", "Fourier Space", "Unknown")


def seed(catalog: Catalog, scale: int) -> dict[str, int]:
    """Fill an empty catalog; returns the number of rows of each table."""
    counts: dict[str, int] = {}
    waiting: dict[str, list[dict[str, Any]]] = {}
    with catalog.write() as connection:
        order = [table.name for table in catalog.tables.in_order()]

        def flush() -> None:
            for name in order:
                if rows := waiting.pop(name, None):
                    table = catalog.tables[name]
                    values = [tuple(row[column.name] for column in table.columns) for row in rows]
                    catalog.database.insert(connection, table, values)

        for entity, values in _rows(scale):
            row = _row(catalog, entity, values, counts)
            waiting.setdefault(catalog.graph.entities[entity].table, []).append(row)
            if sum(map(len, waiting.values())) > 50_000:
                flush()
        flush()
        catalog.set_info(connection, "data_version", str(scale))
        catalog.summaries.count_again(connection)
        catalog.set_info(connection, "summary", catalog.summaries.stamp(str(scale)))
    catalog.database.settle(catalog.tables.metadata)
    return counts


def _row(catalog: Catalog, entity: str, values: dict[str, Any], counts: dict[str, int]) -> dict[str, Any]:
    table = catalog.graph.entities[entity].table
    counts[table] = number = values.pop("id", counts.get(table, 0) + 1)
    row: dict[str, Any] = {"id": number, "natural_key": f"{table}/{number}", "unit": "seed", "document": None}
    row["extra"] = None
    for column in catalog.graph.columns[entity]:
        if column.name != "id":
            row[column.name] = values.pop(column.name) if column.name in values else _default(column.field, number)
    assert not values, (entity, values)
    return row


def _default(field: Field, number: int) -> Any:
    if field.references is not None:
        return None
    if field.path is not None:
        return f"{1 + number % 200}/TS_{number}/Annotations/{number}.json"
    match field.type:
        case "Enum":
            values = ENUMS[field.enum or ""]
            return values[number % len(values)]
        case "Int":
            return 1 + number % 97
        case "Float":
            return 1.0 + number % 977 / 13
        case "Boolean":
            return number % 3 == 0
        case "Matrix":
            return "[[1.0,0.0],[0.0,1.0]]"
        case "DateTime":
            return datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=number % 700)
    return f"{field.name.replace('_', ' ')} {number % 31}"


def _rows(scale: int) -> Iterator[tuple[str, dict[str, Any]]]:
    draw = random.Random(scale)
    depositions = max(1, scale // 3)
    for number in range(1, depositions + 1):
        yield "Deposition", {"id": number, "title": f"Deposition {number}", "description": "text " * 60}
        for place in range(1, 4):
            yield "DepositionAuthor", {"deposition_id": number, "name": f"Author {place}", "author_list_order": place}
        yield "DepositionType", {"deposition_id": number}
    run = tomogram = annotation = shape = 0
    for dataset in range(1, scale + 1):
        deposition = 1 + dataset % depositions
        yield (
            "Dataset",
            {
                "id": dataset,
                "deposition_id": deposition,
                "title": f"Dataset {dataset} of {ORGANISMS[dataset % 5]}",
                "description": "Cells were vitrified and milled, and then many things happened. " * 8,
                "organism_name": ORGANISMS[dataset % 5],
                "key_photo_url": f"{dataset}/Images/snapshot.png",
                "prefix_key": f"{dataset}/",
            },
        )
        for place in range(1, 6):
            values = {"dataset_id": dataset, "name": f"Author {dataset * place % 400}", "author_list_order": place}
            yield "DatasetAuthor", values
        yield "DatasetFunding", {"dataset_id": dataset}
        runs = LARGE_RUNS if dataset == LARGE else _share(dataset, scale)
        for _ in range(runs):
            run += 1
            prefix = f"{dataset}/TS_{run}"
            yield "Run", {"id": run, "dataset_id": dataset, "name": f"TS_{run}", "prefix_key": f"{prefix}/"}
            yield "TomogramVoxelSpacing", {"id": run, "run_id": run, "voxel_spacing": 5.0 + run % 9}
            tilt = {"id": run, "run_id": run, "deposition_id": deposition, "camera_manufacturer": CAMERAS[run % 3]}
            yield "Tiltseries", tilt | {"tilt_series_quality": 1 + run % 5}
            yield "Alignment", {"id": run, "run_id": run, "deposition_id": deposition, "tiltseries_id": run}
            for section in range(SECTIONS):
                frame = (run - 1) * SECTIONS + section + 1
                owner = {"run_id": run}
                yield "Frame", {"id": frame, "deposition_id": deposition, "acquisition_order": section} | owner
                yield "PerSectionParameters", {"frame_id": frame, "tiltseries_id": run, "z_index": section} | owner
                yield "PerSectionAlignmentParameters", {"alignment_id": run, "z_index": section}
            for _ in range(1 + run % 2):
                tomogram += 1
                yield (
                    "Tomogram",
                    {
                        "id": tomogram,
                        "run_id": run,
                        "alignment_id": run,
                        "deposition_id": deposition,
                        "tomogram_voxel_spacing_id": run,
                        "reconstruction_method": METHODS[tomogram % 5],
                    },
                )
                yield "TomogramAuthor", {"tomogram_id": tomogram, "name": "Author", "author_list_order": 1}
            if run % 4 == 0:
                yield "IdentifiedObject", {"run_id": run, "object_id": "GO:1", "object_name": draw.choice(OBJECTS)}
            for _ in range(4):
                annotation += 1
                yield (
                    "Annotation",
                    {
                        "id": annotation,
                        "run_id": run,
                        "deposition_id": deposition,
                        "tomogram_voxel_spacing_id": run,
                        "object_name": draw.choice(OBJECTS),
                        "ground_truth_status": annotation % 7 == 0,
                    },
                )
                for place in (1, 2):
                    name = f"Author {annotation % 300}"
                    yield "AnnotationAuthor", {"annotation_id": annotation, "name": name, "author_list_order": place}
                yield "AnnotationMethodLink", {"annotation_id": annotation}
                for index in range(1 + (annotation % 4 == 0)):
                    shape += 1
                    yield "AnnotationShape", {"id": shape, "annotation_id": annotation}
                    for _ in range(1 + (index == 0 and annotation % 4 == 1)):
                        values = {"annotation_shape_id": shape, "alignment_id": run, "tomogram_voxel_spacing_id": run}
                        yield "AnnotationFile", values | {"path_key": f"{prefix}/Annotations/{shape}.zarr"}


def _share(dataset: int, scale: int) -> int:
    """Runs of an ordinary dataset: all of them together make up the right sum."""
    rest = round(RUNS_PER_DATASET * scale) - LARGE_RUNS
    place = dataset - (dataset > LARGE) - 1
    return rest * (place + 1) // (scale - 1) - rest * place // (scale - 1)
