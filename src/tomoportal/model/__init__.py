"""What things are: entities of the catalog, metadata documents, ingestion configs, ids.

``tomoportal.model.entities`` and ``tomoportal.model.ids`` need only the standard library.
"""
