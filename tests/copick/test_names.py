"""Names: what may be created, what is read, and that nothing is left of what is refused (C31–C35, C37, C40, C48)."""

from __future__ import annotations

import json
import math
import re
import string
import warnings
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tomoportal.copick as copick
from tomoportal.copick import names
from tomoportal.errors import AnnotationError

anything = st.text(max_size=30)


@given(anything)
@example("a_b")
@example(" \t")
@example("--")
def test_a_sanitised_name_is_clean(text: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if not re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f\s_]', "-", text).strip("-"):
            with pytest.raises(AnnotationError, match="Filename cannot be empty or completely consist of invalid"):
                copick.sanitize_name(text)
            return
        clean = copick.sanitize_name(text)
    assert names.is_clean(clean)
    assert copick.sanitize_name(clean) == clean
    assert bool(caught) == (clean != text)


def test_sanitising_replaces_what_upstream_replaces() -> None:
    for char in '<>:"/\\|?* \t\n_\x00\x1f\x7f':
        assert copick.sanitize_name(f"a{char}b", suppress_warnings=True) == "a-b"
    for char in "@#[]&%',;~.é":
        assert copick.sanitize_name(f"a{char}b") == f"a{char}b"
    with pytest.warns(UserWarning, match=r"Input '_x y_' contains invalid characters. It has been sanitized to 'x-y'."):
        assert copick.sanitize_name("_x y_") == "x-y"


clean_names = anything.filter(names.is_clean)


@given(clean_names, clean_names, clean_names)
def test_documents_names_round_trip(user: str, session: str, name: str) -> None:
    file = names.document_name(user, session, name, ".json")
    for loose in (False, True):
        found = names.parse_document(file, ".json", object_may_hold_underscores=loose)
        assert found == names.DocumentName(user, session, name)


@given(
    st.sampled_from([7.84, 10.0, 13.48, 1000.1, 0.001]),
    clean_names,
    clean_names,
    clean_names.filter(lambda name: not name.endswith("-multilabel")),
    st.sampled_from(names.SEGMENTATION_TYPES),
)
def test_segmentation_names_round_trip(size: float, user: str, session: str, name: str, kind: str) -> None:
    store = names.segmentation_name(size, user, session, name, kind)
    found = names.parse_segmentation(store, names.SEGMENTATION_FOLDERS[kind])
    assert found == names.SegmentationName(size, user, session, name, kind)


REFUSED = [
    "a/b",
    "..",
    ".",
    ".hidden",
    "",
    " x",
    "x ",
    "a\\b",
    "a\nb",
    "a:b",
    "x.",
    "CON",
    "nul.txt",
    "x" * 300,
    "\ud800",
]


@pytest.mark.parametrize("name", REFUSED)
def test_c31_c33_run_names_that_cannot_be_leave_no_trace(name: str, root: copick.CopickRoot, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError) as caught:
        root.new_run(name)
    assert caught.value.fix
    assert not (tmp_path / "overlay" / "ExperimentRuns").exists()
    assert root.runs == []


def test_c31_usual_run_names_are_kept(root: copick.CopickRoot) -> None:
    for name in ("TS_001", "TS 2", "run-3.mrc", "Größe", "日本", "a[1]{b}", "x'y;z~"):
        assert root.new_run(name).name == name
    with pytest.raises(AnnotationError, match="only in case"):
        root.new_run("ts_001")
    with pytest.raises(AnnotationError, match=r"Run name TS_001 already exists\."):
        root.new_run("TS_001")
    assert len(root.query()) == 7


def test_c32_other_names_are_altered_with_a_warning_or_refused_if_strict(tmp_path: Path, make_config) -> None:
    run = copick.from_file(make_config(tmp_path)).new_run("TS_001")
    with pytest.warns(UserWarning, match="'my_session'.*'my-session'"):
        assert run.new_picks("ribosome", "my_session").session_id == "my-session"
    with pytest.warns(UserWarning, match="'a b'"):
        assert run.new_voxel_spacing(10).new_tomogram("a b").tomo_type == "a-b"
    strict = copick.from_file(make_config(tmp_path, strict=True)).get_run("TS_001")
    assert strict is not None
    for make in (
        lambda: strict.new_picks("ribosome", "my_other"),
        lambda: strict.new_picks("ribosome", "1", "some one"),
        lambda: strict.new_segmentation(10, "a b", "1", True),
        lambda: strict.voxel_spacings[0].new_tomogram("c d"),
    ):
        with pytest.raises(AnnotationError, match=r"contains invalid characters.\n.*use '"):
            make()
    for session in (".", "..", "x.", "CON", "é" * 150):
        with pytest.raises(AnnotationError):
            run.new_picks("ribosome", session)
    with pytest.raises(AnnotationError, match="must be text"):
        run.new_picks("ribosome", 7)  # type: ignore[arg-type]
    assert [picks.session_id for picks in run.query_picks()] == ["my-session"]


@pytest.mark.parametrize("size", [0, -1, math.nan, math.inf, 0.0001, "ten", None])
def test_c40_voxel_sizes_are_positive_lengths(size: object, run: copick.CopickRun) -> None:
    with pytest.raises(AnnotationError):
        run.new_voxel_spacing(size)  # type: ignore[arg-type]
    with pytest.raises(AnnotationError):
        run.new_segmentation(size, "membrane", "1")  # type: ignore[arg-type]
    assert run.query_voxelspacings() == []


def test_what_exists_or_is_unknown_is_refused_in_upstreams_words(
    root: copick.CopickRoot, run: copick.CopickRun
) -> None:
    run.new_picks("ribosome", "1")
    run.new_mesh("ribosome", "1")
    run.new_filaments("microtubule", "1")
    run.new_segmentation(10, "all", "1", True)
    spacing = run.new_voxel_spacing(10)
    spacing.new_tomogram("wbp").new_features("sobel")
    words = {
        "Picks for ribosome by user/tool ada already exist in session 1": lambda: run.new_picks("ribosome", "1"),
        "Mesh for ribosome by user/tool ada already exist in session 1": lambda: run.new_mesh("ribosome", "1"),
        "Filaments for microtubule by user/tool ada": lambda: run.new_filaments("microtubule", "1"),
        "A multilabel segmentation by user/tool ada already exists in session 1 with name all and voxel size of 10.0": (
            lambda: run.new_segmentation(10, "all", "1", True)
        ),
        "VoxelSpacing 10 already exists for this run": lambda: run.new_voxel_spacing(10),
        "Tomogram type wbp already exists for this voxel spacing": lambda: spacing.new_tomogram("wbp"),
        "Feature type sobel already exists for this tomogram": lambda: spacing.tomograms[0].new_features("sobel"),
        "Object name virus not found in pickable objects": lambda: run.new_picks("virus", "1"),
        r"\(instance segmentations are named after one\)": (
            lambda: run.new_segmentation(10, "virus", "1", is_instance=True)
        ),
        "A segmentation has one type": lambda: run.new_segmentation(10, "x", "1", True, is_panoptic=True),
        "Object name ribosome already exists": lambda: root.new_object("ribosome", True),
        "Object label 1 already exists": lambda: root.new_object("virus", True, label=1),
        "Object name 'a_b' contains invalid characters": lambda: root.new_object("a_b", True),
        "Label 0 is reserved for background": lambda: root.new_object("virus", True, label=0),
        r"must be in the range \[0, 255\]": lambda: root.new_object("virus", True, color=(0, 0, 0, 256)),
        "Field required": lambda: root.new_object("virus", True, color=(0, 0, 0)),
    }
    for text, make in words.items():
        with pytest.raises(ValueError, match=text):
            make()
    root.user_id = None
    with pytest.raises(ValueError, match="User ID must be set in the root config or supplied to new_picks"):
        run.new_picks("ribosome", "9")
    with pytest.warns(UserWarning, match="not declared a filament"):
        run.new_filaments("ribosome", "1", "ada")


# --- configs


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_c34_c35_what_is_doubtful_in_a_config_is_said(tmp_path: Path, make_config) -> None:
    double = [
        {"name": "a", "is_particle": True},
        {"name": "b", "is_particle": True},
        {"name": "a", "is_particle": True, "label": 3},
    ]
    path = make_config(tmp_path, pickable_objects=double, overlay_fsargs={})
    with pytest.warns(UserWarning, match="overlay_fsargs") as caught:
        root = copick.from_file(path)
    said = "\n".join(str(each.message) for each in caught)
    assert "overlay_fsargs: unknown key of the config  (fix: write 'overlay_fs_args')" in said
    assert "pickable_objects[1].label: 1 is that of pickable_objects[0] already" in said
    assert "pickable_objects[2].name" in said
    assert len(root.problems()) == 3
    with pytest.raises(AnnotationError, match="overlay_fsargs"):
        copick.from_file(make_config(tmp_path, pickable_objects=double, overlay_fsargs={}, strict=True))


def test_unknown_keys_of_a_config_survive(tmp_path: Path, make_config) -> None:
    objects = [{"name": "a", "is_particle": True, "go_id": "GO:1", "ours": [1], "metadata": {"copick": 7, "x": None}}]
    path = make_config(tmp_path, pickable_objects=objects, lab={"room": 3}, tomograms={"10.0": ["wbp"]})
    with pytest.warns(UserWarning, match="lab"):
        root = copick.from_file(path)
    root.new_object("b", False)
    root.save_config(path)
    found = json.loads(path.read_text())
    assert found["lab"] == {"room": 3}
    assert found["tomograms"] == {"10.0": ["wbp"]}
    assert found["pickable_objects"][0]["ours"] == [1]
    assert found["pickable_objects"][0]["metadata"] == {"copick": 7, "x": None}
    assert found["pickable_objects"][0]["identifier"] == "GO:1"
    assert [each["name"] for each in found["pickable_objects"]] == ["a", "b"]
    assert "strict" not in found
    with pytest.raises(ValueError, match="reserves this key"):
        root.config.pickable_objects[0].set_filament({"polar": True})


def test_c37_comments_trailing_commas_and_addresses(tmp_path: Path) -> None:
    text = f"""{{
      // where "it" is
      "config_type": "filesystem", "overlay_root": "local://{tmp_path}/overlay", /* a
      comment */ "pickable_objects": [{{"name": "a//b".x, "is_particle": true,}},], }}""".replace('"a//b".x', '"a"')
    assert copick.from_string(text).get_object("a") is not None
    with pytest.raises(ValueError, match="line 1"):
        copick.from_string("{not json")
    with pytest.deprecated_call(match="config_type not found in config file, defaulting to filesystem"):
        copick.from_string(json.dumps({"overlay_root": str(tmp_path), "pickable_objects": []}))
    with pytest.raises(ValueError, match=r"Unknown config_type: x\. Supported types are 'filesystem'"):
        copick.from_string('{"config_type": "x"}')
    root = copick.new_config(tmp_path / "new" / "config.json", str(tmp_path / "there"), "mine")
    assert root.config.overlay_root == f"local://{tmp_path}/there"
    assert json.loads((tmp_path / "new" / "config.json").read_text())["name"] == "mine"
    kept = copick.new_config(tmp_path / "config2.json", f"file://{tmp_path}/there")
    assert kept.config.overlay_root == f"file://{tmp_path}/there"
    assert copick.from_file(f"file://{tmp_path}/config2.json").runs == []
    with pytest.raises(FileNotFoundError, match="does not exist"):
        copick.from_file(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user_id": "a_b"}, "user_id 'a_b' contains invalid characters"),
        ({"session_id": "a_b"}, "session_id 'a_b' contains invalid characters"),
        ({"user_id": 7}, "valid string"),
        ({"pickable_objects": [{"name": "a_b", "is_particle": True}]}, "Name 'a_b' contains invalid characters"),
        ({"pickable_objects": [{"name": "a", "is_particle": True, "label": 0}]}, "reserved for background"),
        ({"pickable_objects": [{"name": "a", "is_particle": True, "label": -1}]}, "negative"),
        ({"pickable_objects": [{"name": "a", "is_particle": True, "color": None}]}, r"pickable_objects.0.color"),
        ({"pickable_objects": [{"name": "a"}]}, "is_particle"),
    ],
)
def test_c36_bad_configs_name_the_place(change: dict, words: str, tmp_path: Path, make_config) -> None:
    with pytest.raises(ValueError, match=words):
        copick.from_file(make_config(tmp_path, **change))


def test_c48_a_newer_version_of_a_document_is_refused(run: copick.CopickRun, config: Path) -> None:
    filaments = run.new_filaments("microtubule", "1")
    filaments.from_numpy([[[0, 0, 0], [1, 1, 1]]], metadata=[{"fit": 1}], radii=[12.0])
    path = Path(filaments.path)
    document = json.loads(path.read_text())
    document["filaments"][0]["curve"] = {"kind": "future", "control_points": [[0, 0, 0]], "step": 1.0, "more": 2}
    path.write_text(json.dumps(document))
    again = copick.from_file(config).runs[0].filaments[0]
    again.filaments[0].score = 0.5
    again.store()
    kept = json.loads(path.read_text())["filaments"][0]
    assert kept["curve"] == document["filaments"][0]["curve"]
    assert (kept["score"], kept["radius"], kept["metadata"]) == (0.5, 12.0, {"fit": 1})
    path.write_text(json.dumps({**document, "version": 2}))
    with pytest.raises(ValueError, match="newer"):
        again.load()
    for bad, words in (([[0, 0, 0]], "at least two points"), ([[0, 0, 0], [math.nan, 0, 0]], "must be finite")):
        with pytest.raises(ValueError, match=words):
            copick.CopickFilament(instance_id=1, points=bad)
    with pytest.raises(ValueError, match="unique"):
        filaments.filaments = [again_filament(1), again_filament(1)]


def again_filament(number: int) -> copick.CopickFilament:
    return copick.CopickFilament(instance_id=number, points=[[0, 0, 0], [1, 1, 1]])


# --- points


def test_c42_units_are_converted_or_refused(run: copick.CopickRun) -> None:
    picks = run.new_picks("ribosome", "1")
    document = json.loads(Path(picks.path).read_text())
    moved = [[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    document["points"] = [{"location": {"x": 1, "y": 2, "z": 3}, "transformation_": moved}]
    Path(picks.path).write_text(json.dumps({**document, "unit": "nanometer"}))
    picks.refresh()
    assert picks.full_positions().tolist() == [[30, 20, 30]]
    picks.points[0].score = 0.5
    picks.store()
    assert json.loads(Path(picks.path).read_text())["unit"] == "angstrom"
    Path(picks.path).write_text(json.dumps({**document, "unit": "voxel"}))
    with pytest.raises(ValueError, match="'voxel', which is no length"):
        picks.refresh()


def test_c42_what_is_not_rigid_or_finite_is_read_and_reported(run: copick.CopickRun) -> None:
    picks = run.new_picks("ribosome", "1")
    document = json.loads(Path(picks.path).read_text())
    mirror = [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    document["points"] = [
        {"location": {"x": 1, "y": 2, "z": 3}, "transformation_": mirror, "instance_id": -4},
        {"location": {"x": math.nan, "y": 2, "z": 3}},
    ]
    Path(picks.path).write_text(json.dumps(document))
    picks.refresh()
    assert picks.instance_ids().tolist() == [-4, 0]
    said = [problem.what for problem in run.root.problems()]
    assert any("no rotations" in what for what in said)
    assert any("not finite" in what for what in said)
    picks.points = picks.points[:1]
    with pytest.raises(ValueError, match="instance_ids must be >= 0"):
        picks.store()
    picks.points[0].instance_id = 0
    picks.store()  # no more mirrored matrices than before
    picks.points = [*picks.points, *picks.points]
    with pytest.raises(ValueError, match="no rotations"):
        picks.store()
    picks.store(allow_non_rigid=True)


def test_points_are_checked_in_upstreams_words() -> None:
    place = copick.CopickLocation(x="1", y=2, z=3)  # type: ignore[arg-type]
    point = copick.CopickPoint(location=place)
    assert point.transformation.tolist()[3] == [0, 0, 0, 1]
    with pytest.raises(AssertionError, match="transformation must be a 4x4 matrix"):
        point.transformation = [[1]]
    with pytest.raises(ValueError, match="4x4"):
        copick.CopickPoint(location=place, transformation_=None)
    assert copick.CopickPoint(location=place).transformation_ is not copick.CopickPoint(location=place).transformation_


def test_copick_types_lists_every_class_once(run: copick.CopickRun) -> None:
    assert len(set(copick.COPICK_TYPES)) == len(copick.COPICK_TYPES) == 10
    assert isinstance(run, copick.COPICK_TYPES)


@given(st.text(alphabet=string.ascii_letters + "%@:/?#&[]*'.- ", min_size=1, max_size=12).map(str.strip).filter(bool))
def test_c49_every_name_has_a_uri(name: str) -> None:
    from tomoportal.copick.uri import matches_pattern, serialize_copick_uri_from_dict

    uri = serialize_copick_uri_from_dict(
        "segmentation", name=name, user_id=name, session_id=name, voxel_spacing=7.84, multilabel=True
    )
    parts = copick.parse_copick_uri(uri, "segmentation")
    assert all(matches_pattern(name, parts[key], "glob") for key in ("name", "user_id", "session_id"))
    assert (parts["voxel_spacing"], parts["multilabel"]) == ("7.84", True)
    assert not matches_pattern(name + "x", parts["name"], "glob")


@pytest.mark.parametrize(
    ("uri", "kind", "words"),
    [
        ("a:b:c", "picks", "Invalid picks URI format: 'a:b:c'"),
        ("a", "virus", "Unknown object type: virus. Must be one of: picks"),
        ("a?multilabel=true&instance=true", "segmentation", "A segmentation has one type"),
        ("re:[", "picks", r"Invalid regex pattern '\['"),
    ],
)
def test_uris_that_cannot_be(uri: str, kind: str, words: str, run: copick.CopickRun) -> None:
    run.new_picks("ribosome", "1")
    with pytest.raises(ValueError, match=words):
        copick.resolve_copick_objects(uri, run.root, kind)
    with pytest.raises(ValueError, match="Run 'nobody' not found"):
        copick.resolve_copick_objects("a", run.root, "picks", "nobody")
