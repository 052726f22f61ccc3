"""A self-hostable home for cryo-electron tomography data."""

__version__ = "0.1.0"
