"""What became of a plan: one result per item, counted and listed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from tomoportal.errors import Problem
from tomoportal.ingest.plan import Item, RunError, Unmatched
from tomoportal.ingest.stale import Stale

__all__ = ["OUTCOMES", "Outcome", "Report", "Result"]

Outcome = Literal["created", "replaced", "skipped", "reference", "absent", "failed", "not attempted"]
_REASONS = 3
OUTCOMES: tuple[Outcome, ...] = ("created", "replaced", "skipped", "reference", "absent", "failed", "not attempted")


@dataclass(frozen=True)
class Result:
    """What became of one item; ``why`` explains a failure or an absence."""

    label: str
    name: str
    """Run (or dataset, or deposition), kind and title: what people read."""
    outcome: Outcome
    why: str | None = None
    warnings: tuple[str, ...] = ()
    stop: bool = False
    """The failure concerns every further item too: a full disk."""
    seconds: float = 0.0
    """Time that the item took."""
    bytes: int = 0
    """Size of the files that were published."""

    @classmethod
    def of(
        cls, item: Item, outcome: Outcome, why: str | None = None, warnings: tuple[str, ...] = (), *, stop: bool = False
    ) -> Result:
        """A result of an item; what its name says already is left out at the beginning of warnings."""
        name = f"{'/'.join(item.place[1:])} {item.kind} {item.title}"
        warnings = tuple(text.removeprefix(f"{item.title}: ") for text in warnings)
        return cls(item.label, name, outcome, why, warnings, stop)


@dataclass
class Report:
    """All results in the order of the plan, with what the plan had to say."""

    results: list[Result] = field(default_factory=list)
    errors: tuple[RunError, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()
    stale: tuple[Stale, ...] = ()
    damaged: tuple[Problem, ...] = ()
    """Journals of earlier publications that cannot be read; items of their containers fail."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of items by outcome."""
        counted = Counter(result.outcome for result in self.results)
        return {outcome: counted[outcome] for outcome in OUTCOMES}

    @property
    def failures(self) -> list[Result]:
        """Items that failed or could not be attempted."""
        return [result for result in self.results if result.outcome in ("failed", "not attempted")]

    @property
    def warnings(self) -> list[tuple[str, str]]:
        """Name of the item (or key of a damaged journal) and text of every warning."""
        damaged = [(one.where, f"{one.what}  (fix: {one.fix})") for one in self.damaged]
        return damaged + [(result.name, warning) for result in self.results for warning in result.warnings]

    @property
    def ok(self) -> bool:
        """Whether everything that was planned is done; decides the exit code."""
        return not self.failures and not self.errors and not any(one.wrong for one in self.unmatched)

    def summary(self) -> list[tuple[str, int, str]]:
        """Outcome, number and reasons, for the table at the end: items, runs left out, patterns without a match."""
        rows: list[tuple[str, int, str]] = []
        for outcome, count in self.counts.items():
            whys = [one.why or "" for one in self.results if one.outcome == outcome]
            if count:
                rows.append((outcome, count, _reasons(whys)))
        if self.errors:
            rows.append(("not planned", len(self.errors), _reasons([one.problem.what for one in self.errors])))
        for name, ones in (
            ("matched nothing", [one for one in self.unmatched if one.wrong]),
            ("unmatched", [one for one in self.unmatched if not one.wrong]),
        ):
            if ones:
                rows.append((name, len(ones), _reasons([repr(one.pattern) for one in ones])))
        return rows

    def to_json(self) -> dict[str, Any]:
        """The report as ``--json`` prints it."""
        return {
            "ok": self.ok,
            "counts": self.counts,
            "failures": [{"item": one.label, "outcome": one.outcome, "why": one.why} for one in self.failures],
            "errors": [
                {"run": one.run, "where": one.problem.where, "what": one.problem.what, "fix": one.problem.fix}
                for one in self.errors
            ],
            "warnings": [{"item": name, "what": text} for name, text in self.warnings],
            "absent": [{"item": one.label, "why": one.why} for one in self.results if one.outcome == "absent"],
            "unmatched": [str(one) for one in self.unmatched],
            "stale": [str(one) for one in self.stale],
        }


def _reasons(whys: list[str]) -> str:
    """The most frequent reasons, each once."""
    counted = Counter(why.splitlines()[0] for why in whys if why)
    shown = [why if count == 1 else f"{why} ({count}×)" for why, count in counted.most_common(_REASONS)]
    more = len(counted) - len(shown)
    return "; ".join([*shown, *([f"and {more} more"] if more > 0 else [])])
