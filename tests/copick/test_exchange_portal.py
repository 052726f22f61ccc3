"""``tomoportal copick`` on a project whose data lie on a portal: what can be exported, copied and synchronised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.cli import main
from tomoportal.copick.exchange.exporting_picks import PicksExport, plan_picks_export
from tomoportal.copick.exchange.exporting_volumes import VolumeExport, plan_tomograms_export
from tomoportal.copick.exchange.run_names import written_names
from tomoportal.copick.operations import exporting
from tomoportal.copick.operations.statistics import picks_stats, segmentations_stats
from tomoportal.copick.overviews.browsing import project_tree
from tomoportal.copick.tasks import perform
from tomoportal.copick.transfers.by_uri import plan_removal, plan_transfer
from tomoportal.copick.transfers.copies import mapped_labels
from tomoportal.copick.transfers.deposit import plan_deposit
from tomoportal.copick.transfers.synchronisation import (
    Sync,
    plan_documents_sync,
    plan_segmentations_sync,
    plan_tomograms_sync,
)
from tomoportal.errors import AnnotationError
from tomoportal.formats import copick_csv_poses, open_mrc
from tomoportal.formats.star import read_star
from tomoportal.storage import open_store

Roots = Callable[..., Any]


def done(tasks: Any) -> None:
    errors = [(task.what, error) for task, error in perform(tasks) if error is not None]
    assert tasks
    assert not errors


def test_a_portal_is_exported_and_synchronised(portal_root: Roots, tmp_path: Path) -> None:
    source = portal_root()
    stats = picks_stats(source)
    assert stats["total_picks"] > 0
    assert segmentations_stats(source, is_instance=None)["total_segmentations"] > 0
    done(plan_picks_export(source, PicksExport("*", "csv"), output_file=tmp_path / "all.csv"))
    found = copick_csv_poses((tmp_path / "all.csv").read_bytes(), "all.csv")
    assert sum(map(len, found.values())) == stats["total_picks"]
    config = tmp_path / "target.json"
    target = copick.new_config(config, str(tmp_path / "target"))
    done(plan_documents_sync(Sync(source, target, config), "picks"))
    assert picks_stats(copick.from_file(config))["total_picks"] == stats["total_picks"]
    mine = {(each.run.name, each.pickable_object_name, each.user_id, each.session_id): each for each in source.picks()}
    for each in copick.from_file(config).picks():
        original = mine[each.run.name, each.pickable_object_name, each.user_id, each.session_id]
        np.testing.assert_array_equal(each.full_positions(), original.full_positions())
        np.testing.assert_array_equal(each.instance_ids(), original.instance_ids())
        assert each.trust_orientation == original.trust_orientation  # C9
    done(plan_tomograms_sync(Sync(source, target, config)))
    tomogram = source.tomograms()[0]
    volumes = VolumeExport(f"{tomogram.tomo_type}@{tomogram.voxel_spacing.voxel_size}", "mrc")
    done(plan_tomograms_export(source, volumes, tmp_path / "v"))
    path = next((tmp_path / "v").rglob("*.mrc"))
    exported = open_mrc(open_store(path.parent), path.name)
    assert exported.shape == tomogram.numpy().shape
    done(plan_segmentations_sync(Sync(source, target, config), ("binary", "instance")))
    copied = copick.from_file(config).segmentations(is_instance=None)
    assert len(copied) == segmentations_stats(source, is_instance=None)["total_segmentations"]


@pytest.fixture
def exported(portal_root: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Exports with the command, and says which files there are."""
    monkeypatch.setenv("COPICK_CONFIG", str(tmp_path / "project/config.json"))
    count = 0

    def call(*arguments: str) -> list[str]:
        nonlocal count
        count += 1
        with pytest.raises(SystemExit) as ended:
            main(["copick", "export", *arguments, "--output-dir", str(tmp_path / f"out{count}")])
        assert ended.value.code == 0
        files = (path for path in (tmp_path / f"out{count}").rglob("*") if path.is_file())
        return sorted(str(path.relative_to(tmp_path / f"out{count}")) for path in files)

    return call


def test_runs_have_the_names_of_the_portal_in_exported_files(
    portal_root: Roots, exported: Callable[..., list[str]], tmp_path: Path
) -> None:
    """Upstream writes ids, which stand in no tomograms.star: its functions do so here as well, and --names id."""
    root = portal_root([10001])
    names = {run.name: run.portal_run_name for run in root.runs}
    assert names["1"] == "TS_1"
    picks = ("picks", "--picks-uri", "*:data-portal/*", "--output-format")
    assert {file.partition("_")[0] for file in exported(*picks, "csv", "--names", "id")} <= set(names)
    picks = ("picks", "--picks-uri", "cytosolic-ribosome:data-portal/1", "--output-format")
    csv = exported(*picks, "csv", "-r", "1")
    assert csv == ["TS_1_cytosolic-ribosome_data-portal_1.csv"]
    assert exported(*picks, "csv", "-r", "TS_1", "-r", "1") == csv
    assert b"\nTS_1," in (tmp_path / "out2" / csv[0]).read_bytes()
    star = exported(*picks, "star", "-r", "1", "--voxel-size", "10")
    table = read_star((tmp_path / "out4" / star[0]).read_bytes(), star[0]).table("particles")
    assert table is not None
    assert set(table.text("rlnTomoName")) == {"TS_1"}
    tomograms = exported("tomogram", "--tomogram-uri", "*", "--output-format", "mrc", "-r", "1")
    assert {file.split("/")[0] for file in tomograms} == {"TS_1"}
    masks = exported("segmentation", "--segmentation-uri", "*", "--output-format", "tiff")
    assert {file.split("/")[0] for file in masks} <= set(names.values())
    (tmp_path / "map.csv").write_text("7,TS_1\n")
    numbered = ("--voxel-size", "10", "--index-map", str(tmp_path / "map.csv"))
    table_of_dynamo = exported(*picks, "dynamo", "-r", "1", *numbered)
    assert (tmp_path / "out7" / table_of_dynamo[0]).read_text().split()[19] == "7"
    assert exporting.export_picks(root.get_run("1").picks[0], str(tmp_path / "theirs.csv"), "csv")
    assert b"\n1," in (tmp_path / "theirs.csv").read_bytes()


def test_names_of_runs_never_collide_in_files() -> None:
    """Of several datasets, with odd names, and with runs of the overlay."""
    told = {
        "1": ("TS_1", 10001), "2": ("TS_1", 10002), "3": ("Ts_2", 10001), "4": ("ts_2", 10001),
        "5": ("../x", 10001), "6": ("mine", 10001), "mine": (None, None), "7": ("8", 10001), "8": ("8", 10001),
        "9": ("10", 10001), "10": ("TS_10", 10001),
    }  # fmt: skip
    runs = [
        SimpleNamespace(name=name, portal_run_name=named, portal_dataset_id=dataset)
        for name, (named, dataset) in told.items()
    ]
    found = written_names(SimpleNamespace(runs=runs))  # type: ignore[arg-type]
    assert found == {
        "1": "10001_TS_1", "2": "10002_TS_1", "3": "3", "4": "4", "5": "5", "6": "10001_mine", "mine": "mine",
        "7": "10001_8", "8": "8", "9": "10", "10": "TS_10",
    }  # fmt: skip
    assert written_names(SimpleNamespace(runs=runs), "id") == {}  # type: ignore[arg-type]


def test_what_is_the_portals_stays(portal_root: Roots, tmp_path: Path) -> None:
    """C17, C57: nothing is removed from a portal, and links cannot lead there; copies go to the overlay."""
    source = portal_root()
    picks = source.picks()[0]
    uri = copick.serialize_copick_uri(picks)
    with pytest.raises(AnnotationError, match="read-only source"):
        plan_removal(source, "picks", uri)
    with pytest.raises(AnnotationError, match="local filesystem"):
        plan_deposit(source, tmp_path / "deposit", {"picks": [uri]})
    tasks = plan_transfer(source, "picks", uri, f"{picks.pickable_object_name}:ada/1", run_name=picks.run.name)
    done(tasks)
    copied = picks.run.get_picks(picks.pickable_object_name, "ada", "1")[0]
    np.testing.assert_array_equal(copied.full_positions(), picks.full_positions())
    assert copied.trust_orientation == picks.trust_orientation
    moved = plan_transfer(source, "picks", uri, f"{picks.pickable_object_name}:bob/1", move=True)
    assert all("read-only" in str(error) for _, error in perform(moved))


def test_a_portal_can_be_browsed(portal_root: Roots) -> None:
    tree = project_tree(portal_root())
    lines = list(tree.lines(5))
    assert any("1 · TS_1" in line for line in lines), "runs are told by the portal's names, too"
    assert any("Picks" in line for line in lines)
    for run in tree.opened()[1:]:
        for group in run.opened():
            for node in group.opened():
                assert "error" not in dict(node.described()), node


def test_labels_are_mapped_or_refused() -> None:
    voxels = np.array([[[0, 1], [2, 2]]])
    assert mapped_labels(voxels, {1: 7, 2: 1}).tolist() == [[[0, 7], [1, 1]]]
    with pytest.raises(AnnotationError, match="labels 2, which belong to no object"):
        mapped_labels(voxels, {1: 7})
