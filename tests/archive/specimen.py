"""A small archive in two rounds, for crash tests: each round publishes the same items with other content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from tomoportal.archive import Archive, Container, ItemRecord, layout, verify
from tomoportal.errors import NotFoundError

DATASET, RUNS, DEPOSITION = 10001, ("TS 1",), 10301


def run_document(run: str, round_: int) -> dict[str, Any]:
    return {"run_name": run, "deposition_id": DEPOSITION, "last_updated_at": round_}


def frames_document(run: str, names: list[str], round_: int) -> dict[str, Any]:
    return {
        "dose_rate": float(round_),
        "is_gain_corrected": False,
        "frames": [
            {
                "acquisition_order": order,
                "accumulated_dose": 1.0 * order,
                "exposure_dose": 1.0,
                "is_gain_corrected": False,
                "path": layout.frame(DATASET, run, name),
            }
            for order, name in enumerate(names)
        ],
        "frames_acquisition_file": layout.mdoc(DATASET, run),
        "deposition_id": DEPOSITION,
        "last_updated_at": round_,
    }


def publish_round(archive: Archive, round_: int) -> list[str]:
    """Publish round 1 (three frames, a gain, a stale item) or 2 (two frames, other bytes, no stale item)."""
    outcomes = []
    for run in RUNS:
        container = Container.run(DATASET, run)
        item = ItemRecord("run", run, input_digest=f"run {round_}")
        document = (layout.run_document(DATASET, run), run_document(run, round_))
        outcomes.append(archive.publish(container, item, None, document).outcome)

        names = ["same.tiff", "changed.tiff", "gone.tiff"] if round_ == 1 else ["changed.tiff", "new.tiff", "same.tiff"]
        with archive.stage(container, "frames", "frames") as staging:
            for name in names:
                content = b"same" if name == "same.tiff" else f"{name} of round {round_}".encode()
                staging.store.put(layout.frame(DATASET, run, name), content)
            with staging.store.open_writer(layout.mdoc(DATASET, run)) as writer:
                writer.write(f"mdoc {round_}".encode())
            number = archive.allocate(container, "frames", container.key, f"round {round_}")
            item = ItemRecord("frames", "frames", number, f"frames {round_}", inputs={"round": round_})
            document = (layout.frames_document(DATASET, run), frames_document(run, names, round_))
            outcomes.append(archive.publish(container, item, staging, document).outcome)

        with archive.stage(container, "gain", "gain") as staging:
            staging.store.put(layout.gain(DATASET, run, f"gain{round_}.mrc"), f"gain {round_}".encode())
            outcomes.append(archive.publish(container, ItemRecord("gain", "gain"), staging).outcome)

        if round_ == 1:
            with archive.stage(container, "gain", "stale") as staging:
                staging.store.put(layout.gain(DATASET, run, "stale.mrc"), b"stale")
                archive.publish(container, ItemRecord("gain", "stale"), staging)
        elif ("gain", "stale") in archive.manifest(container).items:
            archive.remove_item(container, "gain", "stale")
    return outcomes


def named_files(document: dict[str, Any]) -> Iterator[str]:
    for frame in document.get("frames", []):
        yield frame["path"]
    if "frames_acquisition_file" in document:
        yield document["frames_acquisition_file"]


def check_documents(archive: Archive) -> None:
    """What holds at any moment while new items are made: a document is there only after all that it names."""
    for stat in list(archive.store.list(str(DATASET))):
        place = layout.parse(stat.key)
        if place is not None and place.kind is not None:
            known = archive.manifest(place.container).files
            for key in (stat.key, *named_files(archive.document(stat.key))):
                assert known[key].sha256 == hashlib.sha256(archive.store.get(key)).hexdigest(), key


def check_whole(archive: Archive) -> None:
    """What a reader may rely on: every document is whole, of one round, and on record."""
    for stat in list(archive.store.list(str(DATASET))):
        place = layout.parse(stat.key)
        if place is None or place.kind is None:
            continue
        manifest = archive.manifest(place.container)
        known = manifest.files
        document = archive.document(stat.key)
        round_ = document["last_updated_at"]
        for key in (stat.key, *named_files(document)):
            data = archive.store.get(key)
            assert (known[key].size, known[key].sha256) == (len(data), hashlib.sha256(data).hexdigest()), key
            if b"round" in data:
                assert data.endswith(f"round {round_}".encode()), f"{key} is of another round than {stat.key}"
    for container in archive.containers():
        for item in archive.manifest(container).items.values():
            for record in item.files:
                try:
                    assert archive.store.stat(record.key).size == record.size, record.key
                except NotFoundError:
                    raise AssertionError(f"{record.key} is on record, but not there") from None
    assert archive.pending() == []
    # The specimen has no deposition and no dataset document, and a dead process may not be known as dead yet.
    # Its files hold words, not images: what is in them (V6 and above) is not asked.
    assert {each.rule for each in verify(archive) if each.rule < "V6"} <= {"V303", "V304", "V504"}
