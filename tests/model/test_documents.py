"""Metadata documents: what is valid, what is an error, what readers tolerate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import Problem
from tomoportal.model import KINDS, check_document, documents, validate_document, validation

Maker = Callable[[str], dict[str, Any]]

REMOVED = object()


def change(data: Any, path: str, value: object) -> Any:
    """Set, or remove, the value at ``a.b.0.c``."""
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    target = data
    for part in way:
        target = target[part]
    if value is REMOVED:
        del target[last]
    else:
        target[last] = value
    return data


def one(problems: list[Problem]) -> Problem:
    (problem,) = problems
    return problem


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_valid(document: Maker, kind: str) -> None:
    assert validate_document(kind, document(kind)) == []
    checked = check_document(kind, document(kind))
    assert checked
    assert checked.warnings == ()


@pytest.mark.parametrize("kind", KINDS)
def test_classes_keep_every_value(document: Maker, kind: str) -> None:
    """F74: nothing gets lost between a document and its class."""
    data = document(kind)
    checked = getattr(documents, type_name(kind)).model_validate(json.loads(json.dumps(data)))
    assert json.loads(checked.model_dump_json(exclude_unset=True)) == data


@pytest.mark.parametrize("kind", KINDS)
def test_every_required_key_is_missed(document: Maker, kind: str) -> None:
    data = document(kind)
    problems = {problem.where: problem.what for problem in validate_document(kind, {})}
    fields = getattr(documents, type_name(kind)).model_fields
    required = {name for name, field in fields.items() if field.is_required()}
    assert set(problems) == required
    assert set(problems.values()) == {"is missing"}
    assert required <= set(data)


def type_name(kind: str) -> str:
    names = {"tiltseries": "TiltSeriesMetadata", "identified_objects": "IdentifiedObjectsMetadata"}
    return names.get(kind, f"{kind.capitalize()}Metadata")


@pytest.mark.parametrize(
    ("kind", "path", "value", "where", "what"),
    [
        ("dataset", "authors.1.affiliation_identifier", "not-a-ror", "authors[1].affiliation_identifier",
         "must be a ROR identifier such as 013meh722; found 'not-a-ror'"),
        ("dataset", "authors.0.ORCID", "0000-0002", "authors[0].ORCID",
         "must be an ORCID such as 0000-0002-1825-0097; found '0000-0002'"),
        ("dataset", "authors", [], "authors", "must have at least 1 entry, but is empty"),
        ("dataset", "tissue", REMOVED, "tissue", "is missing"),
        ("dataset", "tissue.id", "GO:0016020", "tissue.id",
         "must be a BTO term such as BTO:0000089, a CL term such as CL:0000057, a WBbt term such as WBbt:0005772, "
         "a ZFA term such as ZFA:0000008, a FBbt term such as FBbt:00000001, an UBERON term such as UBERON:0002107 "
         "or the word not_reported; found 'GO:0016020'"),
        ("dataset", "sample_type", "cell", "sample_type",
         "must be one of cell_line, in_silico, in_vitro, organelle, organism, organoid, other, primary_cell_culture, "
         "tissue, virus; found 'cell'"),
        ("dataset", "dates.release_date", "2024-2-29", "dates.release_date",
         "must be a day such as 2023-06-01; found '2024-2-29'"),
        ("dataset", "key_photos", None, "key_photos",
         "must be a mapping with the keys snapshot, thumbnail; found None"),
        ("dataset", "last_updated_at", 1709164800.5, "last_updated_at",
         "must be a whole number of at least 0 (s); found 1709164800.5"),
        ("dataset", "deposition_id", True, "deposition_id", "must be a whole number; found True"),
        ("deposition", "deposition_types", ["datasets"], "deposition_types[0]",
         "must be one of annotation, dataset, tomogram; found 'datasets'"),
        ("run", "run_name", 1, "run_name", "must be a text; found 1"),
        ("run", "colour", "red", "colour", "is not a known key"),
        ("frames", "frames.1.path", REMOVED, "frames[1].path", "is missing"),
        ("frames", "dose_rate", "float {dose}", "dose_rate", "must be a number (e⁻/Å²/s); found 'float {dose}'"),
        ("tiltseries", "tilt_range.max", "float {tmax}", "tilt_range.max",
         "must be a number from -90 to 90 (°); found 'float {tmax}'"),
        ("tiltseries", "tilt_series_quality", 6, "tilt_series_quality", "must be a whole number from 1 to 5; found 6"),
        ("tiltseries", "camera.model", "{model}", "camera.model",
         "must be one of FALCON IV, FALCON 4i, K2, K2 SUMMIT, K3, K3 BIOQUANTUM, UltraCam, UltraScan, simulated; "
         "found '{model}'"),
        ("tiltseries", "per_section_parameter.0.z_index", -1, "per_section_parameter[0].z_index",
         "must be a whole number of at least 0; found -1"),
        ("tiltseries", "per_section_parameter", {}, "per_section_parameter", "must be a list; found {}"),
        ("alignment", "files", [None], "files[0]", "must be a text; found None"),
        ("alignment", "offset_unit", "nm", "offset_unit", "must be one of angstrom, pixel; found 'nm'"),
        ("alignment", "affine_transformation_matrix", [[1, 0], [0, 1]], "affine_transformation_matrix",
         "must be a 4×4 matrix of numbers, as a list of rows; found [[1, 0], [0, 1]]"),
        ("tomogram", "fiducial_alignment_status", "true", "fiducial_alignment_status",
         "must be one of FIDUCIAL, NON_FIDUCIAL; found 'true'"),
        ("tomogram", "reconstruction_method", "Fourier_Space", "reconstruction_method",
         "must be one of SART, Fourier Space, SIRT, WBP, Unknown; found 'Fourier_Space'"),
        ("annotation", "confidence.recall", 100.1, "confidence.recall",
         "must be a number from 0 to 100 (%); found 100.1"),
        ("annotation", "files.0.shape", "Mesh", "files[0].shape",
         "must be one of SegmentationMask, OrientedPoint, Point, InstanceSegmentation, InstanceSegmentationMask, "
         "TriangularMesh, GlobalCaption, AnnotationCaption; found 'Mesh'"),
        ("annotation", "files.0.glob_string", "*", "files[0].glob_string", "is not a known key"),
        ("annotation", "annotation_object.id", "6DRV", "annotation_object.id", "must be a GO term such as GO:0022626, "
         "a UniProtKB accession such as UniProtKB:P02794, an UBERON term such as UBERON:0002107, a CHEBI term such as "
         "CHEBI:15377, a CDPO term such as CDPO:0000001, a CL term such as CL:0000057 or a PDB entry such as PDB-6DRV; "
         "found '6DRV'"),
        ("identified_objects", "file_format", "csv", "file_format", "must be the word json; found 'csv'"),
    ],
)  # fmt: skip
def test_one_wrong_value_is_one_problem(
    document: Maker, kind: str, path: str, value: object, where: str, what: str
) -> None:
    problem = one(validate_document(kind, change(document(kind), path, value)))
    assert (problem.where, problem.what) == (where, what)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("dataset", "organism.taxonomy_id", None),
        ("dataset", "funding", REMOVED),
        ("dataset", "cross_references", REMOVED),
        ("dataset", "tissue", {"name": "liver", "id": "UBERON:0002107"}),
        ("alignment", "format", REMOVED),
        ("alignment", "files", []),
        ("alignment", "per_section_alignment_parameters", []),
        ("alignment", "offset_unit", REMOVED),
        ("alignment", "x_rotation_offset", -1.25),  # F72
        ("alignment", "method_type", "undefined"),
        ("tomogram", "key_photo", {"snapshot": "a.png"}),
        ("tiltseries", "per_section_parameter", []),
        ("annotation", "files", []),
        ("annotation", "object_count", 0),
        ("identified_objects", "filter_value", REMOVED),
        ("run", "identified_objects", [{"object_id": "GO:0016020", "object_name": "membrane", "object_state": None}]),
    ],
)
def test_still_valid(document: Maker, kind: str, path: str, value: object) -> None:
    assert validate_document(kind, change(document(kind), path, value)) == []


def test_all_problems_come_at_once(document: Maker) -> None:
    data = document("tomogram")
    change(data, "voxel_spacing", 0)
    change(data, "processing", "sharpened")
    change(data, "authors.1.name", REMOVED)
    places = [problem.where for problem in validate_document("tomogram", data)]
    assert sorted(places) == ["authors[1].name", "processing", "voxel_spacing"]


def test_fixes(document: Maker) -> None:
    assert one(validate_document("run", change(document("run"), "run_nam", "x"))).fix == "did you mean run_name?"
    text = one(validate_document("run", change(document("run"), "run_name", 7)))
    assert text.fix == "put it in quotes"
    assert validate_document("run", [])[0].what.startswith("must be a mapping with the keys deposition_id")


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("dataset", "last_updated_at", 1709164800.5),
        ("dataset", "unheard_of", 1),
        ("dataset", "sample_type", "cell"),
        ("dataset", "assay", REMOVED),
        ("dataset", "last_updated_at", REMOVED),
        ("frames", "dose_rate", REMOVED),
        ("tiltseries", "camera.model", "K2 Summit"),
        ("tiltseries", "ctf_path", REMOVED),
        ("alignment", "per_section_alignment_parameters.0.in_plane_rotation", [0, -1, 1, 0]),
        ("alignment", "volume_offset", REMOVED),
        ("tomogram", "alignment_metadata_path", REMOVED),
        ("annotation", "annotation_ingest_id", REMOVED),
        ("annotation", "version", "1.0"),
        ("alignment", "files", [None]),
        ("tomogram", "fiducial_alignment_status", True),
        ("tomogram", "fiducial_alignment_status", "False"),
        ("annotation", "files.0.shape", "SemanticSegmentationMask"),
        ("annotation", "files.0.shape", "Mesh"),
        ("alignment", "affine_transformation_matrix", [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 625, 1]]),
        ("dataset", "authors.0.ORCID", "0000-0002-1825-0098"),
        ("dataset", "authors.0.ORCID", "https://orcid.org/0000-0002-1825-0097"),
        ("dataset", "cross_references.related_database_entries", "EMPIAR-123"),
        ("tiltseries", "related_empiar_entry", "EMPIAR-123456"),
    ],
)
def test_readers_only_warn(document: Maker, kind: str, path: str, value: object) -> None:
    checked = check_document(kind, change(document(kind), path, value))
    assert checked.errors == ()
    assert len(checked.warnings) == 1


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("kind", "key", "errors"),
    [
        ("run", "30001/RUN1/run_metadata.json", set()),
        ("deposition", "depositions_metadata/300/deposition_metadata.json", set()),
        ("alignment", "30001/RUN1/Alignments/100/alignment_metadata.json", set()),
        ("frames", "30001/RUN1/Frames/frames_metadata.json", {"deposition_id"}),
        ("tiltseries", "30001/RUN1/TiltSeries/100/tiltseries_metadata.json", {"related_empiar_entry"}),
    ],
)
def test_documents_of_other_programs(real_data: Path, kind: str, key: str, errors: set[str]) -> None:
    checked = check_document(kind, json.loads((real_data / "cz_metadata" / key).read_bytes()))
    assert {problem.where for problem in checked.errors} == errors


def test_what_readers_do_without_is_required_of_writers() -> None:
    for kind, keys in validation._MAY_BE_MISSING.items():
        fields = getattr(documents, type_name(kind)).model_fields
        assert all(fields[key].is_required() for key in keys), kind


def test_readers_do_not_take_everything(document: Maker) -> None:
    checked = check_document("tomogram", change(document("tomogram"), "fiducial_alignment_status", "maybe"))
    assert not checked
    assert check_document("annotation", change(document("annotation"), "files.0.shape", "Blob")).errors
    assert check_document("annotation", change(document("annotation"), "files", [None])).errors


def test_a_matrix_that_cannot_be_inverted_is_an_error(document: Maker) -> None:  # F73
    flat = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    for kind in ("alignment", "tomogram"):
        problem = one(validate_document(kind, change(document(kind), "affine_transformation_matrix", flat)))
        assert problem.what == "the matrix cannot be inverted"


def test_unknown_kind() -> None:
    with pytest.raises(KeyError, match="kinds are dataset, deposition"):
        validate_document("datasets", {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_no_value_breaks_the_checks(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    names = sorted(getattr(documents, type_name(kind)).model_fields)
    drawn = data.draw(st.dictionaries(st.sampled_from(names), JSON, max_size=4) | JSON)
    checked = check_document(kind, drawn)
    assert not checked  # something required is always missing
    assert all(problem.what for problem in (*checked.errors, *checked.warnings))
