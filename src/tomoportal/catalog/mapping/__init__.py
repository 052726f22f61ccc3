"""Metadata documents → rows of the catalog (catalog-import 3 to 6); one module per kind of document."""
