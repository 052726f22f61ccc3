"""The plan: everything that an ingestion would do, as a value.

A plan lists the items with their sources, outputs and natural keys, what is done with each (create, replace, skip,
reference), every glob that matched nothing, and the errors of single runs. Making it writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tomoportal.errors import Problem

if TYPE_CHECKING:
    from tomoportal.ingest.stale import Stale

__all__ = ["Action", "Item", "Options", "Plan", "RunError", "Unmatched"]

Action = Literal["create", "replace", "skip", "reference"]

_CHUNK_SIZES = {"0.4": 128, "0.5": 64}


@dataclass(frozen=True)
class Options:
    """Options of the command line that change what is written."""

    chunk_size: int | None = None
    """Edge of Zarr chunks in voxels; by default what the version of OME-Zarr asks for."""
    dtype: str | None = None
    ngff: Literal["0.4", "0.5"] = "0.4"
    """Version of OME-Zarr: 0.4 (Zarr version 2), or 0.5 (Zarr version 3, sharded)."""
    meshes: bool = False
    """Write the surfaces of semantic masks too, for viewers that have no server of ours."""

    def digest_part(self, *, with_dtype: bool = True) -> dict[str, Any]:
        """The options as they enter input digests: ``dtype`` does not concern masks, ``meshes`` only them."""
        part: dict[str, Any] = {"chunk_size": self.chunk_size or _CHUNK_SIZES[self.ngff]}
        if with_dtype:
            part["dtype"] = self.dtype
        if self.ngff != "0.4":
            part["ngff"] = self.ngff
        if self.meshes and not with_dtype:
            part["meshes"] = True
        return part


@dataclass(frozen=True)
class Item:
    """One thing that is published as a whole: a document with its files, or files that a later document names."""

    kind: str
    place: tuple[str, ...]
    """The container: ``("run", dataset, run)``, ``("dataset", dataset)`` or ``("deposition", id)``."""
    identity: str
    """Natural key within container and kind; stable over re-ingestion."""
    title: str
    """What people read: the name of the run, the tomogram, the annotation."""
    sources: tuple[str, ...] = ()
    """Keys of the source files, relative to the source root (folders end in a slash)."""
    extra_sources: tuple[str, ...] = ()
    """Source files that are read too, such as the mdoc for frames; they count in the input digest."""
    outputs: tuple[str, ...] = ()
    """Keys in the archive: the main files (a Zarr is named by its folder)."""
    document: str | None = None
    archive_id: int | None = None
    id_scope: str | None = None
    """Where ``archive_id`` counts, as `Archive.allocate` wants it; None for items without an id."""
    deposition_id: int | None = None
    """The deposition that owns the item."""
    action: Action = "create"
    config_path: str = ""
    """Place in the config: ``tomograms[0]``."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the step needs, as plain JSON values: expanded metadata, parameters of a shape, keys of other documents."""
    needs: tuple[str, ...] = ()
    """Labels of items that must have succeeded before this one."""
    after: tuple[str, ...] = ()
    """Labels of items that must be finished before this one, whatever came of them."""
    derives_from: tuple[str, ...] = ()
    """Labels (among ``needs`` and ``after``) whose result enters this one: a change there makes this one anew."""

    @property
    def label(self) -> str:
        """Unique name within a plan."""
        return "/".join((*self.place[1:], self.kind, self.identity))

    @property
    def run(self) -> str | None:
        """``dataset/run`` of items below a run."""
        return "/".join(self.place[1:]) if self.place[0] == "run" else None

    def to_json(self) -> dict[str, Any]:
        """The item as ``--plan --json`` prints it."""
        return {
            "kind": self.kind,
            "action": self.action,
            "container": "/".join(self.place[1:]),
            "title": self.title,
            "identity": self.identity,
            "archive_id": self.archive_id,
            "sources": list(self.sources),
            "outputs": list(self.outputs),
            "document": self.document,
            "config": self.config_path,
        }


@dataclass(frozen=True)
class Unmatched:
    """A pattern that matched nothing: where it stands and for which runs."""

    where: str
    pattern: str
    """The template as written in the config."""
    examples: tuple[str, ...]
    """The first expanded patterns."""
    runs: tuple[str, ...]
    """Runs without a match; empty when the pattern does not depend on the run."""
    total: int
    """Runs that were asked."""
    everywhere: bool = True
    """Whether nothing at all matched."""
    in_archive: bool = False
    """Whether the archive was searched, which may not hold yet what the config refers to."""
    why: str = ""
    """What `match_regex`, `exclude` or `parent_filters` left out, if one of them is the reason."""

    @property
    def wrong(self) -> bool:
        """Whether this makes an ingestion incomplete: a source that no run has."""
        return self.everywhere and not self.in_archive

    def __str__(self) -> str:
        if not self.runs:
            scope = "nothing" if self.everywhere else "nothing for some of the datasets"
        elif self.everywhere:
            scope = f"nothing in any of {self.total} runs"
        else:
            names = ", ".join(self.runs[:5]) + (", …" if len(self.runs) > 5 else "")
            scope = f"nothing in {len(self.runs)} of {self.total} runs ({names})"
        return f"{self.where}: {self.pattern!r} matched {scope}; {self.reason}"

    @property
    def reason(self) -> str:
        """Why nothing matched, as far as that is known; else what was looked for."""
        return self.why or f"looked for {self.examples[0]!r}"


@dataclass(frozen=True)
class RunError:
    """Why a run (or a whole dataset, when ``run`` is empty) cannot be ingested as planned."""

    run: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.run}: {self.problem}" if self.run else str(self.problem)


@dataclass(frozen=True)
class Plan:
    """What an ingestion would do. ``errors`` keep single runs out; problems of the whole config are raised instead."""

    config: str
    items: tuple[Item, ...]
    unmatched: tuple[Unmatched, ...] = ()
    warnings: tuple[Problem, ...] = ()
    errors: tuple[RunError, ...] = ()
    stale: tuple[Stale, ...] = ()
    """Items on record for this deposition that the config no longer yields; only ``--prune`` deletes them."""
    options: Options = field(default_factory=Options)
    source_url: str = ""
    digest_part: Mapping[str, Any] = field(default_factory=dict)
    """Digests of the config's map files."""

    @property
    def ok(self) -> bool:
        """Whether all of the config can be ingested: no run is left out, every source matches something."""
        return not self.errors and not any(one.wrong for one in self.unmatched)

    @property
    def counts(self) -> dict[str, int]:
        """Number of items by action."""
        counted = Counter(item.action for item in self.items)
        return {action: counted.get(action, 0) for action in ("create", "replace", "skip", "reference")}

    def to_json(self) -> dict[str, Any]:
        """The plan as ``--plan --json`` prints it."""
        return {
            "config": self.config,
            "counts": self.counts,
            "items": [item.to_json() for item in self.items],
            "unmatched": [
                {
                    "where": one.where,
                    "pattern": one.pattern,
                    "runs": list(one.runs),
                    "examples": list(one.examples),
                    "everywhere": one.everywhere,
                    "why": one.why or None,
                }
                for one in self.unmatched
            ],
            "warnings": [{"where": one.where, "what": one.what, "fix": one.fix} for one in self.warnings],
            "errors": [
                {"run": one.run, "where": one.problem.where, "what": one.problem.what, "fix": one.problem.fix}
                for one in self.errors
            ],
            "stale": [str(one) for one in self.stale],
        }
