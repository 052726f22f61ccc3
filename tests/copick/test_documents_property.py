"""Documents: whatever upstream can write is read equal by both, and unknown keys survive at every level (C10)."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tomoportal.copick as copick
from tomoportal.copick.config import dump_config, load_config
from tomoportal.copick.filament_documents import CopickFilamentsFile
from tomoportal.copick.pick_input import read_picks
from tomoportal.copick.pick_output import write_picks

numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
KNOWN = {
    "pickable_object_name", "user_id", "session_id", "run_name", "voxel_spacing", "unit", "points", "trust_orientation",
    "location", "transformation_", "instance_id", "score", "x", "y", "z", "version", "filaments", "polarity_known",
    "radius", "metadata", "curve", "kind", "control_points", "step", "alpha", "degree", "knots", "smoothing",
}  # fmt: skip
unknown = st.dictionaries(texts.filter(lambda key: key not in KNOWN), anything, max_size=2)
IDENTITY = np.eye(4).tolist()


@st.composite
def matrices(draw: st.DrawFn) -> list[list[float]]:
    rows = draw(st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=3, max_size=3))
    return [*rows, [0.0, 0.0, 0.0, 1.0]]


@st.composite
def points(draw: st.DrawFn) -> dict[str, Any]:
    place = {**{axis: draw(numbers) for axis in "xyz"}, **draw(unknown)}
    point: dict[str, Any] = {"location": place, **draw(unknown)}
    for key, values in (
        ("transformation_", matrices()), ("instance_id", st.integers(0, 2**40)), ("score", numbers),
    ):  # fmt: skip
        if draw(st.booleans()):
            point[key] = draw(values)
    return point


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    document: dict[str, Any] = {key: draw(texts) for key in ("pickable_object_name", "user_id", "session_id")}
    optional = {
        "run_name": st.none() | texts, "voxel_spacing": st.none() | st.floats(0.1, 1e3),
        "trust_orientation": st.none() | st.booleans(),
    }  # fmt: skip
    document |= {key: draw(values) for key, values in optional.items() if draw(st.booleans())}
    return {**document, **draw(unknown), "points": draw(st.lists(points(), max_size=4))}


def filled(document: dict[str, Any]) -> dict[str, Any]:
    """With the defaults of points, in numbers that JSON tells apart."""
    made = [{"transformation_": IDENTITY, "instance_id": 0, "score": 1.0, **point} for point in document["points"]]
    return {**document, "points": made}


def same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@settings(max_examples=150)
@given(documents())
@example({"pickable_object_name": "a", "user_id": "b", "session_id": "1", "points": []})
def test_c10_a_document_is_written_as_it_was_read(document: dict[str, Any]) -> None:
    found = read_picks(json.dumps(document).encode(), "x")
    for compact in (False, True):
        data = write_picks(found.table, found.fields, compact=compact)
        again = json.loads(data)
        defaults = {"run_name": None, "voxel_spacing": None, "unit": "angstrom", "trust_orientation": True}
        assert same({**defaults, **again}, {**defaults, **filled(document)})
        assert read_picks(data, "x").table.same_as(found.table)


@settings(max_examples=60)
@given(st.lists(points(), min_size=1, max_size=3))
def test_c10_points_as_objects_keep_every_key(many: list[dict[str, Any]]) -> None:
    from tomoportal.copick.picks import _objects, _table_of_objects

    document = {"pickable_object_name": "a", "user_id": "b", "session_id": "1", "points": many}
    table = read_picks(json.dumps(document).encode(), "x").table
    assert _table_of_objects(_objects(table)).same_as(table)


@st.composite
def filament_documents(draw: st.DrawFn) -> dict[str, Any]:
    finite = st.floats(-1e6, 1e6)
    place = st.lists(finite, min_size=3, max_size=3)
    filaments = []
    for number in range(draw(st.integers(0, 3))):
        curve = {"kind": "future", "control_points": draw(st.lists(place, max_size=2)), "step": 2.5, **draw(unknown)}
        filament = {"instance_id": number + 1, "points": draw(st.lists(place, min_size=2, max_size=4)), **draw(unknown)}
        filament["metadata"] = draw(st.dictionaries(texts, anything, max_size=2))
        filaments.append({**filament, **({"curve": curve} if draw(st.booleans()) else {})})
    names = {key: draw(texts) for key in ("pickable_object_name", "user_id", "session_id")}
    return {**names, **draw(unknown), "filaments": filaments}


def contains(whole: Any, part: Any) -> bool:
    """Whether every key of ``part`` is in ``whole`` with the same value; None may be left out."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            value is None or (key in whole and contains(whole[key], value)) for key, value in part.items()
        )
    if isinstance(part, list):
        return len(whole) == len(part) and all(contains(one, other) for one, other in zip(whole, part, strict=True))
    return bool(whole == part)


@settings(max_examples=60)
@given(filament_documents())
def test_c10_documents_of_filaments_keep_every_key(document: dict[str, Any]) -> None:
    written = json.loads(json.dumps(CopickFilamentsFile.model_validate(document).model_dump()))
    assert contains(written, document)
    assert (
        CopickFilamentsFile.model_validate(written).model_dump()
        == CopickFilamentsFile.model_validate(document).model_dump()
    )


config_unknown = st.dictionaries(st.text("abcxyz", min_size=9, max_size=12), anything, max_size=2)


@settings(max_examples=60)
@given(config_unknown, config_unknown, st.dictionaries(texts, anything, max_size=2).filter(lambda d: "copick" not in d))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_c10_configs_keep_every_key(extra: dict[str, Any], inner: dict[str, Any], metadata: dict[str, Any]) -> None:
    spec = {"polar": True, **inner}
    made = {"name": "a", "is_particle": True, "metadata": {**metadata, "copick": {"filament": spec, "x": 1}}, **inner}
    config = {"config_type": "filesystem", "overlay_root": "x", "pickable_objects": [made], **extra}
    for _ in range(2):
        written = json.loads(dump_config(load_config(json.dumps(config))))
        assert contains(written, config)
        assert same(written["pickable_objects"][0]["metadata"], made["metadata"])
        config = written


# --- the same in both packages

READ = """
import json, sys
import copick
run = copick.from_file(sys.argv[1]).get_run("TS_001")
told = []
for picks in sorted(run.picks, key=lambda each: int(each.session_id)):
    positions, transforms = picks.numpy()
    told.append([positions.tolist(), transforms.tolist(), picks.instance_ids().tolist(), picks.scores().tolist(),
                 picks.full_positions().tolist(), picks.trust_orientation, picks.meta.run_name,
                 picks.meta.voxel_spacing, len(picks.points)])
print(json.dumps(told))
"""


def random_document(generator: random.Random, session: int) -> dict[str, Any]:
    """What upstream's writer may have written, older releases of it too; matrices of rotations about an axis."""

    def number() -> float:
        return generator.choice([generator.uniform(-1e3, 1e3), 0.0, -0.0, 1e-300, 12345678.125, float(session), 0.1])

    def point() -> dict[str, Any]:
        angle = generator.uniform(0, 7)
        turned = [
            [math.cos(angle), -math.sin(angle), 0.0, number()],
            [math.sin(angle), math.cos(angle), 0.0, number()],
            [0.0, 0.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, 1.0],
        ]
        made: dict[str, Any] = {"location": {axis: number() for axis in "xyz"}}
        if generator.random() < 0.7:
            made["transformation_"] = turned
        if generator.random() < 0.7:
            made["instance_id"] = generator.randrange(0, 1000)
        if generator.random() < 0.7:
            made["score"] = generator.uniform(-1, 1)
        if generator.random() < 0.2:
            made["colour"] = {"deep": [1, None]}
        return made

    document: dict[str, Any] = {"pickable_object_name": "ribosome", "user_id": "ada", "session_id": str(session)}
    if generator.random() < 0.5:
        document |= {
            "run_name": generator.choice([None, "TS_001", "ä"]),
            "voxel_spacing": generator.choice([None, 7.84]),
        }
    if generator.random() < 0.5:
        document |= {"unit": "angstrom", "trust_orientation": generator.random() < 0.5}
    if generator.random() < 0.3:
        document["portal_metadata"] = {"annotation": {"id": session}}
    return {**document, "points": [point() for _ in range(generator.randrange(0, 6))]}


def test_documents_are_read_equal_by_both(config: Path, run: copick.CopickRun, upstream: Any) -> None:
    folder = Path(run.overlay_path) / "Picks"
    folder.mkdir()
    generator = random.Random(5)
    for session in range(1, 121):
        text = json.dumps(random_document(generator, session), indent=generator.choice([None, 4]))
        (folder / f"ada_{session}_ribosome.json").write_text(text)
    told = upstream(READ, config)
    found = []
    for picks in sorted(copick.from_file(config).runs[0].picks, key=lambda each: int(each.session_id)):
        positions, transforms = picks.numpy()
        found.append(
            [positions.tolist(), transforms.tolist(), picks.instance_ids().tolist(), picks.scores().tolist(),
             picks.full_positions().tolist(), picks.trust_orientation, picks.meta.run_name, picks.meta.voxel_spacing,
             len(picks.points)]
        )  # fmt: skip
    assert len(found) == 120
    assert found == told
