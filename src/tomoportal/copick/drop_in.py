"""``import copick`` resolves to this room, so that released plug-ins run on it (reference copick-api, 1 and 16).

:func:`install` puts a finder first on the import path; a module of that name and its sub-modules then hand out names of
ours. A module that we do not provide yet is a ``ModuleNotFoundError`` that says so.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final, cast

__all__ = ["install", "is_installed"]

_ROOM: Final = "tomoportal.copick"
_ENTITIES: Final = (
    "Root",
    "Run",
    "VoxelSpacing",
    "Tomogram",
    "Features",
    "Picks",
    "Mesh",
    "Segmentation",
    "Object",
    "Filaments",
)
_HOME: Final = {
    "Root": "root", "Run": "runs", "VoxelSpacing": "spacings", "Tomogram": "tomograms", "Features": "features",
    "Picks": "picks", "Mesh": "meshes", "Segmentation": "segmentations", "Object": "objects", "Filaments": "filaments",
}  # fmt: skip


def _names(module: str, *names: str, **renamed: str) -> dict[str, tuple[str, str]]:
    return {**{name: (module, name) for name in names}, **{theirs: (module, ours) for theirs, ours in renamed.items()}}


_OPENING = _names("opening", "from_file", "from_string", "new_config")
_MODELS: Final[dict[str, tuple[str, str]]] = {
    **{f"Copick{name}": (_HOME[name], f"Copick{name}") for name in _ENTITIES},
    **_names("runs", "CopickRunMeta"),
    **_names("spacings", "CopickVoxelSpacingMeta"),
    **_names("tomograms", "CopickTomogramMeta"),
    **_names("features", "CopickFeaturesMeta"),
    **_names("meshes", "CopickMeshMeta"),
    **_names("segmentations", "CopickSegmentationMeta"),
    **_names("points", "CopickLocation", "CopickPoint", "CopickPicksFile"),
    **_names("filaments", "CopickFilament", "CopickFilamentCurve", "CopickFilamentsFile", "CURVE_KINDS"),
    **_names(
        "config",
        "CopickConfig",
        "PickableObject",
        "FilamentSpec",
        "COPICK_METADATA_NAMESPACE",
        "FILAMENT_METADATA_KEY",
        "RESERVED_NAME_SUFFIXES",
    ),
    **_names("labels", "PANOPTIC_CHANNELS"),
    "COPICK_TYPES": ("", "COPICK_TYPES"),
}
_MODULES: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "copick": {**_OPENING, "COPICK_TYPES": ("", "COPICK_TYPES"), "__version__": ("", "__version__")},
    "copick.models": _MODELS,
    "copick.impl": {},
    "copick.impl.filesystem": {
        **{f"Copick{name}FSSpec": (_HOME[name], f"Copick{name}") for name in _ENTITIES},
        **_names("config", "CopickConfigFSSpec"),
    },
    "copick.impl.overlay": {
        f"Copick{name}Overlay": (_HOME[name], f"Copick{name}") for name in _ENTITIES if name != "Root"
    },
    "copick.ops": {},
    "copick.ops.open": _OPENING,
    "copick.util": {},
    "copick.util.escape": _names("names", "sanitize_name"),
    "copick.util.log": _names("logs", "get_logger"),
    "copick.util.segmentation": {
        **_names("labels", "label_dtype", "checked_label_cast", "panoptic_channel_index", "check_panoptic_values"),
        **_names("names", "SEGMENTATION_TYPES", SEGMENTATION_DIRECTORIES="SEGMENTATION_FOLDERS"),
    },
    "copick.util.uri": {
        **_names(
            "uri",
            "get_copick_objects_by_type",
            "parse_copick_uri",
            "resolve_copick_objects",
            "serialize_copick_uri",
            "serialize_copick_uri_from_dict",
            _matches_pattern="matches_pattern",
            _matches_numeric_pattern="matches_number",
        ),
        **_names("uri_expansion", "expand_output_uri"),
    },
}


class _Alias(ModuleType):
    """A module whose names are looked up in ours when they are first used."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"The names of {name}, from {_ROOM}.")
        self._names = _MODULES[name]
        self.__all__ = [each for each in self._names if not each.startswith("_") or each == "__version__"]
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        try:
            module, ours = self._names[name]
        except KeyError:
            below = f"{self.__name__}.{name}"
            if below in _MODULES:
                return importlib.import_module(below)
            raise AttributeError(
                f"module {self.__name__!r} (provided by tomoportal) has no attribute {name!r}"
            ) from None
        return getattr(importlib.import_module(f"{_ROOM}.{module}" if module else _ROOM), ours)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._names])


class _Finder:
    """Finds and loads ``copick`` and everything below it; the base classes of importlib would cost a long import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname in _MODULES:
            return importlib.machinery.ModuleSpec(fullname, cast(Any, self), is_package=True)
        if fullname.startswith("copick."):
            raise ModuleNotFoundError(f"{fullname} is not provided by tomoportal.copick", name=fullname)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Alias(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


def is_installed() -> bool:
    """Whether ``import copick`` means this room."""
    return any(isinstance(each, _Finder) for each in sys.meta_path)


def install() -> None:
    """Make ``import copick`` mean this room, in this process.

    Raises :class:`SettingsError` if the other package has been imported already.
    """
    if is_installed():
        return
    known = sys.modules.get("copick")
    if known is not None and not isinstance(known, _Alias):
        from tomoportal.errors import SettingsError

        raise SettingsError(
            "the PyPI package copick has been imported already in this process",
            where="tomoportal.copick.install",
            fix="call install() before the first import of copick, or set TOMOPORTAL_AS_COPICK=1",
        )
    sys.meta_path.insert(0, cast(Any, _Finder()))
