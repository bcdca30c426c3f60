from __future__ import annotations

import pytest

import pipeline


@pytest.fixture
def project(tmp_path):
    return pipeline.connect("duckdb", database=tmp_path / "p.duckdb")


def recorded(project):
    return project.backend.last_run()


def test_nothing_is_recorded_before_the_first_build(project):
    assert recorded(project) is None


def test_a_partial_build_keeps_what_is_recorded_of_the_other_models(project):
    project.build()
    first = recorded(project)
    project.build(select="dim_users")
    second = recorded(project)

    built_at = {made.name: made.built_at for made in second.models}
    assert set(built_at) == {made.name for made in first.models} == set(project.models)
    assert built_at.pop("dim_users") == second.started_at
    assert set(built_at.values()) == {first.started_at}
    assert len(second.checks) == len(first.checks)


def test_a_run_without_checks_forgets_the_checks_of_what_it_built(project):
    project.build()
    project.build(select="dim_users", checks=False)

    models = {found.model for found in recorded(project).checks}
    assert models == set(project.models) - {"dim_users"}


def test_a_skipped_check_is_recorded_with_its_reason(project):
    project.build(select="+fct_command_statuses")

    skipped = [found for found in recorded(project).checks if found.status == "SKIP"]
    assert [(found.name, found.message) for found in skipped] == [
        ("every_user_is_known", "needs dim_users (not selected)")
    ]
