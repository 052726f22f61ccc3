import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.formats.neuroglancer.palette import (
    PALETTE,
    color_distance,
    color_of,
    colors_of,
    contrast_on_black,
    rgb,
)


def test_twenty_colours_that_show_on_black():
    assert len(set(PALETTE)) == 20
    assert min(contrast_on_black(color) for color in PALETTE) >= 3


def test_contrast_is_wcags():
    assert contrast_on_black("#000000") == pytest.approx(1)
    assert contrast_on_black("#ffffff") == pytest.approx(21)
    assert contrast_on_black("#0000ff") == pytest.approx(2.44, abs=0.01)  # the usual example of one that fails


def test_colours_can_be_told_apart():
    distances = [
        sum((a - b) ** 2 for a, b in zip(rgb(first), rgb(second), strict=True)) ** 0.5
        for index, first in enumerate(PALETTE)
        for second in PALETTE[:index]
    ]
    assert min(distances) > 30


def test_a_colour_depends_on_the_object_only():
    """F165. The value is pinned: states in archives must not change with a release."""
    assert color_of("GO:0022626") == color_of(" go:0022626 ")
    assert [color_of(name) for name in ("GO:0022626", "GO:0016020", "UniProtKB:P04040")] == [
        "#5fb7a5",
        "#2ee6b0",
        "#c77dff",
    ]


@given(st.text())
def test_any_id_has_a_colour_of_the_palette(object_id):  # F166
    assert color_of(object_id) in PALETTE


def test_the_distance_of_colours_is_that_of_the_cie_but_for_lightness() -> None:
    # L* of white is 100; sRGB red is (53.2, 80.1, 67.2).
    assert color_distance("#000000", "#ffffff") == pytest.approx(25, abs=0.1)
    assert color_distance("#000000", "#ff0000") == pytest.approx((13.31**2 + 80.09**2 + 67.2**2) ** 0.5, abs=0.1)


def test_ribosome_and_membrane_do_not_look_alike_in_one_run() -> None:
    """By their ids alone both are green."""
    ribosome, membrane = "GO:0022626", "GO:0016020"
    assert color_distance(color_of(ribosome), color_of(membrane)) < 40
    found = colors_of([ribosome, membrane])
    assert found[ribosome] == color_of(ribosome)
    assert color_distance(*found.values()) > 80


@given(st.lists(st.text(max_size=8), max_size=30))
def test_colours_of_a_run(names: list[str]) -> None:
    found = colors_of(names)
    assert set(found) == set(names)
    distinct = {name.strip().lower(): color for name, color in found.items()}
    assert len(set(distinct.values())) == min(len(distinct), 20) or len(distinct) > 20
    few = list(dict.fromkeys(distinct.values()))[:6]
    assert all(color_distance(a, b) > 40 for index, a in enumerate(few) for b in few[:index])
    for end in range(len(names)):  # what comes later changes nothing
        assert colors_of(names[:end]).items() <= found.items()
