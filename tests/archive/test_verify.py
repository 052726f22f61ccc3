"""Every rule on an archive that breaks it, and on one that does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from tomoportal.archive import RULES, Archive, Container, ItemRecord, Severity, layout, verify
from tomoportal.archive.findings import rules_markdown
from tomoportal.archive.journal import Journal
from tomoportal.errors import StorageError
from tomoportal.storage import FileRecord, Store
from tomoportal.testing.faulty import FaultyStore
from tomoportal.testing.sample_archive import write_sample_archive

DATASET, RUN = "10001", "10001/TS_1"
SPACING = f"{RUN}/Reconstructions/VoxelSpacing10.000"
TOMOGRAM = f"{SPACING}/Tomograms/100/tomogram_metadata.json"
ANNOTATION = f"{SPACING}/Annotations/102/membrane-1.0.json"
DEPOSITION = "depositions_metadata/10301/deposition_metadata.json"
MRC = f"{SPACING}/Tomograms/100/TS_1.mrc"
CHUNK = f"{SPACING}/Tomograms/100/TS_1.zarr/0/0/0/0"
TWIN = f"{SPACING}/Annotations/103/membrane-1.0_point.ndjson"
VIEWER = f"{SPACING}/NeuroglancerPrecompute/100-neuroglancer_config.json"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "archive"
    write_sample_archive(folder)
    return folder


@pytest.fixture
def archive(sample: Path, tmp_path: Path) -> Archive:
    shutil.copytree(sample, tmp_path / "archive")
    return Archive.open(tmp_path / "archive")


def rules(archive: Archive, **options: Any) -> dict[str, list[str]]:
    """Paths by rule; what is doubtful in the sample itself (whole spacings, equal points) is left out."""
    found: dict[str, list[str]] = {}
    for each in verify(archive, **options):
        assert each.severity == RULES[each.rule].severity
        assert each.message
        assert each.fix
        if each.rule not in ("V203", "V407") and (each.rule, each.path) != ("V109", TWIN):
            found.setdefault(each.rule, []).append(each.path)
    return found


def edit(archive: Archive, key: str, **changes: Any) -> None:
    """Change a document and its record, so that only its content is wrong."""
    document = {**archive.document(key), **changes}
    archive.store.put(key, json.dumps(document).encode())
    on_record(archive, key)


def on_record(archive: Archive, *keys: str) -> None:
    """Put files as they are on record."""
    from tomoportal.storage import sha256_of

    container = layout.owner(keys[0])
    assert container is not None
    manifest = archive.manifest(container)
    for item_key, item in manifest.items.items():
        files = {record.key: record for record in item.files}
        for key in keys:
            if key in files:
                files[key] = sha256_of(archive.store, key)
        manifest.items[item_key] = ItemRecord(**{**_fields(item), "files": tuple(files.values())})
    archive.store.put(layout.manifest(container), manifest.dump())


def _fields(item: ItemRecord) -> dict[str, Any]:
    return {name: getattr(item, name) for name in ItemRecord.__slots__}


def test_a_sound_archive(archive: Archive) -> None:
    assert rules(archive) == {}
    assert {each.severity for each in verify(archive)} <= {Severity.WARNING}


# --- files


def break_missing(store: Store) -> None:
    store.delete(MRC)


def break_size(store: Store) -> None:
    store.put(MRC, store.get(MRC) + b"1")


def break_digest(store: Store) -> None:  # equal size, one byte: what comparing sizes never finds (F1, F3)
    data = bytearray(store.get(CHUNK))
    data[-1] ^= 1
    store.put(CHUNK, data)


def break_stranger(store: Store) -> None:
    store.put(f"{RUN}/notes.txt", b"mine")


def break_strange_volume(store: Store) -> None:
    for name in ("0/0/0/0", "0/0/0/1", ".zattrs"):
        store.put(f"{RUN}/TiltSeries/100/copy.zarr/{name}", b"1")


def break_strange_document(store: Store) -> None:
    store.put(
        f"{RUN}/Alignments/999/alignment_metadata.json", store.get(f"{RUN}/Alignments/100/alignment_metadata.json")
    )


def break_manifest(store: Store) -> None:
    store.put(f".tomoportal/manifest/{RUN}.json", b"nonsense")


def break_no_manifest(store: Store) -> None:
    store.delete(f".tomoportal/manifest/{RUN}.json")


def break_json(store: Store) -> None:
    store.put(DEPOSITION, b'{"a": ')


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (break_missing, {"V101": [MRC], "V301": [TOMOGRAM]}),
        (break_size, {"V102": [MRC], "V605": [MRC]}),
        (break_digest, {"V103": [CHUNK]}),
        (break_stranger, {"V104": [f"{RUN}/notes.txt"]}),
        (break_strange_volume, {"V104": [f"{RUN}/TiltSeries/100/copy.zarr"], "V306": [f"{RUN}/TiltSeries/100"]}),
        (break_strange_document, {"V105": [f"{RUN}/Alignments/999/alignment_metadata.json"]}),
        (break_manifest, {"V107": [f".tomoportal/manifest/{RUN}.json"]}),
        (break_no_manifest, {"V106": [RUN]}),
        (break_json, {"V102": [DEPOSITION], "V201": [DEPOSITION]}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_files(archive: Archive, damage: Callable[[Store], None], expected: dict[str, list[str]]) -> None:
    """F3: also a file of the right size with one wrong byte."""
    damage(archive.store)
    found = rules(archive)
    found.pop("V405", None)
    if damage in (break_manifest, break_no_manifest):
        found.pop("V305", None)
    assert found == expected


def test_sizes_only(archive: Archive) -> None:
    break_digest(archive.store)
    assert rules(archive, digests=False) == {}
    break_size(archive.store)
    assert rules(archive, digests=False) == {"V102": [MRC], "V605": [MRC]}


def test_some_containers_only(archive: Archive) -> None:
    break_size(archive.store)
    assert rules(archive, containers=[Container.dataset(DATASET)]) == {}
    assert rules(archive, containers=[Container.of(RUN)]) == {"V102": [MRC], "V605": [MRC]}


def test_a_manifest_that_names_files_of_others(archive: Archive) -> None:
    container = Container.dataset(DATASET)
    manifest = archive.manifest(container)
    manifest.items["x", "x"] = ItemRecord("x", "x", files=(FileRecord(MRC, 1, ""),))
    archive.store.put(layout.manifest(container), manifest.dump())
    assert rules(archive) == {"V108": [layout.manifest(container)]}


def test_a_tree_of_another_program(archive: Archive) -> None:
    archive.store.delete_tree(".tomoportal")
    for key in ("notes.txt", "logs/today.txt", "a*b/c/d", "depositions_metadata/.x/y", ".hidden/x/y"):
        archive.store.put(key, b"1")
    found = rules(archive)
    assert found == {"V106": [DATASET, "depositions_metadata/10301", "logs"], "V405": found["V405"]}


def test_what_is_no_manifest_is_passed_over(archive: Archive) -> None:
    for name in ("a/b/c.json", "x.txt", ".y.json", "depositions_metadata.json"):
        archive.store.put(f".tomoportal/manifest/{name}", b"nonsense")
        archive.store.put(f".tomoportal/journal/{name}", b"nonsense")
    assert rules(archive) == {}


# --- documents


@pytest.mark.parametrize(
    ("key", "changes", "rule"),
    [
        (TOMOGRAM, {"processing": "polished"}, "V202"),
        (DEPOSITION, {"deposition_title": "not_reported"}, "V204"),
        (f"{DATASET}/dataset_metadata.json", {"organism": {"name": "not_reported", "taxonomy_id": None}}, "V204"),
        (TOMOGRAM, {"omezarr_dir": f"{SPACING}/Tomograms/100/other.zarr"}, "V301"),
        (TOMOGRAM, {"mrc_file": "../outside.mrc"}, "V301"),
        (TOMOGRAM, {"key_photo": {"snapshot": f"{SPACING}/Images/7/x.png", "thumbnail": None}}, "V301"),
        (TOMOGRAM, {"neuroglancer_config_path": f"{SPACING}/NeuroglancerPrecompute/7.json"}, "V301"),
        (TOMOGRAM, {"alignment_metadata_path": f"{RUN}/Alignments/7/alignment_metadata.json"}, "V302"),
        (ANNOTATION, {"alignment_metadata_path": f"{RUN}/Alignments/100"}, "V302"),
        (ANNOTATION, {"deposition_id": 10999}, "V303"),
        (TOMOGRAM, {"voxel_spacing": 10.5}, "V401"),
        (TOMOGRAM, {"run_name": "TS_2"}, "V402"),
        (f"{DATASET}/dataset_metadata.json", {"dataset_identifier": 10002}, "V403"),
        (DEPOSITION, {"deposition_identifier": 10302}, "V403"),
    ],
)
def test_documents(archive: Archive, key: str, changes: dict[str, Any], rule: str) -> None:
    edit(archive, key, **changes)
    found = rules(archive)
    if rule == "V301":
        found.pop("V625", None)  # what is named no longer lies there unused
    assert found == {rule: [key]}


def test_a_simulated_sample_has_no_organism(archive: Archive) -> None:
    nothing = {"name": "not_reported", "taxonomy_id": None}
    edit(archive, f"{DATASET}/dataset_metadata.json", organism=nothing, sample_type="in_silico")
    assert rules(archive) == {}


def test_doubtful_values_are_warned_of(archive: Archive) -> None:
    edit(archive, TOMOGRAM, unknown_key=1)
    found = [each for each in verify(archive) if each.path == TOMOGRAM and "unknown_key" in each.message]
    assert [each.rule for each in found] == ["V203"]


@pytest.mark.parametrize(
    "files",
    [
        [{"format": "ndjson", "path": f"{SPACING}/Annotations/102/gone.ndjson", "shape": "Point"}],
    ],
)
def test_files_of_annotations(archive: Archive, files: list[dict[str, Any]]) -> None:
    edit(archive, ANNOTATION, files=[{**each, "is_visualization_default": False} for each in files])
    assert rules(archive)["V301"] == [ANNOTATION]


def test_older_documents_carry_the_name_of_the_bucket(archive: Archive) -> None:
    path = f"cryoet-data-portal-public/{RUN}/Alignments/100/alignment_metadata.json"
    edit(archive, ANNOTATION, alignment_metadata_path=path)
    assert rules(archive) == {}


def test_content_without_a_document(archive: Archive) -> None:
    for key in (f"{DATASET}/dataset_metadata.json", f"{RUN}/run_metadata.json"):
        archive.store.delete(key)
    found = rules(archive)
    assert set(found.pop("V101")) == {f"{DATASET}/dataset_metadata.json", f"{RUN}/run_metadata.json"}
    assert set(found.pop("V304")) == {DATASET, RUN}
    assert found == {}


def test_viewer_configurations(archive: Archive) -> None:
    if not archive.store.exists(VIEWER):
        archive.store.put(VIEWER, b"{}")
    archive.store.put(VIEWER, json.dumps({"layers": [{"source": f"zarr://archive://{SPACING}/gone.zarr/"}]}).encode())
    assert rules(archive)["V305"] == [VIEWER]
    archive.store.put(VIEWER, json.dumps({"layers": [{"source": f"archive://{MRC[:-4]}.zarr|zarr2:"}]}).encode())
    assert "V305" not in rules(archive)
    archive.store.put(VIEWER, b"nonsense")
    assert rules(archive)["V305"] == [VIEWER]


def test_spacing_folders_have_three_decimals(archive: Archive) -> None:
    archive.store.put(f"{RUN}/Reconstructions/VoxelSpacing13.48/foo.txt", b"")
    found = rules(archive)
    assert found.pop("V404") == [f"{RUN}/Reconstructions/VoxelSpacing13.48"]
    assert list(found) == ["V104"]


def test_two_entities_with_one_identity_key(archive: Archive) -> None:
    copy = f"{SPACING}/Tomograms/999/tomogram_metadata.json"
    document = archive.document(TOMOGRAM)
    archive.store.put(copy, json.dumps(document).encode())
    archive.store.delete(f".tomoportal/manifest/{RUN}.json")
    assert copy in rules(archive)["V405"]
    archive.store.put(copy, json.dumps({**document, "processing_software": "other"}).encode())
    assert copy not in rules(archive).get("V405", [])


# --- leftovers


def test_interrupted_publications(archive: Archive, sample: Path) -> None:
    container = Container.of(RUN)
    document = (f"{RUN}/run_metadata.json", archive.store.get(f"{RUN}/run_metadata.json").decode())
    item = next(item for item in archive.manifest(container).items.values() if item.kind == "run")
    journal = Journal.new(container, item=item, document=document)
    archive.store.put(layout.journal(container), msgspec.json.encode(journal))
    reader = Archive.open(archive.url, read_only=True)
    assert rules(reader) == {"V503": [layout.journal(container)]}
    assert rules(archive) == {"V501": [layout.journal(container)]}
    assert rules(archive) == {}

    lost = Journal.new(
        container,
        staging=".tomoportal/staging/x/files",
        moves=(FileRecord(f"{RUN}/gone", 1, ""),),
        item=ItemRecord("x", "x", files=(FileRecord(f"{RUN}/gone", 1, ""),)),
    )
    archive.store.put(layout.journal(container), msgspec.json.encode(lost))
    assert rules(archive) == {"V502": [layout.journal(container)]}
    assert rules(archive) == {}


def test_without_the_right_to_write_the_rest_is_verified(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = layout.journal(Container.of(RUN))
    archive.store.put(journal, b"{}")

    def refuse(*_: object, **__: object) -> None:
        raise StorageError("permission denied")

    monkeypatch.setattr(archive.store, "lock", refuse)
    assert rules(archive) == {"V503": [journal]}


def test_a_journal_that_cannot_be_read(archive: Archive) -> None:
    journal = layout.journal(Container.of(RUN))
    archive.store.put(journal, b"{}")
    assert rules(archive) == {"V503": [journal], "V505": [journal]}


def test_staged_files_of_others(archive: Archive) -> None:
    with archive.stage(Container.of(RUN), "x", "x") as staging:
        staging.store.put(f"{RUN}/x", b"")
        assert rules(archive) == {"V504": [f".tomoportal/staging/{staging.token}"]}


# --- the whole


def test_files_are_read_in_pieces(archive: Archive) -> None:
    counting = FaultyStore(archive.store)
    seen: list[tuple[int, int, str]] = []
    verify(Archive.open(counting), progress=lambda done, total, text: seen.append((done, total, text)))
    assert seen[-1][:2] == (4, 4)
    assert MRC in {text for _, _, text in seen}
    on_records = sum(len(archive.manifest(container).files) for container in archive.containers())
    assert counting.counts["get_range"] >= on_records
    assert counting.counts["put"] == 0


def test_the_command(archive: Archive) -> None:
    from tomoportal.cli.verify import command

    run = CliRunner()
    sound = run.invoke(command, ["--archive", archive.url], standalone_mode=False)
    assert sound.return_value == 0
    break_size(archive.store)
    faulty = run.invoke(command, ["--archive", archive.url, "--fast"], standalone_mode=False)
    assert faulty.return_value == 1
    assert f"error   V102 {MRC}" in faulty.stdout
    as_json = run.invoke(command, ["--archive", archive.url, "--json"], standalone_mode=False)
    found = json.loads(as_json.stdout)
    assert found["counts"]["error"] == 2  # the size on record, and the byte after the last voxel
    assert {"severity", "rule", "path", "message", "fix"} == set(found["findings"][0])
    assert run.invoke(command, ["--rules"], standalone_mode=False).stdout == rules_markdown()


def test_the_same_volume_twice(archive: Archive) -> None:
    copy = f"{SPACING}/Tomograms/101/TS_1.mrc"
    archive.store.put(copy, archive.store.get(MRC))
    on_record(archive, copy)
    assert rules(archive)["V109"] == [copy]
