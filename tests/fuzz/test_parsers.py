"""Parsers of small files against damaged input: an answer or an error of ours, soon, whatever the bytes.

`.ci/fuzz` runs these and the fuzz tests of other rooms (`-k` with the words of ``NAMES``) again and again for a minute,
with another seed each time. The last test holds the list complete: a new parser needs a target.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tomoportal
from tomoportal.archive import documents
from tomoportal.archive.references import viewer_sources
from tomoportal.archive.verification.acquisition import parse_angles, parse_mdoc
from tomoportal.archive.verification.alignments import parse_alignment_file
from tomoportal.archive.verification.pictures import picture_size
from tomoportal.copick.pick_input import read_picks
from tomoportal.copick.portal.points import read_any_portal_points, read_portal_points
from tomoportal.errors import TomoportalError
from tomoportal.formats.captions import read_captions
from tomoportal.formats.copick_csv import copick_csv_poses
from tomoportal.formats.keyphotos import cut_key_photos, open_picture
from tomoportal.formats.mdoc import read_mdoc
from tomoportal.formats.meshes.hff import hff_mesh
from tomoportal.formats.omezarr.description import load_document
from tomoportal.formats.tilt_angles import read_tilt_angles
from tomoportal.formats.xml_attributes import read_elements
from tomoportal.ingest.config import parse_config
from tomoportal.ingest.lines import load_yaml
from tomoportal.ingest.lookups import read_exclusions
from tomoportal.ingest.maps import read_run_map
from tomoportal.ingest.steps.identified_objects import read_objects
from tomoportal.testing.sources import sample_config

ROOT = Path(__file__).parents[2]
SOURCE = Path(tomoportal.__file__).parent
NAMES = "fuzz or any_bytes or damaged or corrupted or anything_else or whatever_the_config"

CONFIG = yaml.safe_dump(sample_config(), sort_keys=False).encode()
MDOC = (
    b"PixelSpacing = 1.5\nVoltage = 300\n\n[ZValue = 0]\nTiltAngle = -3.0\n"
    b"SubFramePath = X:\\a\\b.tif\nDateTime = 06-Jun-23  12:00:00\n"
)
CAPTIONS = b'{"captions": [{"id": 0, "text": "a cell"}], "objects": [{"id": 0, "annotation_label": 1, "text": "x"}]}'
PICKS = (
    b'{"pickable_object_name": "ribosome", "user_id": "u", "session_id": "1", "run_name": "TS_1", "unit": "angstrom",'
    b' "points": [{"location": {"x": 1.0, "y": 2.0, "z": 3.0}, "transformation_": null, "instance_id": 0}]}'
)
XML = b'<?xml version="1.0"?><objlist><object x="1" y="2" z="3" class_label="1"/></objlist>'


def _png() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (40, 30), 100).save(stream, "PNG")
    return stream.getvalue()


def _hff() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        group = file.create_group("segment_list/0")
        group["biological_annotation/name"] = "a"
        group["mesh_list/0/vertices/data"] = np.eye(3)
        group["mesh_list/0/triangles/data"] = np.array([[0, 1, 2]])
    return stream.getvalue()


def _maps(data: bytes, name: str) -> object:
    settings = {"run_data_map_file": name, "run_to_tomo_map_csv": name}
    return read_run_map(settings, lambda key: data, lambda key: key)


def _xml(data: bytes, name: str) -> object:
    found: list[str] = []
    read_elements(data, name, root="objlist", start=lambda tag, values: found.append(tag))
    return found


def _sources(data: bytes, name: str) -> object:
    with contextlib.suppress(ValueError):  # said to be raised for what is not JSON
        return viewer_sources(data)
    return None


TARGETS: dict[str, tuple[Callable[[bytes, str], object], tuple[bytes, ...]]] = {
    "archive/documents.load": (documents.load, (b'{"a": [1, 2.5, "x"]}',)),
    "archive/references.viewer_sources": (
        _sources,
        (b'{"layers": [{"source": "zarr://archive://10000/a"}]}',),
    ),
    "archive/verification/acquisition.parse_angles": (lambda data, name: parse_angles(data, name, []), (b"-60\n0\n",)),
    "archive/verification/acquisition.parse_mdoc": (lambda data, name: parse_mdoc(data, name, []), (MDOC,)),
    "archive/verification/alignments.parse_alignment_file": (
        lambda data, name: [parse_alignment_file(data, f"{name}{end}", []) for end in (".xf", ".tlt", ".aln", ".com")],
        (b"1 0 0 1 0.5 -0.5\n", b"-60.0\n"),
    ),
    "archive/verification/pictures.picture_size": (
        lambda data, name: picture_size(data),
        (_png(), b"GIF89a\1\0\1\0", b"\xff\xd8\xff\xe0\0\4\0\0\xff\xc0\0\x0b\x08\0\1\0\1"),
    ),
    "formats/captions.read_captions": (
        lambda data, name: (read_captions(data, name, kind="captions"), read_captions(data, name, kind="objects")),
        (CAPTIONS,),
    ),
    "copick/pick_input.read_picks": (read_picks, (PICKS,)),
    "copick/portal/points.read_any_portal_points": (
        lambda data, name: read_any_portal_points(data, 10.0, name),
        (b'{"location": {"x": 1.5, "y": 2, "z": 3}, "xyz_rotation_matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}\n',),
    ),
    "copick/portal/points.read_portal_points": (
        lambda data, name: [read_portal_points(data, 10.0, name, oriented=oriented) for oriented in (False, True)],
        (
            b'{"type": "orientedPoint", "location": {"x": 1.5, "y": 2, "z": 3},'
            b' "xyz_rotation_matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}\n',
        ),
    ),
    "formats/copick_csv.copick_csv_poses": (copick_csv_poses, (b"run_name,x,y,z\nTS_1,1.0,2.0,3.5\n",)),
    "formats/keyphotos.open_picture": (open_picture, (_png(),)),
    "formats/keyphotos.cut_key_photos": (cut_key_photos, (_png(),)),
    "formats/meshes/hff.hff_mesh": (hff_mesh, (_hff(),)),
    "formats/mdoc.read_mdoc": (read_mdoc, (MDOC,)),
    "formats/omezarr/description.load_document": (load_document, (b'{"zarr_format": 2, "multiscales": [{}]}',)),
    "formats/tilt_angles.read_tilt_angles": (read_tilt_angles, (b"-60.0\n-57.0 # second\n",)),
    "formats/xml_attributes.read_elements": (_xml, (XML,)),
    "ingest/config.parse_config": (parse_config, (CONFIG, CONFIG.replace(b"1.3.0", b"1.0.0"))),
    "ingest/lines.load_yaml": (load_yaml, (CONFIG, b"a: &x [1, *y]\nb: {<<: *x}\n")),
    "ingest/lookups/rules.read_exclusions": (read_exclusions, (b'{"Assay": {"id": ["EFO:1"]}}',)),
    "ingest/steps/identified_objects.read_objects": (
        read_objects,
        (b"run_name,object_id,object_name,object_state\nTS_1,GO:0005739,mitochondrion,\n,,,\n",),
    ),
    "ingest/maps.read_run_map": (_maps, (b"run_name,a,b\nTS_1,1,2\n", b"TS_1,x\n")),
}
"""Parser → how it is called, and files that are right."""

ELSEWHERE = {
    "formats/test_point_formats.py": (
        "aretomo copick_picks cryolo ctf ctffind deepfinder_xml dynamo eman2 gctf imod_defocus imod_model motivelist"
        " points_csv pytom_xml rows star tardis tomotwin xml_attributes"
    ),
    "formats/test_imod.py": "imod",
    "formats/test_meshes.py": "meshes/__init__ meshes/glb meshes/obj meshes/ply meshes/stl meshes/vtk",
    "formats/test_ndjson.py": "ndjson",
    "formats/test_mrc.py": "mrc",
    "formats/test_em.py": "em",
    "formats/test_gains.py": "digital_micrograph",
    "formats/test_tiff.py": "tiff/pages",
    "formats/test_omezarr_reader.py": "omezarr/crc32c omezarr/description",
    "ingest/test_migrations.py": "ingest/upgrade",
}
"""Test file with a fuzz test → modules (of ``formats/`` where no room is named) whose parsers it calls."""

EXTREMES = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"1e999", b"nan", b"-1", b"9" * 400, b"\0", b"=")
WORDS = (
    *EXTREMES,
    b"null",
    b"{}",
    b"[]",
    b"{",
    b"[",
    b'"',
    b"*a",
    b"&a ",
    b"<<: ",
    b"\n",
    b"\t",
    b",",
    b"<a>",
    b"&b;",
    b"[" * 3000,
    b'{"a":' * 3000,
)


@st.composite
def _broken(draw: st.DrawFn, samples: tuple[bytes, ...]) -> bytes:
    """A file with pieces overwritten, cut, doubled or replaced by what hurts; or no such file at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=1000))
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 16)))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            data[start:end] = draw(st.binary(max_size=8))
        elif kind == 1:
            del data[start:end]
        elif kind == 2:
            data[start:start] = data[start:end]
        else:
            data[start:end] = draw(st.sampled_from(WORDS))
    return bytes(data)


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
def test_fuzz_parsers(target: str, data: st.DataObject) -> None:
    parse, samples = TARGETS[target]
    blob = data.draw(_broken(samples))
    begin = time.process_time()
    try:
        parse(blob, "file")
    except TomoportalError as error:
        said = str(error)
    else:
        said = "nothing"
    assert said
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("target", TARGETS)
def test_the_first_sample_is_right(target: str) -> None:
    parse, samples = TARGETS[target]
    parse(samples[0], "file")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "opening", [b"[", b'{"a":', b"a: {b: [", b"- ", b"<a>"], ids=["list", "map", "yaml", "items", "xml"]
)
def test_fuzz_nesting_without_end(target: str, opening: bytes) -> None:
    for depth in (900, 5000, 100_000):
        with contextlib.suppress(TomoportalError):
            TARGETS[target][0](opening * depth, "file")


def _parsers() -> set[str]:
    """Every public function of these rooms whose first argument is the bytes of a file."""
    found = set()
    for room in ("formats", "ingest", "archive", "copick"):
        for path in sorted((SOURCE / room).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if (
                    not isinstance(node, ast.FunctionDef)
                    or node.name.startswith(("_", "is_", "has_", "digest"))
                    or not node.args.args
                ):
                    continue
                annotation = node.args.args[0].annotation
                if annotation is not None and ast.unparse(annotation).startswith("bytes"):
                    found.add(f"{path.relative_to(SOURCE).with_suffix('')}.{node.name}")
    return found


def test_every_parser_has_a_fuzz_target() -> None:
    elsewhere = {
        module if module.startswith("ingest/") else f"formats/{module}"
        for modules in ELSEWHERE.values()
        for module in modules.split()
    }
    missing = sorted(name for name in _parsers() - set(TARGETS) if name.rpartition(".")[0] not in elsewhere)
    assert not missing, f"add these to TARGETS, or name their fuzz test in ELSEWHERE: {missing}"


@pytest.mark.parametrize("path", ELSEWHERE)
def test_the_tests_that_are_named_are_there_and_run_by_ci(path: str) -> None:
    text = (ROOT / "tests" / path).read_text()
    words = NAMES.split(" or ")
    tests = re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    assert any(word in test for test in tests for word in words), f"{path} has no fuzz test by one of these names"
    script = (ROOT / ".ci" / "fuzz").read_text()
    assert NAMES in script
    assert f"tests/{path.partition('/')[0]}" in script
