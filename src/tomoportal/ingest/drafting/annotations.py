"""Annotation entries of a drafted config: masks with their labels, point tables and RELION particles."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tomoportal.formats.relion_star import FILTER_COLUMNS
from tomoportal.ingest.drafting.grouping import Group, Runs
from tomoportal.ingest.drafting.survey import SurveyedFile

if TYPE_CHECKING:
    from tomoportal.ingest.drafting.draft import Table

__all__ = ["annotation_blocks"]

_MOST_LABELS = 8
_OBJECTS = (
    (r"ribosom|ribo(?![a-z])", "cytosolic ribosome", "GO:0022626"),
    (r"membran|memb(?![a-z])", "membrane", "GO:0016020"),
    (r"microtub|(?<![a-z])mt(?![a-z])", "microtubule", "GO:0005874"),
    (r"actin", "actin filament", "GO:0005884"),
    (r"mitochond|(?<![a-z])mito(?![a-z])", "mitochondrion", "GO:0005739"),
    (r"proteasom", "proteasome complex", "GO:0000502"),
    (r"vesicle", "vesicle", "GO:0031982"),
    (r"nucleosom", "nucleosome", "GO:0000786"),
)
_ANYTHING = ("cellular component", "GO:0005575")
_BINNINGS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0)


def annotation_blocks(runs: Runs, spacings: Mapping[float, list[str]], table: Table, date: str) -> Iterator[str]:
    """One entry per mask label and per point file, as YAML; the first block starts the section."""
    if not spacings:
        for role in ("mask", "points", "particles"):
            for group in runs.groups.get(role, []):  # type: ignore[call-overload]
                _leave_out(group, "an annotation needs a tomogram")
        for file in runs.shared:
            if file.role in ("points", "particles"):
                file.role, file.why = "left out", "an annotation needs a tomogram"
        return
    entries = [*_masks(runs, spacings), *_points(runs, spacings), *_particles(runs, spacings, table)]
    counters: dict[str, int] = {}
    if entries:
        yield "annotations:"
    for name, object_id, known, source in entries:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        counters[slug] = counters.get(slug, 0) + 1
        comment = "from the file's name" if known else "not known from the files: correct it"
        yield f"""- metadata:
    annotation_ingest_id: {slug}-{counters[slug]}
    annotation_method: "not_reported"  # not known from the files: correct it
    annotation_object: {{id: '{object_id}', name: {json.dumps(name)}}}  # {comment}
    method_type: automated  # not known from the files: manual, automated, hybrid or simulated
    ground_truth_status: false
    is_curator_recommended: false
    version: 1.0
    authors: *authors
    dates: *dates
  sources:
{source}"""


def _masks(runs: Runs, spacings: Mapping[float, list[str]]) -> Iterator[tuple[str, str, bool, str]]:
    for group in runs.groups.get("mask", []):
        runs_here = _with_tomogram(group, spacings)
        if not runs_here:
            continue
        name, object_id, known = _object(group.template)
        labels = sorted({label for files in group.files.values() for label in files[0].values})
        spacing = _spacing_of(group.first().spacing, spacings)
        where = _bound(group, spacings, spacing)
        if len(labels) > _MOST_LABELS or not labels:
            note = f"  # {len(labels)} labels as one mask"
            yield name, object_id, known, _mask_source(group.template, f"threshold: 0.5{note}", where)
            continue
        for label in labels:
            title = name if len(labels) == 1 else f"{name} {label}"
            yield title, object_id, known, _mask_source(group.template, f"mask_label: {label}", where)


def _mask_source(template: str, selection: str, where: str) -> str:
    return f"""  - SemanticSegmentationMask:
      file_format: mrc
      glob_string: {json.dumps(template)}
      is_visualization_default: true
      {selection}{where}"""


def _points(runs: Runs, spacings: Mapping[float, list[str]]) -> Iterator[tuple[str, str, bool, str]]:
    for file in [file for file in runs.shared if file.role == "points"]:
        file.role, file.why = "left out", "its name begins with no run's name"
    for group in runs.groups.get("points", []):
        if not _with_tomogram(group, spacings):
            continue
        name, object_id, known = _object(group.template)
        spacing = next(iter(spacings))
        binning, comment = _binning(group, runs, spacing)
        delimiter = "" if group.first().csv_format == "tsv" else '\n      delimiter: ","'
        source = f"""  - Point:
      file_format: {group.first().csv_format}
      glob_string: {json.dumps(group.template)}
      binning: {binning:g}  # {comment}
      columns: xyz{delimiter}
      is_visualization_default: true{_bound(group, spacings, spacing)}"""
        yield name, object_id, known, source


def _particles(runs: Runs, spacings: Mapping[float, list[str]], table: Table) -> Iterator[tuple[str, str, bool, str]]:
    files: list[tuple[str, SurveyedFile, list[str] | None]] = [
        (file.key.replace("{", "{{").replace("}", "}}"), file, None) for file in runs.shared if file.role == "particles"
    ]
    for group in runs.groups.get("particles", []):
        if _with_tomogram(group, spacings):
            files.append((group.template, group.first(), sorted(group.files)))
    spacing = next(iter(spacings))
    for number, (template, file, names) in enumerate(files):
        assert file.star is not None and file.star_format is not None
        name, object_id, known = _object(template)
        chosen = _filter(file, runs.names if names is None else names, table, number)
        if chosen is None:
            column = FILTER_COLUMNS[file.star_format]
            file.role, file.why = "left out", f"its column {column} names none of the runs"
            continue
        filter_line = f"\n      filter_value: {json.dumps(chosen)}" if chosen else ""
        shapes = ("Point", "OrientedPoint") if file.oriented else ("Point",)
        wanted = names if names is not None else runs.names
        binning, comment = _star_binning(file, runs, wanted, spacing)
        sources = []
        for shape in shapes:
            order = "columns: xyz" if shape == "Point" else "order: xyz"
            shown = "true" if shape == shapes[-1] else "false"
            where = _bound(None, spacings, spacing) if len(spacings) > 1 else ""
            sources.append(f"""  - {shape}:
      file_format: {file.star_format}
      glob_string: {json.dumps(template)}{filter_line}
      binning: {binning:g}  # {comment}
      {order}
      is_visualization_default: {shown}{where}""")
        yield name, object_id, known, "\n".join(sources)


def _filter(file: SurveyedFile, names: list[str], table: Table, number: int) -> str | None:
    """The ``filter_value`` that picks a run's particles: a template, a map column, "" for no filter, None if none fits."""
    assert file.star is not None and file.star_format is not None
    column = FILTER_COLUMNS[file.star_format]
    if column not in file.star:
        return "" if len(names) == 1 else None
    values = list(file.star.counts(column))
    by_run = {name: value for name in names for value in values if _names_run(value, name)}
    if not by_run:
        return None
    templates = {value.replace(name, "{run_name}") for name, value in by_run.items()}
    if len(templates) == 1:
        return templates.pop()
    table.columns[f"particles_{number + 1}"] = {name: by_run.get(name, name) for name in names}
    return f"{{particles_{number + 1}}}"


def _names_run(value: str, run: str) -> bool:
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(run)}(?![0-9A-Za-z])", value) is not None


def _star_binning(file: SurveyedFile, runs: Runs, names: list[str], spacing: float) -> tuple[float, str]:
    assert file.star is not None
    columns = [file.star.numbers(f"rlnCoordinate{axis}") for axis in "XYZ"]
    return _fit(np.column_stack(columns), _largest_shape(runs, names), spacing)


def _binning(group: Group, runs: Runs, spacing: float) -> tuple[float, str]:
    parts = [files[0].locations for files in group.files.values() if files[0].locations is not None]
    return _fit(np.concatenate(parts), _largest_shape(runs, list(group.files)), spacing)


def _fit(locations: np.ndarray[Any, Any], shape: tuple[int, int, int] | None, spacing: float) -> tuple[float, str]:
    """The unit of coordinates (x, y, z) in voxels of a tomogram (z, y, x), as far as their range tells."""
    if shape is None or not len(locations):
        return 1.0, "coordinates are taken as voxels of the tomogram"
    size = np.array(shape[::-1])
    largest = locations.max(axis=0)
    for binning in _BINNINGS:
        if np.all(largest / binning <= size - 0.5):
            if binning > 1 and np.all(largest / spacing <= size) and np.any(largest / spacing > 0.8 * size):
                return spacing, "the range of the coordinates fits Å: check it"
            how = "the coordinates fit the tomogram's voxels" if binning == 1 else "the coordinates fit the tomogram only if divided: check it"
            return binning, how
    return spacing, "the coordinates are taken as Å, since they do not fit as voxels: check it"


def _largest_shape(runs: Runs, names: list[str]) -> tuple[int, int, int] | None:
    shapes = [group.files[name][0].shape for group in runs.groups.get("tomogram", []) for name in names if name in group.files]
    known = [shape for shape in shapes if shape is not None]
    if not known:
        return None
    return max(s[0] for s in known), max(s[1] for s in known), max(s[2] for s in known)


def _object(template: str) -> tuple[str, str, bool]:
    """Name and id of the object that a file name hints at."""
    name = template.replace("{run_name}", "").lower()
    for pattern, title, object_id in _OBJECTS:
        if re.search(pattern, name):
            return title, object_id, True
    return (*_ANYTHING, False)


def _with_tomogram(group: Group, spacings: Mapping[float, list[str]]) -> list[str]:
    """The group's runs that have a tomogram; files of the others are left out."""
    known = {run for names in spacings.values() for run in names}
    for run, files in group.files.items():
        if run not in known:
            for file in files:
                file.role, file.why = "left out", "an annotation needs a tomogram of its run"
    return sorted(set(group.files) & known)


def _leave_out(group: Group, why: str) -> None:
    for files in group.files.values():
        for file in files:
            file.role, file.why = "left out", why


def _spacing_of(stated: float | None, spacings: Mapping[float, list[str]]) -> float:
    """The tomograms' spacing that is nearest to a mask's header, else the first."""
    if stated is None:
        return next(iter(spacings))
    return min(spacings, key=lambda spacing: abs(spacing - stated))


def _bound(group: Group | None, spacings: Mapping[float, list[str]], spacing: float) -> str:
    """A filter that binds a source to a voxel spacing (Å), where the runs have several."""
    if len(spacings) < 2:
        return ""
    expression = json.dumps("^" + re.escape(f"{spacing:.3f}") + "$")
    return f"\n    parent_filters: {{include: {{voxel_spacing: [{expression}]}}}}"
