"""The viewer's file of a tomogram: Neuroglancer's state with sources behind ``archive://``."""

from __future__ import annotations

from typing import Any

from tomoportal.archive import documents
from tomoportal.formats.mrc import MrcHeader
from tomoportal.formats.neuroglancer.state import Tomogram, build_state, contrast_3d, voxel_range
from tomoportal.formats.omezarr.reader import open_omezarr
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.steps.layers import annotations_on_record, viewer_layers

__all__ = ["context", "make"]

KIND = "viewer_config"
VERSION = 2


def context(item: Item, bench: Bench) -> Any:
    """The annotations on record, as they enter the digest."""
    return [annotation.looks for annotation in annotations_on_record(item, bench)]


def make(item: Item, bench: Bench) -> Made:
    """Build the state from the volume's header and contrast on record and from the run's annotations."""
    settings = item.settings
    header = MrcHeader.parse(bench.archive.store.get_range(settings["mrc"], 0, 1024), settings["mrc"])
    voxels = open_omezarr(bench.archive.store, settings["zarr"]).dtype
    contrast = bench.manifest.items[tuple(settings["volume_label"])].inputs["facts"]["contrast"]
    tomogram = Tomogram(
        settings["run_name"],
        settings["zarr"],
        header.shape,
        settings["voxel_spacing"],
        contrast=(contrast[0], contrast[1]),
        contrast_3d=contrast_3d(header.dmean, header.rms),
        voxel_range=voxel_range(voxels.kind, voxels.itemsize),
    )
    state = build_state(tomogram, viewer_layers(item, bench))
    document = {**state, "deposition_id": settings["deposition_id"], "last_updated_at": settings["stamp"]}
    bench.target.put(settings["viewer"], documents.dump(document))
    return Made()
