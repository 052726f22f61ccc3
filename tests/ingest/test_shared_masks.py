"""A source mask that many annotations use is read once (F61), and what they make is what each alone would make."""

from __future__ import annotations

import copy
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import tifffile

from tomoportal.archive import Archive
from tomoportal.formats.convert import convert_volume
from tomoportal.formats.mrc import open_mrc
from tomoportal.ingest import Plan, Report, load_config, make_plan, open_source, run_plan
from tomoportal.ingest.shared_labels import SharedLabels
from tomoportal.storage import open_store
from tomoportal.testing.faulty import FaultyStore
from tomoportal.testing.sources import SHAPE, SPACING, write_mrc

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]

FOLDER = "10001/TS_01/Reconstructions/VoxelSpacing13.480"
LABELS = 10


def _volume() -> Any:
    labels = np.zeros(SHAPE, np.int16)
    for label in range(1, LABELS):
        labels[1:4, 2 * label, 3:9] = label
    return labels


def _ten(name: str) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        config["runs"] = [{"sources": [{"literal": {"value": ["TS_01"]}}]}]
        first, config["annotations"] = config["annotations"][2], []
        for label in range(1, LABELS + 1):
            entry = copy.deepcopy(first)
            entry["metadata"]["annotation_ingest_id"] = f"thing-{label}"
            entry["sources"] = [
                {"SemanticSegmentationMask": {"file_format": "zarr", "glob_string": name, "mask_label": label}}
            ]
            config["annotations"].append(entry)
        for section in ("frames", "gains", "collection_metadata", "rawtilts", "tiltseries", "tomograms", "alignments"):
            del config[section]
        config["tomograms"] = []

    return change


class _Counting(FaultyStore):
    """Counts how often each object is read."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.read: Counter[str] = Counter()

    def step(self, operation: str, key: str) -> None:
        if operation in ("get", "get_range"):
            self.read[key] += 1
        super().step(operation, key)

    def local_path(self, key: str) -> Path | None:
        return None  # as on an object store


def _prepared(raw: Path, edit: Edit, kind: str) -> Path:
    write_mrc(raw / "labels.mrc", _volume(), SPACING)
    if kind == "zarr":
        store = open_store(raw, create=True)
        convert_volume(
            open_mrc(store, "labels.mrc"),
            store,
            mrc_key="unused.mrc",
            zarr_prefix="labels.zarr",
            voxel_spacing=SPACING,
            kind="instance_mask",
            chunk_size=8,
        )
    elif kind == "tif":
        tifffile.imwrite(raw / "labels.tif", _volume(), compression="zlib")
    for path in raw.rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return edit(raw, _with_tomogram(_ten(f"labels.{kind}")))


def _with_tomogram(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def changed(config: dict[str, Any]) -> None:
        tomogram = config["tomograms"][0]
        change(config)
        config["tomograms"] = [tomogram]

    return changed


@pytest.mark.parametrize("kind", ["zarr", "tif", "mrc"])
def test_ten_annotations_read_their_mask_once(raw: Path, edit: Edit, tmp_path: Path, kind: str) -> None:
    loaded = load_config(_prepared(raw, edit, kind))
    source = open_source(raw, loaded.source_prefix)
    archive = Archive.open(tmp_path / "archive", create=True)
    plan: Plan = make_plan(loaded, source, archive)
    counting = _Counting(open_store(raw, read_only=True))
    report: Report = run_plan(plan, archive, counting, jobs=1)
    assert report.ok, report.failures
    absent = [result.why for result in report.results if result.outcome == "absent"]
    assert absent == [f"labels.{kind} does not hold the label 10"]
    voxels = {key: count for key, count in counting.read.items() if key.startswith("labels") and "/.z" not in key}
    # Once for the digest and once for the voxels; what a header takes comes on top, but not ten times.
    chunks = [count for key, count in voxels.items() if "/0/" in key] or [sum(voxels.values())]
    assert max(chunks) <= {"zarr": 2, "tif": 20, "mrc": 8}[kind], voxels
    for label in range(1, LABELS):
        (path,) = (tmp_path / "archive" / FOLDER / f"Annotations/{99 + label}").glob("*.mrc")
        with mrcfile.open(path) as mask:
            assert np.array_equal(mask.data, _volume() == label)


def test_only_a_few_masks_are_kept_and_all_are_let_go(raw: Path) -> None:
    shared = SharedLabels()
    store = open_store(raw)
    first = shared.open(store, "masks/TS_01_labels.mrc", "a")
    assert shared.open(store, "masks/TS_01_labels.mrc", "a") is first
    for number in range(5):
        shared.open(store, "masks/TS_02_labels.mrc", str(number))
    assert shared.open(store, "masks/TS_01_labels.mrc", "a") is not first
    shared.close()
    shared.close()
