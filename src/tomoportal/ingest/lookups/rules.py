"""Rules 16 to 21 of the public portal, asked of a valid config; numbers in brackets.

What does not exist is an error. A service that does not answer is a warning, once, which lists the values that could
not be checked. Several services are asked at a time, each with one question after the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tomoportal.errors import Problem, SettingsError
from tomoportal.ingest.config import Config
from tomoportal.ingest.lookups.client import Client, Unreachable
from tomoportal.ingest.lookups.records import exists, is_below, ontology_record
from tomoportal.model.rules.raw import mapping, mappings, metadata_of, sources_of

__all__ = ["Exclusions", "check_online", "read_exclusions"]

Exclusions = Mapping[str, Mapping[str, Sequence[str]]]
"""Class → field → values that are right although the services say otherwise, as the public portal's file has them."""

_CELLULAR_COMPONENT = "GO:0005575"
_UNASKED = ("not_reported", "unknown")
_AT_A_TIME = 4
_SHOWN = 50
_PICTURES = ("image/png", "image/jpeg", "image/jpg", "image/gif")
_NAMED = {
    "tissue": "TissueDetails",
    "cell_type": "CellType",
    "cell_strain": "CellStrain",
    "cell_component": "CellComponent",
    "assay": "Assay",
    "development_stage": "DevelopmentStageDetails",
    "disease": "Disease",
}
"""Parts of a dataset that have a name and an ontology id → their class."""


@dataclass(frozen=True)
class _Question:
    """One value to be asked about; equal ones are asked once."""

    check: Callable[[Client, _Question, Exclusions], str | None]
    value: str
    name: str = ""
    kind: str = ""
    """The class whose exclusions count."""


def check_online(
    config: Config, client: Client, exclusions: Exclusions | None = None
) -> tuple[list[Problem], list[Problem]]:
    """Errors and warnings of a config, found by asking the services."""
    left_out = exclusions or {}
    places: dict[_Question, list[str]] = {}
    for where, question in _questions(config.data):
        if question.value not in _UNASKED and "{" not in question.value:
            places.setdefault(question, []).append(where)
    errors: list[Problem] = []
    unasked: dict[tuple[str, str], list[str]] = {}

    def asked(question: _Question) -> str | Unreachable | None:
        try:
            return question.check(client, question, left_out)
        except Unreachable as error:
            return error

    with ThreadPoolExecutor(_AT_A_TIME, "lookup") as pool:
        answers = list(pool.map(asked, places))
    for (question, found), problem in zip(places.items(), answers, strict=True):
        if isinstance(problem, Unreachable):
            unasked.setdefault((problem.service, problem.why), []).append(question.value)
        elif problem:
            more = f" (and in {len(found) - 1} other places)" if len(found) > 1 else ""
            errors.append(Problem(config.place(found[0]), problem + more, "compare it with the service"))
    warnings = [
        Problem(
            config.name,
            f"{service} could not be asked about {len(values)} values: {why}; not checked: {_listed(values)}",
            "try again later, or name another address of it with --service",
        )
        for (service, why), values in sorted(unasked.items())
    ]
    return errors, warnings


def _listed(values: list[str]) -> str:
    shown = ", ".join(values[:_SHOWN])
    return shown if len(values) <= _SHOWN else f"{shown} and {len(values) - _SHOWN} more"


def read_exclusions(data: bytes, name: str) -> Exclusions:
    """A JSON file ``{class: {field: [values]}}``; raises `SettingsError` for anything else."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"not JSON: {error}", where=name) from error
    if not isinstance(found, dict) or not all(
        isinstance(fields, dict) and all(isinstance(values, list) for values in fields.values())
        for fields in found.values()
    ):
        raise SettingsError("not of the form {class: {field: [values]}}", where=name)
    return found


def _questions(data: Mapping[str, Any]) -> Iterator[tuple[str, _Question]]:
    raw = dict(data)
    sections = ("depositions", "datasets", "tomograms", "annotations", "tiltseries")
    for where, metadata in metadata_of(raw, *sections):
        for index, author in enumerate(mappings(metadata.get("authors"))):
            if isinstance(author.get("ORCID"), str):
                yield f"{where}.authors[{index}].ORCID", _Question(_orcid, author["ORCID"])
            if isinstance(author.get("affiliation_identifier"), str):
                place = f"{where}.authors[{index}].affiliation_identifier"
                yield place, _Question(_affiliation, author["affiliation_identifier"])
        yield from _references(where, metadata)
    for where, metadata in metadata_of(raw, "datasets"):
        for key, kind in _NAMED.items():
            yield from _named(f"{where}.{key}", mapping(metadata.get(key)), kind)
        taxon = mapping(metadata.get("organism")).get("taxonomy_id")
        if isinstance(taxon, int):
            yield f"{where}.organism.taxonomy_id", _Question(_taxon, str(taxon))
    for where, metadata in metadata_of(raw, "annotations"):
        yield from _named(f"{where}.annotation_object", mapping(metadata.get("annotation_object")), "AnnotationObject")
    for _, where, source in sources_of(raw, "dataset_keyphotos", "deposition_keyphotos"):
        photos = mapping(mapping(source.get("literal")).get("value"))
        for key, value in photos.items():
            if isinstance(value, str) and value.startswith(("http://", "https://")):
                yield f"{where}.literal.value.{key}", _Question(_photo, value)


def _references(where: str, metadata: dict[str, Any]) -> Iterator[tuple[str, _Question]]:
    references = mapping(metadata.get("cross_references"))
    for key, text in (
        ("cross_references.publications", references.get("publications")),
        ("cross_references.related_database_entries", references.get("related_database_entries")),
        ("annotation_publications", metadata.get("annotation_publications")),
        ("related_empiar_entry", metadata.get("related_empiar_entry")),
    ):
        for entry in re.split(r"\s*,\s*", text.strip()) if isinstance(text, str) else ():
            if entry:
                yield f"{where}.{key}", _Question(_entry, entry)


def _named(where: str, part: dict[str, Any], kind: str) -> Iterator[tuple[str, _Question]]:
    if isinstance(part.get("id"), str):
        yield f"{where}.id", _Question(_term, part["id"].strip(), str(part.get("name") or "").strip(), kind)


def _orcid(client: Client, asked: _Question, left_out: Exclusions) -> str | None:
    """[16]"""
    return None if exists(client, asked.value) else f"there is no ORCID {asked.value}"


def _affiliation(client: Client, asked: _Question, left_out: Exclusions) -> str | None:
    """Ours: the public portal checks the form of a ROR only, and not always."""
    return None if exists(client, asked.value) else f"there is no organisation {asked.value}"


def _entry(client: Client, asked: _Question, left_out: Exclusions) -> str | None:
    """[17]"""
    return None if exists(client, asked.value) else f"there is no entry {asked.value}"


def _term(client: Client, asked: _Question, left_out: Exclusions) -> str | None:
    """[18, 19]"""
    value, is_object = asked.value, asked.kind == "AnnotationObject"
    excluded = left_out.get(asked.kind, {})
    if value.startswith("CC-") or value in excluded.get("id", ()):
        return None
    record = ontology_record(client, value, of_object=is_object)
    if record is None:
        return f"there is no {value}"
    if asked.name in excluded.get("name", ()):
        return None
    if asked.name and not record.matches(asked.name):
        return f"{value} is not called {asked.name!r} but {', '.join(map(repr, record.names[:5]))}"
    if value.startswith("GO:") and not is_below(client, value, _CELLULAR_COMPONENT):
        return f"{value} is no cellular component (it does not descend from {_CELLULAR_COMPONENT})"
    return None


def _taxon(client: Client, asked: _Question, left_out: Exclusions) -> str | None:
    """[20]"""
    known = ontology_record(client, f"NCBITaxon:{asked.value}")
    return None if known else f"there is no organism {asked.value} in NCBI Taxonomy"


def _photo(client: Client, asked: _Question, left_out: Exclusions) -> str | None:
    """[21]"""
    reply = client.get(asked.value.split("/")[2], asked.value, body=False)
    if not reply.found:
        return f"there is no picture at this address (status {reply.status})"
    return None if reply.type in _PICTURES else f"this address gives {reply.type}, not a PNG, JPEG or GIF picture"
