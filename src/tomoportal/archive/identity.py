"""Identity keys: what tells one item from the others of its kind in a container.

The parts are those by which the public portal recognises an object that exists already; the voxel spacing is part of
an annotation's key because its container is the run. Keys are readable text, ``name=value`` joined by ``|``.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["alignment", "annotation", "identified_objects", "identity", "key_of_document", "tiltseries", "tomogram"]


def identity(parts: Mapping[str, object]) -> str:
    """A key from named parts, in the order given; ``|`` and ``\\`` in values are escaped."""
    return "|".join(f"{name}={_text(value)}" for name, value in parts.items())


def tiltseries(deposition: int | str) -> str:
    return identity({"deposition": deposition})


def alignment(deposition: int | str) -> str:
    return identity({"deposition": deposition})


def identified_objects(deposition: int | str) -> str:
    return identity({"deposition": deposition})


def tomogram(
    spacing: float,
    alignment_document: str | None,
    reconstruction_method: str | None,
    processing: str | None,
    processing_software: str | None,
    deposition: int | str,
) -> str:
    """``spacing`` in Å counts with three decimals, ``alignment_document`` is a key of the archive."""
    return identity(
        {
            "spacing": f"{spacing:.3f}",
            "alignment": alignment_document,
            "method": reconstruction_method,
            "processing": processing,
            "software": processing_software,
            "deposition": deposition,
        }
    )


def annotation(
    spacing: float, deposition: int | str, annotation_ingest_id: str | None, alignment_document: str | None
) -> str:
    """``spacing`` in Å counts with three decimals, ``alignment_document`` is a key of the archive."""
    return identity(
        {
            "spacing": f"{spacing:.3f}",
            "deposition": deposition,
            "id": annotation_ingest_id,
            "alignment": alignment_document,
        }
    )


def key_of_document(kind: str, document: Mapping[str, object], spacing: float | None = None) -> str | None:
    """The identity key of a numbered entity from its document; ``None`` for kinds without a number.

    ``spacing`` (Å, from the folder) is needed for annotations.
    """
    deposition = str(document.get("deposition_id"))
    path = _optional(document.get("alignment_metadata_path"))
    if kind in ("tiltseries", "alignment", "identified_objects"):
        return identity({"deposition": deposition})
    if kind == "tomogram":
        value = document.get("voxel_spacing")
        return tomogram(
            float(value) if isinstance(value, (int, float)) else 0.0,
            path,
            _optional(document.get("reconstruction_method")),
            _optional(document.get("processing")),
            _optional(document.get("processing_software")),
            deposition,
        )
    if kind == "annotation":
        return annotation(spacing or 0.0, deposition, _optional(document.get("annotation_ingest_id")), path)
    return None


def _optional(value: object) -> str | None:
    return None if value is None else str(value)


def _text(value: object) -> str:
    return "" if value is None else str(value).replace("\\", "\\\\").replace("|", "\\|")
