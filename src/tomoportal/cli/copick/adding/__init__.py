"""The commands of ``tomoportal copick add``, one module each."""
