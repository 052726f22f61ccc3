"""Datasets of a CryoET data portal, the public one or one of ours, as a copick project (reference copick-portal)."""

from __future__ import annotations
