"""The commands of ``tomoportal copick export``, one module each."""
