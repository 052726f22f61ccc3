"""Where an entity lies in the static source and in the overlay, whether it is there or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tomoportal.copick.pickles import Pickled
from tomoportal.copick.sources import Source

if TYPE_CHECKING:
    from tomoportal.copick.root import CopickRoot

__all__ = ["TwoSided"]


class TwoSided(Pickled):
    """An entity with one place per source."""

    @property
    def _project(self) -> CopickRoot:
        found: CopickRoot = self.root  # type: ignore[attr-defined]
        return found

    def _key_in(self, source: Source) -> str:
        key: str = self._key  # type: ignore[attr-defined]
        return key

    @property
    def static_path(self) -> str:
        """In the static source; empty if there is none."""
        source = self._project._static
        return source.where(self._key_in(source)) if source is not None else ""

    @property
    def overlay_path(self) -> str:
        return self._project._overlay.where(self._key_in(self._project._overlay))

    @property
    def fs_static(self) -> Any:
        return self._project.fs_static

    @property
    def fs_overlay(self) -> Any:
        return self._project.fs_overlay

    @property
    def static_is_overlay(self) -> bool:
        return self._project.static_is_overlay
