import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.formats.neuroglancer import (
    MaskLayer,
    MeshLayer,
    PointLayer,
    Tomogram,
    build_state,
    contrast_3d,
    layer_name,
    shaders,
    voxel_range,
    with_base,
)
from tomoportal.formats.neuroglancer.state import dimensions

TOMOGRAM = Tomogram("TS_run1", "10001/TS_run1/TS_run1.zarr", (64, 96, 128), 13.48, contrast=(-3.95, 3.549))
VOXEL = {"x": [1.348e-09, "m"], "y": [1.348e-09, "m"], "z": [1.348e-09, "m"]}
HALF = {"x": [6.74e-10, "m"], "y": [6.74e-10, "m"], "z": [6.74e-10, "m"]}


def test_the_global_part_is_the_recipes_but_for_what_is_open():
    """Of the panels only the list of layers is: the recipe opens three more over the volume."""
    state = build_state(TOMOGRAM)
    layers = state.pop("layers")
    assert [layer["name"] for layer in layers] == ["TS_run1"]
    assert state == {
        "dimensions": VOXEL,
        "position": [64.0, 48.0, 32.0],
        "crossSectionScale": 1.0,
        "projectionScale": 140.8,
        "projectionOrientation": [0.3826834323650898, 0.0, 0.0, 0.9238795325112867],
        "selectedLayer": {"visible": False, "layer": "TS_run1", "side": "left"},
        "crossSectionBackgroundColor": "#000000",
        "hideCrossSectionBackground3D": True,
        "layout": "4panel",
        "showSlices": True,
        "showAxisLines": True,
        "layerListPanel": {"side": "left", "row": 1, "visible": True},
        "helpPanel": {"side": "right", "row": 0},
        "settingsPanel": {"side": "right", "row": 1},
        "selection": {"row": 2, "visible": False},
        "toolPalettes": {
            "Position": {
                "side": "bottom",
                "row": 1,
                "size": 100,
                "visible": False,
                "query": "type:dimension",
                "verticalStacking": False,
            }
        },
        "gpuMemoryLimit": 1500000000,
    }


def test_the_image_layer():
    (image,) = build_state(TOMOGRAM)["layers"]
    assert image["source"] == {
        "url": "zarr://archive://10001/TS_run1/TS_run1.zarr/",
        "transform": {"outputDimensions": VOXEL, "inputDimensions": VOXEL},
    }
    assert image["type"] == "image"
    assert image["shader"] == shaders.TOMOGRAM
    # the limits of the recipe: the window is 20 % wider on each side, 200 % in 3D
    assert image["shaderControls"]["contrast"] == {"range": [-3.95, 3.549], "window": [-5.4498, 5.0488]}
    assert image["shaderControls"]["contrast_3D"] == {"range": [0.0, 1.0], "window": [-2.0, 3.0]}


def test_every_control_of_a_shader_is_set_and_the_other_way_round():
    layers = [PointLayer("p", "p", 1, "#ffffff", kind) for kind in ("point", "orientedPoint", "instancePoint")]
    for layer in build_state(TOMOGRAM, layers)["layers"]:
        declared = {
            line.split()[2].partition("(")[0] for line in layer["shader"].splitlines() if line.startswith("#uicontrol")
        }
        assert declared == set(layer["shaderControls"])


def test_layers_of_another_spacing_are_scaled_and_do_not_move_the_view():
    """F173: the start is the centre of the volume whatever else is shown."""
    layers = [
        PointLayer("100 ribosome point", "10001/points", 6.74, "#ff00ff", visible=True),
        MaskLayer("101 membrane segmentation", "10001/mask.zarr", 6.74, "#ffff00"),
    ]
    state = build_state(TOMOGRAM, layers)
    alone = build_state(TOMOGRAM)
    assert {key: state[key] for key in ("position", "crossSectionScale", "projectionScale")} == {
        key: alone[key] for key in ("position", "crossSectionScale", "projectionScale")
    }
    _, points, mask = state["layers"]
    assert points["source"]["transform"] == {"outputDimensions": VOXEL, "inputDimensions": HALF}
    assert points["source"]["url"] == "precomputed://archive://10001/points/"
    assert (points["visible"], points["annotationColor"]) == (True, "#ff00ff")
    assert mask["source"][0]["transform"]["inputDimensions"] == HALF


def test_masks():
    """F163: an instance mask lists no segments."""
    semantic = MaskLayer("s", "a/s.zarr", 1, "#ffff00", mesh_source="a/mesh", names_source="http://host/names/")
    instances = MaskLayer("i", "a/i.zarr", 1)
    _, one, many = build_state(TOMOGRAM, [semantic, instances])["layers"]
    assert (one["segments"], one["segmentDefaultColor"]) == (["1"], "#ffff00")
    assert [source if isinstance(source, str) else source["url"] for source in one["source"]] == [
        "zarr://archive://a/s.zarr/",
        "precomputed://archive://a/mesh/",
        "precomputed://http://host/names/",
    ]
    assert "segments" not in many
    assert "segmentDefaultColor" not in many
    assert one["pick"] is False


def test_meshes():
    (_, mesh) = build_state(TOMOGRAM, [MeshLayer("m", "a/m", 13.48, "#ff0000", render_scale=4)])["layers"]
    assert (mesh["type"], mesh["segments"], mesh["meshRenderScale"]) == ("segmentation", ["1"], 4)


def test_a_base_takes_the_place_of_the_archive():
    """F164: no host is stored; sources that are URLs already stay."""
    state = build_state(
        TOMOGRAM,
        [
            PointLayer("p", "http://host/viewer/annotations/17/", 1, "#ffffff"),
            MaskLayer("m", "10001/mask.zarr", 1, names_source="10001/names"),
        ],
    )
    before = json.dumps(state)
    placed = with_base(state, "https://data.example.org/files/")
    urls = [layer["source"] for layer in placed["layers"]]
    assert urls[0]["url"] == "zarr://https://data.example.org/files/10001/TS_run1/TS_run1.zarr/"
    assert urls[1]["url"] == "precomputed://http://host/viewer/annotations/17/"
    assert urls[2][0]["url"] == "zarr://https://data.example.org/files/10001/mask.zarr/"
    assert urls[2][1] == "precomputed://https://data.example.org/files/10001/names/"
    assert "archive://" not in json.dumps(placed)
    assert json.dumps(state) == before


def test_keys_are_quoted_in_urls():
    (image,) = build_state(Tomogram("t", "10001/run 1|#/t.zarr", (1, 1, 1), 10))["layers"]
    assert image["source"]["url"] == "zarr://archive://10001/run%201%7C%23/t.zarr/"


def test_volume_rendering_hides_the_slices():
    state = build_state(Tomogram("t", "t.zarr", (1, 1, 1), 10, volume_rendering=True))
    assert (state["showSlices"], state["layers"][0]["volumeRendering"]) == (False, "on")


def test_names_are_unique():
    layers = [
        PointLayer("a", "x", 1, "#ffffff"),
        PointLayer("a", "y", 1, "#ffffff"),
        PointLayer("TS_run1", "z", 1, "#"),
    ]
    names = [layer["name"] for layer in build_state(TOMOGRAM, layers)["layers"]]
    assert names == ["TS_run1", "a", "a (2)", "TS_run1 (2)"]


@pytest.mark.parametrize(
    ("shape", "word"),
    [
        ("Point", "point"),
        ("OrientedPoint", "orientedpoint"),
        ("InstanceSegmentation", "instancesegmentation"),
        ("SegmentationMask", "segmentation"),
        ("InstanceSegmentationMask", "instancesegmentation"),
        ("TriangularMesh", "mesh"),
        ("Mesh", "mesh"),
    ],
)
def test_layer_names(shape, word):
    assert layer_name(100, "cytosolic ribosome", shape) == f"100 cytosolic ribosome {word}"


def test_contrast_for_volume_rendering():
    assert contrast_3d(1.0, 2.0) == (-5.0, 2.0)


@pytest.mark.parametrize("contrast", [(2.0, 2.0), (3.0, 2.0), (0.0, 0.0)])
def test_limits_without_width_get_one(contrast):
    (image,) = build_state(Tomogram("t", "t.zarr", (1, 1, 1), 10, contrast=contrast))["layers"]
    low, high = image["shaderControls"]["contrast"]["range"]
    assert high == low + 1


@given(st.tuples(*[st.integers(1, 8000)] * 3), st.floats(0.5, 50))
def test_states_are_plain_json_and_the_view_fits(shape, spacing):
    state = build_state(Tomogram("t", "t.zarr", shape, spacing))
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert state["position"] == [shape[2] / 2, shape[1] / 2, shape[0] / 2]
    assert state["crossSectionScale"] >= 1
    assert state["projectionScale"] > max(shape)


def test_metres_are_not_rounded():
    assert dimensions(13.48)["x"] == [1.348e-09, "m"]
    assert dimensions(7)["z"] == [7e-10, "m"]


@pytest.mark.parametrize(
    ("kind", "itemsize", "expected"),
    [("i", 1, (-128, 127)), ("u", 1, (0, 255)), ("i", 2, (-32768, 32767)), ("u", 2, (0, 65535)), ("f", 4, None)],
)
def test_the_range_of_a_voxel_type(kind: str, itemsize: int, expected: tuple[int, int] | None) -> None:
    assert voxel_range(kind, itemsize) == expected


@given(
    low=st.floats(-300, 300),
    width=st.floats(-10, 600),
    bounds=st.sampled_from([(-128, 127), (0, 255), (-32768, 32767)]),
)
def test_limits_of_whole_numbers_stay_in_their_type(low: float, width: float, bounds: tuple[int, int]) -> None:
    limits = (low, low + width)
    tomogram = Tomogram("t", "t.zarr", (8, 8, 8), 10.0, contrast=limits, contrast_3d=limits, voxel_range=bounds)
    controls = build_state(tomogram)["layers"][0]["shaderControls"]
    for name in ("contrast", "contrast_3D"):
        (dark, bright), (first, last) = controls[name]["range"], controls[name]["window"]
        assert bounds[0] <= first <= dark < bright <= last <= bounds[1]
        assert all(isinstance(value, int) for value in (first, dark, bright, last))
