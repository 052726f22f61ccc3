"""Dataset documents."""

from __future__ import annotations

from collections.abc import Collection

from tomoportal.catalog.mapping.people import DATES, add_authors, same
from tomoportal.catalog.mapping.rows import Document, ItemRefused, Key, Row, Sheet

__all__ = ["add_dataset", "deposition_of"]

_PATHS = {
    **DATES,
    **same("sample_type", "sample_preparation", "grid_preparation", "other_setup"),
    "title": "dataset_title",
    "description": "dataset_description",
    "assay_label": "assay.name",
    "assay_ontology_id": "assay.id",
    "development_stage_name": "development_stage.name",
    "development_stage_ontology_id": "development_stage.id",
    "disease_name": "disease.name",
    "disease_ontology_id": "disease.id",
    "organism_name": "organism.name",
    "organism_taxid": "organism.taxonomy_id",
    "tissue_name": "tissue.name",
    "tissue_id": "tissue.id",
    "cell_name": "cell_type.name",
    "cell_type_id": "cell_type.id",
    "cell_strain_name": "cell_strain.name",
    "cell_strain_id": "cell_strain.id",
    "cell_component_name": "cell_component.name",
    "cell_component_id": "cell_component.id",
    "related_database_entries": "cross_references.related_database_entries",
    "key_photo_url": "key_photos.snapshot",
    "key_photo_thumbnail_url": "key_photos.thumbnail",
}

_FUNDING = same("funding_agency_name", "grant_id")


def deposition_of(
    sheet: Sheet, document: Document, known: Collection[int], *, required: bool, path: str = "deposition_id"
) -> int | None:
    """The deposition that a document names; it must be in the archive. Raises :class:`ItemRefused`."""
    value = document.get(path)
    if value is None and not required:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value not in known:
        raise sheet.refuse(
            f"{document.key}: {path}",
            f"there is no deposition {value!r} in the archive",
            f"ingest it, so that depositions_metadata/{value}/deposition_metadata.json is there",
        )
    return value


def add_dataset(sheet: Sheet, folder: str, document: Document, known: Collection[int]) -> Row:
    """Rows of a dataset; its ``file_size`` is set when all runs were read. Raises :class:`ItemRefused`."""
    number = document.get("dataset_identifier")
    if isinstance(number, bool) or not isinstance(number, int) or str(number) != folder:
        raise sheet.refuse(
            f"{document.key}: dataset_identifier", f"{number!r} is not the name of the folder", f"write {folder}"
        )
    computed = {
        "deposition_id": deposition_of(sheet, document, known, required=True),
        "prefix_key": f"{folder}/",
        "dataset_publications": document.get("cross_references.database_publications")
        or document.get("cross_references.publications"),
    }
    row = sheet.add("Dataset", Key(folder), document, _PATHS, computed)
    row.id = number
    add_authors(sheet, "DatasetAuthor", "dataset_id", row, document, by_key=True)
    for place, content in document.items("funding"):
        key = row.key.below(content.get("funding_agency_name"), content.get("grant_id"))
        try:
            sheet.add(
                "DatasetFunding",
                key,
                document,
                _FUNDING,
                {"dataset_id": row.key},
                content=content,
                place=place,
                numbered=True,
            )
        except ItemRefused:
            continue
    return row
