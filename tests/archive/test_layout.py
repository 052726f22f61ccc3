from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.archive import Container, layout
from tomoportal.errors import ArchiveError

RUN = (10001, "TS_run1")
TILTSERIES = layout.tiltseries_prefix(*RUN, 100)
VS = (10001, "TS_run1", 13.48)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (layout.deposition_document(10301), "depositions_metadata/10301/deposition_metadata.json"),
        (layout.deposition_image(10301, "snapshot.gif"), "depositions_metadata/10301/Images/snapshot.gif"),
        (layout.dataset_document(10001), "10001/dataset_metadata.json"),
        (layout.dataset_image(10001, "thumbnail.png"), "10001/Images/thumbnail.png"),
        (layout.run_document(*RUN), "10001/TS_run1/run_metadata.json"),
        (layout.gain(*RUN, "CountRef_TS_run1.gain"), "10001/TS_run1/Gains/CountRef_TS_run1.gain"),
        (layout.mdoc(*RUN), "10001/TS_run1/Frames/TS_run1.mdoc"),
        (layout.frame(*RUN, "TS_run1_1.tiff"), "10001/TS_run1/Frames/TS_run1_1.tiff"),
        (layout.frames_document(*RUN), "10001/TS_run1/Frames/frames_metadata.json"),
        (layout.volume_mrc(layout.tiltseries_prefix(*RUN, 100), "TS_run1"), "10001/TS_run1/TiltSeries/100/TS_run1.mrc"),
        (
            layout.volume_zarr(layout.tiltseries_prefix(*RUN, 100), "TS_run1"),
            "10001/TS_run1/TiltSeries/100/TS_run1.zarr",
        ),
        (layout.rawtlt(*RUN, 100), "10001/TS_run1/TiltSeries/100/TS_run1.rawtlt"),
        (layout.ctf(*RUN, 100, "CTFFIND"), "10001/TS_run1/TiltSeries/100/TS_run1_CTFFIND_ctf.txt"),
        (layout.ctf(*RUN, 100, None), "10001/TS_run1/TiltSeries/100/TS_run1_unknown_ctf.txt"),
        (layout.tiltseries_document(*RUN, 100), "10001/TS_run1/TiltSeries/100/tiltseries_metadata.json"),
        (layout.alignment_file(*RUN, 100, ".xf"), "10001/TS_run1/Alignments/100/TS_run1.xf"),
        (layout.alignment_document(*RUN, 100), "10001/TS_run1/Alignments/100/alignment_metadata.json"),
        (layout.identified_objects(*RUN), "10001/TS_run1/IdentifiedObjects/identified_objects.json"),
        (layout.identified_objects_document(*RUN), "10001/TS_run1/IdentifiedObjects/identified_objects_metadata.json"),
        (
            layout.tomogram_document(*VS, 100),
            "10001/TS_run1/Reconstructions/VoxelSpacing13.480/Tomograms/100/tomogram_metadata.json",
        ),
        (
            layout.key_photo(*VS, 100, "snapshot"),
            "10001/TS_run1/Reconstructions/VoxelSpacing13.480/Images/100/key-photo-snapshot.png",
        ),
        (
            layout.annotation_document(*VS, 100, "ribosome-1.0"),
            "10001/TS_run1/Reconstructions/VoxelSpacing13.480/Annotations/100/ribosome-1.0.json",
        ),
        (
            layout.annotation_data(*VS, 101, "membrane-1.0", "SegmentationMask", "zarr"),
            "10001/TS_run1/Reconstructions/VoxelSpacing13.480/Annotations/101/membrane-1.0_segmentationmask.zarr",
        ),
        (
            layout.annotation_caption(*VS, 101, "membrane-1.0", "InstanceSegmentationMask"),
            "10001/TS_run1/Reconstructions/VoxelSpacing13.480/Annotations/101/"
            "membrane-1.0_instancesegmentationmask_caption.json",
        ),
        (
            layout.annotation_global_caption(*VS, 101, "membrane-1.0"),
            "10001/TS_run1/Reconstructions/VoxelSpacing13.480/Annotations/101/membrane-1.0_globalcaption.json",
        ),
        (
            layout.neuroglancer_config(*VS, 100),
            "10001/TS_run1/Reconstructions/VoxelSpacing13.480/NeuroglancerPrecompute/100-neuroglancer_config.json",
        ),
        (
            layout.precompute(*VS, 100, "ribosome-1.0", "OrientedMesh"),
            "10001/TS_run1/Reconstructions/VoxelSpacing13.480/NeuroglancerPrecompute/100-ribosome-1.0_orientedmesh",
        ),
        (layout.manifest(Container.run(*RUN)), ".tomoportal/manifest/10001/TS_run1.json"),
        (layout.manifest(Container.dataset(10001)), ".tomoportal/manifest/10001.json"),
        (layout.manifest(Container.deposition(10301)), ".tomoportal/manifest/depositions_metadata/10301.json"),
    ],
)
def test_the_tree_is_the_public_portals(key: str, expected: str) -> None:
    assert key == expected


@pytest.mark.parametrize(
    ("name", "version", "description", "expected"),
    [
        ("ribosome", 1.0, None, "ribosome-1.0"),
        ("Fatty acid-synthase", "1.0", None, "fatty_acid_synthase-1.0"),
        ("ribosome", 1, "80S Ribosome", "80s_ribosome-1"),
        ("ribosome", 1.0, "x" * 51, "ribosome-1.0"),
        ("ribosome", 1.0, "", "ribosome-1.0"),
        ("ribosome", "2.0-beta+1", None, "ribosome-2.0_beta_1"),
    ],
)
def test_annotation_base(name: str, version: float | str, description: str | None, expected: str) -> None:
    assert layout.annotation_base(name, version, description) == expected


@pytest.mark.parametrize(
    "run", ["", ".hidden", "a/b", "a*", "a?", "[a]", "a\n", "..", "a\x7f", "\udc80", "a\\b", "Images"]
)
def test_run_names_that_would_do_harm(run: str) -> None:
    with pytest.raises(ArchiveError):
        layout.run_prefix(10001, run)
    with pytest.raises(ArchiveError):
        Container.run(10001, run)


def test_files_keep_the_names_of_cameras() -> None:
    assert layout.frame(*RUN, "TS_01 [-3.0].eer") == "10001/TS_run1/Frames/TS_01 [-3.0].eer"
    for name in ("", "a/b", "..", ".hidden", "a\n"):
        with pytest.raises(ArchiveError):
            layout.frame(*RUN, name)


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), float("inf"), 0.0001])
def test_spacings_that_are_none(spacing: float) -> None:
    with pytest.raises(ArchiveError, match="voxel spacing"):
        layout.voxel_spacing_name(spacing)


names = st.text(st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters="/\\*?[]"), min_size=1).filter(
    lambda name: not name.startswith(".") and name not in ("Images", "dataset_metadata.json")
)
datasets = st.integers(1, 99999) | st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,10}", fullmatch=True).map(str)
spacings = st.integers(1, 10**6).map(lambda thousandths: thousandths / 1000)
numbers = st.integers(0, 10**6)


@given(datasets, names, spacings, numbers)
def test_every_key_leads_back_to_its_entity(dataset: int | str, run: str, spacing: float, number: int) -> None:
    container = Container.run(dataset, run)
    place = (dataset, run, spacing, number)
    for key, kind, has_number, has_spacing in (
        (layout.run_document(dataset, run), "run", False, False),
        (layout.frames_document(dataset, run), "frames", False, False),
        (layout.identified_objects_document(dataset, run), "identified_objects", False, False),
        (layout.tiltseries_document(dataset, run, number), "tiltseries", True, False),
        (layout.rawtlt(dataset, run, number), None, True, False),
        (layout.alignment_document(dataset, run, number), "alignment", True, False),
        (layout.tomogram_document(*place), "tomogram", True, True),
        (f"{layout.volume_zarr(layout.tomogram_prefix(*place), run)}/0/0/0/0", None, True, True),
        (layout.annotation_document(*place, "a-1.0"), "annotation", True, True),
        (layout.annotation_data(*place, "a-1.0", "Point", "ndjson"), None, True, True),
        (layout.annotation_global_caption(*place, "a-1.0"), None, True, True),
        (layout.key_photo(*place, "snapshot"), None, True, True),
        (layout.neuroglancer_config(*place), None, True, True),
        (f"{layout.precompute(*place, 'a-1.0', 'Point')}/info", None, True, True),
        (layout.mdoc(dataset, run), None, False, False),
    ):
        expected = layout.Place(container, kind, spacing if has_spacing else None, number if has_number else None)
        assert layout.parse(key) == expected
        assert layout.owner(key) == container
    assert Container.of(container.key) == container


@given(datasets, numbers)
def test_datasets_and_depositions_lead_back(dataset: int | str, number: int) -> None:
    for container, document, kind, image in (
        (
            Container.dataset(dataset),
            layout.dataset_document(dataset),
            "dataset",
            layout.dataset_image(dataset, "a.png"),
        ),
        (
            Container.deposition(number),
            layout.deposition_document(number),
            "deposition",
            layout.deposition_image(number, "a.png"),
        ),
    ):
        assert layout.parse(document) == layout.Place(container, kind)
        assert layout.parse(image) == layout.Place(container)
        assert Container.of(container.key) == container


@pytest.mark.parametrize(
    "key", ["", "file", ".tomoportal/manifest/10001.json", "10001", "..", "a//b", "10001/.hidden/x"]
)
def test_keys_of_nobody(key: str) -> None:
    assert layout.owner(key) is None
    assert layout.parse(key) is None


@pytest.mark.parametrize("text", ["13.48", "13.480", "13.4800"])
def test_spacings_are_read_as_numbers(text: str) -> None:
    place = layout.parse(f"10001/run/Reconstructions/VoxelSpacing{text}/Tomograms/100/tomogram_metadata.json")
    assert place is not None
    assert (place.kind, place.spacing) == ("tomogram", 13.48)


def test_captions_are_no_documents() -> None:
    folder = "10001/run/Reconstructions/VoxelSpacing13.480/Annotations/101"
    for name in ("membrane-1.0_globalcaption.json", "membrane-1.0_instancesegmentationmask_caption.json"):
        place = layout.parse(f"{folder}/{name}")
        assert place is not None
        assert place.kind is None


def test_no_container_here() -> None:
    with pytest.raises(ArchiveError):
        Container.of("10001/run/deeper")
    with pytest.raises(ArchiveError):
        Container.dataset("depositions_metadata")
