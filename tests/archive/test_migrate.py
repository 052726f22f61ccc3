"""Migration: a verified archive from each older layout, whole after any crash, and the same every time."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import older_trees as trees
from whole_archive import write_whole_archive

from tomoportal.archive import Archive, Container, ItemRecord, Severity, layout, verify
from tomoportal.archive.migration import MigrationReport, migrate, plan_migration
from tomoportal.catalog import Catalog, index
from tomoportal.errors import ArchiveError, StorageError
from tomoportal.storage import Store, open_store
from tomoportal.testing.faulty import FaultyStore, Killed

RUN = f"{trees.DATASET}/{trees.RUN}"
VOXELS = f"{RUN}/Reconstructions/VoxelSpacing13.480"


def migrated(source: Store, target: Store | Path, **options: Any) -> MigrationReport:
    archive = Archive.open(target, create=True)
    plan = plan_migration(source, archive, deposition_id=options.pop("deposition_id", None))
    return migrate(plan, source, archive, **options)


def content(store: Store) -> dict[str, bytes]:
    return {stat.key: store.get(stat.key) for stat in store.list() if "/cache/" not in stat.key}


# --- the whole way


@pytest.mark.parametrize("name", trees.BUILDERS)
def test_a_migrated_archive_is_verified_and_indexed(tmp_path: Path, name: str) -> None:
    source = open_store(trees.BUILDERS[name](tmp_path / "old"), read_only=True)
    before = trees.tree(tmp_path / "old")
    report = migrated(source, tmp_path / "new")
    assert report.ok, [each for each in report.results if each.outcome == "failed"]
    assert trees.tree(tmp_path / "old") == before

    archive = Archive.open(tmp_path / "new")
    findings = verify(archive, voxels=True)
    assert not [str(each) for each in findings if each.severity == Severity.ERROR]
    assert {each.rule for each in findings} <= {"V203", "V109", "V762"}  # `cell`; two authors' equal points

    url = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    with Catalog.open(url, create=True) as catalog:
        found = index(archive, catalog)
    assert not found.problems
    documents = report.plan.documents()
    for table, part in (("tomogram", "/Tomograms/"), ("annotation", "/Annotations/"), ("alignment", "/Alignments/")):
        assert found.rows[table] == sum(part in key for key in documents), table
    assert found.rows["run"] == found.rows["dataset"] == found.rows["deposition"] == 1
    assert found.rows["tiltseries"] == sum("/TiltSeries/" in key for key in documents)

    again = migrated(source, tmp_path / "new")
    assert {each.outcome for each in again.results} == {"skipped"}


def test_where_everything_goes(tmp_path: Path) -> None:
    migrated(open_store(trees.build_v1(tmp_path / "old")), tmp_path / "new")
    store = open_store(tmp_path / "new")
    for key, old in {
        f"{trees.DATASET}/Images/snapshot.png": f"{trees.DATASET}/Images/snapshot.png",
        f"{RUN}/Frames/{trees.RUN}.mdoc": f"{RUN}/TiltSeries/{trees.RUN}.mdoc",
        f"{RUN}/TiltSeries/100/{trees.RUN}.rawtlt": f"{RUN}/TiltSeries/{trees.RUN}.rawtlt",
        f"{RUN}/TiltSeries/100/{trees.RUN}.mrc": f"{RUN}/TiltSeries/{trees.RUN}.mrc",
        f"{RUN}/Alignments/100/{trees.RUN}.xf": f"{RUN}/TiltSeries/{trees.RUN}.xf",
        f"{RUN}/Alignments/100/{trees.RUN}.tlt": f"{RUN}/TiltSeries/{trees.RUN}.tlt",
        f"{VOXELS}/Tomograms/100/{trees.RUN}.zarr/0/.zarray": (
            f"{RUN}/Tomograms/VoxelSpacing13.48/CanonicalTomogram/{trees.RUN}.zarr/0/.zarray"
        ),
        f"{VOXELS}/Images/100/key-photo-thumbnail.png": (
            f"{RUN}/Tomograms/VoxelSpacing13.48/KeyPhotos/key-photo-thumbnail.png"
        ),
        f"{VOXELS}/Annotations/100/fatty_acid_synthase_complex-1.0_point.ndjson": (
            f"{RUN}/Tomograms/VoxelSpacing13.48/Annotations/100-fatty_acid_synthase_complex-1.0_point.ndjson"
        ),
        f"{VOXELS}/Annotations/102/membrane-1.0_segmentationmask.mrc": (
            f"{RUN}/Tomograms/VoxelSpacing13.48/Annotations/102-membrane-1.0_segmentationmask.mrc"
        ),
        f"{VOXELS}/NeuroglancerPrecompute/100-fatty_acid_synthase_complex-1.0_point/info": (
            f"{RUN}/Tomograms/VoxelSpacing13.48/NeuroglancerPrecompute/100-fatty_acid_synthase_complex-1.0_point/info"
        ),
    }.items():
        assert store.get(key) == (tmp_path / "old" / old).read_bytes(), key
    tomogram = json.loads(store.get(f"{VOXELS}/Tomograms/100/tomogram_metadata.json"))
    assert tomogram["key_photo"]["snapshot"] == f"{VOXELS}/Images/100/key-photo-snapshot.png"
    state = json.loads(store.get(tomogram["neuroglancer_config_path"]))
    assert [json.dumps(layer["source"]) for layer in state["layers"]] == [
        json.dumps({"url": f"zarr://archive://{VOXELS}/Tomograms/100/{trees.RUN}.zarr"}),
        json.dumps(
            f"precomputed://archive://{VOXELS}/NeuroglancerPrecompute/100-fatty_acid_synthase_complex-1.0_point"
        ),
    ]


def test_ids_are_on_record_so_that_a_later_ingestion_keeps_them(tmp_path: Path) -> None:
    migrated(open_store(trees.build_v1(tmp_path / "old")), tmp_path / "new")
    archive = Archive.open(tmp_path / "new")
    container = Container.run(trees.DATASET, trees.RUN)
    items = archive.manifest(container).items
    for (kind, identity), item in items.items():
        if kind in ("annotation", "tomogram", "alignment", "tiltseries"):
            scope = VOXELS if kind == "annotation" else container.key
            assert archive.allocate(container, kind, scope, identity) == item.archive_id
    assert archive.allocate(container, "annotation", VOXELS, "somebody else") == 103


def test_two_migrations_give_the_same_bytes(tmp_path: Path) -> None:
    source = open_store(trees.build_schema_1_1(tmp_path / "old"))
    targets = [open_store("memory://"), open_store("memory://")]
    for jobs, target in zip((1, 2), targets, strict=True):
        assert migrated(source, target, jobs=jobs).ok
    assert content(targets[0]) == content(targets[1])


def test_several_processes_make_the_same_bytes(tmp_path: Path) -> None:
    old = trees.BUILDERS["v1"](tmp_path / "old")
    for name in ("TS_027", "TS_028"):
        shutil.copytree(old / RUN, old / trees.DATASET / name)
    _edit("102-membrane-1.0.json", lambda document: document.pop("method_type"))(old / trees.DATASET / "TS_028")
    source = open_store(old, read_only=True)
    reports = []
    for jobs in (1, 2):
        told: list[tuple[int, int]] = []
        reports.append(
            migrated(
                source,
                tmp_path / str(jobs),
                jobs=jobs,
                progress=lambda done, total, _, told=told: told.append((done, total)),
            )
        )
        assert told[-1][0] == told[-1][1] == len(reports[-1].results)
    assert reports[0].results == reports[1].results
    assert reports[0].count("failed") == 1
    assert content(open_store(tmp_path / "1")) == content(open_store(tmp_path / "2"))


def test_what_is_in_todays_layout_stays_as_it_is(tmp_path: Path) -> None:
    """Migrating the migrated archive, with oddities of other programs put in, gives the same archive."""
    migrated(open_store(trees.build_v1(tmp_path / "old")), tmp_path / "new")
    expected = {key: data for key, data in trees.tree(tmp_path / "new").items() if not key.startswith(".tomoportal")}
    odd = tmp_path / "odd"
    shutil.copytree(tmp_path / "new", odd, ignore=shutil.ignore_patterns(".tomoportal"))
    precompute = odd / VOXELS / "NeuroglancerPrecompute"
    (precompute / "100").mkdir()
    (precompute / "100-neuroglancer_config.json").rename(precompute / "100/neuroglancer_config.json")
    folder = odd / VOXELS / "Annotations/100"
    (folder / "fatty_acid_synthase_complex-1.0_point.ndjson").rename(folder / "100-points.ndjson")
    document = folder / "fatty_acid_synthase_complex-1.0.json"
    changed = json.loads(document.read_text())
    changed["alignment_metadata_path"] = f"some-bucket/{changed['alignment_metadata_path']}"
    changed["files"][0]["path"] = f"{VOXELS}/Annotations/100-points.ndjson"
    document.write_text(json.dumps(changed))
    report = migrated(open_store(odd), tmp_path / "again")
    assert report.ok
    found = {key: data for key, data in trees.tree(tmp_path / "again").items() if not key.startswith(".tomoportal")}
    assert found.keys() == expected.keys()
    assert found == expected


def test_an_archive_of_ours_with_one_of_everything_migrates_to_itself(tmp_path: Path) -> None:
    """Meshes, captions, instance masks, CTF, identified objects: the same keys, the same content."""
    root = write_whole_archive(tmp_path)
    report = migrated(open_store(root), tmp_path / "new")
    assert report.ok
    assert not report.plan.unplaced
    assert not report.plan.remarks
    expected = trees.tree(root)
    found = {key: data for key, data in trees.tree(tmp_path / "new").items() if not key.startswith(".tomoportal")}
    assert found.keys() == expected.keys()
    for key, data in expected.items():
        if key.endswith(".json"):  # the specimen was edited by hand: same content, other spaces
            assert json.loads(found[key]) == json.loads(data), key
        else:
            assert found[key] == data, key
    before = {str(each) for each in verify(Archive.open(root, read_only=True))}
    assert {str(each) for each in verify(Archive.open(tmp_path / "new"))} <= before


# --- crashes


@pytest.mark.parametrize(("kill", "step"), [(True, 23), (False, 31), pytest.param(True, 2, marks=pytest.mark.slow)])
def test_killed_or_failing_at_the_nth_change_then_run_again(tmp_path: Path, kill: bool, step: int) -> None:
    source = open_store(trees.build_v1(tmp_path / "old"), read_only=True)
    whole = open_store("memory://")
    counter = FaultyStore.only_writes(whole)
    assert migrated(source, counter).ok
    expected = content(whole)
    # Every change would be some hundreds of migrations; steps that share no factor reach each kind of moment.
    for number in range(0, counter.operations, step):
        store = open_store("memory://")
        with contextlib.suppress(Killed, StorageError):
            migrated(source, FaultyStore.only_writes(store, fail_at=number, kill=kill))
        archive = Archive.open(store)
        assert all(each.outcome == "finished" for each in archive.recover())
        for stat in store.list(trees.DATASET):
            place = layout.parse(stat.key)
            if place is not None and place.kind is not None:
                known = archive.manifest(place.container).files
                assert stat.key in known, f"{stat.key} after change {number}"
        if kill:  # the dead process is this one, so that nobody takes its staging folder for abandoned
            store.delete_tree(".tomoportal/staging")
        assert migrated(source, store).ok
        assert content(store) == expected, number


# --- what changes, and what cannot be


def test_a_changed_source_changes_what_depends_on_it(tmp_path: Path) -> None:
    trees.build_v1(tmp_path / "old")
    source = open_store(tmp_path / "old")
    migrated(source, tmp_path / "new")
    points = next((tmp_path / "old").rglob("*_point.ndjson"))
    points.write_text(points.read_text().replace("5.0", "6.0"))
    os.utime(points, (1, 1))
    report = migrated(source, tmp_path / "new")
    assert [(each.kind, each.outcome) for each in report.results if each.outcome != "skipped"] == [
        ("annotation", "replaced")
    ]
    key = f"{VOXELS}/Annotations/100/fatty_acid_synthase_complex-1.0_point.ndjson"
    assert (tmp_path / "new" / key).read_bytes() == points.read_bytes()


def test_a_missing_file_is_made_again(tmp_path: Path) -> None:
    source = open_store(trees.build_v1(tmp_path / "old"))
    migrated(source, tmp_path / "new")
    (tmp_path / "new" / RUN / "Frames" / f"{trees.RUN}.mdoc").unlink()
    assert [each.kind for each in migrated(source, tmp_path / "new").results if each.outcome == "replaced"] == [
        "collection_metadata"
    ]
    assert not [each for each in verify(Archive.open(tmp_path / "new")) if each.severity == Severity.ERROR]


Breaker = Callable[[Path], object]


def _edit(name: str, change: Callable[[dict[str, Any]], object]) -> Breaker:
    def apply(root: Path) -> None:
        path = next(root.rglob(name))
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    return apply


def _remove(*paths: Path) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@pytest.mark.parametrize(
    ("spoil", "kind", "text"),
    [
        (_edit("102-membrane-1.0.json", lambda d: d.pop("method_type")), "annotation", "method_type"),
        (_edit("tiltseries_metadata.json", lambda d: d.pop("pixel_spacing")), "tiltseries", "pixel_spacing is None"),
        (_edit("dataset_metadata.json", lambda d: d.update(sample_type="soup")), "dataset", "sample_type"),
        (lambda root: next(root.rglob("*_point.ndjson")).unlink(), "annotation", "is not there"),
        (lambda root: _remove(*root.rglob("102*.zarr"), *root.rglob("102*.mrc")), "annotation", "neither an MRC"),
    ],
)
def test_what_cannot_be_is_refused_and_the_rest_goes_on(tmp_path: Path, spoil: Breaker, kind: str, text: str) -> None:
    spoil(trees.build_v1(tmp_path / "old"))
    report = migrated(open_store(tmp_path / "old"), tmp_path / "new", deposition_id=trees.DEPOSITION)
    failed = [each for each in report.results if each.outcome == "failed"]
    assert [each.kind for each in failed] == [kind]
    assert text in failed[0].reason
    assert report.count("created") == len(report.results) - 1


def test_a_cut_volume_is_refused_before_anything_of_it_is_there(tmp_path: Path) -> None:
    trees.build_v1(tmp_path / "old")
    folder = tmp_path / "old" / RUN / "Tomograms/VoxelSpacing13.48/CanonicalTomogram"
    shutil.rmtree(folder / f"{trees.RUN}.zarr")
    mrc = folder / f"{trees.RUN}.mrc"
    mrc.write_bytes(mrc.read_bytes()[:5000])
    report = migrated(open_store(tmp_path / "old"), tmp_path / "new")
    assert [each.kind for each in report.results if each.outcome == "failed"] == ["tomogram"]
    assert not (tmp_path / "new" / VOXELS / "Tomograms").exists()


def test_documents_without_a_deposition_need_one(tmp_path: Path) -> None:
    trees.build_early(tmp_path / "old")
    trees.write_json(tmp_path / "old" / trees.DATASET / "dataset_metadata.json", trees.dataset_document())
    source = open_store(tmp_path / "old")
    report = migrated(source, open_store("memory://"))
    assert "deposition_id" in next(each.reason for each in report.results if each.kind == "dataset")
    target = open_store("memory://")
    assert migrated(source, target, deposition_id=10301).ok
    assert json.loads(target.get(f"{RUN}/run_metadata.json"))["deposition_id"] == 10301
    assert target.exists("depositions_metadata/10301/deposition_metadata.json")


def test_what_ingestion_made_is_not_replaced(tmp_path: Path) -> None:
    archive = Archive.open(open_store("memory://"))
    key = layout.deposition_document(trees.DEPOSITION)
    container = Container.deposition(trees.DEPOSITION)
    dates = {"dates": trees.DATES, "authors": [{"name": "Ada Author"}], "key_photos": {}, "cross_references": {}}
    newer: dict[str, Any] = {
        "deposition_title": "newer",
        "deposition_description": "newer",
        "deposition_types": ["dataset"],
        **dates,
    }
    newer |= {"deposition_identifier": trees.DEPOSITION, "deposition_id": trees.DEPOSITION, "last_updated_at": 0}
    archive.publish(container, ItemRecord("deposition", "deposition"), None, (key, newer))
    trees.build_v1(tmp_path)
    trees.write_json(tmp_path / key, {**newer, "deposition_title": "older"})
    report = migrated(open_store(tmp_path), archive.store)
    assert [each.reason.partition(";")[0] for each in report.results if each.outcome == "failed"] == [
        f"{key}: ingestion made this item"
    ]
    assert archive.document(key)["deposition_title"] == "newer"


def test_never_in_place(tmp_path: Path) -> None:
    trees.build_v1(tmp_path / "old")
    for one, other in (("old", "old"), ("old", "old/new"), (".", "old")):
        with pytest.raises(ArchiveError, match="in each other"):
            plan_migration(open_store(tmp_path / one), Archive.open(tmp_path / other, create=True))


def test_old_names_cannot_lead_out_of_the_archive(tmp_path: Path) -> None:
    trees.build_v1(tmp_path / "old")
    secret = tmp_path / "secret.ndjson"
    secret.write_text("{}")
    _edit("100-fatty*.json", lambda d: d["files"][0].update(path=f"../../../../../{secret.name}"))(tmp_path / "old")
    report = migrated(open_store(tmp_path / "old"), tmp_path / "new")
    assert [each.kind for each in report.results if each.outcome == "failed"] == ["annotation"]


# --- links


def test_hard_links(tmp_path: Path) -> None:
    source = open_store(trees.build_v1(tmp_path / "old"))
    assert migrated(source, tmp_path / "linked", link=True).ok
    assert migrated(source, tmp_path / "copied").ok
    linked, copied = trees.tree(tmp_path / "linked"), trees.tree(tmp_path / "copied")
    assert {k: v for k, v in linked.items() if "/cache/" not in k} == {
        k: v for k, v in copied.items() if "/cache/" not in k
    }
    key = f"TiltSeries/{trees.RUN}.mrc"
    new = tmp_path / "linked" / RUN / "TiltSeries/100" / f"{trees.RUN}.mrc"
    assert new.samefile(tmp_path / "old" / RUN / key)
    assert not [each for each in verify(Archive.open(tmp_path / "linked")) if each.severity == Severity.ERROR]


def test_links_need_one_local_file_system(tmp_path: Path) -> None:
    source = open_store(trees.build_v1(tmp_path / "old"))
    with pytest.raises(StorageError, match="local disks"):
        migrated(source, open_store("memory://"), link=True)


# --- the command


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tomoportal", "migrate", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_the_command(tmp_path: Path) -> None:
    trees.build_v1(tmp_path / "old")
    planned = run("old", "--archive", "new", "--plan", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert f"{RUN}: public portal, version 1" in planned.stdout
    assert f"not migrated: {RUN}/TiltSeries/notes.txt: today's layout has no place" in planned.stderr
    assert not (tmp_path / "new").exists()

    done = run("old", "--archive", "new", "--dataset", "DS-10000", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {item["outcome"] for item in report["items"]} == {"created"}
    assert [each["key"] for each in report["unplaced"]] == [f"{RUN}/TiltSeries/notes.txt"]
    again = run("old", "--archive", "new", cwd=tmp_path)
    assert again.stdout == f"{len(report['items'])} skipped; 1 file has no place\n"


def test_the_command_ends_with_1_when_an_item_failed(tmp_path: Path) -> None:
    trees.build_v1(tmp_path / "old")
    next((tmp_path / "old").rglob("*_point.ndjson")).unlink()
    done = run("old", "--archive", "new", cwd=tmp_path)
    assert done.returncode == 1
    assert "failed: annotation" in done.stderr
    assert run("old", "--archive", "old/new", cwd=tmp_path).returncode == 1
    assert run("nowhere", "--archive", "new", cwd=tmp_path).returncode == 1
