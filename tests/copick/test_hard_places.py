"""Projects where writing fails (full disks, folders without permission) and with names that stores dislike."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tomoportal.copick as copick
from tomoportal.errors import StorageError, TomoportalError
from tomoportal.testing.file_servers import ServerIsMissing, smb_server, ssh_server
from tomoportal.testing.object_server import s3_server

_serial = itertools.count()
KINDS = ["local", "memory", "s3", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("ssh", "smb"))]
Places = Callable[[], dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("places")


@pytest.fixture(scope="module", params=KINDS)
def places(request: pytest.FixtureRequest, folder: Path) -> Iterator[Places]:
    """Makes empty places of one kind: the keys of a config, and the folder on this machine if there is one."""
    kind = request.param
    if kind == "s3":
        with s3_server() as url:
            arguments = {"endpoint_url": parse_qs(url.partition("?")[2])["endpoint"][0]}
            yield lambda: {"overlay_root": f"s3://bucket/{next(_serial)}", "overlay_fs_args": arguments}
    elif kind == "memory":
        yield lambda: {"overlay_root": f"memory://hard{next(_serial)}", "overlay_fs_args": {}}
    elif kind == "local":
        yield lambda: {"overlay_root": str(folder / str(next(_serial))), "overlay_fs_args": {}}
    else:
        try:
            with ssh_server() if kind == "ssh" else smb_server(folder) as server:
                base = f"ssh://{folder}" if kind == "ssh" else "smb:///share"
                yield lambda: {"overlay_root": f"{base}/{next(_serial)}", "overlay_fs_args": server.arguments}
        except ServerIsMissing as error:
            pytest.skip(str(error))


def at(*numbers: float) -> np.ndarray:
    return np.array([[number, 0.0, 0.0] for number in numbers])


# --- names

MARKS = " _-.,;:!?*'\"`´~^°§$%&/\\()[]{}<>|#+=@äß日本\U0001f52c\n\t"
names = st.text(st.one_of(st.sampled_from(MARKS), st.characters(exclude_categories=["Cs"])), min_size=1, max_size=12)


@settings(max_examples=12)
@example("TS[1]", "a#b%20&+=")
@example("TS{1,2}~'$", "…é日本")
@example("a.zarr", "features")
@example("a?b*", "x:y")
@example("ends. ", "%2F")
@given(names, names)
def test_c26_c31_c33_any_name_is_kept_or_refused(places: Places, name: str, session: str) -> None:
    """A run of any name, and a session, a tomogram type in it: what was made is found, next to others, and deleted."""
    path = Path(tempfile.mkdtemp()) / "config.json"
    objects = [{"name": "ribosome", "is_particle": True, "label": 1}]
    config = copick.CopickConfigFSSpec(user_id="ada", pickable_objects=objects, **places())
    root = copick.CopickRoot(config)
    root.save_config(path)
    try:
        root.new_run("TS1").new_picks("ribosome", "1").from_numpy(at(0))
        try:
            run = root.new_run(name)
        except TomoportalError:
            assert [each.name for each in copick.from_file(path).runs] == ["TS1"], "a refused name leaves no trace"
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # names of sessions are altered, and that is said
            try:
                picks = run.new_picks("ribosome", session)
                tomogram = run.new_voxel_spacing(10).new_tomogram(session)
            except TomoportalError:
                return
        picks.from_numpy(at(1))
        tomogram.from_numpy(np.ones((4, 4, 4), np.float32), levels=1)
        fresh = copick.from_file(path)
        assert [each.name for each in fresh.runs] == sorted(["TS1", name])
        again = fresh.get_run(name)
        assert again is not None
        assert [each.session_id for each in again.picks] == [picks.session_id]
        assert again.picks[0].numpy()[0].tolist() == [[1, 0, 0]]
        (found,) = again.voxel_spacings[0].tomograms
        assert (found.tomo_type, found.numpy().sum()) == (tomogram.tomo_type, 64)
        fresh.delete_run(name)
        left = copick.from_file(path)
        assert [each.name for each in left.runs] == ["TS1"]
        assert left.runs[0].picks[0].numpy()[0].tolist() == [[0, 0, 0]]
    finally:
        shutil.rmtree(path.parent)


# --- full disks

FILL = 2_000_000


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of two megabytes below the folder that the servers serve."""
    place = folder / f"disk{next(_serial)}"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={FILL}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_leaves_the_old_or_the_new(
    places: Places, folder: Path, small_disk: Path, tmp_path: Path, make_config: Any
) -> None:
    """Picks and volumes, here and on file servers."""
    place = places()
    start, _, number = place["overlay_root"].rpartition("/")
    if not number.isdigit() or start.startswith("s3"):
        pytest.skip("no disk of ours is behind this store")
    config = make_config(tmp_path, **{**place, "overlay_root": f"{start}/{small_disk.name}"})
    run = copick.from_file(config).new_run("TS_001")
    picks = run.new_picks("ribosome", "1")
    picks.from_numpy(at(1, 2))
    tomogram = run.new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(np.ones((8, 8, 8), np.float32))
    (small_disk / "ballast").write_bytes(b"1" * (FILL - 150_000))
    noise = np.random.default_rng(0).normal(size=(80, 80, 80)).astype(np.float32)
    for action in (
        lambda: picks.from_numpy(np.random.default_rng(0).normal(size=(20_000, 3))),
        lambda: tomogram.from_numpy(noise),
        lambda: run.get_voxel_spacing(10).new_tomogram("new").from_numpy(noise),
        lambda: run.new_segmentation(10, "membrane", "1").from_numpy((noise * 1000).astype(np.uint8)),
    ):
        with pytest.raises(StorageError):
            action()
    fresh = copick.from_file(config).runs[0]
    assert fresh.picks[0].numpy()[0][:, 0].tolist() == [1, 2]
    assert fresh.get_voxel_spacing(10).get_tomograms("wbp")[0].numpy().sum() == 512
    hidden = [path for path in small_disk.rglob("*") if "-tmp-" in path.name or ".new-" in path.name]
    assert hidden == []
    (small_disk / "ballast").unlink()
    picks.from_numpy(at(3))
    tomogram.from_numpy(np.zeros((8, 8, 8), np.float32))
    fresh = copick.from_file(config).runs[0]
    assert fresh.picks[0].numpy()[0][:, 0].tolist() == [3]
    assert fresh.get_voxel_spacing(10).get_tomograms("wbp")[0].numpy().sum() == 0


LIMITED = """
import resource, sys
import numpy as np
import tomoportal.copick as copick
from tomoportal.errors import StorageError
run = copick.from_file(sys.argv[1]).runs[0]
picks, tomogram = run.picks[0], run.get_voxel_spacing(10).tomograms[0]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0).normal(size=(80, 80, 80))
for action in (lambda: picks.from_numpy(noise.reshape(-1, 5)[:20_000, :3]),
               lambda: tomogram.from_numpy(noise.astype(np.float32))):
    try:
        action()
        sys.exit("it was written")
    except StorageError as error:
        print(error)
"""


@pytest.fixture
def project(make_config: Any) -> Iterator[Path]:
    """A project that every user of this machine can see, with its config."""
    place = Path(tempfile.mkdtemp(prefix="tomoportal-"))
    place.chmod(0o755)
    config: Path = make_config(place)
    run = copick.from_file(config).new_run("TS_001")
    run.new_picks("ribosome", "1").from_numpy(at(1, 2))
    run.new_voxel_spacing(10).new_tomogram("wbp").from_numpy(np.ones((8, 8, 8), np.float32))
    yield config
    shutil.rmtree(place)


def state(config: Path) -> tuple[Any, Any, list[str]]:
    run = copick.from_file(config).runs[0]
    names = sorted(str(path) for path in config.parent.rglob("*"))
    return run.picks[0].numpy()[0].tolist(), run.get_voxel_spacing(10).tomograms[0].numpy().sum(), names


def test_a_quota_leaves_the_old(project: Path) -> None:
    before = state(project)[:2]
    done = subprocess.run([sys.executable, "-c", LIMITED, project], capture_output=True, text=True)
    assert (done.returncode, done.stderr[-500:]) == (0, "")
    assert done.stdout.lower().count("file too large") == 2
    assert state(project)[:2] == before
    assert not [name for name in state(project)[2] if "-tmp-" in name or ".new-" in name]


LOCKED = """
import sys
import numpy as np
import tomoportal.copick as copick
root = copick.from_file(sys.argv[1])
run = root.runs[0]
picks, tomogram = run.picks[0], run.get_voxel_spacing(10).tomograms[0]
assert picks.numpy()[0].tolist() == [[1, 0, 0], [2, 0, 0]]
for action in (lambda: picks.from_numpy(np.zeros((1, 3))), picks.delete, lambda: run.new_picks("ribosome", "2"),
               lambda: tomogram.from_numpy(np.zeros((4, 4, 4), np.float32)), tomogram.delete,
               lambda: tomogram.set_region(np.zeros((1, 8, 8), np.float32), z=slice(0, 1)),
               lambda: root.new_run("TS_002"), lambda: root.delete_run("TS_001")):
    try:
        action()
        sys.exit("it was written")
    except PermissionError as error:
        print(error)
"""


def test_a_folder_without_permission_is_told_and_nothing_changes(project: Path) -> None:
    for path in [project.parent, *project.parent.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = state(project)
    powerless: list[str] = []
    if os.geteuid() == 0:  # root may write everywhere, unless this is taken from it
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere")
        powerless = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    done = subprocess.run([*powerless, sys.executable, "-c", LOCKED, project], capture_output=True, text=True)
    for path in [project.parent, *project.parent.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert (done.returncode, done.stderr[-1500:]) == (0, "")
    assert done.stdout.count("permission denied") == 8, done.stdout
    assert state(project) == before


def test_unicode_forms_of_a_name_are_the_name(places: Places) -> None:
    """A composed and a decomposed name are one on some disks; listed is what was written."""
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "Küvette")
        config = copick.CopickConfigFSSpec(user_id="ada", pickable_objects=[], **places())
        copick.CopickRoot(config).new_run(name)
        assert [run.name for run in copick.CopickRoot(config).runs] == [name]
