"""A look at everything in a project, for what is foreign, doubtful or half-written (C95)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tomoportal.errors import NotFoundError, Problem, TomoportalError

if TYPE_CHECKING:
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun
    from tomoportal.copick.sources import Source
    from tomoportal.copick.volumes import StoredVolume

__all__ = ["check_project"]

_FILES = {"Picks": ".json", "Filaments": ".json", "Meshes": ".glb"}
_FOLDERS = (*_FILES, "Segmentations", "InstanceSegmentations", "PanopticSegmentations")


def check_project(root: CopickRoot, *, contents: bool) -> None:
    """Note every problem of the project in its root."""
    root.refresh()
    for source in root._sources:
        maps = source.listing.folder("Objects")
        _note_strays(root, source, "Objects", maps.folders, ".zarr", maps.files)
        for each in root.pickable_objects:
            if each._source is source and f"{each.name}.zarr" in maps.folders:
                _check_volume(root, each)
    for run in root.runs:
        _check_folders(root, run)
        for entity in [*run.query_picks(), *run.query_meshes(), *run.query_filaments()]:
            _check_object(root, entity.pickable_object_name, entity.path)
            if contents:
                try:
                    entity.load()
                except NotFoundError:
                    continue  # removed since it was listed
                except TomoportalError as error:
                    root._note(Problem(entity.path, error.what, error.fix))
        for segmentation in run.query_segmentations():
            _check_volume(root, segmentation)
            if segmentation.segmentation_type in ("binary", "instance"):
                _check_object(root, segmentation.name, segmentation.path)
        for spacing in run.query_voxelspacings():
            for tomogram in spacing.query_tomograms():
                for volume in (tomogram, *tomogram.query_features()):
                    _check_volume(root, volume)


def _check_object(root: CopickRoot, name: str, where: str) -> None:
    if root.get_object(name) is None:
        root._note(Problem(where, f"{name} is no object of the config", "add it to pickable_objects"))


def _check_volume(root: CopickRoot, volume: StoredVolume) -> None:
    folder = volume._folder
    try:
        if folder.is_empty():
            fix = "fill it with from_numpy, or delete it"
            root._note(Problem(folder.where, "a volume without voxels: new, or not written to the end", fix))
    except TomoportalError as error:
        root._note(Problem(folder.where, str(error), "write it again, or delete it"))


def _check_folders(root: CopickRoot, run: CopickRun) -> None:
    """Files and folders that no copick program would have put there."""
    for source in root._sources:
        listed = source.listing.folder(run._key)
        strays = [name for name in listed.folders if name not in _FOLDERS and not name.startswith("VoxelSpacing")]
        for name in [*listed.files, *strays]:
            if not name.startswith("."):
                root._note(Problem(source.where(f"{run._key}/{name}"), "not part of a copick project; ignored"))
        for folder in listed.folders:
            if folder in _FOLDERS or folder.startswith("VoxelSpacing"):
                place = f"{run._key}/{folder}"
                inside = source.listing.folder(place)
                files = list(inside.files)
                if folder in _FILES:
                    _note_strays(root, source, place, files, _FILES[folder], inside.folders)
                else:
                    _note_strays(root, source, place, inside.folders, ".zarr", files)


def _note_strays(
    root: CopickRoot, source: Source, place: str, names: Iterable[str], ending: str, others: Iterable[str]
) -> None:
    """Note names in a folder without the ``ending``, and all ``others`` (files among folders, or the other way)."""
    for name in [*(each for each in names if not each.endswith(ending)), *others]:
        if not name.startswith("."):
            what = f"{place.rpartition('/')[2]} holds only names that end in {ending}; ignored"
            root._note(Problem(source.where(f"{place}/{name}"), what, "move it"))
