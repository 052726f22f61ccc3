"""``--ngff 0.5``: Zarr version 3 with shards, from the ingestion to the viewer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import mrcfile
import numpy as np
import pytest

from tomoportal.archive import Archive
from tomoportal.archive.verify import verify
from tomoportal.ingest import Options, Report
from tomoportal.server import LiveServer, Settings

Ingest = Callable[..., Report]
Digests = Callable[[Path], dict[str, str]]

RUN = "10001/TS_01"
FOLDER = f"{RUN}/Reconstructions/VoxelSpacing13.480"


def _load(archive: Path, key: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((archive / key).read_bytes())
    return document


@pytest.mark.usefixtures("full_photos")
def test_an_archive_of_zarr_3_is_verified_indexed_and_shown(raw: Path, ingest: Ingest, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    report = ingest(raw / "config.yaml", archive, ngff="0.5")
    assert report.ok, report.failures
    for key in (f"{RUN}/TiltSeries/100/TS_01", f"{FOLDER}/Tomograms/100/TS_01"):
        group = _load(archive, f"{key}.zarr/zarr.json")
        assert group["zarr_format"] == 3
        assert group["attributes"]["ome"]["version"] == "0.5"
        assert not (archive / f"{key}.zarr/.zattrs").exists()
    tomogram = _load(archive, f"{FOLDER}/Tomograms/100/tomogram_metadata.json")
    assert tomogram["size"] == {"z": 12, "y": 24, "x": 32}
    assert [scale["x"] for scale in tomogram["scales"]] == [32, 16, 8]
    mask = _load(archive, f"{FOLDER}/Annotations/101/membrane-1.0.json")
    zarr = pytest.importorskip("zarr")
    voxels = zarr.open_group(archive / mask["files"][0]["path"], mode="r")["0"]
    with mrcfile.open(archive / mask["files"][1]["path"]) as volume:
        assert np.array_equal(voxels[:], volume.data)

    findings = verify(Archive.open(archive, read_only=True))
    assert [finding for finding in findings if finding.severity == "error"] == []

    with LiveServer(Settings(archive=str(archive))) as server, httpx.Client(base_url=server.url) as client:
        answer = client.post("/graphql", json={"query": '{runs(where:{name:{_eq:"TS_01"}}){id}}'}).json()
        state = client.get(f"/viewer/runs/{answer['data']['runs'][0]['id']}/state.json").json()
        image = state["layers"][0]["source"]["url"]
        assert image.startswith("zarr://http")
        assert image.rstrip("/").endswith("/TS_01.zarr")
        group = client.get(image.removeprefix("zarr://").rstrip("/") + "/zarr.json")
        assert group.status_code == 200
        assert group.json()["node_type"] == "group"


def test_the_version_of_zarr_is_part_of_the_input_of_volumes_only(
    raw: Path, ingest: Ingest, tmp_path: Path, tree: Digests
) -> None:
    archive = tmp_path / "archive"
    ingest(raw / "config.yaml", archive)
    before = tree(archive)
    report = ingest(raw / "config.yaml", archive, ngff="0.5")
    replaced = {result.name.split(" ")[1] for result in report.results if result.outcome == "replaced"}
    assert {"tomogram_volume", "tiltseries_volume", "annotation"} <= replaced
    points = [result for result in report.results if "cytosolic" in result.name]
    assert {result.outcome for result in points} == {"skipped"}
    assert not list(archive.rglob(".zattrs"))
    ingest(raw / "config.yaml", archive)  # and back: nothing of the other version stays behind
    assert tree(archive) == before


def test_a_default_that_is_written_down_is_no_other_input() -> None:
    assert Options().digest_part() == Options(chunk_size=128).digest_part() == {"chunk_size": 128, "dtype": None}
    assert Options(ngff="0.5").digest_part() == Options(chunk_size=64, ngff="0.5").digest_part()
    assert Options(ngff="0.5").digest_part() != Options(chunk_size=64).digest_part()
