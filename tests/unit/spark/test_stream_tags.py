"""Which tags a stream reads, and from where: the list that ages, single starts, tags that are gone."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pi_datasource import schema
from pi_datasource.errors import Call, InvalidOption, NoTagMatches, ReadFailed, ServerError
from pi_datasource.model import ReadTask, Window
from pi_datasource.options.declaration import Options
from pi_datasource.points import start_times
from pi_datasource.points.tracked_points import TrackedPoints
from pi_datasource.recorded import fetch
from pi_datasource.spark.stream_reader import PIStreamReader, window_of
from pi_datasource.webapi import client, data_servers
from pi_datasource.webapi.envelope import failed_body
from pi_datasource.webapi.http_errors import Failures
from tests.unit.fakes import BASE, SECOND, FakePI, point, wire

LISTS = "dataservers/DSA/points"
EVENTS = [(i * SECOND, float(i)) for i in range(600)]  # one a second


def refused(
    path: str, status: int, body: bytes, kind: str = "application/json; charset=utf-8"
) -> ServerError:
    """What the client raises when ``path`` is answered so."""
    headers = {"Content-Type": kind}
    sayings = Failures("https://pi.example/piwebapi", 5.0, False)
    return sayings.refusal(Call("GET", path), failed_body(status, headers, body), headers)


class Site(FakePI):
    """A PI server whose clock and tags the test sets; every tag has the same events."""

    def __init__(self) -> None:
        super().__init__({f"W_T{i}": EVENTS for i in range(1, 10)})
        self.now = 60
        self.names = {"W_T1": "T1", "W_T2": "T2"}
        self.contents: dict[str, Any] = {}  # of a stream's 404
        self.replies = {"dataservers": self._servers, LISTS: self._points}
        for web_id in ("W_T1", "W_T2", "W_T3"):
            self.replies[f"points/{web_id}"] = lambda _, w=web_id: self._point(w)

    def _servers(self, _: Any) -> Any:
        return {"Items": [{"WebId": "DSA", "Name": "SRV", "ServerTime": wire(self.now * SECOND)}]}

    def _points(self, asked: dict[str, str]) -> Any:
        rows = [{"WebId": w, "Name": n, "PointType": "Float64"} for w, n in reversed(self.names.items())]
        return {"Items": rows if asked["startIndex"] == "0" else []}

    def _point(self, web_id: str) -> Any:
        if web_id in self.names:
            return {"WebId": web_id}
        return refused(f"points/{web_id}", 404, b'{"Errors":["The PI Point was not found."]}')

    def _content(self, web_id: str, asked: dict[str, str]) -> Any:
        if web_id in self.contents:
            return 404, self.contents[web_id]
        return super()._content(web_id, asked)

    def delete(self, web_id: str) -> None:
        del self.names[web_id]
        self.always_fails[web_id] = (404, "The PI Point was not found.")

    @property
    def lists(self) -> int:
        return sum(path == LISTS for path, _ in self.gets)


@pytest.fixture(autouse=True)
def pi(monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site()
    monkeypatch.setattr(client, "shared", lambda _: site)
    monkeypatch.setattr(data_servers, "INTERVAL_S", 0.0)
    return site


def reader(**given: str) -> PIStreamReader:
    options = {
        "url": "h",
        "start_time": "2024-05-01T00:00:00Z",
        "num_partitions": "2",
        "settle": "0s",
        **given,
    }
    return PIStreamReader(Options.parse(options), schema.timeseries())


class Following:
    """Takes one micro-batch after the other from a reader that keeps running."""

    def __init__(self, **given: str) -> None:
        self.reader = reader(**given)
        self.position = self.reader.initialOffset()

    def batch(self) -> dict[str, list[int]]:
        """The seconds of the next micro-batch's events by tag name."""
        end = self.reader.latestOffset(self.position, None)
        tasks = self.reader.partitions(self.position, end)
        self.position = end
        return read(tasks)


def read(tasks: list[Any]) -> dict[str, list[int]]:
    seconds: dict[str, list[int]] = {}
    for task in tasks:
        for batch in reader().read(task):
            for name, moment in zip(
                *(batch.column(c).to_pylist() for c in ("tag_name", "timestamp")), strict=True
            ):
                seconds.setdefault(name, []).append(int((moment - BASE).total_seconds()))
    return seconds


def span(start: int, end: int) -> list[int]:
    return list(range(start, end))


class TestTheList:
    """Listed when the stream starts, and again when it is old."""

    def test_it_is_kept_until_it_is_old_by_the_servers_clock(self, pi: Site) -> None:
        stream = Following(discovery_interval="2m")
        for pi.now in (60, 100, 140, 179):
            stream.batch()
        assert pi.lists == 1
        pi.now = 180
        stream.batch()
        assert pi.lists == 2

    def test_a_new_tag_is_read_from_its_next_window_on(
        self, pi: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        stream = Following(discovery_interval="30s")
        assert stream.batch() == {"T1": span(0, 60), "T2": span(0, 60)}
        pi.names["W_T3"], pi.now = "T3", 80
        assert set(stream.batch()) == {"T1", "T2"}
        pi.now = 100
        assert stream.batch() == dict.fromkeys(("T1", "T2", "T3"), span(80, 100))
        assert "1 tag(s) new, read from the next window on: T3" in caplog.text

    def test_a_renamed_tag_stays_what_it_is(self, pi: Site, caplog: pytest.LogCaptureFixture) -> None:
        stream = Following(discovery_interval="0s")
        stream.batch()
        pi.names["W_T2"], pi.now = "NEW", 70
        end = stream.reader.latestOffset(stream.position, None)
        tasks = stream.reader.partitions(stream.position, end)
        assert {(p.web_id, p.name) for task in tasks for p in task.value.points} == {
            ("W_T1", "T1"),
            ("W_T2", "NEW"),
        }
        assert "1 tag(s) renamed: T2 → NEW" in caplog.text

    def test_a_clock_that_was_set_back_makes_it_old(self) -> None:
        roster = TrackedPoints(Options.parse({"url": "h"}), lambda _: [point("A")])
        roster.refresh(BASE)
        kept = roster.points
        roster.refresh(BASE + timedelta(minutes=9))
        assert roster.points is kept
        roster.refresh(BASE - timedelta(seconds=1))
        assert roster.points is not kept

    def test_its_order_and_fingerprint_depend_on_the_points_alone(self) -> None:
        some = [point(name) for name in "CAB"]
        one, two, other = (
            TrackedPoints(Options.parse({"url": "h"}), lambda _, p=p: p) for p in (some, some[::-1], some[1:])
        )
        for roster in (one, two, other):
            roster.refresh(BASE)
        assert [p.name for p in one.points] == [p.name for p in two.points] == ["A", "B", "C"]
        assert one.fingerprint(None) == two.fingerprint(None) != other.fingerprint(None)
        assert one.fingerprint(None).startswith("3-")


class TestAServerThatListsNothing:
    """As when the account has lost its rights: what it does not see must not count as read."""

    def test_stops_a_running_stream_which_goes_on_later(self, pi: Site) -> None:
        stream = Following(discovery_interval="30s")
        stream.batch()
        hidden, pi.names, pi.now = pi.names, {}, 100
        with pytest.raises(
            NoTagMatches, match="lists no tag of this stream any more, and there were 2: nothing"
        ):
            stream.batch()
        pi.names = hidden
        assert stream.batch() == dict.fromkeys(("T1", "T2"), span(60, 100))

    def test_stops_a_stream_that_is_started_again_and_a_replay(self, pi: Site) -> None:
        first = Following()
        end = first.reader.latestOffset(first.position, None)
        pi.names, pi.now = {}, 100
        with pytest.raises(NoTagMatches, match="there were 2"):
            reader().latestOffset(end, None)
        with pytest.raises(NoTagMatches, match="there were 2"):
            reader().partitions(first.position, end)

    def test_is_no_trouble_where_there_was_none_before(self, pi: Site) -> None:
        pi.names = {}
        stream = Following(discovery_interval="30s")
        assert stream.batch() == {}
        pi.now = 100
        assert stream.batch() == {}
        assert reader().latestOffset(stream.position, None)["points"].startswith("0-")


class TestAReplay:
    """The same window again, by another process."""

    def test_plans_the_same_tasks_in_a_new_process(self, pi: Site) -> None:
        first = Following()
        end = json.loads(json.dumps(first.reader.latestOffset(first.position, None)))
        tasks = [p.value for p in first.reader.partitions(first.position, end)]
        pi.now = 300
        pi.names = dict(reversed(pi.names.items()))  # listed in another order
        assert [p.value for p in reader().partitions(first.position, end)] == tasks

    def test_says_that_tags_have_changed_and_reads_those_that_are_there(
        self, pi: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = Following()
        end = first.reader.latestOffset(first.position, None)
        same = reader()
        same.partitions(first.position, end)
        assert "is read again" not in caplog.text
        pi.names["W_T3"] = "T3"
        assert read(reader().partitions(first.position, end)) == dict.fromkeys(
            ("T1", "T2", "T3"), span(0, 60)
        )
        assert "a micro-batch is read again with other tags than the first time (2-" in caplog.text


class TestATagThatIsDeleted:
    """Known to the running stream, and no more to the server."""

    def test_ends_without_failing_and_is_told(self, pi: Site, caplog: pytest.LogCaptureFixture) -> None:
        stream = Following(discovery_interval="30s")
        stream.batch()
        pi.delete("W_T2")
        pi.now = 80
        assert stream.batch() == {"T1": span(60, 80)}
        assert (
            "T2 is deleted, or hidden from this account: none of its events is read in [2024-05-01T00:01:00Z"
            in caplog.text
        )
        pi.now = 100
        asked = len(pi.calls)
        assert stream.batch() == {"T1": span(80, 100)}
        assert {web_id for call in pi.calls[asked:] for web_id, _, _ in call} == {"W_T1"}

    def test_is_a_row_for_those_who_want_to_know_of_the_read(self, pi: Site) -> None:
        stream = Following(report_metrics="true")
        stream.batch()
        pi.delete("W_T2")
        pi.now = 80
        end = stream.reader.latestOffset(stream.position, None)
        tasks = stream.reader.partitions(stream.position, end)
        rows = [row for task in tasks for batch in stream.reader.read(task) for row in batch.to_pylist()]
        told = [
            (row["tag_webid"], row["value_kind"]) for row in rows if row["value_kind"] in schema.STATUS_KINDS
        ]
        assert sorted(told) == [("W_T1", "read_metrics"), ("W_T2", "deleted_point"), ("W_T2", "read_metrics")]
        metrics = [
            json.loads(row["value_string"]) for row in rows if row["value_kind"] == schema.READ_METRICS
        ]
        assert [each["offset"] for each in metrics] == [end, end]

    def test_leaves_a_row_that_says_where_the_micro_batch_ends_when_no_tag_has_begun(
        self, pi: Site, tmp_path: Path
    ) -> None:
        file = tmp_path / "starts.json"
        file.write_text(json.dumps({"T1": "2024-05-01T00:00:00Z", "T2": "2024-05-01T00:00:40Z"}))
        given = {"discovery_interval": "0s", "max_window_per_trigger": "20s", "start_times": str(file)}
        stream = Following(report_metrics="true", **given)
        stream.batch()
        pi.delete("W_T1")
        end = stream.reader.latestOffset(stream.position, None)
        (only,) = stream.reader.partitions(stream.position, end)
        (row,) = [row for batch in stream.reader.read(only) for row in batch.to_pylist()]
        assert (row["tag_webid"], row["value_kind"]) == ("", "read_metrics")
        assert json.loads(row["value_string"]) == {
            "calls": 0,
            "retries": 0,
            "throttled_seconds": 0.0,
            "offset": end,
        }

    def test_is_a_row_for_those_who_want_failures_as_rows(self, pi: Site) -> None:
        stream = Following(on_error="report")
        stream.batch()
        pi.delete("W_T2")
        pi.now = 80
        assert stream.batch() == {"T1": span(60, 80), "T2": [60]}

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (404, b"<html><body>404 Not Found</body></html>", "text/html"),
            (404, b"<html><body>404 Not Found</body></html>", "application/json"),
            (404, b"", "application/json"),
            (404, b"", "text/plain"),
            (404, b"Not Found", "text/plain"),
            (
                404,
                b'{"Message":"No HTTP resource was found that matches the request URI"}',
                "application/json",
            ),
            (404, b'{"Message":"The requested resource was not found"}', "application/json"),
            (404, b'{"error":"not found"}', "application/json"),
            (404, b'{"errors":["not found"]}', "application/json"),
            (404, b'{"Errors":[]}', "application/json"),
            (404, b'{"Errors":[{"code":5}]}', "application/json"),
            (404, b'["Errors"]', "application/json"),
            (404, b'{"Errors":["PI Point not found"]}', "text/html"),
            (403, b'{"Errors":["no right"]}', "application/json"),
        ],
    )
    def test_is_one_by_pi_web_apis_own_words_only(
        self, pi: Site, status: int, body: bytes, kind: str
    ) -> None:
        stream = Following()
        stream.batch()
        pi.delete("W_T2")
        pi.replies["points/W_T2"] = lambda _: refused("points/W_T2", status, body, kind)
        pi.now = 80
        before = stream.position
        with pytest.raises(ReadFailed, match=r"T2 \(HTTP 404\): The PI Point was not found"):
            stream.batch()
        pi.replies["points/W_T2"] = lambda _: pi._point("W_T2")  # PI Web API answers again
        stream.position = before  # Spark commits no micro-batch that failed
        assert stream.batch() == {"T1": span(60, 80)}

    @pytest.mark.parametrize(
        "content",
        [
            "<html><body>404 Not Found</body></html>",
            "",
            None,
            {},
            {"Message": "No HTTP resource was found that matches the request URI"},
            {"error": "not found"},
            {"Errors": []},
        ],
        ids=str,
    )
    def test_is_not_one_whose_events_are_not_found_in_other_words(self, pi: Site, content: Any) -> None:
        stream = Following()
        stream.batch()
        pi.delete("W_T2")
        pi.contents["W_T2"] = content
        pi.now = 80
        with pytest.raises(
            ReadFailed, match=r"T2 \(HTTP 404\): .*\(not PI Web API's answer for a tag: check 'url'"
        ):
            stream.batch()

    def test_is_not_one_that_is_still_there(self, pi: Site) -> None:
        stream = Following()
        stream.batch()
        pi.always_fails["W_T2"] = (404, "gone")
        pi.now = 80
        with pytest.raises(ReadFailed, match=r"T2 \(HTTP 404\)"):
            stream.batch()

    def test_fails_a_batch_read(self, pi: Site) -> None:
        pi.delete("W_T2")
        task = ReadTask(
            "pi_timeseries", Window(BASE, BASE + timedelta(seconds=9)), (point("T2"),), BASE, 100, 10
        )
        with pytest.raises(ReadFailed):
            list(fetch.run(pi, task, schema.timeseries()))  # type: ignore[arg-type]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "starts.csv"
    path.write_text("tag,start\nT1,2024-05-01T00:00:30Z\nX*,*-10s\n", encoding="utf-8")
    return path


class TestSingleStarts:
    """The option ``start_times``."""

    def test_each_tag_starts_where_the_file_says(self, pi: Site, table: Path) -> None:
        pi.names["W_T3"] = "X3"
        stream = Following(start_times=str(table), start_time="*-50s", max_window_per_trigger="25s")
        assert window_of(stream.position).start == BASE + timedelta(seconds=10)
        held = [stream.batch() for _ in range(2)]
        assert held[0] == {"T1": span(30, 35), "T2": span(10, 35)}
        assert held[1] == {"T1": span(35, 60), "T2": span(35, 60), "X3": span(50, 60)}
        pi.now = 70
        assert stream.batch() == dict.fromkeys(("T1", "T2", "X3"), span(60, 70))

    def test_a_start_before_start_time_begins_the_stream(self, pi: Site, tmp_path: Path) -> None:
        path = tmp_path / "starts.json"
        path.write_text('{"t2": "2024-05-01T00:00:05Z"}', encoding="utf-8")
        stream = Following(start_times=str(path), start_time="2024-05-01T00:00:20Z")
        assert stream.batch() == {"T1": span(20, 60), "T2": span(5, 60)}
        assert len(pi.shapes) <= 2

    def test_what_is_relative_counts_from_the_first_start_in_a_replay_too(
        self, pi: Site, table: Path
    ) -> None:
        pi.names["W_T3"] = "X3"
        first = Following(start_times=str(table))
        end = first.reader.latestOffset(first.position, None)
        pi.now = 300
        again = reader(start_times=str(table))
        assert read(again.partitions(again.initialOffset(), end))["X3"] == span(50, 60)

    def test_a_file_that_has_changed_is_told_in_a_replay(
        self, table: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = Following(start_times=str(table))
        end = first.reader.latestOffset(first.position, None)
        table.write_text("tag,start\nT1,2024-05-01T00:00:40Z\n", encoding="utf-8")
        reader(start_times=str(table)).partitions(first.position, end)
        assert "start_times has changed" in caplog.text

    def test_the_file_is_not_needed_when_every_tag_has_started(self, pi: Site, table: Path) -> None:
        stream = Following(start_times=str(table))
        stream.batch()
        table.unlink()
        pi.now = 90
        later = reader(start_times=str(table))
        end = later.latestOffset(stream.position, None)
        assert read(later.partitions(stream.position, end)) == dict.fromkeys(("T1", "T2"), span(60, 90))

    def test_a_start_in_the_future_is_the_present(self, tmp_path: Path) -> None:
        path = tmp_path / "s.csv"
        path.write_text("tag,start\nT1,2030-01-01\nT2,2030-01-01\n", encoding="utf-8")
        assert window_of(reader(start_times=str(path)).initialOffset()).start == BASE + timedelta(seconds=60)

    def test_a_name_of_no_tag_is_told(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = tmp_path / "s.csv"
        path.write_text("tag,start\nT9,*-1d\n", encoding="utf-8")
        reader(start_times=str(path)).initialOffset()
        assert "start_times: no selected tag is called 't9'" in caplog.text

    def test_a_name_goes_before_patterns_and_of_these_the_first(self, tmp_path: Path) -> None:
        path = tmp_path / "s.csv"
        path.write_text("tag,start\nA*,*-3h\n*,*-2h\nAB,*-1h\n\nA[1]?,*-4h\n", encoding="utf-8")
        known = start_times.read(path)
        assert [known.of(name) for name in ("ab", "AX", "B", "A[1]x")] == ["*-1h", "*-3h", "*-2h", "*-3h"]
        assert start_times.Starts({}, known.patterns[2:]).of("A[1]x") == "*-4h"
        assert start_times.Starts({}, known.patterns[2:]).of("A1x") is None

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("T1,*-1d\n", "has to begin with the line tag,start"),
            ("", "has to begin with the line tag,start"),
            ("tag,start\nT1,soon\n", "line 2: 'soon' is not a valid time"),
            ("tag,start\nT1\n", "line 2: a tag and a start are wanted, found 1 cells"),
            ('{"T1": 5}', "tag 'T1': its start is 5 and not a string"),
            ("{", "is not valid JSON"),
        ],
    )
    def test_another_file_is_refused_and_the_place_named(self, tmp_path: Path, text: str, told: str) -> None:
        path = tmp_path / "s.csv"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InvalidOption) as caught:
            reader(start_times=str(path)).initialOffset()
        assert told in str(caught.value)
        assert str(caught.value).startswith("option 'start_times': ")

    def test_a_file_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidOption, match="cannot be read: No such file"):
            reader(start_times=str(tmp_path / "none.csv")).initialOffset()


def test_the_stream_says_nothing_when_nothing_changes(pi: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        stream = Following(discovery_interval="0s")
        for pi.now in (60, 70, 80):
            stream.batch()
    assert caplog.text == ""
