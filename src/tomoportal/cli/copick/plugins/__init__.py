"""Commands of released plug-ins, and what these import of the PyPI package's command line (reference copick-cli, 7)."""
