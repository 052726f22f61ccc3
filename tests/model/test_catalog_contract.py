"""The catalog's entities against the schema file in the installed ``cryoet-data-portal`` package."""

from __future__ import annotations

from importlib.resources import files

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
)

from tomoportal.model.entities import ENTITIES, ENUMS, Entity, Field, Relation


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(files("cryoet_data_portal").joinpath("data/schema.graphql").read_text(encoding="utf-8"))


def _members(kind: GraphQLObjectType) -> list[str]:
    return [name for name in kind.fields if name != "_id" and not name.endswith("Aggregate")]


def _wire_type(field: Field) -> str:
    name = {"Enum": field.enum, "Matrix": "[[Float!]!]"}.get(field.type, field.type)
    return f"{name}!" if field.required else str(name)


def _groupable(entity: Entity) -> list[Field | Relation]:
    return [m for m in entity.input_members if isinstance(m, Relation) or not m.references]


def test_entities_are_the_root_lists(schema: GraphQLSchema) -> None:
    assert schema.query_type is not None
    roots = {
        name: get_named_type(field.type).name
        for name, field in schema.query_type.fields.items()
        if not name.endswith("Aggregate")
    }
    assert {entity.root: entity.name for entity in ENTITIES.values()} == roots
    assert len(ENTITIES) == 23
    assert sum(len(entity.fields) for entity in ENTITIES.values()) == 291


@pytest.mark.parametrize("entity", ENTITIES.values(), ids=lambda entity: entity.name)
class TestEntity:
    def test_members_in_order_with_types(self, schema: GraphQLSchema, entity: Entity) -> None:
        kind = schema.type_map[entity.name]
        assert isinstance(kind, GraphQLObjectType)
        assert [member.wire for member in entity.members] == _members(kind)
        for member in entity.members:
            wire = kind.fields[member.wire].type
            if isinstance(member, Field):
                assert _wire_type(member) == str(wire), member.wire
            elif member.many:
                assert str(wire) == f"{member.target}Connection!"
                assert f"{member.wire}Aggregate" in kind.fields
            else:
                assert str(wire) == member.target

    def test_order_by(self, schema: GraphQLSchema, entity: Entity) -> None:
        kind = schema.type_map[f"{entity.name}OrderByClause"]
        assert isinstance(kind, GraphQLInputObjectType)
        wire = {member.name: member.wire for member in entity.members}
        assert [wire[name] for name in entity.order_by] == list(kind.fields)

    def test_where(self, schema: GraphQLSchema, entity: Entity) -> None:
        kind = schema.type_map[f"{entity.name}WhereClause"]
        assert isinstance(kind, GraphQLInputObjectType)
        ours = [m.wire for m in entity.input_members if isinstance(m, Relation) or m.type != "Matrix"]
        assert ours == [name for name in kind.fields if not name.endswith("Aggregate")]

    def test_group_by_and_count(self, schema: GraphQLSchema, entity: Entity) -> None:
        group = schema.type_map[f"{entity.name}GroupByOptions"]
        count = schema.type_map[f"{entity.name}CountColumns"]
        assert isinstance(group, GraphQLObjectType)
        assert isinstance(count, GraphQLEnumType)
        groupable = _groupable(entity)
        assert [member.wire for member in groupable] == list(group.fields)
        assert [member.wire for member in groupable if isinstance(member, Field)] == list(count.values)

    def test_relations_and_foreign_keys_agree(self, entity: Entity) -> None:
        for relation in entity.relations:
            owner, target = (ENTITIES[relation.target], entity.name) if relation.many else (entity, relation.target)
            assert owner.field(relation.column).references == target

    def test_foreign_key_follows_its_relation(self, entity: Entity) -> None:
        for member, following in zip(entity.members, entity.members[1:], strict=False):
            if isinstance(member, Relation) and not member.many:
                assert following.name == member.column

    def test_paths_come_in_pairs(self, entity: Entity) -> None:
        names = {field.name for field in entity.fields}
        for field in entity.fields:
            if field.name.startswith("s3_"):
                assert field.path == "s3"
                assert f"https_{field.name.removeprefix('s3_')}" in names
            elif field.path:
                assert field.path == "https"

    def test_every_member_is_described(self, entity: Entity) -> None:
        assert entity.label
        assert entity.plural
        for thing in (entity, *entity.members):
            assert thing.label, thing
            assert thing.description.endswith("."), thing
        for field in entity.fields:
            assert field.unit is None or field.type in ("Int", "Float", "String")


def test_enums(schema: GraphQLSchema) -> None:
    theirs = {
        name: tuple(kind.values)
        for name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLEnumType)
        and name != "orderBy"
        and not name.startswith("__")
        and not name.endswith("CountColumns")
    }
    assert dict(ENUMS) == theirs


def test_every_enum_is_used() -> None:
    used = {field.enum for entity in ENTITIES.values() for field in entity.fields if field.type == "Enum"}
    assert used == set(ENUMS)


def test_known_irregular_names() -> None:
    assert ENTITIES["Tiltseries"].python_name == "TiltSeries"
    assert ENTITIES["DatasetFunding"].root == "datasetFunding"
    assert ENTITIES["Tomogram"].field("scale0_dimensions").wire == "scale0Dimensions"
    assert ENTITIES["Alignment"].field("volume_x_dimension").wire == "volumeXDimension"
    assert ENTITIES["Dataset"].field("organism_taxid").wire == "organismTaxid"
    assert ENTITIES["TomogramVoxelSpacing"].table == "tomogram_voxel_spacing"


def test_units() -> None:
    assert ENTITIES["Tomogram"].field("voxel_spacing").unit == "Å/voxel"
    assert ENTITIES["Frame"].field("exposure_dose").unit == "e⁻/Å²"
    assert ENTITIES["PerSectionParameters"].field("phase_shift").unit == "rad"
    assert ENTITIES["Tiltseries"].field("acceleration_voltage").unit == "V"


def test_unknown_names_are_key_errors() -> None:
    with pytest.raises(KeyError):
        ENTITIES["Run"].field("nonsense")
    with pytest.raises(KeyError):
        ENTITIES["Run"].relation("name")
