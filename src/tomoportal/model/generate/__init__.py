"""Generator of everything that is derived from ``model/linkml/``; needs the development dependencies.

``python -m tomoportal.model.generate`` (``make schema``) writes the files, ``outputs()`` returns them.
"""

from __future__ import annotations

from tomoportal.model.generate.files import outputs

__all__ = ["outputs"]
