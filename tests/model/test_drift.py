"""The generated files are those that the LinkML sources give, and the sources are sound."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("linkml_runtime", reason="the generator needs the development dependencies")

from linkml_runtime.utils.schemaview import SchemaView

from tomoportal.model import generate
from tomoportal.model.generate.files import config_schema, documents_schema
from tomoportal.model.generate.reading import LINKML, open_schema
from tomoportal.model.generate.spec import Schema
from tomoportal.model.values import Alternative

SCHEMAS = ("catalog", "config", "core", "documents")


@pytest.fixture(scope="module")
def outputs() -> dict[Path, str]:
    return generate.outputs()


@pytest.fixture(scope="module", params=SCHEMAS)
def view(request: pytest.FixtureRequest) -> SchemaView:
    return open_schema(request.param)


@pytest.fixture(scope="module", params=["documents", "config"])
def schema(request: pytest.FixtureRequest) -> Schema:
    return documents_schema() if request.param == "documents" else config_schema()


def test_generated_files_are_current(outputs: dict[Path, str]) -> None:
    stale = [path for path, text in outputs.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    assert not stale, f"{[path.name for path in stale]} differ from model/linkml/; run: make schema"


def test_nothing_else_is_kept(outputs: dict[Path, str]) -> None:
    folders = {path.parent for path in outputs}
    kept = {path for folder in folders for path in folder.iterdir() if path.is_file() and path.name != "__init__.py"}
    assert kept == set(outputs), "files that no schema gives; delete them"


_DIGEST = """
import hashlib
from tomoportal.model import generate
print(hashlib.sha256(repr(sorted(generate.outputs().items())).encode()).hexdigest())
"""


def test_generation_is_deterministic() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_every_source_is_tested() -> None:
    assert {path.stem for path in LINKML.glob("*.yaml")} == set(SCHEMAS)


def test_ranges_exist(view: SchemaView) -> None:
    known = {*view.all_classes(), *view.all_types(), *view.all_enums(), None}
    for cls in view.all_classes().values():
        assert {cls.is_a, *cls.mixins} <= known
        for slot in [*cls.attributes.values(), *cls.slot_usage.values()]:
            assert {slot.range, *(part.range for part in slot.any_of)} <= known, f"{cls.name}.{slot.name}"


def test_slot_usage_names_inherited_slots(view: SchemaView) -> None:
    for name, cls in view.all_classes().items():
        inherited = {
            slot for ancestor in view.class_ancestors(name)[1:] for slot in view.get_class(ancestor).attributes
        }
        assert set(cls.slot_usage) <= inherited, name


def test_everything_is_described(view: SchemaView) -> None:
    for cls in view.all_classes().values():
        assert cls.description, cls.name
        for slot in cls.attributes.values():
            assert slot.description, f"{cls.name}.{slot.name}"
            assert slot.description.rstrip()[-1] in ".;)", f"{cls.name}.{slot.name}"
    for enum in view.all_enums().values():
        assert enum.description
        assert all(value.description for value in enum.permissible_values.values()), enum.name


def test_patterns_are_anchored_and_take_their_example(view: SchemaView) -> None:
    for name, kind in view.all_types().items():
        if kind.pattern:
            assert kind.pattern.startswith("^"), name
            assert kind.pattern.endswith("$"), name
            assert re.fullmatch(kind.pattern, str(kind.examples[0].value)), name
            assert kind.title, name


def test_enum_aliases_lead_to_values(view: SchemaView) -> None:
    for enum in view.all_enums().values():
        spellings = [str(alias) for value in enum.permissible_values.values() for alias in value.aliases]
        assert len(spellings) == len(set(spellings))
        assert not set(spellings) & set(enum.permissible_values)


def test_a_source_with_an_unknown_word_is_refused() -> None:
    with pytest.raises((TypeError, ValueError)):
        SchemaView("id: urn:x\nname: x\nclasses:\n  A:\n    attributes:\n      b: {requird: true}\n")


def test_units_are_symbols_of_the_field(schema: Schema) -> None:
    units = {slot.unit for cls in schema.classes.values() for slot in cls.slots if slot.unit}
    assert units <= {
        "Å", "Å/px", "Å/voxel", "°", "rad", "mm", "V", "e⁻/Å²", "e⁻/Å²/s", "%", "px", "voxels", "s",
        "Å, or px as offset_unit says",
    }  # fmt: skip


def test_documents_know_no_placeholders(schema: Schema) -> None:
    texts = {name for name in schema.types if name.endswith("FormattedString")}
    assert bool(texts) == (schema.name == "config")


def test_core_has_the_classes_and_enums_of_version_2() -> None:
    view = open_schema("core")
    assert {
        "Author", "AuthorMixin", "AuthoredEntity", "CrossReferencedEntity", "CrossReferences", "CrossReferencesMixin",
        "DateStamp", "DateStampedEntity", "DateStampedEntityMixin", "ExperimentMetadata", "FundedEntity",
        "FundingDetails", "MetadataPicturePath", "PicturePath", "PicturedEntity", "PicturedMetadataEntity", "Assay",
        "DevelopmentStageDetails", "Disease", "OrganismDetails", "TissueDetails", "CellType", "CellStrain",
        "CellComponent", "Dataset", "Deposition", "CameraDetails", "MicroscopeDetails", "MicroscopeOpticalSetup",
        "TiltRange", "TiltSeriesSize", "TiltSeries", "PerSectionParameter", "TomogramSize", "TomogramOffset",
        "Tomogram", "AnnotationConfidence", "AnnotationObject", "AnnotationMethodLinks", "Annotation",
        "IdentifiedObject", "IdentifiedObjectList", "AlignmentSize", "AlignmentOffset",
        "PerSectionAlignmentParameters", "Alignment", "Frame", "Ctf",
    } <= set(view.all_classes())  # fmt: skip
    values = view.get_enum("alignment_method_type_enum").permissible_values
    assert list(values) == ["fiducial_based", "patch_tracking", "projection_matching", "simulated", "undefined"]


def test_every_slot_says_what_it_takes(schema: Schema) -> None:
    for cls in schema.classes.values():
        for slot in cls.slots:
            assert bool(slot.target) != bool(slot.alternatives), f"{cls.name}.{slot.name}"
            assert all(isinstance(each, Alternative) for each in slot.alternatives)
