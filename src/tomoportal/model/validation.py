"""Validation of metadata documents and ingestion configs: every problem at once, each in one line.

``validate_document`` and ``validate_config`` return the errors. ``check_document`` and ``check_config`` return errors
and warnings as :class:`Checked`; a reader of foreign archives uses ``check_document``, which only warns of what readers
accept (unknown keys, fractional time stamps, older spellings).
"""

from __future__ import annotations

import difflib
import importlib
import re
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tomoportal.errors import ConfigError, Problem
from tomoportal.model.rules import config_errors, config_warnings, document_errors, document_warnings
from tomoportal.model.values import REFUSED, Matrix

__all__ = [
    "CLASSES",
    "KINDS",
    "Checked",
    "canonical_config",
    "check_config",
    "check_document",
    "validate_config",
    "validate_document",
]

CLASSES: Final = {
    "dataset": "DatasetMetadata",
    "deposition": "DepositionMetadata",
    "run": "RunMetadata",
    "frames": "FramesMetadata",
    "tiltseries": "TiltSeriesMetadata",
    "alignment": "AlignmentMetadata",
    "tomogram": "TomogramMetadata",
    "annotation": "AnnotationMetadata",
    "identified_objects": "IdentifiedObjectsMetadata",
}

KINDS: Final = tuple(CLASSES)
"""Kinds of metadata documents."""

_OLD_SHAPES: Final = ("SemanticSegmentationMask", "TriangularMeshGroup", "Mesh")
_MAY_BE_MISSING: Final = {
    "dataset": (
        "assay",
        "cell_component",
        "cell_strain",
        "cell_type",
        "development_stage",
        "disease",
        "organism",
        "tissue",
    ),
    "frames": ("dose_rate", "is_gain_corrected", "frames_acquisition_file"),
    "tiltseries": ("ctf_path", "frames_count", "per_section_parameter", "raw_tlt_path"),
    "alignment": (
        "affine_transformation_matrix",
        "alignment_type",
        "files",
        "is_portal_standard",
        "method_type",
        "tilt_offset",
        "tiltx_path",
        "volume_offset",
        "x_rotation_offset",
    ),
    "tomogram": ("alignment_metadata_path", "key_photo", "neuroglancer_config_path"),
    "annotation": ("alignment_metadata_path", "annotation_ingest_id"),
}
"""Keys that documents of older versions or of other programs lack; readers fill in a default or null."""

_ORCID: Final = "[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]"
_OLD_STATUS: Final = ("true", "false", "fiducial", "non_fiducial")


@dataclass(frozen=True)
class Checked:
    """Outcome of a check: ``errors`` make the input unusable, ``warnings`` do not."""

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    def __bool__(self) -> bool:
        return not self.errors


def validate_document(kind: str, data: object) -> list[Problem]:
    """Errors of a document that is about to be written; ``kind`` is one of ``KINDS``.

    ``where`` of a problem is the dotted path of the key: ``files[0].shape``.
    """
    return [problem for problem, _ in _structure(_document_class(kind), data)] + list(document_errors(kind, data))


def check_document(kind: str, data: object) -> Checked:
    """Errors and warnings of a document of any archive: what readers accept is only a warning."""
    errors: list[Problem] = []
    warnings: list[Problem] = []
    for problem, raw in _structure(_document_class(kind), data):
        (warnings if _is_tolerated(kind, raw) else errors).append(problem)
    errors += document_errors(kind, data)
    return Checked(tuple(errors), (*warnings, *document_warnings(kind, data)))


def validate_config(data: object) -> list[Problem]:
    """Errors of an ingestion config, as YAML gives it; ``where`` is a path such as ``tomograms[0].metadata.offset``."""
    return list(check_config(data).errors)


def check_config(data: object) -> Checked:
    """Errors and warnings of an ingestion config: its form, and the rules that need neither files nor network."""
    errors = [problem for problem, _ in _structure(_container(), data)]
    return Checked((*errors, *config_errors(data)), tuple(config_warnings(data)))


def canonical_config(data: dict[str, Any]) -> dict[str, Any]:
    """The config with every value in its canonical form: bare ORCIDs, words of enums, dates as ``YYYY-MM-DD``.

    Keys, their order and everything else stay as they are. Raises ``ConfigError`` if the form of the config is wrong.
    """
    try:
        return _canonical(_container().model_validate(data), data)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise ConfigError(problem for problem, _ in _problems(_container(), error)) from None


def _document_class(kind: str) -> type[BaseModel]:
    if kind not in CLASSES:
        raise KeyError(f"{kind!r} is not a kind of document; kinds are {', '.join(KINDS)}")
    cls: type[BaseModel] = getattr(importlib.import_module("tomoportal.model.generated.documents"), CLASSES[kind])
    return cls


def _container() -> type[BaseModel]:
    from tomoportal.model.generated.config import Container

    return Container


def _canonical(checked: Any, raw: Any) -> Any:
    if isinstance(checked, BaseModel):
        return {key: _canonical(getattr(checked, key), value) for key, value in raw.items()}
    if isinstance(checked, list):
        return [_canonical(one, other) for one, other in zip(checked, raw, strict=True)]
    return checked.isoformat() if hasattr(checked, "isoformat") else checked


# ---- Errors of pydantic in words -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Raw:
    """What pydantic said."""

    type: str
    path: tuple[str | int, ...]
    value: Any


def _structure(cls: type[BaseModel], data: object) -> list[tuple[Problem, _Raw]]:
    try:
        cls.model_validate(data)
    except ValidationError as error:
        return list(_problems(cls, error))
    return []


def _problems(cls: type[BaseModel], error: ValidationError) -> Iterator[tuple[Problem, _Raw]]:
    for each in error.errors(include_url=False, include_context=True):
        path = tuple(part for part in each["loc"] if isinstance(part, str | int))
        raw = _Raw(each["type"], path, each["input"])
        what, fix = _words(cls, raw, each["msg"], each.get("ctx", {}))
        yield Problem(_where(path), what, fix), raw


def _words(cls: type[BaseModel], raw: _Raw, message: str, context: dict[str, Any]) -> tuple[str, str | None]:
    """What is wrong, and how to mend it."""
    found = f"found {_shown(raw.value)}"
    if raw.type == "permitted":
        quote = "put it in quotes" if _needs_quotes(raw.value, context["permitted"]) else None
        return f"must be {context['permitted']}; {found}", quote
    if raw.type == "missing":
        return "is missing", f"add the key {raw.path[-1]}"
    if raw.type == "extra_forbidden":
        return "is not a known key", _advice(str(raw.path[-1]), _keys(cls, raw.path[:-1]))
    if raw.type in ("model_type", "model_attributes_type", "dict_type"):
        keys = _keys(cls, raw.path)
        return f"must be a mapping{f' with the keys {_listed(keys)}' if keys else ''}; {found}", None
    if raw.type == "list_type":
        return f"must be a list; {found}", "write it as a list, even if it has one entry only"
    if raw.type == "too_short":
        return f"must have at least {context['min_length']} entry, but is empty", None
    return message[:1].lower() + message[1:], None


def _needs_quotes(value: Any, permitted: str) -> bool:
    return isinstance(value, int | float) and permitted == "a text"


def _advice(key: str, keys: Sequence[str]) -> str | None:
    close = difflib.get_close_matches(key, keys, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"remove it; known keys here are {_listed(keys)}" if keys else "remove it"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _where(path: tuple[str | int, ...]) -> str:
    """``("tomograms", 0, "metadata")`` → ``tomograms[0].metadata``; a key with a line break or the like is quoted."""
    text = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part if part.isprintable() else repr(part)}" for part in path
    )
    return text.removeprefix(".")


def _keys(cls: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Keys of the class that stands at a path."""
    found: type[BaseModel] | None = cls
    for part in path:
        if found is not None and isinstance(part, str):
            field = found.model_fields.get(part)
            found = _model(field.annotation) if field else None
    return list(found.model_fields) if found else []


def _model(annotation: Any) -> type[BaseModel] | None:
    """The model class inside ``X``, ``X | None`` or ``list[X] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, Union, types.UnionType):
        return next((found for part in get_args(annotation) if (found := _model(part))), None)
    return None


def _is_tolerated(kind: str, raw: _Raw) -> bool:
    """Readers of an archive live with this error."""
    match raw.path:
        case _ if raw.type == "extra_forbidden":
            return True
        case (str() as key,) if raw.type == "missing":
            return key in _MAY_BE_MISSING.get(kind, ()) or key == "last_updated_at"
        case ("last_updated_at",):
            return isinstance(raw.value, float)
        case ("files", int()) if kind == "alignment":  # [null] stands for no file
            return raw.value is None
        case ("per_section_alignment_parameters", int(), "in_plane_rotation"):  # 2×2, written as one row
            return Matrix(1, 4).take([raw.value]) is not REFUSED
        case ("files", int(), "shape"):
            return raw.value in _OLD_SHAPES
        case ("fiducial_alignment_status",):
            return str(raw.value).lower() in _OLD_STATUS
        case ("sample_type",):
            return bool(raw.value == "cell")
        case ("camera", "model"):  # a free text in core metadata 1.1.0
            return isinstance(raw.value, str)
        case ("version",) | ("tomogram_version",):
            return isinstance(raw.value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", raw.value) is not None
        case ("authors", int(), "ORCID"):
            return re.fullmatch(f"https?://(www\\.)?orcid\\.org/{_ORCID}", str(raw.value)) is not None
    return False
