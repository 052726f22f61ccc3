"""What the viewer is made of: the client's files, the state of a run, annotation layers.

Wire facts: reference ``viewer.md``.
"""

from __future__ import annotations

from tomoportal.server.viewer.annotations import AnnotationLayers
from tomoportal.server.viewer.client import ViewerClient
from tomoportal.server.viewer.states import ViewerStates

__all__ = ["AnnotationLayers", "ViewerClient", "ViewerStates"]
