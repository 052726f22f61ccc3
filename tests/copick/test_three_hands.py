"""The same random steps by the PyPI package, by ours, and by both in turns on one project: what differs has a reason.

``hands/hand.py`` is a script for the PyPI package that takes steps as JSON lines; upstream's package and ours run it.
After the steps all that can be read is compared, by fresh roots, and of the other's project too, and what lies on the
disk. What may differ stands with its C-number in ``hands/comparing.py``, and in ``hands/hand.py`` where both leave a
step out because all that follows would differ.

The seeds are fixed, so that a change fails only by its own doing. ``TOMOPORTAL_HANDS=100`` plays a hundred others; what
fails is printed with the fewest steps that still fail.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "hands"))

from comparing import DIFFERENCES, Hand, Player, shortened
from sequences import WEIGHTS, Author, Step, sequence

STEPS = 50
SLOW = range(100, 124)
MORE = [random.randrange(10**6) for _ in range(int(os.environ.get("TOMOPORTAL_HANDS", "0")))]
EVERY = 7
"""After how many steps everything is compared; outcomes are after each."""


@pytest.fixture(scope="module")
def player(upstream_python: Path) -> Iterator[Player]:
    hands = [Hand("upstream", upstream_python), Hand("ours", sys.executable)]
    assert [hand.package.split(".")[0] for hand in hands] == ["copick", "tomoportal"]
    yield Player(*hands)
    for hand in hands:
        hand.close()


@pytest.fixture
def project(tmp_path: Path, make_config: Callable[..., Path]) -> Callable[[], Path]:
    numbers = itertools.count()

    def made() -> Path:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        make_config(folder)
        return folder

    return made


def check(steps: list[Step], play: Callable[[list[Step], int], Iterator[str]]) -> None:
    """Nothing is found, or the fewest steps that find something are told."""
    if next(play(steps, EVERY), None) is None:
        return
    fewest = shortened(steps, lambda some: next(play(some, len(some)), None) is not None)
    told = "\n".join(["", *map(repr, fewest), str(next(play(fewest, 1), "not again"))])
    pytest.fail(told)


def apart(player: Player, project: Callable[[], Path], seed: int) -> None:
    check(sequence(seed, STEPS), lambda steps, every: player.apart(steps, (project(), project()), every=every))


def mixed(player: Player, project: Callable[[], Path], seed: int) -> None:
    check(sequence(seed, STEPS), lambda steps, every: player.mixed(steps, project(), seed, every=every))


@pytest.mark.parametrize("seed", [2, 3])
def test_each_does_the_same_on_a_project_of_its_own(player: Player, project: Callable[[], Path], seed: int) -> None:
    apart(player, project, seed)


@pytest.mark.parametrize("seed", [4, 5])
def test_both_work_on_one_project_in_turns(player: Player, project: Callable[[], Path], seed: int) -> None:
    mixed(player, project, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*SLOW, *MORE])
def test_many_sequences(player: Player, project: Callable[[], Path], seed: int) -> None:
    apart(player, project, seed)
    mixed(player, project, seed)


def test_a_failing_sequence_is_shortened() -> None:
    steps = sequence(1, STEPS)
    wanted = [steps[3], steps[20], steps[41]]
    assert shortened(steps, lambda some: all(each in some for each in wanted)) == wanted


def test_every_step_is_taken_by_the_seeds() -> None:
    taken = {name for seed in SLOW for name, _ in sequence(seed, STEPS)}
    author = Author(0)
    assert {getattr(author, name)()[0] for name in WEIGHTS} | {"freeze"} <= taken


def test_what_may_differ_has_a_reason() -> None:
    for operation, reason in DIFFERENCES.values():
        assert operation
        assert len(reason) > 10
