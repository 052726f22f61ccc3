"""Identifiers of objects in ontologies and databases, and where they can be looked up (reference copick-model, 5)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["OntologyRef", "identifier_to_markdown_link", "parse_identifier"]

# Namespace, what follows it, address of an entry (None: there is no public page). The scheme is matched in any case.
_KNOWN: Final = (
    ("GO", ":([0-9]{7})", "https://amigo.geneontology.org/amigo/term/GO:{}"),
    ("UniProtKB", r":(\S+)", "https://www.uniprot.org/uniprotkb/{}"),
    ("CHEBI", ":([0-9]+)", "https://www.ebi.ac.uk/chebi/searchId.do?chebiId=CHEBI:{}"),
    ("PDB", "-([0-9a-zA-Z]{4,8})", "https://www.rcsb.org/structure/{}"),
    ("UBERON", ":([0-9]{7})", "https://purl.obolibrary.org/obo/UBERON_{}"),
    ("CL", ":([0-9]{7})", "https://purl.obolibrary.org/obo/CL_{}"),
    ("CDPO", ":([0-9]{7})", None),
)


class OntologyRef(NamedTuple):
    """An identifier in its parts; without namespace if it has the form of none, then ``accession`` is all of it."""

    namespace: str | None
    accession: str
    url: str | None


def parse_identifier(identifier: str | None) -> OntologyRef | None:
    """The namespace, the accession and the address of an identifier such as ``GO:0005840``; None for none."""
    if not identifier:
        return None
    text = identifier.strip()
    for namespace, rest, page in _KNOWN:
        found = re.fullmatch(namespace + rest, text, re.IGNORECASE)
        if found:
            return OntologyRef(namespace, found[1], page.format(found[1]) if page else None)
    return OntologyRef(None, text, None)


def identifier_to_markdown_link(identifier: str | None) -> str | None:
    """The identifier as a Markdown link, as it is where it has no address, None for none."""
    found = parse_identifier(identifier)
    if found is None:
        return None
    return f"[{identifier}]({found.url})" if found.url else identifier
