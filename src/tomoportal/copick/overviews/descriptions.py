"""What a person wants to know of an entity, as Markdown (``copick.ops._markdown``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from tomoportal.copick.overviews.ontology import identifier_to_markdown_link, parse_identifier
from tomoportal.errors import AnnotationError

if TYPE_CHECKING:
    from tomoportal.copick.config import PickableObject
    from tomoportal.copick.features import CopickFeatures
    from tomoportal.copick.filaments import CopickFilaments
    from tomoportal.copick.meshes import CopickMesh
    from tomoportal.copick.objects import CopickObject
    from tomoportal.copick.picks import CopickPicks
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun
    from tomoportal.copick.segmentations import CopickSegmentation
    from tomoportal.copick.spacings import CopickVoxelSpacing
    from tomoportal.copick.tomograms import CopickTomogram

__all__ = [
    "DEFAULT_MARKDOWN",
    "ENTITY_TO_MD",
    "features_to_md",
    "filaments_to_md",
    "mesh_to_md",
    "object_to_md",
    "picks_to_md",
    "root_to_md",
    "run_to_md",
    "segmentation_to_md",
    "tomogram_to_md",
    "voxel_spacing_to_md",
]

DEFAULT_MARKDOWN: Final = "# Metadata\n"
"""What a browser shows before something is chosen."""
_BACK_ENDS: Final = {
    "filesystem": "Filesystem",
    "cryoet_data_portal": "CryoET Data Portal",
    "mlcroissant": "mlcroissant",
}


def _page(kind: str, title: str, *facts: tuple[str, Any]) -> str:
    rows = [f"* {name}: {value}" for name, value in facts if value not in (None, "")]
    return "\n".join([f"# {kind} Metadata", f"## {title}", *rows, ""])


def _color(entity: Any) -> str | None:
    try:
        color = entity.color
    except AnnotationError:  # the object is not in the config
        return None
    return f"{tuple(color)} | #{bytes(color).hex()}" if color else None


def _places(entity: Any) -> Iterator[tuple[str, str]]:
    if entity.static_is_overlay:
        yield "Location", entity.overlay_path
    else:
        yield "Static Location", entity.static_path
        yield "Overlay Location", entity.overlay_path


def object_to_md(pickable_object: PickableObject | CopickObject) -> str:
    """A pickable object with links to its entries in ontologies and databases."""
    each = pickable_object
    found = parse_identifier(each.identifier)
    same = found is not None and found.namespace == "PDB" and found.accession == each.pdb_id
    emdb, pdb = each.emdb_id, each.pdb_id
    return _page(
        "PickableObject",
        f"Object: {each.name}",
        ("Identifier", identifier_to_markdown_link(each.identifier)),
        ("EMDB ID", f"[{emdb}](https://www.ebi.ac.uk/emdb/{emdb})" if emdb else None),
        ("PDB ID", f"[{pdb}](https://www.rcsb.org/structure/{pdb})" if pdb and not same else None),
        ("Type", "particle/segmentation" if each.is_particle else "segmentation"),
        ("Label", each.label),
        ("Color", _color(each)),
        ("Map Threshold", each.map_threshold),
        ("Radius", each.radius),
    )


def root_to_md(root: CopickRoot) -> str:
    """A project: its back end and where it lies."""
    config: Any = root.config
    facts = [("Datasets", ", ".join(map(str, getattr(config, "dataset_ids", None) or ())))]
    facts += [("Croissant", getattr(config, "croissant_url", None) or "")]
    facts += [("Static Location", getattr(config, "static_root", None) or "")]
    facts += [("Overlay Location", getattr(config, "overlay_root", None) or "")]
    kind = _BACK_ENDS.get(getattr(config, "config_type", ""), "")
    return _page("CopickRoot", f"Project Name: {config.name}", ("Project Type", kind), *facts)


def run_to_md(run: CopickRun) -> str:
    """A run and where it lies."""
    return _page("CopickRun", f"Run: {run.name}", *_places(run), ("Split", run.split))


def voxel_spacing_to_md(voxel_spacing: CopickVoxelSpacing) -> str:
    """A voxel spacing, in Å."""
    return _page("CopickVoxelSpacing", f"Voxel Spacing: {voxel_spacing.voxel_size}")


def tomogram_to_md(tomogram: CopickTomogram) -> str:
    """A tomogram."""
    number = getattr(tomogram.meta, "portal_tomo_id", None)
    return _page("Tomogram", f"Tomogram: {tomogram.tomo_type}", ("Portal tomogram", number))


def features_to_md(features: CopickFeatures) -> str:
    """A feature map."""
    return _page("Features", f"Features: {features.feature_type}", ("Tomogram", features.tomo_type))


def _annotation(entity: Any, name: str) -> list[tuple[str, Any]]:
    number = getattr(entity.meta, "portal_annotation_id", None)
    who = [("Name", name), ("User/Tool", entity.user_id), ("Session", entity.session_id)]
    return [*who, ("Color", _color(entity)), ("Portal annotation", number)]


def segmentation_to_md(segmentation: CopickSegmentation) -> str:
    """A segmentation and its type."""
    each = segmentation
    title = f"{each.voxel_size:.3f}_{each.user_id}_{each.session_id}_{each.name}"
    facts = [("Voxel Spacing", f"{each.voxel_size:.3f}"), ("Type", each.segmentation_type)]
    return _page("Segmentation", f"Segmentation: {title}", *facts, *_annotation(each, each.name))


def picks_to_md(picks: CopickPicks) -> str:
    """Picks and how many they are."""
    title = f"{picks.user_id}_{picks.session_id}_{picks.pickable_object_name}"
    facts = [("Count", len(picks.numpy()[0])), ("trust_orientation", picks.trust_orientation)]
    return _page("Picks", f"Picks: {title}", *facts, *_annotation(picks, picks.pickable_object_name))


def mesh_to_md(mesh: CopickMesh) -> str:
    """A mesh."""
    title = f"{mesh.user_id}_{mesh.session_id}_{mesh.pickable_object_name}"
    return _page("Mesh", f"Mesh: {title}", *_annotation(mesh, mesh.pickable_object_name))


def filaments_to_md(filaments: CopickFilaments) -> str:
    """Filaments and how many they are."""
    title = f"{filaments.user_id}_{filaments.session_id}_{filaments.pickable_object_name}"
    facts = [("Count", len(filaments.filaments))]
    return _page("Filaments", f"Filaments: {title}", *facts, *_annotation(filaments, filaments.pickable_object_name))


ENTITY_TO_MD: Final[dict[str, Callable[[Any], str]]] = {
    "root": root_to_md,
    "object": object_to_md,
    "run": run_to_md,
    "voxel_spacing": voxel_spacing_to_md,
    "tomogram": tomogram_to_md,
    "features": features_to_md,
    "segmentation": segmentation_to_md,
    "picks": picks_to_md,
    "mesh": mesh_to_md,
    "filaments": filaments_to_md,
}
"""What is shown for each kind of node in a browser's tree."""
