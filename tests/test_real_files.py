"""Every real file of the manifest goes through its reader, or a sentence says why there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

from tomoportal.archive.verification.frames import read_stack
from tomoportal.copick.config import load_config as load_project
from tomoportal.copick.opening import open_project
from tomoportal.errors import FormatError, TomoportalError
from tomoportal.formats.aretomo import read_aretomo
from tomoportal.formats.captions import read_captions
from tomoportal.formats.ctf import read_ctf
from tomoportal.formats.dynamo import dynamo_tomograms
from tomoportal.formats.gains import convert_gain
from tomoportal.formats.imod import read_tilt_com, read_xf
from tomoportal.formats.mdoc import read_mdoc
from tomoportal.formats.meshes import read_mesh
from tomoportal.formats.ndjson import read_points
from tomoportal.formats.opening import open_volume
from tomoportal.formats.point_formats import PointRequest, read_point_file
from tomoportal.formats.star import read_star
from tomoportal.formats.tilt_angles import read_tilt_angles
from tomoportal.ingest.steps.identified_objects import read_objects
from tomoportal.model import check_document
from tomoportal.storage import open_store

pytestmark = pytest.mark.real_data
SHARED_MANIFEST = "MANIFEST.json"

Reader = Callable[[Path], int]
"""Reads the whole of a file; answers how much it found."""


@dataclass(frozen=True)
class Refused:
    """A reader that must refuse the file, with these words."""

    reader: Reader
    words: str


def _points(file_format: str, shape: str = "Point", **more: object) -> Reader:
    def read(path: Path) -> int:
        request = PointRequest(shape=shape, voxel_spacing=10.0, volume_shape=(200, 400, 400), **more)  # type: ignore[arg-type]
        known = file_format.endswith("_star")
        data = path.read_bytes()
        return len(read_point_file(file_format, read_star(data, path.name) if known else data, path.name, request))

    return read


def _volume(path: Path) -> int:
    """Every voxel, slab by slab."""
    with closing(open_volume(open_store(path.parent, read_only=True), path.name)) as volume:
        seen = 0
        for z in range(0, volume.shape[0], 64):
            slab = volume.read(z, min(z + 64, volume.shape[0]))
            assert np.isfinite(slab[:1].astype(float)).all()
            seen += slab.size
    return seen


def _header(path: Path) -> int:
    """Metadata only: there are no chunks here, and the image is larger than any memory."""
    with closing(open_volume(open_store(path.parent, read_only=True), path.name)) as volume:
        return int(np.prod(volume.shape))


def _stack(path: Path) -> int:
    stack = read_stack(open_store(path.parent, read_only=True), path.name)
    return 0 if stack is None else stack.images


def _gain(path: Path) -> int:
    target = open_store("memory://")
    convert_gain(open_store(path.parent, read_only=True), path.name, target, "gain.mrc", timestamp=0)
    return target.stat("gain.mrc").size


def _document(kind: str) -> Reader:
    def read(path: Path) -> int:
        document = json.loads(path.read_bytes())
        checked = check_document(kind, document)
        # Documents of other programs may lack what ours must have; what is wrong is said with its place.
        assert all(problem.where for problem in (*checked.errors, *checked.warnings))
        return len(document)

    return read


def _project(path: Path) -> int:
    return len(load_project(path.read_text(), path.name).pickable_objects)


def _copick_project(path: Path) -> int:
    config = json.loads((path / "config.json").read_text())
    config["overlay_root"] = f"local://{path / 'overlay'}"
    root = open_project(load_project(json.dumps(config)))
    found = 0
    for run in root.runs:
        points = [len(picks.points or ()) for picks in run.picks]
        voxels = [segmentation.numpy().size for segmentation in run.segmentations]
        assert all(points)
        assert all(voxels)
        found += len(points) + len(voxels) + len(run.meshes)
    return found


def _captions(path: Path) -> int:
    return len(read_captions(path.read_bytes(), path.name, kind="captions"))


def _star(path: Path) -> int:
    return len(read_star(path.read_bytes(), path.name).tables)


def _by_mesh(path: Path) -> int:
    segment = "special_name" if path.suffix == ".hff" else None
    return len(read_mesh(path.read_bytes(), path.name, file_format=path.suffix[1:], segment=segment).faces)


def _objects(path: Path) -> int:
    return sum(map(len, read_objects(path.read_bytes(), path.name).values()))


def _mdoc(path: Path) -> int:
    return len(read_mdoc(path.read_bytes(), path.name).sections)


def _angles(path: Path) -> int:
    return len(read_tilt_angles(path.read_bytes(), path.name))


def _ctf(program: str) -> Reader:
    return lambda path: len(read_ctf(path.read_bytes(), path.name, format=program).sections)


NO_READER = {
    "annotations/amira/*": "Amira files are not read: TARDIS writes the same filaments as CSV, which is.",
    "annotations/txt/shrec19_*": "A list of one contest (class, position, angles), which no program writes.",
    "cz_metadata/api/*": "An answer of the public API, not a file of an archive; the catalog's tests compare with it.",
    "cz_metadata/seed_db_data.sql": "Rows of the public database, not a file of an archive.",
    "precomputed/*": "Volumes in Neuroglancer's own format are not read: they are made from volumes that are.",
    "tilt/aretomo/TiltSeries_Metrics.csv": "Quality metrics of AreTomo3, for which documents have no field.",
    "tilt/imod/*/newst.com": "Says how the aligned stack was made; the alignment is in .xf, .tlt and tilt.com.",
    "tilt/imod/taSolution.log": "A log for people; what it says is in .xf, .tlt and tilt.com.",
    "tilt/imod/*/*.edf": "Settings of the program Etomo; the alignment is in .xf, .tlt and tilt.com.",
    "tilt/warp/TS_017.xml": "Warp's processing parameters; the alignment is exported from Warp in IMOD's form.",
}
"""Pattern → why nothing reads such files."""

READERS: dict[str, Reader | Refused] = {
    "annotations/copick/*.json": _points("copick", "OrientedPoint"),
    "annotations/cryolo/2d_center.box": Refused(_points("box"), "without z"),
    "annotations/cryolo/*.coords": _points("coords"),
    "annotations/cryolo/filament_2d.cbox": Refused(_points("cbox"), "no z"),
    "annotations/cryolo/*.cbox": _points("cbox"),
    "annotations/csv/*tardis*.csv": _points("tardis", "InstanceSegmentation"),
    "annotations/csv/identified_objects.csv": _objects,
    "annotations/csv/membrane_contours.csv": Refused(_points("tardis", "InstanceSegmentation"), "no z"),
    "annotations/csv/points.csv": _points("csv"),
    "annotations/csv/points_with_header.csv": _points("csv_with_header"),
    "annotations/dynamo/*.tbl": _points("dynamo"),
    "annotations/dynamo/*.doc": lambda path: len(dynamo_tomograms(path.read_bytes(), path.name)),
    "annotations/em/motl_*.em": _points("motivelist"),
    "annotations/em/*.em": _volume,
    "annotations/eman2/*.json": _points("eman2"),
    "annotations/imod/*.mod": _points("mod"),
    "annotations/ndjson/*.ndjson": lambda path: len(read_points(path.read_bytes(), path.name)),
    "annotations/star/cz_relion_3_star.star": _points("relion3_star"),
    "annotations/star/relion_3.*": _points("relion3_star"),
    "annotations/star/cz_relion_4_star.star": _points("relion4_star"),
    "annotations/star/relion_4.0.star": _points("relion4_star"),
    "annotations/star/relion5_*": _star,
    "annotations/star/syntax/*": _star,
    "annotations/star/warp2_*": _points("warp_star"),
    "annotations/stopgap/wedge_list.star": _star,
    "annotations/stopgap/*.star": _points("stopgap_star", filter_value="24"),
    "annotations/tomotwin/*.tloc": Refused(_points("tloc"), "pickle"),
    "annotations/xml/deepfinder_*": _points("deepfinder"),
    "annotations/xml/pytom_*": _points("pytom"),
    "copick_config/*.json": _project,
    "copick_project/mt/": _copick_project,
    "cz_metadata/*/alignment_metadata.json": _document("alignment"),
    "cz_metadata/*/frames_metadata.json": _document("frames"),
    "cz_metadata/*/*_globalcaption.json": _captions,
    "cz_metadata/caption/*.json": _captions,
    "cz_metadata/*/Annotations/*/*.json": _document("annotation"),
    "cz_metadata/*/tomogram_metadata.json": _document("tomogram"),
    "cz_metadata/*/tiltseries_metadata.json": _document("tiltseries"),
    "cz_metadata/*/run_metadata.json": _document("run"),
    "cz_metadata/*/dataset_metadata.json": _document("dataset"),
    "cz_metadata/*/deposition_metadata.json": _document("deposition"),
    "cz_metadata/*-neuroglancer_config.json": lambda path: len(json.loads(path.read_bytes())),
    "frames/*": _stack,
    "gains/*.mrc": _stack,
    "gains/*.gain": _stack,
    "gains/*.dm?": _gain,
    "mesh/*": _by_mesh,
    "mrc/map/*.bz2": Refused(_volume, "compressed"),
    "mrc/map/*.gz": Refused(_volume, "compressed"),
    "mrc/oddities/derived_truncated_60pct.mrc": Refused(_volume, "header promises"),
    "mrc/oddities/derived_wrong_nz_120.mrc": Refused(_volume, "header promises"),
    "mrc/oddities/header_only_no_data.mrc": Refused(_volume, "header promises"),
    "mrc/*": _volume,
    "tilt/aretomo/*.aln": lambda path: len(read_aretomo(path.read_bytes(), path.name).rows),
    "tilt/aretomo/test_CTF.txt": _ctf("CTFFIND"),
    "tilt/ctf/*_gctf.star": _ctf("Gctf"),
    "tilt/imod/*tilt.com": lambda path: len(read_tilt_com(path.read_bytes(), path.name).entries),
    "tilt/imod/*.defocus": _ctf("IMOD"),
    "tilt/imod/*.xf": lambda path: len(read_xf(path.read_bytes(), path.name)),
    "tilt/imod/*tlt": _angles,
    "tilt/imod/*.xtilt": _angles,
    "tilt/mdoc/*.mdoc": _mdoc,
    "tilt/relion5/*.star": _star,
    "tomogram_tiff/*.tif": _volume,
    "zarr/idr_10501752_v0.4_metadata.zarr/": Refused(_header, "50 channels"),
    "zarr/*_metadata.zarr/": _header,
    "zarr/*": _volume,
}
"""Pattern → reader; the first that fits is taken."""


def _of(path: str, table: dict[str, object]) -> object:
    return next((value for pattern, value in table.items() if fnmatch(path, pattern)), None)


def test_every_real_file_is_read_refused_or_has_a_reason(real_data: Path) -> None:
    listed = [entry["path"] for entry in json.loads((real_data / SHARED_MANIFEST).read_text())]
    assert len(listed) > 150
    told: list[str] = []
    for name in listed:
        if _of(name, dict(NO_READER)) is not None:
            continue
        reader = _of(name, dict(READERS))
        if reader is None:
            told.append(f"{name}: no reader and no reason")
            continue
        path = real_data / name.rstrip("/")
        try:
            if isinstance(reader, Refused):
                with pytest.raises(TomoportalError) as caught:
                    reader.reader(path)
                if reader.words not in str(caught.value):
                    told.append(f"{name}: refused with other words: {caught.value}")
            else:
                assert callable(reader)
                if not reader(path):
                    told.append(f"{name}: its reader found nothing")
        except (FormatError, pytest.fail.Exception, AssertionError, OSError) as error:
            told.append(f"{name}: {error}")
    assert not told, "\n".join(told)


def test_every_row_of_these_tables_is_about_a_file(real_data: Path) -> None:
    listed = [entry["path"] for entry in json.loads((real_data / SHARED_MANIFEST).read_text())]
    for pattern in (*READERS, *NO_READER):
        assert any(fnmatch(name, pattern) for name in listed), pattern
