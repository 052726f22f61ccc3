"""Scripts that are written for the PyPI package ``copick``, run on ours in this process."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from typing import Any
from unittest import mock

from tomoportal import copick

__all__ = ["on_ours"]


def on_ours(script: str, *arguments: object, **names: Any) -> Any:
    """What the script prints, read as JSON (None for nothing). It sees ``arguments`` in ``sys.argv``, and ``names``."""
    printed = io.StringIO()
    sys.modules["copick"] = copick
    try:
        with redirect_stdout(printed), mock.patch.object(sys, "argv", ["script", *map(str, arguments)]):
            exec(compile(script, "script", "exec"), {"json": json, "copick": copick, **names})
    finally:
        del sys.modules["copick"]
    return json.loads(printed.getvalue()) if printed.getvalue() else None
