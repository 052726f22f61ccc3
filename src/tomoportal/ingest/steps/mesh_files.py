"""Meshes of an annotation: surfaces of triangles in any format → GLB with vertices in voxels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tomoportal.errors import IngestError
from tomoportal.formats.meshes import outside_volume, read_mesh, write_glb
from tomoportal.ingest.bench import Bench
from tomoportal.ingest.plan import Item
from tomoportal.ingest.steps.annotation_files import file_entry, tomogram_shape

__all__ = ["make_mesh"]


def make_mesh(shape: Mapping[str, Any], item: Item, bench: Bench, warnings: list[str]) -> dict[str, Any]:
    """Write one surface; ``scale_factor`` leads from the file's unit to voxels of the annotation (transforms 7)."""
    arguments, key = shape["arguments"], shape["key"]
    segment = arguments.get("name") or arguments.get("mesh_name")
    mesh = read_mesh(bench.read(key), key, file_format=arguments["file_format"], segment=segment)
    factor = 1.0 if arguments.get("scale_factor") is None else float(arguments["scale_factor"])
    if not factor > 0:
        raise IngestError(
            f"the scale_factor is {factor:g}", where=key, fix="give the number that leads from its unit to voxels"
        )
    mesh = mesh.scaled(factor)
    size = tomogram_shape(item.settings["mrc"], bench)
    if size is not None:
        outside = outside_volume(mesh, (size[2], size[1], size[0]))
        if outside:
            low, high = (", ".join(f"{value:.1f}" for value in corner) for corner in mesh.bounds)
            warnings.append(
                f"{key}: {outside} of {len(mesh.vertices)} vertices lie outside the tomogram"
                f" ({size[2]} × {size[1]} × {size[0]} voxels); the mesh reaches from ({low}) to ({high}),"
                " check its scale_factor"
            )
    target = shape["targets"]["glb"]
    bench.target.put(target, write_glb(mesh, unit="voxel"))
    return file_entry("glb", target, shape, 1)
