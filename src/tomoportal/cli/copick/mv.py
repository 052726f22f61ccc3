"""``tomoportal copick mv``."""

from __future__ import annotations

from tomoportal.cli.copick.transferring import transfer_command

__all__ = ["command"]

command = transfer_command("mv", "Move", move=True)
