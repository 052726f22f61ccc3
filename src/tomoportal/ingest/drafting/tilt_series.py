"""Sections of a draft that come from mdocs: frames and tilt series."""

from __future__ import annotations

from tomoportal.ingest.drafting.acquisition import read_acquisition
from tomoportal.ingest.drafting.grouping import Group, Runs
from tomoportal.ingest.drafting.parts import UNKNOWN, Table, globs, run_filter, yaml_value
from tomoportal.ingest.drafting.survey import SurveyedFile

__all__ = ["choose_stacks", "frames_section", "tilt_series_section"]


def choose_stacks(runs: Runs) -> None:
    """Leave out stacks that cannot be ingested; of several of a run, keep the raw one."""
    kept = []
    for group in runs.groups.get("tilt series", []):
        for run in list(group.files):
            why = _unusable_stack(group.files[run][0], runs, run)
            if why:
                group.drop(run, why)
        if group.files:
            kept.append(group)
    runs.groups["tilt series"] = _one_stack_per_run(kept)


def frames_section(runs: Runs, table: Table) -> str:
    """Mdocs, gains and frames; without an mdoc there is nothing to say about frames."""
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
    text = f"collection_metadata:\n- sources:\n{globs(mdocs, runs.names)}\n"
    if runs.groups.get("gain"):
        text += f"gains:\n- sources:\n{globs(runs.groups['gain'], runs.names)}\n"
    elif gains := [file for file in runs.shared if file.role == "gain"]:
        text += (
            "gains:\n- sources:\n"
            + "\n".join(f"  - source_glob: {{list_glob: {yaml_value(file.key)}}}" for file in gains)
            + "\n"
        )
    sources = globs(movies, runs.names) if movies else "  - literal: {value: [default]}  # no movie files found"
    if not movies and len(found) < len(runs.names):
        sources += "\n" + run_filter(sorted(found), "    ")
    return (
        text
        + f"""frames:
- metadata:
    dose_rate: {rate}  # e/A^2/s{", not known from the mdoc: correct it" if unknown else ", dose / time of the mdoc"}
    is_gain_corrected: false{UNKNOWN}
  sources:
{sources}
"""
    )


def tilt_series_section(runs: Runs, table: Table) -> str:
    """Raw tilt lists and tilt series, with what their mdocs tell."""
    groups = runs.groups.get("tilt series", [])
    raw = runs.groups.get("raw tilts", [])
    if not groups:
        return ""
    found = {}
    for group in groups:
        for run, (file, *_) in group.files.items():
            mdoc = _mdoc_of(runs, run)
            assert mdoc is not None
            assert mdoc.mdoc is not None
            found[run] = read_acquisition(mdoc.mdoc, file.spacing)
    unknown = {name for one in found.values() for name in one.unknown}

    first = next(iter(found.values())).values

    def same(name: str) -> str:  # fields that take no placeholder
        return yaml_value(first[name]) + (UNKNOWN if name in unknown else "")

    def line(name: str, kind: str = "") -> str:
        return table.value(name, {run: one.values[name] for run, one in found.items()}, kind)

    def mark(*names: str) -> str:
        return UNKNOWN if unknown & set(names) else ""

    optics = f"{{energy_filter: {yaml_value(first['energy_filter'])}, phase_plate: null, image_corrector: null}}"
    aligned = {group.first().aligned for group in groups} == {True}
    lists = f"rawtilts:\n- sources:\n{globs(raw, runs.names)}\n" if raw else ""
    return f"""{lists}tiltseries:
- metadata:
    acceleration_voltage: {same("acceleration_voltage")}
    spherical_aberration_constant: {same("spherical_aberration_constant")}
    camera:{mark("camera_manufacturer", "camera_model")}
      manufacturer: {yaml_value(first["camera_manufacturer"])}
      model: {yaml_value(first["camera_model"])}
    microscope:{mark("microscope_manufacturer", "microscope_model")}
      manufacturer: {yaml_value(first["microscope_manufacturer"])}
      model: {yaml_value(first["microscope_model"])}
    microscope_optical_setup: {optics}{mark("energy_filter")}
    data_acquisition_software: {same("data_acquisition_software")}
    is_aligned: {"true" if aligned else "false"}
    pixel_spacing: {line("pixel_spacing", "float")}  # A
    tilt_axis: {line("tilt_axis", "float")}{mark("tilt_axis")}
    tilt_range: {{min: {line("tilt_min", "float")}, max: {line("tilt_max", "float")}}}
    tilt_step: {line("tilt_step", "float")}{mark("tilt_step")}
    tilting_scheme: {same("tilting_scheme")}
    tilt_series_quality: {same("tilt_series_quality").partition("  #")[0]}  # 1 low ... 5 excellent: your judgement
    total_flux: {line("total_flux", "float")}{mark("total_flux")}
  sources:
{globs(groups, runs.names)}
"""


def _unusable_stack(file: SurveyedFile, runs: Runs, run: str) -> str | None:
    mdoc = _mdoc_of(runs, run)
    if mdoc is None or mdoc.mdoc is None:
        return "a tilt series needs its mdoc, and there is none of this run's name"
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


def _mdoc_of(runs: Runs, run: str) -> SurveyedFile | None:
    """The mdoc of a run."""
    return next((group.files[run][0] for group in runs.groups.get("mdoc", []) if run in group.files), None)
