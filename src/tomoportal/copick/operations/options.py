"""What commands and plug-ins give as text: lists, maps, and files that become runs ."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from tomoportal.copick.logs import get_logger
from tomoportal.errors import AnnotationError, FormatError

if TYPE_CHECKING:
    from tomoportal.copick.pyramids import Array
    from tomoportal.copick.root import CopickRoot

__all__ = [
    "ensure_pickable_objects",
    "get_data_from_file",
    "get_format_from_extension",
    "parse_dataset_ids",
    "parse_list",
    "parse_mapping",
    "prepare_runs_from_paths",
]

_FORMATS: Final = {"mrc": "mrc", "map": "mrc", "zarr": "zarr"}


def parse_list(list_str: str) -> list[str]:
    """``"a, b"`` → ``["a", "b"]``."""
    return [each.strip() for each in list_str.split(",")] if list_str else []


def parse_mapping(mapping_str: str) -> dict[str, str]:
    """``"a:b,c"`` → ``{"a": "b", "c": "c"}``."""
    pairs = (each.partition(":") for each in parse_list(mapping_str))
    return {old.strip(): (new if colon else old).strip() for old, colon, new in pairs}


def parse_dataset_ids(dataset_ids_str: str) -> list[int]:
    """``"10000,10001"`` as numbers. Raises :class:`AnnotationError`."""
    try:
        return [int(each) for each in parse_list(dataset_ids_str)]
    except ValueError as error:
        raise AnnotationError(f"{dataset_ids_str!r} holds no dataset ids.", fix="write numbers with commas") from error


def get_format_from_extension(path: str) -> str | None:
    """``mrc`` or ``zarr`` by the ending of a name, or None."""
    return _FORMATS.get(path.rpartition(".")[2])


def get_data_from_file(path: str, file_format: str) -> tuple[Array, float]:
    """The voxels ``(z, y, x)`` of an MRC file or OME-Zarr folder, and the voxel size in Å that it states."""
    if file_format not in _FORMATS.values():
        raise AnnotationError(f"Unsupported file format: {file_format}", where=path, fix="convert it to MRC")
    from tomoportal.copick.particles.handlers import read_volume

    voxels, size = read_volume(path)
    if size is None:
        raise FormatError("the file does not say how large its voxels are", where=path, fix="give the voxel size")
    return voxels, size


def prepare_runs_from_paths(
    root: CopickRoot,
    paths: Iterable[str],
    input_run: str,
    run_regex: str = "(.*)",
    run_name_prefix: str = "",
    create: bool = True,
    logger: logging.Logger | None = None,
) -> dict[str, str]:
    """Run → file. The name is ``input_run`` or, if that is empty, the file's, of which the regex takes a part.

    Files whose names the regex does not match are left out with a warning. Runs that are not there are made.
    Raises :class:`AnnotationError` if two files are one run (C105), or if a run is missing and must not be made;
    nothing has been changed then.
    """
    found: dict[str, str] = {}
    for path in paths:
        name = input_run or os.path.basename(path).rpartition(".")[0] or os.path.basename(path)
        match = re.search(run_regex, name)
        if match is None:
            (logger or get_logger("tomoportal.copick")).warning("%s: %r does not match %r", path, name, run_regex)
            continue
        run = f"{run_name_prefix}{match.group(1) if match.re.groups else match.group()}"
        if run in found:
            raise AnnotationError(
                f"Two files belong to the run {run}: {found[run]} and {path}.",
                fix="add them one by one, or let the regex tell them apart",
            )
        found[run] = path
    missing = [run for run in found if root.get_run(run) is None]
    if missing and not create:
        raise AnnotationError(f"Could not find run {', '.join(missing)}.", fix="say create=True")
    for run in missing:
        root.new_run(run)
        if logger is not None:
            logger.info("Created run: %s", run)
    return found


def ensure_pickable_objects(
    source_root: CopickRoot,
    target_root: CopickRoot,
    target_config_path: str | os.PathLike[str],
    source_objects_list: Iterable[str],
    target_objects_dict: Mapping[str, str],
    log: bool = False,
) -> None:
    """Give the target project the source's objects, under the names of the mapping; its config is saved if need be.

    A label that is taken in the target becomes its next free one. Raises :class:`AnnotationError` if the source has
    no such object, and then nothing has been changed.
    """
    from tomoportal.copick.transfers.copies import copy_objects

    wanted: dict[str, str] = {}
    for name in source_objects_list:
        wanted.setdefault(target_objects_dict.get(name, name), name)
    made = copy_objects(source_root, target_root, wanted)
    for name in made if log else ():
        get_logger("tomoportal.copick").info("Created the object %s", name)
    if made:
        target_root.save_config(target_config_path)
