"""What ``verify`` finds, as data, and the table of its rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

__all__ = ["RULES", "Finding", "Rule", "Severity", "rules_markdown"]


class Severity(StrEnum):
    """How bad a finding is: an error makes the archive wrong, a warning doubtful; an info needs nobody."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is checked. ``fix`` is what to do about it, unless the finding knows better."""

    id: str
    severity: Severity
    meaning: str
    fix: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong at one place; ``path`` is a key of the archive."""

    severity: Severity
    rule: str
    path: str
    message: str
    fix: str

    def to_json(self) -> dict[str, str]:
        return {name: str(value) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return f"{self.severity} {self.rule} {self.path}: {self.message}"


_INGEST = "run 'tomoportal ingest' again with the config of this deposition"
_EDIT = "correct the ingestion config and run 'tomoportal ingest' again"

_ALL = (
    # files
    Rule("V101", Severity.ERROR, "A file that is on record is missing.", _INGEST),
    Rule("V102", Severity.ERROR, "A file has another size than is on record.", _INGEST),
    Rule("V103", Severity.ERROR, "A file has another SHA-256 than is on record.", _INGEST),
    Rule(
        "V104",
        Severity.WARNING,
        "A file lies in a folder of the archive, and no manifest knows it.",
        "remove it, or move it out of the archive",
    ),
    Rule(
        "V105",
        Severity.WARNING,
        "A metadata document is there, and no manifest knows it.",
        "ingest the entity, or remove its document and files",
    ),
    Rule(
        "V106",
        Severity.INFO,
        "A dataset, run or deposition has no manifest, so that its files cannot be checked against digests.",
        "nothing, if another program wrote it; else ingest it again",
    ),
    Rule("V107", Severity.ERROR, "A manifest cannot be read.", "move it away and ingest again; it is made anew"),
    Rule("V108", Severity.ERROR, "A manifest names a file of another container.", _INGEST),
    # documents
    Rule("V201", Severity.ERROR, "A metadata document is not a JSON object.", _INGEST),
    Rule("V202", Severity.ERROR, "A metadata document breaks the schema.", _EDIT),
    Rule("V203", Severity.WARNING, "A metadata document holds something doubtful that readers accept.", _EDIT),
    Rule(
        "V204",
        Severity.WARNING,
        "A title, description, author, organism or sample type is not filled in.",
        "fill it in in the ingestion config and run 'tomoportal ingest' again",
    ),
    # references
    Rule("V301", Severity.ERROR, "A document names a file that does not exist.", _INGEST),
    Rule("V302", Severity.ERROR, "A document refers to a metadata document that does not exist.", _INGEST),
    Rule(
        "V303",
        Severity.ERROR,
        "A document names a deposition that has no document.",
        "give the deposition's metadata in the config and run 'tomoportal ingest' again",
    ),
    Rule("V304", Severity.ERROR, "A dataset or run has content, and no document of its own.", _INGEST),
    Rule("V305", Severity.ERROR, "A viewer configuration is not JSON or shows a layer that does not exist.", _INGEST),
    # agreement
    Rule("V401", Severity.ERROR, "A document's voxel spacing is not that of its folder.", _INGEST),
    Rule("V402", Severity.ERROR, "A document's run name is not its folder's name.", _INGEST),
    Rule("V403", Severity.ERROR, "A document's identifier is not its folder's name.", _INGEST),
    Rule(
        "V404",
        Severity.ERROR,
        "A voxel spacing folder is not named with three decimals.",
        "ingest the run again, and remove the old folder",
    ),
    Rule(
        "V405",
        Severity.ERROR,
        "Two entities of a run have the same identity key.",
        "remove one of them, or make them differ in processing, software or annotation_ingest_id",
    ),
    # leftovers
    Rule("V501", Severity.INFO, "An interrupted publication was finished.", "nothing"),
    Rule(
        "V502",
        Severity.WARNING,
        "An interrupted publication could not be finished and was taken back.",
        _INGEST,
    ),
    Rule(
        "V503",
        Severity.INFO,
        "A publication is under way or was interrupted.",
        "run 'tomoportal verify' with the right to write, when no other command is running",
    ),
    Rule(
        "V504",
        Severity.INFO,
        "Staged files of another process are there.",
        "nothing while it runs; one day after its end on another machine they are removed",
    ),
    Rule(
        "V505",
        Severity.ERROR,
        "The journal of an interrupted publication cannot be read.",
        "delete it, and ingest again what it names",
    ),
)

RULES: dict[str, Rule] = {rule.id: rule for rule in _ALL}
"""All rules by id, in order. Ids are never used again for another rule."""


def finding(rule: str, path: str, message: str, fix: str | None = None) -> Finding:
    """A finding of a rule; ``message`` says what exactly is wrong at ``path``."""
    known = RULES[rule]
    return Finding(known.severity, rule, path, message, fix or known.fix)


def rules_markdown(rules: Iterable[Rule] = _ALL) -> str:
    """The table of rules for the documentation."""
    rows = [f"| {rule.id} | {rule.severity} | {rule.meaning} | {rule.fix} |" for rule in rules]
    return "\n".join(["| rule | severity | meaning | what to do |", "|---|---|---|---|", *rows]) + "\n"
