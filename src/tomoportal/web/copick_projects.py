"""How datasets are opened as a copick project: what a reader copies into a shell or a script."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["CopickProject", "copick_project"]

_COMMAND = """\
tomoportal copick from-portal {names} \\
    --endpoint {origin} --overlay {folder} --output {folder}.json"""

_PYTHON = """\
import tomoportal.copick as copick

root = copick.from_czcdp_datasets({ids}, "{folder}", portal_url="{origin}")
for picks in root.picks({query}):
    positions, transforms = picks.numpy()  # (n, 3) in Å, (n, 4, 4)
    print(picks.run.portal_run_name, picks.pickable_object_name, len(positions))"""

_UPSTREAM = """\
import os

os.environ["FSSPEC_S3_ENDPOINT_URL"] = "{origin}/s3"
os.environ["COPICK_PORTAL_CACHE_DIR"] = "{folder}-cache"  # of this portal alone

import cryoet_data_portal._client

cryoet_data_portal._client.DEFAULT_URL = "{origin}/graphql"

import copick

root = copick.from_czcdp_datasets({ids}, "{folder}", {{"auto_mkdir": True}}, output_path="{folder}.json")
print(len(root.runs), "runs,", len(root.pickable_objects), "objects")"""


@dataclass(frozen=True)
class CopickProject:
    """The texts of one page: for a shell, for Python, and for the package ``copick`` as it is on PyPI."""

    command: str
    python: str
    upstream: str


def copick_project(
    origin: str, dataset_ids: Sequence[int], *, name: str, deposition_id: int | None = None
) -> CopickProject:
    """``name`` is that of the overlay's folder and of the config; points are those of ``deposition_id``, if given."""
    ids = list(dataset_ids)
    query = "" if deposition_id is None else f'portal_meta_query={{"deposition_id": {deposition_id}}}'
    names = " ".join(f"DS-{each}" for each in ids)
    return CopickProject(
        _COMMAND.format(names=names, origin=shlex.quote(origin), folder=name),
        _PYTHON.format(ids=ids, origin=origin, folder=name, query=query),
        _UPSTREAM.format(ids=ids, origin=origin, folder=name),
    )
