"""Volumes and gains that are no MRC, through a whole ingestion: EM, TIFF and DigitalMicrograph."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import tifffile

from tomoportal.archive import Archive
from tomoportal.archive.verify import verify
from tomoportal.catalog import ANYONE, Bases, Catalog, GraphQL, index
from tomoportal.formats import open_dm, open_omezarr
from tomoportal.ingest import Report
from tomoportal.storage import open_store
from tomoportal.testing.sources import SHAPE, TILTS

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Ingest = Callable[..., Report]

RUN = "10001/TS_01"
TOMOGRAM = f"{RUN}/Reconstructions/VoxelSpacing13.480/Tomograms/100/TS_01"
_KINDS = {"int8": 1, "int16": 2, "int32": 4, "float32": 5, "float64": 9}


def em_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """An EM file of a PC: machine code, data type, three sizes, then nothing up to byte 512."""
    head = bytes([6, 0, 0, _KINDS[array.dtype.name]]) + struct.pack("<3i", *array.shape[::-1])
    return head.ljust(512, b"\0") + array.astype(array.dtype.newbyteorder("<")).tobytes()


def _tomogram(name: str) -> Callable[[dict[str, Any]], None]:
    """One run whose only tomogram is the file ``name``; nothing else that would have to have its size."""

    def change(config: dict[str, Any]) -> None:
        config["runs"] = [{"sources": [{"literal": {"value": ["TS_01"]}}]}]
        config["annotations"] = []
        del config["tomograms"][1]
        config["tomograms"][0]["sources"] = [{"source_glob": {"list_glob": name}}]

    return change


def _errors(archive: Path) -> list[str]:
    found = verify(Archive.open(archive, read_only=True))
    return [f"{one.rule} {one.path}: {one.message}" for one in found if one.severity == "error"]


def _stored(archive: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The voxels of the MRC and of level 0 of the OME-Zarr."""
    with mrcfile.open(archive / f"{TOMOGRAM}.mrc") as file:
        mrc = file.data.copy()
        assert tuple(file.voxel_size.tolist()) == pytest.approx((13.48,) * 3)
    volume = open_omezarr(open_store(archive), f"{TOMOGRAM}.zarr")
    return mrc, volume.read(0, volume.shape[0])


@pytest.mark.usefixtures("full_photos")
@pytest.mark.parametrize("kind", ["em", "tif", "tif.zlib"])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_a_tomogram(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, kind: str, dtype: str) -> None:
    array = np.random.default_rng(1).normal(0, 50, SHAPE).astype(dtype)
    ending, _, compression = kind.partition(".")
    if ending == "em":
        (raw / "volume.em").write_bytes(em_bytes(array))
    else:
        tifffile.imwrite(raw / "volume.tif", array, compression=compression or None, photometric="minisblack")
    report = ingest(edit(raw, _tomogram(f"volume.{ending}")), tmp_path / "archive")
    assert report.ok, report.failures
    for stored in _stored(tmp_path / "archive"):
        assert stored.dtype == array.dtype
        np.testing.assert_array_equal(stored, array)
    document = json.loads((tmp_path / "archive" / TOMOGRAM).with_name("tomogram_metadata.json").read_bytes())
    assert document["size"] == dict(zip("zyx", SHAPE, strict=True))
    assert _errors(tmp_path / "archive") == []


@pytest.mark.parametrize("ending", ["em", "tif"])
def test_a_tilt_series(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, ending: str) -> None:
    stack = np.random.default_rng(2).normal(100, 10, (len(TILTS), 32, 48)).astype(np.int16)
    if ending == "em":
        (raw / "stacks/TS_01.em").write_bytes(em_bytes(stack))
    else:
        tifffile.imwrite(raw / "stacks/TS_01.tif", stack, photometric="minisblack")

    def change(config: dict[str, Any]) -> None:
        _tomogram("tomograms/{run_name}.rec")(config)
        config["tiltseries"][0]["sources"] = [{"source_glob": {"list_glob": f"stacks/{{run_name}}.{ending}"}}]

    report = ingest(edit(raw, change), tmp_path / "archive")
    assert report.ok, report.failures
    folder = tmp_path / "archive" / RUN / "TiltSeries/100"
    with mrcfile.open(folder / "TS_01.mrc") as file:
        np.testing.assert_array_equal(file.data, stack)
        assert file.is_image_stack()
    assert json.loads((folder / "tiltseries_metadata.json").read_bytes())["size"] == {"z": 4, "y": 32, "x": 48}


@pytest.mark.parametrize(("name", "kept"), [("volume.em", 700), ("volume.tif", 900)])
def test_a_volume_that_is_cut_off_is_refused(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, name: str, kept: int
) -> None:
    array = np.zeros(SHAPE, np.int16)
    tifffile.imwrite(raw / "volume.tif", array, photometric="minisblack")
    (raw / "volume.em").write_bytes(em_bytes(array))
    (raw / name).write_bytes((raw / name).read_bytes()[:kept])
    report = ingest(edit(raw, _tomogram(name)), tmp_path / "archive")
    assert not report.ok
    assert name in f"{report.failures}{report.errors}"
    assert not (tmp_path / "archive" / f"{TOMOGRAM}.mrc").exists()


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("annotations/em/ribosome_bin4_48cube.em", "real.em"),
        ("tomogram_tiff/tardis_mt_96cube_image.tif", "real.tif"),
    ],
)
def test_a_real_volume(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, real_data: Path, source: str, name: str
) -> None:
    shutil.copy(real_data / source, raw / name)
    data = (real_data / source).read_bytes()
    expected = (
        tifffile.imread(real_data / source)
        if name.endswith("tif")
        else np.frombuffer(data, "<f4", offset=512).reshape(struct.unpack_from("<3i", data, 4)[::-1])
    )
    report = ingest(edit(raw, _tomogram(name)), tmp_path / "archive")
    assert report.ok, report.failures
    mrc, zarr = _stored(tmp_path / "archive")
    np.testing.assert_array_equal(mrc, expected)
    np.testing.assert_array_equal(zarr, expected)


@pytest.mark.real_data
@pytest.mark.usefixtures("full_photos")
def test_gains_of_every_kind(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, real_data: Path) -> None:
    """F55: DigitalMicrograph becomes MRC without another program; F81: all reach the catalog, whatever their name."""
    shutil.rmtree(raw / "gains")
    (raw / "gains").mkdir()
    names = {
        "dm_2D.dm3": "dm_2D.mrc",
        "dm_2D_float32.dm4": "dm_2D_float32.mrc",
        "dm_mono_image.dm4": "dm_mono_image.mrc",
        "derived_20240101_EER_GainReference.gain": "derived_20240101_EER_GainReference.gain",
        "derived_CountRef_TS_01.mrc": "derived_CountRef_TS_01.mrc",
        "reference.tif": "reference.tif",
    }
    for name in names:
        if name != "reference.tif":
            shutil.copy(real_data / "gains" / name, raw / "gains" / name)
    tifffile.imwrite(raw / "gains/reference.tif", np.ones((12, 16), np.float32))

    def change(config: dict[str, Any]) -> None:
        _tomogram("tomograms/{run_name}.rec")(config)
        config["gains"][0]["sources"] = [{"source_glob": {"list_glob": "gains/*"}}]

    report = ingest(edit(raw, change), tmp_path / "archive")
    assert report.ok, report.failures
    folder = tmp_path / "archive" / RUN / "Gains"
    assert sorted(path.name for path in folder.iterdir()) == sorted(names.values())
    for name, stored in names.items():
        if name == stored:
            assert (folder / stored).read_bytes() == (raw / "gains" / name).read_bytes()
            continue
        image = open_dm(open_store(raw / "gains"), name)
        with mrcfile.open(folder / stored) as file:  # the lowest row first, as MRC has it
            np.testing.assert_array_equal(file.data.reshape(image.shape[1:]), image.read(0, 1)[0][::-1])
            assert float(file.voxel_size.x) == pytest.approx(image.voxel_size[0], rel=1e-5)
    # They come from several microscopes: that their sizes are not that of the frames is all that is wrong with them.
    assert {text.split()[0] for text in _errors(tmp_path / "archive")} == {"V714"}
    archive = Archive.open(tmp_path / "archive")
    with Catalog.open(f"sqlite:///{tmp_path}/catalog.sqlite", create=True) as catalog:
        index(archive, catalog)
        answer = GraphQL(catalog).execute(
            "{ gainFiles { s3FilePath } }", None, None, Bases("s3://b", "http://h"), ANYONE
        )
    found = [row["s3FilePath"].rpartition("/")[2] for row in json.loads(answer.body)["data"]["gainFiles"]]
    assert sorted(found) == sorted(names.values())
    again = ingest(raw / "config.yaml", tmp_path / "archive")
    assert again.counts["created"] == again.counts["replaced"] == 0
