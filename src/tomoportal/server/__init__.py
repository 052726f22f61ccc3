"""One ASGI application: pages, GraphQL, files, viewer and health on one port.

``settings.py`` says how a server is set up, ``app.py`` puts the rooms together, ``running.py`` listens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tomoportal.server.settings import Settings, load_settings, settings_table

if TYPE_CHECKING:
    from tomoportal.server.app import create_app
    from tomoportal.server.running import LiveServer, run

__all__ = ["LiveServer", "Settings", "create_app", "load_settings", "run", "settings_table"]

_HOMES = {"LiveServer": "running", "create_app": "app", "run": "running"}


def __getattr__(name: str) -> Any:  # the settings are wanted without loading a web server
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"tomoportal.server.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
