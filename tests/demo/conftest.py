"""The tiny demo, made once, and what its files say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoportal.demo import make_demo
from tomoportal.demo.campaign import SCALES, Scale
from tomoportal.formats.mrc import open_mrc


@pytest.fixture(scope="session")
def tiny() -> Scale:
    return SCALES["tiny"]()


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ingestion config of a tiny demo; the raw files lie beside it."""
    return make_demo(tmp_path_factory.mktemp("demo"), jobs=1, scale="tiny")


@pytest.fixture(scope="session")
def lab(config: Path) -> Path:
    return config.parent / "lab"


@pytest.fixture(scope="session")
def voxels() -> Callable[[Path], NDArray[np.float32]]:
    """All voxels ``(z, y, x)`` of an MRC file as float32."""

    def read(path: Path) -> NDArray[np.float32]:
        volume = open_mrc(path)
        return np.asarray(volume.read(0, volume.shape[0]), np.float32)

    return read
