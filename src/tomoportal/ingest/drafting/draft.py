"""The text of a config for a surveyed folder: everything that the files tell, and a comment wherever they do not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tomoportal.archive import Archive
from tomoportal.ingest.drafting.annotations import annotation_blocks
from tomoportal.ingest.drafting.grouping import Group, Runs, group_runs
from tomoportal.ingest.drafting.parts import UNKNOWN, Table, run_filter, yaml_value
from tomoportal.ingest.drafting.survey import Survey
from tomoportal.ingest.drafting.tilt_series import choose_stacks, frames_section, tilt_series_section

__all__ = ["Answers", "Draft", "draft_config", "free_ids"]

_SPECIES = {
    "homo sapiens": 9606,
    "mus musculus": 10090,
    "saccharomyces cerevisiae": 4932,
    "escherichia coli": 562,
    "chlamydomonas reinhardtii": 3055,
}
_ORIGINS = {
    "cell_line": "cell_strain",
    "organelle": "cell_component",
    "organism": "tissue",
    "organoid": "tissue",
    "primary_cell_culture": "cell_type",
    "tissue": "tissue",
    "virus": "cell_component",
}


@dataclass(frozen=True)
class Answers:
    """What no file tells. Ids are those of the new dataset and deposition, ``date`` is YYYY-MM-DD."""

    title: str = "not_reported"
    authors: tuple[str, ...] = ("not_reported",)
    organism: str = "not_reported"
    sample_type: str = "other"
    dataset_id: int = 10000
    deposition_id: int = 10300
    date: str = "1970-01-01"
    source_prefix: str = ""
    map_name: str = "runs.csv"


@dataclass
class Draft:
    """A drafted config: its YAML text, the text of its run data map if it needs one, and the runs that it covers."""

    config: str
    run_map: str | None
    runs: Runs
    survey: Survey


def free_ids(archive: Archive) -> tuple[int, int]:
    """The next free dataset id (from 10000) and deposition id (from 10300) of an archive."""
    datasets = [int(name) for name in archive.store.children("")[0] if name.isascii() and name.isdigit()]
    depositions = [
        int(name) for name in archive.store.children("depositions_metadata")[0] if name.isascii() and name.isdigit()
    ]
    return max([9999, *datasets]) + 1, max([10299, *depositions]) + 1


def draft_config(survey: Survey, answers: Answers) -> Draft:
    """Write the config. Files that cannot be ingested get the role ``left out`` and the reason in the survey."""
    runs = group_runs(survey)
    _leave_out_unusable(runs)
    table = Table(runs.names)
    spacings = _spacings(runs)
    sections = [
        _head(answers),
        _deposition(answers),
        _dataset(answers),
        _runs(runs),
        frames_section(runs, table),
        tilt_series_section(runs, table),
        _alignments(runs, spacings),
        _voxel_spacings(runs, spacings),
        _tomograms(runs, spacings, answers),
        "\n".join(annotation_blocks(runs, spacings, table, answers.date)),
    ]
    run_map = table.text()
    text = "\n".join(section for section in sections if section)
    text = text.replace(
        "@MAP@",
        f"\n  run_data_map_file: {yaml_value(answers.map_name)}  # values that differ between runs" if run_map else "",
    )
    return Draft(text, run_map, runs, survey)


def _leave_out_unusable(runs: Runs) -> None:
    for group in runs.groups.get("tomogram", []):
        for run in list(group.files):
            if group.files[run][0].spacing is None:
                group.drop(run, "its header gives no voxel size: correct the header, then run init again")
    runs.groups["tomogram"] = [group for group in runs.groups.get("tomogram", []) if group.files]
    choose_stacks(runs)


def _spacings(runs: Runs) -> dict[float, list[str]]:
    """Voxel spacings of the tomograms in Å, each with its runs."""
    found: dict[float, set[str]] = {}
    for group in runs.groups.get("tomogram", []):
        for run, files in group.files.items():
            if files[0].spacing is not None:
                found.setdefault(files[0].spacing, set()).add(run)
    return {spacing: sorted(found[spacing]) for spacing in sorted(found)}


def _head(answers: Answers) -> str:
    return f"""# Written by `tomoportal init`. Lines with "not known" or "not_reported" are for you to correct.
version: '1.3.0'
standardization_config:
  deposition_id: {answers.deposition_id}
  source_prefix: {yaml_value(answers.source_prefix)}  # folder of the raw files; empty = the folder of this file@MAP@
"""


def _people(answers: Answers, indent: str, anchor: str) -> str:
    lines = [f"{indent}authors: &{anchor}{UNKNOWN if answers.authors == ('not_reported',) else ''}"]
    last = len(answers.authors) - 1
    for number, name in enumerate(answers.authors):
        lines.append(f"{indent}- name: {yaml_value(name)}")
        if number == 0:
            lines.append(f"{indent}  primary_author_status: true")
        if number == last:
            lines.append(f"{indent}  corresponding_author_status: true")
    return "\n".join(lines)


def _deposition(answers: Answers) -> str:
    date = yaml_value(answers.date)
    return f"""depositions:
- metadata:
    deposition_identifier: {answers.deposition_id}
    deposition_title: {yaml_value(answers.title)}{_mark(answers.title)}
    deposition_description: "not_reported"{UNKNOWN}
    deposition_types: [dataset]
{_people(answers, "    ", "authors")}
    dates: &dates {{deposition_date: {date}, release_date: {date}, last_modified_date: {date}}}
  sources:
  - literal: {{value: [{answers.deposition_id}]}}
"""


def _mark(value: str) -> str:
    return UNKNOWN if value == "not_reported" else ""


def _origin(sample_type: str) -> str:
    """The line on the sample's origin without which a sample of this type is refused."""
    part = _ORIGINS.get(sample_type)
    if part is None:
        return ""
    identifier = ', id: "not_reported"' if part == "tissue" else ""
    return f'    {part}: {{name: "not_reported"{identifier}}}{UNKNOWN}\n'


def _dataset(answers: Answers) -> str:
    taxonomy = _SPECIES.get(answers.organism.lower())
    organism = f"{{name: {yaml_value(answers.organism)}" + (f", taxonomy_id: {taxonomy}}}" if taxonomy else "}")
    return f"""datasets:
- metadata:
    dataset_identifier: {answers.dataset_id}
    dataset_title: {yaml_value(answers.title)}{_mark(answers.title)}
    dataset_description: "not_reported"{UNKNOWN}
    authors: *authors
    dates: *dates
    sample_type: {answers.sample_type}{UNKNOWN if answers.sample_type == "other" else ""}
{_origin(answers.sample_type)}    organism: {organism}{_mark(answers.organism)}
    assay: {{name: cryo-electron tomography, id: 'EFO:0022601'}}
    development_stage: {{name: unknown, id: unknown}}
    disease: {{name: not_reported}}{UNKNOWN}
    sample_preparation: "not_reported"{UNKNOWN}
    grid_preparation: "not_reported"{UNKNOWN}
  sources:
  - literal: {{value: ['{answers.dataset_id}']}}
"""


def _runs(runs: Runs) -> str:
    names = "\n".join(f"      - {yaml_value(name)}" for name in runs.names)
    return f"runs:\n- sources:\n  - literal:\n      value:\n{names}\n"


def _alignments(runs: Runs, spacings: Mapping[float, list[str]]) -> str:
    groups = runs.groups.get("alignment", [])
    with_tomogram = {run for names in spacings.values() for run in names}
    chosen: dict[str, Group] = {}
    for group in groups:
        extension = "." + group.template.rpartition(".")[2]
        if extension in chosen:
            for files in group.files.values():
                for file in files:
                    file.role, file.why = "left out", f"a second {extension} file per run"
        else:
            chosen[extension] = group
    complete = set(chosen.get(".xf", Group("")).files) & set(chosen.get(".tlt", Group("")).files)
    for group in chosen.values():
        for run, files in group.files.items():
            if run not in complete or run not in with_tomogram:
                why = (
                    "an alignment needs .xf and .tlt"
                    if run not in complete
                    else "an alignment needs a tomogram of its run"
                )
                for file in files:
                    file.role, file.why = "left out", why
    usable = sorted(complete & with_tomogram)
    if not usable:
        return ""
    patterns = "\n".join(f"      - {yaml_value(group.template)}" for group in chosen.values())
    only = "" if len(usable) == len(runs.names) else "\n" + run_filter(usable, "    ")
    return f"""alignments:
- metadata: {{format: IMOD, alignment_type: GLOBAL, method_type: undefined, is_portal_standard: false}}
  sources:
  - source_multi_glob:
      list_globs:
{patterns}{only}
"""


def _voxel_spacings(runs: Runs, spacings: Mapping[float, list[str]]) -> str:
    if not spacings:
        return "voxel_spacings:\n- sources:\n  - literal: {value: [10.0]}  # no tomogram was found\n"
    sources = "\n".join(
        f"  - literal: {{value: [{spacing}]}}  # A" + ("" if names == runs.names else "\n" + run_filter(names, "    "))
        for spacing, names in spacings.items()
    )
    return f"voxel_spacings:\n- sources:\n{sources}\n"


def _tomograms(runs: Runs, spacings: Mapping[float, list[str]], answers: Answers) -> str:
    blocks: list[str] = []
    seen: dict[tuple[Any, ...], int] = {}
    shown = _shown_by_default(runs)
    for group in runs.groups.get("tomogram", []):
        by_spacing: dict[float, list[str]] = {}
        for run, files in group.files.items():
            if files[0].spacing is not None:
                by_spacing.setdefault(files[0].spacing, []).append(run)
        for spacing, names in sorted(by_spacing.items()):
            bound = len(spacings) > 1 or sorted(names) != spacings[spacing]
            blocks.append(_tomogram(group, spacing, sorted(names), bound, seen, default=group is shown))
    return "tomograms:\n" + "\n".join(blocks) + "\n" if blocks else ""


def _shown_by_default(runs: Runs) -> Group | None:
    groups = runs.groups.get("tomogram", [])
    return next((group for group in groups if _processing(group) == "raw"), next(iter(groups), None))


def _processing(group: Group) -> str:
    name = group.template.lower()
    if re.search(r"denois|cryocare|isonet|topaz", name):
        return "denoised"
    return "filtered" if re.search(r"filt|nad|wiener|deconv", name) else "raw"


def _tomogram(
    group: Group, spacing: float, names: list[str], bound: bool, seen: dict[tuple[Any, ...], int], *, default: bool
) -> str:
    name = group.template.lower()
    processing = _processing(group)
    method = "SIRT" if "sirt" in name else "SART" if "sart" in name else "Unknown"
    software = group.first().software or "not_reported"
    key = (spacing, processing, method)
    count = seen.get(key, 0)
    seen[key] = count + 1
    # Two tomograms of a run must differ in method, processing or processing software.
    variant = yaml_value(group.tag or f"variant {count + 1}")
    second = f"\n    processing_software: {variant}  # tells it from the tomogram above" if count else ""
    where = "\n" + run_filter(names, "    ", spacing) if bound or group.dropped else ""
    return f"""- metadata:
    voxel_spacing: {spacing}
    fiducial_alignment_status: NON_FIDUCIAL{UNKNOWN}
    ctf_corrected: false{UNKNOWN}
    reconstruction_method: {yaml_value(method)}{UNKNOWN if method == "Unknown" else ""}
    reconstruction_software: {yaml_value(software)}{_mark(software)}
    processing: {processing}  # from the file's name{second}
    tomogram_version: 1
    offset: {{x: 0, y: 0, z: 0}}
    is_visualization_default: {"true" if default else "false"}
    affine_transformation_matrix: [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    authors: *authors
    dates: *dates
  sources:
  - source_glob: {{list_glob: {yaml_value(group.template)}}}{where}"""
