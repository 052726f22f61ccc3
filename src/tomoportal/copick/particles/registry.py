"""Handlers by the name of a format, a path or an ending (``copick.util.handlers.registry``)."""

from __future__ import annotations

from typing import Any, ClassVar

from tomoportal.copick.particles.handlers import (
    PicksFormatHandler,
    VolumeFormatHandler,
    csv_handler,
    dynamo_handler,
    em_handler,
    em_picks_handler,
    mrc_handler,
    tiff_handler,
    zarr_handler,
)
from tomoportal.copick.particles.star_handler import star_handler

__all__ = ["FormatRegistry", "get_picks_format_from_path", "get_volume_format_from_path"]


class FormatRegistry:
    """Handlers by the name of a format, by a path or by an ending; plug-ins may add theirs."""

    _volumes: ClassVar[dict[str, Any]] = {
        each.format_name: each for each in (mrc_handler, zarr_handler, tiff_handler, em_handler)
    }
    _picks: ClassVar[dict[str, Any]] = {
        each.format_name: each for each in (em_picks_handler, star_handler, dynamo_handler, csv_handler)
    }

    @staticmethod
    def _found(handlers: dict[str, Any], name: str) -> Any:
        given = name.lower().rstrip("/")
        if given in handlers:
            return handlers[given]
        return next((each for each in reversed(handlers.values()) if given.endswith(each.extensions)), None)

    @classmethod
    def register_volume_handler(cls, handler: VolumeFormatHandler) -> None:
        cls._volumes[handler.format_name] = handler

    @classmethod
    def register_picks_handler(cls, handler: PicksFormatHandler) -> None:
        cls._picks[handler.format_name] = handler

    @classmethod
    def get_volume_handler(cls, format_or_path: str) -> VolumeFormatHandler | None:
        """The handler of a format or a path, or None."""
        found: VolumeFormatHandler | None = cls._found(cls._volumes, format_or_path)
        return found

    @classmethod
    def get_picks_handler(cls, format_or_path: str) -> PicksFormatHandler | None:
        """The handler of a format or a path, or None."""
        found: PicksFormatHandler | None = cls._found(cls._picks, format_or_path)
        return found

    @classmethod
    def get_volume_handler_for_extension(cls, extension: str) -> VolumeFormatHandler | None:
        return cls.get_volume_handler(f"x.{extension.lstrip('.')}")

    @classmethod
    def get_picks_handler_for_extension(cls, extension: str) -> PicksFormatHandler | None:
        return cls.get_picks_handler(f"x.{extension.lstrip('.')}")

    @classmethod
    def list_volume_formats(cls) -> list[str]:
        return list(cls._volumes)

    @classmethod
    def list_picks_formats(cls) -> list[str]:
        return list(cls._picks)


def get_volume_format_from_path(path: str) -> str | None:
    """The format of a volume by its path, or None."""
    found = FormatRegistry.get_volume_handler(path)
    return found.format_name if found is not None else None


def get_picks_format_from_path(path: str) -> str | None:
    """The format of picks by their path, or None."""
    found = FormatRegistry.get_picks_handler(path)
    return found.format_name if found is not None else None
