from __future__ import annotations

import pipeline


def test_sql_names_tables_as_they_are_in_the_warehouse():
    p = pipeline.connect(
        "bigquery", project="shop-events", dataset="models", source_dataset="landing"
    )

    assert "`shop-events`.`models`.`stg_users`" in p.sql("dim_users")
    assert "`shop-events`.`landing`.`raw_users`" in p.sql("stg_user_versions")


def test_sql_on_a_database_file_has_bare_names(tmp_path):
    p = pipeline.connect("duckdb", database=tmp_path / "p.duckdb")

    assert 'FROM "stg_users"' in p.sql("dim_users")
