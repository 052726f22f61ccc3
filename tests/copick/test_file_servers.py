"""Projects on file servers, OpenSSH's ``sshd`` and Samba's ``smbd``: ours and upstream's package on the same files."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.errors import ConflictError, ReadOnlyError
from tomoportal.storage.filesystem_spec import FsspecStore
from tomoportal.testing.file_servers import FileServer, ServerIsMissing, outage, smb_server, ssh_server

_serial = itertools.count()


@dataclass
class Place:
    """Where a project lies: a server, a URL, and the folder on this machine."""

    server: FileServer
    url: str
    folder: Path

    def settings(self, side: str = "overlay") -> dict[str, Any]:
        return {f"{side}_root": self.url, f"{side}_fs_args": self.server.arguments}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Both servers and the folder that they serve; a reason where one is not installed."""
    folder = tmp_path_factory.mktemp("served")
    found: dict[str, Any] = {"folder": folder}
    running = {"ssh": ssh_server(), "smb": smb_server(folder)}
    for name, server in running.items():
        try:
            found[name] = server.__enter__()
        except ServerIsMissing as error:
            found[name] = str(error)
    yield found
    for name, server in running.items():
        if isinstance(found[name], FileServer):
            server.__exit__(None, None, None)


@pytest.fixture(params=["ssh", "smb"])
def place(request: pytest.FixtureRequest, servers: dict[str, Any]) -> Place:
    server, name = servers[request.param], f"project {next(_serial)}"
    if isinstance(server, str):
        pytest.skip(server)
    folder = servers["folder"] / name
    folder.mkdir()
    return Place(server, f"ssh://{folder}" if request.param == "ssh" else f"smb:///share/{name}", folder)


BOTH = """
import json, sys
import numpy as np
import copick
import tomoportal.copick as ours
config = open(sys.argv[1]).read()

def fill(package, name):
    run = package.from_string(config).new_run(name)
    run.new_picks("ribosome", "1").from_numpy(np.arange(6.0).reshape(2, 3))
    tomogram = run.new_voxel_spacing(10.0).new_tomogram("wbp")
    tomogram.from_numpy(np.arange(125.0).reshape(5, 5, 5))
    tomogram.from_numpy(np.arange(125.0).reshape(5, 5, 5) + 1)
    run.new_segmentation(10.0, "ribosome", "1").from_numpy(np.ones((5, 5, 5), np.uint8))
    run.new_segmentation(10.0, "gone", "1", is_multilabel=True).from_numpy(np.ones((5, 5, 5), np.uint8))
    run.delete_segmentations(name="gone")
    run.new_filaments("microtubule", "1").store()

def tell(package, name):
    root = package.from_string(config)
    run = root.get_run(name)
    return [sorted(each.name for each in root.runs), run.picks[0].numpy()[0].tolist(),
            float(run.voxel_spacings[0].tomograms[0].numpy().sum()),
            [(each.name, int(each.numpy().sum())) for each in run.segmentations], len(run.filaments)]

fill(ours, "ours")
fill(copick, "theirs")
told = [tell(package, name) for package in (ours, copick) for name in ("ours", "theirs")]

# Each goes on with what the other wrote.
for package, name in ((ours, "theirs"), (copick, "ours")):
    picks = package.from_string(config).get_run(name).picks[0]
    picks.points = [*picks.points, copick.models.CopickPoint(location={"x": 7, "y": 8, "z": 9})
                    if package is copick else ours.CopickPoint(location={"x": 7, "y": 8, "z": 9})]
    picks.store()
told.append([len(package.from_string(config).get_run(name).picks[0].points)
             for package in (ours, copick) for name in ("ours", "theirs")])

# Upstream saves while ours has it open.
mine = ours.from_string(config).get_run("ours").picks[0]
mine.points
copick.from_string(config).get_run("ours").picks[0].from_numpy(np.zeros((1, 3)))
try:
    mine.from_numpy(np.ones((3, 3)))
except OSError as error:
    told.append(type(error).__name__)
mine.store(merge=True)
told.append(len(mine.history()))
for package, name in ((ours, "theirs"), (copick, "ours")):
    package.from_string(config).get_run(name).delete_picks("ribosome")
    root = package.from_string(config)
    assert root.runs  # upstream deletes nothing before it has listed (C16)
    root.delete_run(name)
told.append([each.name for package in (ours, copick) for each in package.from_string(config).runs])
print(json.dumps(told))
sys.stdout.flush()
import os
os._exit(0)  # upstream's connections have threads that nobody ends
"""


@pytest.mark.slow
def test_ours_and_upstreams_package_work_on_one_project(place: Place, plugins: Any, make_config: Any) -> None:
    settings = place.settings()
    if place.url.startswith("smb"):  # upstream makes no folders for chunks on its own there
        settings["overlay_fs_args"] = {**settings["overlay_fs_args"], "auto_mkdir": True}
    config = make_config(place.folder, **settings)
    *read, grown, conflict, versions, left = plugins(BOTH, config)
    expected = [["ours", "theirs"], [[0, 1, 2], [3, 4, 5]], 7875.0, [["ribosome", 125]], 1]
    assert read == [expected] * 4
    assert grown == [3] * 4
    assert conflict == "ConflictError"
    assert versions >= 1
    assert left == []


@pytest.fixture
def config(place: Place, tmp_path: Path, make_config: Any) -> Path:
    path: Path = make_config(tmp_path, **place.settings())
    return path


def opened(config: Path) -> copick.CopickPicks:
    run = copick.from_file(config).get_run("TS_001")
    assert run is not None
    return run.get_picks("ribosome", "ada", "1")[0]


def xs(picks: copick.CopickPicks) -> list[float]:
    return sorted(picks.numpy()[0][:, 0].tolist())


def at(*numbers: float) -> np.ndarray:
    return np.array([[number, 0.0, 0.0] for number in numbers])


def test_c3_c5_conflicts_merges_history(config: Path) -> None:
    picks = copick.from_file(config).new_run("TS_001").new_picks("ribosome", "1")
    assert isinstance(picks._source.store, FsspecStore)
    picks.from_numpy(at(1, 2))
    theirs = opened(config)
    theirs.from_numpy(at(1, 3))  # as long, within the same second
    with pytest.raises(ConflictError):
        picks.from_numpy(at(1, 4))
    picks.store(merge=True)
    assert xs(opened(config)) == [1, 3, 4]
    picks.restore(picks.history()[-1])
    assert xs(opened(config)) == [1, 3]
    blind = opened(config)  # listed, never loaded
    opened(config).from_numpy(at(8, 9))
    blind.points = []
    with pytest.raises(ConflictError):
        blind.store()
    opened(config).delete()
    with pytest.raises(ConflictError, match="deleted"):
        picks.from_numpy(at(5))


def test_c60_what_others_do_is_seen_after_a_refresh(config: Path) -> None:
    root, other = copick.from_file(config), copick.from_file(config)
    run = other.new_run("TS_001")
    run.new_picks("ribosome", "1").from_numpy(at(1))
    tomogram = run.new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(np.ones((4, 4, 4), np.float32))
    root.refresh()
    (seen,) = root.runs
    assert (xs(seen.picks[0]), seen.get_voxel_spacing(10).tomograms[0].numpy().sum()) == ([1], 64)
    run.new_picks("ribosome", "2")
    run.get_picks(session_id="1")[0].delete()
    tomogram.from_numpy(np.full((4, 4, 4), 2, np.float32))
    seen.refresh()
    assert [picks.session_id for picks in seen.picks] == ["2"]
    assert seen.get_voxel_spacing(10).tomograms[0].numpy().sum() == 128
    other.delete_run("TS_001")
    root.refresh()
    assert root.runs == []


SAVE_FOREVER = """
import sys
import numpy as np
import tomoportal.copick as copick
run = copick.from_file(sys.argv[1]).get_run("TS_001")
picks, tomogram = run.picks[0], run.get_voxel_spacing(10).tomograms[0]
number = 0
while True:
    number += 1
    if sys.argv[2] == "picks":
        picks.from_numpy(np.full((500, 3), float(number)))
    else:
        tomogram.from_numpy(np.full((140, 20, 20), number, np.float32))
    print("ready", flush=True)
"""


@pytest.mark.parametrize("what", ["picks", pytest.param("tomogram", marks=pytest.mark.slow)])
def test_c1_c7_kill_9_while_saving(what: str, config: Path, place: Place) -> None:
    run = copick.from_file(config).new_run("TS_001")
    run.new_picks("ribosome", "1").from_numpy(np.zeros((500, 3)))
    run.new_voxel_spacing(10).new_tomogram("wbp").from_numpy(np.zeros((140, 20, 20), np.float32))
    for delay in (0.02, 0.2):
        process = subprocess.Popen([sys.executable, "-c", SAVE_FOREVER, config, what], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        end = time.monotonic() + delay
        while time.monotonic() < end:
            assert len(set(opened(config).numpy()[0].ravel())) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        fresh = copick.from_file(config).runs[0]
        assert fresh.picks[0].numpy()[0].shape == (500, 3)
        values = fresh.get_voxel_spacing(10).tomograms[0].numpy()
        assert values.shape == (140, 20, 20)
        assert len(np.unique(values)) == 1
    end = time.monotonic() + 60
    while True:
        opened(config).from_numpy(at(1))
        assert xs(opened(config)) == [1]
        left = [name for name in os.listdir(place.folder / "ExperimentRuns/TS_001/Picks") if "-tmp-" in name]
        if not left:  # it is swept as soon as the server has noticed that its owner is dead
            break
        assert time.monotonic() < end, left


ADD = """
import sys
import tomoportal.copick as copick
picks = copick.from_file(sys.argv[1]).get_run("TS_001").picks[0]
for number in range(int(sys.argv[3])):
    picks.points = [*picks.points, copick.CopickPoint(location={"x": int(sys.argv[2]), "y": number, "z": 0})]
    picks.store(merge=True)
"""


@pytest.mark.slow
def test_interleaved_saves_of_several_processes_lose_nothing(config: Path) -> None:
    copick.from_file(config).new_run("TS_001").new_picks("ribosome", "1")
    workers = [subprocess.Popen([sys.executable, "-c", ADD, config, str(n), "25"]) for n in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    found = {(x, y) for x, y, _ in opened(config).numpy()[0].tolist()}
    assert found == {(float(x), float(y)) for x in range(3) for y in range(25)}


def test_a_static_project_on_a_server_that_comes_and_goes(place: Place, tmp_path: Path, make_config: Any) -> None:
    """Read-only root on the server, overlay here; the connection is dropped in the middle ("Reconnecting store")."""
    remote = copick.from_file(make_config(tmp_path, **place.settings()))
    for number in range(3):
        remote.new_run(f"TS_{number}").new_picks("ribosome", "1").from_numpy(at(number))
    root = copick.from_file(make_config(tmp_path, **place.settings("static")))
    found = []
    for run in root.runs:
        with outage(place.server, 0.2):
            found.append(xs(run.picks[0]))
        run.new_picks("ribosome", "2").from_numpy(at(9))
    assert found == [[0], [1], [2]]
    with pytest.raises(ReadOnlyError):
        root.runs[0].get_picks(session_id="1")[0].from_numpy(at(3))
    place.server.restart()
    root.refresh()
    assert [[picks.session_id for picks in run.picks] for run in root.runs] == [["1", "2"]] * 3
    assert json.loads((place.folder / "ExperimentRuns/TS_0/Picks/ada_1_ribosome.json").read_text())["points"]


def test_an_overlay_on_a_share_that_is_read_only(servers: dict[str, Any], tmp_path: Path, make_config: Any) -> None:
    if isinstance(servers["smb"], str):
        pytest.skip(servers["smb"])
    folder = servers["folder"] / "locked project"
    folder.mkdir()
    run = copick.from_file(make_config(tmp_path, overlay_root=str(folder))).new_run("TS_001")
    run.new_picks("ribosome", "1").from_numpy(at(1))
    run.new_voxel_spacing(10).new_tomogram("wbp").from_numpy(np.ones((4, 4, 4), np.float32))
    before = sorted(str(path) for path in folder.rglob("*"))
    settings = {"overlay_root": "smb:///locked/locked project", "overlay_fs_args": servers["smb"].arguments}
    config = make_config(tmp_path, **settings)
    run = copick.from_file(config).runs[0]
    picks, tomogram = run.picks[0], run.get_voxel_spacing(10).tomograms[0]
    for action in (
        lambda: picks.from_numpy(at(2)),
        picks.delete,
        lambda: run.new_picks("ribosome", "2"),
        lambda: tomogram.from_numpy(np.zeros((4, 4, 4), np.float32)),
        lambda: tomogram.set_region(np.zeros((1, 4, 4), np.float32), z=slice(0, 1)),
        tomogram.delete,
        lambda: run.root.new_run("TS_002"),
        lambda: run.root.delete_run("TS_001"),
    ):
        with pytest.raises(PermissionError, match="refuses access"):
            action()
    assert sorted(str(path) for path in folder.rglob("*")) == before
    fresh = copick.from_file(config).runs[0]
    assert (xs(fresh.picks[0]), fresh.get_voxel_spacing(10).tomograms[0].numpy().sum()) == ([1], 64)
