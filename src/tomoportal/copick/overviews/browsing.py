"""A project as a tree: what a browser shows of each entity, read when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tomoportal.copick.objects import CopickObject
from tomoportal.copick.root import CopickRoot
from tomoportal.copick.runs import CopickRun
from tomoportal.copick.uri import serialize_copick_uri
from tomoportal.errors import TomoportalError

__all__ = ["Node", "project_tree"]

Details = Sequence[tuple[str, str]]


@dataclass
class Node:
    """A line of the tree: its label, what the panel beside it says, and what is below it."""

    label: str
    details: Callable[[], Details]
    children: Callable[[], list[Node]] | None = None
    _known: list[Node] | None = field(default=None, repr=False)

    def opened(self) -> list[Node]:
        """The nodes below this one, listed once. What cannot be read is a node that says why."""
        if self.children is None:
            return []
        if self._known is None:
            try:
                self._known = self.children()
            except (TomoportalError, OSError) as error:
                self._known = [Node("(cannot be read)", lambda text=str(error): [("error", text)])]  # type: ignore[misc]
        return self._known

    def described(self) -> Details:
        """The panel's lines; of what cannot be read, why."""
        try:
            return self.details()
        except (TomoportalError, OSError) as error:
            return [("error", str(error))]

    def to_json(self, depth: int) -> dict[str, Any]:
        """The node, and so many levels below it."""
        found: dict[str, Any] = {"label": self.label, "details": dict(self.described())}
        if self.children is not None and depth > 0:
            found["children"] = [each.to_json(depth - 1) for each in self.opened()]
        return found

    def lines(self, depth: int, indent: str = "") -> Iterator[str]:
        """The tree as text."""
        below = self.opened() if depth > 0 else []
        for number, each in enumerate(below):
            is_last = number == len(below) - 1
            yield f"{indent}{'└── ' if is_last else '├── '}{each.label}"
            yield from each.lines(depth - 1, indent + ("    " if is_last else "│   "))


def project_tree(root: CopickRoot) -> Node:
    """The project: its objects and its runs."""
    config = root.config

    def details() -> Details:
        return [
            ("name", config.name or ""),
            ("description", config.description or ""),
            ("type", str(getattr(config, "config_type", ""))),
            ("overlay", root.root_overlay),
            ("static", "" if root.static_is_overlay else root.root_static),
            ("user", config.user_id or ""),
            ("objects", str(len(config.pickable_objects))),
            ("runs", str(len(root.runs))),
        ]

    def children() -> list[Node]:
        objects = root.pickable_objects
        return [
            Node(f"Objects ({len(objects)})", list, lambda: [_object(each) for each in objects]),
            *(_run(run) for run in root.runs),
        ]

    return Node(config.name or "project", details, children)


def _object(each: CopickObject) -> Node:
    def details() -> Details:
        fields = ("label", "is_particle", "color", "radius", "identifier", "emdb_id", "pdb_id", "map_threshold")
        told = [(name, str(getattr(each, name))) for name in fields if getattr(each, name) is not None]
        return [("object", each.name), *told, ("density map", "yes" if each.has_density_map() else "no")]

    return Node(each.name, details)


def _run(run: CopickRun) -> Node:
    def children() -> list[Node]:
        groups: list[tuple[str, Sequence[Any], Callable[[Any], Node]]] = [
            ("Picks", run.picks, _picks),
            ("Meshes", run.meshes, _document),
            ("Segmentations", run.segmentations, _segmentation),
            ("Filaments", run.filaments, _filaments),
        ]
        found = [_spacing(each) for each in run.voxel_spacings]
        for title, members, made in groups:
            if members:
                nodes = [made(each) for each in members]
                found.append(Node(f"{title} ({len(nodes)})", list, lambda nodes=nodes: nodes))  # type: ignore[misc]
        return found

    def details() -> Details:
        return [
            ("run", run.name),
            *([("on the portal", f"{named} of DS-{dataset}")] if named else []),
            ("voxel spacings", ", ".join(f"{each.voxel_size:g} Å" for each in run.voxel_spacings)),
            ("picks", str(len(run.picks))),
            ("meshes", str(len(run.meshes))),
            ("segmentations", str(len(run.segmentations))),
            ("filaments", str(len(run.filaments))),
        ]

    named, dataset = getattr(run, "portal_run_name", None), getattr(run, "portal_dataset_id", None)
    return Node(f"{run.name} · {named}" if named else run.name, details, children)


def _spacing(spacing: Any) -> Node:
    def details() -> Details:
        return [("voxel size", f"{spacing.voxel_size} Å"), ("tomograms", str(len(spacing.tomograms)))]

    return Node(f"{spacing.voxel_size:g} Å", details, lambda: [_tomogram(each) for each in spacing.tomograms])


def _tomogram(tomogram: Any) -> Node:
    def details() -> Details:
        return [("URI", serialize_copick_uri(tomogram)), *_volume(tomogram), ("features", str(len(tomogram.features)))]

    def children() -> list[Node]:
        return [
            Node(each.feature_type, lambda each=each: [("URI", serialize_copick_uri(each)), *_volume(each)])  # type: ignore[misc]
            for each in tomogram.features
        ]

    return Node(tomogram.tomo_type, details, children)


def _volume(entity: Any) -> Details:
    folder = entity._folder
    if folder.is_empty():
        return [("voxels", "none yet"), ("place", folder.where)]
    array = folder.array("0")
    return [
        ("shape", " × ".join(map(str, array.shape)) + " (… z, y, x)"),
        ("type", str(array.dtype)),
        ("chunks", " × ".join(map(str, array.chunks))),
        ("levels", str(len(folder.paths()))),
        ("read-only", "yes" if entity.read_only else "no"),
        ("place", folder.where),
    ]


def _names(each: Any) -> Details:
    return [
        ("URI", serialize_copick_uri(each)),
        ("user", each.user_id),
        ("session", f"{each.session_id} ({'tool' if each.from_tool else 'person'})"),
    ]


def _document(each: Any) -> Node:
    def details() -> Details:
        return [*_names(each), ("read-only", "yes" if each.read_only else "no"), ("place", each.path)]

    return Node(serialize_copick_uri(each), details)


def _picks(each: Any) -> Node:
    def details() -> Details:
        ids = each.instance_ids()
        return [
            *_names(each),
            ("points", str(len(ids))),
            ("instances", str(len(set(ids.tolist()) - {0}))),
            ("orientations", "not to be trusted" if each.trust_orientation is False else "yes"),
            ("read-only", "yes" if each.read_only else "no"),
            ("place", each.path),
        ]

    return Node(serialize_copick_uri(each), details)


def _filaments(each: Any) -> Node:
    def details() -> Details:
        return [*_names(each), ("filaments", str(len(each.filaments))), ("place", each.path)]

    return Node(serialize_copick_uri(each), details)


def _segmentation(each: Any) -> Node:
    def details() -> Details:
        return [*_names(each), ("segmentation", each.segmentation_type), *_volume(each)]

    return Node(serialize_copick_uri(each), details)
