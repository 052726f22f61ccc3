"""Tomograms, features, segmentations, density maps (C7, C8, C29, C43, C44, C46, C55, C67, C69)."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import tomoportal.copick as copick
from tomoportal.copick.labels import checked_label_cast, label_dtype
from tomoportal.copick.pyramids import halved, levels_of
from tomoportal.errors import AnnotationError, NotFoundError, StorageError
from tomoportal.formats import ArrayVolume
from tomoportal.formats.mapped_pages import MappedPages
from tomoportal.formats.volume_output import write_mrc
from tomoportal.storage import open_store
from tomoportal.testing.faulty import FaultyStore, Killed


@pytest.fixture
def spacing(run: copick.CopickRun) -> copick.CopickVoxelSpacing:
    return run.new_voxel_spacing(10)


@pytest.fixture
def tomogram(spacing: copick.CopickVoxelSpacing) -> copick.CopickTomogram:
    return spacing.new_tomogram("wbp")


def volume(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


# --- pyramids


def slow_mean(array: np.ndarray) -> np.ndarray:
    out = np.zeros([-(-size // 2) for size in array.shape])
    for index in np.ndindex(*out.shape):
        out[index] = array[tuple(slice(2 * n, 2 * n + 2) for n in index)].astype(np.float64).mean()
    return out


@settings(max_examples=30)
@given(st.tuples(*[st.integers(1, 7)] * 3), st.sampled_from(["f4", "f8", "i2", "u1", "i4", "u8"]))
def test_c46_means_are_over_voxels_that_exist(shape: tuple[int, int, int], dtype: str) -> None:
    generator = np.random.default_rng(sum(shape))
    array = (generator.normal(size=shape) * 50 + 100).astype(dtype)
    found = halved(array, "mean")
    exact = dtype[0] == "f"
    # Odd edges: our kernel lets a voxel stand for its missing partner, which is the mean of those that exist.
    np.testing.assert_allclose(found, slow_mean(array), rtol=1e-5, atol=0.0 if exact else 1.0)
    assert found.dtype == array.dtype
    labels = halved(array, "nearest")
    assert labels.shape == found.shape
    assert np.array_equal(labels, array[::2, ::2, ::2])


def test_c46_levels_of_tomograms_and_labels_lie_on_one_grid(
    tomogram: copick.CopickTomogram, run: copick.CopickRun
) -> None:
    tomogram.from_numpy(volume(9, 6, 5))
    segmentation = run.new_segmentation(10, "membrane", "1")
    segmentation.from_numpy(volume(9, 6, 5) > 0, levels=3)
    for level, shape in (("0", (9, 6, 5)), ("1", (5, 3, 3)), ("2", (3, 2, 2))):
        assert tomogram.numpy(level).shape == segmentation.numpy(level).shape == shape
    attributes = json.loads(Path(tomogram.overlay_path, ".zattrs").read_text())
    datasets = attributes["multiscales"][0]["datasets"]
    assert datasets[1]["coordinateTransformations"] == [
        {"scale": [20.0] * 3, "type": "scale"},
        {"translation": [5.0] * 3, "type": "translation"},
    ]
    assert levels_of(volume(4, 4, 4), 10.0, 2, "nearest")[1].translation == 0


# --- reading


def test_regions_are_named_x_y_z_and_come_as_z_y_x(tomogram: copick.CopickTomogram) -> None:
    data = volume(150, 140, 131)
    tomogram.from_numpy(data)
    assert np.array_equal(tomogram.numpy(), data)
    assert np.array_equal(
        tomogram.numpy(x=slice(3, 130), y=slice(100, 135), z=slice(-20, None)), data[-20:, 100:135, 3:130]
    )
    assert np.array_equal(tomogram.numpy(z=7), data[7])
    assert np.array_equal(tomogram.numpy(x=slice(None, None, 3), y=-1), data[:, -1, ::3])
    assert np.array_equal(tomogram.numpy(z=slice(20, 2, -2)), data[20:2:-2])
    assert tomogram.numpy(x=slice(5, 5)).shape == (150, 140, 0)
    assert np.array_equal(tomogram.numpy(None), data)
    with pytest.raises(NotFoundError, match=r"no level '7'.*\n.*levels are: 0, 1, 2"):
        tomogram.numpy("7")


def test_c67_a_slab_touches_only_its_chunks(config: Path, tmp_path: Path) -> None:
    inner = open_store(tmp_path / "overlay", create=True)
    store = FaultyStore(inner)
    root = copick.CopickRoot(copick.CopickConfigFSSpec.model_validate_json(config.read_text()), overlay=store)
    tomogram = root.new_run("a").new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(volume(300, 140, 130))
    store.counts.clear()
    assert tomogram.numpy(z=slice(130, 131)).shape == (1, 140, 130)
    chunks = store.counts["get_range"]
    assert chunks <= 2 * 4 + 6  # offsets and blocks of four chunks, and the documents


def test_what_does_not_fit_into_memory_is_refused(
    tomogram: copick.CopickTomogram, monkeypatch: pytest.MonkeyPatch
) -> None:
    tomogram.from_numpy(volume(8, 8, 8))
    monkeypatch.setattr("tomoportal.copick.zarr_folders.free_memory", lambda: 100)
    with pytest.raises(ValueError, match=r"Requested region does not fit in memory. Requested: 2048, Available: 100."):
        tomogram.numpy()
    assert tomogram.numpy(x=slice(0, 1), y=slice(0, 1)).shape == (8, 1, 1)


@pytest.mark.parametrize("version", [2, 3])
def test_stores_of_others_are_read(version: int, tomogram: copick.CopickTomogram) -> None:
    data = volume(20, 19, 18)
    group = zarr.open_group(tomogram.overlay_path, mode="w", zarr_format=version)
    for name, level in (("s0", data), ("s1", data[::2, ::2, ::2])):
        more = {"shards": (16, 16, 16)} if version == 3 else {}
        array = group.create_array(name, shape=level.shape, chunks=(8, 8, 8), dtype="f4", **more)
        array[...] = level
    scale = [{"coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1]}], "path": f"s{n}"} for n in (0, 1)]
    axes = [{"name": axis, "type": "space"} for axis in "zyx"]
    multiscales = [{"axes": axes, "datasets": scale, "version": "0.4"}]
    group.attrs.update(
        {"multiscales": multiscales} if version == 2 else {"ome": {"version": "0.5", "multiscales": multiscales}}
    )
    for level in ("0", "s0", None):
        assert np.array_equal(tomogram.numpy(level), data)
    assert np.array_equal(tomogram.numpy("1", x=slice(2, 5)), data[::2, ::2, ::2][..., 2:5])


# --- zarr for plug-ins


@pytest.mark.parametrize("local", [True, False])
def test_zarr_opens_and_writes_what_we_hand_out(local: bool, config: Path, tmp_path: Path) -> None:
    store = open_store(tmp_path / "overlay", create=True) if local else open_store("memory://")
    root = copick.CopickRoot(copick.CopickConfigFSSpec.model_validate_json(config.read_text()), overlay=store)
    spacing = root.new_run("a").new_voxel_spacing(10)
    tomogram = spacing.new_tomogram("wbp")
    data = volume(20, 10, 10)
    tomogram.from_numpy(data)
    group = zarr.open_group(tomogram.zarr(), mode="r")
    assert np.array_equal(group["0"][...], data)
    assert sorted(group.keys()) == ["0", "1", "2"]
    features = tomogram.new_features("sobel")
    zarr.create_array(features.zarr(), shape=(5, 5, 5), dtype="f4", name="0", zarr_format=2, chunks=(4, 4, 4))[...] = 3
    assert features.numpy().sum() == 375
    array = zarr.open_array(features.zarr(), path="0", mode="r+")
    array[0] = 0
    assert features.numpy(slices=(slice(0, 2), slice(0, 1), slice(0, 1))).ravel().tolist() == [0, 3]
    read_only = copick.CopickRoot(root.config, static=store, overlay=open_store("memory://"))
    static = read_only.runs[0].voxel_spacings[0].tomograms[0]
    assert np.array_equal(zarr.open_group(static.zarr(), mode="r")["0"][...], data)
    with pytest.raises((ValueError, PermissionError)):
        zarr.open_array(static.zarr(), path="0", mode="r+")[0] = 1


# --- writing


def test_c44_read_only_volumes_are_a_permission_error(
    tmp_path: Path, make_config, tomogram: copick.CopickTomogram
) -> None:
    tomogram.from_numpy(volume(4, 4, 4))
    tomogram.voxel_spacing.run.new_segmentation(10, "membrane", "1").from_numpy(np.ones((4, 4, 4), int))
    (tmp_path / "overlay").rename(tmp_path / "static")
    run = copick.from_file(make_config(tmp_path, static_root=str(tmp_path / "static"))).runs[0]
    for entity in (run.voxel_spacings[0].tomograms[0], run.segmentations[0]):
        with pytest.raises(PermissionError, match=r"Cannot store \w+ in a read-only source"):
            entity.from_numpy(np.ones((4, 4, 4), int))
        with pytest.raises(PermissionError, match=r"Cannot store \w+ in a read-only source"):
            entity.set_region(np.ones((4, 4, 4), int))
        with pytest.raises(PermissionError, match=r"Cannot delete \w+ in a read-only source"):
            entity.delete()


def test_c8_a_region_is_written_into_every_level(tomogram: copick.CopickTomogram, run: copick.CopickRun) -> None:
    data = volume(140, 17, 150)
    tomogram.from_numpy(data)
    part = np.full((9, 5, 33), 7, np.float32)
    tomogram.set_region(part, x=slice(110, 143), y=slice(3, 8), z=slice(121, 130))
    data[121:130, 3:8, 110:143] = part
    for number, level in enumerate(levels_of(data, 10.0, 3, "mean")):
        np.testing.assert_allclose(tomogram.numpy(str(number)), level.array, rtol=1e-6)
    tomogram.set_region(0, z=0, update_levels=False)
    assert not tomogram.numpy(z=0).any()
    assert tomogram.numpy("1", z=0).any()
    segmentation = run.new_segmentation(10, "all", "1", True)
    labels = (volume(31, 30, 33) > 0).astype(np.uint8) * 3
    segmentation.from_numpy(labels, levels=2)
    segmentation.set_region(np.full((3, 3, 3), 9), x=slice(30, 33), y=slice(4, 7), z=slice(28, 31))
    labels[28:31, 4:7, 30:33] = 9
    assert np.array_equal(segmentation.numpy("1"), labels[::2, ::2, ::2])
    with pytest.raises(ValueError, match=r"do not fit uint8"):
        segmentation.set_region(np.full((1, 1, 1), 256), x=slice(0, 1), y=slice(0, 1), z=slice(0, 1))


@pytest.mark.parametrize("kill", [False, True])
def test_c7_a_volume_is_replaced_whole_or_not_at_all(
    kill: bool, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_ = copick.CopickConfigFSSpec.model_validate_json(config.read_text())
    inner = open_store(tmp_path / "overlay", create=True)
    made = copick.CopickRoot(settings_, overlay=inner).new_run("a").new_voxel_spacing(10).new_tomogram("wbp")
    made.from_numpy(np.zeros((8, 8, 150), np.float32))
    # Whoever died here was this process, which lives: its leftovers are to be taken for those of a dead one.
    monkeypatch.setattr("tomoportal.copick.volume_folders.is_abandoned", lambda token, modified: True)
    state, number = 0.0, 0
    while True:
        store = FaultyStore(inner, fail_at=number, kill=kill)
        try:
            tomogram = copick.CopickRoot(settings_, overlay=store).runs[0].voxel_spacings[0].tomograms[0]
            tomogram.from_numpy(np.full((8, 8, 150), number + 1, np.float32))
            done = True
        except (StorageError, Killed):
            done = False
        clean = copick.CopickRoot(settings_, overlay=inner)
        (found,) = clean.runs[0].voxel_spacings[0].tomograms
        values = np.unique(found.numpy())
        assert values.tolist() in ([state], [number + 1])
        assert clean.report() == []
        state = float(values[0])
        if done:
            break
        number += 1
    assert number > 10
    assert list((tmp_path / "overlay/ExperimentRuns/a/VoxelSpacing10.000").glob(".wbp*")) == []


WRITE = np.zeros((64, 256, 256), np.float32)


def write_forever(config: str) -> None:
    tomogram = copick.from_file(config).runs[0].voxel_spacings[0].tomograms[0]
    number = 0
    while True:
        number += 1
        tomogram.from_numpy(WRITE + number, levels=1)


def test_c7_kill_9_while_a_volume_is_written(tomogram: copick.CopickTomogram, config: Path) -> None:
    tomogram.from_numpy(WRITE, levels=1)
    folder = Path(tomogram.overlay_path).parent
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=write_forever, args=(str(config),))
    process.start()
    while not list(folder.glob(".wbp*")):
        time.sleep(0.005)
    time.sleep(0.05)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    again = copick.from_file(config).runs[0].voxel_spacings[0].new_tomogram("wbp", exist_ok=True)
    if not again._folder.is_empty():
        assert len(np.unique(again.numpy())) == 1
    again.from_numpy(WRITE + 5, levels=1)
    assert np.unique(again.numpy()).tolist() == [5]
    assert list(folder.glob(".wbp*")) == []


def test_c7_a_half_written_volume_is_reported_and_says_what_to_do(config: Path) -> None:
    store = FaultyStore(open_store("memory://"))
    root = copick.CopickRoot(copick.CopickConfigFSSpec.model_validate_json(config.read_text()), overlay=store)
    tomogram = root.new_run("a").new_voxel_spacing(10).new_tomogram("wbp")
    assert store.exists("ExperimentRuns/a/VoxelSpacing10.000/wbp.zarr/.zattrs")  # C29
    assert [problem.what for problem in root.report()] == ["a volume without voxels: new, or not written to the end"]
    with pytest.raises(FileNotFoundError, match="write it again"):
        tomogram.numpy()
    tomogram.from_numpy(volume(4, 4, 4))
    assert root.report() == []
    store.counted = lambda operation, key: key.endswith((".zattrs", "0/.zarray")) and operation == "put"
    store.fail_at, store.operations = 0, 0
    with pytest.raises(StorageError):
        tomogram.from_numpy(volume(4, 4, 4) + 1)
    store.fail_at = None
    assert not tomogram._folder.store.exists(f"{tomogram._key}/.zattrs")
    assert len(root.report()) == 1


def test_same_input_same_bytes(run: copick.CopickRun) -> None:
    spacing = run.new_voxel_spacing(10)
    found = []
    for name in ("a", "b"):
        tomogram = spacing.new_tomogram(name)
        tomogram.from_numpy(volume(150, 140, 135))
        folder = Path(tomogram.overlay_path)
        found.append({str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert found[0] == found[1]


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.zeros((1, 4, 4, 4)), np.zeros((0, 4, 4)), 3.0])
def test_what_is_no_volume_is_refused(bad: object, tomogram: copick.CopickTomogram) -> None:
    with pytest.raises(AnnotationError, match="axes"):
        tomogram.from_numpy(bad)
    assert tomogram._folder.is_empty()


# --- features and maps


def test_c55_features_of_three_and_four_axes(tomogram: copick.CopickTomogram, config: Path) -> None:
    tomogram.from_numpy(volume(6, 5, 4))
    for name, data in (("scalar", volume(6, 5, 4)), ("vector", volume(3, 6, 5, 4).astype(np.float16))):
        features = tomogram.new_features(name)
        features.from_numpy(data)
        assert features.numpy().dtype == data.dtype
        assert np.array_equal(features.numpy(), data)
        with pytest.raises(AnnotationError, match="already exists"):
            features.from_numpy(data, overwrite=False)
    found = copick.from_file(config).runs[0].voxel_spacings[0].tomograms[0].get_features("vector")
    assert found is not None
    found.set_region(np.zeros((6, 5, 4)), slices=(1,))
    assert not found.numpy(slices=(1, slice(None), slice(None), slice(None))).any()
    assert tomogram.get_features("nothing") is None


def test_features_of_a_type_whose_name_begins_like_another(spacing: copick.CopickVoxelSpacing) -> None:
    folder = Path(spacing.overlay_path)
    for name in ("wbp.zarr", "wbp_a.zarr", "wbp_sobel_features.zarr", "wbp_a_sobel_features.zarr", "__features.zarr"):
        (folder / name).mkdir()
    spacing.refresh()
    found = {tomogram.tomo_type: [each.feature_type for each in tomogram.features] for tomogram in spacing.tomograms}
    assert found == {"wbp": ["sobel"], "wbp_a": ["sobel"]}


def test_c43_density_maps(root: copick.CopickRoot, tmp_path: Path, make_config) -> None:
    ribosome, membrane = root.get_object("ribosome"), root.get_object("membrane")
    assert ribosome is not None
    assert membrane is not None
    assert not ribosome.has_density_map()
    assert ribosome.numpy() is None
    assert membrane.zarr() is membrane.numpy() is None
    assert not (tmp_path / "overlay" / "Objects").exists()
    with pytest.raises(AnnotationError, match="not a particle object"):
        membrane.from_numpy(volume(4, 4, 4), 10)
    data = volume(8, 7, 6)
    ribosome.from_numpy(data, 10)
    ribosome.set_region(0, x=0)
    data[..., 0] = 0
    assert np.array_equal(ribosome.numpy(), data)
    (tmp_path / "overlay").rename(tmp_path / "static")
    static = copick.from_file(make_config(tmp_path, static_root=str(tmp_path / "static")))
    found = static.get_object("ribosome")
    assert found is not None
    assert found.read_only
    assert np.array_equal(found.numpy(), data)
    with pytest.raises(PermissionError, match="Cannot delete object in a read-only source"):
        found.delete()
    other = static.get_object("proteasome")
    assert other is not None
    other.from_numpy(data, 10)
    other.delete()
    assert static.get_object("proteasome") is None
    assert not Path(other.overlay_path).exists()


# --- labels


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 1], "u1"),
        ([0, 255], "u1"),
        ([0, 256], "u2"),
        ([2**16], "u4"),
        ([2**40], "u8"),
        ([1.0, 2.0], "u1"),
        ([True], "u1"),
    ],
)
def test_labels_get_the_smallest_type_that_holds_them(values: list, dtype: str) -> None:
    assert label_dtype(np.array(values)) == np.dtype(dtype)
    assert checked_label_cast(np.array(values), dtype).tolist() == values


@pytest.mark.parametrize(
    ("values", "dtype", "words"),
    [
        ([0, 256], "u1", r"Segmentation values in \[0, 256\] do not fit uint8 \(\[0, 255\]\)\."),
        ([-1], "u1", "must be non-negative"),
        ([0.5], "u1", "must be integers"),
        ([np.nan], "u1", "must be finite"),
        ([2], "?", "do not fit bool"),
        ([2**24 + 1], "f4", "not exactly representable"),
    ],
)
def test_labels_never_change(values: list, dtype: str, words: str, run: copick.CopickRun) -> None:
    with pytest.raises(ValueError, match=words):
        checked_label_cast(np.array(values), dtype)
    segmentation = run.new_segmentation(10, "membrane", "1")
    with pytest.raises(ValueError, match=words):
        segmentation.from_numpy(np.array(values).reshape(1, 1, -1), dtype=dtype)


def test_instance_and_panoptic_segmentations(run: copick.CopickRun) -> None:
    ids = np.zeros((4, 4, 4), int)
    ids[0], ids[1, 0] = 7, 3
    instance = run.new_segmentation(10, "ribosome", "1", is_instance=True)
    instance.from_numpy(ids)
    assert instance.numpy().dtype == np.uint16
    assert instance.instance_ids().tolist() == [3, 7]
    panoptic = run.new_segmentation(10, "all", "1", is_panoptic=True)
    assert panoptic.segmentation_type == "panoptic"
    both = np.stack([np.where(ids, 2, 0), ids])
    both[0, 3] = 1
    panoptic.from_numpy(both, levels=2)
    assert panoptic.segments() == [("proteasome", 3), ("proteasome", 7), ("ribosome", 0)]
    assert panoptic.instance_ids(object_name="proteasome").tolist() == [3, 7]
    assert np.array_equal(panoptic.label_volume(), both[0])
    assert np.array_equal(panoptic.instance_volume("proteasome"), ids)
    assert panoptic.numpy("1").shape == (2, 2, 2, 2)
    panoptic.set_region(np.full((1, 4, 4), 9), channel="instance", z=slice(3, 4))
    assert panoptic.instance_ids(object_name="ribosome").tolist() == [9]
    words = {
        r"\(2, Z, Y, X\)": lambda: panoptic.from_numpy(ids),
        r"Panoptic label channel holds \[9\]": lambda: panoptic.from_numpy(np.stack([np.full_like(ids, 9), ids])),
        r"16 background voxels \(label 0\) carry": lambda: panoptic.set_region(5, channel=1, z=slice(2, 3)),
        "are per object; pass object_name": panoptic.instance_ids,
        "only panoptic ones have channels": lambda: instance.numpy(channel=0),
        "needs an instance or panoptic one": run.new_segmentation(10, "membrane", "1").instance_ids,
        "Object name virus not found": lambda: panoptic.instance_ids(object_name="virus"),
        "There is no channel 'x'": lambda: panoptic.numpy(channel="x"),
    }
    for text, action in words.items():
        with pytest.raises(ValueError, match=text):
            action()


ADDITION = """
import json, sys
import numpy as np
import tomoportal.copick as copick
from tomoportal.copick.operations import file_imports

folder, source = sys.argv[1:]
root = copick.from_file(folder + "/copick_config.json")
if source == "array":
    volume = np.load(folder + "/volume.npy", mmap_mode="r")
    made = root.new_run("TS_001").new_voxel_spacing(10).new_tomogram("wbp")
    made.from_numpy(volume)
else:
    volume = np.memmap(folder + "/volume.mrc", np.float32, "r", 1024, (128, 512, 512))
    made = file_imports.add_tomogram_from_file(root, "TS_001", "wbp", folder + "/volume.mrc")
with open("/proc/self/status") as file:
    print(next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:")))
assert all(np.array_equal(made.numpy(z=slice(z, z + 8)), volume[z : z + 8]) for z in range(0, 128, 8))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the peak of the memory as Linux tells it")
def test_c68_a_mapped_volume_is_added_without_keeping_its_pages(config: Path, tmp_path: Path) -> None:
    """134 MB with a pyramid; a process that keeps them all has 240 MB with its imports, chunks and coarser levels."""
    plane = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
    volume = np.repeat(plane[None], 128, axis=0) + np.arange(128, dtype=np.float32)[:, None, None]
    np.save(tmp_path / "volume.npy", volume)
    write_mrc(ArrayVolume(volume), open_store(tmp_path), "volume.mrc", voxel_spacing=10)
    try:
        for source in ("array", "file"):
            command = [sys.executable, "-W", "ignore", "-c", ADDITION, str(tmp_path), source]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert int(done.stdout) < 1.65 * volume.nbytes, source  # 1.2 to 1.5, as the threads run
            shutil.rmtree(tmp_path / "overlay")
    finally:
        for name in ("volume.npy", "volume.mrc"):
            (tmp_path / name).unlink()


def test_a_private_mapping_keeps_what_was_written_into_it(tmp_path: Path) -> None:
    volume = np.arange(40 * 4 * 4, dtype=np.float32).reshape(40, 4, 4)
    np.save(tmp_path / "volume.npy", volume)
    mapped = np.load(tmp_path / "volume.npy", mmap_mode="c")
    mapped[:] = 7
    pages = MappedPages(mapped)
    pages.drop()
    assert (pages.copied(mapped) == 7).all()
    shown = np.load(tmp_path / "volume.npy", mmap_mode="r")
    assert np.array_equal(MappedPages(shown[::2]).copied(shown[::2, 1:]), volume[::2, 1:])
