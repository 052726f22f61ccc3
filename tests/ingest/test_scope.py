from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.ingest.scope import Scope, TemplateError

SCOPE = (
    Scope({}, {"output_path": ""})
    .child("dataset", "10001", output="10001")
    .with_variables({"ts-tilt_range-max": "60.5", "quality": "4", "empty": "", "run_name": "from the map"})
    .child("run", "TS_07", path="tomograms/TS_07.rec", output="10001/TS_07")
)


@pytest.mark.parametrize(
    ("template", "expanded"),
    [
        ("{run_name}/{dataset_name}", "TS_07/10001"),
        ("{run_path}|{run_output_path}|{output_path}", "tomograms/TS_07.rec|10001/TS_07|"),
        ("{int_dataset_name:07d}", "0010001"),
        ("{{literal}} {ts-tilt_range-max}", "{literal} 60.5"),
        ("plain", "plain"),
    ],
)
def test_variables_of_ancestors_and_map_columns(template: str, expanded: str) -> None:
    assert SCOPE.expand(template) == expanded


@pytest.mark.parametrize(
    ("value", "expanded"),
    [
        ("float {ts-tilt_range-max}", 60.5),
        ("int {quality}", 4),
        ("float{quality}", 4.0),
        ({"a": ["float {quality}", {"b": "{quality}"}]}, {"a": [4.0, {"b": "4"}]}),
        ("float glass", "float glass"),
        (7, 7),
        (None, None),
    ],
)
def test_number_placeholders_at_any_depth(value: object, expanded: object) -> None:
    found = SCOPE.expand_value(value)
    assert found == expanded
    assert type(found) is type(expanded)


@pytest.mark.parametrize(
    "template", ["{nope}", "{run_name.upper}", "{run_name[0]}", "{run_name!r}", "{", "}", "{int_dataset_name:q}"]
)
def test_what_cannot_be_expanded_is_an_error(template: str) -> None:
    with pytest.raises(TemplateError):
        SCOPE.expand(template)


def test_an_unknown_variable_names_the_known_ones() -> None:
    with pytest.raises(TemplateError) as caught:
        SCOPE.expand("{run_nam}")
    assert "{run_nam}" in caught.value.what
    assert "run_name" in (caught.value.fix or "")


@pytest.mark.parametrize("template", ["float {empty}", "int {ts-tilt_range-max}", "float {run_name}"])
def test_a_placeholder_that_is_no_number_is_an_error(template: str) -> None:
    with pytest.raises(TemplateError, match="not a"):
        SCOPE.expand_value(template)


@pytest.mark.parametrize("number", ["nan", "inf", "1e999"])
def test_numbers_are_finite(number: str) -> None:
    with pytest.raises(TemplateError):
        SCOPE.with_variables({"x": number}).expand_value("float {x}")


@given(st.text(max_size=30))
def test_doubled_braces_protect_any_text(text: str) -> None:
    assert SCOPE.expand(text.replace("{", "{{").replace("}", "}}")) == text
