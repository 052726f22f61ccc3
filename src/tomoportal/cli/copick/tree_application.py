"""A project as a tree beside a page about what is chosen, for programs that use textual (``copick.ops.browser``).

``tomoportal copick browse`` needs no such package; this is the class that upstream's programs start or embed. Each
node's data are a tag and what it stands for; what is below it is listed when it is opened.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from tomoportal.copick.overviews.descriptions import DEFAULT_MARKDOWN, ENTITY_TO_MD
from tomoportal.errors import AnnotationError, MissingPartError, SettingsError, TomoportalError

try:
    from textual.app import App, ComposeResult
    from textual.containers import Horizontal
    from textual.widgets import Footer, Header, Markdown, Tree
    from textual.widgets.tree import TreeNode
except ImportError as error:
    raise MissingPartError(
        "the package textual is not installed",
        where="copick.ops.browser",
        fix="pip install 'tomoportal[browser]', or use: tomoportal copick browse",
    ) from error

if TYPE_CHECKING:
    from tomoportal.copick.objects import CopickObject
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun

__all__ = ["ICONS", "CopickTreeApp", "copick_to_label", "launch_app"]

ICONS: Final = {
    "root": "🗂",
    "run": "🏃",
    "voxel_spacing": "📏",
    "tomogram": "🧊",
    "feature": "🔢",
    "pick": "📍",
    "mesh": "🕸",
    "segmentation": "🖌",
    "filaments": "🧵",
    "object": "🦠",
    "folder": "📁",
}
_MARKS: Final = {"multilabel": "🌈", "instance": "🧩", "panoptic": "🗺"}
_RENDERERS: Final = {"voxel": "voxel_spacing", "feature": "features"}
"""Tags whose page has another name."""
_FILAMENTS: Final = "filaments"
_FOLDERS: Final = {
    "objects_parent": "Objects",
    "voxel_parent": "Voxel Spacings",
    "picks_parent": "Picks",
    "mesh_parent": "Meshes",
    "segmentation_parent": "Segmentations",
    f"{_FILAMENTS}_parent": "Filaments",
}
_READ: Final = (TomoportalError, OSError)


def copick_to_label(entity: Any, include_metadata: bool = True) -> Text:
    """The line of an entity in the tree: what it is, its colour, and its names unless ``include_metadata`` is false."""
    kind, title, names = _described(entity)
    parts: list[Any] = [ICONS[kind], " "]
    if kind in ("segmentation", "mesh", "pick", "filaments", "object"):
        parts += [_colour(entity), " "]
    return Text.assemble(*parts, (title, "bold"), f" {names}" if include_metadata and names else "")


def _described(entity: Any) -> tuple[str, str, str]:
    import tomoportal.copick as copick

    known: tuple[tuple[type, str, str, Any], ...] = (
        (copick.CopickRoot, "root", "Copick Project", lambda each: each.config.name or ""),
        (copick.CopickRun, "run", "Run", lambda each: each.name),
        (copick.CopickVoxelSpacing, "voxel_spacing", "Voxel Spacing", lambda each: str(each.voxel_size)),
        (copick.CopickTomogram, "tomogram", "Tomogram", lambda each: each.tomo_type),
        (copick.CopickFeatures, "feature", "Features", lambda each: each.feature_type),
        (copick.CopickSegmentation, "segmentation", "Segmentation", _segmentation_names),
        (copick.CopickMesh, "mesh", "Mesh", _document_names),
        (copick.CopickPicks, "pick", "Picks", _document_names),
        (copick.CopickFilaments, _FILAMENTS, "Filaments", _document_names),
        (copick.CopickObject, "object", "Object", lambda each: each.name),
    )
    for clazz, kind, title, names in known:
        if isinstance(entity, clazz):
            return kind, title, names(entity)
    raise AnnotationError(f"This is no entity of a project: {type(entity).__name__}.")


def _document_names(each: Any) -> str:
    return f"{each.user_id}_{each.session_id}_{each.pickable_object_name}"


def _segmentation_names(each: Any) -> str:
    return f"{each.voxel_size:.3f}_{each.user_id}_{each.session_id}_{each.name}"


def _colour(entity: Any) -> Text:
    mark = _MARKS.get(getattr(entity, "segmentation_type", ""))
    if mark is not None:
        return Text(mark)
    try:
        color = entity.color
    except AnnotationError:  # the object is not in the config
        color = None
    return Text("  ", style="on rgb({},{},{})".format(*color[:3])) if color else Text("  ")


class CopickTreeApp(App[None]):
    """The application. ``markdown`` is the page beside the tree, None until the application runs."""

    DEFAULT_CSS = "Tree { width: 2fr; } Markdown { width: 1fr; }"
    TITLE = "Copick Browser"

    def __init__(self, copick_root: CopickRoot) -> None:
        super().__init__()
        self.copick_root = copick_root
        self.markdown: Markdown | None = None

    def compose(self) -> ComposeResult:
        """The tree, and the page beside it."""
        yield Header()
        yield Footer()
        with Horizontal():
            yield Tree[Any](copick_to_label(self.copick_root))
            yield Markdown(DEFAULT_MARKDOWN)

    def on_mount(self) -> None:
        """Show the objects and the runs."""
        root = self.query_one(Tree).root
        self.markdown = self.query_one(Markdown)
        root.data = ("root", self.copick_root)
        self._filled(root, lambda: self.add_object_folder_node(root, self.copick_root.pickable_objects))
        self._filled(root, lambda: self.add_runs_node(root))
        root.expand()

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Any]) -> None:
        """Show the page of what the cursor is on; nothing for a folder, and the reason for what cannot be read."""
        if self.markdown is None or event.node.data is None:
            return
        tag, entity = event.node.data
        try:
            text = "" if tag in _FOLDERS else ENTITY_TO_MD[_RENDERERS.get(tag, tag)](entity)
        except _READ as error:
            text = f"{DEFAULT_MARKDOWN}\n{error}"
        self.markdown.update(text)

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Any]) -> None:
        """List what is below a node, the first time."""
        node = event.node
        if node.data is None:
            return
        tag, entity = node.data
        below = {
            "objects_parent": lambda: self.add_object_data_node(node, entity),
            "run": lambda: self.add_run_data_nodes(node, entity),
            "voxel_parent": lambda: self.add_voxel_spacing_parent_nodes(node, entity.voxel_spacings),
            "voxel": lambda: self.add_tomogram_data_nodes(node, entity.tomograms),
            "tomogram": lambda: self.add_features_data_nodes(node, entity.features),
            "picks_parent": lambda: self.add_picks_data_nodes(node, entity.picks),
            "mesh_parent": lambda: self.add_mesh_data_nodes(node, entity.meshes),
            "segmentation_parent": lambda: self.add_segmentation_data_nodes(node, entity.segmentations),
            f"{_FILAMENTS}_parent": lambda: self.add_filaments_data_nodes(node, entity.filaments),
        }
        if tag in below:
            self._filled(node, below[tag])

    def _filled(self, node: TreeNode[Any], fill: Any) -> None:
        try:
            fill()
        except _READ as error:
            node.add_leaf(Text(f"cannot be read: {error}", style="red"))

    @staticmethod
    def _new(node: TreeNode[Any], members: Iterable[Any]) -> Sequence[Any]:
        """The members, unless the node shows them already; what it showed else is removed."""
        found = list(members)
        shown = [each.data[1] for each in node.children if each.data is not None]
        if len(shown) == len(found) and all(one is two for one, two in zip(shown, found, strict=True)):
            return []
        node.remove_children()
        return found

    def _add_folder(self, node: TreeNode[Any], tag: str, entity: Any) -> None:
        if not any(each.data is not None and each.data[0] == tag for each in node.children):
            node.add(f"{ICONS['folder']} {_FOLDERS[tag]}", data=(tag, entity))

    def add_object_folder_node(self, root_node: TreeNode[Any], objects: Sequence[CopickObject]) -> None:
        """The folder of the objects."""
        self._add_folder(root_node, "objects_parent", objects)

    def add_object_data_node(self, objects_node: TreeNode[Any], objects: Sequence[CopickObject]) -> None:
        """The objects in their folder."""
        for each in self._new(objects_node, objects):
            objects_node.add_leaf(copick_to_label(each), data=("object", each))

    def add_runs_node(self, root_node: TreeNode[Any]) -> None:
        """The runs of the project."""
        for run in self.copick_root.runs:
            root_node.add(copick_to_label(run), data=("run", run))

    def add_run_data_nodes(self, run_node: TreeNode[Any], run: CopickRun) -> None:
        """The folders of a run."""
        for tag in list(_FOLDERS)[1:]:
            self._add_folder(run_node, tag, run)

    def add_voxel_spacing_parent_nodes(self, voxel_parent_node: TreeNode[Any], voxel_spacings: Iterable[Any]) -> None:
        """The voxel spacings in their folder."""
        for each in self._new(voxel_parent_node, voxel_spacings):
            voxel_parent_node.add(copick_to_label(each), data=("voxel", each))

    def add_tomogram_data_nodes(self, voxel_node: TreeNode[Any], tomograms: Iterable[Any]) -> None:
        """The tomograms of a voxel spacing."""
        for each in self._new(voxel_node, tomograms):
            voxel_node.add(copick_to_label(each), data=("tomogram", each))

    def add_features_data_nodes(self, tomogram_node: TreeNode[Any], features: Iterable[Any]) -> None:
        """The feature maps of a tomogram."""
        for each in self._new(tomogram_node, features):
            tomogram_node.add_leaf(copick_to_label(each), data=("feature", each))

    def add_segmentation_data_nodes(
        self, segmentation_parent_node: TreeNode[Any], segmentations: Iterable[Any]
    ) -> None:
        """The segmentations in their folder."""
        for each in self._new(segmentation_parent_node, segmentations):
            segmentation_parent_node.add_leaf(copick_to_label(each), data=("segmentation", each))

    def add_mesh_data_nodes(self, mesh_parent_node: TreeNode[Any], meshes: Iterable[Any]) -> None:
        """The meshes in their folder."""
        for each in self._new(mesh_parent_node, meshes):
            mesh_parent_node.add_leaf(copick_to_label(each), data=("mesh", each))

    def add_picks_data_nodes(self, picks_parent_node: TreeNode[Any], picks: Iterable[Any]) -> None:
        """The picks in their folder."""
        for each in self._new(picks_parent_node, picks):
            picks_parent_node.add_leaf(copick_to_label(each), data=("picks", each))

    def add_filaments_data_nodes(self, filaments_parent_node: TreeNode[Any], filaments: Iterable[Any]) -> None:
        """The filaments in their folder."""
        for each in self._new(filaments_parent_node, filaments):
            filaments_parent_node.add_leaf(copick_to_label(each), data=(_FILAMENTS, each))


def launch_app(
    config_path: str | None = None,
    dataset_ids: Sequence[int] | None = None,
    copick_root: CopickRoot | None = None,
) -> None:
    """Show a project until the user ends it: of a config, of datasets of a portal, or one that is open already."""
    import tomoportal.copick as copick

    with ExitStack() as stack:
        if config_path:
            copick_root = copick.from_file(config_path)
        elif dataset_ids:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tomoportal-"))
            copick_root = copick.from_czcdp_datasets(dataset_ids, f"local://{folder}")
        elif copick_root is None:
            raise SettingsError("there is no project to show", fix="give config_path, dataset_ids or copick_root")
        CopickTreeApp(copick_root).run()
