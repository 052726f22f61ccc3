"""Which parts of a project go into a manifest, under which names, as rows of its tables."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tomoportal.copick.croissant.schema import Row, digest, segmentation_recordset
from tomoportal.copick.names import voxel_key
from tomoportal.copick.uri import resolve_copick_objects
from tomoportal.errors import AnnotationError, FormatError, NotFoundError, Problem

if TYPE_CHECKING:
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun

__all__ = ["CDP_ONLY_FILTER_ATTRS", "CDP_PORTAL_BASE_URL", "Selection", "project_rows"]

_KINDS: Final = {"tomograms": "tomogram", "features": "feature", "picks": "picks", "meshes": "mesh"}
CDP_PORTAL_BASE_URL: Final = "s3://cryoet-data-portal-public/"
"""Where the files of the public portal lie: a ``base_url`` for manifests of its datasets."""
CDP_ONLY_FILTER_ATTRS: Final = (
    "session_id_template",
    "picks_portal_meta",
    "picks_author",
    "segmentations_portal_meta",
    "segmentations_author",
    "tomograms_portal_meta",
    "tomograms_author",
)
"""Filters that only projects on a portal have."""


@dataclass(frozen=True)
class Selection:
    """Filters and new names; None keeps everything. Lists of URIs, of names, and of values of a portal's columns."""

    runs: Iterable[str] | None = None
    tomograms: Iterable[str] | None = None
    features: Iterable[str] | None = None
    picks: Iterable[str] | None = None
    meshes: Iterable[str] | None = None
    segmentations: Iterable[str] | None = None
    objects: Iterable[str] | None = None
    tomo_type_map: Mapping[str, str] | None = None
    object_name_map: Mapping[str, str] | None = None
    session_id_template: str | None = None
    picks_portal_meta: Mapping[str, Any] | None = None
    picks_author: Iterable[str] | None = None
    segmentations_portal_meta: Mapping[str, Any] | None = None
    segmentations_author: Iterable[str] | None = None
    tomograms_portal_meta: Mapping[str, Any] | None = None
    tomograms_author: Iterable[str] | None = None
    digests: bool = True
    """Whether the SHA-256 of documents are computed, by reading them."""
    address: Callable[[Any, str], str] = field(default=lambda source, key: key)
    """What stands in the column ``url`` for a key of a source."""
    base_url: str | None = None
    """What lies below it on a portal gets a relative address."""

    def check(self, root: CopickRoot) -> None:
        """Raise :class:`AnnotationError` for filters that only a portal's project has."""
        if getattr(root.config, "config_type", "") == "cryoet_data_portal":
            return
        given = [name for name in CDP_ONLY_FILTER_ATTRS if getattr(self, name)]
        if given:
            raise AnnotationError(
                f"The filters {', '.join(given)} need a CryoET Data Portal source.", fix="leave them out"
            )

    def tomo_type(self, name: str) -> str:
        return (self.tomo_type_map or {}).get(name, name)

    def object_name(self, name: str) -> str:
        return (self.object_name_map or {}).get(name, name)


def _allowed(selection: Selection, name: str, root: CopickRoot, run: CopickRun) -> set[int] | None:
    """Identities of the entities that the URIs name; None for all."""
    uris = getattr(selection, name)
    if uris is None:
        return None
    kind = _KINDS.get(name, "segmentation")
    return {id(each) for uri in uris for each in resolve_copick_objects(uri, root, kind, run.name)}


def _chosen(selection: Selection, name: str, root: CopickRoot, run: CopickRun, found: Iterable[Any]) -> Iterator[Any]:
    allowed = _allowed(selection, name, root, run)
    meta = getattr(selection, f"{name}_portal_meta", None)
    authors = getattr(selection, f"{name}_author", None)
    if meta or authors:
        query: dict[str, Any] = {"portal_meta_query": dict(meta or {}), "portal_author_query": list(authors or ())}
        if name == "tomograms":
            found = [each for spacing in run.voxel_spacings for each in spacing.get_tomograms(**query)]
        elif name == "picks":
            found = run.get_picks(**query)
        else:
            found = run.get_segmentations(is_instance=None, is_panoptic=None, **query)
    return (each for each in found if allowed is None or id(each) in allowed)


def _portal_columns(each: Any) -> Row:
    about = getattr(each.meta, "portal_metadata", None)
    annotation = getattr(about, "portal_annotation", None)
    file = getattr(about, "portal_annotation_file", None)
    found = {
        "portal_object_name": getattr(annotation, "object_name", None),
        "portal_annotation_id": getattr(annotation, "id", None),
        "portal_annotation_file_id": getattr(file, "id", None),
    }
    return {key: str(value) for key, value in found.items() if value is not None}


def _session(each: Any, selection: Selection) -> Row:
    """The session under which an annotation is listed, made of the portal's columns if a template says so."""
    about = getattr(each.meta, "portal_metadata", None)
    annotation = getattr(about, "portal_annotation", None)
    if selection.session_id_template is None or about is None or not annotation:
        return {"session_id": each.session_id}
    known = {column: "" if value is None else value for column, value in annotation.to_dict().items()}
    authors = about.portal_author_names
    known |= {"author": next(iter(authors), ""), "authors": ",".join(authors), "annotation_file_id": each.session_id}
    try:
        made = selection.session_id_template.format(**known)
    except (KeyError, IndexError, ValueError) as error:
        raise AnnotationError(
            f"session_id_template cannot be filled: {error}", fix=f"columns are {', '.join(sorted(known))}"
        ) from error
    from tomoportal.copick.names import sanitize_name

    if not made.strip():
        return {"session_id": each.session_id}
    return {"session_id": sanitize_name(made, suppress_warnings=True), "portal_session_id": each.session_id}


def _address(root: CopickRoot, each: Any, selection: Selection) -> str:
    """What a portal says, for its own files; else where the file lies."""
    public = getattr(root, "public_address", None)
    found: str | None = public(each, selection.base_url) if public is not None else None
    return found or selection.address(each._source, each._key)


def _voxel_size(picks: Any) -> float | None:
    """The voxel size that picks belong to, as the portal or their document says, if either does."""
    found = getattr(getattr(picks.meta, "portal_metadata", None), "voxel_spacing", None)
    if found is None:
        try:
            picks._ensure()
        except FormatError:
            return None  # whoever opens the picks is told; the manifest lists what is there
        found = picks.meta.voxel_spacing
    return None if found is None else float(found)


def _is_readable_elsewhere(root: CopickRoot, mesh: Any) -> bool:
    """Manifests have no unit of meshes: those of a portal that are in voxels are told, and left out."""
    if getattr(mesh, "is_in_angstrom", True):
        return True
    what = f"the portal's mesh {mesh.session_id} of {mesh.pickable_object_name} is in voxels: no manifest can say so"
    fix = "copy it into the overlay (cp mesh), which makes it Å, and export that"
    problem = Problem(mesh.path, what, fix)
    root._note(problem)
    warnings.warn(str(problem), UserWarning, stacklevel=5)
    return False


def _digest(each: Any, selection: Selection) -> str | None:
    if not selection.digests:
        return None
    try:
        return digest(each._source.store.get(each._key))
    except NotFoundError:
        return None  # a portal's points have another form there


def project_rows(root: CopickRoot, selection: Selection) -> Iterator[tuple[str, Row]]:
    """Table and row of everything that the selection keeps; filaments have no table."""
    selection.check(root)
    names = None if selection.runs is None else set(selection.runs)
    for run in root.runs:
        if names is None or run.name in names:
            yield from _run_rows(root, run, selection)
    objects = None if selection.objects is None else set(selection.objects)
    for each in root.pickable_objects:
        if (objects is None or each.name in objects) and each.has_density_map():
            url = selection.address(each._source, each._key)
            yield "copick/objects", {"name": selection.object_name(each.name), "url": url}


def _run_rows(root: CopickRoot, run: CopickRun, selection: Selection) -> Iterator[tuple[str, Row]]:
    number = getattr(run.meta, "portal_run_id", None)
    yield (
        "copick/runs",
        {"name": run.name, "portal_run_id": None if number is None else str(number), "split": run.split},
    )
    tomograms = [each for spacing in run.voxel_spacings for each in spacing.tomograms]
    kept = list(_chosen(selection, "tomograms", root, run, tomograms))
    features = list(_chosen(selection, "features", root, run, [f for each in tomograms for f in each.features]))
    sizes = {each.voxel_spacing.voxel_size for each in kept}
    masks = list(_chosen(selection, "segmentations", root, run, run.segmentations))
    sizes |= {each.tomogram.voxel_spacing.voxel_size for each in features}
    if selection.tomograms is None and not (selection.tomograms_portal_meta or selection.tomograms_author):
        sizes |= {spacing.voxel_size for spacing in run.voxel_spacings}
    known = {voxel_key(size) for size in sizes}
    sizes |= {each.voxel_size for each in masks if voxel_key(each.voxel_size) not in known}
    yield from (("copick/voxel_spacings", {"run": run.name, "voxel_size": float(size)}) for size in sorted(sizes))
    for each in kept:
        row = {"run": run.name, "voxel_size": float(each.voxel_spacing.voxel_size)}
        row |= {"tomo_type": selection.tomo_type(each.tomo_type), "url": _address(root, each, selection)}
        tomogram = getattr(each.meta, "portal_tomo_id", None)
        if tomogram is not None:
            row |= {"portal_tomo_type": each.tomo_type, "portal_tomogram_id": str(tomogram)}
        yield "copick/tomograms", row
    for each in features:
        row = {"run": run.name, "voxel_size": float(each.tomogram.voxel_spacing.voxel_size)}
        row |= {"tomo_type": selection.tomo_type(each.tomo_type), "feature_type": each.feature_type}
        yield "copick/features", {**row, "url": _address(root, each, selection)}
    for name, documents in (("picks", run.picks), ("meshes", run.meshes)):
        for each in _chosen(selection, name, root, run, documents):
            if name == "meshes" and not _is_readable_elsewhere(root, each):
                continue
            row = {"run": run.name, "user_id": each.user_id, **_session(each, selection)}
            row |= {"object_name": selection.object_name(each.pickable_object_name)}
            row |= {"url": _address(root, each, selection), **_portal_columns(each), "sha256": _digest(each, selection)}
            if name == "picks":
                row["voxel_size"] = _voxel_size(each)
            yield f"copick/{name}", row
    for each in masks:
        row = {"run": run.name, "voxel_size": float(each.voxel_size), "user_id": each.user_id}
        named = each.segmentation_type in ("binary", "instance")
        row |= {**_session(each, selection), "name": selection.object_name(each.name) if named else each.name}
        row |= {"is_multilabel": each.is_multilabel, "url": _address(root, each, selection), **_portal_columns(each)}
        yield segmentation_recordset(each.segmentation_type), row
