"""Parts of Blosc buffers: the same bytes as from the whole, and no more of the chunk is read than they need."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs import Blosc, blosc

from tomoportal.errors import FormatError
from tomoportal.formats.omezarr import decoding
from tomoportal.formats.omezarr.array import ZarrArray
from tomoportal.formats.omezarr.blosc_blocks import HEAD, BloscBlocks
from tomoportal.storage import Store, open_store
from tomoportal.testing.faulty import FaultyStore


def voxels(size: int, dtype: str, kind: str) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(size)
    if kind == "noise":
        return generator.integers(0, 256, size * np.dtype(dtype).itemsize, np.uint8).view(dtype)
    return (np.arange(size) // 7 % 50).astype(dtype) if kind == "steps" else np.zeros(size, dtype)


@pytest.mark.parametrize("name", ["lz4", "lz4hc", "zstd", "zlib", "blosclz"])
@given(
    size=st.integers(1, 40_000),
    dtype=st.sampled_from(["u1", "<i2", "<f4", "<f8"]),
    kind=st.sampled_from(["noise", "steps", "zeros"]),
    shuffle=st.sampled_from([0, 1, 2]),
    block=st.sampled_from([0, 512, 4096, 30_000]),
    data=st.data(),
)
def test_any_part_is_what_the_whole_has_there(
    name: str, size: int, dtype: str, kind: str, shuffle: int, block: int, data: st.DataObject
) -> None:
    whole = voxels(size, dtype, kind).tobytes()
    stored = Blosc(name, 5, shuffle, block).encode(voxels(size, dtype, kind))
    found = BloscBlocks.of(stored[:HEAD], len(whole))
    if found is None:
        block = int.from_bytes(stored[8:12], "little")
        assert len(whole) <= block or len(whole) / block > 900  # one block, or more than the head can name
        return
    start = data.draw(st.integers(0, len(whole) - 1))
    stop = data.draw(st.integers(start + 1, len(whole)))
    blocks = found.blocks(start, stop)
    offset, length = found.place(blocks)
    part = found.decoded(blocks, stored[offset : offset + length])
    first = blocks.start * found.block
    assert first <= start
    assert bytes(part) == whole[first : first + len(part)]
    assert first + len(part) >= stop


def test_blocks_in_any_order_are_found() -> None:
    """Threads write their blocks as they finish them."""
    whole = voxels(50_000, "<f4", "steps")
    stored = Blosc("zstd", 5, 1, 4096).encode(whole)
    found = BloscBlocks.of(stored, whole.nbytes)
    assert found is not None
    order = np.random.default_rng(0).permutation(len(found.starts))
    moved, starts = b"", np.zeros(len(order), "<i4")
    first = 16 + 4 * len(order)
    for number in order:
        starts[number] = first + len(moved)
        moved += stored[found.starts[number] : found.ends[number]]
    mixed = stored[:16] + starts.tobytes() + moved
    assert blosc.decompress(mixed) == whole.tobytes()
    again = BloscBlocks.of(mixed, whole.nbytes)
    assert again is not None
    for number in range(len(order)):
        blocks = again.blocks(4096 * number, min(4096 * (number + 1), whole.nbytes))
        offset, length = again.place(blocks)
        part = bytes(again.decoded(blocks, mixed[offset : offset + length])) if len(blocks) == 1 else b""
        assert part == whole.tobytes()[4096 * number : 4096 * (number + 1)] or len(blocks) == 2


@given(st.data())
def test_fuzz_damaged_buffers_are_errors_and_nothing_else(data: st.DataObject) -> None:
    whole = voxels(20_000, "<f4", "steps")
    stored = bytearray(Blosc("lz4", 5, 2, 4096).encode(whole))
    for _ in range(data.draw(st.integers(1, 4))):
        stored[data.draw(st.integers(0, min(len(stored), 200) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(stored[: data.draw(st.integers(0, len(stored)))])
    try:
        found = BloscBlocks.of(cut[:HEAD], whole.nbytes)
        if found is not None:
            blocks = found.blocks(30_000, 40_000)
            offset, length = found.place(blocks)
            assert len(found.decoded(blocks, cut[offset : offset + length])) <= whole.nbytes
    except ValueError:
        pass


class Reads(FaultyStore):
    """Counts the bytes that were read."""

    amount = 0

    def get_range(self, key: str, start: int, length: int) -> bytes:
        found = super().get_range(key, start, length)
        self.amount += len(found)
        return found


def array(
    store: Store, shape: tuple[int, ...], chunks: tuple[int, ...], compressor: Any, order: str = "C"
) -> ZarrArray:
    document = {
        "zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": "<f4", "order": order, "fill_value": 0,
        "filters": None, "compressor": compressor.get_config() if compressor else None, "dimension_separator": "/",
    }  # fmt: skip
    values = np.random.default_rng(0).normal(size=shape).astype("<f4")
    for index in itertools.product(*(range(-(-size // chunk)) for size, chunk in zip(shape, chunks, strict=True))):
        part = values[tuple(slice(n * c, (n + 1) * c) for n, c in zip(index, chunks, strict=True))]
        padded = np.zeros(chunks, "<f4", order=order)  # type: ignore[call-overload]
        padded[tuple(slice(0, size) for size in part.shape)] = part
        data = padded.tobytes("A")
        store.put("/".join(("a", *map(str, index))), compressor.encode(data) if compressor else data)
    return ZarrArray(store, "a", json.loads(json.dumps(document)), "a")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("compressor", [Blosc("lz4", 5, 2), Blosc("zstd", 1, 0), None])
def test_slices_are_the_same_read_in_parts_or_whole(
    compressor: Any, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = array(open_store("memory://"), (70, 90, 130), (64, 64, 128), compressor, order)
    boxes = [
        [slice(0, 1), slice(0, 90), slice(0, 130)], [slice(63, 66), slice(3, 80), slice(100, 130)],
        [slice(69, 70), slice(89, 90), slice(129, 130)], [slice(10, 60), slice(0, 10), slice(0, 10)],
    ]  # fmt: skip
    parts = [found.read(box) for box in boxes]
    monkeypatch.setattr(decoding, "_LARGE", 10**12)
    for box, part in zip(boxes, parts, strict=True):
        assert np.array_equal(part, found.read(box))


@pytest.mark.parametrize("shuffle", [0, 2])  # noise that is only copied, and compressed
def test_c67_a_slice_reads_only_the_blocks_that_hold_it(shuffle: int) -> None:
    store = Reads(open_store("memory://"))
    found = array(store, (128, 128, 128), (128, 128, 128), Blosc("zstd" if shuffle else "lz4", 1, shuffle))
    whole = found.read([slice(0, 128)] * 3)
    everything, store.amount = store.amount, 0
    assert np.array_equal(found.read([slice(90, 91), slice(0, 128), slice(0, 128)])[0], whole[90])
    assert store.amount < everything / 5


def test_a_damaged_block_is_an_error_with_its_key() -> None:
    store = open_store("memory://")
    found = array(store, (64, 128, 128), (64, 128, 128), Blosc("zstd", 1, 2))
    good = store.get("a/0/0/0")
    box = [slice(63, 64), slice(0, 128), slice(0, 128)]
    for bad in (good[:-100], good[:10], good[:16] + b"\xff" * 200 + good[216:], b""):
        store.put("a/0/0/0", bad)
        with pytest.raises(FormatError, match="a/0/0/0"):
            found.read(box)
