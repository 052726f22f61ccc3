"""What lies in a folder: the role of every file, from its header, its first lines and its name."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tomoportal.errors import FormatError, StorageError
from tomoportal.formats.imod import read_tilt_com, read_xf
from tomoportal.formats.mdoc import Mdoc, read_mdoc
from tomoportal.formats.mrc import MrcVolume, open_mrc
from tomoportal.formats.star import StarTable, read_star
from tomoportal.formats.tilt_angles import read_tilt_angles
from tomoportal.ingest.trees import is_local, join
from tomoportal.storage import Stat, Store, open_store

__all__ = ["Role", "Survey", "SurveyedFile", "survey_folder"]

Role = Literal[
    "tomogram",
    "tilt series",
    "mask",
    "mdoc",
    "raw tilts",
    "alignment",
    "frames",
    "gain",
    "points",
    "particles",
    "left out",
]

_VOLUMES = (".mrc", ".rec", ".st", ".ali", ".preali", ".mrcs", ".map")
_STACKS = (".st", ".ali", ".preali", ".mrcs")
_MOVIES = (".tif", ".tiff", ".eer", ".mrc.bz2")
_TABLES = (".csv", ".tsv")
_ALIGNMENT = (".xf", ".tlt", ".xtilt", ".tltx", ".com")
_MASK_NAME = re.compile(r"mask|label|segm|(?:^|[_-])seg(?:[_.-]|$)", re.IGNORECASE)
_GAIN_NAME = re.compile(r"gain|countref|superref", re.IGNORECASE)
_ALIGNED_NAME = re.compile(r"\.(ali|preali)$|_ali(gned)?[._]", re.IGNORECASE)
_MOST_LABELS = 256
_SAMPLED_BYTES = 32 * 1024 * 1024
_LARGEST_TEXT = 256 * 1024 * 1024


@dataclass
class SurveyedFile:
    """One file: its role, why it is left out if it is, and what was read from it."""

    key: str
    role: Role
    why: str = ""
    shape: tuple[int, int, int] | None = None
    """(z, y, x) of volumes."""
    spacing: float | None = None
    """Å per voxel or pixel, None where the header does not say."""
    software: str | None = None
    values: tuple[int, ...] = ()
    """Labels of a mask other than 0."""
    mdoc: Mdoc | None = None
    star: StarTable | None = None
    star_format: str | None = None
    oriented: bool = False
    csv_format: str | None = None
    locations: np.ndarray[Any, np.dtype[np.float64]] | None = None
    """Coordinates (n, 3) x, y, z as they stand in a table."""
    aligned: bool = False
    sections: int | None = None

    @property
    def name(self) -> str:
        """Name without the folder."""
        return self.key.rpartition("/")[2]


@dataclass
class Survey:
    """All files of a folder, in the order of their keys."""

    store: Store
    files: list[SurveyedFile] = field(default_factory=list)

    def of(self, role: Role) -> list[SurveyedFile]:
        """The files of a role."""
        return [file for file in self.files if file.role == role]


def survey_folder(folder: str | os.PathLike[str] | Store, *, ignore: Collection[str] = ()) -> Survey:
    """Look at every file below a folder but those that ``ignore`` names.

    Unreadable files are left out, with the reason; nothing is raised for them.
    """
    store = folder if isinstance(folder, Store) else open_store(folder, read_only=True, follow_links=True)
    survey = Survey(store)
    found = _walk(store, "")
    stats = [one for one in found if isinstance(one, Stat) and one.key not in ignore]
    mdocs = [_look_at(stat, _mdoc, store) for stat in stats if stat.key.lower().endswith(".mdoc")]
    movies = {section.frame_name for file in mdocs if file.mdoc is not None for section in file.mdoc.exposures}
    known = {file.key: file for file in mdocs}
    for stat in found:
        if isinstance(stat, SurveyedFile):
            survey.files.append(stat)
            continue
        if stat.key in ignore:
            continue
        file = known.get(stat.key)
        if file is None:
            if stat.key.rpartition("/")[2] in movies:
                file = SurveyedFile(stat.key, "frames")
            else:
                file = _look_at(stat, _reader(stat.key), store)
        survey.files.append(file)
    return survey


def _walk(store: Store, prefix: str) -> list[Stat | SurveyedFile]:
    """The files below a folder, and what is left out at once: folders that may not be read, links without a target."""
    try:
        folders, files = store.children(prefix)
    except StorageError as error:
        if not prefix or not is_local(error):
            raise
        return [SurveyedFile(f"{prefix}/", "left out", f"the folder cannot be opened: {error.what}")]
    here: dict[str, Any] = {stat.key.rpartition("/")[2]: stat for stat in files}
    here |= {f"{name}/": None for name in folders}
    here |= {name: SurveyedFile(join(prefix, name), "left out", why) for name, why in _dangling(store, prefix)}
    found: list[Stat | SurveyedFile] = []
    for name, one in sorted(here.items()):
        if not name.startswith("."):
            found += _walk(store, join(prefix, name)) if one is None else [one]
    return found


def _dangling(store: Store, prefix: str) -> Iterator[tuple[str, str]]:
    """Names of links whose target is gone, which no listing holds."""
    folder = store.local_path(prefix)
    if folder is not None:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink() and not os.path.exists(entry.path):
                    yield entry.name, f"a link to {os.readlink(entry.path)}, which does not exist"


def _reader(key: str) -> Any:
    name = key.rpartition("/")[2].lower()
    if _GAIN_NAME.search(name) and name.endswith((*_VOLUMES, ".gain", ".dm4", ".tif", ".tiff")):
        return _gain
    if name.endswith(_MOVIES):
        return _movie
    for endings, reader in (
        (_VOLUMES, _volume),
        ((".rawtlt",), _raw_tilts),
        (_ALIGNMENT, _alignment),
        ((".star",), _particles),
        (_TABLES, _table),
    ):
        if name.endswith(endings):
            return reader
    return _other


def _look_at(stat: Stat, reader: Any, store: Store) -> SurveyedFile:
    try:
        file: SurveyedFile = reader(stat, store)
    except FormatError as error:
        return SurveyedFile(stat.key, "left out", f"cannot be read: {error.what}")
    except OSError as error:
        return SurveyedFile(stat.key, "left out", f"cannot be opened: {error}")
    return file


def _mdoc(stat: Stat, store: Store) -> SurveyedFile:
    mdoc = read_mdoc(store.get(stat.key), stat.key)
    sections = mdoc.exposures
    if len(sections) < 2:
        return SurveyedFile(stat.key, "left out", "mdoc of a single frame stack")
    if any(section.kind == "MontSection" for section in mdoc.sections):
        return SurveyedFile(stat.key, "left out", "mdoc of a montage")
    if any(section.tilt_angle is None for section in sections):
        return SurveyedFile(stat.key, "left out", "mdoc without tilt angles")
    return SurveyedFile(stat.key, "mdoc", mdoc=mdoc, sections=len(sections))


def _volume(stat: Stat, store: Store) -> SurveyedFile:
    volume = open_mrc(store, stat.key)
    try:
        sizes = volume.voxel_size
        labels = " ".join(volume.header.labels)
        spacing = round(sizes[1], 3) if sizes[0] > 0 and sizes[1] > 0 else None
        file = SurveyedFile(
            stat.key,
            "tomogram",
            shape=volume.shape,
            spacing=spacing,
            software=_software(labels),
            sections=volume.shape[0],
        )
        name = stat.key.lower()
        is_stack = name.endswith(_STACKS) or (volume.header.ispg == 0 and volume.header.mz == 1)
        if volume.shape[0] == 1:
            file.role, file.why = "left out", "a single image"
        elif is_stack:
            file.role = "tilt series"
            file.aligned = bool(_ALIGNED_NAME.search(file.name))
        else:
            file.values = _labels(volume, named=bool(_MASK_NAME.search(file.name)))
            if file.values:
                file.role = "mask"
        return file
    finally:
        volume.close()


def _labels(volume: MrcVolume, *, named: bool) -> tuple[int, ...]:
    """Labels of a volume that is a mask, none if it is a density: few distinct whole numbers, or at most two."""
    found: set[int] = set()
    nz, ny, nx = volume.shape
    step = max(1, nz * ny * nx * volume.dtype.itemsize // _SAMPLED_BYTES)
    for z in range(0, nz, step):
        values = np.unique(volume.read(z, z + 1))
        if volume.value_offset:
            values = values.astype(np.int64) + volume.value_offset
        if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
            return ()
        found.update(int(value) for value in values)
        if len(found) > _MOST_LABELS or min(found) < 0:
            return ()
    labels = tuple(sorted(found - {0}))
    return labels if named or (len(labels) == 1 and 0 in found) else ()


def _raw_tilts(stat: Stat, store: Store) -> SurveyedFile:
    return SurveyedFile(stat.key, "raw tilts", sections=len(read_tilt_angles(store.get(stat.key), stat.key)))


def _alignment(stat: Stat, store: Store) -> SurveyedFile:
    data = store.get(stat.key)
    sections = None
    if stat.key.lower().endswith(".xf"):
        sections = len(read_xf(data, stat.key))
    elif stat.key.lower().endswith(".com"):
        if not stat.key.lower().endswith("tilt.com"):
            return SurveyedFile(stat.key, "left out", "a command file that says nothing about the alignment")
        read_tilt_com(data, stat.key)
    else:
        sections = len(read_tilt_angles(data, stat.key))
    return SurveyedFile(stat.key, "alignment", sections=sections)


def _movie(stat: Stat, store: Store) -> SurveyedFile:
    return SurveyedFile(stat.key, "frames")


def _gain(stat: Stat, store: Store) -> SurveyedFile:
    return SurveyedFile(stat.key, "gain")


def _particles(stat: Stat, store: Store) -> SurveyedFile:
    if stat.size > _LARGEST_TEXT:
        return SurveyedFile(stat.key, "left out", "a star file above 256 MB")
    star = read_star(store.get(stat.key), stat.key)
    try:
        table = star.table_with("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
    except FormatError:
        return SurveyedFile(stat.key, "left out", "a star file without particle coordinates in RELION's columns")
    oriented = all(column in table for column in ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"))
    if "rlnTomoName" in table:
        star_format = "relion4_star" if star.table("optics") is not None else "tomoman_relion_star"
    elif "rlnMicrographName" in table:
        star_format = "relion3_star"
    else:
        star_format = "relion3_star"
    return SurveyedFile(stat.key, "particles", star=table, star_format=star_format, oriented=oriented)


def _table(stat: Stat, store: Store) -> SurveyedFile:
    if stat.size > _LARGEST_TEXT:
        return SurveyedFile(stat.key, "left out", "a table above 256 MB")
    lines = store.get(stat.key).decode("utf-8-sig", errors="replace").splitlines()
    separator = "\t" if stat.key.lower().endswith(".tsv") else ","
    rows = [line.split(separator) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not rows:
        return SurveyedFile(stat.key, "left out", "an empty table")
    if "run_name" in [cell.strip() for cell in rows[0]]:
        return SurveyedFile(stat.key, "left out", "a table of runs")
    numbers = list(_numbers(rows))
    header = not numbers or numbers[0] is None
    body = numbers[1:] if header else numbers
    if not body or any(row is None for row in body):
        return SurveyedFile(stat.key, "left out", "a table that is not one of x, y, z coordinates")
    header_names = [cell.strip().lower() for cell in rows[0][:3]]
    if header and not all(name[:1] == axis for name, axis in zip(header_names, "xyz", strict=False)):
        return SurveyedFile(
            stat.key, "left out", f"a table whose first columns are not x, y, z ({', '.join(header_names)})"
        )
    csv_format = "tsv" if separator == "\t" else "csv_with_header" if header else "csv"
    return SurveyedFile(stat.key, "points", csv_format=csv_format, locations=np.array(body, np.float64))


def _other(stat: Stat, store: Store) -> SurveyedFile:
    return SurveyedFile(stat.key, "left out", "no raw file that this version ingests")


def _numbers(rows: list[list[str]]) -> Iterator[tuple[float, float, float] | None]:
    for row in rows:
        try:
            x, y, z = (float(cell) for cell in row[:3])
        except ValueError:
            yield None
        else:
            yield x, y, z


def _software(labels: str) -> str | None:
    for word, name in (
        ("aretomo", "AreTomo"),
        ("tilt:", "IMOD"),
        ("imod", "IMOD"),
        ("warp", "Warp"),
        ("relion", "RELION"),
        ("tomo3d", "tomo3d"),
    ):
        if word in labels.lower():
            return name
    return None
