from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tomoportal.archive import Archive
from tomoportal.archive.verify import verify
from tomoportal.errors import ConfigError
from tomoportal.ingest import Plan, Report, prune
from tomoportal.ingest.dates import stamp
from tomoportal.testing.sources import sample_config, write_config

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Planner = Callable[..., Plan]
Ingest = Callable[..., Report]


def _refused(plan_of: Planner, config: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        plan_of(config)
    return "\n".join(str(problem) for problem in caught.value.problems)


def test_the_plan_lists_every_item_with_sources_outputs_and_ids(raw: Path, plan_of: Planner) -> None:  # F46
    plan = plan_of(raw / "config.yaml")
    assert not plan.errors
    assert not plan.unmatched
    by_kind: dict[str, int] = {}
    for item in plan.items:
        by_kind[item.kind] = by_kind.get(item.kind, 0) + 1
    assert by_kind == {
        "deposition": 1,
        "dataset": 1,
        "run": 2,
        "gain": 2,
        "collection_metadata": 2,
        "frames": 2,
        "tiltseries_volume": 2,
        "tiltseries": 2,
        "alignment": 2,
        "tomogram_volume": 4,
        "annotation": 6,
        "key_photos": 4,
        "viewer_config": 4,
        "tomogram": 4,
    }
    labels = [item.label for item in plan.items]
    assert len(set(labels)) == len(labels)
    assert all(label in labels for item in plan.items for label in (*item.needs, *item.after, *item.derives_from))
    documents = {item.document for item in plan.items if item.document}
    folder = "10001/TS_01/Reconstructions/VoxelSpacing13.480"
    assert {
        f"{folder}/Tomograms/100/tomogram_metadata.json",
        f"{folder}/Tomograms/101/tomogram_metadata.json",
        f"{folder}/Annotations/102/vesicle-1.0.json",
        "10001/TS_02/TiltSeries/100/tiltseries_metadata.json",
        "depositions_metadata/10301/deposition_metadata.json",
    } <= documents
    assert all(item.action == "create" for item in plan.items)
    assert not any(source.startswith("/") for item in plan.items for source in item.sources)


def test_planning_writes_nothing(raw: Path, plan_of: Planner, tmp_path: Path) -> None:
    before = sorted(path for path in tmp_path.rglob("*"))
    plan_of(raw / "config.yaml", tmp_path / "archive")
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_sources_may_lie_at_another_root(raw: Path, edit: Edit, tmp_path: Path, plan_of: Planner) -> None:
    config = edit(raw, lambda c: c["standardization_config"].update(source_prefix=str(raw)))
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(config.read_text())
    assert plan_of(elsewhere).items[5].sources == plan_of(edit(raw, lambda c: None)).items[5].sources


# --- nothing found


@pytest.mark.parametrize("section", ["runs", "datasets"])
def test_a_required_section_that_finds_nothing_is_an_error(
    raw: Path, edit: Edit, plan_of: Planner, section: str
) -> None:  # F35
    config = edit(raw, lambda c: c[section][0].update(sources=[{"source_glob": {"list_glob": "nowhere/*"}}]))
    assert section in _refused(plan_of, config)


def test_voxel_spacings_that_match_nowhere_are_an_error(raw: Path, edit: Edit, plan_of: Planner) -> None:
    glob = {
        "destination_glob": {
            "list_glob": "{run_output_path}/Reconstructions/VoxelSpacing*",
            "name_regex": "VoxelSpacing(.*)",
        }
    }
    text = _refused(plan_of, edit(raw, lambda c: c["voxel_spacings"][0].update(sources=[glob])))
    assert "voxel_spacings[0]" in text


def test_globs_that_match_nothing_are_named_everywhere_or_by_run(raw: Path, edit: Edit, plan_of: Planner) -> None:
    """F35."""
    (raw / "denoised" / "TS_02.mrc").unlink()
    config = edit(raw, lambda c: c["gains"][0].update(sources=[{"source_glob": {"list_glob": "gain/{run_name}.mrc"}}]))
    unmatched = [str(one) for one in plan_of(config).unmatched]
    assert len(unmatched) == 2
    assert any(
        "gain/{run_name}.mrc" in text and "nothing in any of 2 runs" in text and "config.yaml:" in text
        for text in unmatched
    )
    assert any("1 of 2 runs (10001/TS_02)" in text for text in unmatched)


# --- one name, two things


def test_two_mdocs_for_one_run(raw: Path, edit: Edit, plan_of: Planner) -> None:
    (raw / "stacks" / "TS_01_b.mdoc").write_bytes((raw / "stacks" / "TS_01.mdoc").read_bytes())
    config = edit(
        raw,
        lambda c: c["collection_metadata"][0].update(
            sources=[{"source_glob": {"list_glob": "stacks/{run_name}*.mdoc"}}]
        ),
    )
    plan = plan_of(config)
    (error,) = plan.errors
    assert error.run == "10001/TS_01"
    assert "2 mdoc files" in error.problem.what
    assert {item.place[-1] for item in plan.items if item.run} == {"TS_02"}  # the other run goes on


@pytest.mark.parametrize(
    ("section", "copy", "pattern", "what"),
    [
        (
            "frames",
            ("frames/TS_01_000.tif", "more/TS_01_000.tif"),
            "*/{run_name}_*.tif",
            "two frame files named TS_01_000.tif",
        ),
        (
            "tiltseries",
            ("stacks/TS_01.st", "stacks/TS_01_b.st"),
            "stacks/{run_name}*.st",
            "two tilt series for one run",
        ),
        ("rawtilts", ("stacks/TS_01.rawtlt", "stacks/TS_01_b.rawtlt"), "stacks/{run_name}*.rawtlt", "2 raw tilt lists"),
        (
            "gains",
            ("gains/CountRef_TS_01.mrc", "more/CountRef_TS_01.mrc"),
            "*/CountRef_{run_name}.mrc",
            "both have the",
        ),
    ],
)
def test_two_files_for_one_target(
    raw: Path, edit: Edit, plan_of: Planner, section: str, copy: tuple[str, str], pattern: str, what: str
) -> None:  # F14
    target = raw / copy[1]
    target.parent.mkdir(exist_ok=True)
    target.write_bytes((raw / copy[0]).read_bytes())
    plan = plan_of(edit(raw, lambda c: c[section][0].update(sources=[{"source_glob": {"list_glob": pattern}}])))
    assert [error.run for error in plan.errors] == ["10001/TS_01"]
    assert what in plan.errors[0].problem.what


def test_two_alignment_files_with_one_extension(raw: Path, edit: Edit, plan_of: Planner) -> None:
    (raw / "stacks" / "TS_01_b.xf").write_bytes((raw / "stacks" / "TS_01.xf").read_bytes())
    globs = [f"stacks/{{run_name}}{end}" for end in ("*.xf", ".tlt")]
    plan = plan_of(
        edit(raw, lambda c: c["alignments"][0].update(sources=[{"source_multi_glob": {"list_globs": globs}}]))
    )
    assert "would be TS_01.xf" in plan.errors[0].problem.what


def test_tomograms_that_differ_in_software_only_name_both_and_the_fields(
    raw: Path, edit: Edit, plan_of: Planner
) -> None:
    plan = plan_of(
        edit(raw, lambda c: c["tomograms"][1]["metadata"].update(processing="raw", reconstruction_software="other"))
    )
    problem = plan.errors[0].problem
    assert "tomograms/TS_01.rec" in problem.what
    assert "denoised/TS_01.mrc" in problem.what
    assert "processing_software" in (problem.fix or "")


def test_two_files_for_one_annotation_shape(raw: Path, edit: Edit, plan_of: Planner) -> None:
    (raw / "points" / "TS_01_b.csv").write_text("1,2,3\n")
    plan = plan_of(
        edit(raw, lambda c: c["annotations"][0]["sources"][0]["Point"].update(glob_string="points/{run_name}*.csv"))
    )
    assert "2 files for one annotation file" in plan.errors[0].problem.what
    assert "annotations[0].sources[0].Point" in plan.errors[0].problem.where


def test_two_alignments_are_refused_as_ambiguous(raw: Path, edit: Edit, plan_of: Planner) -> None:  # F56
    def change(config: dict[str, Any]) -> None:
        config["alignments"].append(config["alignments"][0])

    assert "two alignments" in plan_of(edit(raw, change)).errors[0].problem.what


def test_the_sources_of_one_entry_make_one_alignment(raw: Path, edit: Edit, plan_of: Planner) -> None:
    """As the public portal's config of dataset 10486 has it: a source per kind of file."""
    sources = [
        {"source_glob": {"list_glob": "stacks/{run_name}.*", "match_regex": rf"\.{end}$"}} for end in ("xf", "tlt")
    ]
    plan = plan_of(edit(raw, lambda c: c["alignments"][0].update(sources=sources)))
    assert not plan.errors
    found = [item.sources for item in plan.items if item.kind == "alignment"]
    assert found == [(f"stacks/{run}.tlt", f"stacks/{run}.xf") for run in ("TS_01", "TS_02")]


# --- variables and maps


def test_a_run_without_a_row_is_an_error_of_that_run(raw: Path, plan_of: Planner) -> None:  # F42
    rows = (raw / "run_data.csv").read_text().splitlines()
    (raw / "run_data.csv").write_text("\n".join([*rows[:2], rows[1].replace("TS_01", "TS_77")]) + "\n")
    plan = plan_of(raw / "config.yaml")
    assert [error.run for error in plan.errors] == ["10001/TS_02"]
    assert "unknown variable" in plan.errors[0].problem.what
    texts = [str(warning) for warning in plan.warnings]
    assert any("no row in the run data map for TS_02" in text for text in texts)
    assert any("match no run: TS_77" in text for text in texts)


def test_an_unknown_variable_names_the_known_ones_and_the_line(raw: Path, edit: Edit, plan_of: Planner) -> None:  # F37
    plan = plan_of(edit(raw, lambda c: c["gains"][0].update(sources=[{"source_glob": {"list_glob": "{tomo}.mrc"}}])))
    assert len(plan.errors) == 2
    problem = plan.errors[0].problem
    assert "{tomo}" in problem.what
    assert "gains[0].sources[0].source_glob.list_glob" in problem.where
    assert "run_name" in (problem.fix or "")


def test_placeholders_in_annotation_metadata_are_expanded(raw: Path, edit: Edit, plan_of: Planner) -> None:  # F43
    plan = plan_of(
        edit(raw, lambda c: c["annotations"][0]["metadata"].update(annotation_software="made for {run_name}"))
    )
    found = {
        item.settings["metadata"]["annotation_software"] for item in plan.items if item.config_path == "annotations[0]"
    }
    assert found == {"made for TS_01", "made for TS_02"}


def test_the_map_may_lie_beside_the_config(raw: Path, edit: Edit, tmp_path: Path, plan_of: Planner) -> None:  # F52
    config = edit(raw, lambda c: c["standardization_config"].update(source_prefix=str(raw)))
    beside = tmp_path / "configs"
    beside.mkdir()
    (beside / "config.yaml").write_text(config.read_text())
    (raw / "run_data.csv").rename(beside / "run_data.csv")
    plan = plan_of(beside / "config.yaml")
    assert not plan.errors
    assert set(plan.digest_part) == {"run_data.csv"}


@pytest.mark.parametrize("name", ["..", "a?b", "Images", ".x"])
def test_run_names_that_an_archive_cannot_hold(raw: Path, edit: Edit, plan_of: Planner, name: str) -> None:
    plan = plan_of(edit(raw, lambda c: c["runs"][0].update(sources=[{"literal": {"value": [name, "TS_01"]}}])))
    assert [error.run for error in plan.errors] == [f"10001/{name}"]
    assert any(item.run == "10001/TS_01" for item in plan.items)


def test_dose_rate_zero_is_an_error(raw: Path, edit: Edit, plan_of: Planner) -> None:
    (raw / "run_data.csv").write_text((raw / "run_data.csv").read_text().replace(",IMOD", ",0"))
    plan = plan_of(edit(raw, lambda c: c["frames"][0]["metadata"].update(dose_rate="float {software}")))
    assert "dose_rate is 0.0" in plan.errors[0].problem.what


def test_ids_that_contradict_each_other(raw: Path, edit: Edit, plan_of: Planner) -> None:
    config = edit(raw, lambda c: c["datasets"][0].update(sources=[{"literal": {"value": ["10002"]}}]))
    assert "dataset_identifier 10001 is not the dataset 10002" in _refused(plan_of, config)


# --- what exists already


def test_actions_follow_what_changed(raw: Path, plan_of: Planner, ingest: Ingest, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    assert ingest(raw / "config.yaml", archive).ok
    plan = plan_of(raw / "config.yaml", archive)
    assert {item.action for item in plan.items} == {"skip"}
    (raw / "points" / "TS_01.csv").write_text("1,1,1\n")
    actions = {(item.run, item.kind, item.title): item.action for item in plan_of(raw / "config.yaml", archive).items}
    changed = {key for key, action in actions.items() if action != "skip"}
    assert {kind for _, kind, _ in changed} == {"annotation", "key_photos", "viewer_config", "dataset", "deposition"}
    assert {run for run, _, _ in changed if run} == {"10001/TS_01"}


@pytest.mark.usefixtures("full_photos")
def test_what_left_the_config_is_listed_and_kept(
    raw: Path, edit: Edit, plan_of: Planner, ingest: Ingest, tmp_path: Path
) -> None:  # F10, F11
    archive = tmp_path / "archive"
    ingest(raw / "config.yaml", archive)

    def change(config: dict[str, Any]) -> None:
        config["tomograms"][1]["metadata"]["processing_software"] = "new"
        del config["annotations"][2]

    config = edit(raw, change)
    plan = plan_of(config, archive)
    stale = "\n".join(map(str, plan.stale))
    assert "vesicle-1" in stale
    assert "processing=denoised|software=|" in stale
    new = [item.archive_id for item in plan.items if item.kind == "tomogram" and item.action == "create"]
    assert new == [102, 102]
    (raw / "tomograms" / "TS_02.rec").unlink()
    gone = {one.container.key for one in plan_of(config, archive).stale}
    assert gone == {"10001/TS_01", "10001/TS_02"}  # a whole run too
    kept = archive / "10001/TS_01/Reconstructions/VoxelSpacing13.480/Annotations/102/vesicle-1.0.json"
    assert ingest(config, archive).ok
    assert kept.exists()
    target = Archive.open(archive)
    assert prune(target, plan_of(config, archive).stale) > 10
    assert not kept.exists()
    assert not (archive / "10001/TS_02").exists()
    assert ingest(config, archive).ok
    assert not plan_of(config, archive).stale
    assert [finding for finding in verify(target) if finding.severity == "error"] == []


def test_stamps_come_from_dates_never_from_the_clock() -> None:
    assert stamp("2023-06-01") == 1685577600
    assert stamp(None, 7) == 7
    assert stamp("no date", 7) == 7


@pytest.mark.slow
def test_a_thousand_runs_are_planned_in_seconds(tmp_path: Path, plan_of: Planner) -> None:
    rows = ["run_name,tomo_vs,quality,tmin,tmax,software"]
    patterns = ["tomograms/{}.rec", "denoised/{}.mrc", "gains/CountRef_{}.mrc", "masks/{}_labels.mrc", "points/{}.csv"]
    patterns += [f"stacks/{{}}.{end}" for end in ("st", "mdoc", "rawtlt", "xf", "tlt", "xtilt")]
    patterns += [f"frames/{{}}_{number:03}.tif" for number in range(41)]
    for number in range(1000):
        run = f"TS_{number:04}"
        rows.append(f"{run},13.48,3,-60,60,IMOD")
        for pattern in patterns:
            path = tmp_path / pattern.format(run)
            path.parent.mkdir(exist_ok=True)
            path.touch()
    (tmp_path / "run_data.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "particles.star").touch()
    config = write_config(tmp_path / "config.yaml", sample_config())
    start = time.process_time()
    plan = plan_of(config)
    assert time.process_time() - start < 5
    assert len(plan.items) == 18002


# --- patterns without any match


def test_a_pattern_that_matches_in_no_run_makes_the_ingestion_incomplete(
    raw: Path, edit: Edit, ingest: Ingest, plan_of: Planner, tmp_path: Path
) -> None:
    config = edit(raw, lambda c: c["gains"][0].update(sources=[{"source_glob": {"list_glob": "gain/{run_name}.mrc"}}]))
    assert not plan_of(config).ok
    report = ingest(config, tmp_path / "archive")
    assert not report.ok
    assert not report.to_json()["ok"]
    assert report.counts["failed"] == 0
    assert report.counts["created"] > 30  # the rest is there
    (row,) = [row for row in report.summary() if row[0] == "matched nothing"]
    assert row[1] == 1


def test_a_pattern_that_matches_in_some_runs_is_a_notice(raw: Path, plan_of: Planner) -> None:
    (raw / "denoised" / "TS_02.mrc").unlink()
    plan = plan_of(raw / "config.yaml")
    assert len(plan.unmatched) == 1
    assert plan.ok


def test_a_match_rule_that_leaves_nothing_over_is_named(raw: Path, edit: Edit, plan_of: Planner) -> None:
    glob = {"list_glob": "gains/CountRef_{run_name}.mrc", "match_regex": r"\.dm4$"}
    plan = plan_of(edit(raw, lambda c: c["gains"][0].update(sources=[{"source_glob": glob}])))
    assert not plan.ok
    (one,) = plan.unmatched
    assert r"match_regex `\.dm4$` left out all 2 files" in str(one)
    assert "for example gains/CountRef_TS_01.mrc" in str(one)


def test_an_annotation_without_a_file_in_any_run_counts_too(raw: Path, edit: Edit, plan_of: Planner) -> None:
    config = edit(raw, lambda c: c["annotations"][0]["sources"][0]["Point"].update(glob_string="points/{run_name}.txt"))
    assert not plan_of(config).ok


def test_what_is_looked_for_in_the_archive_is_a_notice_only(raw: Path, edit: Edit, plan_of: Planner) -> None:
    glob = {"destination_glob": {"list_glob": "{run_output_path}/Gains/*.mrc"}}
    plan = plan_of(edit(raw, lambda c: c["gains"][0].update(sources=[glob])))
    assert plan.unmatched
    assert plan.ok


def test_a_run_pattern_of_one_of_two_datasets_is_a_notice(raw: Path, edit: Edit, plan_of: Planner) -> None:
    def change(config: dict[str, Any]) -> None:
        config["datasets"].append({"sources": [{"literal": {"value": ["10002"]}}]})
        config["runs"] = [
            {"sources": [{"source_glob": {"list_glob": pattern, "name_regex": r"(.*)\.\w+"}}]}
            for pattern in ("tomograms/*.rec", "{dataset_name}/*.rec", "only_{dataset_name}/*.rec")
        ]
        del config["annotations"], config["gains"]

    folder = raw / "10002"
    folder.mkdir()
    (folder / "TS_01.rec").write_bytes((raw / "tomograms" / "TS_01.rec").read_bytes())
    found = {one.pattern: one.everywhere for one in plan_of(edit(raw, change)).unmatched}
    assert found == {"{dataset_name}/*.rec": False, "only_{dataset_name}/*.rec": True}
