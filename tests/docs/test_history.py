from __future__ import annotations

import datetime as dt

import pytest

from pipeline.docs.history import HEIGHT, WIDTH, charts
from pipeline.results import ModelResult, RunRecord, SourceRead

NOON = dt.datetime(2022, 3, 4, 12, tzinfo=dt.UTC)


def run(events=100, quarantined=0, seconds=10.0, at=0, mode="full"):
    models = (ModelResult("quarantined_events", "table", "OK", quarantined),)
    sources = {"raw_sync_events": SourceRead((), events)}
    return RunRecord(NOON + dt.timedelta(hours=at), seconds, sources, models, mode=mode)


def test_a_chart_has_a_bar_for_each_build_the_latest_on_the_right():
    events, seconds, quarantined = charts(
        [run(400, 100, 5.0, at=2, mode="incremental"), run(200, 0, 20.0, at=1), run(100, at=0)]
    )

    assert [bar.value for bar in events.bars] == [100, 200, 400]
    assert [bar.height for bar in events.bars] == [HEIGHT / 4, HEIGHT / 2, HEIGHT]
    assert [bar.value for bar in seconds.bars] == [10.0, 20.0, 5.0]
    assert (quarantined.last, quarantined.unit) == (0.25, "share")
    assert [bar.started_at for bar in events.bars] == [
        NOON,
        NOON + dt.timedelta(hours=1),
        NOON + dt.timedelta(hours=2),
    ]
    assert [bar.mode for bar in events.bars] == ["full", "full", "incremental"]
    assert events.bars[-1].x + events.bars[-1].width <= WIDTH
    assert events.bars[0].x < events.bars[1].x < events.bars[2].x


def test_a_build_with_nothing_is_still_a_bar():
    quarantined = charts([run(), run()])[2]

    assert [(bar.value, bar.height) for bar in quarantined.bars] == [(0, 1), (0, 1)]


@pytest.mark.parametrize("runs", [[], [run()]], ids=["none", "one"])
def test_without_an_earlier_build_there_is_no_history(runs):
    assert charts(runs) == []


def test_a_build_that_read_no_events_is_left_out_of_their_chart():
    users = RunRecord(NOON, 1.0, {"raw_users": SourceRead((), 3)})

    assert [chart.title for chart in charts([users, users])] == ["Time taken"]
    assert len(charts([run(), users, run()])[0].bars) == 2
