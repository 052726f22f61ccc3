import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.acquisition import ANGLE_TOLERANCE, frame_doses, match_sections
from tomoportal.formats.mdoc import Mdoc, MdocEntry, MdocSection, read_mdoc
from tomoportal.formats.tilt_angles import read_tilt_angles


def mdoc(*sections):
    """An Mdoc of sections given as dictionaries; their numbers count from 0 unless given as ``z``."""
    made = []
    for index, section in enumerate(sections):
        pairs = {key: str(value) for key, value in section.items() if key != "z"}
        entries = tuple(MdocEntry(key, value) for key, value in pairs.items())
        made.append(MdocSection(entries, "a.mdoc", index + 1, "ZValue", section.get("z", index)))
    return Mdoc((), "a.mdoc", 0, (), tuple(made))


def at(*angles):
    return mdoc(*({"TiltAngle": angle} for angle in angles))


def test_the_example_of_the_archive_layout():
    doses = frame_doses(mdoc({"ExposureTime": 1}, {"ExposureTime": 1.58, "SubFramePath": "d:\\f\\b.tif"}), 1.881)
    assert [frame.acquisition_order for frame in doses.frames] == [0, 1]
    assert [frame.exposure_dose for frame in doses.frames] == [1.881, 1.58 * 1.881]
    assert [frame.accumulated_dose for frame in doses.frames] == [0.0, 1.881]
    assert [frame.frame_name for frame in doses.frames] == [None, "b.tif"]
    assert doses.warnings == ()


def test_accumulated_dose_follows_the_clock():
    """F26: sections sorted by angle were not acquired in that order; ZValue stays the acquisition order."""
    doses = frame_doses(
        mdoc(
            {"ExposureTime": 3, "DateTime": "06-Jun-23  12:02:00", "PriorRecordDose": 0},
            {"ExposureTime": 1, "DateTime": "06-Jun-23  12:00:00", "PriorRecordDose": 1},
            {"ExposureTime": 2, "DateTime": "06-Jun-23  12:01:00", "PriorRecordDose": 2},
        ),
        10,
    )
    assert [frame.accumulated_dose for frame in doses.frames] == [30, 0, 10]
    assert [frame.acquisition_order for frame in doses.frames] == [0, 1, 2]
    assert "DateTime" in doses.warnings[0]


def test_prior_record_dose_where_times_are_missing():
    doses = frame_doses(
        mdoc(
            {"ExposureTime": 1, "PriorRecordDose": 5.0, "DateTime": "06-Jun-23 12:00:00"},
            {"ExposureTime": 2, "PriorRecordDose": 0.0},
        ),
        1,
    )
    assert [frame.accumulated_dose for frame in doses.frames] == [2, 0]
    assert "PriorRecordDose" in doses.warnings[0]


def test_section_numbers_where_nothing_else_is_known():
    doses = frame_doses(mdoc({"ExposureTime": 1, "z": 7}, {"ExposureTime": 2, "z": 3}), 1)
    assert [frame.accumulated_dose for frame in doses.frames] == [2, 0]
    assert [frame.acquisition_order for frame in doses.frames] == [7, 3]
    assert doses.warnings == ()


def test_unreadable_times_and_repeated_numbers_are_reported():
    doses = frame_doses(
        mdoc({"ExposureTime": 1, "DateTime": "noon"}, {"ExposureTime": 1, "DateTime": "one", "z": 0}), 1
    )
    assert [frame.accumulated_dose for frame in doses.frames] == [0, 1]
    assert len(doses.warnings) == 2
    assert "[0] occur more than once" in doses.warnings[0]
    assert "DateTime of 2 sections" in doses.warnings[1]


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=20), st.randoms(use_true_random=False), st.floats(0.01, 50))
def test_the_order_in_the_file_does_not_change_a_dose(times, random, rate):
    sections = [
        {"z": index, "ExposureTime": repr(time), "DateTime": f"01-Jan-23 12:00:{index:02d}"}
        for index, time in enumerate(times)
    ]
    straight = frame_doses(mdoc(*sections), rate)
    random.shuffle(sections)
    shuffled = frame_doses(mdoc(*sections), rate)
    by_order = sorted(shuffled.frames, key=lambda frame: frame.acquisition_order)
    assert tuple(by_order) == straight.frames
    last = straight.frames[-1]
    assert last.accumulated_dose + last.exposure_dose == pytest.approx(sum(times) * rate)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_gives_no_dose_is_refused(rate):
    with pytest.raises(FormatError, match="dose rate"):
        frame_doses(mdoc({"ExposureTime": 1}), rate)


@pytest.mark.parametrize("section", [{}, {"ExposureTime": ""}, {"ExposureTime": -1}, {"ExposureTime": "x"}])
def test_a_section_without_exposure_time_is_named(section):
    with pytest.raises(FormatError, match="ExposureTime"):
        frame_doses(mdoc({"ExposureTime": 1}, section), 1)


def test_sections_are_matched_to_the_nearest_angle():
    matches = match_sections([-3.0, 0.0, 3.0], at(0.001, 2.96, -3.04), name="a.rawtlt")
    assert [(m.z_index, m.raw_angle, m.frame_acquisition_order) for m in matches] == [
        (0, -3.04, 2),
        (1, 0.001, 0),
        (2, 2.96, 1),
    ]


def test_rounding_edges_and_repeated_angles_match_one_to_one():
    """F30: two decimals of 2.005 and 2.0049 differ, and equal angles took the first section twice."""
    matches = match_sections([2.005, 0.0, 0.0], at(0.0, 2.0049, 0.0), name="a")
    assert [m.frame_acquisition_order for m in matches] == [1, 0, 2]


def test_the_first_of_equal_exposures_is_taken():
    assert match_sections([0.0], at(0.0, 0.0), name="a")[0].frame_acquisition_order == 0


def test_the_sum_of_differences_decides():
    # 0.03 is nearest to 0.04, but then 0.07 would have nothing left
    assert [m.raw_angle for m in match_sections([0.03, 0.07], at(0.04, 0.0), name="a")] == [0.0, 0.04]


@pytest.mark.parametrize(
    ("angles", "sections", "message"),
    [
        ([0.0, 3.06], at(0.0, 3.0), "3.06"),
        ([0.0, 0.0], at(0.0, 3.0), "compete"),
        ([0.0], mdoc({"ExposureTime": 1}), "TiltAngle"),
        ([float(angle) for angle in range(10, 20)], at(0.0), "…"),
    ],
)
def test_a_run_that_does_not_match_says_why(angles, sections, message):
    with pytest.raises(FormatError, match=message):
        match_sections(angles, sections, name="TS_1.rawtlt")


close = st.integers(-10, 10).map(lambda value: value / 100)


@given(st.lists(close, max_size=4), st.lists(close, max_size=5))
def test_the_match_is_the_best_of_all(angles, offered):
    """Against every assignment there is."""
    limit = ANGLE_TOLERANCE + 1e-9
    costs = [
        sum(abs(a - o) for a, o in zip(angles, choice, strict=True))
        for choice in itertools.permutations(offered, len(angles))
        if all(abs(a - o) <= limit for a, o in zip(angles, choice, strict=True))
    ]
    try:
        matches = match_sections(angles, at(*offered), name="a")
    except FormatError:
        assert not costs
        return
    assert [m.z_index for m in matches] == list(range(len(angles)))
    assert len({m.frame_acquisition_order for m in matches}) == len(angles)
    assert sum(abs(a - m.raw_angle) for a, m in zip(angles, matches, strict=True)) == pytest.approx(
        min(costs), abs=1e-9
    )


@pytest.mark.real_data
def test_a_real_series_sorted_by_angle(real_data):
    series = read_mdoc((real_data / "tilt/mdoc/serialem4_TS_017.mdoc").read_bytes(), "017.mdoc")
    doses = frame_doses(series, 2.9454)
    # SerialEM recorded what each place had received before; our sum starts at 0 and has no preview exposures
    recorded = np.array([section.prior_record_dose for section in series.exposures])
    ours = np.array([frame.accumulated_dose for frame in doses.frames])
    assert np.argsort(ours).tolist() == np.argsort(recorded).tolist()
    np.testing.assert_allclose(ours, recorded - recorded.min(), rtol=0.03, atol=0.5)
    angles = read_tilt_angles((real_data / "tilt/imod/TS_017.tlt").read_bytes(), "017.tlt")
    matches = match_sections(angles, series, name="017.tlt")
    assert [match.frame_acquisition_order for match in matches] == list(range(60))


@pytest.mark.real_data
def test_a_real_series_in_the_order_of_acquisition(real_data):
    series = read_mdoc((real_data / "tilt/mdoc/serialem_tilt_series.mdoc").read_bytes(), "TS_01.mdoc")
    doses = frame_doses(series, 1.0)
    assert doses.warnings == ()
    assert [round(frame.accumulated_dose, 6) for frame in doses.frames[:3]] == [0, 0.8, 1.6]
