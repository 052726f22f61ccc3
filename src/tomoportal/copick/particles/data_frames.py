"""pandas, for the few functions of upstream's that take or give data frames; nothing else of ours needs it."""

from __future__ import annotations

from typing import Any

from tomoportal.errors import MissingPartError

__all__ = ["pandas"]


def pandas() -> Any:
    """The package. Raises :class:`MissingPartError` if it is not installed."""
    try:
        import pandas as package
    except ImportError as error:
        raise MissingPartError(
            "the package pandas is not installed", where="data frames", fix="pip install 'tomoportal[tables]'"
        ) from error
    return package
