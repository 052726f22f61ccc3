"""From datasets of a portal to a project and its config."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from tomoportal import __version__
from tomoportal.client import PUBLIC_PORTAL, Endpoint
from tomoportal.copick.config import PickableObject
from tomoportal.copick.opening import write_config
from tomoportal.copick.portal.config import Access, CopickConfigCDP, settings_of
from tomoportal.copick.portal.naming import described_objects
from tomoportal.copick.portal.root import CopickRootCDP
from tomoportal.errors import NotFoundError, SettingsError
from tomoportal.model.ids import parse_id

__all__ = ["create_dataportal_config", "from_czcdp_datasets", "objects_from_datasets", "portal_config"]

_QUERY = (
    "{ datasets(where: {id: {_in: IDS}}) { id }"
    " annotations(where: {run: {datasetId: {_in: IDS}}}) { id objectId objectName annotationPublication }"
    " annotationShapes(where: {annotation: {run: {datasetId: {_in: IDS}}}}) { annotationId shapeType } }"
)


def from_czcdp_datasets(
    dataset_ids: Sequence[int | str],
    overlay_root: str,
    overlay_fs_args: dict[str, Any] | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
    output_path: str | os.PathLike[str] | None = None,
    *,
    portal_url: str | None = None,
    portal_access: Access | None = None,
    portal_s3_endpoint_url: str | None = None,
    portal_files_root: str | None = None,
) -> CopickRootCDP:
    """A project of datasets of a portal, with an object for each that is annotated in them.

    Writes the config to ``output_path`` if that is given. ``portal_url`` is the endpoint, or the address of the
    portal's pages; without it, the public portal is asked, once. Raises :class:`NotFoundError` for datasets that the
    portal does not have and :class:`PortalError` if it cannot be asked.
    """
    config = portal_config(
        dataset_ids,
        overlay_root,
        overlay_fs_args,
        user_id,
        session_id,
        portal_url=portal_url,
        portal_access=portal_access,
        portal_s3_endpoint_url=portal_s3_endpoint_url,
        portal_files_root=portal_files_root,
    )
    if output_path is not None:
        document = config.model_dump(mode="json", exclude_unset=True)
        path = os.fspath(output_path)
        if "://" not in path:
            Path(path).expanduser().absolute().parent.mkdir(parents=True, exist_ok=True)
        write_config(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    return CopickRootCDP(config)


def portal_config(
    dataset_ids: Sequence[int | str],
    overlay_root: str,
    overlay_fs_args: dict[str, Any] | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
    *,
    portal_url: str | None = None,
    portal_access: Access | None = None,
    portal_s3_endpoint_url: str | None = None,
    portal_files_root: str | None = None,
) -> CopickConfigCDP:
    """The config of such a project; only what differs from the defaults is set."""
    ids = list(dict.fromkeys(parse_id(each, "Dataset")[1] for each in dataset_ids))
    if not ids:
        raise SettingsError("no dataset is named", where="dataset_ids", fix="give at least one, such as DS-10000")
    ours: dict[str, Any] = {
        "portal_url": portal_url,
        "portal_access": portal_access,
        "portal_s3_endpoint_url": portal_s3_endpoint_url,
        "portal_files_root": portal_files_root,
    }
    bare = CopickConfigCDP(pickable_objects=[], overlay_root=overlay_root, dataset_ids=ids, **ours)
    endpoint = Endpoint(settings_of(bare).url)
    if portal_url is not None or endpoint.url != PUBLIC_PORTAL:
        ours["portal_url"] = endpoint.url
    name = "CZ cryoET Data Portal Dataset"  # the name by which upstream's projects are known
    if endpoint.url != PUBLIC_PORTAL:
        name = f"Datasets of {urlsplit(endpoint.url).netloc}"
    said = ", ".join(f"DS-{each}" for each in ids)
    return CopickConfigCDP(
        name=name,
        description=f"{'Dataset' if len(ids) == 1 else 'Datasets'} {said} of {endpoint.url}.",
        config_type="cryoet_data_portal",
        version=__version__,
        pickable_objects=objects_from_datasets(ids, endpoint),
        overlay_root=overlay_root,
        overlay_fs_args=overlay_fs_args or {},
        dataset_ids=ids,
        user_id=user_id,
        session_id=session_id,
        **{key: value for key, value in ours.items() if value is not None},
    )


def create_dataportal_config(dataset_ids: Sequence[int | str]) -> str:
    """The path of a config on datasets with an overlay beside it, both in a new temporary folder; the caller removes
    that folder. Upstream leaves two behind (C105)."""
    folder = Path(tempfile.mkdtemp(prefix="copick-"))
    path = folder / "config.json"
    try:
        from_czcdp_datasets(dataset_ids, str(folder / "overlay"), {"auto_mkdir": True}, output_path=path)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return str(path)


def objects_from_datasets(dataset_ids: Iterable[int], endpoint: Endpoint | None = None) -> list[PickableObject]:
    """What is annotated in datasets, by one question; the same labels and colours in every process (C74).

    Raises :class:`NotFoundError` for datasets that the portal does not have.
    """
    ids = sorted(set(dataset_ids))
    asked = endpoint or Endpoint()
    data = asked.ask(_QUERY.replace("IDS", str(ids)))
    missing = sorted(set(ids) - {row["id"] for row in data["datasets"]})
    if missing:
        raise NotFoundError(
            f"the portal has no dataset {', '.join(map(str, missing))}",
            where=asked.url,
            fix="correct the number, or the address of the portal; datasets appear at their release date",
        )
    return described_objects(data["annotations"], data["annotationShapes"])
