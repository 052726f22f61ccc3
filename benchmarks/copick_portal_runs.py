"""One operation of benchmarks/copick_portal.py on one package; prints CPU and wall seconds, peak memory and a count.

python -P benchmarks/copick_portal_runs.py ours|upstream OPERATION CONFIG PORTAL
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

sys.path.append(os.path.dirname(__file__))  # last: it holds files that have the names of packages

from measuring import Measure, printed


def package(name: str, portal: str) -> Any:
    """The package as a script uses it, its portal back end loaded; upstream's client has no setting for the portal."""
    if name == "ours":
        importlib.import_module("tomoportal.copick.portal.root")
        return importlib.import_module("tomoportal.copick")
    importlib.import_module("copick.impl.cryoet_data_portal")
    importlib.import_module("cryoet_data_portal._client").DEFAULT_URL = f"{portal}/graphql"  # type: ignore[attr-defined]
    return importlib.import_module("copick")


def listed(root: Any) -> int:
    count = 0
    for run in root.runs:
        count += len(run.picks) + len(run.segmentations)
        count += sum(len(spacing.tomograms) for spacing in run.voxel_spacings)
    return count


def points(root: Any, bulk: bool) -> int:
    if bulk:
        root.load_points()
    return sum(len(picks.numpy()[0]) for run in root.runs for picks in run.picks)


def main() -> None:
    name, operation, config, portal = sys.argv[1:]
    copick = package(name, portal)
    if operation != "open and list":
        listed(copick.from_file(config))  # imports, answers and connections are there
    measure = Measure()
    root = copick.from_file(config)
    bulk = operation == "read points, many at a time" and name == "ours"
    count = listed(root) if "list" in operation else points(root, bulk)
    printed({**measure.end(), "count": count})


if __name__ == "__main__":
    main()
