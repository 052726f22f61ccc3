"""Asking a portal, ours or the public one, over its GraphQL API.

    from tomoportal.client import Endpoint

    endpoint = Endpoint("https://cryoet.lab.example")     # or its /graphql; without an address, the public portal
    endpoint.ask("{ datasets { id title } }")["datasets"]

The room needs the standard library and a JSON parser: no NumPy, no database.
"""

from __future__ import annotations

from tomoportal.client.endpoint import PUBLIC_PORTAL, Answer, Endpoint

__all__ = ["PUBLIC_PORTAL", "Answer", "Endpoint"]
