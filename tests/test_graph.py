from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import ibis.expr.types as ir
import pytest

import pipeline
from pipeline import catalog
from pipeline.contract import Column, Model, RowCheck, TableCheck, model
from pipeline.errors import ContractError, UsageError
from pipeline.graph import Graph

ROOT = Path(pipeline.__file__).parent


@model(key=["a"], tags=["early"], columns=[Column("a", "string", "a")])
def stg_first(raw_users: ir.Table) -> ir.Table:
    """One row per first."""
    return raw_users


@model(key=["a"], tags=["early", "late"], columns=[Column("a", "string", "a")])
def stg_second(stg_first: ir.Table) -> ir.Table:
    """One row per second."""
    return stg_first


@model(key=["a"], tags=["late"], columns=[Column("a", "string", "a")])
def dim_third(stg_second: ir.Table) -> ir.Table:
    """One row per third."""
    return stg_second


@model(key=["a"], tags=["late"], columns=[Column("a", "string", "a")])
def stg_events(raw_sync_events: ir.Table) -> ir.Table:
    """One row per event."""
    return raw_sync_events


@model(key=["a"], tags=["late"], columns=[Column("a", "string", "a")])
def fct_both(stg_events: ir.Table, stg_second: ir.Table) -> ir.Table:
    """One row per both."""
    return stg_events


def models(*functions) -> list[Model]:
    return [function.model for function in functions]


@pytest.fixture
def small():
    return Graph(models(dim_third, stg_second, stg_first))


def test_models_are_in_dependency_order_however_they_are_listed(small):
    assert list(small.models) == ["stg_first", "stg_second", "dim_third"]


@pytest.mark.parametrize(
    ("select", "exclude", "names"),
    [
        ([], [], "stg_first stg_second dim_third"),
        (["stg_second"], [], "stg_second"),
        (["+stg_second"], [], "stg_first stg_second"),
        (["stg_second+"], [], "stg_second dim_third"),
        (["+stg_second+"], [], "stg_first stg_second dim_third"),
        (["stg_*"], [], "stg_first stg_second"),
        (["dim_third stg_first"], [], "stg_first dim_third"),
        (["dim_third", "stg_first"], [], "stg_first dim_third"),
        (["tag:early,tag:late"], [], "stg_second"),
        (["+dim_third,stg_*"], ["stg_first"], "stg_second"),
        (["tag:late+"], [], "stg_second dim_third"),
        ([], ["+stg_second"], "dim_third"),
    ],
    ids=str,
)
def test_a_selection_names_unites_and_intersects(small, select, exclude, names):
    assert small.select(select, exclude) == names.split()


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("1+dim_third", "stg_second dim_third"),
        ("2+dim_third", "stg_first stg_second dim_third"),
        ("0+dim_third", "dim_third"),
        ("stg_first+1", "stg_first stg_second"),
        ("1+stg_second+1", "stg_first stg_second dim_third fct_both"),
        ("stg_first+,fct_*", "fct_both"),
        ("tag:ear*", "stg_first stg_second"),
        ("@stg_events", "stg_first stg_second stg_events fct_both"),
        ("@dim_third", "stg_first stg_second dim_third"),
        ("source:raw_users", "stg_first"),
        ("+source:raw_users", "stg_first"),
        ("source:raw_users+", "stg_first stg_second dim_third fct_both"),
        ("source:raw_users+1", "stg_first"),
        ("source:raw_users+2", "stg_first stg_second"),
        ("source:raw_*+,tag:early", "stg_first stg_second"),
        ("@source:raw_sync_events", "stg_first stg_second stg_events fct_both"),
    ],
)
def test_steps_both_ways_and_sources_are_selected_as_in_dbt(spec, names):
    forked = Graph(models(stg_first, stg_second, dim_third, stg_events, fct_both))

    assert set(forked.select([spec])) == set(names.split())
    assert set(forked.select([], [spec])) == set(forked.models) - set(names.split())


@pytest.mark.parametrize(
    ("layer", "member", "other"),
    [("staging", "quarantined_events", "dim_users"), ("marts", "audit_dispositions", "stg_users")],
)
def test_a_layer_selects_the_models_of_its_folder(layer, member, other):
    selected = catalog.load().select([layer])

    assert member in selected
    assert other not in selected


@pytest.mark.parametrize(
    ("spec", "suggestion"),
    [
        ("stg_frist", "stg_first"),
        ("tag:erly", "early"),
        ("x_*", "Known:"),
        ("+dim_thrid", "dim_third"),
    ],
)
def test_an_unknown_name_is_an_error_that_suggests_near_ones(small, spec, suggestion):
    with pytest.raises(UsageError, match=suggestion) as caught:
        small.select([f"stg_first {spec}"])

    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("", "--select is empty"),
        ("  ", "--select is empty"),
        ("stg_first, stg_second", "nothing on one side of a comma"),
        ("+", "names no model"),
        ("++stg_first", "names no model"),
        ("@", "names no model"),
        ("@stg_first+", "leave out the +"),
        ("tags:early", "Did you mean tag:"),
        ("source:raw_user", "Did you mean raw_users"),
        ("raw_users", "Did you mean source:raw_users"),
    ],
)
def test_a_text_that_is_no_selection_is_an_error_that_says_how_to_write_one(small, spec, told):
    with pytest.raises(UsageError) as caught:
        small.select([spec])

    assert told in caught.value.typed


def test_an_empty_exclude_is_an_error_too(small):
    with pytest.raises(UsageError, match="exclude is empty"):
        small.select([], [""])


def test_a_selection_that_leaves_nothing_is_an_error(small):
    with pytest.raises(UsageError, match="leaves no model"):
        small.select(["stg_first"], ["stg_first"])


def test_a_model_carries_on_the_columns_of_another_as_they_are_declared_there():
    pin = Column("pin", "string", "opens a door", sensitive=True)
    first = replace(stg_first.model, columns=(*stg_first.model.columns, pin))
    second = replace(stg_second.model, columns=(Column("b", "int64", "b"),), carries=("stg_first",))
    third = replace(dim_third.model, carries=("stg_second",))

    carried = Graph([third, second, first]).models

    assert list(carried["stg_second"].schema) == ["a", "pin", "b"]
    assert list(carried["dim_third"].schema) == ["pin", "b", "a"]
    assert carried["dim_third"].sensitive == {"pin"}
    assert Graph(carried.values()).models == carried
    assert not Graph(carried.values()).faults


@pytest.mark.parametrize("other", ["stg_second", "raw_users", "stg_frist"])
def test_a_model_carries_the_columns_of_a_model_that_it_reads_alone(other):
    graph = Graph([replace(stg_first.model, carries=(other,)), stg_second.model])

    with pytest.raises(ContractError, match=f'stg_first .*: it carries "{other}", which is no'):
        graph.require(["stg_first"])


def test_a_check_over_several_models_belongs_to_the_last_of_them():
    def same_rows(dim_third: ir.Table, stg_first: ir.Table) -> ir.Table:
        """They agree."""
        return dim_third

    with_check = replace(stg_second.model, checks=(TableCheck(same_rows),))

    owned = Graph([*models(stg_first, dim_third), with_check]).table_checks

    assert [check.name for check in owned["dim_third"]] == ["same_rows"]


def test_of_a_source_a_check_can_know_the_number_of_rows():
    def as_many(stg_first: ir.Table, raw_users: int) -> ir.Table:
        """They agree."""
        return stg_first

    counting = Graph([replace(stg_first.model, checks=(TableCheck(as_many),))])

    assert [check.name for check in counting.table_checks["stg_first"]] == ["as_many"]
    assert not counting.faults


def test_checks_over_several_models_are_declared_where_they_belong():
    loaded = catalog.load()
    for name, declared in loaded.models.items():
        own = [check for check in declared.checks if isinstance(check, TableCheck)]
        assert loaded.table_checks[name] == own, f"{name} declares a check of another model"


def test_every_model_of_the_contract_is_there_with_its_tag():
    tags = {
        "part_one": "stg_commands stg_command_actives stg_command_results fct_command_statuses",
        "part_two": "stg_users dim_users met_daily_command_count_by_username",
        "part_three": "stg_sync_events stg_readings quarantined_events quarantined_users "
        "audit_dispositions fct_command_readings met_command_outcomes",
    }

    for tag, names in tags.items():
        assert set(names.split()) <= set(catalog.load().select([f"tag:{tag}"]))


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} | {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    return {name for name in found if not name.startswith("__")}


MODELS = sorted(path for layer in ("staging", "marts") for path in (ROOT / layer).glob("[!_]*.py"))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_imports_no_engine_no_backend_and_no_other_model(path):
    forbidden = ("duckdb", "google", "sqlglot", "ibis.backends", "pipeline.backends")
    others = ("pipeline.staging", "pipeline.marts")

    assert not [name for name in imports(path) if name.startswith(forbidden + others)]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_names_no_engine(path):
    text = path.read_text().lower()

    assert not [name for name in ("duckdb", "bigquery", "select *", ".sql(") if name in text]


@pytest.mark.parametrize("name", catalog.load().models)
def test_a_model_says_what_a_row_is_and_describes_its_columns(name):
    declared = catalog.load().models[name]

    assert declared.grain.startswith("One row per ")
    assert all(column.description for column in declared.columns)
    assert set(declared.key) <= set(declared.schema.names)
    assert set(declared.cluster_by) <= set(declared.schema.names)
    assert len({check.name for check in declared.checks}) == len(declared.checks)
    assert all(isinstance(check, RowCheck | TableCheck) for check in declared.checks)
