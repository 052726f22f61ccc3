"""Loggers for plug-ins; the application's handlers and levels stay as they are (C84)."""

from __future__ import annotations

import logging

__all__ = ["get_logger"]


def get_logger(name: str, debug: bool = False) -> logging.Logger:
    """The logger of this name, at the level DEBUG if asked for."""
    logger = logging.getLogger(name)
    if debug:
        logger.setLevel(logging.DEBUG)
    return logger
