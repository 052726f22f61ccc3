"""The documents of an OME-Zarr group, as reference archive-layout 7 gives them."""

from __future__ import annotations

import json

import numcodecs
import numpy as np
import pytest

from tomoportal.formats.omezarr import array_metadata, chunk_key, codec_for, group_attributes, group_metadata
from tomoportal.formats.pyramid import Level, Pyramid, Reduction

SHAPE = (64, 96, 128)
AXES = [{"name": name, "type": "space", "unit": "angstrom"} for name in "zyx"]


def levels(
    shape: tuple[int, int, int], factors: tuple[int, int, int], spacing: float, reduction: Reduction
) -> tuple[Level, ...]:
    return Pyramid.of(shape, factors, reduction, spacing).levels


def datasets(scales: list[list[float]], translations: list[list[float]]) -> list[dict[str, object]]:
    found = []
    for path, (scale, translation) in enumerate(zip(scales, translations, strict=True)):
        steps: list[dict[str, object]] = [{"scale": scale, "type": "scale"}]
        if any(translation):
            steps.append({"translation": translation, "type": "translation"})
        found.append({"coordinateTransformations": steps, "path": str(path)})
    return found


def test_documents_are_indented_by_four_with_sorted_keys() -> None:
    assert group_metadata() == b'{\n    "zarr_format": 2\n}'
    for document in (
        group_attributes(levels(SHAPE, (2, 2, 2), 13.48, "mean")),
        array_metadata(SHAPE, (128, 128, 128), np.dtype("f4"), {"id": "zstd", "level": 1}),
    ):
        assert document == json.dumps(json.loads(document), indent=4, sort_keys=True).encode()


def test_attributes_of_a_volume_a_stack_and_an_instance_mask() -> None:
    """F21: the z of a stack keeps its scale at every level, since it is no length."""
    volume = {
        "axes": AXES,
        "datasets": datasets([[13.48] * 3, [26.96] * 3, [53.92] * 3], [[0.0] * 3, [6.74] * 3, [20.22] * 3]),
        "metadata": {},
        "name": "/",
        "version": "0.4",
    }
    assert json.loads(group_attributes(levels(SHAPE, (2, 2, 2), 13.48, "mean"))) == {"multiscales": [volume]}
    stack = json.loads(group_attributes(levels(SHAPE, (1, 2, 2), 2.5, "mean")))["multiscales"][0]
    assert stack["datasets"] == datasets(
        [[2.5, 2.5, 2.5], [2.5, 5.0, 5.0], [2.5, 10.0, 10.0]], [[0.0] * 3, [0.0, 1.25, 1.25], [0.0, 3.75, 3.75]]
    )
    mask = json.loads(group_attributes(levels(SHAPE, (2, 2, 2), 2.5, "stride"), labels=(1, 2)))["multiscales"][0]
    assert mask["datasets"] == datasets([[2.5] * 3, [5.0] * 3, [10.0] * 3], [[0.0] * 3] * 3)
    assert mask["metadata"] == {"image-label": {"colors": [{"label-value": 1}, {"label-value": 2}], "version": "0.4"}}


@pytest.mark.parametrize(
    ("dtype", "text"), [("f4", "<f4"), (">f4", "<f4"), ("i1", "|i1"), ("u2", "<u2"), ("u4", "<u4")]
)
def test_an_array_says_how_its_chunks_are_stored(dtype: str, text: str) -> None:
    compressor = {"id": "zstd", "level": 1}
    assert json.loads(array_metadata(SHAPE, (1, 1024, 1024), np.dtype(dtype), compressor)) == {
        "chunks": [1, 1024, 1024],
        "compressor": compressor,
        "dimension_separator": "/",
        "dtype": text,
        "fill_value": 0,
        "filters": None,
        "order": "C",
        "shape": [64, 96, 128],
        "zarr_format": 2,
    }


def test_levels_halve_and_round_up() -> None:
    assert [level.shape for level in levels((9, 7, 1), (2, 2, 2), 1.0, "mean")] == [(9, 7, 1), (5, 4, 1), (3, 2, 1)]
    assert [level.shape for level in levels((9, 7, 1), (1, 2, 2), 1.0, "mean")] == [(9, 7, 1), (9, 4, 1), (9, 2, 1)]


def test_chunks_are_named_by_level_and_index() -> None:
    assert chunk_key(2, (0, 11, 3)) == "2/0/11/3"


@pytest.mark.parametrize(
    ("dtype", "is_mask", "codec"),
    [("f4", False, "lz4"), ("i2", False, "lz4"), ("i1", False, None), ("i1", True, "zstd"), ("u2", True, "zstd")],
)
def test_every_codec_gives_back_what_it_got(dtype: str, is_mask: bool, codec: str | None) -> None:
    chosen = codec_for(np.dtype(dtype), is_mask=is_mask)
    assert chosen.config.get("cname") == codec
    chunk = np.random.default_rng(0).integers(0, 3, (8, 8, 8)).astype(dtype)
    decoded = numcodecs.get_codec(dict(chosen.config)).decode(chosen.encode(chunk))
    np.testing.assert_array_equal(np.frombuffer(decoded, dtype).reshape(8, 8, 8), chunk)
