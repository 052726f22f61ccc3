from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.mdoc import Mdoc, MdocEntry, MdocSection, format_mdoc, read_mdoc

SERIALEM = b"""PixelSpacing = 2.5
ImageFile = TS_1.mrc

[T = SerialEM: a microscope   06-Jun-23  23:19:47    ]

[T =     Tilt axis angle = 82.9, binning = 1  spot = 5  camera = 1]

[ZValue = 0]
TiltAngle = -52.0064
ExposureTime = 0.76
ExposureDose = 2.2
PriorRecordDose = 4.4
RotationAngle = 172.9
SubFramePath = D:\\DATA\\frames\\TS_1_000.tif
DateTime = 06-Jun-23  23:19:46
Note = a = b
CameraLength = NaN
ChannelName =

[ZValue = 0]
TiltAngle = 1
TiltAngle = 2
"""

key = st.from_regex(r"[A-SU-Z][A-Za-z0-9]{0,10}", fullmatch=True)
text = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=12).map(str.strip)
entries = st.lists(st.builds(MdocEntry, key, text), max_size=4).map(tuple)
title = text.filter(lambda value: "]" not in value)


@given(
    st.builds(
        Mdoc,
        entries=entries.filter(lambda rows: not any(row.key.startswith("[") for row in rows)),
        titles=st.lists(title, max_size=3).map(tuple),
        sections=st.lists(
            st.builds(
                MdocSection,
                entries,
                kind=st.sampled_from(["ZValue", "FrameSet", "MontSection"]),
                index=st.integers(-5, 500),
            ),
            min_size=1,
            max_size=4,
        ).map(tuple),
    )
)
def test_a_file_is_read_as_written(mdoc):
    assert read_mdoc(format_mdoc(mdoc), "a.mdoc") == mdoc


def test_header_titles_and_typed_values():
    mdoc = read_mdoc(SERIALEM, "TS_1.mdoc")
    assert mdoc.pixel_spacing == 2.5
    assert mdoc.get("ImageFile") == "TS_1.mrc"
    assert mdoc.tilt_axis == 82.9
    assert mdoc.titles[0].startswith("SerialEM")
    first = mdoc.sections[0]
    assert (first.tilt_angle, first.exposure_time, first.exposure_dose) == (-52.0064, 0.76, 2.2)
    assert (first.prior_record_dose, first.rotation_angle) == (4.4, 172.9)
    assert first.acquired_at == datetime(2023, 6, 6, 23, 19, 46)
    assert first.frame_name == "TS_1_000.tif"
    assert first.get("Note") == "a = b"
    assert first.get("ChannelName") == ""
    assert first.number("ChannelName") is None
    assert first.get("nothing") is None


def test_repeated_keys_and_sections_are_kept():
    mdoc = read_mdoc(SERIALEM, "a")
    assert [section.index for section in mdoc.sections] == [0, 0]
    assert [entry.value for entry in mdoc.sections[1].entries] == ["1", "2"]
    assert mdoc.sections[1].tilt_angle == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("06-Jun-23  23:51:26", datetime(2023, 6, 6, 23, 51, 26)),
        ("24-Mar-2023 12:13:13", datetime(2023, 3, 24, 12, 13, 13)),
        ("2023-Jun-06  23:51:26", datetime(2023, 6, 6, 23, 51, 26)),
        ("2023-06-06 03:51:26", datetime(2023, 6, 6, 3, 51, 26)),
        ("2023-06-06T03:51:26.25", datetime(2023, 6, 6, 3, 51, 26, 250_000)),
        ("1-dec-99 1:02:03", datetime(2099, 12, 1, 1, 2, 3)),
        ("31-Feb-23 00:00:00", None),
        ("06-Xxx-23 00:00:00", None),
        ("06-Jun-23 25:00:00", None),
        ("yesterday", None),
    ],
)
def test_date_notations(text, expected):
    (section,) = read_mdoc(f"[ZValue = 0]\nDateTime = {text}\n".encode(), "a").sections
    assert section.acquired_at == expected


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (r"\\192.168.0.1\share\Position_1 [2].eer", "Position_1 [2].eer"),
        ("X:\\a\\b/c.tif", "c.tif"),
        ("/data/frames/c.tif", "c.tif"),
        ("c.tif", "c.tif"),
        ("", None),
        ("\\\\", None),
    ],
)
def test_frame_names(path, name):
    (section,) = read_mdoc(f"[ZValue = 0]\nSubFramePath = {path}\n".encode(), "a").sections
    assert section.frame_name == name


@pytest.mark.parametrize(
    ("title", "angle"),
    [
        ("[T =     Tilt axis angle = 85.3, binning = 4  spot = 8]", 85.3),
        ("[T = TiltAxisAngle = -171.35 Binning = 1 SpotSize = 5]", -171.35),
        ("[T = tilt axis angle=.5]", 0.5),
        ("T = SerialEM: a frame file", None),
    ],
)
def test_tilt_axis_of_titles(title, angle):
    assert read_mdoc(f"{title}\n[FrameSet = 0]\n".encode(), "a").tilt_axis == angle


def test_latin_1_and_a_byte_order_mark():
    assert read_mdoc("Operator = Müller\n[ZValue = 0]\n".encode("latin-1"), "a").get("Operator") == "Müller"
    assert read_mdoc("\ufeffOperator = Müller\n[ZValue = 0]\n".encode(), "a").get("Operator") == "Müller"


def test_frame_sets_are_exposures_only_without_tilt_sections():
    assert [s.kind for s in read_mdoc(b"[FrameSet = 0]\n", "a").exposures] == ["FrameSet"]
    assert [s.kind for s in read_mdoc(b"[FrameSet = 0]\n[ZValue = 3]\n[MontSection = 0]\n", "a").exposures] == [
        "ZValue"
    ]


@pytest.mark.parametrize(
    "bad", ["no equals sign", "= value", "[ZValue = 1", "[ZValue]", "[ZValue = x]", "[ZValue = 1.5]"]
)
def test_the_line_that_is_no_mdoc_is_named(bad):
    with pytest.raises(FormatError) as raised:
        read_mdoc(f"[ZValue = 0]\nTiltAngle = 1\n{bad}\n".encode(), "a.mdoc")
    assert raised.value.where == "a.mdoc:3"


@pytest.mark.parametrize("bad", ["x", "nan", "1 2", "1_0"])
def test_the_line_of_a_bad_number_is_named_when_it_is_asked_for(bad):
    (section,) = read_mdoc(f"[ZValue = 0]\n\nTiltAngle = {bad}\n".encode(), "a.mdoc").sections
    with pytest.raises(FormatError) as raised:
        _ = section.tilt_angle
    assert raised.value.where == "a.mdoc:3"


@pytest.mark.parametrize("data", [b"", b"\n", b"PixelSpacing = 1\n", b"[T = title]\n"])
def test_a_file_without_sections_is_refused(data):
    with pytest.raises(FormatError, match="no section"):
        read_mdoc(data, "a")


lines = st.sampled_from(["[ZValue = 0]", "[T = x]", "T = x", "TiltAngle = 1", "DateTime = 1", "[", "]", "=", "a=b", ""])


@given(st.binary() | st.lists(lines).map(lambda rows: "\n".join(rows).encode()))
def test_any_bytes_are_an_mdoc_or_a_format_error(data):
    try:
        mdoc = read_mdoc(data, "fuzz")
        for section in mdoc.sections:
            assert section.acquired_at is None or section.acquired_at
            assert section.frame_name != ""
            assert section.tilt_angle is None or abs(section.tilt_angle) >= 0
    except FormatError:
        pass


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "exposures", "axis", "spacing", "first_angle", "first_frame", "first_time"),
    [
        ("serialem_tilt_series.mdoc", 41, 85.3, 5.4, 0.000999877, "TS_01_000_0.0.mrc", "2015-11-30T15:21:38"),
        ("serialem4_TS_017.mdoc", 60, 82.9, 1.971, -52.0064, "017_01.mrc", "2023-06-06T23:19:46"),
        (
            "tomo5_Position_10.mdoc",
            3,
            -171.35,
            1.98,
            -20.01,
            "Position_10_001_-20.00_20230324_121311_EER.eer",
            "2023-03-24T12:13:13",
        ),
        ("serialem_frame_set_multiple.mdoc", 20, None, None, 33, None, None),
        ("serialem_montage_section.mdoc", 62, -86.7, 656.139, -0.00654056, None, "2021-03-25T17:00:46"),
        ("frame_TS_019_0000_8.0.mrc.mdoc", 1, None, None, 7.97279, "TS_019_0000_8.0.mrc", "2023-06-06T23:51:26"),
    ],
)
def test_real_files(real_data, file, exposures, axis, spacing, first_angle, first_frame, first_time):
    data = (real_data / "tilt/mdoc" / file).read_bytes()
    mdoc = read_mdoc(data, file)
    assert len(mdoc.exposures) == exposures
    assert (mdoc.tilt_axis, mdoc.pixel_spacing) == (axis, spacing)
    first = mdoc.exposures[0]
    assert (first.tilt_angle, first.frame_name) == (first_angle, first_frame)
    assert (first.acquired_at.isoformat() if first.acquired_at else None) == first_time
    assert read_mdoc(format_mdoc(mdoc), file) == mdoc
