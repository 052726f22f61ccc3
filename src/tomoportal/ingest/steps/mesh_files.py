"""Meshes of an annotation: surfaces in any format → GLB with vertices in voxels, and what the viewer reads.

Oriented points may come with a mesh too: the viewer draws it at every point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tomoportal.errors import IngestError
from tomoportal.formats.meshes import Mesh, outside_volume, placed, read_mesh, simplified, write_glb
from tomoportal.formats.neuroglancer.meshes import write_mesh_layer
from tomoportal.formats.points import VoxelPoints
from tomoportal.ingest.bench import Bench
from tomoportal.ingest.plan import Item
from tomoportal.ingest.steps.annotation_files import file_entry, tomogram_shape

__all__ = ["make_mesh", "make_oriented_mesh", "read_source_mesh", "write_layer"]

_MOST_TRIANGLES = 500_000
"""Of all instances together: about 9 MB, which a browser draws smoothly."""
_FEWEST = 20
"""Triangles of one instance: with fewer it is no shape."""


def make_mesh(shape: Mapping[str, Any], item: Item, bench: Bench, warnings: list[str]) -> dict[str, Any]:
    """Write one surface; ``scale_factor`` leads from the file's unit to voxels of the annotation (transforms 7)."""
    key = shape["key"]
    mesh = read_source_mesh(shape, bench)
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
    write_layer(shape["layer"], mesh, item, bench)
    return file_entry("glb", target, shape, 1)


def read_source_mesh(shape: Mapping[str, Any], bench: Bench) -> Mesh:
    """The surface in voxels. Raises `FormatError`, and `IngestError` for a scale_factor that is not above 0."""
    arguments, key = shape["arguments"], shape["key"]
    segment = arguments.get("name") or arguments.get("mesh_name")
    mesh = read_mesh(bench.read(key), key, file_format=arguments["file_format"], segment=segment)
    factor = 1.0 if arguments.get("scale_factor") is None else float(arguments["scale_factor"])
    if not factor > 0:
        raise IngestError(
            f"the scale_factor is {factor:g}", where=key, fix="give the number that leads from its unit to voxels"
        )
    return mesh.scaled(factor)


def make_oriented_mesh(
    shape: Mapping[str, Any], points: VoxelPoints, item: Item, bench: Bench, warnings: list[str]
) -> None:
    """The viewer's layer of the mesh in ``mesh_source_path`` at every point; the mesh is in Å around the particle."""
    key = shape["mesh"]
    if not len(points):
        return
    each = _MOST_TRIANGLES // len(points)
    if each < _FEWEST:
        warnings.append(f"{key}: not drawn at {len(points)} points, which are too many; the viewer shows the points")
        return
    template = read_mesh(bench.read(key), key).scaled(1 / float(item.settings["spacing"]))
    low, high = template.bounds
    if (low > 0).any() or (high < 0).any():
        warnings.append(
            f"{key}: the mesh lies beside its origin, and so beside the particles: in voxels it reaches from"
            f" ({', '.join(f'{value:.1f}' for value in low)}) to ({', '.join(f'{value:.1f}' for value in high)})"
        )
    write_layer(shape["mesh_layer"], placed(simplified(template, each), points), item, bench)


def write_layer(prefix: str, mesh: Mesh, item: Item, bench: Bench) -> None:
    """Write what the viewer reads of a surface of the annotation, in voxels, with fewer triangles where it has many."""
    name = str(item.settings["metadata"]["annotation_object"]["name"])
    write_mesh_layer(bench.target, prefix, simplified(mesh, _MOST_TRIANGLES), name)
