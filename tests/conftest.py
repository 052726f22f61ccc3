"""Fixtures that every room's tests use: where the shared test material lies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

# Shared two-core machines make single examples slow; a time limit would only add noise. What a fixture holds is made
# once for all examples of a test; a test that needs it otherwise makes it itself.
settings.register_profile(
    "random",
    deadline=None,
    derandomize=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# The same examples every time: what is found by chance must not stop a change that has nothing to do with it.
# `make fuzz` and `--hypothesis-profile=random` look for more.
settings.register_profile("repeatable", settings.get_profile("random"), derandomize=True, database=None)
settings.load_profile("repeatable")

# Nor does an answer say anything by coming late: httpx gives up after 5 s, which such machines need now and then.
DEFAULT_TIMEOUT_CONFIG.connect = DEFAULT_TIMEOUT_CONFIG.read = DEFAULT_TIMEOUT_CONFIG.write = 120.0

# A shell without job control starts programs in the background deaf to Ctrl-C, and they pass that on to the programs
# that they start: those that a test interrupts would run for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)  # after --hypothesis-profile
def pytest_configure() -> None:
    """Hypothesis tries constants of the modules that are imported: other ones with every order of the tests."""
    if settings.get_current_profile_name() == "repeatable":
        pytest.MonkeyPatch().setattr(providers, "_get_local_constants", lambda: providers._local_constants)


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
