"""The site of a build in BigQuery."""

from __future__ import annotations


def test_the_site_tells_of_a_build_on_bigquery(warehouse, built, tmp_path):
    before = len(warehouse.service.asked)
    warehouse.run("docs", "--output", str(tmp_path), dataset=built)
    asked = warehouse.service.asked[before:]
    index = (tmp_path / "index.html").read_text("utf-8")
    model = (tmp_path / "models" / "dim_users.html").read_text("utf-8")

    (users,) = warehouse.rows(f"SELECT COUNT(*) AS n FROM `{built}`.dim_users")
    assert "Not built yet" not in index
    assert "The disposition of every raw row" in index
    assert f"<dt>Rows</dt><dd>{users['n']}</dd>" in model
    assert f"`{built}`" in model
    # this backend's own SQL comes first
    assert model.index('data-engine="BigQuery"') < model.index('data-engine="DuckDB"')
    # the dataset is opened once, and its record and its audit are read once
    assert (
        len([each for each in asked if each.path.partition("?")[0].endswith(f"/datasets/{built}")])
        == 1
    )
    assert len([each for each in asked if each.sql]) == 2


def test_the_site_is_written_where_nothing_is_built(warehouse, tmp_path):
    warehouse.run("docs", "--output", str(tmp_path), dataset="nothing_there")

    assert "Not built yet" in (tmp_path / "index.html").read_text("utf-8")
