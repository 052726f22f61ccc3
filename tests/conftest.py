"""Fixtures that every room's tests use: where the shared test material lies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Shared two-core machines make single examples slow; a time limit per example would only add noise.
settings.register_profile("tomoportal", deadline=None)
settings.load_profile("tomoportal")

# A shell without job control starts programs in the background deaf to Ctrl-C, and they pass that on to the programs
# that they start: those that a test interrupts would run for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_SHARED = Path(os.environ.get("TOMOPORTAL_SHARED", Path(__file__).parents[2] / "shared"))


def _folder(relative: str) -> Path:
    folder = _SHARED / relative
    if not folder.is_dir():
        pytest.skip(f"{relative} is not here; point TOMOPORTAL_SHARED to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real cryoET files, read in place (see MANIFEST.md in it)."""
    return _folder("data/real")


@pytest.fixture(scope="session")
def real_configs() -> Path:
    """Real ingestion configs of the public portal, read in place."""
    return _folder("data/configs")


@pytest.fixture(scope="session")
def contracts() -> Path:
    """Recorded requests and answers of the public API, read in place."""
    return _folder("contracts")
