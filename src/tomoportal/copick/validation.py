"""A look at everything in a project, for what is foreign, doubtful or half-written (C95)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tomoportal.errors import FormatError, NotFoundError, Problem

if TYPE_CHECKING:
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun

__all__ = ["check_project"]

_FOLDERS = ("Picks", "Meshes", "Segmentations", "InstanceSegmentations", "PanopticSegmentations", "Filaments")
_FILES = {"Picks": ".json", "Filaments": ".json", "Meshes": ".glb"}


def check_project(root: CopickRoot, *, contents: bool) -> None:
    """Note every problem of the project in its root."""
    root.refresh()
    for run in root.runs:
        _check_folders(root, run)
        entities = [*run.query_picks(), *run.query_meshes(), *run.query_filaments()]
        for segmentation in run.query_segmentations():
            if segmentation._folder.is_empty():
                _note_empty(root, segmentation.path)
            known = root.get_object(segmentation.name)
            if known is None and segmentation.segmentation_type in ("binary", "instance"):
                root._note(Problem(segmentation.path, f"{segmentation.name} is no object of the config", "add it"))
        for entity in entities:
            if root.get_object(entity.pickable_object_name) is None:
                what = f"{entity.pickable_object_name} is no object of the config"
                root._note(Problem(entity.path, what, "add it to pickable_objects"))
            if contents:
                try:
                    entity.load()
                except NotFoundError:
                    continue  # removed since it was listed
                except FormatError as error:
                    root._note(Problem(entity.path, error.what, error.fix))
        for spacing in run.query_voxelspacings():
            for tomogram in spacing.query_tomograms():
                if tomogram._folder.is_empty():
                    _note_empty(root, tomogram._folder.where)


def _note_empty(root: CopickRoot, where: str) -> None:
    fix = "fill it with from_numpy, or delete it"
    root._note(Problem(where, "a volume without voxels: new, or not written to the end", fix))


def _check_folders(root: CopickRoot, run: CopickRun) -> None:
    """Files and folders that no copick program would have put there."""
    for source in root._sources:
        listed = source.listing.folder(run._key)
        strays = [name for name in listed.files if not name.startswith(".")]
        strays += [
            name for name in listed.folders if name not in _FOLDERS and not name.startswith((".", "VoxelSpacing"))
        ]
        for name in strays:
            root._note(Problem(source.where(f"{run._key}/{name}"), "not part of a copick project; ignored"))
        for folder in _FOLDERS:
            if folder not in listed.folders:
                continue
            inside = source.listing.folder(f"{run._key}/{folder}")
            ending = _FILES.get(folder, ".zarr")
            names = list(inside.files) if folder in _FILES else inside.folders
            others = inside.folders if folder in _FILES else list(inside.files)
            for name in [*(each for each in names if not each.endswith(ending)), *others]:
                if not name.startswith("."):
                    where = source.where(f"{run._key}/{folder}/{name}")
                    root._note(Problem(where, f"{folder} holds only names that end in {ending}; ignored", "move it"))
