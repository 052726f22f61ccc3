"""Short forms of URIs for what a command writes: what is left out follows from its input (reference copick-api, 14)."""

from __future__ import annotations

from tomoportal.copick.uri import parse_copick_uri
from tomoportal.errors import AnnotationError

__all__ = ["expand_output_uri"]

_OUTPUTS = ("picks", "filaments", "mesh", "segmentation")
_FLAGS = ("multilabel", "instance", "panoptic")


def expand_output_uri(
    output_uri: str,
    input_uri: str,
    input_type: str,
    output_type: str,
    command_name: str | None = None,
    individual_outputs: bool = False,
) -> str:
    """The complete URI of an output that was given as ``name``, ``name:user``, ``name/session``, ``/session`` or less.

    The name is that of the input, the user the command's name, the session ``{instance_id}`` for individual outputs,
    ``{input_session_id}`` where the input is a pattern, else ``converted-001``; voxel spacing and type of a
    segmentation are the input's. Raises :class:`AnnotationError` for other types of output and missing names.
    """
    if output_type not in _OUTPUTS:
        raise AnnotationError(
            f"Unsupported output_type for expansion: {output_type}", fix=f"outputs are {', '.join(_OUTPUTS)}"
        )
    given = parse_copick_uri(input_uri, input_type)
    text = output_uri.strip()
    body, question, query = text.partition("?") if output_type == "segmentation" else (text, "", "")
    names, at, spacing = body.partition("@") if output_type == "segmentation" else (body, "", "")
    name, colon, rest = names.partition(":")
    if colon:
        user, slash, session = rest.partition("/")
    else:
        name, slash, session = names.partition("/")
        user = ""
    if name and user and slash and session and (at or output_type != "segmentation"):
        return text  # complete as it is
    name = name or given.get("object_name") or given.get("name") or ""
    if not name:
        raise AnnotationError(
            f"The output '{output_uri}' has no name, and the input {input_type} has none to give.",
            fix="write the name of an object, for instance ribosome:user/1",
        )
    user = user or command_name or "converter"
    if not session:
        known = given.get("session_id", "*")
        is_pattern = given["pattern_type"] == "regex" or any(char in known for char in "*?[")
        session = "{instance_id}" if individual_outputs else "{input_session_id}" if is_pattern else "converted-001"
    expanded = f"{name}:{user}/{session}"
    if output_type != "segmentation":
        return expanded
    if not at and given.get("voxel_spacing", "*") != "*":
        spacing = given["voxel_spacing"]
    if not question:
        query = next((f"{flag}=true" for flag in _FLAGS if given.get(flag)), "")
    return expanded + (f"@{spacing}" if spacing else "") + (f"?{query}" if query else "")
