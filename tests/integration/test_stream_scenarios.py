"""What happens to a plant, its server and their clocks while a stream runs: nothing is lost, nothing is doubled.

Spark's loop is played in Python here, over real HTTP to the simulator; ``test_stream_read`` and ``tests/matrix`` do the
same with Spark itself.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mock_server import Plant, running
from pi_datasource.errors import ServerUnreachable
from pi_datasource.webapi import client, data_servers
from tests.integration.support.clock import NOW, Clock
from tests.integration.support.comparison import assert_equals_oracle
from tests.integration.support.engine import following

pytestmark = pytest.mark.integration

HOUR, MINUTE, SETTLE = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=5)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is asked each time, because tests move it; a client lives as long as its test."""
    monkeypatch.setattr(data_servers, "INTERVAL_S", 0.0)
    client.shared.cache_clear()


@dataclass
class Site:
    """A simulated site whose clock the test moves, and the requests that came."""

    plant: Plant
    clock: Clock
    url: str
    access: Path

    def requests(self) -> list[str]:
        """Path and query of each, oldest first."""
        return (
            [line.split()[1] for line in self.access.read_text().splitlines()] if self.access.exists() else []
        )


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    with ExitStack() as servers:

        def start(plant: Plant, at: datetime = NOW) -> Site:
            clock, access = Clock(at), tmp_path / f"access-{len(list(tmp_path.iterdir()))}.log"
            url = servers.enter_context(running(plant, clock=clock, access_log=access))
            return Site(plant, clock, url, access)

        yield start


both = pytest.mark.parametrize("old", [False, True], ids=["admission", "spark-4.0"])


class TestBounds:
    """How large a micro-batch may be."""

    @both
    def test_events_bound_every_micro_batch_and_all_arrive(
        self, serve: Callable[..., Site], old: bool
    ) -> None:
        site = serve(Plant(seed=3, tags=64, plants=4))
        engine = following(site.url, {"start_time": "*-1h", "max_events_per_trigger": "2000"}, old=old)
        engine.run()
        assert_equals_oracle(site.plant, engine.table, NOW - HOUR, NOW - SETTLE)
        held = Counter(engine.table["ingestion_timestamp"].to_pylist())
        assert len(held) > 3
        # PI counts no system states, of which there are some in a hundred.
        assert max(held.values()) <= 2100
        assert min(list(held.values())[:-1]) >= 900

    def test_what_is_bounded_by_a_window_from_the_earliest_time_on_skips_no_event(
        self, serve: Callable[..., Site]
    ) -> None:
        site = serve(Plant(seed=3, tags=4, plants=1, history_start=NOW - 2 * HOUR))
        engine = following(site.url, {"start_time": "earliest", "max_window_per_trigger": "30m"})
        engine.run()
        assert_equals_oracle(site.plant, engine.table, datetime(1970, 1, 1, tzinfo=NOW.tzinfo), NOW - SETTLE)
        assert 4 <= len(engine.log) <= 7


class TestClocks:
    """Of the server; the client's is never looked at."""

    @both
    def test_whatever_the_clock_does_the_table_holds_every_event_once(
        self, serve: Callable[..., Site], old: bool
    ) -> None:
        site = serve(Plant(seed=5, tags=8, plants=1))
        chance = random.Random(7)
        engine = following(site.url, {"start_time": "*-10m", "max_window_per_trigger": "20m"}, old=old)
        engine.run(batches=1)
        newest = NOW
        for step in range(20):
            minutes = chance.choice((1, 5, 15, 60, -3, -30, -240))
            site.clock.now += minutes * MINUTE
            newest = max(newest, site.clock.now)
            if step % 4 == 0:
                engine.run(available_now=chance.random() < 0.5)
            else:
                engine.go_on()
        site.clock.now = newest + HOUR
        engine.run()
        ends = [window.end for window in engine.windows]
        assert ends == sorted(ends)
        assert_equals_oracle(site.plant, engine.table, NOW - 10 * MINUTE, newest + HOUR - SETTLE)

    @both
    def test_a_clock_set_back_makes_no_batch_until_it_has_caught_up(
        self, serve: Callable[..., Site], old: bool
    ) -> None:
        site = serve(Plant(seed=5, tags=8, plants=1))
        engine = following(site.url, {"start_time": "*-10m"}, old=old)
        engine.run()
        for back in (timedelta(seconds=1), HOUR, timedelta(days=400)):
            site.clock.now = NOW - back
            assert engine.run() == 0
            assert engine.go_on() == 0
        site.clock.now = NOW + MINUTE
        assert engine.run() == 1
        assert_equals_oracle(site.plant, engine.table, NOW - 10 * MINUTE, NOW + MINUTE - SETTLE)

    @both
    def test_a_restart_after_a_week_goes_on_where_it_stood(
        self, serve: Callable[..., Site], old: bool
    ) -> None:
        site = serve(Plant(seed=6, tags=4, plants=1))
        options = {"start_time": "*-1h", "max_window_per_trigger": "1d"}
        engine = following(site.url, options, old=old)
        engine.run()
        site.clock.now += timedelta(days=7)
        options["start_time"] = "*-5m"  # counts for the first run only
        assert engine.run() == 7
        assert_equals_oracle(site.plant, engine.table, NOW - HOUR, site.clock.now - SETTLE)

    def test_available_now_ends_at_the_server_s_time_at_its_start(self, serve: Callable[..., Site]) -> None:
        site = serve(Plant(seed=6, tags=4, plants=1))
        engine = following(site.url, {"start_time": "*-1h", "max_window_per_trigger": "10m"})
        engine.run(batches=2)
        site.clock.now += HOUR
        engine.go_on()
        assert len(engine.log) == 6
        assert_equals_oracle(site.plant, engine.table, NOW - HOUR, NOW - SETTLE)


class TestStarts:
    """Where a stream begins."""

    @pytest.mark.parametrize(
        ("start_time", "begins"),
        [
            ("latest", NOW),
            ("*-90s", NOW - 90 * timedelta(seconds=1)),
            ("t-1h", NOW - HOUR),
            ("2026-02-28T23:00:00Z", NOW - HOUR),
            ("earliest", datetime(1970, 1, 1, tzinfo=NOW.tzinfo)),
        ],
    )
    def test_every_way_to_say_it_reads_from_there(
        self, serve: Callable[..., Site], start_time: str, begins: datetime
    ) -> None:
        site = serve(Plant(seed=6, tags=8, plants=1, history_start=NOW - 2 * HOUR))
        engine = following(site.url, {"start_time": start_time})
        engine.run()
        site.clock.now += MINUTE
        engine.run()
        assert_equals_oracle(site.plant, engine.table, begins, NOW + MINUTE - SETTLE)

    def test_single_tags_start_where_a_file_says(self, serve: Callable[..., Site], tmp_path: Path) -> None:
        site = serve(Plant(seed=6, tags=16, plants=1))
        names = [point.name for point in site.plant.points]
        chance = random.Random(1)
        begins = {name: NOW - timedelta(seconds=chance.randrange(1, 7200)) for name in names[:12]}
        file = tmp_path / "starts.csv"
        file.write_text("tag,start\n" + "".join(f"{n},{t.isoformat()}\n" for n, t in begins.items()))
        engine = following(
            site.url,
            {
                "start_times": str(file),
                "start_time": "*-20m",
                "max_window_per_trigger": "25m",
                "on_error": "report",
            },
        )
        engine.run(fails_in=1)
        engine.run()
        site.clock.now += HOUR
        engine.run()
        for name in names:
            rows = engine.table.filter(pc.equal(engine.table["tag_name"], name))
            begin = begins.get(name, NOW - 20 * MINUTE)
            assert_equals_oracle(site.plant, rows, begin, NOW + HOUR - SETTLE, [name])


class TestTagsThatChange:
    """New, renamed and deleted ones, by a schedule of the simulator."""

    @both
    def test_each_is_read_once_from_its_first_window_to_its_last(
        self, serve: Callable[..., Site], old: bool
    ) -> None:
        begin = NOW - timedelta(hours=8)
        plant = Plant(seed=11, tags=16, plants=1, churn=240.0, history_start=begin)
        site = serve(plant, begin + MINUTE)
        engine = following(site.url, {"start_time": "*-1m", "discovery_interval": "7m"}, old=old)
        known: list[set[str]] = []
        engine.run(available_now=False)  # which would end at the time of its start
        for step in range(40):
            known.append({point.web_id("IDOnly") for point in plant.points})
            site.clock.now += 5 * MINUTE
            if step % 15 == 14:
                engine.run(available_now=False)
            else:
                engine.go_on()
        ids = set(engine.table["tag_webid"].to_pylist())
        assert len(set.union(*known) - known[0]) > 2, "no tag was new"
        assert len(set.union(*known) - known[-1]) > 2, "no tag was deleted"
        always = set.intersection(*known, {point.web_id("IDOnly") for point in plant.points})
        assert ids >= always
        names = {point.web_id("IDOnly"): point.name for point in plant.points}
        for web_id in always:  # renamed or not
            rows = engine.table.filter(pc.equal(engine.table["tag_webid"], web_id))
            truth = plant.oracle_table([names[web_id]], begin, site.clock.now - SETTLE)
            assert rows.num_rows == truth.num_rows, names[web_id]
        assert any(len(set(_names_of(engine.table, web_id))) > 1 for web_id in always), "no tag was renamed"
        keys = list(
            zip(*(engine.table[c].to_pylist() for c in ("tag_webid", "timestamp", "sequence")), strict=True)
        )
        assert len(keys) == len(set(keys))


def _names_of(table: pa.Table, web_id: str) -> list[str]:
    names: list[str] = table.filter(pc.equal(table["tag_webid"], web_id))["tag_name"].to_pylist()
    return names


class TestAServerThatIsDown:
    """For hours."""

    def test_fails_the_query_which_goes_on_when_it_is_started_again(self) -> None:
        plant, clock = Plant(seed=6, tags=4, plants=1), Clock(NOW)
        with running(plant, clock=clock) as url:
            port = int(url.rpartition(":")[2].partition("/")[0])
            engine = following(url, {"start_time": "*-10m", "max_retries": "0"})
            engine.run(available_now=False)
        clock.now += 5 * HOUR
        for _ in range(2):
            client.shared.cache_clear()
            with pytest.raises(ServerUnreachable, match="cannot reach"):
                engine.go_on()
        with running(plant, port, clock=clock):
            client.shared.cache_clear()  # another process
            engine.run()
        assert_equals_oracle(plant, engine.table, NOW - 10 * MINUTE, clock.now - SETTLE)

    def test_is_waited_for_by_a_query_that_was_told_to(self) -> None:
        plant, clock = Plant(seed=6, tags=4, plants=1), Clock(NOW)
        options = {"start_time": "*-10m", "max_retries": "0", "wait_for_server": "12h"}
        with running(plant, clock=clock) as url:
            port = int(url.rpartition(":")[2].partition("/")[0])
            engine = following(url, options)
            engine.run(available_now=False)
        clock.now += 5 * HOUR
        client.shared.cache_clear()
        assert [engine.go_on() for _ in range(5)] == [0] * 5
        with running(plant, port, clock=clock):
            client.shared.cache_clear()  # the breaker would leave the server alone for half a minute
            assert engine.go_on() == 1
        assert_equals_oracle(plant, engine.table, NOW - 10 * MINUTE, clock.now - SETTLE)


class TestReplays:
    """The same window, planned and read again."""

    def test_send_the_same_requests(self, serve: Callable[..., Site]) -> None:
        site = serve(Plant(seed=8, tags=32, plants=2))
        options = {"start_time": "*-1h", "max_window_per_trigger": "20m"}
        engine = following(site.url, options)
        engine.run(fails_in=2)
        site.clock.now += HOUR
        start = engine.log[1]
        plans = []
        for _ in range(2):
            again = following(site.url, options, log=engine.log[:3], commits=2)
            with suppress(StopIteration):
                again.run(batches=0)
            plans.append(again.tasks)
        assert plans[0] == plans[1]
        assert len(plans[0][0]) > 1
        assert engine.log[1] == start
        engine.run()
        assert_equals_oracle(site.plant, engine.table, NOW - HOUR, NOW + HOUR - SETTLE)


class TestIdling:
    """A stream that has nothing to read."""

    @both
    def test_costs_one_small_request_a_trigger(self, serve: Callable[..., Site], old: bool) -> None:
        site = serve(Plant(seed=8, tags=32, plants=2))
        engine = following(site.url, {"start_time": "*-1h", "discovery_interval": "0s"}, old=old)
        engine.run(available_now=False)
        before = len(site.requests())
        for _ in range(50):
            assert engine.go_on() == 0
        sent = site.requests()[before:]
        assert len(sent) == 50
        assert all(request.startswith("/piwebapi/dataservers?") for request in sent)
