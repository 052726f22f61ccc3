"""``python -m tomoportal.model.generate``: write all generated files of the model."""

from __future__ import annotations

from tomoportal.model.generate.files import write

for path in write():
    print(path)
