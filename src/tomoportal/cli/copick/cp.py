"""``tomoportal copick cp``."""

from __future__ import annotations

from tomoportal.cli.copick.transferring import transfer_command

__all__ = ["command"]

command = transfer_command("cp", "Copy", move=False)
