"""The text of a config for a surveyed folder: everything that the files tell, and a comment wherever they do not."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tomoportal.archive import Archive
from tomoportal.ingest.drafting.acquisition import read_acquisition
from tomoportal.ingest.drafting.annotations import annotation_blocks
from tomoportal.ingest.drafting.grouping import Group, Runs, group_runs
from tomoportal.ingest.drafting.survey import Survey, SurveyedFile

__all__ = ["Answers", "Draft", "draft_config", "free_ids"]

_UNKNOWN = "  # not known from the files: correct it"
_SPECIES = {
    "homo sapiens": 9606,
    "mus musculus": 10090,
    "saccharomyces cerevisiae": 4932,
    "escherichia coli": 562,
    "chlamydomonas reinhardtii": 3055,
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


@dataclass
class Table:
    """The run data map: one column per value that differs between runs."""

    runs: list[str]
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)

    def value(self, name: str, values: Mapping[str, Any], kind: str = "") -> str:
        """YAML of a value: itself if it is the same in all runs, else a placeholder for a new column."""
        distinct = {json.dumps(value) for value in values.values()}
        if len(distinct) == 1:
            return _yaml(next(iter(values.values())))
        self.columns[name] = dict(values)
        return _yaml(f"{kind} {{{name}}}".strip())

    def text(self) -> str | None:
        """The map as CSV; None if every value is the same in all runs."""
        if not self.columns:
            return None
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["run_name", *self.columns])
        for run in self.runs:
            writer.writerow([run, *(column.get(run, "") for column in self.columns.values())])
        return out.getvalue()


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
    _leave_out_without_spacing(runs)
    table = Table(runs.names)
    spacings = _spacings(runs)
    sections = [
        _head(answers),
        _deposition(answers),
        _dataset(answers),
        _runs(runs),
        _frames(runs, table, answers),
        _tilt_series(runs, table),
        _alignments(runs, spacings),
        _voxel_spacings(runs, spacings),
        _tomograms(runs, spacings, answers),
        "\n".join(annotation_blocks(runs, spacings, table, answers.date)),
    ]
    run_map = table.text()
    text = "\n".join(section for section in sections if section)
    text = text.replace(
        "@MAP@",
        f"\n  run_data_map_file: {_yaml(answers.map_name)}  # values that differ between runs" if run_map else "",
    )
    return Draft(text, run_map, runs, survey)


def _yaml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _leave_out_without_spacing(runs: Runs) -> None:
    for group in runs.groups.get("tomogram", []):
        for run in list(group.files):
            if group.files[run][0].spacing is None:
                group.drop(run, "its header gives no voxel size: correct the header, then run init again")
    runs.groups["tomogram"] = [group for group in runs.groups.get("tomogram", []) if group.files]
    covered = {run for group in runs.groups.get("mdoc", []) for run in group.files}
    kept = []
    for group in runs.groups.get("tilt series", []):
        for run in list(group.files):
            file = group.files[run][0]
            why = _unusable_stack(file, runs, run, run in covered)
            if why:
                group.drop(run, why)
        if group.files:
            kept.append(group)
    runs.groups["tilt series"] = _one_stack_per_run(kept)


def _unusable_stack(file: SurveyedFile, runs: Runs, run: str, has_mdoc: bool) -> str | None:
    if not has_mdoc:
        return "a tilt series needs its mdoc, and there is none of this run's name"
    mdoc = mdoc_of(runs, run)
    assert mdoc is not None and mdoc.mdoc is not None
    if file.spacing is None and read_acquisition(mdoc.mdoc, None).values["pixel_spacing"] is None:
        return "neither its header nor its mdoc gives a pixel size"
    tilts = [group.files[run][0].sections for group in runs.groups.get("raw tilts", []) if run in group.files]
    if tilts and tilts[0] != file.sections:
        return f"it has {file.sections} sections, the raw tilt list {tilts[0]} angles"
    if not tilts and mdoc.sections != file.sections:
        return f"it has {file.sections} sections, its mdoc {mdoc.sections}, and there is no raw tilt list"
    return None


def _one_stack_per_run(groups: list[Group]) -> list[Group]:
    """Raw stacks before aligned ones: a run has one tilt series."""
    taken: set[str] = set()
    for group in sorted(groups, key=lambda group: (group.first().aligned, group.template)):
        for run in list(group.files):
            if run in taken:
                group.drop(run, "a second stack of this run")
            taken.add(run)
    return [group for group in groups if group.files]


def mdoc_of(runs: Runs, run: str) -> SurveyedFile | None:
    """The mdoc of a run."""
    return next((group.files[run][0] for group in runs.groups.get("mdoc", []) if run in group.files), None)


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
  source_prefix: {_yaml(answers.source_prefix)}  # folder of the raw files; empty = the folder of this file@MAP@
"""


def _people(answers: Answers, indent: str, anchor: str) -> str:
    lines = [f"{indent}authors: &{anchor}{_UNKNOWN if answers.authors == ('not_reported',) else ''}"]
    last = len(answers.authors) - 1
    for number, name in enumerate(answers.authors):
        lines.append(f"{indent}- name: {_yaml(name)}")
        if number == 0:
            lines.append(f"{indent}  primary_author_status: true")
        if number == last:
            lines.append(f"{indent}  corresponding_author_status: true")
    return "\n".join(lines)


def _deposition(answers: Answers) -> str:
    date = _yaml(answers.date)
    return f"""depositions:
- metadata:
    deposition_identifier: {answers.deposition_id}
    deposition_title: {_yaml(answers.title)}{_mark(answers.title)}
    deposition_description: "not_reported"{_UNKNOWN}
    deposition_types: [dataset]
{_people(answers, "    ", "authors")}
    dates: &dates {{deposition_date: {date}, release_date: {date}, last_modified_date: {date}}}
  sources:
  - literal: {{value: [{answers.deposition_id}]}}
"""


def _mark(value: str) -> str:
    return _UNKNOWN if value == "not_reported" else ""


def _dataset(answers: Answers) -> str:
    taxonomy = _SPECIES.get(answers.organism.lower())
    organism = f"{{name: {_yaml(answers.organism)}" + (f", taxonomy_id: {taxonomy}}}" if taxonomy else "}")
    return f"""datasets:
- metadata:
    dataset_identifier: {answers.dataset_id}
    dataset_title: {_yaml(answers.title)}{_mark(answers.title)}
    dataset_description: "not_reported"{_UNKNOWN}
    authors: *authors
    dates: *dates
    sample_type: {answers.sample_type}{_UNKNOWN if answers.sample_type == "other" else ""}
    organism: {organism}{_mark(answers.organism)}
    assay: {{name: cryo-electron tomography, id: 'EFO:0022601'}}
    development_stage: {{name: unknown, id: unknown}}
    disease: {{name: not_reported}}{_UNKNOWN}
    sample_preparation: "not_reported"{_UNKNOWN}
    grid_preparation: "not_reported"{_UNKNOWN}
  sources:
  - literal: {{value: ['{answers.dataset_id}']}}
"""


def _runs(runs: Runs) -> str:
    names = "\n".join(f"      - {_yaml(name)}" for name in runs.names)
    return f"runs:\n- sources:\n  - literal:\n      value:\n{names}\n"


def globs(groups: Iterable[Group]) -> str:
    """Sources with one glob each."""
    return "\n".join(
        f"  - source_glob: {{list_glob: {_yaml(group.template)}}}"
        + ("\n" + run_filter(sorted(group.files), "    ") if group.dropped else "")
        for group in groups
    )


def _frames(runs: Runs, table: Table, answers: Answers) -> str:
    mdocs = runs.groups.get("mdoc", [])
    if not mdocs:
        return ""
    found = {
        run: read_acquisition(file.mdoc, None)
        for group in mdocs
        for run, (file, *_) in group.files.items()
        if file.mdoc
    }
    rate = table.value("dose_rate", {run: one.values["dose_rate"] for run, one in found.items()}, "float")
    unknown = any("dose_rate" in one.unknown for one in found.values())
    movies = runs.groups.get("frames", [])
    text = f"collection_metadata:\n- sources:\n{globs(mdocs)}\n"
    if runs.groups.get("gain"):
        text += f"gains:\n- sources:\n{globs(runs.groups['gain'])}\n"
    elif gains := [file for file in runs.shared if file.role == "gain"]:
        text += (
            "gains:\n- sources:\n"
            + "\n".join(f"  - source_glob: {{list_glob: {_yaml(file.key)}}}" for file in gains)
            + "\n"
        )
    sources = globs(movies) if movies else "  - literal: {value: [default]}  # no movie files found"
    if not movies and len(found) < len(runs.names):
        sources += "\n" + run_filter(sorted(found), "    ")
    return (
        text
        + f"""frames:
- metadata:
    dose_rate: {rate}  # e/A^2/s{", not known from the mdoc: correct it" if unknown else ", dose / time of the mdoc"}
    is_gain_corrected: false{_UNKNOWN}
  sources:
{sources}
"""
    )


def _tilt_series(runs: Runs, table: Table) -> str:
    groups = runs.groups.get("tilt series", [])
    raw = runs.groups.get("raw tilts", [])
    if not groups:
        return ""
    found = {}
    for group in groups:
        for run, (file, *_) in group.files.items():
            mdoc = mdoc_of(runs, run)
            assert mdoc is not None and mdoc.mdoc is not None
            found[run] = read_acquisition(mdoc.mdoc, file.spacing)
    unknown = {name for one in found.values() for name in one.unknown}

    def line(name: str, kind: str = "") -> str:
        return table.value(name, {run: one.values[name] for run, one in found.items()}, kind)

    def mark(*names: str) -> str:
        return _UNKNOWN if unknown & set(names) else ""

    aligned = {group.first().aligned for group in groups}
    text = f"rawtilts:\n- sources:\n{globs(raw)}\n" if raw else ""
    return (
        text
        + f"""tiltseries:
- metadata:
    acceleration_voltage: {line("acceleration_voltage", "float") if len({one.values["acceleration_voltage"] for one in found.values()}) == 1 else 300000}{mark("acceleration_voltage")}
    spherical_aberration_constant: {line("spherical_aberration_constant")}{mark("spherical_aberration_constant")}
    camera:{mark("camera_manufacturer", "camera_model")}
      manufacturer: {_yaml(next(iter(found.values())).values["camera_manufacturer"])}
      model: {line("camera_model")}
    microscope:{mark("microscope_manufacturer", "microscope_model")}
      manufacturer: {line("microscope_manufacturer")}
      model: {_yaml(next(iter(found.values())).values["microscope_model"])}
    microscope_optical_setup: {{energy_filter: {_yaml(next(iter(found.values())).values["energy_filter"])}, phase_plate: null, image_corrector: null}}{mark("energy_filter")}
    data_acquisition_software: {_yaml(next(iter(found.values())).values["data_acquisition_software"])}{mark("data_acquisition_software")}
    is_aligned: {"true" if aligned == {True} else "false"}
    pixel_spacing: {line("pixel_spacing", "float")}  # A
    tilt_axis: {line("tilt_axis", "float")}{mark("tilt_axis")}
    tilt_range: {{min: {line("tilt_min", "float")}, max: {line("tilt_max", "float")}}}
    tilt_step: {line("tilt_step", "float")}{mark("tilt_step")}
    tilting_scheme: {_yaml(next(iter(found.values())).values["tilting_scheme"])}{mark("tilting_scheme")}
    tilt_series_quality: {line("tilt_series_quality", "int")}  # 1 low ... 5 excellent: your judgement
    total_flux: {line("total_flux", "float")}{mark("total_flux")}
  sources:
{globs(groups)}
"""
    )


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
    patterns = "\n".join(f"      - {_yaml(group.template)}" for group in chosen.values())
    only = "" if len(usable) == len(runs.names) else "\n" + run_filter(usable, "    ")
    return f"""alignments:
- metadata: {{format: IMOD, alignment_type: GLOBAL, method_type: undefined, is_portal_standard: false}}
  sources:
  - source_multi_glob:
      list_globs:
{patterns}{only}
"""


def run_filter(names: Iterable[str], indent: str, spacing: float | None = None) -> str:
    """A ``parent_filters`` block for some runs, and a voxel spacing (Å) if given."""
    expression = "^(" + "|".join(re.escape(name) for name in names) + ")$"
    parts = [f"run: [{_yaml(expression)}]"]
    if spacing is not None:
        parts.append(f"voxel_spacing: [{_yaml('^' + re.escape(f'{spacing:.3f}') + '$')}]")
    return f"{indent}parent_filters: {{include: {{{', '.join(parts)}}}}}"


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
            blocks.append(_tomogram(group, spacing, sorted(names), len(spacings) > 1, seen, default=group is shown))
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
    second = (
        f"\n    processing_software: {_yaml(group.tag or f'variant {count + 1}')}  # tells it from the tomogram above"
        if count
        else ""
    )
    where = "\n" + run_filter(names, "    ", spacing) if bound or group.dropped else ""
    return f"""- metadata:
    voxel_spacing: {spacing}
    fiducial_alignment_status: NON_FIDUCIAL{_UNKNOWN}
    ctf_corrected: false{_UNKNOWN}
    reconstruction_method: {_yaml(method)}{_UNKNOWN if method == "Unknown" else ""}
    reconstruction_software: {_yaml(software)}{_mark(software)}
    processing: {processing}  # from the file's name{second}
    tomogram_version: 1
    offset: {{x: 0, y: 0, z: 0}}
    is_visualization_default: {"true" if default else "false"}
    affine_transformation_matrix: [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    authors: *authors
    dates: *dates
  sources:
  - source_glob: {{list_glob: {_yaml(group.template)}}}{where}"""
