"""Files of other programs into a project and out of it.

Everything here is planned first and done as :mod:`~tomoportal.copick.tasks`: whatever can be known to be wrong is
found before the first byte is written (C105). Formats themselves are read and written by :mod:`tomoportal.formats`.
"""
