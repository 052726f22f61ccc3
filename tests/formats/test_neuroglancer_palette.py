import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.formats.neuroglancer.palette import PALETTE, color_of, contrast_on_black, rgb


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
def test_any_id_has_a_colour_of_the_palette(object_id):
    assert color_of(object_id) in PALETTE
