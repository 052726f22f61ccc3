"""URIs: every name, size and type can be written and means itself only; patterns mean what they say (C49)."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tomoportal.copick as copick
from tomoportal.copick.names import is_clean
from tomoportal.copick.uri import matches_number, matches_pattern, serialize_copick_uri_from_dict
from tomoportal.errors import AnnotationError

listed = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
"""Names as they may stand on a disk, made by whatever program."""
names = st.one_of(listed.map(str.strip).filter(bool), st.text("re%2Fa@:/?#&[]*-.", min_size=1, max_size=8)).filter(
    lambda name: name == name.strip()
)
sizes = st.floats(0.001, 1e5).map(lambda size: round(size, 3)).filter(lambda size: size > 0)
KINDS = {
    "picks": ("object_name", "user_id", "session_id"),
    "mesh": ("object_name", "user_id", "session_id"),
    "filaments": ("object_name", "user_id", "session_id"),
    "segmentation": ("name", "user_id", "session_id"),
    "tomogram": ("tomo_type",),
    "feature": ("tomo_type", "feature_type"),
}
SIZED = ("segmentation", "tomogram", "feature")


@given(st.sampled_from(sorted(KINDS)), st.tuples(names, names, names), sizes, st.sampled_from([None, *range(3)]), names)
@example("picks", ("re", "re", "re"), 10.0, None, "r")
@example("segmentation", ("re", "a", "b"), 10.0, 1, "re:a")
@example("mesh", ("%72e", "%3A", "100%"), 10.0, None, "re")
@example("feature", ("re", "x:y", "z"), 0.001, None, "re")
def test_a_uri_written_and_parsed_names_the_same(
    kind: str, parts: tuple[str, str, str], size: float, flag: int | None, other: str
) -> None:
    given_: dict[str, Any] = dict(zip(KINDS[kind], parts, strict=False))
    flags = ("multilabel", "instance", "panoptic")
    if kind in SIZED:
        given_["voxel_spacing"] = size
    if kind == "segmentation" and flag is not None:
        given_[flags[flag]] = True
    uri = serialize_copick_uri_from_dict(kind, **given_)
    found = copick.parse_copick_uri(uri, kind)
    assert (found["object_type"], found["pattern_type"]) == (kind, "glob")
    for part in KINDS[kind]:
        assert matches_pattern(given_[part], found[part], "glob")
        assert matches_pattern(other, found[part], "glob") == (other == given_[part])
    if kind in SIZED:
        assert matches_number(size, found["voxel_spacing"], "glob")
        assert not matches_number(size + 0.002, found["voxel_spacing"], "glob")
    if kind == "segmentation":
        assert {key: found[key] for key in flags} == {key: given_.get(key) for key in flags}


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_what_lacks_a_part_has_no_uri(kind: str, data: st.DataObject) -> None:
    parts: dict[str, Any] = dict.fromkeys(KINDS[kind], "a")
    if kind in SIZED:
        parts["voxel_spacing"] = 10.0
    del parts[data.draw(st.sampled_from(sorted(parts)))]
    with pytest.raises(AnnotationError, match="require"):
        serialize_copick_uri_from_dict(kind, **parts)


clean = listed.filter(is_clean).filter(lambda name: not set(name) & set("%@:/?#&[]*") and name != "re")
patterns = st.lists(st.sampled_from(["*", "?", "a", "b", "[ab]", "[!a]", "-", "."]), min_size=1, max_size=5).map(
    "".join
)


@given(patterns, clean, st.text("ab-.", min_size=1, max_size=5))
def test_patterns_mean_what_they_mean_in_a_shell(pattern: str, user: str, name: str) -> None:
    for kind in ("picks", "mesh", "filaments"):
        found = copick.parse_copick_uri(f"{pattern}:{user}/*", kind)
        assert matches_pattern(name, found["object_name"], "glob") == fnmatch.fnmatchcase(name, pattern)
        assert (found["user_id"], found["session_id"]) == (user, "*")
    found = copick.parse_copick_uri(pattern, "tomogram")
    assert matches_pattern(name, found["tomo_type"], "glob") == fnmatch.fnmatchcase(name, pattern)
    assert found["voxel_spacing"] == "*"


@given(st.sampled_from(["a.*", "(a|b)+", "[ab]{2}", r"\w+", ".", ""]), st.text("ab-.", min_size=1, max_size=5))
def test_regular_expressions_are_matched_from_the_start(pattern: str, name: str) -> None:
    found = copick.parse_copick_uri(f"re:{pattern}:x/[12]", "picks")
    assert found["pattern_type"] == "regex"
    assert matches_pattern(name, found["object_name"], "regex") == (re.match(pattern, name) is not None)
    assert (found["user_id"], found["session_id"]) == ("x", "[12]")


@given(st.text(max_size=30), st.sampled_from(sorted(KINDS)))
def test_any_text_is_a_uri_or_refused(text: str, kind: str) -> None:
    try:
        found = copick.parse_copick_uri(text, kind)
    except AnnotationError:
        return
    assert all(isinstance(found[part], str) for part in KINDS[kind])
