"""Config 1.1.0 → 1.2.0: frames say the dose rate and whether their gain is corrected."""

from __future__ import annotations

from typing import Any

from tomoportal.ingest.migrations.trail import Trail
from tomoportal.model.rules.raw import mapping, mappings

__all__ = ["migrate"]


def migrate(data: dict[str, Any], trail: Trail) -> list[str]:
    """See the module.

    An unknown dose rate becomes 0, which no config may have: the check that follows names the line to fill in.

    Whether frames are gain corrected was never asked before. Frames that come with a gain reference still need it, so
    they are not; frame files without one are (all configs of the public portal that were written by hand say so). The
    public portal's migration looked for a section ``gain``, which no config has (F54).
    """
    settings = mapping(data.get("standardization_config"))
    rate = settings.pop("frame_dose_rate", None)
    if not rate and not data.get("collection_metadata"):
        return []
    changes: list[str] = []
    if not data.get("frames") and data.get("tiltseries"):
        data["frames"] = [{"sources": [{"literal": {"value": ["default"]}}]}]
        trail.follow((data, "frames"), settings)
        changes.append("a section frames was added: no files, made from the mdoc")
    for entry in mappings(data.get("frames")):
        if entry.get("metadata") is not None:
            continue
        corrected = not data.get("gains") and _has_files(entry)
        entry["metadata"] = {"dose_rate": rate or 0, "is_gain_corrected": corrected}
        trail.follow(entry["metadata"], settings if rate else entry)
        changes.append(
            f"frames got dose_rate {rate or '0 (unknown)'} and is_gain_corrected {str(corrected).lower()}"
            " (because there are " + ("gains)" if data.get("gains") else "no gains)" if corrected else "no files)")
        )
    return changes


def _has_files(entry: dict[str, Any]) -> bool:
    return any("literal" not in source for source in mappings(entry.get("sources")))
