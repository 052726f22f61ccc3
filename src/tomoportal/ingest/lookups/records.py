"""What services say about an id: whether it exists, and its names."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tomoportal.ingest.lookups.client import Client, Reply

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
    """Whether a DOI, EMPIAR, EMDB or PDB entry, or an ORCID, is known where it belongs."""
    if value.startswith("EMPIAR-"):
        return client.ask("empiar", f"/{value}/").found
    if value.startswith("EMD-"):
        return client.ask("emdb", f"/{value}").found
    if value.startswith("PDB-"):
        return client.ask("pdb", f"/entry/{value.removeprefix('PDB-')}").found
    if re.fullmatch("[0-9]{4}(-[0-9]{3}[0-9X]){3}", value):
        return client.ask("orcid", f"/{value}").found
    path = "/" + urllib.parse.quote(value.removeprefix("doi:"))
    return client.ask("crossref", path).found or client.ask("doi", path).found  # not all registrars are Crossref's


def ontology_record(client: Client, value: str, *, of_object: bool = False) -> Record | None:
    """The record of an ontology, protein, structure or strain id; None if there is none.

    ``of_object``: the id of an annotated object, for which cell types are looked up in the ontology's own file.
    """
    if value.startswith("WBStrain"):
        return _strain(client, value)
    if value.startswith("CVCL_"):
        return _cell_line(client.ask("cellosaurus", f"/{value}?format=json&fld=id&fld=sy"))
    if value.startswith("UniProtKB:"):
        return _protein(client.ask("uniprot", f"/{value.removeprefix('UniProtKB:')}.json"))
    if value.startswith("PDB-"):
        return _structure(client, value.removeprefix("PDB-"))
    if value.startswith("CDPO:"):
        return _terms(client, "cdpo").get(value)
    if value.startswith("CL:") and of_object:
        return _terms(client, "cl").get(value)
    return _term(client.ask("ols", f"/terms?iri={urllib.parse.quote(_iri(value), safe='')}"))


def is_below(client: Client, value: str, ancestor: str) -> bool:
    """Whether an ontology term descends from another of the same ontology."""
    if value == ancestor:
        return True
    twice = urllib.parse.quote(urllib.parse.quote(_iri(value), safe=""), safe="")
    ontology = value.partition(":")[0].lower()
    reply = client.ask("ols", f"/ontologies/{ontology}/terms/{twice}/ancestors?size=500")
    return any(term.get("obo_id") == ancestor for term in _embedded(reply))


def _iri(value: str) -> str:
    root = "http://www.ebi.ac.uk/efo/" if value.startswith("EFO:") else "http://purl.obolibrary.org/obo/"
    return root + value.replace(":", "_")


def _embedded(reply: Reply) -> list[dict[str, Any]]:
    found = _at(reply.json() if reply.found else None, "_embedded", "terms")
    return [term for term in found if isinstance(term, dict)] if isinstance(found, list) else []


def _term(reply: Reply) -> Record | None:
    terms = _embedded(reply)
    if not terms:
        return None
    names = [name for term in terms for name in (term.get("label"), *(term.get("synonyms") or ()))]
    return Record(_texts(names))


def _strain(client: Client, value: str) -> Record | None:
    label = _at(client.ask("wormbase", f"/{value}/name").json(), "name", "data", "label")
    if not label:
        return None
    others = _at(client.ask("wormbase", f"/{value}/other_names").json(), "other_names", "data")
    return Record(_texts([label, *(others if isinstance(others, list) else ())]))


def _cell_line(reply: Reply) -> Record | None:
    lines = _at(reply.json() if reply.found else None, "Cellosaurus", "cell-line-list")
    if not lines:
        return None
    return Record(_texts([_at(name, "value") for line in lines for name in _at(line, "name-list") or ()]))


def _protein(reply: Reply) -> Record | None:
    if not reply.found:
        return None
    said = _at(reply.json(), "proteinDescription") or {}
    parts = [said.get("recommendedName"), *(said.get("alternativeNames") or ()), *(said.get("submissionNames") or ())]
    return Record(_texts([_at(part, "fullName", "value") for part in parts]))


def _structure(client: Client, value: str) -> Record | None:
    reply = client.ask("pdb", f"/entry/{value}")
    if not reply.found:
        return None
    entry = reply.json()
    names = [
        _at(entry, "struct", "title"),
        _at(entry, "struct", "pdbx_descriptor"),
        _at(entry, "struct_keywords", "pdbx_keywords"),
    ]
    for number in _at(entry, "rcsb_entry_container_identifiers", "polymer_entity_ids") or ():
        entity = client.ask("pdb", f"/polymer_entity/{value}/{number}").json()
        names.append(_at(entity, "rcsb_polymer_entity", "pdbx_description"))
        names += [
            _at(one, "name") for one in _at(entity, "rcsb_polymer_entity", "rcsb_macromolecular_names_combined") or ()
        ]
        names += _at(entity, "rcsb_polymer_name_combined", "names") or ()
    return Record(_texts(names), loosely=True)


def _terms(client: Client, service: str) -> dict[str, Record]:
    """All terms of an ontology in the OBO format."""
    if service not in client.memory:
        reply = client.ask(service)
        client.memory[service] = dict(_obo(reply.body.decode("utf-8", "replace"))) if reply.found else {}
    found: dict[str, Record] = client.memory[service]
    return found


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
