"""Lists over many runs: picks, meshes, segmentations, tomograms, feature maps, in the order of the runs (C56).

``root`` may be the path of a config; ``runs`` one or many, names or runs; every filter is a value or several.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from tomoportal.copick.names import voxel_key
from tomoportal.copick.operations.mapping import map_runs
from tomoportal.errors import AnnotationError

if TYPE_CHECKING:
    from tomoportal.copick.features import CopickFeatures
    from tomoportal.copick.meshes import CopickMesh
    from tomoportal.copick.picks import CopickPicks
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun
    from tomoportal.copick.segmentations import CopickSegmentation
    from tomoportal.copick.spacings import CopickVoxelSpacing
    from tomoportal.copick.tomograms import CopickTomogram

    Root: TypeAlias = CopickRoot | str | os.PathLike[str]
    Runs: TypeAlias = CopickRun | str | Iterable[str] | Iterable[CopickRun] | None
    Names: TypeAlias = str | Iterable[str] | None
    Sizes: TypeAlias = float | Iterable[float] | None

__all__ = [
    "get_features",
    "get_meshes",
    "get_picks",
    "get_runs",
    "get_segmentations",
    "get_tomograms",
    "get_voxelspacings",
]


def _opened(root: Root) -> CopickRoot:
    """The project, where it may be the path of its config."""
    if not isinstance(root, str | os.PathLike):
        return root
    from tomoportal.copick.opening import from_file

    return from_file(root)


def get_runs(root: Root, names: Runs = None) -> list[CopickRun]:
    """The runs of these names, all if none is given. Raises :class:`AnnotationError` for those that are not there."""
    project = _opened(root)
    if names is None:
        return list(project.runs)
    given: Iterable[Any] = [names] if isinstance(names, str) or not isinstance(names, Iterable) else names
    named = [(each, project.get_run(each) if isinstance(each, str) else each) for each in given]
    if missing := [f"'{name}'" for name, run in named if run is None]:
        what = "Run" if len(missing) == 1 else "Runs"
        raise AnnotationError(f"{what} {', '.join(missing)} not found", fix="names of runs are case-sensitive")
    return [run for _, run in named if run is not None]


def _several(value: Any) -> list[Any] | None:
    if value is None:
        return None
    return [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)


def _each(
    query: Callable[..., Iterable[Any]],
    root: Root,
    runs: Runs,
    parallel: bool,
    workers: int | None,
    show_progress: bool,
    **filters: Any,
) -> list[Any]:
    project = _opened(root)
    chosen = get_runs(project, runs)
    if not parallel:
        return [each for run in chosen for each in query(run, **filters)]
    results = map_runs(
        query, project, chosen, workers or 8, show_progress=show_progress, raise_on_error=True, **filters
    )
    return [each for run in chosen for each in results[run.name]]


def _picks(run: CopickRun, **filters: Any) -> list[CopickPicks]:
    return run.get_picks(**filters)


def _meshes(run: CopickRun, **filters: Any) -> list[CopickMesh]:
    return run.get_meshes(**filters)


def _segmentations(run: CopickRun, **filters: Any) -> list[CopickSegmentation]:
    return run.get_segmentations(**filters)


def _spacings(run: CopickRun, voxel_size: Sizes = None) -> list[CopickVoxelSpacing]:
    sizes = _several(voxel_size)
    keys = None if sizes is None else {voxel_key(size) for size in sizes}
    return [each for each in run.voxel_spacings if keys is None or voxel_key(each.voxel_size) in keys]


def _tomograms(run: CopickRun, voxel_size: Sizes = None, tomo_type: Names = None) -> list[CopickTomogram]:
    types = _several(tomo_type)
    found = [each for spacing in _spacings(run, voxel_size) for each in spacing.tomograms]
    return [each for each in found if types is None or each.tomo_type in types]


def _features(
    run: CopickRun, voxel_size: Sizes = None, tomo_type: Names = None, feature_type: Names = None
) -> list[CopickFeatures]:
    types = _several(feature_type)
    found = [each for tomogram in _tomograms(run, voxel_size, tomo_type) for each in tomogram.features]
    return [each for each in found if types is None or each.feature_type in types]


def get_picks(
    root: Root,
    runs: Runs = None,
    user_id: Names = None,
    session_id: Names = None,
    object_name: Names = None,
    parallel: bool = False,
    workers: int | None = 8,
    show_progress: bool = True,
) -> list[CopickPicks]:
    """The picks of these runs that match."""
    filters = {"user_id": user_id, "session_id": session_id, "object_name": object_name}
    return _each(_picks, root, runs, parallel, workers, show_progress, **filters)


def get_meshes(
    root: Root,
    runs: Runs = None,
    user_id: Names = None,
    session_id: Names = None,
    object_name: Names = None,
    parallel: bool = False,
    workers: int | None = 8,
    show_progress: bool = True,
) -> list[CopickMesh]:
    """The meshes of these runs that match."""
    filters = {"user_id": user_id, "session_id": session_id, "object_name": object_name}
    return _each(_meshes, root, runs, parallel, workers, show_progress, **filters)


def get_segmentations(
    root: Root,
    runs: Runs = None,
    user_id: Names = None,
    session_id: Names = None,
    is_multilabel: bool | None = None,
    name: Names = None,
    voxel_size: Sizes = None,
    parallel: bool = False,
    workers: int | None = 8,
    show_progress: bool = True,
    is_instance: bool | None = False,
    is_panoptic: bool | None = False,
) -> list[CopickSegmentation]:
    """The segmentations of these runs that match; binary and multilabel ones unless a type is named."""
    filters = {
        "user_id": user_id,
        "session_id": session_id,
        "is_multilabel": is_multilabel,
        "name": name,
        "voxel_size": voxel_size,
        "is_instance": is_instance,
        "is_panoptic": is_panoptic,
    }
    return _each(_segmentations, root, runs, parallel, workers, show_progress, **filters)


def get_voxelspacings(
    root: Root,
    runs: Runs = None,
    voxel_size: Sizes = None,
    parallel: bool = False,
    workers: int | None = 8,
    show_progress: bool = True,
) -> list[CopickVoxelSpacing]:
    """The voxel spacings of these runs, of these sizes in Å."""
    return _each(_spacings, root, runs, parallel, workers, show_progress, voxel_size=voxel_size)


def get_tomograms(
    root: Root,
    runs: Runs = None,
    voxel_size: Sizes = None,
    tomo_type: Names = None,
    parallel: bool = False,
    workers: int | None = 8,
    show_progress: bool = True,
) -> list[CopickTomogram]:
    """The tomograms of these runs that match."""
    filters = {"voxel_size": voxel_size, "tomo_type": tomo_type}
    return _each(_tomograms, root, runs, parallel, workers, show_progress, **filters)


def get_features(
    root: Root,
    runs: Runs = None,
    voxel_size: Sizes = None,
    tomo_type: Names = None,
    feature_type: Names = None,
    parallel: bool = False,
    workers: int | None = 8,
    show_progress: bool = True,
) -> list[CopickFeatures]:
    """The feature maps of these runs that match."""
    filters = {"voxel_size": voxel_size, "tomo_type": tomo_type, "feature_type": feature_type}
    return _each(_features, root, runs, parallel, workers, show_progress, **filters)
