"""The root of a project: its config, its pickable objects and its runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tomoportal.copick.config import (
    CopickConfig,
    CopickConfigFSSpec,
    FilamentSpec,
    PickableObject,
    config_problems,
    dump_config,
)
from tomoportal.copick.names import check_distinct, check_run_name, is_clean
from tomoportal.copick.objects import CopickObject
from tomoportal.copick.pickles import Pickled
from tomoportal.copick.runs import CopickRun, CopickRunMeta
from tomoportal.copick.sources import Source, open_source, same_place
from tomoportal.errors import AnnotationError, Problem, ReadOnlyError
from tomoportal.storage import Store

if TYPE_CHECKING:
    from tomoportal.copick.filaments import CopickFilaments
    from tomoportal.copick.meshes import CopickMesh
    from tomoportal.copick.opening import ConfigFile
    from tomoportal.copick.picks import CopickPicks
    from tomoportal.copick.segmentations import CopickSegmentation
    from tomoportal.copick.tomograms import CopickTomogram

__all__ = ["UNSET", "CopickRoot"]

Place = tuple[str, dict[str, Any] | None]

RUNS: Final = "ExperimentRuns"


class _Unset:
    """Stands for an argument that was not given, where None means something (C20)."""

    def __repr__(self) -> str:
        return "unset"


UNSET: Final = _Unset()


class CopickRoot(Pickled):
    """A project on files. ``static`` and ``overlay`` take the place of the stores that the config names, in tests."""

    _OWN = "_sources"
    config: CopickConfig

    def __init__(self, config: CopickConfig, *, static: Store | None = None, overlay: Store | None = None) -> None:
        self.config = config
        self._given = (static, overlay)
        self._runs: list[CopickRun] | None = None
        self._known_runs: dict[str, CopickRun] = {}
        self._objects: list[CopickObject] | None = None
        self._problems: dict[tuple[str, str], Problem] = {}
        self._config_file: ConfigFile | None = None
        self._open()

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> CopickRoot:
        """Open the project of a config: a local path or any address that holds one."""
        from tomoportal.copick.opening import from_file

        return from_file(path)

    def _open(self) -> None:
        static, overlay = self._given
        place, static_place = self._places()
        self._overlay = (
            Source.of(overlay, read_only=overlay.read_only)
            if overlay is not None
            else open_source(*place, read_only=False)
        )
        self._overlay.zarr_format = self.config.zarr_format or 2
        self._static: Source | None = None
        if static is not None:
            self._static = Source.of(static, read_only=True)
        elif overlay is None and static_place is not None:
            self._static = open_source(*static_place, read_only=True)
        self.static_is_overlay = self._static is None or same_place(self._static.store, self._overlay.store)
        if self.static_is_overlay:
            self._static = None
        self._sources: tuple[Source, ...] = (self._overlay,) if self._static is None else (self._static, self._overlay)

    # --- where things are

    def _places(self) -> tuple[Place, Place | None]:
        """Address and arguments of the overlay, and of the static source if there is one."""
        config = self.config
        assert isinstance(config, CopickConfigFSSpec)
        static = (config.static_root, config.static_fs_args) if config.static_root is not None else None
        return (config.overlay_root, config.overlay_fs_args), static

    @property
    def root_overlay(self) -> str:
        return self._overlay.where("").rstrip("/")

    @property
    def root_static(self) -> str:
        return (self._static or self._overlay).where("").rstrip("/")

    @property
    def fs_overlay(self) -> Any:
        """An fsspec file system of the overlay. Raises :class:`MissingPartError` without fsspec."""
        return self._fsspec(self._overlay)

    @property
    def fs_static(self) -> Any:
        return self._fsspec(self._static or self._overlay)

    def _fsspec(self, source: Source) -> Any:
        from tomoportal.storage.filesystem_spec import file_system

        if source.store.local_path("") is not None:
            return file_system("file://", {"auto_mkdir": True})
        place, static = self._places()
        url, arguments = static if static is not None and source is self._static else place
        return file_system(url, arguments or {})

    def _source_for(self, *, read_only: bool) -> Source:
        if read_only:
            return self._static or Source.of(self._overlay.store, read_only=True, url=self._overlay.url)
        if self._overlay.read_only:
            raise ReadOnlyError(
                "Cannot store anything in a read-only source.",
                where=self._overlay.url,
                fix="give an overlay_root that can be written: changes go there then",
            )
        return self._overlay

    def _folder_exists(self, source: Source, key: str) -> bool:
        local = source.store.local_path(key)
        return local.is_dir() if local is not None else source.store.is_folder(key)

    def _make_folder(self, key: str) -> None:
        """A folder that every store and upstream see: it gets a hidden file of four bytes, as upstream writes it."""
        self._source_for(read_only=False).store.put(f"{key}/.meta", b"meta", durable=False)

    def _refuse_static_parts(self, parts: Sequence[tuple[Source, str]], what: str) -> None:
        for source, key in parts:
            if source.read_only and self._folder_exists(source, key):
                raise ReadOnlyError(
                    f"Cannot delete {what} in a read-only source.",
                    where=source.where(key),
                    fix="delete the picks, meshes, segmentations or tomograms of the overlay one by one",
                )

    def reconnect(self) -> None:
        """Open the stores again and forget every list."""
        self._open()
        self._invalidate_all_caches()

    def _invalidate_all_caches(self) -> None:
        for source in self._sources:
            source.listing.forget()
        for run in self._known_runs.values():
            run._invalidate_caches()
        self._runs = self._objects = None

    # --- what is doubtful

    def _note(self, problem: Problem) -> None:
        self._problems[problem.where, problem.what] = problem

    def problems(self) -> list[Problem]:
        """What was skipped or is doubtful so far: foreign files, unparsable names, contents that contradict names."""
        return [*config_problems(self.config), *(self._problems[key] for key in sorted(self._problems))]

    def report(self, *, contents: bool = False) -> list[Problem]:
        """List the whole project again and return :meth:`problems`; with ``contents`` every document is read too."""
        from tomoportal.copick.validation import check_project

        self._problems.clear()
        check_project(self, contents=contents)
        return self.problems()

    # --- who works

    @property
    def user_id(self) -> str | None:
        return self.config.user_id

    @user_id.setter
    def user_id(self, value: str | None) -> None:
        self.config.user_id = value

    @property
    def session_id(self) -> str | None:
        return self.config.session_id

    @session_id.setter
    def session_id(self, value: str | None) -> None:
        self.config.session_id = value

    # --- runs

    def _run_factory(self) -> tuple[type[CopickRun], type[CopickRunMeta]]:
        return CopickRun, CopickRunMeta

    def _run(self, name: str) -> CopickRun:
        """The one object of a run (C18)."""
        if name not in self._known_runs:
            clazz, meta = self._run_factory()
            self._known_runs[name] = clazz(self, meta(name=name), self.config)
        return self._known_runs[name]

    def query(self) -> list[CopickRun]:
        """The runs that the stores hold now, sorted by name."""
        names: set[str] = set()
        for source in self._sources:
            listed = source.listing.folder(RUNS)
            names.update(name for name in listed.folders if not name.startswith("."))
            for file in listed.files:
                if not file.startswith("."):
                    self._note(Problem(source.where(f"{RUNS}/{file}"), "a file among the folders of runs", "move it"))
        if self.config.runs is not None:
            names.intersection_update(self.config.runs)
        return [self._run(name) for name in sorted(names)]

    @property
    def runs(self) -> list[CopickRun]:
        if self._runs is None:
            self._runs = self.query()
        return self._runs

    def get_run(self, name: str, **kwargs: Any) -> CopickRun | None:
        """The run of this name, or None; always the same object, without listing the others (C18)."""
        if self._runs is not None:
            return next((each for each in self._runs if each.name == name), None)
        if not isinstance(name, str) or not name or "/" in name or "\0" in name or name.startswith("."):
            return None
        if self.config.runs is not None and name not in self.config.runs:
            return None
        known = name in self._known_runs
        run = self._run(name)
        if run.ensure(create=False):
            return run
        if not known:
            del self._known_runs[name]
        return None

    def new_run(self, name: str, exist_ok: bool = False, **kwargs: Any) -> CopickRun:
        """Make the folder of a run in the overlay."""
        found = self.get_run(name)
        if found is not None:
            if not exist_ok:
                raise AnnotationError(
                    f"Run name {name} already exists.", fix="choose another name, or say exist_ok=True"
                )
            return found
        check_run_name(name)
        if self.config.runs is not None and name not in self.config.runs:
            raise AnnotationError(
                f"The config restricts the project to {len(self.config.runs)} runs, {name} not among them.",
                fix="add it to runs of the config",
            )
        check_distinct(name, (each.name for each in self.runs), "run name")
        run = self._run(name)
        run.ensure(create=True)
        if self._runs is not None and run not in self._runs:
            self._runs.append(run)
        return run

    def delete_run(self, name: str) -> None:
        """Remove a run with everything in it; a name that is not there is no error."""
        run = self.get_run(name)
        if run is not None:
            run.delete()

    def _drop_run(self, run: CopickRun) -> None:
        self._known_runs.pop(run.name, None)
        if self._runs is not None:
            self._runs = [each for each in self._runs if each is not run]

    def refresh(self) -> None:
        """Ask the stores again: runs now, everything else, also of runs that are held, when it is asked for (C60)."""
        for source in self._sources:
            source.listing.forget()
        for run in self._known_runs.values():
            run._invalidate_caches()
        self._objects = None
        self._runs = self.query()

    # --- all of the project at once (C64)

    def picks(self, *args: Any, **kwargs: Any) -> list[CopickPicks]:
        """The picks of all runs; the filters of :meth:`CopickRun.get_picks`."""
        return [each for run in self.runs for each in run.get_picks(*args, **kwargs)]

    def meshes(self, *args: Any, **kwargs: Any) -> list[CopickMesh]:
        return [each for run in self.runs for each in run.get_meshes(*args, **kwargs)]

    def filaments(self, *args: Any, **kwargs: Any) -> list[CopickFilaments]:
        return [each for run in self.runs for each in run.get_filaments(*args, **kwargs)]

    def segmentations(self, *args: Any, **kwargs: Any) -> list[CopickSegmentation]:
        """The segmentations of all runs; the filters of :meth:`CopickRun.get_segmentations`."""
        return [each for run in self.runs for each in run.get_segmentations(*args, **kwargs)]

    def tomograms(self, tomo_type: str | None = None, voxel_size: float | None = None) -> list[CopickTomogram]:
        """The tomograms of all runs, of one type and voxel size (Å) if given."""
        from tomoportal.copick.names import voxel_key

        return [
            each
            for run in self.runs
            for spacing in run.voxel_spacings
            if voxel_size is None or voxel_key(spacing.voxel_size) == voxel_key(voxel_size)
            for each in spacing.get_tomograms(tomo_type)
        ]

    # --- objects

    def _object_factory(self) -> tuple[type[CopickObject], type[PickableObject]]:
        return CopickObject, PickableObject

    def _query_objects(self) -> list[CopickObject]:
        """One listing of ``Objects/`` per source (C61); a map in the overlay shadows a static one."""
        maps: dict[str, Source] = {}
        for source in self._sources:
            for folder in source.zarr_folders("Objects", "objects")[0]:
                maps[folder] = source
        clazz, _ = self._object_factory()
        return [
            clazz(self, meta, source=maps.get(f"{meta.name}.zarr", self._overlay))
            for meta in self.config.pickable_objects
        ]

    @property
    def pickable_objects(self) -> list[CopickObject]:
        """The objects, in the order of the config."""
        if self._objects is None:
            self._objects = self._query_objects()
        return self._objects

    def get_object(self, name: str) -> CopickObject | None:
        return next((each for each in self.pickable_objects if each.name == name), None)

    def new_object(
        self,
        name: str,
        is_particle: bool,
        label: Any = UNSET,
        color: Any = UNSET,
        emdb_id: Any = UNSET,
        pdb_id: Any = UNSET,
        identifier: Any = UNSET,
        map_threshold: Any = UNSET,
        radius: Any = UNSET,
        metadata: Any = UNSET,
        exist_ok: bool = False,
        filament: FilamentSpec | dict[str, Any] | _Unset | None = UNSET,
    ) -> CopickObject:
        """Add an object in memory, until :meth:`save_config`; with ``exist_ok`` change the one of that name.

        What is not given is the default, or stays as it is. A label that is not given is the highest plus one.
        """
        if not is_clean(name):
            raise AnnotationError(
                f"Object name '{name}' contains invalid characters. Use copick.escape.sanitize_name() to clean it."
            )
        found = self.get_object(name)
        if found is not None and not exist_ok:
            raise AnnotationError(f"Object name {name} already exists.", fix="choose another, or say exist_ok=True")
        given = {
            "label": label,
            "color": color,
            "emdb_id": emdb_id,
            "pdb_id": pdb_id,
            "identifier": identifier,
            "map_threshold": map_threshold,
            "radius": radius,
            "metadata": metadata,
        }
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not UNSET}
        if changes.get("color", UNSET) is None:
            del changes["color"]
        others = [each for each in self.pickable_objects if each is not found]
        if changes.get("label", UNSET) is None or (label is UNSET and found is None):
            changes["label"] = max((each.label or 0 for each in self.pickable_objects), default=0) + 1
        if any(each.label == changes.get("label", UNSET) for each in others):
            raise AnnotationError(f"Object label {changes['label']} already exists.", fix="leave the label out")
        old = found.meta.model_dump() if found is not None else {}
        meta = self._object_factory()[1].model_validate({**old, **changes, "name": name, "is_particle": is_particle})
        if not isinstance(filament, _Unset):
            meta.set_filament(filament)
        if found is not None:
            place = next(n for n, each in enumerate(self.config.pickable_objects) if each.name == name)
            self.config.pickable_objects[place] = found.meta = meta
            return found
        made = self._object_factory()[0](self, meta, source=self._overlay)
        self.config.pickable_objects.append(meta)
        self.pickable_objects.append(made)
        return made

    def _drop_object(self, each: CopickObject) -> None:
        self._objects = [other for other in self.pickable_objects if other is not each]
        self.config.pickable_objects = [meta for meta in self.config.pickable_objects if meta.name != each.name]

    def save_config(self, config_path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the config, atomically, to a local path or an address; keys that we do not know are kept.

        A file that somebody else changed since the project was opened from it, or saved to it, is not replaced unless
        ``overwrite``: :class:`ConflictError` is raised.
        """
        from tomoportal.copick.opening import write_config

        data = dump_config(self.config)
        self._config_file = write_config(os.fspath(config_path), data, self._config_file, overwrite=overwrite)

    def __repr__(self) -> str:
        objects = len(self.config.pickable_objects)
        return f"{type(self).__name__}(user_id={self.user_id}, len(pickable_objects)={objects}) at {hex(id(self))}"
