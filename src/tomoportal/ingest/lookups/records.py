"""What services say about an id: whether it exists, and its names."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tomoportal.ingest.lookups.client import Client, Reply, Unreachable

__all__ = ["Record", "exists", "is_below", "ontology_record"]


@dataclass(frozen=True)
class Record:
    """A found id; ``names`` is empty if the service knows none."""

    names: tuple[str, ...] = ()
    loosely: bool = False
    """Names match if one is part of the other, but for case and punctuation."""

    def matches(self, name: str) -> bool:
        """Whether a name is one of those that the service knows."""
        if not self.names:
            return True
        if not self.loosely:
            return name in self.names
        own = _letters(name)
        return any(own and other and (own in other or other in own) for other in map(_letters, self.names))


def exists(client: Client, value: str) -> bool:
    """Whether a DOI, EMPIAR, EMDB or PDB entry, an ORCID or a ROR is known where it belongs."""
    if re.fullmatch("(https?://ror.org/)?0[a-z0-9]{6}[0-9]{2}", value):
        return client.json("ror", f"/{value.rpartition('/')[2]}") is not None
    if value.startswith("EMPIAR-"):
        return client.json("empiar", f"/{value}/") is not None
    if value.startswith("EMD-"):
        return client.json("emdb", f"/{value}") is not None
    if value.startswith("PDB-"):
        return client.json("pdb", f"/entry/{value.removeprefix('PDB-')}") is not None
    if re.fullmatch("[0-9]{4}(-[0-9]{3}[0-9X]){3}", value):
        return client.json("orcid", f"/{value}") is not None
    path = "/" + urllib.parse.quote(value.removeprefix("doi:"))
    return any(client.json(service, path) is not None for service in ("crossref", "doi"))  # registrars beside Crossref


def ontology_record(client: Client, value: str, *, of_object: bool = False) -> Record | None:
    """The record of an ontology, protein, structure or strain id; None if there is none.

    ``of_object``: the id of an annotated object, for which cell types are looked up in the ontology's own file.
    """
    if value.startswith("WBStrain"):
        return _strain(client, value)
    if value.startswith("CVCL_"):
        return _cell_line(client.json("cellosaurus", f"/{value}?format=json&fld=id&fld=sy"))
    if value.startswith("UniProtKB:"):
        return _protein(client.json("uniprot", f"/{value.removeprefix('UniProtKB:')}.json"))
    if value.startswith("PDB-"):
        return _structure(client, value.removeprefix("PDB-"))
    if value.startswith("CDPO:"):
        return _terms(client, "cdpo").get(value)
    if value.startswith("CL:") and of_object:
        return _terms(client, "cl").get(value)
    return _term(client.json("ols", f"/terms?iri={urllib.parse.quote(_iri(value), safe='')}"))


def is_below(client: Client, value: str, ancestor: str) -> bool:
    """Whether an ontology term descends from another of the same ontology."""
    if value == ancestor:
        return True
    twice = urllib.parse.quote(urllib.parse.quote(_iri(value), safe=""), safe="")
    ontology = value.partition(":")[0].lower()
    found = client.json("ols", f"/ontologies/{ontology}/terms/{twice}/ancestors?size=500")
    return any(term.get("obo_id") == ancestor for term in _embedded(found))


def _iri(value: str) -> str:
    root = "http://www.ebi.ac.uk/efo/" if value.startswith("EFO:") else "http://purl.obolibrary.org/obo/"
    return root + value.replace(":", "_")


def _embedded(answer: Any) -> list[dict[str, Any]]:
    found = _at(answer, "_embedded", "terms")
    return [term for term in found if isinstance(term, dict)] if isinstance(found, list) else []


def _term(answer: Any) -> Record | None:
    terms = _embedded(answer)
    if not terms:
        return None
    names = [name for term in terms for name in (term.get("label"), *(term.get("synonyms") or ()))]
    return Record(_texts(names))


def _strain(client: Client, value: str) -> Record | None:
    label = _at(client.json("wormbase", f"/{value}/name"), "name", "data", "label")
    if not label:
        return None
    others = _at(client.json("wormbase", f"/{value}/other_names"), "other_names", "data")
    return Record(_texts([label, *(others if isinstance(others, list) else ())]))


def _cell_line(answer: Any) -> Record | None:
    lines = _at(answer, "Cellosaurus", "cell-line-list")
    if not lines:
        return None
    return Record(_texts([_at(name, "value") for line in lines for name in _at(line, "name-list") or ()]))


def _protein(answer: Any) -> Record | None:
    if answer is None:
        return None
    said = _at(answer, "proteinDescription") or {}
    parts = [said.get("recommendedName"), *(said.get("alternativeNames") or ()), *(said.get("submissionNames") or ())]
    return Record(_texts([_at(part, "fullName", "value") for part in parts]))


def _structure(client: Client, value: str) -> Record | None:
    entry = client.json("pdb", f"/entry/{value}")
    if entry is None:
        return None
    names = [
        _at(entry, "struct", "title"),
        _at(entry, "struct", "pdbx_descriptor"),
        _at(entry, "struct_keywords", "pdbx_keywords"),
    ]
    for number in _at(entry, "rcsb_entry_container_identifiers", "polymer_entity_ids") or ():
        entity = client.json("pdb", f"/polymer_entity/{value}/{number}")
        names.append(_at(entity, "rcsb_polymer_entity", "pdbx_description"))
        names += [
            _at(one, "name") for one in _at(entity, "rcsb_polymer_entity", "rcsb_macromolecular_names_combined") or ()
        ]
        names += _at(entity, "rcsb_polymer_name_combined", "names") or ()
    return Record(_texts(names), loosely=True)


def _terms(client: Client, service: str) -> dict[str, Record]:
    """All terms of an ontology in the OBO format."""
    return client.remember(service, lambda reply: _ontology(service, reply))


def _ontology(service: str, reply: Reply) -> dict[str, Record]:
    terms = dict(_obo(reply.body.decode("utf-8", "replace"))) if reply.found else {}
    if not terms:
        raise Unreachable(service, "its address gives no ontology in the OBO format")
    return terms


def _obo(text: str) -> Iterator[tuple[str, Record]]:
    for stanza in re.split(r"^\[", text, flags=re.MULTILINE):
        if not stanza.startswith("Term]"):
            continue
        own = re.search(r"^id: (\S+)", stanza, re.MULTILINE)
        names = re.findall(r'^(?:name: (.+?)|synonym: "(.+?)".*)\s*$', stanza, re.MULTILINE)
        if own:
            yield own.group(1), Record(tuple(name or synonym for name, synonym in names))


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _texts(values: list[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str) and value))


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", text.lower())
