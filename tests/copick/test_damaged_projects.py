"""Projects that are damaged at random: reading tells what is wrong and changes nothing; what is sound stays readable.

Each case takes a whole project, damages one or two of its files or folders (their bytes, documents, names, kinds), and
reads everything. An error is one of ours, with the place and a way out. ``TOMOPORTAL_DAMAGES=500`` adds cases.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.errors import TomoportalError

CASES = 70
MANY = range(1000, 1600)
MORE = int(os.environ.get("TOMOPORTAL_DAMAGES", "0"))
SECONDS = 10  # of CPU for a project of forty small files; the usual is a twentieth of one
MEMORY = 100e6

MAKE = """
import json, os, sys
import numpy as np
import trimesh
import copick
root = copick.from_file(folder + "/copick_config.json")
for name in ("TS_001", "TS_002"):
    run = root.new_run(name)
    for session in "12":
        run.new_picks("ribosome", session, "ada").from_numpy(np.arange(9.0).reshape(3, 3), instance_ids=[1, 2, 3])
    run.new_filaments("microtubule", "1", "ada").from_control_points([[[0, 0, 0], [50, 0, 0], [60, 50, 0]]], step=10.0)
    mesh = run.new_mesh("membrane", "1", "ada")
    mesh.mesh = trimesh.creation.box(extents=(1, 2, 3))
    mesh.store()
    voxels = np.arange(64).reshape(4, 4, 4) % 3
    run.new_segmentation(10.0, "ribosome", "1", False, "ada").from_numpy(voxels)
    run.new_segmentation(10.0, "ribosome", "1", user_id="ada", is_instance=True).from_numpy(voxels)
    run.new_segmentation(10.0, "all", "1", user_id="ada", is_panoptic=True).from_numpy(np.stack([voxels, voxels]))
    spacing = run.new_voxel_spacing(10.0)
    for kind in ("wbp", "sirt"):
        tomogram = spacing.new_tomogram(kind)
        tomogram.from_numpy(np.random.default_rng(1).normal(size=(4, 4, 4)), levels=2)
root.get_object("ribosome").from_numpy(voxels, 10.0)
"""


# --- what is read


def entities(config: Path) -> Iterator[tuple[str, Path, Callable[[], Any]]]:
    """Everything that is listed: its name, its place, and how it is read."""
    root = copick.from_file(config)
    for each in root.pickable_objects:
        yield f"map {each.name}", Path(each.overlay_path), each.numpy
    for run in listed(lambda: root.runs):
        for kind in ("picks", "filaments", "meshes", "segmentations"):
            for each in listed(lambda run=run, kind=kind: getattr(run, kind)):
                name = getattr(each, "name", None) or each.pickable_object_name
                about = f"{type(each).__name__}{getattr(each, 'segmentation_type', '')} {name}"
                yield f"{run.name} {about} {each.user_id} {each.session_id}", Path(each.path), partial(content, each)
        for spacing in listed(lambda run=run: run.voxel_spacings):
            for tomogram in listed(lambda spacing=spacing: spacing.tomograms):
                place = Path(tomogram.overlay_path)
                yield f"{run.name} {tomogram.tomo_type}", place, tomogram.numpy
                yield f"{run.name} {tomogram.tomo_type} coarse", place, partial(tomogram.numpy, "1")
                yield f"{run.name} {tomogram.tomo_type} part", place, partial(tomogram.numpy, x=slice(1, 2))


def listed(ask: Callable[[], Iterable[Any]]) -> list[Any]:
    """Empty where the folder itself cannot be listed; that error must be one of ours, too."""
    try:
        return list(ask())
    except TomoportalError as error:
        if not error.fix:
            raise
        return []


def content(each: Any) -> Any:
    if isinstance(each, copick.CopickMesh):
        return np.asarray(each.mesh.bounds).tolist()
    return each.numpy() if isinstance(each, copick.CopickSegmentation) else [part.tolist() for part in each.numpy()]


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [list(value.shape), str(value.dtype), hashlib.sha256(value.tobytes()).hexdigest()]
    return value


def told(config: Path) -> dict[str, tuple[Path, Any]]:
    """What each reads as, or its error; another error than ours is none that this catches."""
    found: dict[str, tuple[Path, Any]] = {}
    for name, place, read in entities(config):
        try:
            found[name] = place, plain(read())
        except TomoportalError as error:
            found[name] = place, error
    return found


# --- damages

ODD = ["", " ", "\n", "a\\b", "%2e%2e", "\u202e", "*", "x" * 200, "-", "~", "#", "é", "\udce9", "..x", "_", "a_b_c_d_e"]
VALUES: list[Any] = [
    None, True, -1, 0, 1.5, 10**9, 10**30, 10**400, float("nan"), float("inf"), -1e308, "", "x", "8", "\ud800", [],
    {}, [[]],
    [None], {"id": "nothing"}, {"id": "zlib", "level": 1}, {"id": "blosc"}, "<f8", "<f4", ">i2", "|O", "<U9", "|V8",
    "<M8[ns]",
    "pixel", "furlong", "F", "/", ".", 2, 3, [4, 4], [4, 4, 4, 4], [0, 0, 0], [-1, 4, 4], [1, 1, 1], "../../..", "/etc",
]  # fmt: skip


def changed_document(value: Any, chance: random.Random) -> Any:
    """With one of its values replaced, taken out or doubled."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(sorted(value))
        if chance.random() < 0.15:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: changed_document(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        place = chance.randrange(len(value))
        if chance.random() < 0.15:
            return value[:place] + value[place + 1 :]
        return [*value[:place], changed_document(value[place], chance), *value[place + 1 :]]
    return chance.choice(VALUES)


def document(path: Path, chance: random.Random) -> None:
    text = path.read_text()
    kind = chance.randrange(8)
    if kind == 0:
        text = text.replace("{", '{"points": [], "shape": [1], "name": "x",', 1)  # keys that come twice
    elif kind == 1:
        text = text.rstrip()[:-1] + ', "deep": ' + "[" * 100_000 + "]" * 100_000 + "}"
    elif kind == 2:
        text = "\ufeff" + text
    else:
        text = json.dumps(changed_document(json.loads(text), chance))
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


def bytes_of(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    kind = chance.randrange(5)
    if kind == 0:
        del data[chance.randrange(len(data) + 1) :]
    elif kind == 1:
        for _ in range(chance.randrange(1, 5)):
            if data:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == 2:
        data[:16] = chance.randbytes(16)
    elif kind == 3:
        data += chance.randbytes(chance.choice([1, 100, 5000]))
    else:
        blosc = b"\x02\x01\x21\x04" + b"\xff" * 12
        data = bytearray(chance.choice([b"", b"\0" * 64, b"null", b"{", b"\xff" * 20, b"glTF", blosc]))
    path.write_bytes(bytes(data))


def kind_of(path: Path, chance: random.Random) -> None:
    """A file becomes a folder, a folder a file, either a link to itself or to what is above it, a pipe or nothing."""
    kind = chance.randrange(5)
    was_folder = path.is_dir()
    if was_folder:
        shutil.rmtree(path)
    else:
        path.unlink()
    if kind == 0:
        path.write_bytes(b"x") if was_folder else path.mkdir()
    elif kind == 1:
        path.symlink_to(path)
    elif kind == 2:
        path.symlink_to(path.parent)
    elif kind == 3:
        os.mkfifo(path)


def name_of(path: Path, chance: random.Random) -> None:
    odd = chance.choice(ODD)
    whole = path.name
    names = [f"{odd}{whole}", f"{path.stem}{odd}{path.suffix}", odd, whole.replace("_", odd), whole.upper()]
    name = chance.choice(names)
    with suppress(OSError, UnicodeError, ValueError):
        if name not in ("", ".", "..") and "/" not in name:
            path.rename(path.with_name(name))


def damage(folder: Path, chance: random.Random) -> list[Path]:
    """One or two damages; the places."""
    places = []
    for _ in range(chance.choice([1, 1, 2])):
        every = sorted(path for path in (folder / "overlay").rglob("*") if not path.is_symlink())
        files = [path for path in every if path.is_file()]
        path = chance.choice(every if chance.random() < 0.3 else files)
        is_document = path.is_file() and (path.suffix == ".json" or path.name in (".zarray", ".zattrs", ".zgroup"))
        ways: list[Callable[[Path, random.Random], None]] = [kind_of, name_of]
        if path.is_file():
            ways += [bytes_of, bytes_of]
        if is_document and not places:
            ways += [document] * 6
        chance.choice(ways)(path, chance)
        places.append(path)
    return places


# --- the check


def snapshot(folder: Path) -> dict[str, Any]:
    """Every name with what it is, content and time of change."""
    found: dict[str, Any] = {}
    for base, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = os.path.join(base, name)
            about = os.lstat(path)
            content = ""
            if os.path.islink(path):
                content = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            found[os.path.relpath(path, folder)] = (about.st_mode, about.st_mtime_ns, content)
    return found


@contextmanager
def bounded() -> Iterator[None]:
    """CPU, memory and, against what waits for ever, time."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError("reading waits for ever")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(300)
    begin = time.process_time()
    tracemalloc.start()
    try:
        yield
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert time.process_time() - begin < SECONDS
    assert peak < MEMORY


def is_touched(place: Path, damaged: list[Path]) -> bool:
    return any(place == each or place in each.parents or each in place.parents for each in damaged)


def copied(sample: Path, folder: Path) -> Path:
    """The config of a copy."""
    shutil.copytree(sample, folder)
    config = folder / "copick_config.json"
    config.write_text(config.read_text().replace(str(sample), str(folder)))
    return config


def check(sample: Path, folder: Path, seed: int) -> None:
    config = copied(sample, folder)
    sound = told(config)
    damaged = damage(folder, random.Random(seed))
    before = snapshot(folder)
    with bounded(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = told(config)
        problems = listed(lambda: copick.from_file(config).report(contents=True))
    about = f"seed {seed}: {[str(each.relative_to(folder)) for each in damaged]}"
    assert snapshot(folder) == before, about
    for name, (place, value) in sound.items():
        if not is_touched(place, damaged):
            assert repr(found[name][1]) == repr(value), f"{about}: {name}"
    for name, (place, value) in found.items():
        if isinstance(value, TomoportalError):
            assert place.name in str(value), f"{about}: {name}: {value}"
            assert value.fix, f"{about}: {name}: {value}"
    for problem in problems:
        assert problem.where, f"{about}: {problem}"
        assert problem.what, f"{about}: {problem}"
    shutil.rmtree(folder)


def made_by_ours(folder: Path) -> None:
    sys.modules["copick"] = copick
    try:
        exec(compile(MAKE, "make", "exec"), {"folder": str(folder)})
    finally:
        del sys.modules["copick"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, make_config: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("ours")
    make_config(folder)
    made_by_ours(folder)
    return folder


@pytest.fixture(scope="module")
def upstream_sample(tmp_path_factory: pytest.TempPathFactory, make_config: Callable[..., Path], upstream: Any) -> Path:
    folder = tmp_path_factory.mktemp("theirs")
    make_config(folder)
    upstream(f"import sys\nfolder = sys.argv[1]\n{MAKE}", folder)
    return folder


def test_damaged_projects_are_read_as_far_as_they_are_sound(sample: Path, tmp_path: Path) -> None:
    for seed in range(CASES):
        check(sample, tmp_path / str(seed), seed)


def test_a_name_that_is_no_text_inside_of_a_volume_hinders_nothing(sample: Path, tmp_path: Path) -> None:
    config = copied(sample, tmp_path / "project")
    sound = told(config)
    for store in (tmp_path / "project/overlay").rglob("*.zarr"):
        Path(os.fsdecode(bytes(store / "0") + b"\xe9")).write_bytes(b"")
    assert repr(told(config)) == repr(sound)
    picks = tmp_path / "project/overlay/ExperimentRuns/TS_001/Picks/ada_1_ribosome.json"
    picks.rename(os.fsdecode(bytes(picks.parent) + b"/\xe9_1_ribosome.json"))
    found = told(config)
    assert {name for name in found if name not in sound} == {"TS_001 CopickPicks ribosome \udce9 1"}
    assert not [value for _, value in found.values() if isinstance(value, TomoportalError)]
    with pytest.raises(TomoportalError):
        copick.from_file(config).runs[0].new_picks("ribosome", "1", "\ud800")


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_may_not_be_read_is_told_and_the_rest_is_read(sample: Path) -> None:
    """A document, a store and a mesh are closed."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        config = copied(sample, Path(folder) / "project")
        config.parent.chmod(0o755)
        sound = told(config)
        run = config.parent / "overlay/ExperimentRuns/TS_001"
        closed = ["Picks/ada_1_ribosome.json", "VoxelSpacing10.000/wbp.zarr", "Meshes/ada_1_membrane.glb"]
        for name in closed:
            (run / name).chmod(0)
        with nobody():
            found = told(config)
            problems = copick.from_file(config).report(contents=True)
        for name, (place, value) in found.items():
            if place in {run / each for each in closed}:
                assert isinstance(value, PermissionError), name
                assert place.name in str(value)
                assert value.fix  # type: ignore[attr-defined]
            else:
                assert repr(value) == repr(sound[name][1])
        assert found.keys() == sound.keys()
        assert {os.path.basename(str(each.where)) for each in problems} >= {Path(name).name for name in closed}


@pytest.mark.slow
def test_damaged_projects_of_upstream_s_too(upstream_sample: Path, tmp_path: Path) -> None:
    for seed in [*MANY, *random.sample(range(10**6), MORE)]:
        check(upstream_sample, tmp_path / str(seed), seed)
