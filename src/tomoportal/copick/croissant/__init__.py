"""Projects that a Croissant manifest describes: JSON-LD and tables say what there is and where (copick-model, 19).

The manifest is read with the standard library. The rest of the data model sees a store with copick's usual keys, so
that a project needs no listing of folders: a plain web server is enough to read one (C96).
"""
