"""``tomoportal copick`` on a project whose data lie on a portal: what can be exported, copied and synchronised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.copick.exchange.exporting_picks import PicksExport, plan_picks_export
from tomoportal.copick.exchange.exporting_volumes import VolumeExport, plan_tomograms_export
from tomoportal.copick.overviews.browsing import project_tree
from tomoportal.copick.overviews.statistics import picks_stats, segmentations_stats
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
    assert segmentations_stats(source)["total_segmentations"] > 0
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
    assert len(copied) == segmentations_stats(source)["total_segmentations"]


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
