"""Links to the field's databases: entries, ontology terms, people (reference/web-portal.md, 12)."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Link", "author_link", "entries", "taxonomy", "term"]

_TERMS = {
    "GO": "https://amigo.geneontology.org/amigo/term/{id}",
    "UniProtKB": "https://www.uniprot.org/uniprotkb/{number}",
    "CHEBI": "https://www.ebi.ac.uk/chebi/{id}",
    "NCBITaxon": "https://www.ncbi.nlm.nih.gov/Taxonomy/Browser/wwwtax.cgi?id={number}",
}
_OBO = "https://purl.obolibrary.org/obo/{prefix}_{number}"
_OBO_PREFIXES = {
    "CL",
    "UBERON",
    "BTO",
    "MONDO",
    "PATO",
    "HsapDv",
    "MmusDv",
    "FBbt",
    "FBdv",
    "ZFA",
    "ZFS",
    "WBbt",
    "WBls",
}


@dataclass(frozen=True)
class Link:
    """A text and where it leads; ``url`` is None when the text is not known to any database."""

    text: str
    url: str | None


def term(identifier: str | None) -> Link:
    """The page of an ontology term or accession, e.g. ``GO:0022626``, ``UniProtKB:P12345``, ``PDB-6QZP``."""
    text = (identifier or "").strip()
    if match := re.fullmatch(r"PDB-(\w+)", text):
        return Link(text, f"https://www.rcsb.org/structure/{match[1]}")
    if match := re.fullmatch(r"(WBStrain\d+)", text):
        return Link(text, f"https://wormbase.org/species/c_elegans/strain/{match[1]}")
    if match := re.fullmatch(r"(CVCL_\w+)", text):
        return Link(text, f"https://www.cellosaurus.org/{match[1]}")
    prefix, _, number = text.partition(":")
    if prefix in _TERMS and number:
        return Link(text, _TERMS[prefix].format(id=text, number=number))
    if prefix in _OBO_PREFIXES and number:
        return Link(text, _OBO.format(prefix=prefix, number=number))
    if prefix == "EFO" and number:
        return Link(text, f"http://www.ebi.ac.uk/efo/EFO_{number}")
    return Link(text, None)


def entries(text: str | None) -> list[Link]:
    """The entries of a comma-separated list: DOIs, EMPIAR, EMDB and PDB numbers."""
    return [_entry(part.strip()) for part in (text or "").split(",") if part.strip()]


def _entry(text: str) -> Link:
    if match := re.fullmatch(r"(?:doi:)?(10\.\d{4,9}/\S+)", text):
        return Link(match[1], f"https://doi.org/{match[1]}")
    if match := re.fullmatch(r"EMPIAR-(\d+)", text):
        return Link(text, f"https://www.ebi.ac.uk/empiar/EMPIAR-{match[1]}/")
    if match := re.fullmatch(r"EMD-(\d+)", text):
        return Link(text, f"https://www.ebi.ac.uk/emdb/EMD-{match[1]}")
    return term(text)


def taxonomy(number: int | None) -> str | None:
    """The page of an organism in the NCBI taxonomy."""
    return None if number is None else _TERMS["NCBITaxon"].format(number=number)


def author_link(orcid: str | None, kaggle_id: str | None) -> str | None:
    """The profile page of an author."""
    if orcid:
        return f"https://orcid.org/{orcid}"
    return f"https://www.kaggle.com/{kaggle_id}" if kaggle_id else None
