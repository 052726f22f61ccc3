"""Annotations: points, masks, meshes and captions; several files share one document and one id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tomoportal.archive import identity as identities
from tomoportal.archive import layout
from tomoportal.formats.ndjson import write_points
from tomoportal.formats.neuroglancer.annotations import annotation_layer, write_point_layer
from tomoportal.formats.neuroglancer.palette import color_of
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.finders import Found, Search, without_excluded
from tomoportal.ingest.lines import Path
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import RunPlan
from tomoportal.ingest.scope import Scope
from tomoportal.ingest.sections import CAPTION_SHAPES, MESH_SHAPES, POINT_SHAPES, SHAPES, shape_is_ingested
from tomoportal.ingest.sources import LINKS_FIX, ROOT_OPTION
from tomoportal.ingest.steps.annotation_files import file_entry, tomogram_shape
from tomoportal.ingest.steps.caption_files import make_captions
from tomoportal.ingest.steps.mask_files import make_mask, missing_label
from tomoportal.ingest.steps.mesh_files import make_mesh, make_oriented_mesh
from tomoportal.ingest.steps.point_files import read_source_points
from tomoportal.ingest.trees import OutsideError

__all__ = ["make", "plan"]

KIND = "annotation"
VERSION = 1


def plan(run: RunPlan, scope: Scope, spacing: float, volumes: tuple[Item, ...]) -> list[Item]:
    """The annotations of one voxel spacing (Å); ``volumes`` are the run's tomograms at this spacing."""
    items: list[Item] = []
    for index, entry in enumerate(run.planning.config.section("annotations")):
        shapes = _shapes(run, scope, index, entry)
        if shapes:
            items.append(_plan_one(run, scope, spacing, index, entry, shapes, volumes))
    return items


def _plan_one(
    run: RunPlan,
    scope: Scope,
    spacing: float,
    index: int,
    entry: Mapping[str, Any],
    shapes: list[dict[str, Any]],
    volumes: tuple[Item, ...],
) -> Item:
    metadata = run.expand(dict(entry["metadata"]), ("annotations", index, "metadata"), scope)
    if run.alignment is None:
        run.fail(
            ("annotations", index),
            "the run has no alignment that the annotation could belong to",
            "add a tomogram to the run, or name an alignment of the archive with a destination_glob",
        )
    target = metadata["annotation_object"]
    base = layout.annotation_base(target["name"], metadata.get("version", 1.0), target.get("description"))
    identity = identities.annotation(spacing, run.deposition_id, metadata["annotation_ingest_id"], run.alignment)
    folder = layout.voxel_spacing_prefix(run.dataset, run.run, spacing)
    archive_id = run.planning.records.predict(run.place, KIND, folder, identity)
    outputs: list[str] = []
    for shape in shapes:
        stored = SHAPES[shape["shape"]]
        shape["targets"] = _targets(run, spacing, archive_id, base, shape, shapes, index)
        repeated = next((target for target in shape["targets"].values() if target in outputs), None)
        if repeated is not None:
            run.fail(
                ("annotations", index, "sources", shape["number"]),
                f"two sources of the shape {stored} apply to one run, both would write {repeated.rpartition('/')[2]}",
                "bind each source to its runs with parent_filters, or use two annotation entries",
            )
        outputs += shape["targets"].values()
        if stored in POINT_SHAPES or shape["shape"] in MESH_SHAPES:
            shape["layer"] = layout.precompute(run.dataset, run.run, spacing, archive_id, base, stored)
        if "mesh" in shape:
            shape["mesh_layer"] = layout.precompute(run.dataset, run.run, spacing, archive_id, base, "OrientedMesh")
    volume = volumes[0] if volumes else None
    return run.add(
        Item(
            kind=KIND,
            place=run.place,
            identity=identity,
            title=f"{target['name']} ({metadata['annotation_ingest_id']})",
            sources=tuple(dict.fromkeys(shape["key"] for shape in shapes)),
            extra_sources=tuple(dict.fromkeys(shape["mesh"] for shape in shapes if "mesh" in shape)),
            outputs=tuple(outputs),
            document=layout.annotation_document(run.dataset, run.run, spacing, archive_id, base),
            archive_id=archive_id,
            id_scope=folder,
            config_path=f"annotations[{index}]",
            settings={
                "metadata": metadata,
                "shapes": shapes,
                "spacing": spacing,
                "alignment": run.alignment,
                "mrc": _tomogram_mrc(run, spacing, volume),
                "deposition_id": run.deposition_id,
                "stamp": run.planning.stamp_of(metadata, run.stamp),
            },
            needs=(*run.needs, *((run.alignment_item.label,) if run.alignment_item else ())),
            after=(volume.label,) if volume else (),
        )
    )


def _targets(
    run: RunPlan,
    spacing: float,
    archive_id: int,
    base: str,
    shape: Mapping[str, Any],
    shapes: list[dict[str, Any]],
    index: int,
) -> dict[str, str]:
    """The main files of a shape by extension."""
    where = (run.dataset, run.run, spacing, archive_id, base)
    stored = SHAPES[shape["shape"]]
    if stored == "GlobalCaption":
        return {"json": layout.annotation_global_caption(*where)}
    if stored == "AnnotationCaption":
        companion = str(shape["arguments"].get("companion_shape"))
        if companion not in SHAPES or companion in CAPTION_SHAPES:
            known = ", ".join(name for name in SHAPES if name not in CAPTION_SHAPES)
            run.fail(
                ("annotations", index, "sources", shape["number"], "AnnotationCaption", "companion_shape"),
                f"{companion!r} is not a shape of objects",
                f"choose one of {known}",
            )
        companion = SHAPES[companion]
        if companion not in {SHAPES[other["shape"]] for other in shapes}:
            run.warn(
                ("annotations", index, "sources", shape["number"], "AnnotationCaption"),
                f"the captions describe objects of a {companion}, which the annotation does not have here",
            )
        return {"json": layout.annotation_caption(*where, companion)}
    if stored in POINT_SHAPES:
        extensions: tuple[str, ...] = ("ndjson",)
    else:
        extensions = ("glb",) if shape["shape"] in MESH_SHAPES else ("zarr", "mrc")
    return {extension: layout.annotation_data(*where, stored, extension) for extension in extensions}


def make(item: Item, bench: Bench) -> Made:
    """Write the data files of every shape, the viewer's point layers, and the document."""
    settings = item.settings
    warnings: list[str] = []
    files: list[dict[str, Any]] = []
    absent: list[str] = []
    captions: list[dict[str, Any]] = []
    for shape in settings["shapes"]:
        if SHAPES[shape["shape"]] in POINT_SHAPES:
            files.append(_make_points(shape, item, bench, warnings))
        elif shape["shape"] in MESH_SHAPES:
            files.append(make_mesh(shape, item, bench, warnings))
        elif shape["shape"] in CAPTION_SHAPES:
            captions.append(make_captions(shape, bench, warnings))
        else:
            made = make_mask(shape, item, bench, warnings)
            if not made:
                absent.append(missing_label(shape))
            files += made
    if absent and not files:
        return Made(absent="; ".join(absent), warnings=tuple(warnings))
    warnings += absent
    document = {
        **settings["metadata"],
        "object_count": max((entry["object_count"] for entry in files), default=0),
        "files": [*files, *captions],
        "alignment_metadata_path": settings["alignment"],
        "deposition_id": settings["deposition_id"],
        "last_updated_at": settings["stamp"],
    }
    return Made(document, tuple(warnings))


def _shapes(run: RunPlan, scope: Scope, index: int, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sources of an entry that apply to this run and found their file, as settings of the item."""
    shapes: list[dict[str, Any]] = []
    for number, source in enumerate(entry.get("sources") or ()):
        name = next((shape for shape in SHAPES if source.get(shape) is not None), None)
        if name is None:
            continue
        arguments = dict(source[name])
        if not shape_is_ingested(name, arguments):
            continue  # named in the config's warnings
        path: Path = ("annotations", index, "sources", number, name)
        if not run.planning.passes(source, scope, path, run.name):
            continue
        key = _file(run, scope, path, source, arguments)
        if key is None:
            continue
        for template in ("filter_value", "mesh_source_path"):
            if isinstance(arguments.get(template), str):
                arguments[template] = run.expand(arguments[template], (*path, template), scope)
        template = arguments.pop("mesh_source_path", None)
        for ignored in ("glob_string", "glob_strings"):
            arguments.pop(ignored, None)
        shapes.append({"shape": name, "number": number, "key": key, "arguments": arguments})
        mesh = _mesh(run, (*path, "mesh_source_path"), template) if template else None
        if mesh is not None:
            shapes[-1]["mesh"] = mesh
    return shapes


def _file(
    run: RunPlan, scope: Scope, path: Path, source: Mapping[str, Any], arguments: Mapping[str, Any]
) -> str | None:
    patterns = arguments.get("glob_strings") or ([arguments["glob_string"]] if arguments.get("glob_string") else [])
    keys: set[str] = set()
    expanded: list[str] = []
    for pattern in patterns:
        expanded.append(run.expand(pattern, path, scope))
        try:
            keys.update(run.planning.source.glob(expanded[-1]))
        except OutsideError as error:
            run.fail(path, str(error), f"keep sources below source_prefix, or give another {ROOT_OPTION}")
    found = tuple(Found(key.rpartition("/")[2], key) for key in sorted(keys))
    search = without_excluded(Search(found, () if found else tuple(expanded)), source)
    run.planning.asked(path, run.name, search)
    kept = search.found
    _check_links(run, path, kept)
    if len(kept) > 1:
        names = ", ".join(item.key or "" for item in kept[:5])
        run.fail(
            path,
            f"{len(kept)} files for one annotation file: {names}",
            "narrow the glob to one file per run and spacing",
        )
    return kept[0].key if kept else None


def _check_links(run: RunPlan, path: Path, found: Iterable[Found]) -> None:
    for item in found:
        try:
            run.planning.source.check_inside(item.key or "")
        except OutsideError as error:
            run.fail(path, str(error), LINKS_FIX)


def _mesh(run: RunPlan, path: Path, template: str) -> str | None:
    """Key of the mesh that is drawn at oriented points; one that is not there is told like any other source."""
    try:
        found = run.planning.source.glob(template)
    except OutsideError as error:
        run.fail(path, str(error), f"keep sources below source_prefix, or give another {ROOT_OPTION}")
    run.planning.asked(path, run.name, Search((), (template,)) if not found else Search((Found(template, found[0]),)))
    _check_links(run, path, [Found(key, key) for key in found])
    if len(found) > 1:
        run.fail(path, f"{len(found)} files for one mesh: {', '.join(found[:5])}", "name one file")
    return found[0] if found else None


def _tomogram_mrc(run: RunPlan, spacing: float, volume: Item | None) -> str | None:
    """Key of the tomogram that the annotation lies in: of this plan, else of the archive."""
    if volume is not None:
        return str(volume.settings["mrc"])
    for _, document in run.planning.records.documents(run.place, "tomogram"):
        same_spacing = abs(float(document.get("voxel_spacing") or 0) - spacing) < 0.0005
        if same_spacing and document.get("alignment_metadata_path") == run.alignment and document.get("mrc_file"):
            return str(document["mrc_file"])
    return None


def _make_points(shape: Mapping[str, Any], item: Item, bench: Bench, warnings: list[str]) -> dict[str, Any]:
    arguments, settings = shape["arguments"], item.settings
    size = tomogram_shape(settings["mrc"], bench)
    points = read_source_points(shape["shape"], shape["key"], arguments, settings["spacing"], size, bench, warnings)
    if size is not None and len(points):
        outside = int(points.outside(size).sum())
        if outside:
            nz, ny, nx = size
            warnings.append(
                f"{shape['key']}: {outside} of {len(points)} points lie outside the tomogram"
                f" ({nx} × {ny} × {nz} voxels)"
            )
    target = shape["targets"]["ndjson"]
    bench.target.put(target, write_points(points))
    target_object = settings["metadata"]["annotation_object"]
    layer = annotation_layer(
        points,
        voxel_spacing=settings["spacing"],
        object_name=target_object["name"],
        color=color_of(target_object["id"]),
        shape=size,
    )
    write_point_layer(bench.target, shape["layer"], layer)
    if "mesh" in shape:
        make_oriented_mesh(shape, points, item, bench, warnings)
    return file_entry("ndjson", target, shape, points.object_count)
