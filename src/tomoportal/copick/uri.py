"""URIs of what is in a project (reference copick-api, 14).

    picks, mesh, filaments   object[:user[/session]]
    segmentation             name[:user[/session]][@voxel_spacing][?multilabel=true | ?instance=true | ?panoptic=true]
    tomogram                 tomo_type[@voxel_spacing]
    feature                  tomo_type[@voxel_spacing[:feature_type]]

A part that is missing means any. Parts are glob patterns, or regular expressions after ``re:``. ``@ : / ? # & [ ] * %``
that belong to a name are written as percent escapes (C49).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from tomoportal.errors import AnnotationError

if TYPE_CHECKING:
    from tomoportal.copick.documents import RunDocument
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun
    from tomoportal.copick.segmentations import CopickSegmentation

__all__ = [
    "fits_segmentation",
    "get_copick_objects_by_type",
    "matches_number",
    "matches_pattern",
    "no_match",
    "parse_copick_uri",
    "resolve_copick_objects",
    "serialize_copick_uri",
    "serialize_copick_uri_from_dict",
]

_TYPES: Final = ("picks", "filaments", "mesh", "segmentation", "tomogram", "feature")
_DOCUMENTS: Final = ("picks", "filaments", "mesh")
_FLAGS: Final = ("multilabel", "instance", "panoptic")
_ESCAPED: Final = "%@:/?#&[]*"
_ESCAPE: Final = re.compile("%(" + "|".join(f"{ord(char):02X}" for char in _ESCAPED + "r") + ")", re.IGNORECASE)
_TRUE: Final = ("true", "1", "yes")


def parse_copick_uri(uri: str, object_type: str) -> dict[str, Any]:
    """The parts of a URI: ``object_type``, ``pattern_type`` (``glob`` or ``regex``), and a pattern for each name."""
    if object_type not in _TYPES:
        raise AnnotationError(f"Unknown object type: {object_type}. Must be one of: {', '.join(_TYPES)}")
    text = uri.strip()
    pattern_type = "regex" if text.startswith("re:") else "glob"
    text = text.removeprefix("re:")
    parts: dict[str, Any] = {"object_type": object_type, "pattern_type": pattern_type}
    if object_type in _DOCUMENTS:
        parts |= _names(text, "object_name", object_type)
    elif object_type == "segmentation":
        body, _, query = text.partition("?")
        names, at, spacing = body.partition("@")
        parts |= _names(names, "name", object_type)
        parts["voxel_spacing"] = spacing if at else "*"
        parts |= _flags(query, body)
    else:
        tomo_type, at, spacing = text.partition("@")
        parts["tomo_type"] = tomo_type
        if object_type == "feature":
            spacing, colon, feature_type = spacing.partition(":")
            parts |= {"voxel_spacing": spacing if at else "*", "feature_type": feature_type if colon else "*"}
        else:
            parts["voxel_spacing"] = spacing if at else "*"
    if pattern_type == "glob":
        for key in set(parts) - {"object_type", "pattern_type", *_FLAGS}:
            parts[key] = _ESCAPE.sub(_unescape, parts[key])
    return parts


def _unescape(match: re.Match[str]) -> str:
    char = chr(int(match[1], 16))
    return f"[{char}]" if char in "*?[" else char


def _names(text: str, first: str, object_type: str) -> dict[str, str]:
    if text.count(":") > 1:
        raise AnnotationError(
            f"Invalid {object_type} URI format: '{text}'", fix="write name:user/session; a ':' in a name is %3A"
        )
    name, colon, rest = text.partition(":")
    user, slash, session = rest.partition("/")
    return {first: name, "user_id": user if colon else "*", "session_id": session if slash else "*"}


def _flags(query: str, body: str) -> dict[str, bool | None]:
    found: dict[str, bool | None] = dict.fromkeys(_FLAGS)
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in _FLAGS:
            raise AnnotationError(f"Unknown parameter {key!r} of a segmentation.", fix=f"known are {', '.join(_FLAGS)}")
        found[key] = value.strip().lower() in _TRUE
    if sum(bool(flag) for flag in found.values()) > 1:
        raise AnnotationError(f"A segmentation has one type (multilabel, instance or panoptic): '{body}'")
    return found


def matches_pattern(value: str, pattern: str, pattern_type: str) -> bool:
    """Whether a name fits a glob pattern, or a regular expression from its start."""
    if pattern_type == "glob":
        return fnmatch.fnmatchcase(value, pattern)
    if pattern_type != "regex":
        raise AnnotationError(f"Unknown pattern type: {pattern_type}", fix="use glob or regex")
    try:
        return re.match(pattern if pattern != "*" else ".*", value) is not None
    except re.error as error:
        raise AnnotationError(f"Invalid regex pattern '{pattern}': {error}") from error


def matches_number(value: float | str, pattern: str, pattern_type: str) -> bool:
    """Whether a voxel size is the number in the pattern, to three decimals; else as :func:`matches_pattern`."""
    if pattern_type == "glob":
        try:
            return round(float(value), 3) == round(float(pattern), 3)
        except ValueError:
            rounded = f"{value:.3f}" if isinstance(value, float | int) else value
            return fnmatch.fnmatchcase(str(value), pattern) or fnmatch.fnmatchcase(rounded, pattern)
    return matches_pattern(str(value), pattern, pattern_type)


def resolve_copick_objects(uri: str, root: CopickRoot, object_type: str, run_name: str | None = None) -> list[Any]:
    """Everything that a URI names, in the order of the runs, of one run if it is given.

    Raises :class:`AnnotationError` for a URI or a run that cannot be.
    """
    parts = parse_copick_uri(uri, object_type)
    parts.pop("object_type")
    return get_copick_objects_by_type(root, object_type, run_name, **parts)


def get_copick_objects_by_type(
    root: CopickRoot, object_type: str, run_name: str | None = None, **filters: Any
) -> list[Any]:
    """Everything of a type whose parts match the patterns; a part that is not given means any."""
    if object_type not in _TYPES:
        raise AnnotationError(f"Unknown object type: {object_type}. Must be one of: {', '.join(_TYPES)}")
    if run_name is None:
        runs = root.runs
    else:
        run = root.get_run(run_name)
        if run is None:
            raise AnnotationError(f"Run '{run_name}' not found", fix="names of runs are case-sensitive")
        runs = [run]
    filters = _without_empty_parts(object_type, filters)
    return [each for run in runs for each in _matching(run, object_type, filters)]


def _without_empty_parts(object_type: str, filters: dict[str, Any]) -> dict[str, Any]:
    """What stands empty in a URI (``:ada``) means any, as upstream has it.

    Of picks, meshes and segmentations only if another part is a pattern: ``:ada/1`` names nothing, so that no removal
    takes more than was said.
    """
    parts = {key: str(value) for key, value in filters.items() if key not in ("pattern_type", *_FLAGS) and value}
    is_open = filters.get("pattern_type") == "regex" or any(set(part) & set("*?[") for part in parts.values())
    names = ("object_name", "name", "user_id", "session_id")
    kept = names if not is_open and object_type in ("picks", "mesh", "segmentation") else ()
    return {key: value for key, value in filters.items() if value != "" or key in kept}


def _matching(run: CopickRun, object_type: str, filters: dict[str, Any]) -> Iterator[Any]:
    fits, sized = partial(_fits, filters), partial(_is_sized, filters)
    if object_type in _DOCUMENTS:
        documents: Sequence[RunDocument] = (
            run.picks if object_type == "picks" else run.meshes if object_type == "mesh" else run.filaments
        )
        for each in documents:
            if (
                fits(each.pickable_object_name, "object_name")
                and fits(each.user_id, "user_id")
                and fits(each.session_id, "session_id")
            ):
                yield each
    elif object_type == "segmentation":
        yield from (each for each in run.segmentations if fits_segmentation(each, filters))
    else:
        for spacing in run.voxel_spacings:
            if not sized(spacing.voxel_size):
                continue
            for tomogram in spacing.tomograms:
                if not fits(tomogram.tomo_type, "tomo_type"):
                    continue
                if object_type == "tomogram":
                    yield tomogram
                else:
                    yield from (each for each in tomogram.features if fits(each.feature_type, "feature_type"))


def _fits(filters: dict[str, Any], value: str, part: str) -> bool:
    pattern, kind = filters.get(part), filters.get("pattern_type", "glob")
    return pattern is None or pattern == "*" or matches_pattern(value, str(pattern), kind)


def _is_sized(filters: dict[str, Any], value: float) -> bool:
    pattern, kind = filters.get("voxel_spacing"), filters.get("pattern_type", "glob")
    return pattern is None or pattern == "*" or matches_number(value, str(pattern), kind)


def fits_segmentation(segmentation: CopickSegmentation, filters: dict[str, Any]) -> bool:
    """Whether the parts of a URI name a segmentation; without a type, binary and multilabel ones."""
    is_multilabel, is_instance, is_panoptic = (filters.get(flag) for flag in _FLAGS)
    return (
        segmentation.is_instance == bool(is_instance)
        and segmentation.is_panoptic == bool(is_panoptic)
        and (is_multilabel is None or segmentation.is_multilabel == is_multilabel)
        and _fits(filters, segmentation.name, "name")
        and _fits(filters, segmentation.user_id, "user_id")
        and _fits(filters, segmentation.session_id, "session_id")
        and _is_sized(filters, segmentation.voxel_size)
    )


def serialize_copick_uri(obj: Any) -> str:
    """The URI of picks, filaments, a mesh, a segmentation, a tomogram or a feature map; the run is not part of it."""
    from tomoportal.copick.documents import RunDocument
    from tomoportal.copick.features import CopickFeatures
    from tomoportal.copick.segmentations import CopickSegmentation
    from tomoportal.copick.tomograms import CopickTomogram

    if isinstance(obj, RunDocument):
        return serialize_copick_uri_from_dict(
            "picks", object_name=obj.pickable_object_name, user_id=obj.user_id, session_id=obj.session_id
        )
    if isinstance(obj, CopickSegmentation):
        return serialize_copick_uri_from_dict(
            "segmentation",
            name=obj.name,
            user_id=obj.user_id,
            session_id=obj.session_id,
            voxel_spacing=obj.voxel_size,
            multilabel=obj.is_multilabel,
            instance=obj.is_instance,
            panoptic=obj.is_panoptic,
        )
    if isinstance(obj, CopickTomogram):
        spacing = obj.voxel_spacing.voxel_size
        return serialize_copick_uri_from_dict("tomogram", tomo_type=obj.tomo_type, voxel_spacing=spacing)
    if isinstance(obj, CopickFeatures):
        return serialize_copick_uri_from_dict(
            "feature",
            tomo_type=obj.tomo_type,
            voxel_spacing=obj.tomogram.voxel_spacing.voxel_size,
            feature_type=obj.feature_type,
        )
    raise AnnotationError(f"There is no URI for a {type(obj).__name__}.", fix="give an entity of a run")


def serialize_copick_uri_from_dict(
    object_type: str,
    object_name: str | None = None,
    name: str | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
    tomo_type: str | None = None,
    voxel_spacing: float | None = None,
    feature_type: str | None = None,
    multilabel: bool | None = None,
    instance: bool | None = None,
    panoptic: bool | None = None,
) -> str:
    """The URI of what these parts name. Raises :class:`AnnotationError` if one is missing."""
    if object_type in _DOCUMENTS:
        if object_name is None or user_id is None or session_id is None:
            noun = {"picks": "Picks", "mesh": "Meshes", "filaments": "Filaments"}[object_type]
            raise AnnotationError(f"{noun} require object_name, user_id, and session_id")
        return f"{_escape(object_name)}:{_escape(user_id)}/{_escape(session_id)}"
    if object_type == "segmentation":
        if name is None or user_id is None or session_id is None or voxel_spacing is None:
            raise AnnotationError("Segmentations require name, user_id, session_id, and voxel_spacing")
        flags = [flag for flag, on in zip(_FLAGS, (multilabel, instance, panoptic), strict=True) if on]
        if len(flags) > 1:
            raise AnnotationError(f"A segmentation has one type (multilabel, instance or panoptic): '{name}'")
        ending = f"?{flags[0]}=true" if flags else ""
        return f"{_escape(name)}:{_escape(user_id)}/{_escape(session_id)}@{voxel_spacing}{ending}"
    if object_type == "tomogram":
        if tomo_type is None or voxel_spacing is None:
            raise AnnotationError("Tomograms require tomo_type and voxel_spacing")
        return f"{_escape(tomo_type)}@{voxel_spacing}"
    if object_type == "feature":
        if tomo_type is None or voxel_spacing is None or feature_type is None:
            raise AnnotationError("Features require tomo_type, voxel_spacing, and feature_type")
        return f"{_escape(tomo_type)}@{voxel_spacing}:{_escape(feature_type)}"
    raise AnnotationError(f"Unknown object type: {object_type}. Must be one of: {', '.join(_TYPES)}")


def _escape(name: str) -> str:
    """``re`` is the only name that would be taken for the beginning of a regular expression."""
    return "".join(f"%{ord(char):02X}" if char in _ESCAPED else char for char in name) if name != "re" else "%72e"


def no_match(object_type: str, uri: str) -> AnnotationError:
    """The error of a URI that names nothing."""
    verb = "match" if object_type.endswith("s") else "matches"
    return AnnotationError(
        f"No {object_type} {verb} the URI.", where=uri, fix="correct it; `tomoportal copick browse` shows what there is"
    )
