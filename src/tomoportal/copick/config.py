"""The config of a project: what can be picked, who works on it, where the files are (reference copick-model, 4–6)."""

from __future__ import annotations

import difflib
import json
import re
import warnings
from importlib import import_module
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AliasChoices, ConfigDict, Field, field_validator, model_validator

from tomoportal.copick.lazy_models import LazyModel
from tomoportal.copick.logs import get_logger
from tomoportal.copick.names import is_clean
from tomoportal.errors import AnnotationError, FormatError, Problem

__all__ = [
    "COPICK_METADATA_NAMESPACE",
    "FILAMENT_METADATA_KEY",
    "RESERVED_NAME_SUFFIXES",
    "CopickConfig",
    "CopickConfigFSSpec",
    "FilamentSpec",
    "PickableObject",
    "config_problems",
    "dump_config",
    "load_config",
]

COPICK_METADATA_NAMESPACE: Final = "copick"
FILAMENT_METADATA_KEY: Final = "filament"
RESERVED_NAME_SUFFIXES: Final = ("-multilabel",)
_TYPES: Final = "'filesystem', 'cryoet_data_portal', and 'mlcroissant'"
_HOMES: Final = {
    "filesystem": "config:CopickConfigFSSpec",
    "cryoet_data_portal": "portal.config:CopickConfigCDP",
    "mlcroissant": "croissant.root:CopickConfigMLCroissant",
}
_HINT: Final = "Use copick.escape.sanitize_name() to clean it."
_COMMENTS: Final = re.compile(r'("(?:[^"\\\n]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMAS: Final = re.compile(r'("(?:[^"\\\n]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)

_Channel = Annotated[int, Field()]


class FilamentSpec(LazyModel):
    """What ``metadata.copick.filament`` of an object declares, in Å and degrees. Unknown keys are kept."""

    model_config = ConfigDict(extra="allow")

    polar: bool | None = None
    helical_rise_a: float | None = Field(default=None, gt=0)
    helical_twist_deg: float | None = None


class PickableObject(LazyModel):
    """An object that can be annotated. ``radius`` is in Å, ``color`` is RGBA from 0 to 255; unknown keys are kept."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    name: str
    is_particle: bool
    label: int | None = 1
    color: tuple[_Channel, _Channel, _Channel, _Channel] | None = (100, 100, 100, 255)
    emdb_id: str | None = None
    pdb_id: str | None = None
    identifier: str | None = Field(default=None, validation_alias=AliasChoices("identifier", "go_id"))
    map_threshold: float | None = None
    radius: float | None = None
    metadata: dict[str, Any] | None = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _name_is_clean(cls, name: str) -> str:
        if not is_clean(name):
            raise ValueError(f"Name '{name}' contains invalid characters. {_HINT}")
        if name.endswith(RESERVED_NAME_SUFFIXES):
            get_logger("tomoportal.copick").warning(
                "The object name '%s' ends in -multilabel, a segmentation type suffix: its own segmentations"
                " would be taken for multilabel ones",
                name,
            )
        return name

    @field_validator("label")
    @classmethod
    def _label_is_free(cls, label: int | None) -> int | None:
        if label == 0:
            raise ValueError("Label 0 is reserved for background.")
        if label is not None and label < 0:
            raise ValueError(f"Label {label} is negative; labels are whole numbers from 1.")
        return label

    @field_validator("color", mode="before")
    @classmethod
    def _color_is_given(cls, color: Any) -> Any:
        if color is None:
            raise ValueError("Color is null; leave the key out for the default, or give four values.")
        return color

    @field_validator("color")
    @classmethod
    def _color_is_in_range(cls, color: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        if any(not 0 <= value <= 255 for value in color):
            raise ValueError("Color values must be in the range [0, 255].")
        return color

    @field_validator("metadata", mode="before")
    @classmethod
    def _metadata_is_there(cls, metadata: Any) -> Any:
        return {} if metadata is None else metadata

    @model_validator(mode="after")
    def _filament_is_particle(self) -> PickableObject:
        part = (self.metadata or {}).get(COPICK_METADATA_NAMESPACE)
        declared = part.get(FILAMENT_METADATA_KEY) if isinstance(part, dict) else None
        if declared is not None and not isinstance(declared, dict):
            raise ValueError(f"The filament declaration of '{self.name}' must be an object, not {declared!r}.")
        if self.filament is not None and not self.is_particle:
            raise ValueError(f"The filament '{self.name}' must be a particle (is_particle: true).")
        return self

    @property
    def go_id(self) -> str | None:
        """The former name of ``identifier``."""
        return self.identifier

    @go_id.setter
    def go_id(self, value: str | None) -> None:
        self.identifier = value

    @property
    def filament(self) -> FilamentSpec | None:
        """The declaration as a filament, if there is one."""
        part = (self.metadata or {}).get(COPICK_METADATA_NAMESPACE)
        found = part.get(FILAMENT_METADATA_KEY) if isinstance(part, dict) else None
        return FilamentSpec.model_validate(found) if isinstance(found, dict) else None

    @property
    def is_filament(self) -> bool:
        return self.filament is not None

    def set_filament(self, filament: FilamentSpec | dict[str, Any] | None) -> None:
        """Declare the object a filament, or take the declaration back."""
        metadata = dict(self.metadata or {})
        part = metadata.get(COPICK_METADATA_NAMESPACE, {})
        if not isinstance(part, dict):
            raise AnnotationError(
                "metadata['copick'] holds a non-dict value; copick reserves this key for what it declares.",
                where=self.name,
                fix="move the value to another key",
            )
        part = dict(part)
        if filament is None:
            part.pop(FILAMENT_METADATA_KEY, None)
        else:
            if not self.is_particle:
                raise AnnotationError(f"The filament '{self.name}' must be a particle.", fix="set is_particle to true")
            checked = filament if isinstance(filament, FilamentSpec) else FilamentSpec.model_validate(filament)
            part[FILAMENT_METADATA_KEY] = checked.model_dump(exclude_none=True)
        metadata[COPICK_METADATA_NAMESPACE] = part
        if not part:
            del metadata[COPICK_METADATA_NAMESPACE]
        self.metadata = metadata


class CopickConfig(LazyModel):
    """What the configs of all back ends hold. Unknown keys are kept when the config is saved."""

    model_config = ConfigDict(extra="allow")

    ROOT: ClassVar[str] = ""
    """The class that opens the project: ``module:name`` below this room."""
    OURS: ClassVar[tuple[str, ...]] = ("strict", "history", "volume_history", "compact", "zarr_format")
    """Keys that upstream does not know; written only where they are set."""

    name: str | None = "CoPick"
    description: str | None = "Let's CoPick!"
    version: str | None = "0.2.0"
    pickable_objects: list[PickableObject]
    user_id: str | None = None
    session_id: str | None = None
    runs: list[str] | None = None
    voxel_spacings: list[float] | None = None
    tomograms: dict[float, list[str]] | None = Field(default_factory=dict)
    strict: bool | None = None
    """Ours: refuse names that upstream would alter, duplicates and unknown keys instead of warning."""
    history: int | None = Field(default=None, ge=0)
    """Ours: how many previous versions of a document are kept (20 if not given)."""
    volume_history: int | None = Field(default=None, ge=0)
    """Ours: how many previous versions of a segmentation are kept (3 if not given); of other volumes there are none."""
    zarr_format: Literal[2, 3] | None = None
    """Ours: the version of Zarr of new volumes: 2, which every copick reads, or 3 (copick 2.0)."""
    compact: bool | None = None
    """Ours: write picks without blanks and line ends, in about a third of the space."""

    @field_validator("user_id", "session_id")
    @classmethod
    def _id_is_clean(cls, value: str | None, info: Any) -> str | None:
        if value is not None and not is_clean(value):
            raise ValueError(f"{info.field_name} '{value}' contains invalid characters. {_HINT}")
        return value

    @classmethod
    def from_file(cls, filename: str) -> CopickConfig:
        """Read a config from a local path."""
        with open(filename, encoding="utf-8") as file:
            return cls.model_validate(load_json(file.read(), str(filename)))


class CopickConfigFSSpec(CopickConfig):
    """Files below fsspec URLs: ``overlay_root`` is written, ``static_root`` only read."""

    ROOT: ClassVar[str] = "root:CopickRoot"

    config_type: Literal["filesystem"] = "filesystem"
    overlay_root: str
    static_root: str | None = None
    overlay_fs_args: dict[str, Any] | None = Field(default_factory=dict)
    static_fs_args: dict[str, Any] | None = Field(default_factory=dict)


def load_json(text: str, where: str) -> dict[str, Any]:
    """A JSON object in which comments and trailing commas are allowed. Raises :class:`FormatError`."""
    try:
        try:
            found = json.loads(text)
        except ValueError:
            found = json.loads(_relaxed(text))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the config is no JSON: {error}", where=where, fix="correct the text there") from error
    if not isinstance(found, dict):
        raise FormatError("the config is no JSON object", where=where, fix='write it as {"pickable_objects": […], …}')
    return found


def _relaxed(text: str) -> str:
    """Blanks in the place of comments, so that positions in messages stay right."""
    plain = _COMMENTS.sub(lambda match: match[1] or re.sub(r"[^\n]", " ", match[0]), text)
    return _TRAILING_COMMAS.sub(lambda match: match[1] or " ", plain)


def load_config(text: str, where: str = "config") -> CopickConfig:
    """The config in a JSON text; what is doubtful in it is warned about, or refused if it says ``strict``."""
    data = load_json(text, where)
    kind = data.get("config_type")
    if kind is None:
        warnings.warn(
            "config_type not found in config file, defaulting to filesystem", DeprecationWarning, stacklevel=3
        )
        kind = "filesystem"
    config = _class_of(str(kind), where).model_validate(data)
    problems = config_problems(config)
    if problems and config.strict:
        raise AnnotationError(
            "the strict config has problems: " + "; ".join(map(str, problems)), where=where, fix="correct them"
        )
    for problem in problems:
        warnings.warn(str(problem), UserWarning, stacklevel=3)
    return config


def _class_of(kind: str, where: str) -> type[CopickConfig]:
    """The config class of a back end, whose module is loaded when a project of that type is opened (C70)."""
    if kind not in _HOMES:
        raise AnnotationError(f"Unknown config_type: {kind}. Supported types are {_TYPES}.", where=where)
    module, _, name = _HOMES[kind].partition(":")
    found: type[CopickConfig] = getattr(import_module(f"tomoportal.copick.{module}"), name)
    return found


def config_problems(config: CopickConfig) -> list[Problem]:
    """Unknown keys with the nearest known one, and names and labels that occur twice (C34, C35)."""
    found = []
    known = set(type(config).model_fields)
    for key in config.model_extra or {}:
        near = difflib.get_close_matches(key, known, 1)
        fix = f"write {near[0]!r}" if near else "remove it if nobody reads it; it is kept as it is"
        found.append(Problem(key, "unknown key of the config", fix))
    for field in ("name", "label"):
        seen: dict[Any, int] = {}
        for number, each in enumerate(config.pickable_objects):
            value = getattr(each, field)
            if value in seen and value is not None:
                where = f"pickable_objects[{number}].{field}"
                what = f"{value!r} is that of pickable_objects[{seen[value]}] already"
                found.append(Problem(where, what, f"give every object a {field} of its own"))
            else:
                seen[value] = number
    return found


def dump_config(config: CopickConfig) -> bytes:
    """The config as JSON, 4 blanks deep, nulls and unknown keys included; keys of ours only where they are set."""
    document = config.model_dump(mode="json")
    for ours in config.OURS:
        if document.get(ours) is None:
            document.pop(ours, None)
    return json.dumps(document, indent=4).encode()
