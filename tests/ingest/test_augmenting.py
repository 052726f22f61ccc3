"""Depositions that add annotations to datasets of others (F7, F57)."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tomoportal.archive import Archive, layout
from tomoportal.ingest import Plan, Report, load_config, make_plan, open_source
from tomoportal.ingest.config import Config
from tomoportal.testing.sources import SPACING

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Ingest = Callable[..., Report]
Digests = Callable[[Path], dict[str, str]]

FOLDER = "10001/TS_01/Reconstructions/VoxelSpacing13.480"
OTHER = 10000
"""The deposition that the datasets belong to."""


# --- the public portal's own


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for child in value.values():
            yield from _texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)
    else:
        yield str(value)


def _filters(data: Any, parent: str) -> list[str]:
    found: list[str] = []
    for section in data.values():
        for entry in section if isinstance(section, list) else ():
            for source in entry.get("sources") or ():
                include = (source.get("parent_filters") or {}).get("include") or {}
                found += [str(rule) for rule in include.get(parent) or ()]
    return found


def _archive(config: Config, runs: list[str]) -> tuple[Archive, list[str]]:
    """An archive of another deposition with the datasets, runs and spacings that the config speaks of."""
    named = [*_texts(config.data["datasets"]), *_filters(config.data, "dataset")]
    datasets = sorted(set(re.findall(r"\b10\d{3}\b", " ".join(named)))) or ["10099"]
    spacings = {float(text.replace("\\", "").strip("^$")) for text in _filters(config.data, "voxel_spacing")} or {10.0}
    archive = Archive.open("memory://")
    alignments = sorted({100, *map(int, re.findall(r"/Alignments/(\d+)/", " ".join(_texts(dict(config.data)))))})

    def put(key: str, **content: Any) -> None:
        archive.store.put(key, json.dumps({**content, "deposition_id": OTHER, "last_updated_at": 0}).encode())

    for dataset in datasets:
        put(layout.dataset_document(dataset), dataset_identifier=int(dataset))
        for run in runs:
            put(layout.run_document(dataset, run), run_name=run)
            for number in alignments:
                put(layout.alignment_document(dataset, run, number), volume_dimension={"x": 1, "y": 1, "z": 1})
            for spacing in spacings:
                folder = layout.tomogram_prefix(dataset, run, spacing, 100)
                alignment = layout.alignment_document(dataset, run, 100)
                put(
                    layout.tomogram_document(dataset, run, spacing, 100),
                    voxel_spacing=spacing,
                    alignment_metadata_path=alignment,
                    mrc_file=layout.volume_mrc(folder, run),
                    omezarr_dir=layout.volume_zarr(folder, run),
                )
    return archive, datasets


def _sources(config: Config, folder: Path, runs: list[str], datasets: list[str]) -> Config:
    """Empty files that the globs of the annotations match, and the config with these runs and datasets by name."""
    settings = dict(config.data["standardization_config"])
    prefix = folder / settings["source_prefix"].strip("/")
    prefix.mkdir(parents=True)
    columns = sorted(set(re.findall(r"\{([a-zA-Z0-9_-]+)\}", json.dumps(config.data))))
    rows = {run: {name: f"{name}-{run}" for name in columns if name not in _BUILT_IN} for run in runs}
    if "run_data_map_file" in settings:
        settings["run_data_map_file"] = "map.csv"
        header = ["run_name", *rows[runs[0]]]
        lines = [header, *([run, *rows[run].values()] for run in runs)]
        (prefix / "map.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    for key in ("run_to_tomo_map_csv", "run_to_frame_map_csv", "run_to_ts_map_csv"):
        if key in settings:
            settings[key] = f"{key}.csv"
            (prefix / settings[key]).write_text("".join(f"{run},mapped-{run}\n" for run in runs))
            name = key.removeprefix("run_to_").removesuffix("_map_csv")
            for run in runs:
                rows[run][f"mapped_{name}_name"] = f"mapped-{run}"
    for dataset in datasets:
        for run in runs:
            values = {**rows[run], "run_name": run, "dataset_name": dataset, "voxel_spacing_name": "10.000"}
            for pattern in _globs(config.data["annotations"]):
                name = pattern
                for field in re.findall(r"\{([a-zA-Z0-9_-]+)\}", pattern):
                    name = name.replace(f"{{{field}}}", values[field])
                path = prefix / re.sub(r"\[(.)[^]]*\]", r"\1", name).replace("*", "x").replace("?", "x")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    data = {
        **config.data,
        "standardization_config": settings,
        "runs": [{"sources": [{"literal": {"value": runs}}]}],
        "datasets": [{"sources": [{"literal": {"value": datasets}}]}],
    }
    return dataclasses.replace(config, data=data)


_BUILT_IN = {
    "run_name",
    "dataset_name",
    "voxel_spacing_name",
    "run_output_path",
    "dataset_output_path",
    "output_path",
    "mapped_tomo_name",
    "mapped_frame_name",
    "mapped_ts_name",
}


def _globs(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value[key] for key in ("glob_string",) if isinstance(value.get(key), str)]
        own += (value.get("glob_strings") or [])[:1]
        return own + [pattern for child in value.values() for pattern in _globs(child)]
    return [pattern for child in value for pattern in _globs(child)] if isinstance(value, list) else []


@pytest.mark.real_data
def test_every_real_augmenting_config_plans_beside_the_work_of_others(real_configs: Path, tmp_path: Path) -> None:
    paths = sorted(path for path in real_configs.rglob("deposition_103*.yaml") if not path.stem.endswith("_draft"))
    assert len(paths) >= 15
    for path in paths:
        loaded = load_config(path)
        runs = ["TS_001", "TS_002"]
        archive, datasets = _archive(loaded, runs)
        config = _sources(loaded, tmp_path / path.stem, runs, datasets)
        before = {stat.key: archive.store.get(stat.key) for stat in archive.store.list()}
        plan = make_plan(config, open_source(tmp_path / path.stem, config.source_prefix), archive)
        assert not plan.errors, (path.name, [str(error) for error in plan.errors[:3]])
        annotations = [item for item in plan.items if item.kind == "annotation"]
        assert annotations, path.name
        assert {item.settings["alignment"].rpartition("/Alignments/")[2][:3] for item in annotations} <= {"100", "101"}
        written = {key for item in plan.items if item.action != "reference" for key in (item.document, *item.outputs)}
        assert not written & set(before), path.name
        assert {item.place[1] for item in annotations} <= set(datasets)
        assert {stat.key: archive.store.get(stat.key) for stat in archive.store.list()} == before


# --- our own


def _augmenting(config: dict[str, Any]) -> None:
    config["standardization_config"]["deposition_id"] = 10302
    config["depositions"][0]["metadata"].update(deposition_identifier=10302, deposition_title="More annotations")
    config["depositions"][0]["sources"] = [{"literal": {"value": [10302]}}]
    config["datasets"] = [{"sources": [{"literal": {"value": ["10001"]}}]}]
    config["voxel_spacings"] = [{"sources": [{"literal": {"value": [SPACING]}}]}]
    config["annotations"] = config["annotations"][1:2]
    for section in ("frames", "gains", "collection_metadata", "rawtilts", "alignments", "tiltseries", "tomograms"):
        del config[section]


def test_even_told_to_prune_it_leaves_the_work_of_others(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, tree: Digests
) -> None:  # F7, F11
    from tomoportal.ingest import prune

    archive = tmp_path / "archive"
    ingest(raw / "config.yaml", archive)
    before = tree(archive)
    config = edit(raw, _augmenting)
    assert ingest(config, archive).ok
    after = tree(archive)
    assert {key: after.get(key) for key in before if not key.startswith(".")} == {
        key: digest for key, digest in before.items() if not key.startswith(".")
    }

    def one_run(config: dict[str, Any]) -> None:
        _augmenting(config)
        config["runs"] = [{"sources": [{"literal": {"value": ["TS_01"]}}]}]

    plan = _planned(edit(raw, one_run), archive)
    assert [(one.kind, one.container.key) for one in plan.stale] == [("annotation", "10001/TS_02")]
    prune(Archive.open(archive), plan.stale)
    left = tree(archive)
    assert {key: left.get(key) for key in before if not key.startswith(".")} == {
        key: digest for key, digest in before.items() if not key.startswith(".")
    }


def _planned(config: Path, archive: Path) -> Plan:
    loaded = load_config(config)
    source = open_source(config.parent, loaded.source_prefix)
    return make_plan(loaded, source, Archive.open(archive))


def test_objects_of_the_archive_are_found_by_what_their_documents_say(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    ingest(raw / "config.yaml", archive)

    def planned(*path_and_value: Any) -> Plan:
        def change(config: dict[str, Any]) -> None:
            _augmenting(config)
            *path, value = path_and_value
            source = {"destination_filter": {"filters": [{"key": path, "value": value}]}}
            config["tomograms"] = [{"sources": [source]}]

        return _planned(edit(raw, change), archive)

    for plan in (planned("processing", "denoised"), planned("authors", "name", "Cora Respond")):
        assert not plan.errors
        assert not plan.unmatched
        assert {item.kind for item in plan.items} == {"deposition", "run", "annotation"}
    plan = planned("processing", "filtered")
    assert "tomograms[0].sources[0]" in plan.unmatched[0].where
