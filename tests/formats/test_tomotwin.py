"""Pickles are never read, under whatever name they come."""

import pickle

import pytest

from tomoportal.errors import FormatError
from tomoportal.formats.point_formats import POINT_FORMATS, PointRequest, read_point_file
from tomoportal.formats.tomotwin import is_pickle, refuse_pickle


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was read",))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("file_format", POINT_FORMATS)
def test_no_format_reads_a_pickle(protocol, file_format):
    data = pickle.dumps(Bomb(), protocol=protocol)
    assert is_pickle(data)
    shape = POINT_FORMATS[file_format].shapes[0]
    with pytest.raises(FormatError, match="pickle"):
        read_point_file(file_format, data, "picks.tloc", PointRequest(shape))


def test_the_fix_names_the_safe_export():
    with pytest.raises(FormatError, match="tloc") as refused:
        refuse_pickle(b"", "picks.tloc")
    assert ".coords" in refused.value.fix


@pytest.mark.real_data
def test_a_real_file(real_data):
    data = (real_data / "annotations/tomotwin/valid.tloc").read_bytes()
    with pytest.raises(FormatError, match="pickle"):
        read_point_file("tloc", data, "valid.tloc", PointRequest("Point"))
