"""The sources of one annotation: points, masks, meshes and captions, against the tomogram that they lie in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from tomoportal.archive import Finding
from tomoportal.archive.findings import finding
from tomoportal.archive.verification.annotation_files import mesh_findings, point_findings
from tomoportal.archive.verification.voxels import value_findings as voxel_findings
from tomoportal.errors import FormatError, IngestError, StorageError
from tomoportal.formats.meshes import read_mesh
from tomoportal.formats.opening import open_volume
from tomoportal.ingest.bench import Bench
from tomoportal.ingest.plan import Item
from tomoportal.ingest.sections import CAPTION_SHAPES, MESH_SHAPES, POINT_SHAPES, SHAPES
from tomoportal.ingest.steps.caption_files import read_source_captions
from tomoportal.ingest.steps.mask_files import size_problem
from tomoportal.ingest.steps.mesh_files import read_source_mesh
from tomoportal.ingest.steps.point_files import read_source_points

__all__ = ["annotation_findings"]

_Shape = tuple[int, int, int]


def annotation_findings(item: Item, shape: _Shape | None, bench: Bench, voxels: bool) -> Iterator[Finding]:
    """What is wrong with the sources of an annotation; ``shape`` is that of its tomogram (z, y, x), if it is known."""
    for part in item.settings["shapes"]:
        key = str(part["key"])
        try:
            if SHAPES[part["shape"]] in POINT_SHAPES:
                yield from _points(part, item, shape, bench)
            elif part["shape"] in MESH_SHAPES:
                mesh = read_source_mesh(part, bench)
                low, high = mesh.bounds
                yield from mesh_findings(low.tolist(), high.tolist(), len(mesh.vertices), key, shape)
            elif part["shape"] in CAPTION_SHAPES:
                read_source_captions(part, bench)
            else:
                yield from _mask(part, shape, bench, voxels)
            if "mesh" in part:
                key = str(part["mesh"])
                read_mesh(bench.read(key), key)
        except (FormatError, IngestError, StorageError) as error:
            yield finding("V905", key, f"{error.where or key}: {error.what}", error.fix)


def _points(part: Mapping[str, Any], item: Item, shape: _Shape | None, bench: Bench) -> Iterator[Finding]:
    spacing = float(item.settings["spacing"])
    warnings: list[str] = []
    points = read_source_points(part["shape"], part["key"], part["arguments"], spacing, shape, bench, warnings)
    yield from (finding("V904", part["key"], warning) for warning in warnings)
    yield from point_findings(points, part["key"], shape, spacing)


def _mask(part: Mapping[str, Any], shape: _Shape | None, bench: Bench, voxels: bool) -> Iterator[Finding]:
    key = str(part["key"]).rstrip("/")
    with closing(open_volume(bench.source, key)) as volume:
        problem = size_problem(volume.shape, shape, part["arguments"])
        if problem:
            yield finding("V807", key, problem)
        if voxels:
            yield from voxel_findings(volume, key)
