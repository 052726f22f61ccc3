"""A walk through the public portal's Python client: every class, relation, filter operator and download.

Run by ``test_client_tour`` in the environment of each version of the client, as

    python client_tour.py URL/graphql FOLDER

with ``BOTO_ENDPOINT_URL`` in the environment. Needs nothing but the client. What a filter should find is worked out
here, from all rows. Prints how much was compared, as JSON.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from cryoet_data_portal import Annotation, Client, Dataset, Run, TiltSeries, Tomogram, TomogramVoxelSpacing, _models
from cryoet_data_portal._gql_base import ItemRelationship, ListField, Model

ORDERED = {"==": "__eq__", "!=": "__ne__", ">": "__gt__", ">=": "__ge__", "<": "__lt__", "<=": "__le__"}
COUNTS: Counter[str] = Counter()


class Tour:
    def __init__(self, url: str) -> None:
        self.url = url
        self.client = Client(url)
        found = [kind for kind in vars(_models).values() if isinstance(kind, type) and issubclass(kind, Model)]
        self.classes = sorted((kind for kind in found if kind is not Model), key=lambda kind: kind.__name__)
        self.rows = {kind: list(kind.find(self.client)) for kind in self.classes}

    def objects(self) -> None:
        for kind, rows in self.rows.items():
            COUNTS["classes"] += 1
            assert rows, f"there is no {kind.__name__}"
            assert len({row.id for row in rows}) == len(rows)
            for row in rows[:3]:
                again = kind.get_by_id(self.client, row.id)
                assert again.to_dict() == row.to_dict(), (kind, row.id)
            assert kind.get_by_id(self.client, 2**31 - 1) is None

    def relations(self) -> None:
        for kind, rows in self.rows.items():
            for name in kind._get_relationship_fields():
                COUNTS["relations"] += 1
                relation = getattr(kind, name)
                others = self.rows[relation.get_related_class()]
                for row in {row.id: row for row in (rows[0], rows[-1])}.values():
                    if isinstance(relation, ItemRelationship):
                        key = getattr(row, relation.source_field)
                        found = getattr(row, name)
                        assert (found.id if found else None) == key, (kind, name, row.id)
                        continue
                    wanted = {other.id for other in others if getattr(other, relation.dest_field) == row.id}
                    assert {one.id for one in getattr(row, name)} == wanted, (kind, name, row.id)

    def filters(self) -> None:
        """Every field of every class; the operators of its type take turns, so that each meets every type of field."""
        turns: dict[str, Iterator[str]] = {}
        for kind, rows in self.rows.items():
            kinds = self.comparators(kind)
            for field in kind._get_scalar_fields():
                if isinstance(getattr(kind, field), ListField):
                    continue  # its filter is dropped without a word (Q3)
                operators = turns.setdefault(kinds[field], itertools.cycle(_operators(kinds[field])))
                for _ in range(2):
                    self.filter(kind, rows, field, next(operators))

    def filter(self, kind: Any, rows: list[Any], field: str, operator: str) -> None:
        values = [getattr(row, field) for row in rows]
        present = sorted({value for value in values if value is not None}) or [None]
        value = present[len(present) // 2]
        attribute = getattr(kind, field)
        if operator == "is null":
            for wanted in (True, False):
                expected = {row.id for row in rows if (getattr(row, field) is None) is wanted}
                self.compare(kind, [attribute.is_null(wanted)], expected, field, operator)
            return
        if value is None:
            return
        if operator in ORDERED:
            expression = getattr(attribute, ORDERED[operator])(_wire(value))
            expected = {
                row.id
                for row, found in zip(rows, values, strict=True)
                if found is not None and getattr(found, ORDERED[operator])(value)
            }
        elif operator == "in":
            chosen = present[::2]
            expression = attribute._in([_wire(one) for one in chosen])
            expected = {row.id for row, found in zip(rows, values, strict=True) if found in chosen}
        else:
            pattern = f"%{value[1:-1]}_" if operator == "like" else f"{value[: len(value) // 2].swapcase()}%"
            flags = re.DOTALL | (re.IGNORECASE if operator == "ilike" else 0)
            wild = re.compile("".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in pattern), flags)
            expression = getattr(attribute, operator)(pattern)
            expected = {
                row.id for row, found in zip(rows, values, strict=True) if found is not None and wild.fullmatch(found)
            }
        self.compare(kind, [expression], expected, field, operator)

    def paths(self) -> None:
        """Filters through every relation, and two at once, which both hold."""
        for kind, rows in self.rows.items():
            for name in kind._get_relationship_fields():
                relation = getattr(kind, name)
                others = self.rows[relation.get_related_class()]
                other = others[len(others) // 2]
                if isinstance(relation, ItemRelationship):
                    expected = {row.id for row in rows if getattr(row, relation.source_field) == other.id}
                else:
                    expected = {row.id for row in rows if getattr(other, relation.dest_field) == row.id}
                expression = getattr(getattr(kind, name), "id") == other.id  # noqa: B009
                self.compare(kind, [expression], expected, name, "path")
                both = [getattr(getattr(kind, name), "id") == other.id, kind.id != min(expected, default=0)]  # noqa: B009
                self.compare(kind, both, expected - {min(expected, default=0)}, name, "path and field")

    def compare(self, kind: Any, expressions: list[Any], expected: set[int], field: str, operator: str) -> None:
        COUNTS[operator] += 1
        found = [row.id for row in kind.find(self.client, expressions)]
        assert sorted(found) == sorted(expected), (kind.__name__, field, operator, found, expected)

    def comparators(self, kind: Any) -> dict[str, str]:
        """Attribute → the type of its filter."""
        query = f'{{__type(name: "{kind._gql_type}WhereClause") {{inputFields {{name type {{name}}}}}}}}'
        fields = requests.post(self.url, json={"query": query}, timeout=30).json()["data"]["__type"]["inputFields"]
        types = {field["name"]: field["type"]["name"] for field in fields}
        return {
            name: types[wire]
            for name, wire in zip(kind._get_scalar_fields(), kind._get_gql_fields(), strict=True)
            if wire in types
        }


def _operators(comparator: str) -> list[str]:
    if comparator == "BoolComparators":
        return ["==", "!=", "in", "is null"]
    return [*ORDERED, "in", "is null", *(["like", "ilike"] if comparator == "StrComparators" else [])]


def _wire(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def downloads(client: Client, folder: Path) -> None:
    """python-client.md, section 12: what lands where."""

    def check(name: str, wanted: set[str], act: Any) -> None:
        COUNTS["downloads"] += 1
        place = folder / name
        act(str(place))
        found = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
        assert wanted <= found if wanted else found, (name, found)
        for path in place.rglob("*"):
            assert path.is_dir() or path.read_text() in {"test_data\n", "{}\n"}, path

    ribosome = Annotation.find(client, [Annotation.run.name == "RUN2", Annotation.object_name.ilike("%ribosome%")])[0]
    check(
        "annotation",
        {"author2-ribosome-1.0.json", "ribosome.ndjson"},
        lambda place: ribosome.download(place, format="ndjson", shape="OrientedPoint"),
    )
    check("metadata", {"author2-ribosome-1.0.json"}, ribosome.download_metadata)
    named = Annotation.find(client, [Annotation.object_name == "Test Annotation Object Name"])[0]
    assert len(named.annotation_shapes) == 2
    assert (named.deposition_id, named.deposition) == (None, None)
    check("all formats", set(), named.download)
    kinds = {path.suffix for path in (folder / "all formats").rglob("*") if path.is_file()}
    assert {".mrc", ".ndjson", ".json"} <= kinds
    assert list((folder / "all formats").glob("*.zarr/0/*"))
    for shape in named.annotation_shapes:
        for file in shape.annotation_files:
            check(f"file {file.id}", set(), file.download)
    first = Tomogram.find(client, [Tomogram.run.name == "RUN1"])[0]
    check(
        "annotations of a tomogram",
        {"ribosome.ndjson", "author1-ribosome-1.0.json"},
        lambda place: first.download_all_annotations(place, format="ndjson", shape="Point"),
    )
    tomogram = Tomogram.find(client, [Tomogram.run.name == "RUN2"])[0]
    check("tomogram", {"RUN2.mrc"}, tomogram.download_mrcfile)
    check("tomogram zarr", {"RUN2.zarr/0/zarr_file2"}, tomogram.download_omezarr)
    series = TiltSeries.find(client, [TiltSeries.run.name == "RUN1"])[0]
    check("angles", {"RUN1.rawtlt"}, series.download_angle_list)
    check("tilt series", {"RUN1_bin1.mrc"}, series.download_mrcfile)
    check("tilt series zarr", {"RUN1.zarr/0/zarr_file2"}, series.download_omezarr)
    dataset = Dataset.get_by_id(client, 20001)
    check("dataset", {"20001/RUN1/Frames/frame1", "20001/RUN1/TiltSeries/RUN1.rawtlt"}, dataset.download_everything)
    run = Run.find(client, [Run.dataset_id == 20001, Run.name == "RUN1"])[0]
    check("run", {"RUN1/Frames/frame1", "RUN1/TiltSeries/RUN1.zarr/zarr_file1"}, run.download_everything)
    check("frames", {"Frames/frame1"}, run.download_frames)
    spacing = TomogramVoxelSpacing.find(client, [TomogramVoxelSpacing.voxel_spacing == 7.56])[0]
    check("spacing", set(), spacing.download_everything)
    assert (folder / "spacing" / "TomogramVoxelSpacing7.56").is_dir()


if __name__ == "__main__":
    tour = Tour(sys.argv[1])
    tour.objects()
    tour.relations()
    tour.filters()
    tour.paths()
    downloads(tour.client, Path(sys.argv[2]))
    print(json.dumps(COUNTS))
