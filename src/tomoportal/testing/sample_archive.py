"""A small archive that has one of everything that is shown: for tests of what reads archives.

Its content is arithmetic, so that a test can say what it must find: a volume with a bright sphere, a mask of its own
shape, points at known voxels. Made in about a second.

    archive = write_sample_archive(tmp_path / "archive")
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tomoportal.archive import Archive, Container, ItemRecord, identity, layout
from tomoportal.formats import ArrayVolume, convert_volume
from tomoportal.formats.ndjson import write_points
from tomoportal.formats.points import VoxelPoints
from tomoportal.storage import Store

__all__ = [
    "ORIENTED",
    "PARTICLES",
    "SAMPLE_SHAPE",
    "SAMPLE_SPACING",
    "SPHERE",
    "add_alignment",
    "add_annotation",
    "add_deposition",
    "add_tomogram",
    "dataset_content",
    "publish",
    "sample_mask",
    "write_sample_archive",
]

DATASET, DEPOSITION = 10001, 10301
RUNS = ("TS_1", "Zelle 2 µ")
"""The second name needs percent-encoding in addresses; its run has a tomogram of int8 voxels and no annotation."""
SAMPLE_SHAPE = (48, 80, 96)
"""(z, y, x)"""
SAMPLE_SPACING = 10.0
SPHERE = ((24, 40, 48), 14)
"""Centre (z, y, x) and radius, in voxels: grey value 4 in noise of standard deviation 1, label 1 in the mask."""
PARTICLES = ((20.0, 20.0, 24.0), (76.0, 20.0, 24.0), (76.0, 60.0, 24.0))
"""Points (x, y, z) of the particle species, in voxels."""
ORIENTED = ((20.0, 60.0, 24.0),)
"""Points (x, y, z) with orientations: x and y axes exchanged places, z turned over."""

_AUTHORS = [
    {"name": "Ada Author", "ORCID": "0000-0001-0001-0001", "primary_author_status": True},
    {"name": "Ben Author", "corresponding_author_status": True},
]
_DATES = {"deposition_date": "2025-01-01", "last_modified_date": "2025-03-01", "release_date": "2025-02-01"}
_IDENTITY = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
_NOT_REPORTED = {"name": "not_reported", "id": "not_reported"}
_CHUNKS = 32

_Write = Callable[[Store], None]


def write_sample_archive(target: str | os.PathLike[str] | Store) -> Archive:
    """Write the sample archive to a folder or a store and return it; the same bytes every time."""
    archive = Archive.open(target, create=True)
    dataset = Container.dataset(DATASET)
    add_deposition(archive)
    publish(archive, dataset, "dataset", "", layout.dataset_document(DATASET), dataset_content())
    for number, run in enumerate(RUNS):
        container = Container.run(DATASET, run)
        publish(archive, container, "run", "", layout.run_document(DATASET, run), {"run_name": run})
        for alignment in (100, 101) if number == 0 else (100,):
            add_alignment(archive, container, alignment)
            voxels: np.ndarray[Any, Any] = sample_volume(10 * number + alignment)
            if run == RUNS[1]:
                voxels = np.clip(voxels * 20, -128, 127).astype(np.int8)
            add_tomogram(archive, container, alignment, voxels)
    _annotations(archive, Container.run(DATASET, RUNS[0]))
    return archive


def sample_volume(seed: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """float32 (z, y, x): noise, and the sphere."""
    volume = np.random.default_rng(seed).normal(size=SAMPLE_SHAPE).astype(np.float32)
    volume[sample_mask() == 1] += 4
    return volume


def sample_mask() -> np.ndarray[Any, np.dtype[np.int8]]:
    """int8 (z, y, x): 1 in the sphere."""
    (z, y, x), radius = SPHERE
    grid = np.ogrid[tuple(slice(size) for size in SAMPLE_SHAPE)]
    inside = (grid[0] - z) ** 2 + (grid[1] - y) ** 2 + (grid[2] - x) ** 2 <= radius**2
    return np.asarray(inside, np.int8)


def publish(
    archive: Archive,
    container: Container,
    kind: str,
    identity_key: str,
    document: str,
    content: dict[str, Any],
    *,
    archive_id: int | None = None,
    write: _Write = lambda store: None,
) -> None:
    """Publish an item whose files ``write`` makes."""
    item = ItemRecord(kind, identity_key, archive_id, "sample", deposition_id=DEPOSITION)
    stamped = {**content, "deposition_id": DEPOSITION, "last_updated_at": 1740787200}
    with archive.stage(container, kind, identity_key) as staging:
        write(staging.store)
        archive.publish(container, item, staging, (document, stamped))


def _names(container: Container) -> tuple[str, str]:
    """Dataset and run of a run's container."""
    assert container.dataset_id is not None
    assert container.run_name is not None
    return container.dataset_id, container.run_name


def add_deposition(archive: Archive) -> None:
    """The deposition that everything belongs to, unless it is there."""
    document = layout.deposition_document(DEPOSITION)
    if not archive.store.exists(document):
        publish(archive, Container.deposition(DEPOSITION), "deposition", "", document, _deposition())


def _deposition() -> dict[str, Any]:
    return {
        "authors": _AUTHORS,
        "dates": _DATES,
        "deposition_description": "One of everything, for tests.",
        "deposition_identifier": DEPOSITION,
        "deposition_title": "Sample deposition",
        "deposition_types": ["dataset", "tomogram", "annotation"],
        "key_photos": {"snapshot": None, "thumbnail": None},
    }


def dataset_content(dataset: int = DATASET) -> dict[str, Any]:
    return {
        "authors": _AUTHORS,
        "assay": {"name": "cryo-electron tomography", "id": "EFO:0022601"},
        "development_stage": {"name": "unknown", "id": "unknown"},
        "disease": {"name": "normal", "id": "PATO:0000461"},
        "organism": {"name": "Saccharomyces cerevisiae", "taxonomy_id": 4932},
        "cell_component": _NOT_REPORTED,
        "cell_strain": _NOT_REPORTED,
        "cell_type": _NOT_REPORTED,
        "tissue": _NOT_REPORTED,
        "dataset_description": "Two runs with a bright sphere in noise.",
        "dataset_identifier": dataset,
        "dataset_title": "Sample dataset",
        "dates": _DATES,
        "funding": [{"funding_agency_name": "Sample agency", "grant_id": "S-1"}],
        "grid_preparation": "copper",
        "sample_preparation": "plunge frozen",
        "sample_type": "organism",
        "key_photos": {"snapshot": None, "thumbnail": None},
    }


def add_alignment(archive: Archive, container: Container, number: int) -> None:
    """An alignment of the run."""
    dataset, run = _names(container)
    z, y, x = (length * SAMPLE_SPACING for length in SAMPLE_SHAPE)
    content = {
        "alignment_type": "GLOBAL",
        "method_type": "undefined",
        "alignment_path": None,
        "tilt_path": None,
        "tiltx_path": None,
        "tiltseries_path": None,
        "files": [],
        "is_portal_standard": False,
        "per_section_alignment_parameters": [],
        "volume_dimension": {"x": x, "y": y, "z": z},
        "affine_transformation_matrix": _IDENTITY,
        "volume_offset": {"x": 0, "y": 0, "z": 0},
        "tilt_offset": 0,
        "x_rotation_offset": 0,
    }
    document = layout.alignment_document(dataset, run, number)
    publish(archive, container, "alignment", f"sample={number}", document, content, archive_id=number)


def add_tomogram(
    archive: Archive,
    container: Container,
    number: int,
    voxels: np.ndarray[Any, Any],
    *,
    spacing: float = SAMPLE_SPACING,
    alignment: int | None = None,
    **changes: Any,
) -> None:
    """A tomogram ``(z, y, x)`` of an alignment, by default that of the same number; ``changes`` to its document."""
    dataset, run = _names(container)
    prefix = layout.tomogram_prefix(dataset, run, spacing, number)
    mrc, zarr = layout.volume_mrc(prefix, run), layout.volume_zarr(prefix, run)
    sizes = [dict(zip("zyx", shape, strict=True)) for shape in _level_shapes(voxels.shape)]
    content = {
        "affine_transformation_matrix": _IDENTITY,
        "authors": _AUTHORS,
        "ctf_corrected": False,
        "dates": _DATES,
        "fiducial_alignment_status": "NON_FIDUCIAL",
        "is_visualization_default": number == 100,
        "offset": {"x": 0, "y": 0, "z": 0},
        "processing": "raw",
        "reconstruction_method": "WBP",
        "reconstruction_software": "IMOD",
        "tomogram_version": 1,
        "voxel_spacing": spacing,
        "scales": sizes,
        "size": sizes[0],
        "omezarr_dir": zarr,
        "mrc_file": mrc,
        "run_name": run,
        "key_photo": {"snapshot": None, "thumbnail": None},
        "neuroglancer_config_path": None,
        "alignment_metadata_path": layout.alignment_document(dataset, run, number if alignment is None else alignment),
        **changes,
    }
    document = layout.tomogram_document(dataset, run, spacing, number)
    key = identity.key_of_document("tomogram", {**content, "deposition_id": DEPOSITION}) or ""
    write = _volume_writer(voxels, mrc, zarr, "tomogram", spacing)
    publish(archive, container, "tomogram", key, document, content, archive_id=number, write=write)


def _level_shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [tuple(-(-size // 2**level) for size in shape) for level in range(3)]


def _volume_writer(voxels: np.ndarray[Any, Any], mrc: str, zarr: str, kind: Any, spacing: float) -> _Write:
    def write(store: Store) -> None:
        volume = ArrayVolume(voxels, spacing)
        convert_volume(
            volume, store, mrc_key=mrc, zarr_prefix=zarr, voxel_spacing=spacing, kind=kind, chunk_size=_CHUNKS
        )

    return write


def _annotations(archive: Archive, container: Container) -> None:
    exchange = np.array([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]])
    points = write_points(VoxelPoints(np.array(PARTICLES)))
    oriented = write_points(VoxelPoints(np.array(ORIENTED), rotations=exchange))
    instances = write_points(VoxelPoints(np.array([[8.0, 8.0, 12.0], [40.0, 8.0, 12.0]]), instance_ids=np.arange(2)))
    ribosome, membrane = ("GO:0022626", "cytosolic ribosome"), ("GO:0016020", "membrane")
    filament = ("GO:0005874", "microtubule")
    add_annotation(archive, container, 100, ribosome, "Point", 3, "ndjson", points)
    add_annotation(archive, container, 101, ribosome, "OrientedPoint", 1, "ndjson", oriented)
    add_annotation(archive, container, 102, membrane, "SegmentationMask", 1, "zarr", sample_mask())
    # Another spacing, shown over the tomogram of the same alignment; another alignment, not shown there.
    add_annotation(archive, container, 100, filament, "InstanceSegmentation", 2, "ndjson", instances, spacing=20.0)
    add_annotation(archive, container, 103, membrane, "Point", 3, "ndjson", points, alignment=101)


def add_annotation(
    archive: Archive,
    container: Container,
    number: int,
    named: tuple[str, str],
    shape: str,
    count: int,
    form: str,
    data: Any,
    *,
    spacing: float = SAMPLE_SPACING,
    alignment: int = 100,
    **changes: Any,
) -> None:
    """An annotation of the run with one shape: bytes in a file of the given ending, or voxels (``zarr``).

    ``changes`` to its document.
    """
    dataset, run = _names(container)
    base = layout.annotation_base(named[1], 1.0)
    paths = {
        extension: layout.annotation_data(dataset, run, spacing, number, base, shape, extension)
        for extension in (("zarr", "mrc") if form == "zarr" else (form,))
    }
    content = {
        "annotation_ingest_id": f"sample-{number}",
        "annotation_method": "arithmetic",
        "annotation_object": {"id": named[0], "name": named[1]},
        "annotation_software": "tomoportal",
        "authors": _AUTHORS,
        "dates": _DATES,
        "ground_truth_status": True,
        "is_curator_recommended": True,
        "method_type": "manual",
        "version": 1.0,
        "object_count": count,
        "files": [
            {"format": extension, "path": path, "shape": shape, "is_visualization_default": True}
            for extension, path in paths.items()
        ],
        "alignment_metadata_path": layout.alignment_document(dataset, run, alignment),
        **changes,
    }
    document = layout.annotation_document(dataset, run, spacing, number, base)
    key = identity.key_of_document("annotation", {**content, "deposition_id": DEPOSITION}, spacing) or ""
    if form == "zarr":
        kind = "instance_mask" if shape == "InstanceSegmentationMask" else "semantic_mask"
        write = _volume_writer(data, paths["mrc"], paths["zarr"], kind, spacing)
    else:

        def write(store: Store) -> None:
            store.put(paths[form], data)

    publish(archive, container, "annotation", key, document, content, archive_id=number, write=write)
