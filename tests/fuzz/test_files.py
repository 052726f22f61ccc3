"""Readers that open a file of a store, against damaged files: an answer or an error of ours, with bounded memory.

The last tests hold the list complete: every registered format and every function that opens a file has a target here or
a fuzz test elsewhere.
"""

from __future__ import annotations

import ast
import io
import struct
import sys
import time
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

import test_parsers as parsers

from tomoportal.archive.verification.annotation_files import mesh_bounds
from tomoportal.archive.verification.frames import read_stack
from tomoportal.errors import TomoportalError
from tomoportal.formats.digital_micrograph import open_dm
from tomoportal.formats.em import open_em
from tomoportal.formats.gains import convert_gain
from tomoportal.formats.meshes import MESH_FORMATS, Mesh, write_glb
from tomoportal.formats.mrc import MrcHeader, open_mrc
from tomoportal.formats.opening import VolumeFormat, open_volume, volume_format
from tomoportal.formats.point_formats import POINT_FORMATS
from tomoportal.formats.tiff import open_tiff, open_tiff_channels
from tomoportal.formats.tiff.pages import read_pages
from tomoportal.formats.volumes import Volume
from tomoportal.storage import Store, open_store

KEY = "file"
MOST_MEMORY = 64e6  # bytes that Python and NumPy may take for a file of a few KB


def _mrc() -> bytes:
    voxels = np.arange(4 * 5 * 6, dtype=np.int16)
    return MrcHeader(nx=6, ny=5, nz=4, mode=1, mx=6, my=5, mz=4, cella=(60.0, 50.0, 40.0), ispg=1).pack() + bytes(
        voxels
    )


def _em() -> bytes:
    return struct.pack("<4B3i", 6, 0, 0, 5, 6, 5, 4) + bytes(496) + np.arange(120, dtype=np.float32).tobytes()


def _tiff() -> bytes:
    stream = io.BytesIO()
    pages = [Image.fromarray(np.full((5, 6), number, np.uint8)) for number in range(3)]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    return stream.getvalue()


def _two_channels() -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.arange(180, dtype=np.uint8).reshape(2, 3, 5, 6), photometric="minisblack")
    return stream.getvalue()


def _dm() -> bytes:
    """The smallest file of DigitalMicrograph 3: a list of one image of 2 × 2 floats."""

    def entry(name: bytes, content: bytes, kind: int = 20) -> bytes:
        return struct.pack(">BH", kind, len(name)) + name + content

    def group(*entries: bytes) -> bytes:
        return struct.pack(">BBI", 1, 0, len(entries)) + b"".join(entries)

    def number(name: bytes, value: int) -> bytes:
        return entry(name, b"%%%%" + struct.pack(">2I", 1, 5) + struct.pack("<I", value), 21)

    pixels = b"%%%%" + struct.pack(">4I", 3, 20, 6, 4) + struct.pack("<4f", 1, 2, 3, 4)
    sizes = entry(b"Dimensions", group(number(b"", 2), number(b"", 2)))
    data = entry(b"ImageData", group(entry(b"Data", pixels, 21), number(b"DataType", 2), sizes))
    body = group(entry(b"ImageList", group(entry(b"", group(data)))))
    return struct.pack(">3I", 3, len(body), 1) + body + bytes(8)


def _glb() -> bytes:
    return write_glb(Mesh(np.eye(3), np.array([[0, 1, 2]])), unit="voxel")


def _whole(volume: Volume) -> int:
    with closing(volume):
        # A volume may be larger than memory; what it says is in it must be there, piece by piece.
        return sum(volume.read(z, z + 1).size for z in range(min(volume.shape[0], 50)))


def _gain(store: Store) -> object:
    return convert_gain(store, KEY, open_store("memory://"), "gain.mrc", timestamp=0)


TARGETS: dict[str, tuple[Callable[[Store], object], tuple[bytes, ...]]] = {
    "formats/mrc.open_mrc": (lambda store: _whole(open_mrc(store, KEY)), (_mrc(),)),
    "formats/em.open_em": (lambda store: _whole(open_em(store, KEY)), (_em(),)),
    "formats/tiff/__init__.open_tiff": (lambda store: _whole(open_tiff(store, KEY)), (_tiff(),)),
    "formats/tiff/__init__.open_tiff_channels": (
        lambda store: [_whole(channel) for channel in open_tiff_channels(store, KEY)],
        (_tiff(), _two_channels()),
    ),
    "formats/tiff/pages.read_pages": (lambda store: read_pages(store, KEY), (_tiff(),)),
    "formats/digital_micrograph.open_dm": (lambda store: _whole(open_dm(store, KEY)), (_dm(),)),
    "formats/gains.convert_gain": (_gain, (_dm(),)),
    "formats/opening.open_volume": (lambda store: _whole(open_volume(store, KEY)), (_mrc(), _em(), _tiff())),
    "formats/opening.volume_format": (lambda store: volume_format(store, KEY), (_mrc(), _em(), _tiff())),
    "archive/verification/frames.read_stack": (lambda store: read_stack(store, KEY), (_mrc(), _tiff())),
    "archive/verification/annotation_files.mesh_bounds": (
        lambda store: mesh_bounds(store, KEY, store.stat(KEY).size),
        (_glb(),),
    ),
}
"""Reader → how it is called, and files that are right."""

ELSEWHERE = {
    "formats/omezarr": "formats/test_omezarr_reader.py",
    "archive/verification/images": "formats/test_omezarr_reader.py",
    "formats/meshes/labels": "formats/test_omezarr_reader.py",  # reads through that reader only
}
"""Folder or module whose readers are tested with damaged files by that test file."""


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
@settings(max_examples=60)
def test_fuzz_files(target: str, data: st.DataObject) -> None:
    read, samples = TARGETS[target]
    store = open_store("memory://")
    store.put(KEY, data.draw(parsers._broken(samples)))
    begin = time.process_time()
    tracemalloc.start()
    try:
        read(store)
    except TomoportalError as error:
        said = str(error)
    else:
        said = "nothing"
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert said
    assert time.process_time() - begin < 5
    assert peak < MOST_MEMORY


@pytest.mark.parametrize("target", TARGETS)
def test_the_samples_are_right(target: str) -> None:
    read, samples = TARGETS[target]
    for sample in samples:
        store = open_store("memory://")
        store.put(KEY, sample)
        assert read(store) is not None or target.endswith("read_stack")  # a name without an ending says nothing


def _openers() -> set[str]:
    """Every public function of these rooms that reads a file of a store: ``(store, key, …)``."""
    found = set()
    for folder in ("formats", "archive/verification"):
        for path in sorted((parsers.SOURCE / folder).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if not isinstance(node, ast.FunctionDef) or node.name.startswith(("_", "write_", "is_", "picture_")):
                    continue
                arguments = node.args.args[:2]
                kinds = [ast.unparse(one.annotation) for one in arguments if one.annotation]
                if len(arguments) == 2 and "Store" in kinds[0] and arguments[1].arg == "key":
                    found.add(f"{path.relative_to(parsers.SOURCE).with_suffix('')}.{node.name}")
    return found


def test_every_reader_of_files_has_a_fuzz_target() -> None:
    missing = [name for name in _openers() - set(TARGETS) if not name.startswith(tuple(ELSEWHERE))]
    assert not missing, f"add these to TARGETS, or name their fuzz test in ELSEWHERE: {sorted(missing)}"
    assert set(TARGETS) <= _openers(), "a target is gone"


def test_every_registered_format_is_among_the_damaged_files() -> None:
    """Volumes by `VolumeFormat`, points by `POINT_FORMATS`, meshes by `MESH_FORMATS`."""
    opened = {"mrc": "open_mrc", "em": "open_em", "tiff": "open_tiff", "omezarr": "any_metadata_give"}
    assert set(get_args(VolumeFormat)) == set(opened)
    folder = parsers.ROOT / "tests/formats"
    points = ast.parse((folder / "test_point_formats.py").read_text())
    readable = next(
        ast.unparse(node.value)
        for node in points.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "READABLE"
    )
    assert "POINT_FORMATS" in readable, "the fuzz test of points takes its formats from the registry"
    assert len(POINT_FORMATS) > 20
    meshes = (folder / "test_meshes.py").read_text().partition("\nSAMPLES")[2].partition("\n}")[0]
    fuzzed = {name for name in MESH_FORMATS if f'.{name}"' in meshes}
    assert fuzzed | {"hff"} == set(MESH_FORMATS)
    assert "formats/meshes/hff.hff_mesh" in parsers.TARGETS
