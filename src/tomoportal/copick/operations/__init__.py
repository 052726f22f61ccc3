"""What scripts and plug-ins do with whole projects: each run in turn, lists over runs, additions from arrays, files.

The names are those of ``copick.ops`` of the PyPI package, under which :mod:`tomoportal.copick.drop_in` provides them.
"""
