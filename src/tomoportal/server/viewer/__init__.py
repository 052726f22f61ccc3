"""What the viewer is made of: the client's files, the state of a run, annotation layers, meshes.

Wire facts: reference ``viewer.md``.
"""

from __future__ import annotations

from tomoportal.server.viewer.annotations import AnnotationLayers
from tomoportal.server.viewer.client import ViewerClient
from tomoportal.server.viewer.meshes import MeshLayers
from tomoportal.server.viewer.states import ViewerStates

__all__ = ["AnnotationLayers", "MeshLayers", "ViewerClient", "ViewerStates"]
