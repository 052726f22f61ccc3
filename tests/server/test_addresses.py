"""Under which addresses a request's answer speaks of the portal (F157, F159, F164: nothing absolute is stored)."""

from __future__ import annotations

from typing import Any

import pytest

from tomoportal.server.addresses import BadHostError, addresses_of
from tomoportal.server.settings import Settings


def scope(*headers: tuple[str, str], client: str = "10.0.0.9") -> dict[str, Any]:
    return {
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "client": (client, 5),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }


FORWARDED = (("host", "inner:8000"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "cryoet.lab.example"))


def test_the_host_of_the_request() -> None:  # F159
    found = addresses_of(scope(("host", "lab.example:81")), Settings(archive="a"))
    assert (found.portal, found.files) == ("http://lab.example:81", "http://lab.example:81/files")
    assert addresses_of(scope(), Settings(archive="a")).portal == "http://127.0.0.1:8000"
    assert addresses_of(scope(("host", "[::1]:8000")), Settings(archive="a")).portal == "http://[::1]:8000"


def test_settings_win() -> None:
    settings = Settings(archive="a", public_url="https://p.example/", files_url="https://f.example/data/")
    found = addresses_of(scope(("host", "x")), settings)
    assert (found.portal, found.files) == ("https://p.example", "https://f.example/data")


def test_forwarded_headers_are_believed_from_trusted_proxies_only() -> None:
    assert addresses_of(scope(*FORWARDED), Settings(archive="a")).portal == "http://inner:8000"
    trusting = Settings(archive="a", trusted_proxies=("10.0.0.9",))
    assert addresses_of(scope(*FORWARDED), trusting).portal == "https://cryoet.lab.example"
    assert addresses_of(scope(*FORWARDED, client="10.0.0.8"), trusting).portal == "http://inner:8000"
    everyone = Settings(archive="a", trusted_proxies=("*",))
    assert addresses_of(scope(*FORWARDED, client="10.0.0.8"), everyone).portal == "https://cryoet.lab.example"


@pytest.mark.parametrize("host", ["a b", 'x"><script>', "a/b", "a@b", "user:pass@host", "é"])
def test_hosts_that_are_none_are_refused(host: str) -> None:
    with pytest.raises(BadHostError):
        addresses_of(scope(("host", host)), Settings(archive="a"))
