"""Ingesting again after a change makes anew what depends on it, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomoportal.archive import Archive
from tomoportal.ingest import Options, load_config, make_plan, open_source, run_plan
from tomoportal.testing.sources import SHAPE, SPACING, TILTS, sample_config, write_config, write_mrc, write_sources

Change = Callable[[Path, dict[str, Any]], object]
_SMALL = {"snapshot": (64, 48), "thumbnail": (16, 12), "expanded": (80, 60)}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with sources of one run and the archive made of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tomoportal.formats.keyphotos.KEY_PHOTO_SIZES", _SMALL)
        folder = tmp_path_factory.mktemp("first")
        write_sources(folder / "raw", runs=1)
        _ingest(folder)
        yield folder


def _ingest(folder: Path, **options: Any) -> set[str]:
    """What is made anew: the kind of each item, with its number where there are several of a kind."""
    config = load_config(folder / "raw" / "config.yaml")
    source = open_source(folder / "raw", config.source_prefix)
    archive = Archive.open(folder / "archive", create=True)
    plan = make_plan(config, source, archive, Options(**options))
    report = run_plan(plan, archive, source.store)
    assert report.ok, report.failures
    numbered = ("annotation", "tomogram_volume", "tomogram", "key_photos", "viewer_config")
    return {
        item.kind + (f" {item.archive_id}" if item.kind in numbered else "")
        for item, result in zip(plan.items, report.results, strict=True)
        if result.outcome in ("created", "replaced")
    }


def _text(name: str, old: str, new: str) -> Change:
    def change(raw: Path, _: dict[str, Any]) -> None:
        text = (raw / name).read_text()
        assert old in text
        (raw / name).write_text(text.replace(old, new))

    return change


def _volume(name: str, seed: int = 9) -> Change:
    def change(raw: Path, _: dict[str, Any]) -> None:
        values = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
        write_mrc(raw / name, values, SPACING)

    return change


def _mask(raw: Path, _: dict[str, Any]) -> None:
    labels = np.ones(SHAPE, np.int8)
    labels[0] = 2
    write_mrc(raw / "masks" / "TS_01_labels.mrc", labels, SPACING)


def _metadata(section: str, index: int = 0, **values: Any) -> Change:
    return lambda _, config: config[section][index]["metadata"].update(values)


def _stack(raw: Path, _: dict[str, Any]) -> None:
    write_mrc(raw / "stacks" / "TS_01.st", np.ones((len(TILTS), 32, 48), np.int16), 8.987, stack=True)


PREVIEW = {"key_photos 100", "dataset", "deposition"}  # dataset and deposition show the first tomogram
LAYERS = {"viewer_config 100", "viewer_config 101"}
SHOWN = PREVIEW | LAYERS | {"key_photos 101"}

CASES: dict[str, tuple[Change, set[str]]] = {
    "nothing": (lambda raw, config: None, set()),
    "a raw tomogram": (
        _volume("tomograms/TS_01.rec"),
        {"tomogram_volume 100", "viewer_config 100", "tomogram 100", "alignment"} | PREVIEW,
    ),
    "a denoised tomogram": (
        _volume("denoised/TS_01.mrc"),
        {"tomogram_volume 101", "key_photos 101", "viewer_config 101", "tomogram 101"},
    ),
    "the stack": (_stack, {"tiltseries_volume", "tiltseries"}),
    "the tilt angles": (_text("stacks/TS_01.rawtlt", "2.00", "2.01"), {"tiltseries"}),
    "the mdoc": (
        _text("stacks/TS_01.mdoc", "ExposureTime = 1.5", "ExposureTime = 1.6"),
        {"collection_metadata", "frames", "tiltseries"},
    ),
    "a frame": (lambda raw, _: (raw / "frames/TS_01_000.tif").write_bytes(b"II*\0" + bytes(200)), {"frames"}),
    "the gain": (lambda raw, _: _volume("gains/CountRef_TS_01.mrc")(raw, {}), {"gain"}),
    "an alignment file": (_text("stacks/TS_01.xtilt", "0.10", "0.20"), {"alignment"}),
    "points": (
        lambda raw, _: (raw / "points/TS_01.csv").write_text("5,5,5\n"),
        {"annotation 100"} | SHOWN,
    ),
    "the star file": (
        _text("particles.star", "TS_01", "TS_01x"),
        {"annotation 100", "key_photos 100", "key_photos 101"} | LAYERS,
    ),
    "a mask of two annotations": (_mask, {"annotation 101", "annotation 102"} | SHOWN),
    "words of a tomogram": (_metadata("tomograms", ctf_corrected=True), {"tomogram 100"}),
    "words of a tilt series": (_metadata("tiltseries", total_flux=12.0), {"tiltseries"}),
    "words of an alignment": (_metadata("alignments", is_portal_standard=True), {"alignment"}),
    "the dose": (_metadata("frames", dose_rate=2.0), {"frames"}),
    "words of the deposition": (_metadata("depositions", deposition_title="Another"), {"deposition"}),
    "words of the dataset": (_metadata("datasets", dataset_title="Another"), {"dataset"}),
    "words of an annotation": (_metadata("annotations", 2, annotation_method="other"), {"annotation 102"} | LAYERS),
    "a cell of the map that one section uses": (
        _text("run_data.csv", "TS_01,13.48,4,", "TS_01,13.48,2,"),
        {"tiltseries"},
    ),
    "a cell of the map that two sections use": (
        _text("run_data.csv", "IMOD", "other"),
        {"tiltseries", "tomogram 100", "tomogram 101"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_depends_on_a_change_is_made_anew_and_nothing_else(first: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(first, tmp_path / "copy")
    raw = tmp_path / "copy/raw"
    change, expected = CASES[name]
    config = sample_config()
    change(raw, config)
    write_config(raw / "config.yaml", config)
    assert _ingest(tmp_path / "copy") == expected
    assert _ingest(tmp_path / "copy") == set()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"dtype": "float32"}, {"tiltseries_volume", "tomogram_volume 100", "tomogram_volume 101"}),
        ({"chunk_size": 8}, {"tiltseries_volume", "tomogram_volume 100", "annotation 101", "annotation 102"}),
    ],
)
def test_options_of_volumes_do_not_touch_points(
    first: Path, tmp_path: Path, options: dict[str, Any], expected: set[str]
) -> None:
    shutil.copytree(first, tmp_path / "copy")
    made = _ingest(tmp_path / "copy", **options)
    assert expected <= made
    assert not made & {"annotation 100", "alignment", "frames", "gain", "run"}
