"""Rules 16 to 21 for configs: what they name exists at the services that keep it. On request only."""

from __future__ import annotations

from tomoportal.ingest.lookups.client import SERVICES, Client
from tomoportal.ingest.lookups.rules import check_online, read_exclusions

__all__ = ["SERVICES", "Client", "check_online", "read_exclusions"]
