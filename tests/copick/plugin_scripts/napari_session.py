"""A session of an annotator in napari-copick: open, look, paint, pick, trace, save; prints what the windows showed.

Run by ``test_napari.py`` with the folder of a project, on our package and on the PyPI one, on Qt's offscreen platform.
The layers are napari's, without its 3D canvas, which needs OpenGL.
"""

import json
import logging
import sys
import time
from pathlib import Path

import numpy as np
from copick_shared_ui.core.click_schema import discover_commands
from copick_shared_ui.util.filament_session import FilamentEditSession
from napari.components import ViewerModel
from napari_copick import CopickPlugin
from napari_copick.save_utils import save_picks_to_copick
from qtpy.QtWidgets import QApplication

import copick

folder = Path(sys.argv[1])
application = QApplication.instance() or QApplication([])
problems: list[str] = []
told: dict[str, object] = {"package": copick.from_file.__module__}


class Problems(logging.Handler):
    def emit(self, record):
        problems.append(record.getMessage())


logging.getLogger().addHandler(Problems(logging.ERROR))


def until(done, what):
    end = time.monotonic() + 600
    while not done():
        application.processEvents()
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: {window.info_label.text()} {problems}")
        time.sleep(0.01)
    application.processEvents()


def finished():
    return not window.loading_workers and not window.expansion_workers and not window.tree_view.expansion_workers


def text_of(item):
    return [item.text(0), [text_of(item.child(i)) for i in range(item.childCount())]]


def expand(item):
    item.setExpanded(True)
    until(finished, "expanding")
    for i in range(item.childCount()):
        expand(item.child(i))


viewer = ViewerModel()
window = CopickPlugin(viewer)
window.resize(600, 900)
window.show()
window.config_manager.load_config(str(folder / "copick_config.json"))
until(finished, "opening")
tree = window.tree_view
told["objects"] = [[each.name, each.label, list(each.color)] for each in window.root.pickable_objects]
for i in range(tree.topLevelItemCount()):
    expand(tree.topLevelItem(i))
told["tree"] = [text_of(tree.topLevelItem(i)) for i in range(tree.topLevelItemCount())]

run = window.root.get_run("TS_001")
tomogram = run.get_voxel_spacing(10.0).get_tomograms("wbp")[0]
for level in range(window.resolution_combo.count()):
    window.resolution_combo.setCurrentIndex(level)
    window.data_loader.load_tomogram_async(tomogram, None)
    until(finished, "a tomogram")
window.resolution_combo.setCurrentIndex(0)
for segmentation in run.segmentations:
    window.data_loader.load_segmentation_async(segmentation)
    until(finished, "a segmentation")
for picks in run.picks:
    window.data_loader.load_picks(picks, run)
for filaments in run.filaments:
    window.data_loader.load_filaments_async(filaments)
    until(finished, "filaments")


def described(layer):
    data = np.asarray(layer.data)
    return [type(layer).__name__, layer.name, list(data.shape), float(np.nan_to_num(data).sum()), list(layer.scale)]


told["layers"] = [described(layer) for layer in viewer.layers]

# Painting on a new layer and on one that was loaded, and saving each as another type.
painted = viewer.add_labels(np.zeros((64, 64, 64), np.uint16), name="painted", scale=[10.0] * 3)
painted.brush_size = 10
painted.n_edit_dimensions = 3
for label, place in ((1, (20, 20, 20)), (7, (40, 40, 40))):
    painted.paint(place, label)
told["painted"] = int((painted.data > 0).sum())
spacing = run.get_voxel_spacing(10.0)
where = {"run": run, "voxel_spacing": spacing, "session_id": "17", "user_id": "napari", "layer": painted}
whole = {"object_name": "ribosome", "segmentation_name": "ribosome", "overwrite": True, "exist_ok": True}
for kind, more in (
    ("binary", {"convert_to_binary": True}),
    ("multilabel", {"segmentation_name": "painted", "is_multilabel": True}),
    ("instance", {}),
):
    saved = {**where, **whole, "segmentation_type": kind, "convert_to_binary": False, "split_instances": False, **more}
    window.save_manager.save_segmentation_async(saved)
    until(finished, "saving")

# A point more in the layer of picks that were loaded, saved under a session of one's own.
points = next(layer for layer in viewer.layers if layer.metadata.get("copick_kind") == "picks")
points.add([[300.0, 310.0, 320.0]])
assert save_picks_to_copick({"object_name": "ribosome", **where, "layer": points})
assert not save_picks_to_copick({"object_name": "ribosome", **where, "layer": points})  # it is there now
assert save_picks_to_copick({"object_name": "ribosome", **where, "layer": points, "exist_ok": True})
problems.clear()  # the refusal was meant

# A filament more, through the session that the tracer edits, with picks along all of them.
session = FilamentEditSession.from_filaments(run.filaments[0])
session.reverse(session.ids[0] if not callable(session.ids) else session.ids()[0])
session.new_filament()
for place in ((100, 100, 100), (200, 150, 120), (300, 180, 200), (420, 200, 240)):
    session.insert_point(place)
saved = session.save(user_id="napari", session_id="17", voxel_spacing=10.0, pick_spacing=40.0)
told["traced"] = [saved["n_filaments"], saved["n_picks"]]

for i in range(window.tab_widget.count()):
    window.tab_widget.setCurrentIndex(i)
    application.processEvents()
window._on_info_requested(run)
until(finished, "information")
window.switch_to_gallery_view()
end = time.monotonic() + 3
while time.monotonic() < end:
    application.processEvents()
    time.sleep(0.02)
for number in range(window.tab_widget.count()):
    window.tab_widget.setCurrentIndex(number)
    application.processEvents()
    window.grab().save(str(folder / f"tab-{number}.png"))
told["tabs"] = [window.tab_widget.tabText(i) for i in range(window.tab_widget.count())]
told["commands"] = sorted("/".join(each.full_path) for each in discover_commands())
told["problems"] = problems
window.cleanup_workers()
print(json.dumps(told))
