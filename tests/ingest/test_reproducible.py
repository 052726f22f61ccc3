"""F12: the same config and sources give the same bytes on any machine, whoever runs it, from wherever, how often.

Everything in the archive is compared, manifests too. Only what is below `.tomoportal/cache`, `locks` and `staging` may
differ: times of source files, owners of locks, and work under way.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Digests = Callable[[Path], dict[str, str]]

_MACHINES: dict[str, dict[str, Any]] = {
    "workstation": {
        "jobs": 1,
        "umask": 0o022,
        "environment": {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"},
    },
    "laptop": {
        "jobs": 2,
        "umask": 0o077,
        "environment": {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "LANG": "C", "PYTHONHASHSEED": "4242"},
    },
    "cluster": {
        "jobs": 2,
        "umask": 0o002,
        "dask": True,
        "environment": {"TZ": "America/St_Johns", "LC_ALL": "POSIX", "PYTHONHASHSEED": "99", "PYTHONUTF8": "1"},
    },
}


def _moved(raw: Path, target: Path) -> Path:
    """The sources at another place: files made in another order, with other times and rights."""
    for number, path in enumerate(sorted(raw.rglob("*"), reverse=True)):
        if path.is_file():
            copy = target / path.relative_to(raw)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            os.utime(copy, (1_500_000_000 + number, 1_500_000_000 + number))
            copy.chmod(0o400)
    return target / "config.yaml"


def _ingest(name: str, raw: Path, folder: Path, *, dask: str | None = None) -> Path:
    machine = _MACHINES[name]
    home = folder / name
    (home / "home").mkdir(parents=True)
    (home / "temporary files").mkdir()
    config = _moved(raw, home / "raw data (ä)")
    archive = home / "somewhere" / "else" / "archive"
    environment = {**os.environ, **machine["environment"], "HOME": str(home / "home")}
    environment |= {"TMPDIR": str(home / "temporary files"), "USER": name, "LOGNAME": name}
    command = [sys.executable, "-m", "tomoportal", "ingest"]
    # A relative path of the config where the working directory is the folder of the sources.
    command += [str(config) if name == "workstation" else config.name, "--archive", str(archive)]
    command += ["--dask", dask] if dask else ["--jobs", str(machine["jobs"])]
    done = subprocess.run(
        command,
        cwd=home if name == "workstation" else config.parent,
        env=environment,
        umask=machine["umask"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not list((home / "temporary files").rglob("*.mrc"))
    return archive


def test_two_machines_write_the_same_bytes(tmp_path: Path, write_whole: Callable[..., Path], tree: Digests) -> None:
    """F12, F50, F60: another place, user, time zone, language, hash seed, umask, number of processes change no byte."""
    raw = write_whole(tmp_path / "raw", 2).parent
    first = tree(_ingest("workstation", raw, tmp_path))
    assert sum(key.startswith(".tomoportal/manifest/") for key in first) == 4
    assert len(first) > 200
    second = tree(_ingest("laptop", raw, tmp_path))
    assert second == first


@pytest.mark.slow
def test_a_cluster_writes_the_same_bytes(tmp_path: Path, write_whole: Callable[..., Path], tree: Digests) -> None:
    """F12 with a Dask cluster as the third machine."""
    distributed = pytest.importorskip("distributed")
    raw = write_whole(tmp_path / "raw", 2).parent
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        third = tree(_ingest("cluster", raw, tmp_path, dask=cluster.scheduler_address))
    assert third == tree(_ingest("workstation", raw, tmp_path))
