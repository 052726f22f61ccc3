"""Versions of segmentations on servers: S3, OpenSSH's ``sshd``, Samba's ``smbd``, and what fsspec knows (C3, C5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.errors import ConflictError
from tomoportal.testing.file_servers import ServerIsMissing, smb_server, ssh_server
from tomoportal.testing.object_server import s3_server

SIZE = (3, 4, 150)


@pytest.fixture(params=["s3", "fsspec", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("ssh", "smb"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The keys of a config."""
    kind = request.param
    if kind == "s3":
        with s3_server() as url:
            endpoint = parse_qs(url.partition("?")[2])["endpoint"][0]
            yield {"overlay_root": "s3://bucket/project", "overlay_fs_args": {"endpoint_url": endpoint}}
    elif kind == "fsspec":
        yield {"overlay_root": f"memory://{tmp_path.name}", "overlay_fs_args": {}}
    else:
        folder = tmp_path / "share"
        folder.mkdir()
        try:
            with ssh_server() if kind == "ssh" else smb_server(folder) as server:
                url = f"ssh://{folder}/project" if kind == "ssh" else "smb:///share/project"
                yield {"overlay_root": url, "overlay_fs_args": server.arguments}
        except ServerIsMissing as error:
            pytest.skip(str(error))


def value(segmentation: copick.CopickSegmentation, number: int | None = None) -> int:
    folder = segmentation._folder if number is None else segmentation._previous(number)
    (found,) = np.unique(folder.read("0", None))
    return int(found)


def test_c3_c5_versions_of_segmentations_are_kept_on_every_store(place: dict[str, Any]) -> None:
    """Volumes of the same sizes follow each other within a second, which not every store's clock can tell apart."""
    config = copick.CopickConfigFSSpec(
        user_id="ada", pickable_objects=[{"name": "membrane", "is_particle": False, "label": 1}], **place
    )

    def opened() -> copick.CopickSegmentation:
        run = copick.CopickRoot(config).new_run("TS_001", exist_ok=True)
        return run.new_segmentation(10, "membrane", "1", exist_ok=True)

    mine = opened()
    mine.from_numpy(np.full(SIZE, 1))
    seen = [opened()]
    for number in (2, 3, 4):
        mine.from_numpy(np.full(SIZE, number))
        seen.append(opened())
    for other in seen[:-1]:
        with pytest.raises(ConflictError):
            other.from_numpy(np.full(SIZE, 9))
    seen[-1].set_region(7, z=0)
    with pytest.raises(ConflictError):
        mine.from_numpy(np.full(SIZE, 9))
    assert [value(mine, each.number) for each in mine.history()][-3:] == [1, 2, 3]
    assert all(each.size > 0 and each.replaced > 0 for each in mine.history())
    seen[-1].from_numpy(np.full(SIZE, 5))
    seen[-1].restore(2)
    assert value(opened()) == 2
    assert copick.CopickRoot(config).report(contents=True) == []
    opened().delete()
    assert copick.CopickRoot(config).runs[0].segmentations == []
    again = opened()
    again.restore(again.history()[-1])
    assert value(opened()) == 2
    root = copick.CopickRoot(config)
    assert root.report(contents=True) == []
    root.runs[0].delete()
    left = [stat.key for stat in root._overlay.store.list() if not stat.key.startswith(".tomoportal/")]
    assert left == []
