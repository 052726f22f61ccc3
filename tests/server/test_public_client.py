"""The unmodified Python client of the public portal, pointed at our server (C: client, transport, downloads)."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import httpx
import mrcfile
import numpy as np
import pytest
from cryoet_data_portal import AnnotationFile, Client, Dataset, Run, Tomogram

from tomoportal.server import LiveServer, Settings
from tomoportal.testing.sample_archive import SAMPLE_SHAPE, write_sample_archive


@pytest.fixture(scope="module")
def client(server: LiveServer) -> Client:
    return Client(f"{server.url}/graphql")


def test_find_and_get(client: Client) -> None:
    found = list(Dataset.find(client, [Dataset.title.ilike("%sample%"), Dataset.runs.name == "TS_1"]))
    assert [dataset.id for dataset in found] == [10001]
    assert found[0].release_date.year == 2025
    run = Run.find(client, [Run.name == "TS_1"])[0]
    assert Run.get_by_id(client, run.id).name == "TS_1"


def test_relations(client: Client) -> None:
    run = Run.find(client, [Run.name == "TS_1"])[0]
    assert run.dataset.title == "Sample dataset"
    assert len(run.tomograms) == 2
    assert {spacing.voxel_spacing for spacing in run.tomogram_voxel_spacings} == {10.0, 20.0}
    assert [author.name for author in run.dataset.authors] == ["Ada Author", "Ben Author"]


def test_download_of_a_tomogram(client: Client, tmp_path: Path) -> None:
    tomogram = Tomogram.find(client, [Tomogram.run.name == "TS_1", Tomogram.is_visualization_default == True])[0]  # noqa: E712
    tomogram.download_mrcfile(str(tmp_path))
    path = tmp_path / "TS_1.mrc"
    assert mrcfile.validate(path)
    with mrcfile.open(path) as file:
        assert file.data.shape == SAMPLE_SHAPE
        assert file.data.dtype == np.float32


ODD = "100% of #1? & ü 50%25.ndjson"


def test_names_that_mean_something_in_an_address(tmp_path: Path) -> None:
    """A link must open in a browser and in the client; so ``% # ?`` are escaped, which local names show."""
    folder = "10001/TS_1/Reconstructions/VoxelSpacing10.000/Annotations/100"
    store = write_sample_archive(tmp_path / "archive").store
    document = json.loads(store.get(f"{folder}/cytosolic_ribosome-1.0.json"))
    document["files"][0]["path"] = f"{folder}/{ODD}"
    store.put(f"{folder}/cytosolic_ribosome-1.0.json", json.dumps(document).encode())
    store.put(f"{folder}/{ODD}", b'{"type": "point"}')
    with LiveServer(Settings(archive=str(tmp_path / "archive"))) as server:
        client = Client(f"{server.url}/graphql")
        (file,) = AnnotationFile.find(client, [AnnotationFile.s3_path.like("%ü%")])
        assert file.s3_path == f"s3://tomoportal/{folder}/{ODD}"
        assert file.https_path == f"{server.url}/files/{folder}/100%25 of %231%3F & ü 50%2525.ndjson"
        assert [one.id for one in AnnotationFile.find(client, [AnnotationFile.https_path == file.https_path])] == [
            file.id
        ]
        file.download(str(tmp_path / "got"))
        assert httpx.get(file.https_path).content == b'{"type": "point"}'
        with urlopen(quote(file.https_path, safe=":/%?#&")) as answer:  # what a browser does with blanks and letters
            assert answer.read() == b'{"type": "point"}'
    (got,) = (tmp_path / "got").iterdir()
    assert (got.name, got.read_bytes()) == ("100%25 of %231%3F & ü 50%2525.ndjson", b'{"type": "point"}')


def test_download_of_points(client: Client, tmp_path: Path) -> None:
    file = AnnotationFile.find(client, [AnnotationFile.format == "ndjson"])[0]
    file.download(str(tmp_path))
    assert [path.read_text().startswith('{"type"') for path in tmp_path.iterdir()] == [True]
