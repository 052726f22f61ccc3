"""The released package's own tests, from its source distribution, run on ours.

They are fetched when the test runs and read a sample project that ``upstream_suite/copick_corpus.py`` makes. Every test
passes on ours but those of the tables, and one of the tables that passes is an error, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "upstream_suite"))

from copick_suite import Outcome, Suite, prepare

from tomoportal.errors import MissingPartError
from tomoportal.server import LiveServer
from tomoportal.testing.environments import not_testable

BACKENDS = {
    "test_browser.py": ("local",),
    "test_cache_cli.py": ("local",),
    "test_cli.py": ("local",),
    "test_delete_overwrite.py": ("local", "s3", "mlcroissant"),
    "test_deposit.py": ("local",),
    "test_deprecation_helpers.py": ("local",),
    "test_escape.py": ("local", "s3", "mlcroissant"),
    "test_filament_curves.py": ("local",),
    "test_filesystem.py": ("local", "s3", "mlcroissant"),
    "test_import_export.py": ("local",),
    "test_mlcroissant.py": ("local",),
    "test_object_models.py": ("local", "mlcroissant"),
    "test_ontology.py": ("local",),
    "test_ops_add.py": ("local", "mlcroissant"),
    "test_ops_export.py": ("local",),
    "test_portal_cache.py": ("local",),
    "test_reconnecting_fs.py": ("local",),
    "test_run_names_option.py": ("local",),
    "test_segmentation_util.py": ("local",),
    "test_sync_cli.py": ("local",),
    "test_sync_ops.py": ("local", "mlcroissant"),
    "test_uri.py": ("local",),
}
"""Their files, and on which stores each is run: folders, an S3 server in the process, Croissant manifests."""

ALLOWED: dict[str, dict[str, str]] = {
    "test_filesystem.py": {
        "test_picks_write_numpy": "C42: it saves matrices of random numbers; ours saves rotations, others if asked to",
        "test_filaments_write_read_delete[mlcroissant_overlay_only]": "C90: it wants filaments refused; ours has them",
    },
    "test_import_export.py": {
        "TestPicksExport::test_export_picks_missing_voxel_size": "the command asks for one of STAR files only where"
        " the tomograms differ in their centre; functions ask as theirs do",
    },
    "test_mlcroissant.py": {
        "test_config_static_fs_args_round_trip": "replaces the private function _fs_for_url",
        "test_export_cdp_pick_uses_portal_metadata_voxel_spacing": "calls the private function _pick_voxel_size",
    },
    "test_sync_ops.py": {
        "TestSyncMeshes::test_sync_meshes_basic": "wants the geometry that is left in memory; a file read is a scene",
    },
}
"""What fails on ours: file → a test, a function of several, or its ``[overlay_only]`` ones → why."""

SKIPPED: dict[str, dict[str, str]] = {
    "test_filesystem.py": {
        "test_filaments_uri_copy_and_move[mlcroissant_overlay_only]": "theirs has no filaments there (C90)",
        "test_filament_curves_round_trip_and_copy[mlcroissant_overlay_only]": "theirs has no filaments there (C90)",
        "test_filament_stale_curve_is_dropped_on_store[mlcroissant_overlay_only]": "theirs has no filaments (C90)",
        "test_filaments_static_are_read_only[overlay_only]": "there is no static side",
        "test_segmentation_listing_skips_unparsable_stores[mlcroissant_overlay_only]": "a manifest lists, not a folder",
    },
    "test_object_models.py": {
        "TestAddObjectVolumeFunction::test_add_object_volume_to_read_only_object[overlay_only]": "all can be written",
    },
}
"""What skips itself, on theirs too."""


def names(test: str) -> set[str]:
    """What a test goes by in the tables."""
    function = test.partition("[")[0]
    return {test, function, *([f"{function}[overlay_only]"] if test.endswith("_overlay_only]") else [])}


def misfits(outcomes: list[Outcome], allowed: dict[str, str], skipped: dict[str, str]) -> list[str]:
    """Everything that did not pass and is not allowed to, and every allowance that is not needed."""
    known = {each.test.partition("[")[0] for each in outcomes}
    wrong = [f"{name}: there is no such test" for name in {**allowed, **skipped} if name.partition("[")[0] not in known]
    for test, outcome, reason in outcomes:
        expected = "failed" if names(test) & set(allowed) else "skipped" if names(test) & set(skipped) else "passed"
        if outcome != expected:
            wrong.append(f"{test}: {outcome}, not {expected}. {reason[-1500:]}".rstrip())
    return wrong


def test_what_need_not_pass_is_what_does_not_pass() -> None:
    outcomes = [
        Outcome("test_a[s3_overlay_only]", "failed", "no"),
        Outcome("test_a[s3]", "skipped", ""),
        Outcome("test_b", "passed", ""),
    ]
    assert misfits(outcomes, {"test_a[overlay_only]": ""}, {"test_a[s3]": ""}) == []
    assert misfits(outcomes[:1], {"test_a": ""}, {}) == misfits(outcomes[1:2], {}, {"test_a": ""}) == []
    assert misfits(outcomes[1:], {}, {}) == ["test_a[s3]: skipped, not passed."]
    assert misfits(outcomes[:1], {}, {}) == ["test_a[s3_overlay_only]: failed, not passed. no"]
    assert misfits(outcomes[2:], {"test_b": ""}, {}) == ["test_b: passed, not failed."]
    assert misfits(outcomes[2:], {}, {"test_c": ""}) == ["test_c: there is no such test"]


@pytest.fixture(scope="session")
def suite(plugin_programs: Path) -> Suite:
    try:
        return prepare(plugin_programs / "python")
    except MissingPartError as error:
        not_testable(str(error))


@pytest.mark.slow
def test_the_sample_project_is_what_upstream_expects(suite: Suite) -> None:
    wrong = [each for each in suite.run("test_filesystem.py", ours=False) if each.outcome not in ("passed", "skipped")]
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize(("name", "backend"), [(name, each) for name, some in BACKENDS.items() for each in some])
def test_upstream_s_own_tests_pass_on_ours(suite: Suite, portal: LiveServer, name: str, backend: str) -> None:
    outcomes = suite.run(name, ours=True, backend=backend, portal=portal.url if name == "test_cli.py" else "")
    wrong = misfits(outcomes, ALLOWED.get(name, {}), SKIPPED.get(name, {}))
    assert not wrong, f"{name} on {backend}:\n" + "\n".join(wrong)
