"""The findings as one HTML page that a depositor can read: no other file, no script, prints well.

The page holds no date: the same archive gives the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from tomoportal.archive.findings import RULES, Finding, Severity, count
from tomoportal.archive.verification.plots import plot
from tomoportal.archive.verification.summary import Summary

__all__ = ["html_report"]

_PLOTTED = 24
_LISTED = 200
_NOUNS = {Severity.ERROR: "Errors", Severity.WARNING: "Warnings", Severity.INFO: "Notes"}
_MEANINGS = {
    Severity.ERROR: "Something is wrong: data would be misread, or a file is broken.",
    Severity.WARNING: "Something is doubtful: please look, and decide.",
    Severity.INFO: "Nothing to do.",
}
_STYLE = """
:root { --ink: #1d2433; --soft: #5a6478; --line: #d9dee8; --paper: #fff; --shade: #f4f6fa;
  --error: #b3261e; --warning: #8a5a00; --info: #2b5c8a; --good: #1f6b3a; }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  padding: 2rem 1.5rem 4rem; max-width: 80rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem } p { margin: .3rem 0 }
.soft { color: var(--soft) } code { font: .87em ui-monospace, monospace; overflow-wrap: anywhere }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0 }
.card { border: 1px solid var(--line); border-left: .35rem solid var(--line); border-radius: .4rem; padding: .6rem 1rem;
  min-width: 9rem } .card b { display: block; font-size: 1.5rem; line-height: 1.2 }
.error { border-left-color: var(--error) } .warning { border-left-color: var(--warning) }
.info { border-left-color: var(--info) } .good { border-left-color: var(--good) }
.error .word { color: var(--error) } .warning .word { color: var(--warning) } .info .word { color: var(--info) }
.good .word { color: var(--good) } .word { font-weight: 600 }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .93em }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line) }
th { background: var(--shade); font-weight: 600 } td.n, th.n { text-align: right;
  font-variant-numeric: tabular-nums }
td.bad { color: var(--error); font-weight: 600 } td.doubt { color: var(--warning); font-weight: 600 }
details { border: 1px solid var(--line); border-left: .35rem solid var(--line); border-radius: .4rem; margin: .6rem 0;
  padding: .5rem .9rem; break-inside: avoid } summary { cursor: pointer }
details.error { border-left-color: var(--error) } details.warning { border-left-color: var(--warning) }
details.info { border-left-color: var(--info) }
li { margin: .4rem 0; overflow-wrap: anywhere } ul { margin: .4rem 0; padding-left: 1.2rem }
td.s, td.n { white-space: nowrap } td:first-child { min-width: 9rem }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: .8rem }
.plots figure { margin: 0; border: 1px solid var(--line); border-radius: .4rem; padding: .5rem; break-inside: avoid }
figcaption { font-weight: 600; margin-bottom: .2rem; overflow-wrap: anywhere } svg { width: 100%; height: auto }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft) } .grid { stroke: var(--line) }
.line { fill: none; stroke: #9db4d3 } .dot { fill: #2b5c8a }
@media print { body { max-width: none; padding: 0 } details > * { display: block } }
"""


def html_report(
    subject: str, findings: Sequence[Finding], summaries: Sequence[Summary] = (), *, scope: str = ""
) -> str:
    """The page. ``subject`` is the name of what was checked, ``scope`` says in a sentence what was read."""
    counts = count(findings)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Verification of {escape(subject)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>Verification of <code>{escape(subject)}</code></h1>",
        f'<p class="soft">{escape(scope)}</p>' if scope else "",
        _cards(counts, summaries),
        _runs(findings, summaries),
        *(_severity(severity, findings) for severity in Severity if counts[severity]),
        _pictures(findings, summaries),
        '<p class="soft">The meaning of every rule stands in the reference page “verify” of tomoportal.</p>',
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _cards(counts: dict[Severity, int], summaries: Sequence[Summary]) -> str:
    runs = [summary for summary in summaries if summary.is_run]
    cards = [
        _card(str(severity), counts[severity], _NOUNS[severity])
        for severity in Severity
        if counts[severity] or severity is Severity.ERROR
    ]
    if not counts[Severity.ERROR] and not counts[Severity.WARNING]:
        cards = ['<div class="card good"><b>✓</b><span class="word">Nothing is wrong</span></div>']
    if summaries:
        size = sum(summary.size for summary in summaries)
        cards += [
            _card("", len(runs), "Runs"),
            _card("", sum(summary.files for summary in summaries), "Files"),
            _card("", _bytes(size), "Size"),
        ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _card(kind: str, value: object, noun: str) -> str:
    return f'<div class="card {kind}"><b>{escape(str(value))}</b><span class="word">{noun}</span></div>'


def _runs(findings: Sequence[Finding], summaries: Sequence[Summary]) -> str:
    rows = [summary for summary in summaries if summary.is_run]
    if not rows:
        return ""
    errors, warnings = _by_container(findings, Severity.ERROR), _by_container(findings, Severity.WARNING)
    body = []
    for each in rows:
        wrong, doubtful = errors[each.key], warnings[each.key]
        body.append(
            f"<tr><td><code>{escape(each.key)}</code></td>"
            f'<td class="n{" bad" if wrong else ""}">{wrong}</td>'
            f'<td class="n{" doubt" if doubtful else ""}">{doubtful}</td>'
            f'<td class="n">{each.exposures or "–"}</td><td class="s">{_lines(each.tilt_series)}</td>'
            f'<td class="n">{each.alignments or "–"}</td><td class="s">{_lines(each.tomograms)}</td>'
            f'<td class="n">{each.annotations or "–"}</td><td class="n">{each.objects or "–"}</td>'
            f'<td class="n">{_bytes(each.size)}</td></tr>'
        )
    heads = (
        ("Run", ""),
        ("Errors", "n"),
        ("Warnings", "n"),
        ("Exposures", "n"),
        ("Tilt series, x × y × sections", ""),
        ("Alignments", "n"),
        ("Tomograms, x × y × z", ""),
        ("Annotations", "n"),
        ("Objects", "n"),
        ("Size", "n"),
    )
    head = "".join(f'<th scope="col" class="{kind}">{text}</th>' for text, kind in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'<h2>Runs</h2><div class="wide">{table}</div>'


def _severity(severity: Severity, findings: Iterable[Finding]) -> str:
    """All findings of a severity, by rule."""
    groups: dict[str, list[Finding]] = {}
    for each in findings:
        if each.severity == severity:
            groups.setdefault(each.rule, []).append(each)
    parts = [f'<h2>{_NOUNS[severity]}</h2><p class="soft">{_MEANINGS[severity]}</p>']
    for rule, members in sorted(groups.items()):
        shown = members[:_LISTED]
        fixes = dict.fromkeys(each.fix for each in members)
        common = next(iter(fixes)) if len(fixes) == 1 else None
        rows = "".join(
            f"<li><code>{escape(each.path)}</code><br>{escape(each.message)}"
            + ("" if common else f'<br><span class="soft">What to do: {escape(each.fix)}</span>')
            + "</li>"
            for each in shown
        )
        more = f'<p class="soft">… and {len(members) - len(shown)} more.</p>' if len(members) > len(shown) else ""
        todo = f"<p><b>What to do:</b> {escape(common)}.</p>" if common else ""
        parts.append(
            f'<details class="{severity}" open><summary><b>{escape(RULES[rule].meaning)}</b>'
            f' <span class="soft">{rule}, {len(members)} ×</span></summary>{todo}<ul>{rows}</ul>{more}</details>'
        )
    return "\n".join(parts)


def _pictures(findings: Sequence[Finding], summaries: Sequence[Summary]) -> str:
    """Tilt angles and doses over the order of acquisition: of the first runs, those with findings before the others."""
    troubled = {
        *_by_container([each for each in findings if each.rule[:2] == "V7"], Severity.ERROR),
        *_by_container([each for each in findings if each.rule[:2] == "V7"], Severity.WARNING),
    }
    with_data = [summary for summary in summaries if summary.tilts or summary.doses]
    shown = sorted(with_data, key=lambda summary: summary.key not in troubled)[: _PLOTTED // 2]
    figures = []
    for each in shown:
        for points, label, what in (
            (each.tilts, "tilt angle (°)", "Tilt angles"),
            (each.doses, "dose before (e⁻/Å²)", "Accumulated dose"),
        ):
            drawn = plot(points, x_label="order of acquisition", y_label=label, title=f"{what} of {each.key}")
            if drawn:
                figures.append(f"<figure><figcaption>{escape(each.key)}: {what.lower()}</figcaption>{drawn}</figure>")
    if not figures:
        return ""
    left_out = len(with_data) - len(shown)
    note = f'<p class="soft">{left_out} more runs are not drawn.</p>' if left_out else ""
    return f'<h2>Acquisition</h2><div class="plots">{"".join(figures)}</div>{note}'


def _by_container(findings: Iterable[Finding], severity: Severity) -> Counter[str]:
    """Number of findings by ``dataset/run``."""
    return Counter("/".join(each.path.split("/")[:2]) for each in findings if each.severity == severity)


def _lines(texts: Sequence[str]) -> str:
    return "<br>".join(map(escape, texts)) or "–"


def _bytes(size: int) -> str:
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.1f} {unit}"
