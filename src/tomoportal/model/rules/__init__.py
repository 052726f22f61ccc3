"""Rules that no schema can express, on raw configs and documents; they need neither files nor network.

A rule looks only at what has the right form: what has not is reported by the schema check.
"""

from __future__ import annotations

from collections.abc import Iterator

from tomoportal.errors import Problem
from tomoportal.model.rules import ours, portal
from tomoportal.model.rules.raw import mapping

__all__ = ["config_errors", "config_warnings", "document_errors", "document_warnings"]


def config_errors(data: object) -> Iterator[Problem]:
    """Broken rules that make a config unusable."""
    for rule in (*portal.ERRORS, *ours.ERRORS):
        yield from rule(mapping(data))


def config_warnings(data: object) -> Iterator[Problem]:
    """Broken rules of a config that can be used all the same."""
    for rule in (*portal.WARNINGS, *ours.WARNINGS):
        yield from rule(mapping(data))


def document_errors(kind: str, data: object) -> Iterator[Problem]:
    """Broken rules of a metadata document."""
    if kind in ("alignment", "tomogram"):
        yield from ours.singular_matrix(mapping(data))


def document_warnings(kind: str, data: object) -> Iterator[Problem]:
    """Doubtful values of a metadata document."""
    document = mapping(data)
    yield from ours.orcid_digits(document)
    yield from ours.empiar_digits(document)
    if kind in ("alignment", "tomogram"):
        yield from ours.last_row(document)
