"""Frames: movie files copied under their own names, and the dose of every exposure from the mdoc."""

from __future__ import annotations

from typing import Any

from tomoportal.archive import layout
from tomoportal.formats.acquisition import frame_doses
from tomoportal.formats.mdoc import read_mdoc
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import Entry, RunPlan

__all__ = ["make", "plan"]

KIND = "frames"
VERSION = 1


def plan(run: RunPlan) -> None:
    """All frame sources of a run make one item (F14); ``literal [default]`` stands for no deposited files."""
    entries = run.entries("frames")
    if not entries:
        return
    keys = sorted({key for entry in entries for key in entry.keys if not _is_reference(entry)})
    if all(_is_reference(entry) for entry in entries):
        return
    if not keys and run.mdoc is None:
        return  # ``literal [default]`` needs the mdoc for its document; that it is missing is listed already
    metadata = _metadata(run, entries)
    if run.mdoc is None:
        if run.planning.config.section("collection_metadata"):
            run.fail(
                entries[0].path,
                "the run has frames but no mdoc, which gives the dose of each",
                "add its mdoc to collection_metadata",
            )
        run.planning.warn(
            entries[0].path, "without mdocs the frame files are kept, but there is no frames_metadata.json"
        )
        metadata = None
    outputs: dict[str, str] = {}
    for key in keys:
        name = key.rpartition("/")[2]
        if name in outputs:
            run.fail(
                entries[0].source_path,
                f"two frame files named {name}: {outputs[name]} and {key}",
                "narrow the globs to one of them",
            )
        outputs[name] = key
    document = layout.frames_document(run.dataset, run.run) if metadata is not None else None
    run.add(
        Item(
            kind=KIND,
            place=run.place,
            identity="frames",
            title=f"{len(keys)} files" if keys else "no files deposited",
            sources=tuple(keys),
            outputs=tuple(layout.frame(run.dataset, run.run, key.rpartition("/")[2]) for key in keys),
            document=document,
            config_path=f"frames[{entries[0].index}]",
            settings={
                "metadata": metadata,
                "mdoc": run.mdoc.sources[0] if run.mdoc else None,
                "mdoc_target": run.mdoc.outputs[0] if run.mdoc else None,
                "deposition_id": run.deposition_id,
                "stamp": run.stamp,
            },
            extra_sources=run.mdoc.sources if run.mdoc else (),
            needs=(*run.needs, *((run.mdoc.label,) if run.mdoc else ())),
        )
    )


def make(item: Item, bench: Bench) -> Made:
    """Copy the files; the document lists every exposure of the mdoc, with the path of its file if it was deposited."""
    for source, target in zip(item.sources, item.outputs, strict=True):
        bench.copy(source, target)
    settings = item.settings
    metadata = settings["metadata"]
    if metadata is None:
        return Made(warnings=("frames have no metadata in the config: no frames_metadata.json",))
    mdoc = read_mdoc(bench.read(settings["mdoc"]), settings["mdoc"])
    doses = frame_doses(mdoc, float(metadata["dose_rate"]))
    deposited = {target.rpartition("/")[2]: target for target in item.outputs}
    rows: list[dict[str, Any]] = [
        {
            "acquisition_order": dose.acquisition_order,
            "accumulated_dose": dose.accumulated_dose,
            "exposure_dose": dose.exposure_dose,
            "is_gain_corrected": metadata.get("is_gain_corrected"),
            "path": deposited.get(dose.frame_name or ""),
        }
        for dose in doses.frames
    ]
    warnings = list(doses.warnings)
    unnamed = sorted(set(deposited) - {dose.frame_name for dose in doses.frames})
    if unnamed:
        warnings.append(
            f"{len(unnamed)} frame files are not named by the mdoc {settings['mdoc']}: {', '.join(unnamed[:3])}"
        )
    document = {
        **metadata,
        "frames": rows,
        "frames_acquisition_file": settings["mdoc_target"],
        "deposition_id": settings["deposition_id"],
        "last_updated_at": settings["stamp"],
    }
    return Made(document, tuple(warnings))


def _is_reference(entry: Entry) -> bool:
    return all(found.reference for found in entry.found)


def _metadata(run: RunPlan, entries: list[Entry]) -> dict[str, Any] | None:
    expanded: dict[int, dict[str, Any]] = {}
    for entry in entries:
        if entry.metadata is not None and entry.index not in expanded:
            expanded[entry.index] = run.expand(dict(entry.metadata), (*entry.path, "metadata"))
    for index, metadata in expanded.items():
        rate = metadata.get("dose_rate")
        if not isinstance(rate, (int, float)) or not rate > 0:
            fix = "give the dose rate in e⁻/Å²/s as a number above 0"
            run.fail(("frames", index, "metadata", "dose_rate"), f"dose_rate is {rate!r}", fix)
    different = [index for index, metadata in expanded.items() if metadata != next(iter(expanded.values()))]
    if different:
        run.fail(
            ("frames", different[0], "metadata"),
            "two frames entries with different metadata apply to one run",
            "bind each entry to its runs with parent_filters",
        )
    return next(iter(expanded.values()), None)
