"""Every pattern of the schema, with values that it takes and values that it refuses."""

from __future__ import annotations

import pytest

from tomoportal.model.generated import config
from tomoportal.model.values import REFUSED, Text

PATTERNS = {
    name.removeprefix("_"): value for name, value in vars(config).items() if isinstance(value, Text) and value.pattern
}

CASES: dict[str, tuple[list[str], list[str]]] = {
    "StringFormattedString": (["{a}", " {tomo-vs_1} "], ["{}", "{a b}", "x{a}", "{a}{b}", "a"]),
    "FloatFormattedString": (["float {a}", "float{a}", "float  {ts-flux} "], ["{a}", "int {a}", " float {a}", "1.0"]),
    "IntegerFormattedString": (["int {a}", "int{q}"], ["float {a}", "{a}", "int a"]),
    "URLorS3URI": (
        ["https://h/a.png", "http://h", "s3://b/k", "cryoetportal-rawdatasets-dev/x/y.png"],
        ["ftp://h/a", "a.png", "/tmp/a.png", ""],
    ),
    "ORCID": (
        ["0000-0002-1825-0097", "0000-0001-5109-373X", "https://orcid.org/0000-0002-1825-0097"],
        ["0000-0002-1825-009", "0000-0002-1825-00977", "0000-0002-1825-009x", "orcid.org/0000-0002-1825-0097", "X"],
    ),
    "ROR": (
        ["013meh722", "https://ror.org/05jv8h268"],
        ["not-a-ror", "113meh722", "0i3meh722", "013meh72", "013MEH722"],
    ),
    "UNKNOWN_LITERAL": (["unknown"], ["Unknown", "unknown "]),
    "NOT_REPORTED_LITERAL": (["not_reported"], ["not reported"]),
    "BTO_ID": (["BTO:0000089"], ["BTO:89", "bto:0000089", "BTO_0000089", "BTO:00000890"]),
    "CDPO_ID": (["CDPO:0000001"], ["CDPO:1", "CDPO0000001"]),
    "CHEBI_ID": (["CHEBI:1", "CHEBI:15377"], ["CHEBI:", "Chebi:1"]),
    "CL_ID": (["CL:0000057"], ["CL:57", "CLO:0000057"]),
    "CC_ID": (["CC-1010"], ["CC-101", "CC1010", "CC-10101"]),
    "CVCL_ID": (["CVCL_0030", "CVCL_A1B2C"], ["CVCL:0030", "CVCL_030", "CVCL_003a"]),
    "EFO_ID": (["EFO:0022601"], ["EFO_0022601", "EFO:22601"]),
    "FBBT_ID": (["FBbt:00000001"], ["FBBT:00000001", "FBbt:0000001"]),
    "FBDV_ID": (["FBdv:00005369"], ["FBdv:5369"]),
    "GO_ID": (["GO:0022626"], ["GO:22626", "go:0022626", "GO:0022626 ", "GO:0022626\n"]),
    "HSAPDV_ID": (["HsapDv:0000087"], ["HSAPDV:0000087"]),
    "MMUSDV_ID": (["MmusDv:0000110"], ["MmusDv:110"]),
    "MONDO_ID": (["MONDO:0004992"], ["MONDO:4992"]),
    "NCBI_TAXON_ID": (["NCBITaxon:559292"], ["559292", "NCBI:559292"]),
    "PATO_ID": (["PATO:0000461"], ["PATO:461"]),
    "UBERON_ID": (["UBERON:0002107"], ["UBERON:2107"]),
    "UNIPROT_ID": (
        ["UniProtKB:P02794", "UniProtKB:A0A024R1R8", "UniProtKB:Q9Y6K9"],
        ["P02794", "UniProtKB:P0279", "UniProtKB:A0A024R1R", "UniProtKB:P02794-2", "xUniProtKB:P02794"],
    ),
    "WBBT_ID": (["WBbt:0005772"], ["WBBT:0005772"]),
    "WORMBASE_DEVELOPMENT_ID": (["WBls:0000041"], ["WBls:41"]),
    "WORMBASE_STRAIN_ID": (["WBStrain00000001"], ["WBStrain1", "xWBStrain00000001"]),
    "ZFA_ID": (["ZFA:0000008"], ["ZFA:8"]),
    "ZFS_ID": (["ZFS:0000035"], ["ZFS:35"]),
    "EMPIAR_ID": (["EMPIAR-10988", "EMPIAR-1234567"], ["EMPIAR 10988", "10988", "EMPIAR-"]),
    "PDB_ID": (["PDB-6DRV", "PDB-00006drv"], ["6DRV", "PDB-6DR", "PDB:6DRV"]),
    "DOI_LIST": (
        ["10.1000/a", "doi:10.1000/a.b-c(d);e:f", "10.1000/a,10.1000/b , doi:10.123456789/c"],
        ["", "10.1000", "https://doi.org/10.1000/a", "10.1000/a 10.1000/b", "10.1000/a,", "EMD-1234"],
    ),
    "EMPIAR_EMDB_PDB_LIST": (
        ["EMPIAR-10988", "EMD-1234, EMD-12345,PDB-6DRV", "EMPIAR-123"],
        ["EMD-123", "10.1000/a", "EMD-1234;EMD-1235", "EMPIAR-10988,"],
    ),
    "EMPIAR_EMDB_DOI_PDB_LIST": (
        ["10.1000/a", "EMPIAR-10988, doi:10.1000/a, EMD-1234"],
        ["none", "EMPIAR-10988 and EMD-1234"],
    ),
}


def test_every_pattern_has_cases() -> None:
    assert set(CASES) == set(PATTERNS)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (good, _) in CASES.items() for value in good])
def test_taken(name: str, value: str) -> None:
    assert PATTERNS[name].take(value) is not REFUSED


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (_, bad) in CASES.items() for value in bad])
def test_refused(name: str, value: str) -> None:
    """F67: patterns of plain texts hold."""
    assert PATTERNS[name].take(value) is REFUSED


def test_addresses_become_bare_ids() -> None:
    assert PATTERNS["ORCID"].take("https://orcid.org/0000-0002-1825-0097") == "0000-0002-1825-0097"
    assert PATTERNS["ORCID"].take("http://www.orcid.org/0000-0002-1825-0097") == "0000-0002-1825-0097"
    assert PATTERNS["ROR"].take("https://ror.org/013meh722") == "013meh722"
