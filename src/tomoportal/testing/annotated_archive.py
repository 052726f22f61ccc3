"""A dataset with many runs that are annotated, and whose tomograms are tiny: for tests and benchmarks of listings.

write_annotated_dataset(archive, 10003, runs=500, files=4, points=200)
"""

from __future__ import annotations

import numpy as np

from tomoportal.archive import Archive, Container, layout
from tomoportal.formats.ndjson import write_points
from tomoportal.formats.points import VoxelPoints
from tomoportal.testing.sample_archive import (
    add_alignment,
    add_annotation,
    add_deposition,
    add_tomogram,
    dataset_content,
    publish,
)

__all__ = ["OBJECTS", "write_annotated_dataset"]

OBJECTS = (
    ("GO:0005840", "ribosome"),
    ("GO:0000502", "proteasome"),
    ("GO:0005832", "chaperonin"),
    ("GO:0016020", "membrane"),
)
"""What is annotated, in turns."""


def write_annotated_dataset(archive: Archive, dataset: int, *, runs: int, files: int, points: int) -> None:
    """Runs ``TS_0000`` …, each with ``files`` annotations of ``points`` points, every second one oriented.

    The same numbers every time.
    """
    add_deposition(archive)
    document = layout.dataset_document(dataset)
    publish(archive, Container.dataset(dataset), "dataset", "", document, dataset_content(dataset))
    generator = np.random.default_rng(dataset)
    turns = np.linalg.qr(generator.normal(size=(points, 3, 3)))[0]
    turns[:, 0] *= np.linalg.det(turns)[:, None]
    for number in range(runs):
        container = Container.run(dataset, f"TS_{number:04d}")
        name = container.run_name or ""
        publish(archive, container, "run", "", layout.run_document(dataset, name), {"run_name": name})
        add_alignment(archive, container, 100)
        add_tomogram(archive, container, 100, np.full((4, 4, 4), number % 100, np.int8))
        for file in range(files):
            oriented = file % 2 == 1
            found = VoxelPoints(generator.uniform(0, 90, (points, 3)).round(2), rotations=turns if oriented else None)
            shape = "OrientedPoint" if oriented else "Point"
            data = write_points(found)
            add_annotation(archive, container, 100 + file, OBJECTS[file % len(OBJECTS)], shape, points, "ndjson", data)
