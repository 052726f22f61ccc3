from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomoportal.ingest.finders import FindError, Search, find, passes_filters
from tomoportal.ingest.scope import Scope
from tomoportal.ingest.sources import SourceRoot
from tomoportal.ingest.trees import Tree
from tomoportal.storage import open_store
from tomoportal.testing.sources import write_mrc

SCOPE = Scope({}, {"output_path": ""}).child("run", "TS_1", output="10001/TS_1")


@pytest.fixture
def search(tmp_path: Path) -> Any:
    for name in (
        "raw/src/TS_1.rec",
        "raw/src/TS_2.rec",
        "raw/src/notes.txt",
        "out/10001/TS_1/Alignments/100/alignment_metadata.json",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    source = SourceRoot(open_store(tmp_path / "raw", read_only=True), "src")
    archive = Tree(open_store(tmp_path / "out", read_only=True))

    def run(section: str = "", **entry: Any) -> Search:
        return find(entry, SCOPE, source, archive, section)

    return run


def _pairs(search: Search) -> list[tuple[str, str | None]]:
    return [(found.name, found.key) for found in search.found]


def test_source_glob_filters_by_path_and_names_by_the_first_group(search: Any) -> None:
    found = search(source_glob={"list_glob": "*", "match_regex": r"/src/TS.*rec$", "name_regex": r"(.*)\.rec"})
    assert _pairs(found) == [("TS_1", "src/TS_1.rec"), ("TS_2", "src/TS_2.rec")]
    assert not found.unmatched


def test_a_name_rule_that_does_not_match_names_file_rule_and_field(search: Any) -> None:  # F36
    with pytest.raises(FindError) as caught:
        search(source_glob={"list_glob": "*", "name_regex": r"(TS_\d+)\.rec"})
    assert "notes.txt" in caught.value.what
    assert r"(TS_\d+)\.rec" in caught.value.what
    assert caught.value.field == "source_glob.name_regex"


def test_multi_globs_are_united_and_each_pattern_without_a_match_is_named(search: Any) -> None:
    found = search(source_multi_glob={"list_globs": ["{run_name}.rec", "TS_*.rec", "{run_name}.xf"]})
    assert [key for _, key in _pairs(found)] == ["src/TS_1.rec", "src/TS_2.rec"]
    assert found.unmatched == ("TS_1.xf",)


def test_literals_keep_their_order_and_may_hold_placeholders(search: Any) -> None:
    assert _pairs(search(literal={"value": ["b", 10301, "{run_name}"]})) == [
        ("b", None),
        ("10301", None),
        ("TS_1", None),
    ]


def test_destination_globs_look_into_the_archive_and_are_references(search: Any) -> None:
    found = search(destination_glob={"list_glob": "{run_output_path}/Alignments/*/alignment_metadata.json"})
    assert _pairs(found) == [("alignment_metadata.json", "10001/TS_1/Alignments/100/alignment_metadata.json")]
    assert found.found[0].reference
    with pytest.raises(FindError, match="not in the archive"):
        search(destination_glob={"list_glob": "10001/*"})


def test_excluded_names(search: Any) -> None:
    found = search(source_glob={"list_glob": "*"}, exclude=["TS_1", r"no"])
    assert [name for name, _ in _pairs(found)] == ["TS_2.rec"]


@pytest.mark.parametrize("pattern", ["../other/*", "/etc/passwd", "a/../../b"])
def test_paths_that_leave_the_source_folder_are_refused(search: Any, pattern: str) -> None:
    with pytest.raises(FindError):
        search(source_glob={"list_glob": pattern})


def test_an_unknown_variable_is_an_error_of_its_field(search: Any) -> None:  # F37
    with pytest.raises(FindError) as caught:
        search(source_multi_glob={"list_globs": ["x", "{tomo}"]})
    assert caught.value.field == "source_multi_glob.list_globs[1]"
    assert "run_name" in (caught.value.fix or "")


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        (None, True),
        ({}, True),
        ({"include": {"run": ["^TS_0"]}}, True),
        ({"include": {"run": ["^X", "_03$"]}}, True),
        ({"include": {"run": ["^X"]}}, False),
        ({"include": {"run": ["TS"], "deposition": ["^1030"]}}, True),
        ({"include": {"run": ["TS"], "deposition": ["^9"]}}, False),
        ({"exclude": {"run": ["03"]}, "include": {"run": ["TS"]}}, False),
        ({"exclude": {"voxel_spacing": [r"13\.480"]}}, True),
    ],
)
def test_parent_filters(filters: dict[str, Any] | None, passes: bool) -> None:
    assert passes_filters(filters, {"run": "TS_03", "deposition": "10301"}) is passes


def test_spacings_from_the_headers_of_volumes(tmp_path: Path, search: Any) -> None:
    for name, spacing in (("TS_1_bin4.mrc", 13.48), ("TS_1_bin8.mrc", 26.96), ("TS_1_bin8_denoised.mrc", 26.96)):
        write_mrc(tmp_path / "raw/src" / name, np.zeros((2, 3, 4), np.float32), spacing)
    found = search(tomogram_header={"list_glob": "{run_name}_*.mrc"})
    assert [name for name, _ in _pairs(found)] == ["13.480", "26.960"]
    with pytest.raises(FindError, match=r"TS_1\.rec|header|empty|bytes"):
        search(tomogram_header={"list_glob": "{run_name}.rec"})


def test_filters_of_documents_find_what_they_describe_and_only_there(search: Any, tmp_path: Path) -> None:
    for number, maker in ((100, "Gatan"), (101, "TFS")):
        path = tmp_path / f"out/10001/TS_1/TiltSeries/{number}/tiltseries_metadata.json"
        path.parent.mkdir(parents=True)
        document = {"omezarr_dir": f"{number}.zarr", "camera": {"manufacturer": maker}, "scales": [{"z": 4}, {"z": 2}]}
        path.write_text(json.dumps(document))

    def found(*filters: tuple[list[str], Any]) -> list[Any]:
        rules = [{"key": key, "value": value} for key, value in filters]
        result: list[Any] = _pairs(search(section="tiltseries", destination_filter={"filters": rules}))
        return result

    assert found((["camera", "manufacturer"], "TFS")) == [("101", "101.zarr")]
    assert found((["scales", "z"], 2)) == [("100", "100.zarr"), ("101", "101.zarr")]
    assert found((["scales", "z"], "2"), (["camera", "manufacturer"], "Gatan")) == [("100", "100.zarr")]
    assert found((["scales", "y"], 2)) == []
    with pytest.raises(FindError, match="frames cannot be found by their documents"):
        search(section="frames", destination_filter={"filters": []})
