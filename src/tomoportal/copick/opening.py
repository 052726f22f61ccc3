"""From a config to a project."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tomoportal import __version__
from tomoportal.copick import versions
from tomoportal.copick.config import CopickConfig, CopickConfigFSSpec, PickableObject, load_config
from tomoportal.copick.root import CopickRoot
from tomoportal.errors import ConflictError, NotFoundError
from tomoportal.storage import Store, open_store

if TYPE_CHECKING:
    from tomoportal.copick.croissant.root import CopickConfigMLCroissant

__all__ = [
    "ConfigFile",
    "croissant_config",
    "filesystem_config",
    "from_croissant",
    "from_file",
    "from_string",
    "new_config",
    "open_project",
    "read_config",
    "write_config",
]


def from_string(data: str) -> CopickRoot:
    """The project that a config in JSON describes. Comments and trailing commas are allowed."""
    return open_project(load_config(data))


def from_file(path: str | os.PathLike[str]) -> CopickRoot:
    """The project of a config file: a local path, or any address."""
    text, file = read_config(os.fspath(path))
    root = open_project(load_config(text, os.fspath(path)))
    root._config_file = file
    return root


def from_croissant(
    croissant_url: str,
    overlay_root: str | None = None,
    croissant_base_url: str | None = None,
    overlay_fs_args: dict[str, Any] | None = None,
    croissant_fs_args: dict[str, Any] | None = None,
    static_fs_args: dict[str, Any] | None = None,
    output_path: str | os.PathLike[str] | None = None,
) -> CopickRoot:
    """The project that a Croissant manifest describes, with an overlay for changes if one is given.

    The config is written to ``output_path`` if that is given.
    """
    from tomoportal.copick.croissant.root import CopickRootMLC

    root = CopickRootMLC(
        croissant_config(
            croissant_url, overlay_root, croissant_base_url, overlay_fs_args, croissant_fs_args, static_fs_args
        )
    )
    if output_path is not None:
        root.save_config(output_path)
    return root


def croissant_config(
    croissant_url: str,
    overlay_root: str | None = None,
    croissant_base_url: str | None = None,
    overlay_fs_args: dict[str, Any] | None = None,
    croissant_fs_args: dict[str, Any] | None = None,
    static_fs_args: dict[str, Any] | None = None,
) -> CopickConfigMLCroissant:
    """The config of a project that a Croissant manifest describes; nothing is opened."""
    from tomoportal.copick.croissant.root import CopickConfigMLCroissant

    return CopickConfigMLCroissant(
        pickable_objects=[],
        croissant_url=croissant_url,
        croissant_base_url=croissant_base_url,
        overlay_root=overlay_root,
        overlay_fs_args=overlay_fs_args or {},
        croissant_fs_args=croissant_fs_args or {},
        static_fs_args=static_fs_args or {},
    )


def open_project(config: CopickConfig) -> CopickRoot:
    """The project of a config, opened by the back end that the config's class names."""
    module, _, name = config.ROOT.partition(":")
    found: CopickRoot = getattr(import_module(f"tomoportal.copick.{module}"), name)(config)
    return found


def new_config(
    config: str | os.PathLike[str],
    overlay_root: str,
    proj_name: str = "copick project",
    proj_description: str = "",
    pickable_objects: Sequence[PickableObject | dict[str, Any]] | None = None,
) -> CopickRoot:
    """Write the config of a new project on files and open it. An address as ``overlay_root`` is kept (C37)."""
    root = CopickRoot(filesystem_config(overlay_root, proj_name, proj_description, pickable_objects))
    root.save_config(config)
    return root


def filesystem_config(
    overlay_root: str,
    proj_name: str = "copick project",
    proj_description: str = "",
    pickable_objects: Sequence[PickableObject | dict[str, Any]] | None = None,
    overlay_fs_args: dict[str, Any] | None = None,
) -> CopickConfigFSSpec:
    """The config of a new project on files; nothing is opened. Folders that are missing are made."""
    objects = [
        each if isinstance(each, PickableObject) else PickableObject.model_validate(each)
        for each in pickable_objects or ()
    ]
    return CopickConfigFSSpec(
        name=proj_name,
        description=proj_description,
        version=__version__,
        pickable_objects=objects,
        overlay_root=overlay_root if "://" in overlay_root else f"local://{overlay_root}",
        overlay_fs_args={"auto_mkdir": True, **(overlay_fs_args or {})},
    )


def _place(path: str, *, create: bool) -> tuple[Store, str]:
    """The store and the key of a file."""
    scheme, separator, rest = path.partition("://")
    if not separator or scheme in ("local", "file"):
        local = Path(rest if separator else path).expanduser().absolute()
        return open_store(local.parent, create=create, follow_links=True), local.name
    base, question, query = path.partition("?")
    parent, _, name = base.rpartition("/")
    if scheme == "s3":
        return open_store(f"{parent}{question}{query}"), name
    from tomoportal.storage.filesystem_spec import open_fsspec

    return open_fsspec(parent), name


@dataclass(frozen=True)
class ConfigFile:
    """Where a config lies, and the version of it that was read or written."""

    place: tuple[str, str]
    etag: str
    checksum: int


def read_config(path: str) -> tuple[str, ConfigFile]:
    """The text of a config. Raises :class:`NotFoundError`."""
    try:
        store, name = _place(path, create=False)
        data, etag = store.get_version(name)
        return data.decode(), ConfigFile((store.url, name), etag, crc32(data))
    except NotFoundError as error:
        raise NotFoundError(
            "the config does not exist",
            where=path,
            fix="correct the path, or make one: `tomoportal copick config filesystem`, in Python `new_config`",
        ) from error


def write_config(path: str, data: bytes, seen: ConfigFile | None = None, *, overwrite: bool = False) -> ConfigFile:
    """Replace a config, atomically. Raises :class:`ConflictError` if it is ``seen``, at another version."""
    store, name = _place(path, create=True)
    place = (store.url, name)
    if seen is None or seen.place != place or overwrite:
        return ConfigFile(place, store.put(name, data), crc32(data))
    try:
        etag = versions.save(store, name, data, seen=seen.etag, overwrite=False, keep=0, checksum=seen.checksum)
    except ConflictError as error:
        raise ConflictError(
            error.what, where=path, fix="open the project again and repeat the change, or save with overwrite=True"
        ) from error
    return ConfigFile(place, etag, crc32(data))
