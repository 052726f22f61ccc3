"""Models whose validators are built at their first use, also by several threads at once."""

from __future__ import annotations

import subprocess
import sys

FIRST_USE_BY_MANY_THREADS = """
import sys, threading
sys.setswitchinterval(1e-6)
import tomoportal.copick as copick
from tomoportal.copick.portal.annotations import CopickPicksFileCDP
wrong, barrier = [], threading.Barrier(16)

def make(number):
    barrier.wait()
    try:
        file = copick.CopickPicksFile(
            pickable_object_name="a", user_id="b", session_id="c",
            points=[{"location": {"x": number, "y": 2, "z": 3}}],
        )
        assert file.points[0].location.x == number and file.points[0].score == 1.0
        assert type(file.model_copy().points[0]) is copick.CopickPoint
        made = CopickPicksFileCDP(pickable_object_name="a", user_id="b", session_id="c")
        assert made.model_dump()["unit"] == "angstrom" and "portal_metadata" not in made.model_dump()
        copick.CopickFilament(instance_id=1, points=[(0, 0, 0), (1, 1, number)])
        try:
            copick.CopickFilament(instance_id=0, points=[(0, 0, 0), (1, 1, 1)])
        except ValueError:
            pass
        else:
            raise AssertionError("not checked")
    except BaseException as error:
        wrong.append(repr(error))

threads = [threading.Thread(target=make, args=(n,)) for n in range(16)]
[each.start() for each in threads]
[each.join() for each in threads]
assert not wrong, wrong[:3]
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_threads_may_meet_at_the_first_use() -> None:
    for _ in range(3):
        run(FIRST_USE_BY_MANY_THREADS)


def test_importing_builds_nothing_and_the_models_are_whole() -> None:
    """What programs ask of the classes is there before the first object: fields, signatures, schemas, pickles."""
    code = """
import inspect, json, pickle
import tomoportal.copick as copick
classes = [each for name in copick.__all__ if hasattr(each := getattr(copick, name), "model_fields")]
assert len(classes) > 12
assert not [each.__name__ for each in classes if each.__pydantic_complete__]
assert list(copick.CopickLocation.model_fields) == ["x", "y", "z"]
assert list(inspect.signature(copick.CopickLocation).parameters)[:3] == ["x", "y", "z"]
assert copick.CopickPicksFile.model_json_schema()["properties"]["points"]
point = copick.CopickPoint.model_validate({"location": {"x": 1, "y": 2, "z": 3}})
assert pickle.loads(pickle.dumps(point)) == point
assert json.loads(point.model_dump_json())["score"] == 1.0
import sys
print("trimesh" in sys.modules, "zarr" in sys.modules, "fsspec" in sys.modules, "scipy" in sys.modules)
"""
    assert run(code) == "False False False False"
