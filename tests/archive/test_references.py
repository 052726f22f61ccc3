"""What documents refer to, as keys of the archive."""

from __future__ import annotations

import json

from tomoportal.archive.references import viewer_sources
from tomoportal.formats.neuroglancer import Tomogram, build_state


def test_the_sources_of_a_viewer_configuration_are_keys_whatever_the_name() -> None:
    key = "10001/Zelle 2 µ #1 100%/Reconstructions/VoxelSpacing10.000/Tomograms/100/Zelle 2 µ #1 100%.zarr"
    state = build_state(Tomogram("Zelle 2 µ #1 100%", key, (48, 80, 96), 10.0), [])
    assert viewer_sources(json.dumps(state).encode()) == [key]
