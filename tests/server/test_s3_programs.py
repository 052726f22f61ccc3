"""Programs that people have, unmodified: the AWS CLI, s3fs, the public portal's Python client."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryoet_data_portal import Annotation, Client, Dataset, Run, Tomogram, TomogramVoxelSpacing

from tomoportal.server import LiveServer
from tomoportal.storage import Store, open_store
from tomoportal.testing.environments import Environment
from tomoportal.testing.sample_archive import RUNS

BUCKET = "tomoportal"
_REPOSITORY = Path(__file__).parents[2]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def expected(store: Store, prefix: str, cut: str) -> dict[str, bytes]:
    return {found.key[len(cut) :]: store.get(found.key) for found in store.list(prefix)}


@pytest.fixture
def store(any_server: LiveServer) -> Store:
    return open_store(any_server.settings.archive, read_only=True)


# --- the public client: BOTO_ENDPOINT_URL names the endpoint


@pytest.fixture
def client(any_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("BOTO_ENDPOINT_URL", f"{any_server.url}/s3")
    return Client(f"{any_server.url}/graphql")


def test_dataset_download_everything(client: Client, store: Store, tmp_path: Path) -> None:
    Dataset.get_by_id(client, 10001).download_everything(str(tmp_path))
    found = contents(tmp_path)
    assert found == expected(store, "10001", "")
    assert len(found) > 40


def test_run_and_spacing_download_everything(client: Client, store: Store, tmp_path: Path) -> None:
    run = Run.find(client, [Run.name == RUNS[1]])[0]
    run.download_everything(str(tmp_path / "run"))
    assert contents(tmp_path / "run") == expected(store, f"10001/{RUNS[1]}", "10001/")
    spacing = TomogramVoxelSpacing.find(client, [TomogramVoxelSpacing.run.name == RUNS[0]])[0]
    spacing.download_everything(str(tmp_path / "spacing"))
    key = spacing.s3_prefix.removeprefix(f"s3://{BUCKET}/")
    assert contents(tmp_path / "spacing") == expected(store, key.rstrip("/"), f"10001/{RUNS[0]}/")


def test_tomogram_and_annotation_downloads(client: Client, store: Store, tmp_path: Path) -> None:
    tomogram = Tomogram.find(client, [Tomogram.run.name == RUNS[0]])[0]
    tomogram.download_omezarr(str(tmp_path / "zarr"))
    key = tomogram.s3_omezarr_dir.removeprefix(f"s3://{BUCKET}/")
    assert contents(tmp_path / "zarr") == expected(store, key, key.rpartition("/")[0] + "/")
    for annotation in Annotation.find(client, [Annotation.run.name == RUNS[0]]):
        annotation.download(str(tmp_path / str(annotation.id)))
        names = {name.partition("/")[0] for name in contents(tmp_path / str(annotation.id))}
        wanted = {
            file.s3_path.rpartition("/")[2] for shape in annotation.annotation_shapes for file in shape.annotation_files
        }
        assert wanted <= names


def test_the_usual_variable_of_aws_works_too(
    any_server: LiveServer, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOTO_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"{any_server.url}/s3")
    client = Client(f"{any_server.url}/graphql")
    Run.find(client, [Run.name == RUNS[1]])[0].download_everything(str(tmp_path))
    assert contents(tmp_path) == expected(store, f"10001/{RUNS[1]}", "10001/")


# --- programs in an environment of their own


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder of programs, made once: the environment is kept in benchmarks/.cache."""
    folder = _REPOSITORY / "benchmarks" / ".cache" / "venv-s3-programs"
    return Environment(folder, _REPOSITORY / "requirements" / "s3-programs.txt").tested().parent


def run(command: list[object], **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BOTO_"))}
    environment |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, **variables}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the environment's folders have other names")
def test_the_aws_command_line(any_server: LiveServer, store: Store, programs: Path, tmp_path: Path) -> None:
    aws = [programs / "aws", "--no-sign-request", "--endpoint-url", f"{any_server.url}/s3"]
    sync = [*aws, "s3", "sync", f"s3://{BUCKET}/10001", tmp_path / "10001"]
    first = run(sync)
    assert contents(tmp_path) == expected(store, "10001", "")
    assert first.count("download:") == len(contents(tmp_path))
    assert run(sync) == "", "it downloaded again what had not changed"
    listed = run([*aws, "s3", "ls", f"s3://{BUCKET}/10001/"])
    assert "PRE TS_1/" in listed
    assert "dataset_metadata.json" in listed
    recursive = run([*aws, "s3", "ls", "--recursive", f"s3://{BUCKET}/"])
    assert ".tomoportal" not in recursive
    assert len(recursive.splitlines()) == sum(not each.key.startswith(".tomoportal/") for each in store.list())
    assert run([*aws, "s3", "cp", f"s3://{BUCKET}/10001/dataset_metadata.json", "-"]).startswith("{")
    signed = [programs / "aws", "--endpoint-url", f"{any_server.url}/s3", "s3", "ls", f"s3://{BUCKET}"]
    assert "10001/" in run(signed, AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_DEFAULT_REGION="eu-west-1")


_S3FS = """
import sys, s3fs
endpoint, target = sys.argv[1:]
for options in ({"anon": True}, {"key": "a", "secret": "b"}):
    files = s3fs.S3FileSystem(endpoint_url=endpoint, **options)
    print(*sorted(files.find("tomoportal/10001")), sep="\\n")
    assert files.isdir("tomoportal/10001/TS_1") and files.isfile("tomoportal/10001/dataset_metadata.json")
    assert not files.exists("tomoportal/10001/missing")
    assert sorted(files.ls("tomoportal")) == ["tomoportal/10001", "tomoportal/depositions_metadata"]
    with files.open("tomoportal/10001/TS_1/Reconstructions/VoxelSpacing10.000/Tomograms/100/TS_1.mrc") as file:
        file.seek(208)
        assert file.read(4) == b"MAP "
    assert files.glob("tomoportal/10001/*/Reconstructions/*/Tomograms/100/*.mrc")
files.get("tomoportal/10001", target, recursive=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the environment's folders have other names")
def test_s3fs(any_server: LiveServer, store: Store, programs: Path, tmp_path: Path) -> None:
    out = run([programs / "python", "-c", _S3FS, f"{any_server.url}/s3", tmp_path / "10001"])
    keys = [f"{BUCKET}/{found.key}" for found in store.list("10001")]
    assert sorted(out.splitlines()) == sorted(keys * 2)
    assert contents(tmp_path) == expected(store, "10001", "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the environment's folders have other names")
def test_rclone(any_server: LiveServer, store: Store, programs: Path, tmp_path: Path) -> None:
    remote = f":s3,provider=Other,endpoint='{any_server.url}/s3':{BUCKET}/10001"
    run([programs / "rclone", "copy", "--config", os.devnull, remote, tmp_path / "10001"])
    assert contents(tmp_path) == expected(store, "10001", "")
    run([programs / "rclone", "check", "--config", os.devnull, "--size-only", remote, tmp_path / "10001"])
