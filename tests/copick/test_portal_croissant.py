"""A portal's project as a Croissant manifest: what goes into it, and that both packages read the same data from it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.cli import main
from tomoportal.copick.croissant.exporting import append_croissant, export_croissant
from tomoportal.server import LiveServer
from tomoportal.testing.copick_scripts import on_ours

pytestmark = pytest.mark.filterwarnings("ignore:.*is in voxels")

EXPORTS: dict[str, dict[str, Any]] = {
    "all": {},
    "filtered": {
        "picks_portal_meta": {"object_count": 4, "ground_truth_status": True},
        "picks_author": ["Clara Curator"],
        "segmentations_author": ["Ada Author"],
        "segmentations_portal_meta": {"object_id": "GO:0016020"},
        "session_id_template": "{method_type}-{annotation_software}-{confidence_recall}-{annotation_file_id}",
        "object_name_map": {"cytosolic-ribosome": "ribo"},
        "tomo_type_map": {"sart-raw-isoNet2": "sart"},
        "splits": {"train": ["1"], "val": ["4"]},
    },
    "text": {"picks_portal_meta": {"ground_truth_status": "true", "object_count": "4", "confidence_precision": "91.5"}},
    "uris": {
        "runs": ["1"],
        "picks": ["cytosolic-ribosome:data-portal/*"],
        "tomograms": ["wbp-denoised*@7.8404"],
        "segmentations": ["*@15.681"],
    },
}
EXPORT = """
import csv
from copick.ops.croissant import export_croissant
root = copick.from_file(config)
told = {}
for name, more in exports.items():
    place = f"{folder}/{name}"
    os.makedirs(place)
    export_croissant(root, project_root=place, dataset_name="x", **more)
    place += "/Croissant"
    told[name] = {file: list(csv.DictReader(open(f"{place}/{file}")))
                  for file in os.listdir(place) if file.endswith(".csv")}
print(json.dumps(told))
"""
READ = """
root = copick.from_file(config)
told = {"objects": sorted(each.name for each in root.pickable_objects)}
for run in root.runs:
    for each in run.picks:
        positions, transforms = each.numpy()
        told[f"{run.name} picks {each.user_id} {each.session_id} {each.pickable_object_name}"] = [
            positions.round(9).tolist(), transforms.round(9).tolist(), each.read_only]
    for each in run.segmentations:
        told[f"{run.name} {each.segmentation_type} {each.session_id} {each.name} {each.voxel_size}"] = [
            int(each.numpy().astype(int).sum()), list(each.numpy("1").shape), each.read_only]
    for spacing in run.voxel_spacings:
        for each in spacing.tomograms:
            told[f"{run.name} {spacing.voxel_size} {each.tomo_type}"] = [
                float(each.numpy().sum()), list(each.numpy("1").shape), each.read_only]
print(json.dumps(told, sort_keys=True))
"""
START = "import json, os, sys\nimport copick\nglobals().update(json.loads(sys.argv[1]))\n"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def config(wide_portal: LiveServer, tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    place = str(tmp_path / "overlay")
    copick.from_czcdp_datasets([20001, 20002], place, output_path=path, portal_url=wide_portal.url)
    return path


@pytest.fixture
def manifest_config(tmp_path: Path) -> Callable[..., str]:
    def made(manifest: str, name: str, **more: Any) -> str:
        path = tmp_path / f"{name}.json"
        told = {"config_type": "mlcroissant", "pickable_objects": [], "croissant_url": manifest, **more}
        path.write_text(json.dumps(told))
        return str(path)

    return made


def rows_of(manifest: str, table: str) -> list[dict[str, str]]:
    with (Path(manifest).parent / f"{table}.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_tables_are_those_of_upstream(
    upstream: Any, wide_portal: LiveServer, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every filter that a portal has; beside what upstream does not see (C77, C78), and twins of one spacing."""
    monkeypatch.setenv("FSSPEC_S3_ENDPOINT_URL", f"{wide_portal.url}/s3")
    knobs = f"import cryoet_data_portal._client\ncryoet_data_portal._client.DEFAULT_URL = '{wide_portal.url}/graphql'\n"
    names = {"config": str(config), "folder": str(tmp_path / "theirs"), "exports": EXPORTS}
    theirs = upstream(START + knobs + EXPORT, json.dumps(names))
    monkeypatch.setenv("COPICK_PORTAL_ACCESS", "s3")
    monkeypatch.setenv("COPICK_PORTAL_S3_ENDPOINT_URL", f"{wide_portal.url}/s3")
    root = copick.from_file(config)
    for name, more in EXPORTS.items():
        (tmp_path / name).mkdir()
        manifest = export_croissant(root, str(tmp_path / name), dataset_name="x", **more)
        for file, expected in theirs[name].items():
            found = rows_of(manifest, file.removesuffix(".csv"))
            if file == "picks.csv":
                found = [row for row in found if row["portal_annotation_file_id"] != "7"]  # C78
            if file == "tomograms.csv":
                found = [row for row in found if row["portal_tomogram_id"] != "3"]  # C77
                expected = [row for row in expected if row["portal_tomogram_id"] != "3"]
                for row in found:  # ours always say what the portal's type is
                    row["portal_tomo_type"] = row["portal_tomo_type"] if row["tomo_type"] == "sart" else ""
            assert sorted(map(str, found)) == sorted(map(str, expected)), (name, file)
    assert {row["session_id"] for row in theirs["filtered"]["picks.csv"]} == {"manual-tomoportal-80.25-5"}
    assert [len(theirs[name]["picks.csv"]) for name in EXPORTS] == [6, 1, 1, 3]


@pytest.mark.parametrize("access", ["https", *(pytest.param(each, marks=pytest.mark.slow) for each in ("base", "s3"))])
def test_both_read_the_portals_data_by_a_manifest(
    access: str, upstream: Any, wide_portal: LiveServer, config: Path, tmp_path: Path, manifest_config: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """By absolute addresses, by those below a base, from the bucket: without a variable of the environment.

    C38: voxel sizes with more than three decimals keep them.
    """
    place = tmp_path / "manifest"
    place.mkdir()
    base = {"https": None, "base": f"{wide_portal.url}/files/", "s3": "s3://tomoportal"}[access]
    manifest = export_croissant(copick.from_file(config), str(place), dataset_name="x", base_url=base)
    urls = [row["url"] for row in rows_of(manifest, "picks")]
    assert all(url.startswith("http://" if access == "https" else "20001/") for url in urls[:-1])
    arguments = {"anon": True, "endpoint_url": f"{wide_portal.url}/s3"} if access == "s3" else {}
    overlay = {"overlay_root": f"{tmp_path}/changes", "overlay_fs_args": {"auto_mkdir": True}}
    path = manifest_config(manifest, "mode_b", static_fs_args=arguments, **overlay)
    found = on_ours(READ, config=path)
    assert found == upstream(START + READ, json.dumps({"config": path}))
    assert found == on_ours(READ, config=str(config))
    assert len(found) == 1 + 7 + 4 + 6
    assert "1 7.8404 wbp-raw" in found
    assert "3 binary 16 membrane,-inner-(cristae) 15.681" in found
    run = copick.from_file(path).get_run("1")
    assert run is not None
    assert run.get_picks(session_id="7")[0].instance_ids().tolist() == [2, 2, 9]


def test_a_manifest_of_a_portal_takes_changes(
    upstream: Any, config: Path, tmp_path: Path, manifest_config: Any
) -> None:
    """Mode A writes beside the manifest, mode B into an overlay; the portal's data stay where they are."""
    place = tmp_path / "manifest"
    place.mkdir()
    splits = {"train": ["1"], "test": ["4"]}
    root = copick.from_file(config)
    manifest = export_croissant(root, str(place), dataset_name="x", runs=["1", "4"], splits=splits)
    path = manifest_config(manifest, "mode_a", croissant_base_url=str(place))
    project = copick.from_file(path)
    run = project.get_run("1")
    assert run is not None
    run.new_picks("cytosolic-ribosome", "1", "ada").from_numpy(np.arange(6.0).reshape(2, 3))
    run.new_segmentation(7.8404, "apo-ferritin", "1", user_id="ada").from_numpy(np.ones((3, 4, 5), np.uint8), 2)
    spacing = run.get_voxel_spacing(7.8404)
    assert spacing is not None
    spacing.new_tomogram("mine").from_numpy(np.ones((4, 4, 4)))
    project.set_splits({"val": ["4"]})  # type: ignore[attr-defined]
    theirs = run.get_picks(user_id="data-portal")[0]
    theirs.points = []
    with pytest.raises(PermissionError):
        theirs.store()
    assert (place / "ExperimentRuns" / "1" / "Picks" / "ada_1_cytosolic-ribosome.json").exists()
    overlay = {"overlay_root": f"{tmp_path}/changes", "overlay_fs_args": {"auto_mkdir": True}}
    only_read = manifest_config(manifest, "mode_b", croissant_base_url=str(place), **overlay)
    found = on_ours(READ, config=only_read)
    assert found == upstream(START + READ, json.dumps({"config": only_read})), "in mode A, upstream opens them to write"
    assert {key: value[:2] for key, value in on_ours(READ, config=path).items()} == {
        key: value[:2] for key, value in found.items()
    }
    assert found["1 picks ada 1 cytosolic-ribosome"][0] == [[0, 1, 2], [3, 4, 5]]
    assert found["1 binary 1 apo-ferritin 7.8404"][0] == 60
    assert "1 7.8404 mine" in found
    assert copick.from_file(path).splits == {"train": ["1"], "val": ["4"]}  # type: ignore[attr-defined]
    append_croissant(manifest, copick.from_file(config), runs=["3"], splits={"test": ["3"]})
    again = copick.from_file(path)
    assert [each.name for each in again.runs] == ["1", "3", "4"]
    assert again.splits == {"test": ["3"], "train": ["1"], "val": ["4"]}  # type: ignore[attr-defined]


def test_meshes_in_voxels_are_told_and_left_out(config: Path, tmp_path: Path) -> None:
    """C78: the portal's meshes may be in voxels, and a manifest cannot say so; a copy in the overlay is in Å."""
    root = copick.from_file(config)
    (tmp_path / "one").mkdir()
    with pytest.warns(UserWarning, match=r"is in voxels: no manifest can say so.*cp mesh"):
        manifest = export_croissant(root, str(tmp_path / "one"))
    assert rows_of(manifest, "meshes") == []
    run = root.get_run("1")
    assert run is not None
    copied = run.new_mesh(run.meshes[0].pickable_object_name, "1", "ada")
    copied.mesh = run.meshes[0].mesh
    copied.store()
    (tmp_path / "two").mkdir()
    manifest = export_croissant(copick.from_file(config), str(tmp_path / "two"), meshes=["*:ada/*"])
    opened = copick.from_croissant(manifest, f"{tmp_path}/changes").get_run("1")
    assert opened is not None
    np.testing.assert_allclose(opened.meshes[0].mesh.bounds, run.meshes[0].mesh.bounds)
    assert opened.meshes[0].mesh.bounds.max() > 30


def test_the_command_exports_a_portal_with_its_filters(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["copick", "config", *arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    place = tmp_path / "manifest"
    filters = [
        *("--picks-portal-meta", "ground_truth_status=true,object_count=4", "--tomograms-author", "Clara Curator"),
        *("--segmentations-portal-meta", "is_curator_recommended=yes", "--session-id-template", "{id}"),
    ]
    assert (
        call("export-croissant", "-c", str(config), "--project-root", str(place), *filters, "--dry-run", "--json") == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"]["picks"], told["rows"]["tomograms"], told["rows"]["segmentations"]) == (2, 1, 3)
    assert not place.exists()
    assert call("export-croissant", "-c", str(config), "--project-root", str(place), *filters) == 0
    manifest = str(place / "Croissant" / "metadata.json")
    assert [row["session_id"] for row in rows_of(manifest, "picks")] == ["4", "5"]
    assert [row["portal_tomogram_id"] for row in rows_of(manifest, "tomograms")] == ["3"]
    assert len(rows_of(manifest, "segmentations")) == 3
    wrong = ["--picks-portal-meta", "ground_truth_status=perhaps"]
    assert call("export-croissant", "-c", str(config), "--project-root", str(tmp_path / "b"), *wrong) == 1
    assert "'perhaps' is no value of Annotation's column ground_truth_status" in " ".join(
        capsys.readouterr().err.split()
    )
    overlay = ["--overlay", str(tmp_path / "o"), "--output", str(tmp_path / "c.json")]
    assert call("mlcroissant", "--croissant-url", manifest, *overlay) == 0
    root = copick.from_file(tmp_path / "c.json")
    assert sum(len(each.numpy()[0]) for each in root.picks()) == 8
