"""Indexing at scale: an archive of many runs, documents only, into SQLite and PostgreSQL.

    python benchmarks/index.py                                   # 10,000 runs; writes results/index.md
    python benchmarks/index.py --runs 500 --archive /tmp/archive --without-postgres

Each run has 41 frames, a tilt series and an alignment of 41 sections, a tomogram with two authors and two annotations
with two files each: seven documents, about 150 rows, and the manifest that ingest leaves.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

RUNS_PER_DATASET = 250
SECTIONS = 41
DATES = {"deposition_date": "2023-04-01", "last_modified_date": "2023-06-02", "release_date": "2023-06-01"}
AUTHORS = [
    {"ORCID": "0000-0001-0001-0001", "name": "Ada Author", "primary_author_status": True},
    {"name": "Ben Author", "corresponding_author_status": True},
]
OBJECTS = ("ribosome", "membrane", "microtubule", "proteasome", "nucleosome")
RESULT = Path(__file__).parent / "results" / "index.md"


def write_archive(folder: Path, runs: int) -> None:
    """The documents of ``runs`` runs with their manifests."""
    deposition = {
        "authors": AUTHORS,
        "dates": DATES,
        "deposition_description": "Synthetic",
        "deposition_identifier": 10301,
        "deposition_title": "Synthetic deposition",
        "deposition_types": ["dataset"],
    }
    _put(folder, "depositions_metadata/10301/deposition_metadata.json", deposition)
    for number in range(runs):
        dataset, name = str(10001 + number // RUNS_PER_DATASET), f"TS_{number:05d}"
        if number % RUNS_PER_DATASET == 0:
            _put(folder, f"{dataset}/dataset_metadata.json", _dataset(int(dataset)))
        sizes = {key: _put(folder, key, content) for key, content in _run(dataset, name, number).items()}
        _put_manifest(folder, dataset, name, sizes)


def _put(folder: Path, key: str, content: object) -> int:
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_text(json.dumps(content, indent=4))


def _put_manifest(folder: Path, dataset: str, run: str, sizes: dict[str, int]) -> None:
    from tomoportal.archive import Container, FileRecord, ItemRecord, Manifest, layout

    container = Container.run(dataset, run)
    prefix = f"{dataset}/{run}"
    spacing = f"{prefix}/Reconstructions/VoxelSpacing13.480"
    data = [f"{prefix}/Frames/{run}_{index}.tiff" for index in range(SECTIONS)]
    for volume in (f"{prefix}/TiltSeries/100/{run}", f"{spacing}/Tomograms/100/{run}"):
        data += [f"{volume}.mrc", *(f"{volume}.zarr/0/{z}/0/0" for z in range(10))]
    for key in sizes:
        if "/Annotations/" in key:
            data += [f"{key.removesuffix('.json')}_segmentationmask.{form}" for form in ("mrc", "zarr/0/0/0/0")]
    files = [FileRecord(key, size, "0" * 64) for key, size in sorted((sizes | dict.fromkeys(data, 1000)).items())]
    item = ItemRecord("run", run, files=tuple(files))
    path = folder / layout.manifest(container)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(Manifest(container.key, {item.key: item}).dump())


def _dataset(number: int) -> dict[str, Any]:
    return {
        "authors": AUTHORS,
        "organism": {"name": "Homo sapiens", "taxonomy_id": 9606},
        "dataset_description": "A synthetic dataset " * 10,
        "dataset_identifier": number,
        "dataset_title": f"Dataset {number}",
        "dates": DATES,
        "funding": [{"funding_agency_name": "Agency", "grant_id": "1"}],
        "sample_type": "cell_line",
        "deposition_id": 10301,
    }


def _run(dataset: str, name: str, number: int) -> dict[str, dict[str, Any]]:
    run = f"{dataset}/{name}"
    spacing = f"{run}/Reconstructions/VoxelSpacing13.480"
    tiltseries, alignment, tomogram = f"{run}/TiltSeries/100", f"{run}/Alignments/100", f"{spacing}/Tomograms/100"
    size = {"z": 64, "y": 96, "x": 128}
    angles = [round(-60 + 3 * index + number / 1e5, 4) for index in range(SECTIONS)]
    documents: dict[str, dict[str, Any]] = {
        f"{run}/run_metadata.json": {"run_name": name, "deposition_id": 10301},
        f"{run}/Frames/frames_metadata.json": {
            "dose_rate": 1.881,
            "is_gain_corrected": False,
            "frames": [
                {
                    "acquisition_order": index,
                    "accumulated_dose": 1.5 * index,
                    "exposure_dose": 1.5,
                    "is_gain_corrected": False,
                    "path": f"{run}/Frames/{name}_{index}.tiff",
                }
                for index in range(SECTIONS)
            ],
        },
        f"{tiltseries}/tiltseries_metadata.json": {
            "acceleration_voltage": 300000,
            "camera": {"manufacturer": "Gatan", "model": "K2 SUMMIT"},
            "data_acquisition_software": "SerialEM",
            "microscope": {"manufacturer": "TFS", "model": "Krios"},
            "microscope_optical_setup": {"energy_filter": "GIF"},
            "pixel_spacing": 2.5,
            "spherical_aberration_constant": 2.7,
            "tilt_axis": 84.7,
            "tilt_range": {"max": 60.0, "min": -60.0},
            "tilt_series_quality": 1 + number % 5,
            "tilt_step": 3.0,
            "tilting_scheme": "Dose symmetric",
            "total_flux": 120.0,
            "size": size,
            "omezarr_dir": f"{tiltseries}/{name}.zarr",
            "mrc_file": f"{tiltseries}/{name}.mrc",
            "per_section_parameter": [
                {"z_index": index, "frame_acquisition_order": index, "raw_angle": angle, "major_defocus": 3e4 + index}
                for index, angle in enumerate(angles)
            ],
            "deposition_id": 10301,
        },
        f"{alignment}/alignment_metadata.json": {
            "format": "IMOD",
            "alignment_type": "GLOBAL",
            "method_type": "undefined",
            "is_portal_standard": True,
            "per_section_alignment_parameters": [
                {
                    "z_index": index,
                    "tilt_angle": angle,
                    "in_plane_rotation": [[0.1, -0.9], [0.9, 0.1]],
                    "x_offset": 2.0 + index / 7,
                    "y_offset": -4.0,
                }
                for index, angle in enumerate(angles)
            ],
            "tiltseries_path": f"{tiltseries}/tiltseries_metadata.json",
            "volume_dimension": {"x": 1725.44, "y": 1294.08, "z": 862.72},
            "volume_offset": {"x": 0, "y": 0, "z": 0},
            "tilt_offset": 0,
            "x_rotation_offset": 0,
            "deposition_id": 10301,
        },
        f"{tomogram}/tomogram_metadata.json": {
            "authors": AUTHORS,
            "dates": DATES,
            "fiducial_alignment_status": True,
            "offset": {"x": 0, "y": 0, "z": 0},
            "processing": "raw",
            "reconstruction_method": "WBP",
            "reconstruction_software": "IMOD",
            "tomogram_version": 1,
            "voxel_spacing": 13.48,
            "scales": [size],
            "size": size,
            "omezarr_dir": f"{tomogram}/{name}.zarr",
            "mrc_file": f"{tomogram}/{name}.mrc",
            "run_name": name,
            "alignment_metadata_path": f"{alignment}/alignment_metadata.json",
            "deposition_id": 10301,
        },
    }
    for index in range(2):
        thing = OBJECTS[(number + index) % len(OBJECTS)]
        base = f"{spacing}/Annotations/{100 + index}/{thing}-1.0"
        documents[f"{base}.json"] = {
            "annotation_method": "manual picking",
            "annotation_object": {"id": "GO:0016020", "name": thing},
            "annotation_software": "software",
            "authors": AUTHORS,
            "dates": DATES,
            "ground_truth_status": index == 0,
            "method_type": "manual",
            "object_count": number % 100,
            "files": [
                {"format": form, "path": f"{base}_segmentationmask.{form}", "shape": "SemanticSegmentationMask"}
                for form in ("zarr", "mrc")
            ],
            "alignment_metadata_path": f"{alignment}/alignment_metadata.json",
            "deposition_id": 10301,
        }
    return documents


class Measure:
    """CPU and wall seconds, and peak memory of this process in MB above that at the start."""

    def __enter__(self) -> Measure:
        self._done = threading.Event()
        self.before = self.peak = _anonymous_mb()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        self._done.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._done.wait(0.02):
            self.peak = max(self.peak, _anonymous_mb())

    def row(self, name: str, answer: str = "") -> str:
        return f"| {name} | {self.wall:.1f} | {self.cpu:.1f} | {self.peak - self.before:.0f} | {answer} |"


def _anonymous_mb() -> float:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024


def measure(archive_folder: Path, name: str, url: str, runs: int) -> list[str]:
    """Rows of the table for one database."""
    from tomoportal.archive import Archive
    from tomoportal.catalog import Catalog, index

    lines = []
    # Ids are kept beside the database, so that every database begins with nothing.
    archive = Archive.open(archive_folder, read_only=True)
    with Catalog.open(url, create=True) as catalog:
        with Measure() as first:
            report = index(archive, catalog)
        assert not report.problems, report.problems[:3]
        assert report.rows["run"] == runs
        lines.append(first.row(f"{name}: first", f"{report.added.total():,} rows"))
        with Measure() as again:
            report = index(archive, catalog)
        assert report.read == 0
        lines.append(again.row(f"{name}: nothing changed", f"{report.unchanged:,} units"))
        document = archive_folder / "10001/TS_00000/run_metadata.json"
        document.write_text(json.dumps({"run_name": f"{name} renamed", "deposition_id": 10301}))
        with Measure() as one:
            report = index(archive, catalog, datasets=["10001"])
        assert report.updated["run"] == 1
        lines.append(one.row(f"{name}: one document changed, `--dataset`", "1 row"))
        document.write_text(json.dumps({"run_name": "TS_00000", "deposition_id": 10301}))
    print("\n".join(lines), flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--archive", type=Path, help="where the archive is made, or was made by an earlier call")
    parser.add_argument("--without-postgres", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tomoportal-") as temporary:
        folder = options.archive or Path(temporary) / "archive"
        if not folder.exists():
            write_archive(folder, options.runs)
        for path in folder.rglob("*.json"):
            path.read_bytes()
        lines = measure(folder, "SQLite", f"sqlite:///{temporary}/catalog.sqlite", options.runs)
        if not options.without_postgres:
            from catalogs.postgres_server import server

            with server() as url:
                lines += measure(folder, "PostgreSQL", url, options.runs)
    if options.runs == 10_000:
        RESULT.write_text("\n".join(_page(options.runs, lines)) + "\n")


def _page(runs: int, lines: list[str]) -> list[str]:
    return [
        f"# Indexing {runs:,} runs",
        "",
        f"`python benchmarks/index.py`, Python {platform.python_version()}, {os.cpu_count()} cores"
        f" ({platform.machine()}), documents in the page cache. CPU and memory are those of the indexing process.",
        "",
        "| | s | CPU s | MB | |",
        "|---|---|---|---|---|",
        *lines,
        "",
        "Goals (issue 4): under 60 s for the first time, under 5 s when nothing changed.",
    ]


if __name__ == "__main__":
    main()
