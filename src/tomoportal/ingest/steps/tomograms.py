"""Tomograms: the volume, the previews, the viewer's file, and last the document that names them all."""

from __future__ import annotations

from typing import Any

from tomoportal.archive import identity as identities
from tomoportal.archive import layout
from tomoportal.formats.alignments import identity_affine
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import Entry, RunPlan
from tomoportal.ingest.scope import Scope
from tomoportal.ingest.steps.key_photos import PICTURES, given_pictures, shows_tomogram
from tomoportal.ingest.steps.volumes import volume_facts

__all__ = ["Candidate", "candidates", "make", "plan"]

KIND = "tomogram"
VERSION = 1
_IDENTITY_FIELDS = "processing, processing_software, reconstruction_method, voxel_spacing"


class Candidate:
    """A tomogram that the config yields for a run and spacing, before its alignment is known."""

    def __init__(
        self, entry: Entry, name: str, key: str, metadata: dict[str, Any], spacing: float, scope: Scope
    ) -> None:
        self.entry = entry
        self.name = name
        self.key = key
        self.metadata = metadata
        self.spacing = spacing
        self.scope = scope


def candidates(run: RunPlan, scope: Scope, spacing: float) -> list[Candidate]:
    """The tomograms of one voxel spacing (Å); the folder's spacing overwrites the one in the metadata."""
    result: list[Candidate] = []
    for entry in run.entries("tomograms", scope):
        for found in entry.found:
            if found.reference or found.key is None:
                continue
            metadata = run.expand(dict(entry.metadata or {}), (*entry.path, "metadata"), scope)
            stated = metadata.get("voxel_spacing")
            if isinstance(stated, (int, float)) and abs(stated - spacing) > 0.001:
                run.warn(
                    (*entry.path, "metadata", "voxel_spacing"),
                    f"voxel_spacing {stated:g} is overwritten by the folder's {spacing:.3f}",
                )
            metadata["voxel_spacing"] = spacing
            result.append(Candidate(entry, found.name, found.key, metadata, spacing, scope))
    return result


def plan(run: RunPlan, candidate: Candidate) -> Item:
    """Plan the volume and its id; `finish` adds previews, viewer file and document. Returns the volume."""
    metadata, spacing, entry = candidate.metadata, candidate.spacing, candidate.entry
    identity = identities.tomogram(
        spacing,
        run.alignment,
        metadata.get("reconstruction_method"),
        metadata.get("processing"),
        metadata.get("processing_software"),
        run.deposition_id,
    )
    archive_id = run.planning.records.predict(run.place, KIND, run.key, identity)
    prefix = layout.tomogram_prefix(run.dataset, run.run, spacing, archive_id)
    mrc, zarr = layout.volume_mrc(prefix, run.run), layout.volume_zarr(prefix, run.run)
    known = next((item for item in run.items if item.kind == "tomogram_volume" and item.identity == identity), None)
    if known is not None:
        run.fail(
            entry.source_path,
            f"two tomograms with one identity: {known.title} ({known.config_path}) and {candidate.key}",
            f"make them differ in one of {_IDENTITY_FIELDS}, or narrow the globs",
        )
    return run.add(
        Item(
            kind="tomogram_volume",
            place=run.place,
            identity=identity,
            title=candidate.key,
            sources=(candidate.key,),
            outputs=(mrc, zarr),
            archive_id=archive_id,
            config_path=f"tomograms[{entry.index}]",
            needs=run.needs,
            settings={
                "kind": "tomogram",
                "voxel_spacing": spacing,
                "mrc": mrc,
                "zarr": zarr,
                "stamp": run.planning.stamp_of(metadata, run.stamp),
            },
        )
    )


def finish(run: RunPlan, candidate: Candidate, volume: Item, annotations: tuple[Item, ...]) -> Item:
    """Plan previews, viewer file and document of a planned volume. Returns the document item."""
    assert volume.archive_id is not None
    number, spacing = volume.archive_id, candidate.spacing
    stamp = volume.settings["stamp"]
    photos = {name: layout.key_photo(run.dataset, run.run, spacing, number, name) for name in PICTURES}
    folder = layout.tomogram_prefix(run.dataset, run.run, spacing, number)
    scope = candidate.scope.child("tomogram", candidate.name, path=candidate.key, output=folder, archive_id=number)
    given = given_pictures(run, scope)
    viewer = layout.neuroglancer_config(run.dataset, run.run, spacing, number)
    where = volume.config_path
    needed = (volume.label, *((run.alignment_item.label,) if run.alignment_item else ()))
    labels = tuple(item.label for item in annotations)
    shared: dict[str, Any] = {
        "mrc": volume.settings["mrc"],
        "zarr": volume.settings["zarr"],
        "voxel_spacing": spacing,
        "alignment": run.alignment,
        "run_name": run.run,
        "deposition_id": run.deposition_id,
        "stamp": stamp,
        "volume_label": [volume.kind, volume.identity],
    }
    pictures = run.add(
        Item(
            kind="key_photos",
            place=run.place,
            identity=volume.identity,
            title=candidate.key,
            sources=tuple(dict.fromkeys(given.values())),
            outputs=tuple(photos.values()),
            archive_id=number,
            config_path=where,
            settings={**shared, "photos": photos, **({"given": given} if given else {})},
            needs=needed,
            after=labels,
            derives_from=(volume.label, *labels) if shows_tomogram(given) else (),
        )
    )
    state = run.add(
        Item(
            kind="viewer_config",
            place=run.place,
            identity=volume.identity,
            title=candidate.key,
            outputs=(viewer,),
            archive_id=number,
            config_path=where,
            settings={**shared, "viewer": viewer},
            needs=needed,
            after=labels,
            derives_from=(volume.label, *labels),
        )
    )
    return run.add(
        Item(
            kind=KIND,
            place=run.place,
            identity=volume.identity,
            title=candidate.key,
            document=layout.tomogram_document(run.dataset, run.run, spacing, number),
            archive_id=number,
            id_scope=run.key,
            config_path=where,
            settings={**shared, "metadata": candidate.metadata, "photos": photos, "viewer": viewer},
            needs=(*needed, pictures.label, state.label),
            derives_from=(volume.label,),
        )
    )


def make(item: Item, bench: Bench) -> Made:
    """Write the document; sizes are read back from what was written."""
    settings = item.settings
    metadata = dict(settings["metadata"])
    metadata.setdefault("affine_transformation_matrix", identity_affine())
    metadata.setdefault("offset", {"x": 0, "y": 0, "z": 0})
    metadata.setdefault("is_visualization_default", True)
    document = {
        **metadata,
        **volume_facts(bench.archive.store, settings["mrc"], settings["zarr"]),
        "omezarr_dir": settings["zarr"],
        "mrc_file": settings["mrc"],
        "run_name": settings["run_name"],
        "key_photo": {name: settings["photos"][name] for name in ("snapshot", "thumbnail")},
        "alignment_metadata_path": settings["alignment"],
        "neuroglancer_config_path": settings["viewer"],
        "deposition_id": settings["deposition_id"],
        "last_updated_at": settings["stamp"],
    }
    return Made(document)
