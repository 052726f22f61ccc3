"""Entities made from objects of the public client, and all rows of a portal in one table, as upstream's programs do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cryoet_data_portal as public
import pytest

from tomoportal.copick.portal.all_rows import PortalCache
from tomoportal.copick.portal.annotations import CopickPicksFileCDP
from tomoportal.copick.portal.images import CopickTomogramMetaCDP, CopickVoxelSpacingMetaCDP
from tomoportal.copick.portal.rows import PortalAnnotationMeta
from tomoportal.copick.portal.runs import CopickRunMetaCDP
from tomoportal.server import LiveServer


@pytest.fixture
def client(portal: LiveServer) -> public.Client:
    return public.Client(f"{portal.url}/graphql")


def test_metadata_is_made_from_objects_of_the_public_client(
    portal_root: Callable[..., Any], client: public.Client
) -> None:
    """The same as a project of ours lists by itself."""
    seen = 0
    for run in portal_root().runs:
        source = public.Run.get_by_id(client, run.portal_run_id)
        assert CopickRunMetaCDP.from_portal(source) == run.meta
        for spacing in run.voxel_spacings:
            theirs = public.TomogramVoxelSpacing.get_by_id(client, spacing.portal_vs_id)
            assert CopickVoxelSpacingMetaCDP.from_portal(theirs) == spacing.meta
            for tomogram in spacing.tomograms:
                object_ = public.Tomogram.get_by_id(client, tomogram.meta.portal_tomo_id)
                made = CopickTomogramMetaCDP.from_portal(object_)
                assert made.portal_tomo_path == tomogram.meta.portal_tomo_path
                assert made.tomo_type in (tomogram.tomo_type, tomogram.tomo_type.rpartition("-")[0])  # C77
                about, known = made.portal_metadata, tomogram.meta.portal_metadata
                assert about.portal_authors == known.portal_authors
                assert about.portal_metadata.size_x == known.portal_metadata.size_x
                assert CopickTomogramMetaCDP.from_portal(object_, ["Ada"]).portal_metadata.portal_authors == ["Ada"]
                seen += 1
    assert seen > 1


def test_picks_are_described_from_objects_of_the_public_client(
    portal_root: Callable[..., Any], client: public.Client
) -> None:
    seen = set()
    for run in portal_root().runs:
        for picks in run.picks:
            file = public.AnnotationFile.get_by_id(client, picks.meta.portal_annotation_file_id)
            shape = file.annotation_shape
            source = PortalAnnotationMeta(shape.annotation, shape, file, file.tomogram_voxel_spacing.voxel_spacing)
            made = CopickPicksFileCDP.from_portal_container(source, picks.pickable_object_name)
            for name in ("pickable_object_name", "user_id", "session_id", "trust_orientation"):
                assert getattr(made, name) == getattr(picks.meta, name)
            assert made.portal_annotation_file_path == picks.meta.portal_annotation_file_path
            unnamed = CopickPicksFileCDP.from_portal_container(source).pickable_object_name
            assert unnamed.endswith(f"-{file.id}")
            seen.add(shape.shape_type)
    assert {"Point", "OrientedPoint"} <= seen


def test_all_rows_of_a_project_are_those_of_its_entities(portal_root: Callable[..., Any]) -> None:
    root = portal_root()
    rows = root._ensure_annotation_cache()
    assert isinstance(rows, PortalCache)
    assert [str(each.id) for each in rows.runs] == [run.name for run in root.runs]
    for run in root.runs:
        number = run.portal_run_id
        assert {each.id for each in rows.picks_files_by_run.get(number, [])} == {int(p.session_id) for p in run.picks}
        assert {each.id for each in rows.seg_files_by_run.get(number, [])} == {
            int(each.session_id) for each in run.segmentations
        }
        for picks in run.picks:
            file = next(f for f in rows.picks_files_by_run[number] if str(f.id) == picks.session_id)
            shape = rows.annotation_shapes[file.annotation_shape_id]
            assert rows.annotations[shape.annotation_id].object_id in root.go_map
            assert rows.author_names[shape.annotation_id] == picks.meta.portal_metadata.portal_author_names
            if file.tomogram_voxel_spacing_id is not None:
                spacing = rows.voxel_spacings[file.tomogram_voxel_spacing_id].voxel_spacing
                assert spacing == picks.meta.portal_metadata.voxel_spacing
        spacings = rows.voxel_spacings_by_run.get(number, [])
        assert [each.voxel_spacing for each in spacings] == [each.voxel_size for each in run.voxel_spacings]
        tomograms = [tomogram for each in spacings for tomogram in rows.tomograms_by_vs.get(each.id, [])]
        listed = [each for spacing in run.voxel_spacings for each in spacing.tomograms]
        assert {each.id for each in tomograms} == {each.meta.portal_tomo_id for each in listed}
        for each in listed:
            authors = rows.tomogram_authors[each.meta.portal_tomo_id]
            assert authors == each.meta.portal_metadata.portal_authors


def test_all_rows_are_asked_for_again_by_force(portal_root: Callable[..., Any], asked: Callable[..., Any]) -> None:
    """C72: a few questions for everything, none the second time, unless it is said."""
    root = portal_root()
    first = root._ensure_annotation_cache()
    assert 0 < sum(asked().values()) <= 6
    assert root._ensure_annotation_cache() == first
    assert asked() == {}
    root._ensure_annotation_cache(force=True)
    assert sum(asked().values()) > 0
