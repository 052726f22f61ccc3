"""Particle lists of other programs (and their volumes) as particles, arrays, data frames and handlers.

Parsers are in :mod:`tomoportal.formats`; these are what ``copick.util.formats``, ``handlers`` and ``relion`` promise.
"""
