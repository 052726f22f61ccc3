"""Short forms of output URIs; the expected values are what upstream 1.31 answers."""

from __future__ import annotations

import pytest

from tomoportal.copick.uri_expansion import expand_output_uri
from tomoportal.errors import AnnotationError


@pytest.mark.parametrize(
    ("output", "given", "input_type", "output_type", "expected"),
    [
        ("x", "ribo:ada/1", "picks", "picks", "x:cmd/converted-001"),
        ("x", "ribo:ada/*", "picks", "segmentation", "x:cmd/{input_session_id}"),
        ("x", "re:r.*:ada/1", "picks", "picks", "x:cmd/{input_session_id}"),
        ("x:u", "mem:seg/0@10.0", "segmentation", "segmentation", "x:u/converted-001@10.0"),
        ("x:u", "mem:seg/0@10.0", "segmentation", "picks", "x:u/converted-001"),
        ("x:u/s", "ribo:ada/1", "picks", "picks", "x:u/s"),
        ("x:u/s", "mem:seg/0@10.0?multilabel=true", "segmentation", "segmentation", "x:u/s@10.0?multilabel=true"),
        ("x:u/1@20", "mem:seg/1@10.0?instance=true", "segmentation", "segmentation", "x:u/1@20"),
        ("x@20?multilabel=true", "mem:seg/*@10.0?instance=true", "segmentation", "segmentation",
         "x:cmd/{input_session_id}@20?multilabel=true"),
        ("x/s", "wbp@10.0:sobel", "feature", "segmentation", "x:cmd/s@10.0"),
        ("/s", "mem", "segmentation", "segmentation", "mem:cmd/s"),
        ("", "ribo:ada/1", "picks", "mesh", "ribo:cmd/converted-001"),
        ("x:u/{instance_id}", "ribo", "picks", "picks", "x:u/{instance_id}"),
        ("x/{input_session_id}", "ribo:ada/1", "picks", "picks", "x:cmd/{input_session_id}"),
        (":u", "ribo:ada/1", "picks", "segmentation", "ribo:u/converted-001"),
        ("x", "wbp@10.0", "tomogram", "segmentation", "x:cmd/{input_session_id}@10.0"),
    ],
)  # fmt: skip
def test_what_is_left_out_follows_from_the_input(
    output: str, given: str, input_type: str, output_type: str, expected: str
) -> None:
    assert expand_output_uri(output, given, input_type, output_type, command_name="cmd") == expected


def test_individual_outputs_and_no_command() -> None:
    assert expand_output_uri("x", "ribo:ada/1", "picks", "mesh", individual_outputs=True) == "x:converter/{instance_id}"
    assert expand_output_uri(":u/s", "ribo", "picks", "picks") == "ribo:u/s"  # upstream leaves the name empty


def test_what_cannot_be_expanded_says_why() -> None:
    with pytest.raises(AnnotationError, match="Unsupported output_type for expansion: tomogram"):
        expand_output_uri("x", "wbp", "tomogram", "tomogram")
    with pytest.raises(AnnotationError, match="has no name"):
        expand_output_uri("/s", "wbp@10.0", "tomogram", "picks")
