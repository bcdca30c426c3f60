from __future__ import annotations

import json

import ibis.expr.types as ir
import pytest
from click.testing import CliRunner

from pipeline import catalog
from pipeline.cli import cli
from pipeline.contract import Column, model
from pipeline.graph import Graph
from pipeline.lint import lint


@model(key=["uid"], tags=["part_two"], columns=[Column("uid", "string", "a")])
def drifted(raw_users: ir.Table) -> ir.Table:
    """One row per user."""
    return raw_users.select("uid", "username")


@model(key=["n"], tags=["part_two"], columns=[Column("n", "float64", "a")])
def lacking(raw_users: ir.Table) -> ir.Table:
    """One row in all."""
    return raw_users.aggregate(n=raw_users.uid.length().median())


@model(key=["x"], tags=["part_two"], columns=[Column("x", "string", "a")])
def impossible(raw_users: ir.Table) -> ir.Table:
    """One row per user."""
    return raw_users.select(x=raw_users.no_such_column)


@model(key=["uid"], tags=["part_two"], columns=[Column("uid", "string", "a")])
def costly(raw_users: ir.Table) -> ir.Table:
    """One row per user."""
    return raw_users.select("uid").order_by("uid")


MODELS = Graph([function.model for function in (drifted, lacking, impossible, costly)])


@pytest.mark.parametrize("name", catalog.load().models)
def test_nothing_is_found_in_a_model(name):
    assert lint(catalog.load(), [name]) == []


@pytest.mark.parametrize(
    ("name", "rule", "where"),
    [
        ("drifted", "declaration", "undeclared column username"),
        ("lacking", "compiles", "for bigquery"),
        ("impossible", "declaration", "no_such_column"),
        ("costly", "order_of_result", "ORDER BY"),
    ],
)
def test_a_finding_names_model_rule_place_and_remedy(name, rule, where):
    (finding,) = lint(MODELS, [name])

    assert (finding.model, finding.rule) == (name, rule)
    assert where in f"{finding.where} {finding.reason}"
    assert finding.remedy
    assert finding.link.startswith("https://")


@pytest.fixture
def faulty_models(monkeypatch):
    monkeypatch.setattr(catalog, "load", lambda: MODELS)


def test_a_check_without_a_finding_ends_with_0():
    done = CliRunner().invoke(cli, ["lint", "--select", "marts", "--exclude", "dim_users"])

    assert (done.exit_code, done.output) == (0, "Done. FINDINGS=0\n")


@pytest.mark.usefixtures("faulty_models")
def test_a_finding_is_told_and_ends_with_1():
    done = CliRunner().invoke(cli, ["lint", "--select", "costly"])

    assert done.exit_code == 1
    assert done.output.startswith("COST costly: order_of_result: ORDER BY")
    assert done.output.endswith("Done. FINDINGS=1\n")


@pytest.mark.usefixtures("faulty_models")
def test_findings_are_json_for_machines():
    done = CliRunner().invoke(cli, ["lint", "-s", "costly", "--format", "json"])

    (finding,) = json.loads(done.output)
    assert list(finding) == ["model", "rule", "level", "where", "reason", "remedy", "link"]
