"""Annotation entries of a drafted config: masks with their labels, point tables and RELION particles."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from tomoportal.formats.relion_star import FILTER_COLUMNS
from tomoportal.ingest.drafting.grouping import Runs
from tomoportal.ingest.drafting.parts import Table
from tomoportal.ingest.drafting.survey import SurveyedFile

__all__ = ["annotation_blocks"]

Entry: TypeAlias = tuple[str, str, bool, str]
"""Object name, object id, whether the file name told them, and the sources as YAML."""

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


def _masks(runs: Runs, spacings: Mapping[float, list[str]]) -> Iterator[Entry]:
    for group in runs.groups.get("mask", []):
        parts = _by_spacing(group.files, spacings)
        if not parts:
            continue
        name, object_id, known = _object(group.template)
        labels = sorted({label for files in group.files.values() for label in files[0].values})
        if len(labels) > _MOST_LABELS or not labels:
            selections = [(name, f"threshold: 0.5  # {len(labels)} labels as one mask")]
        else:
            selections = [(f"{name} {label}" if len(labels) > 1 else name, f"mask_label: {label}") for label in labels]
        for title, selection in selections:
            sources = [
                f"""  - SemanticSegmentationMask:
      file_format: mrc
      glob_string: {json.dumps(group.template)}
      is_visualization_default: true
      {selection}{_bound(names, spacings, spacing)}"""
                for spacing, names in parts.items()
            ]
            yield title, object_id, known, "\n".join(sources)


def _points(runs: Runs, spacings: Mapping[float, list[str]]) -> Iterator[Entry]:
    for file in [file for file in runs.shared if file.role == "points"]:
        file.role, file.why = "left out", "its name begins with no run's name"
    for group in runs.groups.get("points", []):
        name, object_id, known = _object(group.template)
        sources = []
        for spacing, names in _by_spacing(group.files, spacings).items():
            tables = [group.files[run][0].locations for run in names]
            locations = np.concatenate([table for table in tables if table is not None])
            binning, comment = _fit(locations, _largest_shape(runs, names), spacing)
            delimiter = "" if group.first().csv_format == "tsv" else '\n      delimiter: ","'
            sources.append(f"""  - Point:
      file_format: {group.first().csv_format}
      glob_string: {json.dumps(group.template)}
      binning: {binning:g}  # {comment}
      columns: xyz{delimiter}
      is_visualization_default: true{_bound(names, spacings, spacing)}""")
        if sources:
            yield name, object_id, known, "\n".join(sources)


def _particles(runs: Runs, spacings: Mapping[float, list[str]], table: Table) -> Iterator[Entry]:
    files: list[tuple[str, SurveyedFile, list[str], bool]] = [
        (file.key.replace("{", "{{").replace("}", "}}"), file, runs.names, False)
        for file in runs.shared
        if file.role == "particles"
    ]
    files += [(group.template, group.first(), sorted(group.files), True) for group in runs.groups.get("particles", [])]
    for number, (template, file, names, named) in enumerate(files):
        assert file.star is not None
        assert file.star_format is not None
        chosen = _filter(file, names, table, number)
        if chosen is None and named and len(names) == 1 and _one_micrograph(file):
            chosen = names, ""  # the file's own name says which run it is of
        if chosen is None:
            column = FILTER_COLUMNS[file.star_format]
            file.role, file.why = "left out", f"its column {column} names none of the runs"
            continue
        parts = _by_spacing({run: [file] for run in chosen[0]}, spacings)
        if not parts:
            file.role, file.why = "left out", "an annotation needs a tomogram of its run"
            continue
        name, object_id, known = _object(template)
        sources = [
            _particle_source(shape, template, file, chosen[1], runs, spacing, here, spacings)
            for spacing, here in parts.items()
            for shape in (("Point", "OrientedPoint") if file.oriented else ("Point",))
        ]
        yield name, object_id, known, "\n".join(sources)


def _particle_source(
    shape: str,
    template: str,
    file: SurveyedFile,
    filter_value: str,
    runs: Runs,
    spacing: float,
    names: list[str],
    spacings: Mapping[float, list[str]],
) -> str:
    assert file.star is not None
    locations = np.column_stack([file.star.numbers(f"rlnCoordinate{axis}") for axis in "XYZ"])
    binning, comment = _fit(locations, _largest_shape(runs, names), spacing)
    chosen = f"\n      filter_value: {json.dumps(filter_value)}" if filter_value else ""
    shown = "false" if shape == "Point" and file.oriented else "true"
    return f"""  - {shape}:
      file_format: {file.star_format}
      glob_string: {json.dumps(template)}{chosen}
      binning: {binning:g}  # {comment}
      {"columns" if shape == "Point" else "order"}: xyz
      is_visualization_default: {shown}{_bound(names, spacings, spacing)}"""


def _filter(file: SurveyedFile, names: list[str], table: Table, number: int) -> tuple[list[str], str] | None:
    """The runs whose particles a star file holds, and the template of ``filter_value`` that picks them."""
    assert file.star is not None
    assert file.star_format is not None
    column = FILTER_COLUMNS[file.star_format]
    if column not in file.star:
        return (names, "") if len(names) == 1 else None
    by_run = {name: value for name in names for value in file.star.counts(column) if _names_run(value, name)}
    if not by_run:
        return None
    templates = {value.replace(name, "{run_name}") for name, value in by_run.items()}
    if len(templates) == 1:
        return sorted(by_run), templates.pop()
    table.columns[f"particles_{number + 1}"] = dict(by_run)
    return sorted(by_run), f"{{particles_{number + 1}}}"


def _one_micrograph(file: SurveyedFile) -> bool:
    assert file.star is not None
    assert file.star_format is not None
    return len(file.star.counts(FILTER_COLUMNS[file.star_format])) == 1


def _names_run(value: str, run: str) -> bool:
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(run)}(?![0-9A-Za-z])", value) is not None


def _fit(locations: np.ndarray[Any, Any], shape: tuple[int, int, int] | None, spacing: float) -> tuple[float, str]:
    """The unit of coordinates (x, y, z) in voxels of a tomogram (z, y, x), as far as their range tells."""
    if shape is None or not len(locations):
        return 1.0, "coordinates are taken as voxels of the tomogram"
    size = np.array(shape[::-1])
    largest = locations.max(axis=0)
    for binning in _BINNINGS:
        if np.all(largest / binning <= size):
            if binning > 1 and np.all(largest / spacing <= size) and np.any(largest / spacing > 0.8 * size):
                return spacing, "the range of the coordinates fits Å: check it"
            how = (
                "the coordinates fit the tomogram's voxels"
                if binning == 1
                else "the coordinates fit the tomogram only if divided: check it"
            )
            return binning, how
    return spacing, "the coordinates are taken as Å, since they do not fit as voxels: check it"


def _largest_shape(runs: Runs, names: list[str]) -> tuple[int, int, int] | None:
    shapes = [
        group.files[name][0].shape for group in runs.groups.get("tomogram", []) for name in names if name in group.files
    ]
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


def _by_spacing(files: Mapping[str, list[SurveyedFile]], spacings: Mapping[float, list[str]]) -> dict[float, list[str]]:
    """Runs by the spacing (Å) that their file is laid on: the tomogram's that is nearest to the file's own.

    Files of runs without a tomogram are left out.
    """
    result: dict[float, list[str]] = {}
    for run, found in sorted(files.items()):
        known = [spacing for spacing, names in spacings.items() if run in names]
        if not known:
            for file in found:
                if file.role in ("mask", "points"):
                    file.role, file.why = "left out", "an annotation needs a tomogram of its run"
            continue
        stated = found[0].spacing
        nearest = known[0] if stated is None else min(known, key=lambda spacing: abs(spacing - stated))
        result.setdefault(nearest, []).append(run)
    return result


def _bound(names: list[str], spacings: Mapping[float, list[str]], spacing: float) -> str:
    """A filter that binds a source to its runs and their voxel spacing (Å), where not all are meant."""
    if len(spacings) < 2 and sorted(names) == spacings[spacing]:
        return ""
    runs = json.dumps("^(" + "|".join(re.escape(name) for name in names) + ")$")
    expression = json.dumps("^" + re.escape(f"{spacing:.3f}") + "$")
    return f"\n    parent_filters: {{include: {{run: [{runs}], voxel_spacing: [{expression}]}}}}"
