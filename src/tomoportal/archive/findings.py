"""What ``verify`` finds, as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from tomoportal.archive.rules import GROUPS, RULES, Rule, Severity

__all__ = ["RULES", "Finding", "Rule", "Severity", "count", "finding", "rules_markdown", "several"]

_LISTED = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong at one place; ``path`` is a key of the archive (before ingestion: of the source)."""

    severity: Severity
    rule: str
    path: str
    message: str
    fix: str

    def to_json(self) -> dict[str, str]:
        return {name: str(value) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return f"{self.severity} {self.rule} {self.path}: {self.message}"


def finding(rule: str, path: str, message: str, fix: str | None = None) -> Finding:
    """A finding of a rule; ``message`` says what exactly is wrong at ``path``."""
    known = RULES[rule]
    return Finding(known.severity, rule, path, message, fix or known.fix)


def several(values: Iterable[object], limit: int = _LISTED) -> str:
    """``1, 2, 3, … (12 in all)``: a list in a message, cut to what a person reads."""
    listed = list(values)
    text = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in listed[:limit])
    return text if len(listed) <= limit else f"{text}, … ({len(listed)} in all)"


def count(findings: Iterable[Finding]) -> dict[Severity, int]:
    """Number of findings by severity, the worst first."""
    counted = Counter(each.severity for each in findings)
    return {severity: counted[severity] for severity in Severity}


def rules_markdown() -> str:
    """The tables of rules for the documentation, one per group."""
    parts = []
    for title, rules in GROUPS.items():
        rows = [f"| {rule.id} | {rule.severity} | {rule.meaning} | {rule.fix} |" for rule in rules]
        head = ["| rule | severity | meaning | what to do |", "|---|---|---|---|"]
        parts.append("\n".join([f"### {title}", "", *head, *rows]) + "\n")
    return "\n".join(parts)
