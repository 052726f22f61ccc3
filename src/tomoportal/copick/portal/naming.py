"""What entities of a portal are called in a project (reference copick-portal, 3 to 5)."""

from __future__ import annotations

import colorsys
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from tomoportal.copick.config import PickableObject
from tomoportal.copick.names import sanitize_name
from tomoportal.errors import AnnotationError

__all__ = ["PORTAL_USER", "camel", "described_objects", "object_names", "tomogram_types"]

PORTAL_USER: Final = "data-portal"
"""The user of everything that comes from a portal; the session is the text of the annotation file's id."""

_RADIUS: Final = 50.0  # Å, of objects: portals do not say how large they are
_POINTS: Final = {"Point", "OrientedPoint", "InstanceSegmentation"}


def camel(s: str) -> str:
    """``Fourier_Space`` → ``fourierSpace``, ``IsoNet 2`` → ``isonet2``."""
    joined = re.sub(r"[_\-]+", " ", s).title().replace(" ", "")
    return joined[:1].lower() + joined[1:]


def tomogram_types(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The types of the tomograms of one voxel size, in the same order.

    A type that an earlier one has gets the portal's id behind it (C77); those that are shown by default come first.
    """
    found: list[str] = []
    for row in rows:
        parts = [row["reconstructionMethod"], row["processing"], row["processingSoftware"]]
        name = "-".join(camel(part) for part in parts if part)
        name += "-ctfdeconv" if row["ctfCorrected"] else ""
        found.append(f"{name}-{row['id']}" if name in found else name)
    return found


def _plain(text: str) -> str:
    try:
        return sanitize_name(text, suppress_warnings=True).lower()
    except AnnotationError:  # nothing of it is left
        return "object"


def object_names(counts: Mapping[tuple[str, str], int], taken: Collection[str] = ()) -> dict[str, str]:
    """A name for each object id, from how often each pair of id and name occurs; sorted by id (C74, C80).

    The name that is used most (the first of the alphabet among several) counts; of ids that share one, the first keeps
    it and the others get their id behind it. Names in ``taken`` are not given.
    """
    named: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for (identifier, name), count in counts.items():
        named[identifier].append((-count, name))
    found: dict[str, str] = {}
    used = set(taken)
    for identifier in sorted(named):
        name = _plain(min(named[identifier])[1])
        if name in used:
            name = f"{name}-{_plain(identifier)}"
        number = 2
        while name in used:
            name, number = f"{name}-{number}", number + 1
        used.add(name)
        found[identifier] = name
    return found


def described_objects(annotations: Iterable[Mapping[str, Any]], shapes: Iterable[Mapping[str, Any]]) -> list[Any]:
    """The pickable objects of annotations (``id objectId objectName annotationPublication``) with their shapes
    (``annotationId shapeType``): sorted by object id, the same in every process; colours depend on the id alone."""
    by_annotation: defaultdict[int, set[str]] = defaultdict(set)
    for shape in shapes:
        by_annotation[shape["annotationId"]].add(shape["shapeType"])
    rows = sorted(annotations, key=lambda row: row["id"])
    names = object_names(Counter((row["objectId"], row["objectName"]) for row in rows))
    particles, entries = set(), defaultdict[str, list[str]](list)
    for row in rows:
        if by_annotation[row["id"]] & _POINTS:
            particles.add(row["objectId"])
        entries[row["objectId"]] += [part.strip() for part in (row["annotationPublication"] or "").split(",")]
    return [
        PickableObject(
            name=name,
            is_particle=identifier in particles,
            label=label,
            color=_color(identifier),
            emdb_id=_first(entries[identifier], "EMD"),
            pdb_id=_first(entries[identifier], "PDB") or _pdb_accession(identifier),
            identifier=identifier,
            map_threshold=None,
            radius=_RADIUS,
        )
        for label, (identifier, name) in enumerate(names.items(), start=1)
    ]


def _first(entries: Iterable[str], prefix: str) -> str | None:
    return next((each for each in entries if each.startswith(prefix)), None)


def _pdb_accession(identifier: str) -> str | None:
    found = re.fullmatch(r"PDB[-:](\w{4,})", identifier.strip(), re.IGNORECASE)
    return found[1].upper() if found else None


def _color(identifier: str) -> tuple[int, int, int, int]:
    """A bright colour that depends on the id alone, so that an object more changes no other's (C74)."""
    digest = hashlib.sha256(identifier.encode()).digest()
    hue = int.from_bytes(digest[:4], "big") / 2**32
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55 + digest[4] / 255 * 0.45, 0.7 + digest[5] / 255 * 0.3)
    return round(red * 255), round(green * 255), round(blue * 255), 255
