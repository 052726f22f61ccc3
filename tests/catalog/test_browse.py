"""Pages read the same from either database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tomoportal.catalog import ANYONE, Catalog, browse, index

NewUrl = Callable[[str], str]


def _pages(catalog: Catalog) -> dict[str, Any]:
    with catalog.reader(ANYONE) as read:
        runs = [row["id"] for row in read.rows("Run")]
        datasets = [row["id"] for row in read.rows("Dataset")]
        depositions = [row["id"] for row in read.rows("Deposition")]
    return {
        "landing": browse.landing_counts(catalog, ANYONE),
        "lists": [browse.datasets(catalog, ANYONE, title_order=order) for order in (None, "asc", "desc")],
        "searches": [
            browse.datasets(catalog, ANYONE, search=words)
            for words in ("Dataset", "ADA", "membrane", "TS_run1", "DS-10001", "10301", "100%", "a_b", "RUN1", "zzz")
        ],
        "datasets": [browse.dataset(catalog, ANYONE, number) for number in (*datasets, 1)],
        "runs": [browse.run(catalog, ANYONE, number) for number in (*runs, 999_999)],
        "depositions": [browse.deposition(catalog, ANYONE, number) for number in (*depositions, 1)],
        "list of depositions": browse.depositions(catalog, ANYONE),
        "run of": browse.run_of(catalog, ANYONE, "Tomogram", 1),
    }


def test_pages_of_an_indexed_archive(example: Any, tmp_path: Path, postgres_url: NewUrl) -> None:
    archive = example.write()
    found = []
    for url in (f"sqlite:///{tmp_path}/catalog.sqlite", postgres_url("pages")):
        with Catalog.open(url, create=True) as catalog:
            index(archive, catalog)
            found.append(_pages(catalog))
    assert found[0] == found[1]
    assert found[0]["lists"][0].rows[0]["objects"] == [("membrane", True), ("one", False)]


def test_pages_of_the_contract_seed(
    seed: dict[str, Any], tmp_path: Path, postgres_url: NewUrl, fill: Callable[[Catalog, dict[str, Any]], None]
) -> None:
    """Rows with nulls in every nullable column."""
    found = []
    for url in (f"sqlite:///{tmp_path}/catalog.sqlite", postgres_url("pages")):
        with Catalog.open(url, create=True) as catalog:
            fill(catalog, seed)
            found.append(_pages(catalog))
    assert found[0] == found[1]
