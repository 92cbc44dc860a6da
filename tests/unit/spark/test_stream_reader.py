"""A stream, driven as Spark's engine drives it, but in plain Python."""

from __future__ import annotations

import fnmatch
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxRows

from pi_datasource import schema
from pi_datasource.errors import InvalidOption, NoTagMatches, OffsetError, UnexpectedReply
from pi_datasource.model import Window
from pi_datasource.options.declaration import Options
from pi_datasource.spark.offsets import Position
from pi_datasource.spark.stream_reader import PIStreamReader, window_of
from pi_datasource.webapi import client, data_servers
from tests.engine import Engine
from tests.unit.fakes import BASE, SECOND, FakePI, expected_rows, is_told_alone, moment, ticks_of, wire

EVENTS = [(i * SECOND // 2, float(i)) for i in range(2 * 3600)]  # two a second, for an hour
TEXT = dict[str, Any]


class Clocked(FakePI):
    """A PI server with one tag, whose clock stands where the test puts it."""

    def __init__(self) -> None:
        super().__init__({"W_SRV_T1": EVENTS})
        self.counted = 0
        self.now: float = 60  # seconds after BASE
        self.tags = ["T1"]
        self.replies = {
            "dataservers": self._servers,
            "dataservers/DSA/points": self._points,
            "streamsets/summary": self._counts,
        }

    def _servers(self, _: Any) -> Any:
        return {"Items": [{"WebId": "DSA", "Name": "SRV", "ServerTime": wire(round(self.now * SECOND))}]}

    def _counts(self, asked: dict[str, str]) -> Any:
        start, end = ticks_of(asked["startTime"]), ticks_of(asked["endTime"])
        self.counted += 1
        count = sum(start <= ticks < end for ticks, _ in EVENTS)
        return {"Items": [{"WebId": asked["webId"], "Items": [{"Value": {"Value": count}}]}]}

    def _points(self, asked: dict[str, str]) -> Any:
        if asked["startIndex"] != "0":
            return {}
        found = fnmatch.filter(self.tags, asked["nameFilter"])
        return {"Items": [{"WebId": f"W_SRV_{tag}", "Name": tag, "PointType": "Float64"} for tag in found]}


@pytest.fixture(autouse=True)
def pi(monkeypatch: pytest.MonkeyPatch) -> Clocked:
    server = Clocked()
    monkeypatch.setattr(client, "shared", lambda _: server)
    monkeypatch.setattr(data_servers, "INTERVAL_S", 0.0)
    return server


def reader(**given: str) -> PIStreamReader:
    options = {
        "url": "h",
        "settle": "5s",
        "start_time": "2024-05-01T00:00:00Z",
        "num_partitions": "3",
        **given,
    }
    return PIStreamReader(Options.parse(options), schema.timeseries())


def through_json(value: TEXT) -> TEXT:
    """As an offset comes back from a checkpoint."""
    back: TEXT = json.loads(json.dumps(value))
    return back


def at(seconds: float) -> datetime:
    return BASE + timedelta(seconds=seconds)


def rows(engine: Engine) -> list[tuple[Any, ...]]:
    """Time, sequence and value of all that ``engine`` has appended."""
    columns = (engine.table[name].to_pylist() for name in ("timestamp", "sequence", "value"))
    return list(zip(*columns, strict=True))


def wanted(start: float, end: float) -> list[tuple[Any, ...]]:
    return expected_rows(EVENTS, int(start * SECOND), int(end * SECOND))


@pytest.mark.parametrize("old", [False, True])
def test_a_stream_delivers_everything_once_up_to_the_settled_present(pi: Clocked, old: bool) -> None:
    engine = Engine(reader, old=old)
    engine.run()
    assert rows(engine) == wanted(0, 55)
    pi.now = 100
    engine.run()
    assert rows(engine) == wanted(0, 95)


@pytest.mark.parametrize("old", [False, True])
def test_a_stream_of_many_restarts_has_no_gap_and_no_overlap(pi: Clocked, old: bool) -> None:
    engine = Engine(reader, old=old)
    for pi.now in (20, 20, 21, 40, 300):
        engine.run(batches=1)
    assert rows(engine) == wanted(0, 295)
    assert engine.windows == [Window(at(a), at(b)) for a, b in ((0, 15), (15, 16), (16, 35), (35, 295))]


def test_the_initial_offset_is_the_same_text_however_often_it_is_asked_for(pi: Clocked) -> None:
    one = reader(start_time="*-1h")
    first = json.dumps(one.initialOffset())
    pi.now += 10
    assert json.dumps(one.initialOffset()) == first
    assert json.loads(first) == {
        "version": 2,
        "from": "2024-04-30T23:01:00Z",
        "to": "2024-04-30T23:01:00Z",
        "started": "2024-05-01T00:01:00Z",
        "points": None,
    }


def test_an_offset_is_not_shared_with_its_receiver() -> None:
    one = reader()
    one.initialOffset()["to"] = "x"
    one.latestOffset()["to"] = "x"
    assert window_of(one.initialOffset()).end == BASE
    assert window_of(one.latestOffset()).end == at(55)


@pytest.mark.parametrize("old", [False, True])
def test_the_first_batch_is_replayed_exactly_although_its_start_was_relative(pi: Clocked, old: bool) -> None:
    engine = Engine(lambda: reader(start_time="*-10s"), old=old)
    engine.run(fails_in=0)
    assert (rows(engine), len(engine.log)) == ([], 1)
    pi.now = 200
    engine.run()
    assert rows(engine) == wanted(50, 195)
    assert engine.tasks[0][0].window.start == at(50)


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_a_failed_batch_is_replayed_over_its_own_window_and_the_stream_goes_on(
    pi: Clocked, batch: int
) -> None:
    engine = Engine(lambda: reader(max_window_per_trigger="10s"))
    engine.run(fails_in=batch)
    assert rows(engine) == wanted(0, 10 * batch)
    pi.now = 80
    engine.run()
    assert rows(engine) == wanted(0, 75)


def test_the_first_batch_is_replayed_exactly_although_the_clock_went_back(pi: Clocked) -> None:
    engine = Engine(lambda: reader(start_time="*-10s"))
    engine.run(fails_in=0)
    pi.now = 40
    engine.run()
    assert rows(engine) == wanted(50, 55)


def test_nothing_new_is_the_very_same_text() -> None:
    one = reader()
    end = through_json(one.latestOffset(one.initialOffset(), None))
    assert json.dumps(one.latestOffset(end, None)) == json.dumps(end)
    assert json.dumps(reader().latestOffset(end, None)) == json.dumps(end)


@pytest.mark.parametrize("now", [0, 3, 59])
def test_a_clock_that_goes_back_never_moves_the_stream_back(pi: Clocked, now: int) -> None:
    end = reader().latestOffset(reader().initialOffset(), None)
    pi.now = now
    assert json.dumps(reader().latestOffset(end, None)) == json.dumps(end)


def test_the_settle_delay_keeps_the_moving_edge_out() -> None:
    one = reader(settle="30s")
    assert window_of(one.latestOffset(one.initialOffset(), None)) == Window(BASE, at(30))


@pytest.mark.parametrize("start_time", ["*", "*+1h", "2030-01-01"])
def test_a_start_in_the_future_begins_at_the_present(pi: Clocked, start_time: str) -> None:
    one = reader(start_time=start_time)
    begin = one.initialOffset()
    assert window_of(begin) == Window(at(60), at(60))
    assert one.latestOffset(begin, None) == begin
    pi.now = 70
    assert window_of(one.latestOffset(begin, None)) == Window(at(60), at(65))


def test_a_micro_batch_is_bounded_by_the_longest_window() -> None:
    engine = Engine(lambda: reader(max_window_per_trigger="20s"))
    engine.run()
    assert engine.windows == [Window(at(a), at(b)) for a, b in ((0, 20), (20, 40), (40, 55))]
    assert rows(engine) == wanted(0, 55)


def batches(engine: Engine) -> list[int]:
    """How many events each micro-batch holds."""
    appended = rows(engine)
    return [len([row for row in appended if w.start <= row[0] < w.end]) for w in engine.windows]


@pytest.mark.parametrize("old", [False, True])
def test_a_micro_batch_holds_about_as_many_events_as_it_may_and_never_more(pi: Clocked, old: bool) -> None:
    pi.now = 600
    engine = Engine(lambda: reader(max_events_per_trigger="100"), old=old)
    engine.run()
    assert rows(engine) == wanted(0, 595)
    held = batches(engine)
    assert max(held) <= 100
    assert min(held[:-1]) >= 50
    assert pi.counted <= 2 * len(held) + 4


def test_both_bounds_hold() -> None:
    engine = Engine(lambda: reader(max_events_per_trigger="30", max_window_per_trigger="10s"))
    engine.run()
    assert rows(engine) == wanted(0, 55)
    assert max(batches(engine)) <= 20
    engine = Engine(lambda: reader(max_events_per_trigger="10", max_window_per_trigger="10s"))
    engine.run()
    assert rows(engine) == wanted(0, 55)
    assert max(batches(engine)) <= 10


def test_a_server_that_does_not_count_is_told_with_what_to_do(pi: Clocked) -> None:
    pi.replies["streamsets/summary"] = lambda _: {}
    with pytest.raises(UnexpectedReply, match=r"does not count events .* 'max_window_per_trigger'") as caught:
        reader(max_events_per_trigger="5").latestOffset()
    assert is_told_alone(caught.value)


def test_the_years_before_the_first_event_are_one_micro_batch(pi: Clocked) -> None:
    pi.now = 600
    engine = Engine(lambda: reader(start_time="earliest", max_window_per_trigger="1m"))
    engine.run()
    assert rows(engine) == wanted(0, 595)
    first, *others = engine.windows
    assert first.start.year == 1970
    assert BASE - timedelta(minutes=1) <= first.end <= BASE
    assert max(w.end - w.start for w in others) == timedelta(minutes=1)


def test_years_that_cannot_be_counted_are_read_all_the_same(pi: Clocked) -> None:
    pi.replies["streamsets/summary"] = lambda _: {}
    begin = reader(start_time="earliest", max_window_per_trigger="6h").latestOffset()
    assert window_of(begin).end - window_of(begin).start == timedelta(hours=6)


def test_spark_is_told_whether_there_is_a_bound() -> None:
    assert isinstance(reader().getDefaultReadLimit(), ReadAllAvailable)
    assert isinstance(reader(max_window_per_trigger="1h").getDefaultReadLimit(), ReadMaxRows)


def test_a_trigger_that_takes_all_ignores_the_bound() -> None:
    one = reader(max_window_per_trigger="20s")
    assert window_of(one.latestOffset(one.initialOffset(), ReadAllAvailable())).end == at(55)


@pytest.mark.parametrize("bound", [{}, {"max_window_per_trigger": "20s"}])
def test_available_now_ends_at_the_present_of_its_start(pi: Clocked, bound: dict[str, str]) -> None:
    one = reader(**bound)
    one.prepareForTriggerAvailableNow()
    pi.now = 1000
    position, limit = one.initialOffset(), one.getDefaultReadLimit()
    for _ in range(10):
        position = one.latestOffset(position, limit)
    assert window_of(position).end == at(55)
    assert window_of(one.reportLatestOffset()).end == at(995)


def test_available_now_drains_and_the_next_run_goes_on(pi: Clocked) -> None:
    engine = Engine(lambda: reader(max_window_per_trigger="7s"), available_now=True)
    engine.run()
    pi.now = 90
    engine.run()
    assert rows(engine) == wanted(0, 85)


def test_an_empty_window_is_no_task_and_asks_for_no_point(pi: Clocked) -> None:
    one = reader()
    begin = one.initialOffset()
    pi.gets.clear()
    assert one.partitions(begin, begin) == []
    assert pi.gets == []


def test_a_replayed_batch_plans_the_same_tasks_whenever_it_is_planned(pi: Clocked) -> None:
    first = reader()
    start, end = through_json(first.initialOffset()), through_json(first.latestOffset())
    planned = [p.value for p in first.partitions(start, end)]
    pi.now = 500
    again = [p.value for p in reader().partitions(start, end)]
    assert again == planned
    assert {task.ingestion_time for task in planned} == {at(55)}


def test_a_tag_that_comes_and_one_that_goes_do_not_stop_the_stream(pi: Clocked) -> None:
    engine = Engine(lambda: reader(tags="T1,T2,X*"))
    pi.tags = ["T1", "T2", "X1"]
    engine.run()
    pi.tags, pi.now = ["T1"], 80
    engine.run()
    assert rows(engine) == wanted(0, 75)
    pi.now = 90
    engine.run()
    assert json.loads(engine.log[-1])["to"] == "2024-05-01T00:01:25Z"


def test_a_tag_that_selects_nothing_is_told_when_a_stream_first_starts() -> None:
    with pytest.raises(NoTagMatches, match="'T9'"):
        reader(tags="T1,T9").initialOffset()


def test_the_clock_is_asked_once_a_second_however_often_spark_asks(
    pi: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking = [100.0]
    monkeypatch.setattr(data_servers, "INTERVAL_S", 1.0)
    monkeypatch.setattr(data_servers.time, "monotonic", lambda: ticking[0])
    one = reader()
    position = one.initialOffset()
    pi.gets.clear()
    for _ in range(60):
        one.latestOffset(position, None)
        one.reportLatestOffset()
        ticking[0] += 0.1
    assert len(pi.gets) == 5


def test_the_newest_time_is_told_without_a_request(pi: Clocked) -> None:
    one = reader()
    one.latestOffset()
    pi.gets.clear()
    one.reportLatestOffset()
    assert pi.gets == []


def test_a_micro_batch_waits_until_a_second_is_new(pi: Clocked) -> None:
    end = reader().latestOffset()
    pi.now += 0.5
    assert reader().latestOffset(end) == end
    assert window_of(reader(min_window_per_trigger="0s").latestOffset(end)).end == at(55.5)
    frozen = reader()
    frozen.prepareForTriggerAvailableNow()
    assert window_of(frozen.latestOffset(end)).end == at(55.5)
    pi.now += 0.5
    assert window_of(reader().latestOffset(end)).end == at(56)


def test_the_offset_text_has_a_fixed_order_and_round_trips() -> None:
    value = Position(Window(moment(15), moment(25_000_000)), moment(0), "2-ab").to_json()
    text = (
        '{"version": 2, "from": "2024-05-01T00:00:00.000001Z", "to": "2024-05-01T00:00:02.500Z", '
        '"started": "2024-05-01T00:00:00Z", "points": "2-ab"}'
    )
    assert json.dumps(value) == text
    assert window_of(json.loads(text)) == Window(moment(15), moment(25_000_000))


@pytest.mark.parametrize("version", [3, "1", None, 1.0, True])
def test_an_offset_of_another_version_is_refused(version: Any) -> None:
    with pytest.raises(OffsetError) as caught:
        window_of({"version": version, "watermark": 5})
    assert str(caught.value) == (
        f"the checkpoint's offset has version {version!r}, and this pi-datasource reads up to 2; upgrade it"
    )


def test_a_checkpoint_of_version_1_goes_on_where_it_stands() -> None:
    for old in (False, True):
        engine = Engine(reader, old=old, commits=2)
        engine.log = [
            '{"version": 1, "from": "2024-05-01T00:00:00Z", "to": "2024-05-01T00:00:00Z"}',
            '{"version": 1, "from": "2024-05-01T00:00:00Z", "to": "2024-05-01T00:00:20Z"}',
        ]
        engine.run()
        assert rows(engine) == wanted(20, 55)
        assert json.loads(engine.log[-1])["version"] == 2


def test_a_failed_first_batch_of_version_1_is_replayed_exactly() -> None:
    engine = Engine(lambda: reader(start_time="*-5s"))
    engine.log = ['{"version": 1, "from": "2024-05-01T00:00:10Z", "to": "2024-05-01T00:00:20Z"}']
    engine.run()
    assert rows(engine) == wanted(10, 55)


def test_nothing_new_after_version_1_is_the_very_same_text() -> None:
    text = '{"version": 1, "from": "2024-05-01T00:00:10Z", "to": "2024-05-01T00:00:55Z"}'
    assert json.dumps(reader().latestOffset(json.loads(text))) == text


def test_offsets_that_go_back_are_refused_in_one_sentence() -> None:
    early, late = (Position(Window(at(0), at(s)), at(0), "1-x").to_json() for s in (10, 20))
    with pytest.raises(
        OffsetError, match="offsets go backwards, from 2024-05-01T00:00:20Z to 2024-05-01T00:00:10Z"
    ):
        reader().partitions(late, early)


@pytest.mark.parametrize(
    "value",
    [
        {"version": 2, "from": "2024-05-01", "to": "2024-05-01"},
        {"version": 2, "from": "2024-05-01", "to": "2024-05-01", "started": "2024-05-01"},
        {"version": 2, "from": "2024-05-01", "to": "2024-05-01", "started": "2024-05-01", "points": 5},
        {}, None, 5, "x", [], {"from": "2024-05-01"}, {"version": 1}, {"version": 1, "from": "x", "to": "y"},
        {"version": 1, "from": None, "to": None}, {"version": 1, "from": "2024-05-02", "to": "2024-05-01"},
    ],
)  # fmt: skip
def test_what_is_no_offset_of_ours_is_refused_and_shown(value: Any) -> None:
    with pytest.raises(OffsetError) as caught:
        window_of(value)
    assert str(caught.value) == (
        f"the checkpoint's offset {value!r} was not written by format('pi'); use this stream's own checkpoint folder"
    )


def test_a_refused_offset_reaches_the_user_as_one_sentence() -> None:
    with pytest.raises(OffsetError) as caught:
        reader().latestOffset({"version": 9}, None)
    assert is_told_alone(caught.value)


def test_a_schema_with_another_column_is_refused_when_the_stream_is_made() -> None:
    with pytest.raises(InvalidOption, match="there is no column 'x'"):
        PIStreamReader(Options.parse({"url": "h"}), schema.pa.schema([("x", schema.pa.string())]))


def test_reading_nothing_is_nothing() -> None:
    assert list(reader().read(None)) == []


def test_stopping_and_committing_change_nothing() -> None:
    one = reader()
    begin = one.initialOffset()
    one.commit(begin)
    one.stop()
    assert one.initialOffset() == begin
