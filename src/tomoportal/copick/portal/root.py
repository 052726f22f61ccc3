"""The root of a project on a portal: its datasets' runs, and an overlay."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tomoportal.client import PUBLIC_PORTAL, Endpoint
from tomoportal.copick.config import CopickConfig, PickableObject
from tomoportal.copick.picks import CopickPicks
from tomoportal.copick.portal.all_rows import PortalCache, all_rows
from tomoportal.copick.portal.answers import Answers
from tomoportal.copick.portal.config import CopickConfigCDP, settings_of
from tomoportal.copick.portal.files import PortalFiles, quoted
from tomoportal.copick.portal.images import CopickObjectCDP
from tomoportal.copick.portal.naming import object_names
from tomoportal.copick.portal.rows import PortalAnnotationMeta, PortalObject, PortalTomogramMeta, from_wire, selection
from tomoportal.copick.portal.runs import CopickRunCDP, CopickRunMetaCDP
from tomoportal.copick.portal.tables import Tables
from tomoportal.copick.root import CopickRoot, Place
from tomoportal.copick.runs import CopickRun
from tomoportal.copick.sources import Source
from tomoportal.errors import FormatError, Problem, StorageError
from tomoportal.storage import Store

__all__ = ["CopickRootCDP"]

_FILES_AT_A_TIME = 16


class CopickRootCDP(CopickRoot):
    """Datasets of a portal as a project. Opening it asks the portal nothing; each kind of listing a few questions."""

    config: CopickConfigCDP

    def __init__(self, config: CopickConfig, *, static: Store | None = None, overlay: Store | None = None) -> None:
        assert isinstance(config, CopickConfigCDP)
        self._settings = settings_of(config)
        self._endpoint = Endpoint(self._settings.url)
        self._files = PortalFiles(self._settings)
        super().__init__(config, static=static, overlay=overlay)
        self._tables = self._new_tables()

    def _new_tables(self) -> Tables:
        ids = self.config.dataset_ids
        answers = Answers(self._endpoint, self._settings, self._overlay.store, ids, self._warn)
        return Tables(answers, ids, self._warn)

    def _warn(self, problem: Problem) -> None:
        self._note(problem)
        warnings.warn(str(problem), UserWarning, stacklevel=2)

    def _places(self) -> tuple[Place, Place | None]:
        return (self.config.overlay_root, self.config.overlay_fs_args), None

    def _fsspec(self, source: Source) -> Any:
        if source is self._overlay or source.store is self._overlay.store:
            return super()._fsspec(source)
        from tomoportal.storage.filesystem_spec import file_system

        if source.store.local_path("") is not None:
            return file_system("file://", {})
        return file_system(*self._files.file_system(source))

    # --- the portal

    @property
    def portal_url(self) -> str:
        """The GraphQL endpoint that is asked."""
        return self._endpoint.url

    @property
    def dataset_ids(self) -> list[int]:
        return self.config.dataset_ids

    @property
    def datasets(self) -> list[PortalObject]:
        """The datasets with all columns; one question at each access."""
        warnings.warn("datasets is deprecated, use dataset_ids instead.", DeprecationWarning, stacklevel=2)
        query = f"{{ datasets(where: {{id: {{_in: {sorted(self.dataset_ids)}}}}}) {{ {selection('Dataset')} }} }}"
        rows = self._endpoint.ask(query)["datasets"]
        return [PortalObject(from_wire("Dataset", row), "Dataset") for row in rows]

    @property
    def go_map(self) -> dict[str, str]:
        """Identifier of an annotated object → name of the object of the config; the last one of an identifier."""
        return {each.identifier: each.name for each in self.config.pickable_objects if each.identifier is not None}

    def _object_names(self) -> dict[str, str]:
        """Under which name the annotations of an object id are listed; what is left out is reported (C83)."""
        names = self.go_map
        counts = self._tables.object_counts()
        others = {pair: count for pair, count in counts.items() if pair[0] not in names}
        if self.config.portal_all_objects:
            taken = [each.name for each in self.config.pickable_objects]
            return {**object_names(others, taken), **names}
        for (identifier, name), count in sorted(others.items()):
            what = f"{count} annotation file{'s' if count > 1 else ''} of {name} are not listed"
            fix = f"add an object with the identifier {identifier}, or set portal_all_objects to true"
            self._note(Problem(f"{identifier} on {self.portal_url}", what, fix))
        return names

    def _ensure_annotation_cache(self, force: bool = False) -> PortalCache:
        """All that the portal says of the project; ``force`` asks it whether that still holds."""
        if force:
            self._tables.forget()
        return all_rows(self._tables, self._object_names())

    def problems(self) -> list[Problem]:
        """What was skipped or is doubtful so far; two objects with one identifier, too: only one gets annotations."""
        seen: dict[str, PickableObject] = {}
        found = []
        for number, each in enumerate(self.config.pickable_objects):
            if each.identifier is not None and each.identifier in seen:
                what = f"{each.identifier} is that of {seen[each.identifier].name} already, which gets no annotations"
                where = f"pickable_objects[{number}].identifier"
                found.append(Problem(where, what, "give every object an identifier of its own"))
            if each.identifier is not None:
                seen[each.identifier] = each
        return [*found, *super().problems()]

    # --- runs

    def _run_factory(self) -> tuple[type[CopickRunCDP], type[CopickRunMetaCDP]]:
        return CopickRunCDP, CopickRunMetaCDP

    def _object_factory(self) -> tuple[type[CopickObjectCDP], type[PickableObject]]:
        return CopickObjectCDP, PickableObject

    def _run(self, name: str) -> CopickRun:
        """The one object of a run, by the text of its id (C18)."""
        if name not in self._known_runs:
            clazz, meta = self._run_factory()
            row = self._tables.runs().get(int(name)) if name.isdecimal() else None
            about = (
                {"portal_run_id": row["id"], "portal_run_name": row["name"], "portal_dataset_id": row["datasetId"]}
                if row is not None
                else {}
            )
            self._known_runs[name] = clazz(self, meta(name=name, **about), self.config)
        return self._known_runs[name]

    def query(self) -> list[CopickRun]:
        """The portal's runs in the order of their ids, then those that exist in the overlay only (C76)."""
        chosen = None if self.config.runs is None else set(self.config.runs)
        portal = [
            str(number)
            for number, row in self._tables.runs().items()
            if chosen is None or chosen & {str(number), row["name"]}
        ]
        others = [each for each in super().query() if not self._is_of_portal(each)]
        return [*map(self._run, portal), *others]

    def _is_of_portal(self, run: CopickRun) -> bool:
        return isinstance(run, CopickRunCDP) and run.portal_run_id is not None

    def get_run(self, name: str, **kwargs: Any) -> CopickRun | None:
        """The run of this id, of this name on the portal, or of the overlay; None for runs of other datasets (C76)."""
        number = self._tables.run_id(name) if isinstance(name, str) else None
        if number is None:
            return super().get_run(name, **kwargs)
        row = self._tables.runs()[number]
        if self.config.runs is not None and not {str(number), row["name"]} & set(self.config.runs):
            return None
        return self._run(str(number))

    def refresh(self) -> None:
        """Ask the portal whether its answers still hold, and the overlay's store again (C82)."""
        self._tables.forget()
        if self._files.kept is not None:
            self._files.kept.revalidate = True
        for run in self._known_runs.values():
            run._invalidate_caches()
        super().refresh()

    # --- files

    def public_address(self, each: Any, base_url: str | None = None) -> str | None:
        """Under which others find a volume or document of the portal; None for what lies in the overlay.

        Relative, if it lies below ``base_url``. Otherwise, for the public portal and projects that are read from S3,
        the address in the bucket, as upstream has it; other portals' buckets cannot be found by their names alone, so
        that it is the one over https.
        """
        about = getattr(each.meta, "portal_metadata", None) if each.read_only else None
        if isinstance(about, PortalTomogramMeta):
            s3, https = about.portal_metadata.s3_omezarr_dir, about.portal_metadata.https_omezarr_dir
        elif isinstance(about, PortalAnnotationMeta):
            s3, https = about.portal_annotation_file.s3_path, about.portal_annotation_file.https_path
        else:
            return None
        known = [str(address) for address in (s3, quoted(s3, https)) if address]
        base = f"{base_url.rstrip('/')}/" if base_url else "\0"
        below = [address[len(base) :] for address in known if address.startswith(base)]
        in_bucket = self._settings.access == "s3" or self._endpoint.url == PUBLIC_PORTAL
        return next(iter([*below, *(known if in_bucket else reversed(known))]), None)

    def load_points(self, picks: Iterable[CopickPicks] | None = None) -> list[CopickPicks]:
        """Read the points of many picks (all of the project, if none are given), several files at a time (C81).

        Returns those that could be read; the others are in :meth:`problems`, and say why when they are asked.
        """
        wanted = list(self.picks() if picks is None else picks)
        with ThreadPoolExecutor(_FILES_AT_A_TIME, "points") as pool:
            return [each for each, fine in zip(wanted, pool.map(self._load, wanted), strict=True) if fine]

    def _load(self, picks: CopickPicks) -> bool:
        try:
            picks._ensure()
        except (FormatError, StorageError) as error:
            self._note(Problem(picks.path, error.what, error.fix))
            return False
        return True
