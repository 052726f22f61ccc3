"""Segmentations: binary, multilabel, instance and panoptic volumes of labels (reference copick-model, 15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import model_validator

from tomoportal.copick.labels import (
    PANOPTIC_CHANNELS,
    check_panoptic_values,
    checked_label_cast,
    label_dtype,
    panoptic_channel_index,
)
from tomoportal.copick.lazy_models import LazyModel
from tomoportal.copick.names import SEGMENTATION_FOLDERS, SegmentationType, segmentation_name
from tomoportal.copick.sources import Source
from tomoportal.copick.versions import Version
from tomoportal.copick.volumes import ALL, StoredVolume
from tomoportal.errors import AnnotationError, FormatError, NotFoundError

if TYPE_CHECKING:
    from tomoportal.copick.pyramids import Array
    from tomoportal.copick.runs import CopickRun
    from tomoportal.copick.segmentation_differences import SegmentationDifference
    from tomoportal.copick.volume_versions import VolumeVersions
    from tomoportal.copick.zarr_folders import ZarrFolder

__all__ = ["CopickSegmentation", "CopickSegmentationMeta", "kind_of"]

_GREY = [128, 128, 128, 0]
_READINGS: Final = 10
"""How often a whole segmentation is read that others replace meanwhile, so that no two of them are mixed."""
_PANOPTIC = {"copick": {"channels": list(PANOPTIC_CHANNELS), "segmentation_type": "panoptic"}}


def kind_of(is_multilabel: bool | None, is_instance: bool | None, is_panoptic: bool | None) -> SegmentationType:
    """The one type that the flags name. Raises :class:`AnnotationError` if there are two."""
    flags = {"multilabel": is_multilabel, "instance": is_instance, "panoptic": is_panoptic}
    named = [kind for kind, flag in flags.items() if flag]
    if len(named) > 1:
        raise AnnotationError("A segmentation has one type: multilabel, instance or panoptic.", where=", ".join(named))
    return named[0] if named else "binary"


class CopickSegmentationMeta(LazyModel):
    """Who segmented what at which voxel size (Å), and the type."""

    user_id: str
    session_id: str
    name: str
    is_multilabel: bool
    voxel_size: float
    is_instance: bool = False
    is_panoptic: bool = False

    @model_validator(mode="after")
    def _has_one_type(self) -> CopickSegmentationMeta:
        kind_of(self.is_multilabel, self.is_instance, self.is_panoptic)
        return self


class CopickSegmentation(StoredVolume):
    """Labels ``(z, y, x)``; panoptic ones ``(2, z, y, x)``: the label of the object, and the instance within it."""

    WHAT = "segmentation"

    def __init__(
        self,
        run: CopickRun,
        meta: CopickSegmentationMeta,
        read_only: bool = False,
        *,
        source: Source | None = None,
        folder: str | None = None,
    ) -> None:
        self.run = run
        self.meta = meta
        self._source = source or run.root._source_for(read_only=read_only)
        self.read_only = read_only or self._source.read_only
        self._name = folder or segmentation_name(
            meta.voxel_size, meta.user_id, meta.session_id, meta.name, self.segmentation_type
        )
        self._known_versions: VolumeVersions | None = None

    @property
    def user_id(self) -> str:
        return self.meta.user_id

    @property
    def session_id(self) -> str:
        return self.meta.session_id

    @property
    def name(self) -> str:
        return self.meta.name

    @property
    def voxel_size(self) -> float:
        return self.meta.voxel_size

    @property
    def is_multilabel(self) -> bool:
        return self.meta.is_multilabel

    @property
    def is_instance(self) -> bool:
        return self.meta.is_instance

    @property
    def is_panoptic(self) -> bool:
        return self.meta.is_panoptic

    @property
    def segmentation_type(self) -> SegmentationType:
        return kind_of(self.is_multilabel, self.is_instance, self.is_panoptic)

    @property
    def from_tool(self) -> bool:
        return self.session_id == "0"

    @property
    def from_user(self) -> bool:
        return not self.from_tool

    @property
    def color(self) -> Sequence[int] | None:
        """RGBA of the object; grey where the type has none, or the config does not hold it (C45)."""
        found = self.run.root.get_object(self.name) if self.segmentation_type in ("binary", "instance") else None
        return found.color if found is not None else list(_GREY)

    @property
    def filename(self) -> str:
        return self._name

    @property
    def _key(self) -> str:
        return f"{self.run._key}/{SEGMENTATION_FOLDERS[self.segmentation_type]}/{self._name}"

    @property
    def path(self) -> str:
        return self._source.where(self._key)

    @property
    def directory(self) -> str:
        """The folder of the run that holds segmentations of this type."""
        return SEGMENTATION_FOLDERS[self.segmentation_type]

    @property
    def fs(self) -> Any:
        return self.run.root._fsspec(self._source)

    @property
    def _versions(self) -> VolumeVersions | None:
        if self.read_only:
            return None
        if self._known_versions is None:
            self._known_versions = self._all_versions()
        return self._known_versions

    def _all_versions(self) -> VolumeVersions:
        from tomoportal.copick.volume_versions import KEPT_VOLUMES, VolumeVersions

        kept = self.run.root.config.volume_history
        keep = KEPT_VOLUMES if kept is None else kept
        return VolumeVersions(self._source.store, self._key, self.WHAT, keep=keep)

    def _note(self, *, again: bool = False) -> None:
        """Remember the version that is about to be loaded."""
        if self._versions is not None:
            self._versions.note(again=again)

    def _is_filled(self) -> bool:
        """Whether somebody else has filled what this object is about to make."""
        self._note()
        return self._versions is not None and self._versions.seen != 0

    # --- voxels

    def zarr(self) -> Any:
        self._note(again=True)
        return super().zarr()

    def refresh(self) -> None:
        """Take what is there now as loaded: a save replaces it, whoever wrote it."""
        self._note(again=True)

    def numpy(
        self,
        zarr_group: str | None = "0",
        x: slice | int = ALL,
        y: slice | int = ALL,
        z: slice | int = ALL,
        channel: str | int | None = None,
    ) -> Array:
        """A region of a level as ``[z, y, x]``; of a panoptic one both channels, or ``channel``.

        Who reads the finest level whole has loaded the segmentation as it is then; who reads a part has done so if it
        is the first one. What changes while it is read whole is read again; under ten changes in a row the last
        reading counts, which may hold some regions of before and some of after the last change.
        """
        is_whole = zarr_group in ("0", None) and x == y == z == ALL
        versions = self._versions
        for _ in range(_READINGS if versions is not None else 0):
            self._note(again=is_whole)
            try:
                found = self._read(zarr_group, x, y, z, channel)
            except FormatError:  # the blocks of a chunk, too, may be those of two versions
                if versions is None or versions.is_current():
                    raise
                continue
            if not is_whole or versions is None or versions.is_current():
                return found
        return self._read(zarr_group, x, y, z, channel)

    def _read(
        self, zarr_group: str | None, x: slice | int, y: slice | int, z: slice | int, channel: str | int | None
    ) -> Array:
        if not self.is_panoptic:
            self._refuse_channel(channel)
            return self._read_region(zarr_group, x, y, z)
        which = ALL if channel is None else panoptic_channel_index(channel)
        return self._folder.read(zarr_group, (which, z, y, x))

    def _refuse_channel(self, channel: str | int | None) -> None:
        if channel is not None:
            raise AnnotationError(
                f"This is a {self.segmentation_type} segmentation; only panoptic ones have channels.", where=self.path
            )

    def from_numpy(self, data: Any, levels: int = 1, dtype: Any = None, *, overwrite: bool = False) -> None:
        """Store labels ``(z, y, x)`` or, panoptic, ``(2, z, y, x)``, in the smallest type that holds them.

        What was there goes to the history. Raises :class:`ConflictError` if somebody else changed it since this object
        loaded or wrote it, unless ``overwrite``; :class:`AnnotationError` if a value would change, or breaks the rules
        of panoptic segmentations.
        """
        self._refuse_if_read_only("store")
        labels = np.asarray(data)
        if self.is_panoptic and (labels.ndim != 4 or labels.shape[0] != 2):
            raise AnnotationError(
                f"A panoptic segmentation is a (2, Z, Y, X) array, not {labels.shape}.", where=self.path
            )
        floor = np.uint16 if self.is_instance or self.is_panoptic else np.uint8
        labels = checked_label_cast(labels, label_dtype(labels, floor) if dtype is None else dtype)
        if self.is_panoptic:
            check_panoptic_values(labels[0], labels[1], self._labels())
        self._replace(
            labels,
            self.voxel_size,
            levels,
            None,
            "nearest",
            channel="c" if self.is_panoptic else None,
            metadata=_PANOPTIC if self.is_panoptic else None,
            axes=(4,) if self.is_panoptic else (3,),
            overwrite=overwrite,
        )

    def set_region(
        self,
        data: Any,
        zarr_group: str | None = "0",
        x: slice | int = ALL,
        y: slice | int = ALL,
        z: slice | int = ALL,
        channel: str | int | None = None,
        *,
        update_levels: bool = True,
    ) -> None:
        """Write a region of a level, and the coarser levels below it unless told not to (C8).

        It is never refused, and replaces no more than itself. On a disk the state before the first region that this
        object writes stays in the history.
        """
        self._refuse_if_read_only("store")
        box: tuple[slice | int, ...] = (z, y, x)
        if self.is_panoptic:
            which = None if channel is None else panoptic_channel_index(channel)
            box = (ALL if which is None else slice(which, which + 1), z, y, x)
            stored = self._folder.array(zarr_group)
            after = self._folder.read(zarr_group, (ALL, z, y, x))
            values = checked_label_cast(np.asarray(data), stored.dtype)
            after[ALL if which is None else which] = values
            check_panoptic_values(after[0], after[1], self._labels())
            data = values[None] if which is not None and values.ndim == 3 else values
        else:
            self._refuse_channel(channel)
            data = checked_label_cast(np.asarray(data), self._folder.array(zarr_group).dtype)
        self._set_region(zarr_group, box, data, "nearest" if update_levels else None)

    def _labels(self) -> dict[int, str]:
        return {each.label: each.name for each in self.run.root.pickable_objects if each.label is not None}

    # --- instances

    def _slabs(self, zarr_group: str | None) -> Any:
        """Pieces along z, one row of chunks each."""
        array = self._folder.array(zarr_group)
        depth, step = array.shape[-3], array.chunks[-3]
        for start in range(0, depth, step):
            yield self._folder.read(zarr_group, (slice(start, min(start + step, depth)), ALL, ALL)[-3:])

    def instance_ids(self, zarr_group: str | None = "0", object_name: str | None = None) -> Array:
        """The ids in use, sorted, int64; of a panoptic segmentation those of one object."""
        if not (self.is_instance or self.is_panoptic):
            raise AnnotationError(
                f"instance_ids() needs an instance or panoptic one, not a {self.segmentation_type} segmentation.",
                where=self.path,
            )
        if self.is_panoptic and object_name is None:
            raise AnnotationError("Instance IDs of a panoptic segmentation are per object; pass object_name.")
        label = self._label_of(object_name) if self.is_panoptic else None
        found: set[int] = set()
        for slab in self._slabs(zarr_group):
            values = slab if label is None else slab[1][slab[0] == label]
            found.update(np.unique(values).tolist())
        return np.array(sorted(found - {0}), np.int64)

    def _label_of(self, object_name: str | None) -> int:
        found = self.run.root.get_object(object_name or "")
        if found is None or found.label is None:
            raise AnnotationError(f"Object name {object_name} not found in pickable objects.", where=self.path)
        return found.label

    def segments(self, zarr_group: str | None = "0") -> list[tuple[str, int]]:
        """Pairs of object and instance id in a panoptic segmentation, sorted; id 0 is a region that was not split."""
        self._need_panoptic("segments() needs a panoptic one")
        pairs: set[tuple[int, int]] = set()
        for slab in self._slabs(zarr_group):
            labelled = slab[0] != 0
            both = np.stack([slab[0][labelled], slab[1][labelled]], axis=1)
            pairs.update((int(label), int(instance)) for label, instance in np.unique(both, axis=0))
        names = self._labels()
        return sorted((names.get(label, str(label)), instance) for label, instance in pairs)

    def label_volume(self, zarr_group: str | None = "0") -> Array:
        """The labels of a panoptic segmentation."""
        self._need_panoptic()
        return self.numpy(zarr_group, channel="label")

    def instance_volume(self, object_name: str, zarr_group: str | None = "0") -> Array:
        """The instance ids of one object in a panoptic segmentation, 0 elsewhere."""
        self._need_panoptic()
        both = self.numpy(zarr_group)
        return np.where(both[0] == self._label_of(object_name), both[1], np.zeros(1, both.dtype))

    def _need_panoptic(self, why: str = "only panoptic ones have channels") -> None:
        if not self.is_panoptic:
            raise AnnotationError(f"This is a {self.segmentation_type} segmentation; {why}.", where=self.path)

    def delete(self) -> None:
        """Remove the segmentation; its last state stays in the history."""
        self._delete_data()
        self.run._drop(self)

    # --- versions

    def history(self) -> list[Version]:
        """The previous versions that are kept, oldest first, with the bytes that each has on the store."""
        if not self.read_only:
            from tomoportal.copick.volume_folders import sweep

            sweep(self._source.store, self._key, self._versions)
        return self._all_versions().history()

    def restore(self, version: int | Version, *, overwrite: bool = False) -> None:
        """Make a previous version the current one; the state before that goes to the history.

        Raises as a save does: :class:`ConflictError` if somebody else saved since, unless ``overwrite``.
        """
        from tomoportal.copick.zarr_copies import copy_folder

        self._refuse_if_read_only("store")
        folder = self._previous(version)
        store = self._source.store
        copy_folder(store, folder.key, store, self._key, self._versions, overwrite=overwrite)

    def diff(self, other: CopickSegmentation | int | Version) -> SegmentationDifference:
        """How another segmentation, or a previous version, differs from what is stored here; chunk by chunk.

        Raises :class:`AnnotationError` if they have not the same size.
        """
        from tomoportal.copick.segmentation_differences import difference

        theirs = other._folder if isinstance(other, CopickSegmentation) else self._previous(other)
        return difference(self._folder, theirs)

    def _previous(self, version: int | Version) -> ZarrFolder:
        """The folder of a previous version. Raises :class:`NotFoundError`."""
        from tomoportal.copick.zarr_folders import ZarrFolder

        number = version.number if isinstance(version, Version) else version
        key = self._all_versions().version_key(number)
        folder = ZarrFolder(self._source.store, key, self._source.where(key), read_only=True)
        if folder.is_empty():
            kept = ", ".join(str(each.number) for each in self.history()) or "none"
            raise NotFoundError(f"There is no version {number}.", where=self.path, fix=f"kept are: {kept}")
        return folder

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(name={self.name}, user_id={self.user_id}, session_id={self.session_id},"
            f" voxel_size={self.voxel_size}, type={self.segmentation_type}) at {hex(id(self))}"
        )
