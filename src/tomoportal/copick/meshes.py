"""Meshes: surfaces of one object by one user or tool in one session, as GLB with vertices in Å, x, y, z."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from tomoportal.copick.documents import RunDocument
from tomoportal.copick.lazy_models import LazyModel
from tomoportal.copick.names import DocumentName
from tomoportal.copick.sources import Source
from tomoportal.errors import FormatError, MissingPartError

if TYPE_CHECKING:
    from tomoportal.copick.runs import CopickRun

__all__ = ["CopickMesh", "CopickMeshMeta", "empty_mesh"]


class CopickMeshMeta(LazyModel):
    """Who made a mesh of what."""

    pickable_object_name: str
    user_id: str
    session_id: str


class CopickMesh(RunDocument):
    """A trimesh scene or geometry, read when :attr:`mesh` is asked for; an assigned one is in memory until stored."""

    FOLDER = "Meshes"
    ENDING = ".glb"
    WHAT = "mesh"

    def __init__(
        self,
        run: CopickRun,
        meta: CopickMeshMeta,
        mesh: Any = None,
        read_only: bool = False,
        *,
        source: Source | None = None,
        etag: str | None = None,
    ) -> None:
        self._place(
            run, DocumentName(meta.user_id, meta.session_id, meta.pickable_object_name), read_only, source, etag
        )
        self.meta = meta
        self._mesh = mesh

    @property
    def mesh(self) -> Any:
        """The trimesh ``Scene`` or geometry; vertices in Å, x, y, z."""
        if self._mesh is None:
            self.load()
        return self._mesh

    @mesh.setter
    def mesh(self, value: Any) -> None:
        self._mesh = value

    def _empty(self) -> bytes:
        return empty_mesh()

    def _decoded(self, data: bytes) -> Any:
        trimesh = _trimesh()
        try:
            if not data.startswith(b"glTF"):  # JSON would become an empty scene
                raise ValueError("it does not begin with glTF")
            return trimesh.load(io.BytesIO(data), file_type="glb")
        except Exception as error:  # its readers raise whatever damaged bytes lead to
            raise FormatError(f"this is no GLB: {error}", where=self.path, fix="restore a version") from error

    def _hold(self, content: Any) -> Any:
        self._mesh = content
        return content

    def store(self, *, overwrite: bool = False) -> None:
        """Save. Raises :class:`ConflictError` if somebody else saved since it was loaded, unless ``overwrite``."""
        self._source.refuse_if_read_only("store mesh")
        if self._mesh is None:
            return
        trimesh = _trimesh()
        scene = self._mesh if isinstance(self._mesh, trimesh.Scene) else trimesh.Scene([self._mesh])
        data = trimesh.exchange.gltf.export_glb(scene)
        self._write(bytes(data), overwrite=overwrite)


def empty_mesh() -> bytes:
    """A GLB without geometry."""
    chunk = b'{"asset":{"generator":"tomoportal","version":"2.0"},"scene":0,'
    chunk += b'"scenes":[{"nodes":[0]}],"nodes":[{"name":"world"}]}'
    chunk += b" " * (-len(chunk) % 4)
    size = 12 + 8 + len(chunk)
    return (
        b"glTF"
        + (2).to_bytes(4, "little")
        + size.to_bytes(4, "little")
        + len(chunk).to_bytes(4, "little")
        + b"JSON"
        + chunk
    )


def _trimesh() -> Any:
    try:
        import trimesh
    except ImportError as error:
        raise MissingPartError(
            "the package trimesh is not installed", where="meshes", fix="pip install 'tomoportal[copick]'"
        ) from error
    return trimesh
