"""The section key_images: pictures of tomograms that exist already."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tomoportal.ingest import Plan, Report

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Ingest = Callable[..., Report]
Planner = Callable[..., Plan]

IMAGES = "10001/TS_01/Reconstructions/VoxelSpacing13.480/Images"


def _picture(path: Path, size: tuple[int, int], color: tuple[int, int, int]) -> bytes:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path.read_bytes()


def _opened(path: Path) -> Image.Image:
    image = Image.open(io.BytesIO(path.read_bytes()))
    image.load()
    return image


def _images(*sources: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        config["runs"] = [{"sources": [{"literal": {"value": ["TS_01"]}}]}]
        config["annotations"] = []
        config["key_images"] = [{"sources": list(sources)}]

    return change


def test_a_given_picture_is_cut_to_all_sizes(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    data = _picture(raw / "pictures/TS_01.png", (200, 160), (250, 10, 10))
    glob = {
        "source_glob": {"list_glob": "pictures/{run_name}.png"},
        "parent_filters": {"include": {"tomogram": ["rec"]}},
    }
    report = ingest(edit(raw, _images(glob)), tmp_path / "archive")
    assert report.ok, report.failures
    given = tmp_path / "archive" / IMAGES / "100"
    assert (given / "key-photo-original.png").read_bytes() == data
    for name in ("snapshot", "thumbnail", "expanded"):
        image = _opened(given / f"key-photo-{name}.png")
        assert image.width * 3 == image.height * 4 or name == "thumbnail"
        assert image.getpixel((3, 3)) == (250, 10, 10)
    made = _opened(tmp_path / "archive" / IMAGES / "101/key-photo-original.png")
    assert made.size == (32, 24)  # the other tomogram, denoised/TS_01.mrc, is not meant by the filter


def test_a_changed_picture_changes_the_pictures_and_what_shows_them(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path
) -> None:
    _picture(raw / "pictures/TS_01.png", (200, 160), (250, 10, 10))
    config = edit(raw, _images({"source_glob": {"list_glob": "pictures/{run_name}.png"}}))
    ingest(config, tmp_path / "archive")
    assert set(ingest(config, tmp_path / "archive").counts.items()) >= {("created", 0), ("replaced", 0)}
    _picture(raw / "pictures/TS_01.png", (200, 160), (10, 250, 10))
    report = ingest(config, tmp_path / "archive")
    replaced = {result.label.split(" ")[0] for result in report.results if result.outcome == "replaced"}
    kinds = {label.removeprefix("10001/TS_01/").split("/")[0] for label in replaced}
    assert kinds - {"10001", "10301"} == {"key_photos"}, replaced
    assert len(kinds) == 3  # and the photos of dataset and deposition, which show this tomogram


def test_single_pictures_may_be_given_by_name(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    path = raw / "pictures/snapshot.jpg"
    _picture(path, (40, 30), (10, 10, 250))
    report = ingest(edit(raw, _images({"source_glob": {"list_glob": "pictures/*.jpg"}})), tmp_path / "archive")
    assert report.ok, report.failures
    folder = tmp_path / "archive" / IMAGES / "100"
    snapshot = _opened(folder / "key-photo-snapshot.png")
    assert (snapshot.format, snapshot.size) == ("PNG", (40, 30))
    assert _opened(folder / "key-photo-original.png").size == (32, 24)


def test_the_default_may_be_written_down(raw: Path, edit: Edit, plan_of: Planner) -> None:
    names = ["original", "snapshot", "thumbnail", "expanded"]
    plan = plan_of(edit(raw, _images({"literal": {"value": names}})))
    assert not plan.errors
    assert not any(item.sources for item in plan.items if item.kind == "key_photos")
    assert "not a picture" in str(plan_of(edit(raw, _images({"literal": {"value": ["big"]}}))).errors[0])


def test_two_pictures_for_one_tomogram_are_refused(raw: Path, edit: Edit, plan_of: Planner) -> None:  # F14
    for name in "ab":
        _picture(raw / f"pictures/{name}.png", (4, 3), (0, 0, 0))
    plan = plan_of(edit(raw, _images({"source_glob": {"list_glob": "pictures/*.png"}})))
    assert "two pictures for the original" in plan.errors[0].problem.what


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\nrubbish", b"GIF89a", b"<svg/>"])
def test_what_is_no_picture_is_refused(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, data: bytes) -> None:
    (raw / "TS_01.png").write_bytes(data)
    report = ingest(edit(raw, _images({"source_glob": {"list_glob": "{run_name}.png"}})), tmp_path / "archive")
    assert any("no picture that can be read" in str(failure.why) for failure in report.failures)


def test_a_bomb_of_pixels_is_refused() -> None:
    from tomoportal.errors import FormatError
    from tomoportal.formats.keyphotos import cut_key_photos

    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    with pytest.raises(FormatError, match=r"pixels|no picture"):
        cut_key_photos(buffer.getvalue(), "bomb.png")
