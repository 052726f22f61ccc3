"""Where everything lies in an archive: pure functions from an entity to its key, and back.

The tree is the public portal's (reference: archive layout). Spacing folders always carry three decimals; on the way
back they are read as numbers. Keys of tomoportal's own lie below ``.tomoportal/``.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tomoportal.errors import ArchiveError

__all__ = [
    "OWN",
    "Container",
    "Place",
    "alignment_document",
    "alignment_file",
    "alignment_prefix",
    "annotation_base",
    "annotation_caption",
    "annotation_data",
    "annotation_document",
    "annotation_global_caption",
    "annotation_prefix",
    "check_name",
    "containers_of",
    "ctf",
    "dataset_document",
    "dataset_image",
    "dataset_prefix",
    "deposition_document",
    "deposition_image",
    "deposition_prefix",
    "frame",
    "frames_document",
    "gain",
    "identified_objects",
    "identified_objects_document",
    "journal",
    "key_photo",
    "layer_of",
    "manifest",
    "mdoc",
    "neuroglancer_config",
    "oriented_mesh_of",
    "owner",
    "parse",
    "precompute",
    "rawtlt",
    "run_document",
    "run_prefix",
    "staged",
    "staging_prefix",
    "tiltseries_document",
    "tiltseries_prefix",
    "tomogram_document",
    "tomogram_prefix",
    "volume_mrc",
    "volume_zarr",
    "voxel_spacing_name",
    "voxel_spacing_prefix",
]

OWN = ".tomoportal"
"""The folder of everything that is not part of the public layout."""

DEPOSITIONS = "depositions_metadata"

_RESERVED_RUNS = frozenset({"Images", "dataset_metadata.json"})
_FORBIDDEN = re.compile(r"[/\\*?\[\]\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_FORBIDDEN_IN_FILES = re.compile(r"[/\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST_DESCRIPTION = 50


@dataclass(frozen=True, slots=True, order=True)
class Container:
    """What has a manifest and a lock of its own: a run, a dataset (without its runs) or a deposition.

    ``key`` is its folder: ``10001/TS_1``, ``10001`` or ``depositions_metadata/10301``.
    """

    key: str
    dataset_id: str | None = None
    run_name: str | None = None
    deposition_id: str | None = None

    @classmethod
    def run(cls, dataset: int | str, run: str) -> Container:
        return cls(run_prefix(dataset, run), str(dataset), run)

    @classmethod
    def dataset(cls, dataset: int | str) -> Container:
        return cls(dataset_prefix(dataset), str(dataset))

    @classmethod
    def deposition(cls, deposition: int | str) -> Container:
        return cls(deposition_prefix(deposition), deposition_id=str(deposition))

    @classmethod
    def of(cls, key: str) -> Container:
        """The container of a folder's key; raises :class:`ArchiveError` for another kind of key."""
        parts = key.split("/")
        if parts[0] == DEPOSITIONS and len(parts) == 2:
            return cls.deposition(parts[1])
        if len(parts) == 2:
            return cls.run(parts[0], parts[1])
        if len(parts) == 1:
            return cls.dataset(parts[0])
        raise ArchiveError("this is not the folder of a dataset, run or deposition", where=key)

    def __str__(self) -> str:
        return self.key


# --- names


def check_name(name: str, what: str = "run name") -> str:
    """Return ``name`` if it can be the name of a folder or file in an archive, else raise :class:`ArchiveError`."""
    if not name or name.startswith(".") or _FORBIDDEN.search(name):
        raise ArchiveError(
            f"{name!r} cannot be a {what}",
            fix="use a name without '/', '\\', '*', '?', '[', ']', control characters and without a leading '.'",
        )
    return name


def _file_name(name: str) -> str:
    """A file keeps the name of its source; cameras write brackets and blanks into names."""
    if not name or name.startswith(".") or _FORBIDDEN_IN_FILES.search(name):
        raise ArchiveError(
            f"{name!r} cannot be the name of a file",
            fix="use a name without '/', control characters and without a leading '.'",
        )
    return name


def voxel_spacing_name(spacing: float) -> str:
    """``VoxelSpacing13.480`` for a spacing in Å."""
    if not (math.isfinite(spacing) and spacing >= 0.001):
        raise ArchiveError(f"{spacing} is not a voxel spacing", fix="give a positive length in Å")
    return f"VoxelSpacing{spacing:.3f}"


def annotation_base(name: str, version: float | str, description: str | None = None) -> str:
    """``{name}-{version}`` of an annotation's files.

    ``name`` is the object's name, replaced by its ``description`` if that has at most 50 characters.
    """
    if description and len(description) <= _LONGEST_DESCRIPTION:
        name = description
    stem = re.sub(r"[^0-9a-z]", "_", name.lower())
    return f"{stem}-{re.sub(r'[^0-9a-z.]', '_', str(version).lower())}"


# --- depositions and datasets


def deposition_prefix(deposition: int | str) -> str:
    return f"{DEPOSITIONS}/{check_name(str(deposition), 'deposition id')}"


def deposition_document(deposition: int | str) -> str:
    return f"{deposition_prefix(deposition)}/deposition_metadata.json"


def deposition_image(deposition: int | str, name: str) -> str:
    """``name`` is ``snapshot.png``, ``thumbnail.gif``, …"""
    return f"{deposition_prefix(deposition)}/Images/{_file_name(name)}"


def dataset_prefix(dataset: int | str) -> str:
    name = check_name(str(dataset), "dataset id")
    if name == DEPOSITIONS:
        raise ArchiveError(f"{name!r} cannot be a dataset id", fix="this folder holds the depositions")
    return name


def dataset_document(dataset: int | str) -> str:
    return f"{dataset_prefix(dataset)}/dataset_metadata.json"


def dataset_image(dataset: int | str, name: str) -> str:
    """``name`` is ``snapshot.png``, ``thumbnail.gif``, …"""
    return f"{dataset_prefix(dataset)}/Images/{_file_name(name)}"


# --- runs


def run_prefix(dataset: int | str, run: str) -> str:
    if run in _RESERVED_RUNS:
        raise ArchiveError(f"{run!r} cannot be a run name", fix="the dataset itself uses this name; rename the run")
    return f"{dataset_prefix(dataset)}/{check_name(run)}"


def run_document(dataset: int | str, run: str) -> str:
    return f"{run_prefix(dataset, run)}/run_metadata.json"


def gain(dataset: int | str, run: str, name: str) -> str:
    return f"{run_prefix(dataset, run)}/Gains/{_file_name(name)}"


def frame(dataset: int | str, run: str, name: str) -> str:
    return f"{run_prefix(dataset, run)}/Frames/{_file_name(name)}"


def mdoc(dataset: int | str, run: str) -> str:
    return f"{run_prefix(dataset, run)}/Frames/{run}.mdoc"


def frames_document(dataset: int | str, run: str) -> str:
    return f"{run_prefix(dataset, run)}/Frames/frames_metadata.json"


def identified_objects(dataset: int | str, run: str) -> str:
    """The rows."""
    return f"{run_prefix(dataset, run)}/IdentifiedObjects/identified_objects.json"


def identified_objects_document(dataset: int | str, run: str) -> str:
    return f"{run_prefix(dataset, run)}/IdentifiedObjects/identified_objects_metadata.json"


# --- tilt series and alignments


def tiltseries_prefix(dataset: int | str, run: str, tiltseries: int) -> str:
    return f"{run_prefix(dataset, run)}/TiltSeries/{tiltseries}"


def tiltseries_document(dataset: int | str, run: str, tiltseries: int) -> str:
    return f"{tiltseries_prefix(dataset, run, tiltseries)}/tiltseries_metadata.json"


def rawtlt(dataset: int | str, run: str, tiltseries: int) -> str:
    return f"{tiltseries_prefix(dataset, run, tiltseries)}/{run}.rawtlt"


def ctf(dataset: int | str, run: str, tiltseries: int, program: str | None) -> str:
    """``program`` is ``CTFFIND``, ``Gctf`` or ``IMOD``."""
    return f"{tiltseries_prefix(dataset, run, tiltseries)}/{run}_{program or 'unknown'}_ctf.txt"


def alignment_prefix(dataset: int | str, run: str, alignment: int) -> str:
    return f"{run_prefix(dataset, run)}/Alignments/{alignment}"


def alignment_document(dataset: int | str, run: str, alignment: int) -> str:
    return f"{alignment_prefix(dataset, run, alignment)}/alignment_metadata.json"


def alignment_file(dataset: int | str, run: str, alignment: int, extension: str) -> str:
    """``extension`` is that of the source, with its dot: ``.xf``, ``.tlt``, ``.aln``, …"""
    return f"{alignment_prefix(dataset, run, alignment)}/{run}{extension}"


# --- reconstructions


def voxel_spacing_prefix(dataset: int | str, run: str, spacing: float) -> str:
    """``spacing`` in Å."""
    return f"{run_prefix(dataset, run)}/Reconstructions/{voxel_spacing_name(spacing)}"


def tomogram_prefix(dataset: int | str, run: str, spacing: float, tomogram: int) -> str:
    return f"{voxel_spacing_prefix(dataset, run, spacing)}/Tomograms/{tomogram}"


def tomogram_document(dataset: int | str, run: str, spacing: float, tomogram: int) -> str:
    return f"{tomogram_prefix(dataset, run, spacing, tomogram)}/tomogram_metadata.json"


def volume_mrc(prefix: str, run: str) -> str:
    """The MRC of the tilt series or tomogram whose folder is ``prefix``."""
    return f"{prefix}/{run}.mrc"


def volume_zarr(prefix: str, run: str) -> str:
    """The OME-Zarr of the tilt series or tomogram whose folder is ``prefix``."""
    return f"{prefix}/{run}.zarr"


def key_photo(dataset: int | str, run: str, spacing: float, tomogram: int, name: str) -> str:
    """``name`` is ``original``, ``snapshot``, ``thumbnail`` or ``expanded``."""
    return f"{voxel_spacing_prefix(dataset, run, spacing)}/Images/{tomogram}/key-photo-{name}.png"


def annotation_prefix(dataset: int | str, run: str, spacing: float, annotation: int) -> str:
    return f"{voxel_spacing_prefix(dataset, run, spacing)}/Annotations/{annotation}"


def annotation_document(dataset: int | str, run: str, spacing: float, annotation: int, base: str) -> str:
    """``base`` from :func:`annotation_base`."""
    return f"{annotation_prefix(dataset, run, spacing, annotation)}/{base}.json"


def annotation_data(
    dataset: int | str, run: str, spacing: float, annotation: int, base: str, shape: str, extension: str
) -> str:
    """``shape`` as in documents (``SegmentationMask``, …), ``extension`` without a dot (``ndjson``, ``zarr``, …)."""
    return f"{annotation_prefix(dataset, run, spacing, annotation)}/{base}_{shape.lower()}.{extension}"


def annotation_caption(
    dataset: int | str, run: str, spacing: float, annotation: int, base: str, companion_shape: str
) -> str:
    """The captions of single instances of ``companion_shape``."""
    return f"{annotation_prefix(dataset, run, spacing, annotation)}/{base}_{companion_shape.lower()}_caption.json"


def annotation_global_caption(dataset: int | str, run: str, spacing: float, annotation: int, base: str) -> str:
    return f"{annotation_prefix(dataset, run, spacing, annotation)}/{base}_globalcaption.json"


def neuroglancer_config(dataset: int | str, run: str, spacing: float, tomogram: int) -> str:
    folder = f"{voxel_spacing_prefix(dataset, run, spacing)}/NeuroglancerPrecompute"
    return f"{folder}/{tomogram}-neuroglancer_config.json"


def precompute(dataset: int | str, run: str, spacing: float, annotation: int, base: str, shape: str) -> str:
    """The folder of one viewer layer; ``shape`` as in documents, or ``OrientedMesh``."""
    folder = f"{voxel_spacing_prefix(dataset, run, spacing)}/NeuroglancerPrecompute"
    return f"{folder}/{annotation}-{base}_{shape.lower()}"


def layer_of(data: str) -> str:
    """The folder of the viewer layer that belongs to a data file of an annotation (:func:`annotation_data`)."""
    folder, _, name = data.rpartition("/")
    spacing_folder, _, annotation = folder.rpartition("/Annotations/")
    return f"{spacing_folder}/NeuroglancerPrecompute/{annotation}-{name.rpartition('.')[0]}"


def oriented_mesh_of(points: str) -> str:
    """The folder of the layer with a mesh at every one of the oriented points in a data file."""
    return f"{layer_of(points).removesuffix('_orientedpoint')}_orientedmesh"


# --- our own


def manifest(container: Container) -> str:
    return f"{OWN}/manifest/{container.key}.json"


def journal(container: Container) -> str:
    return f"{OWN}/journal/{container.key}.json"


def staging_prefix(token: str) -> str:
    """The folder of files on their way; see :func:`staged`."""
    return f"{OWN}/staging/{token}"


def staged(prefix: str, key: str) -> str:
    """Where a file waits for its publication below ``prefix``.

    The folders above the file, or above the Zarr that it is part of, are one folder with the hash of their names: fewer
    folders to make, flush and remove, and all that goes to one place can be moved there at once.
    """
    folder = key.partition(".zarr/")[0].rpartition("/")[0]
    name = hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{prefix}/{name}/{key[len(folder) + 1 :] if folder else key}"


def containers_of(keys: Iterable[str]) -> Iterator[Container]:
    """The containers of manifests or journals, from their keys; files that are neither are passed over."""
    for key in keys:
        name, extension = key.split("/", 2)[2].rpartition(".")[::2]
        # A container's folder with any file in it belongs to that container, and to no other.
        found = owner(f"{name}/x") if extension == "json" else None
        if found is not None and found.key == name:
            yield found


# --- back


@dataclass(frozen=True, slots=True)
class Place:
    """What a key says. ``kind`` is that of a document (``tomogram``, ``annotation``, …), or ``None`` for other files.

    ``spacing`` is in Å; ``archive_id`` is the number of the tilt series, alignment, tomogram or annotation.
    """

    container: Container
    kind: str | None = None
    spacing: float | None = None
    archive_id: int | None = None


_NUMBER = r"(?P<id>\d+)"
_SPACING = r"Reconstructions/VoxelSpacing(?P<spacing>\d+(?:\.\d+)?)"
_IN_RUN: tuple[tuple[str | None, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.DOTALL))
    for kind, pattern in (
        ("run", r"run_metadata\.json"),
        ("frames", r"Frames/frames_metadata\.json"),
        ("identified_objects", r"IdentifiedObjects/identified_objects_metadata\.json"),
        ("tiltseries", rf"TiltSeries/{_NUMBER}/tiltseries_metadata\.json"),
        ("alignment", rf"Alignments/{_NUMBER}/alignment_metadata\.json"),
        ("tomogram", rf"{_SPACING}/Tomograms/{_NUMBER}/tomogram_metadata\.json"),
        ("annotation", rf"{_SPACING}/Annotations/{_NUMBER}/[^/]*[0-9]\.json"),
        (None, rf"(?:TiltSeries|Alignments)/{_NUMBER}/.*"),
        (None, rf"{_SPACING}/(?:Tomograms|Annotations|Images)/{_NUMBER}/.*"),
        (None, rf"{_SPACING}/NeuroglancerPrecompute/{_NUMBER}-.*"),
        (None, rf"{_SPACING}/.*"),
        (None, r".*"),
    )
)


def owner(key: str) -> Container | None:
    """The run, dataset or deposition that a key belongs to; ``None`` for keys outside of all (also our own)."""
    parts = key.split("/")
    if len(parts) < 2 or not all(map(_is_name, parts[:2])):
        return None
    if parts[0] == DEPOSITIONS:
        return Container.deposition(parts[1])
    if len(parts) == 2 or parts[1] in _RESERVED_RUNS:
        return Container.dataset(parts[0])
    return Container.run(parts[0], parts[1])


def parse(key: str) -> Place | None:
    """What a key says about the entity that it belongs to; ``None`` as for :func:`owner`."""
    container = owner(key)
    if container is None:
        return None
    rest = key[len(container.key) + 1 :]
    if container.run_name is None:
        documents = (
            {"dataset_metadata.json": "dataset"} if container.dataset_id else {"deposition_metadata.json": "deposition"}
        )
        return Place(container, documents.get(rest))
    for kind, pattern in _IN_RUN:
        if match := pattern.fullmatch(rest):
            groups = match.groupdict()
            spacing, number = groups.get("spacing"), groups.get("id")
            return Place(container, kind, float(spacing) if spacing else None, int(number) if number else None)
    return None  # unreachable: the last pattern matches everything


def _is_name(text: str) -> bool:
    return bool(text) and not text.startswith(".") and not _FORBIDDEN.search(text)
