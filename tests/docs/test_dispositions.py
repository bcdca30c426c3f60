from __future__ import annotations

import pytest

from pipeline.docs.dispositions import OTHER, SCALE, charts


def row(disposition="staged", rows=1, item_key="DoorLocked", source="raw_sync_events"):
    return {
        "source": source,
        "item_key": item_key,
        "disposition": disposition,
        "number_of_rows": rows,
    }


def test_a_bar_holds_all_rows_of_a_source_side_by_side():
    (chart,) = charts([row("staged", 6), row("duplicate", 1), row("removed", 3, "Switch")])

    shares = [(part.disposition, part.x, part.width) for part in chart.whole.segments]
    assert chart.whole.rows == 10
    assert shares == [("staged", 0, 600), ("duplicate", 600, 100), ("removed", 700, 300)]


@pytest.mark.parametrize(
    ("disposition", "kind"),
    [
        ("staged", "staged"),
        ("duplicate", "duplicate"),
        ("missing_state", "quarantined"),
        ("missing_username", "quarantined"),
        ("removed", "aside"),
        ("out_of_scope", "aside"),
    ],
)
def test_a_disposition_is_of_a_kind(disposition, kind):
    (chart,) = charts([row(disposition)])

    assert [part.kind for part in chart.whole.segments] == [kind]


def test_the_longest_item_key_comes_first_and_all_other_keys_last():
    (chart,) = charts(
        [
            row(item_key="Switch", rows=2),
            row(item_key="Dimmer", rows=4),
            row("out_of_scope", 3, item_key="x"),
            row("out_of_scope", 5, item_key=None),
        ]
    )

    assert [(bar.label, bar.rows) for bar in chart.by_item_key] == [
        ("Dimmer", 4),
        ("Switch", 2),
        (OTHER, 8),
    ]
    assert [bar.segments[-1].width for bar in chart.by_item_key] == [SCALE / 2, SCALE / 4, SCALE]


def test_users_have_no_item_keys():
    (chart,) = charts([row(source="raw_users", item_key=None)])

    assert chart.by_item_key == ()


def test_a_source_without_rows_has_no_chart():
    assert charts([]) == []
