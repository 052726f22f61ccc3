"""Answers that were given already and hold until the data changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

__all__ = ["AnswerCache"]

_MOST = 1_000
_LARGEST = 32_000


class AnswerCache:
    """The latest small answers by question; the version of the data is part of a question. Safe among threads."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, question: Hashable, ask: Callable[[], bytes]) -> bytes:
        """The answer; ``ask`` finds it if it is not known."""
        with self._lock:
            found = self._answers.get(question)
            if found is not None:
                self._answers.move_to_end(question)
                return found
        answer = ask()
        if len(answer) <= _LARGEST:
            with self._lock:
                self._answers[question] = answer
                while len(self._answers) > _MOST:
                    self._answers.popitem(last=False)
        return answer
