"""Ingestion on a Dask cluster: the same bytes as in one process, also when a worker is killed in the middle."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tomoportal.archive import Archive
from tomoportal.archive.verify import examine
from tomoportal.errors import MissingPartError, SettingsError
from tomoportal.ingest import Cluster, Options, Report, Slurm, load_config, make_plan, open_source, run_plan
from tomoportal.ingest.cluster import slurm_script

Ingest = Callable[..., Report]
Tree = Callable[[Path], dict[str, str]]


def _run(raw: Path, target: Path, cluster: Cluster, progress: Any = None) -> Report:
    config = load_config(raw / "config.yaml")
    source = open_source(raw, config.source_prefix, beside=config.folder)
    archive = Archive.open(target, create=True)
    plan = make_plan(config, source, archive, Options())
    return run_plan(plan, archive, source.store, progress=progress, cluster=cluster)


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """Two worker processes and a scheduler, on this machine only."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


@pytest.mark.slow
def test_the_archive_has_the_same_bytes_as_one_made_in_one_process(
    raw: Path, ingest: Ingest, tree: Tree, tmp_path: Path, dask: Any, full_photos: None
) -> None:
    assert ingest(raw / "config.yaml", tmp_path / "one").ok
    report = _run(raw, tmp_path / "two", Cluster(dask.scheduler_address))
    assert report.ok, report.failures
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    again = _run(raw, tmp_path / "two", Cluster(dask.scheduler_address))
    assert again.counts["created"] == again.counts["replaced"] == 0


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_takes_nothing_with_it(
    write_whole: Callable[..., Path], ingest: Ingest, tree: Tree, tmp_path: Path, dask: Any, full_photos: None
) -> None:
    """With every entity type: kill -9 of one of two workers costs no item and changes no byte."""
    raw = write_whole(tmp_path / "raw", 2).parent
    assert ingest(raw / "config.yaml", tmp_path / "one").ok
    killed: list[int] = []
    with dask.get_client() as client:
        pids = list(client.run(os.getpid).values())

        def kill(done: int, total: int, label: str) -> None:
            if not killed and done > total // 4:
                killed.append(pids[0])
                os.kill(pids[0], signal.SIGKILL)

        report = _run(raw, tmp_path / "two", Cluster(dask.scheduler_address), kill)
        client.wait_for_workers(2, timeout=300)
    assert killed
    assert report.ok, report.failures
    assert tree(tmp_path / "two") == tree(tmp_path / "one")
    found = examine(Archive.open(tmp_path / "two"))
    assert not [one for one in found.findings if one.severity == "error"]


@pytest.mark.slow
def test_a_worker_that_does_not_see_the_archive_is_named(raw: Path, tmp_path: Path, dask: Any) -> None:
    """The archive lies where only this process looks: a folder that is a link into it, moved away for the workers."""
    from tomoportal.ingest import dask_executor

    with pytest.raises(SettingsError, match="in memory"):
        _run_in_memory(raw, Cluster(dask.scheduler_address))
    config = load_config(raw / "config.yaml")
    archive = Archive.open(tmp_path / "a", create=True)
    source = open_source(raw, config.source_prefix)
    executor = dask_executor.DaskExecutor(Cluster(dask.scheduler_address), archive, source.store, Options())
    put = archive.store.put
    executor._makers.archive.put = lambda key, data, **more: put(f"{key}-elsewhere", data, **more)  # type: ignore[method-assign]
    with pytest.raises(SettingsError, match="does not see the archive"):
        executor.__enter__()


def _run_in_memory(raw: Path, cluster: Cluster) -> Report:
    config = load_config(raw / "config.yaml")
    source = open_source(raw, config.source_prefix, beside=config.folder)
    archive = Archive.open("memory://")
    plan = make_plan(config, source, archive, Options())
    return run_plan(plan, archive, source.store, cluster=cluster)


@pytest.mark.slow
def test_no_scheduler_is_said_and_nothing_is_written(raw: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(SettingsError, match="no Dask scheduler"):
        _run(raw, tmp_path / "a", Cluster("tcp://127.0.0.1:9"))


def test_slurm_settings_are_read_from_one_line() -> None:
    text = "workers=10, cores=8,memory=32GB,walltime=04:00:00,queue=cpu,account=lab"
    text += ",directive=--exclusive,directive=--gres=gpu:1"
    assert Slurm.parse(text) == Slurm(
        10, 8, "32GB", "04:00:00", "cpu", "lab", directives=("--exclusive", "--gres=gpu:1")
    )


@pytest.mark.parametrize("text", ["", "cores", "cores=", "cores=many", "cores=0", "gpu=1", "directives=x"])
def test_a_wrong_slurm_setting_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="--slurm"):
        Slurm.parse(text)


def test_a_cluster_is_one_thing_or_the_other() -> None:
    with pytest.raises(SettingsError):
        Cluster()
    with pytest.raises(SettingsError):
        Cluster("tcp://127.0.0.1:8786", Slurm())


def test_the_script_for_slurm_asks_for_what_was_said() -> None:
    pytest.importorskip("dask_jobqueue")
    script = slurm_script(
        Slurm(3, 4, "32GB", "02:30:00", "cpu", "lab", logs="logs", directives=("--exclusive", "--gres=gpu:1"))
    )
    lines = script.splitlines()
    for line in (
        "#SBATCH -J tomoportal",
        "#SBATCH -p cpu",
        "#SBATCH -A lab",
        "#SBATCH -n 1",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem=30G",
        "#SBATCH -t 02:30:00",
        "#SBATCH --exclusive",
        "#SBATCH --gres=gpu:1",
        "#SBATCH -e logs/tomoportal-%J.err",
    ):
        assert line in lines, script
    assert f"{sys.executable} -m distributed.cli.dask_worker tcp://SCHEDULER:PORT" in script
    assert "--nworkers 4" in script
    assert "--nthreads 1" in script


@pytest.mark.skipif(shutil.which("sbatch") is not None, reason="SLURM is here")
def test_a_machine_without_slurm_says_so(raw: Path, tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue")
    with pytest.raises(MissingPartError, match="sbatch"):
        _run(raw, tmp_path / "a", Cluster(slurm=Slurm()))


def test_without_the_extra_the_way_to_it_is_said() -> None:
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from tomoportal.ingest.cluster import slurm_script, Slurm\n"
        "from tomoportal.errors import MissingPartError\n"
        "try: slurm_script(Slurm())\n"
        "except MissingPartError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "tomoportal[cluster]" in done.stdout


@pytest.mark.parametrize("name", ["ingest", "up"])
def test_the_commands_refuse_both_and_name_a_wrong_setting(raw: Path, tmp_path: Path, name: str) -> None:
    start = [str(raw / "config.yaml"), "--archive", str(tmp_path / "a"), *(["--no-serve"] if name == "up" else [])]
    for more, says in (
        (["--dask", "tcp://127.0.0.1:9", "--slurm", "cores=1"], "either"),
        (["--slurm", "core=1"], "core=1"),
    ):
        error = _invoke(name, [*start, *more]).exception
        assert isinstance(error, SettingsError)
        assert says in str(error)
    assert not (tmp_path / "a").exists()


def test_a_cluster_needs_a_config(tmp_path: Path) -> None:
    error = _invoke("up", ["--archive", str(tmp_path), "--dask", "tcp://127.0.0.1:9"]).exception
    assert isinstance(error, click.UsageError)
    assert "CONFIG" in str(error)


@pytest.mark.slow
def test_the_main_command_ingests_on_a_cluster(raw: Path, tmp_path: Path, dask: Any) -> None:
    archive = tmp_path / "a"
    start = [str(raw / "config.yaml"), "--archive", str(archive), "--no-serve", "--dask", dask.scheduler_address]
    result = _invoke("up", start)
    assert result.exception is None, result.output
    assert Archive.open(archive, read_only=True).store.exists("10001/dataset_metadata.json")
    assert (archive / ".tomoportal" / "catalog.sqlite").exists()


def _invoke(name: str, arguments: list[str]) -> Result:
    command = importlib.import_module(f"tomoportal.cli.{name}").command
    return CliRunner().invoke(command, arguments, standalone_mode=False)
