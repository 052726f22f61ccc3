"""For tests of tomoportal and of what is built on it: conformance suites; slow, counting and failing stores.

    from tomoportal.testing.stores import StoreTests           # subclass it, give it a fixture `store`
    from tomoportal.testing.faulty import FaultyStore, Killed  # fails, or dies, at the n-th operation
    from tomoportal.testing.object_server import s3_server     # moto's S3 on a free port of 127.0.0.1
    from tomoportal.testing.file_servers import smb_server     # Samba's and OpenSSH's servers, where installed
    from tomoportal.testing.programs import Program            # a process that is waited for and ends with the block
    from tomoportal.testing.postgres import PostgresServer     # a real one, without root
    from tomoportal.testing.failing_proxy import FailingProxy  # every n-th request breaks

The suites need pytest; nothing else of the package imports this room.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomoportal.testing.faulty import FaultyStore, Killed
    from tomoportal.testing.object_server import s3_server
    from tomoportal.testing.stores import StoreTests

__all__ = ["FaultyStore", "Killed", "StoreTests", "s3_server"]

_MODULES = {"FaultyStore": "faulty", "Killed": "faulty", "StoreTests": "stores", "s3_server": "object_server"}


def __getattr__(name: str) -> Any:  # the suites need pytest, which a user's installation does not have
    if name in _MODULES:
        return getattr(import_module(f"tomoportal.testing.{_MODULES[name]}"), name)
    raise AttributeError(name)
