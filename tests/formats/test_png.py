"""PNG files that Pillow reads back, pixel for pixel."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tomoportal.formats.png import png


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda size: arrays(np.uint8, (*size, 3))), st.booleans()
)
def test_pillow_reads_the_same_pixels(picture: np.ndarray[Any, Any], smooth: bool) -> None:
    with Image.open(io.BytesIO(png(picture, smooth=smooth))) as image:
        image.verify()
    with Image.open(io.BytesIO(png(picture, smooth=smooth))) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        np.testing.assert_array_equal(np.asarray(image), picture)


@pytest.mark.parametrize("smooth", [False, True])
def test_files_are_about_as_small_as_those_of_pillow(smooth: bool) -> None:
    noise = np.random.default_rng(0).normal(128, 40, (48, 64) if smooth else (384, 512)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(noise).convert("RGB").resize((512, 384), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=2)
    assert len(png(np.asarray(image))) < 1.15 * len(buffer.getvalue())
