"""Long requests: others are answered meanwhile, and they end when they exceed a limit or nobody waits."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from anyio import to_thread

from mock_server import Plant, running
from mock_server.plant.checkpoints import checkpoint, paced
from mock_server.plant.history import History
from mock_server.server import scheduler
from mock_server.server.scheduler import Abandoned, Computation, QueryTimeout, Scheduler

PLANT = Plant(seed=3, tags=64, plants=2)
WIDE = "startTime=0001-01-01&endTime=9999-12-31"
TOO_MANY = {"Errors": ["[-11091] Event collection exceeded the maximum allowed."]}
TOO_LONG = {"Errors": ["[-10722] PINET: Timeout on PI RPC or System Call."]}


class Gate:
    """Holds each read of a year or more, once `closed`, in a loop that is only as polite as a long one is."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.reached = threading.Semaphore(0)
        self.abandoned = threading.Semaphore(0)

    def hold(self) -> None:
        self.reached.release()
        try:
            while not self.opened.is_set():
                checkpoint()
        except Abandoned:
            self.abandoned.release()
            raise

    @contextmanager
    def around(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
        """Reads of whole histories wait at the gate while the block runs."""
        read = History.window

        def window(history: History, points: Any, low: int, high: int, **more: Any) -> Any:
            if high - low > 366 * 864_000_000_000 and more.get("limit") not in (None, 1):
                self.hold()
            return read(history, points, low, high, **more)

        monkeypatch.setattr(History, "window", window)
        try:
            yield self
        finally:
            self.opened.set()


def wide_urls() -> list[str]:
    web_id = PLANT.points[0].web_id()
    several = "&".join(f"webId={point.web_id()}" for point in PLANT.points[:2])
    member = {"Method": "GET", "Resource": f"http://h/piwebapi/streams/{web_id}/plot?{WIDE}"}
    return [
        f"/streams/{web_id}/recorded?{WIDE}",
        f"/streams/{web_id}/plot?{WIDE}",
        f"/streams/{web_id}/summary?{WIDE}&summaryType=Count",
        f"/streamsets/plot?{several}&{WIDE}",
        f"/streamsets/summary?{several}&{WIDE}&summaryType=Count",
        f"/streamsets/recorded?{several}&{WIDE}",
        f"/streamsets/joined?baseWebId={web_id}&subordinateWebId={web_id}&{WIDE}",
        f"/calculation/recorded?{WIDE}&expression={quote(repr(PLANT.points[0].name))}",
        f"/streams/{web_id}/recorded?{WIDE}&filterExpression={quote(chr(39) + '.' + chr(39) + ' > -1')}",
        "/batch " + json.dumps({"a": member}),
    ]


def ask(url: str, path: str) -> requests.Response:
    address, _, body = path.partition(" ")
    if body:
        return requests.post(url + address, data=body, headers={"X-Requested-With": "test"}, timeout=60)
    return requests.get(url + address, timeout=60)


def test_short_requests_are_answered_while_long_ones_are_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = wide_urls()
    monkeypatch.setattr(scheduler, "SLICE_S", 0.005)
    with (
        ThreadPoolExecutor(len(urls)) as pool,
        Gate().around(monkeypatch) as gate,
        running(PLANT, max_collect=2000) as url,
    ):
        long = [pool.submit(ask, url, path) for path in urls]
        for _ in urls:
            assert gate.reached.acquire(timeout=20)
        web_id = PLANT.points[1].web_id()
        for _ in range(5):
            for path in (f"/streams/{web_id}/value", "/system", f"/points/{web_id}", "/dataservers"):
                assert requests.get(url + path, timeout=20).status_code == 200
        assert not any(each.done() for each in long)
        gate.opened.set()
        statuses = [each.result(60).status_code for each in long]
        assert statuses == [200, *[500] * 4, 200, 200, 400, 500, 207]


def test_a_long_request_ends_when_its_client_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    with Gate().around(monkeypatch) as gate, running(PLANT, admin=True) as url:
        parts = urlsplit(url)
        client = HTTPConnection(str(parts.hostname), parts.port)
        client.request("GET", f"/piwebapi{wide_urls()[0]}")
        assert gate.reached.acquire(timeout=20)
        client.close()
        assert gate.abandoned.acquire(timeout=20)


def test_a_long_request_ends_when_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadPoolExecutor(1) as pool, Gate().around(monkeypatch) as gate:
        with running(PLANT) as url:
            long = pool.submit(ask, url, wide_urls()[0])
            assert gate.reached.acquire(timeout=20)
        assert gate.abandoned.acquire(timeout=20)
        with pytest.raises(requests.ConnectionError):
            long.result(20)


@pytest.mark.parametrize("kind", ["summary?summaryType=Count&", "plot?", "recorded?filterExpression=0&"])
def test_reads_of_too_many_events_are_refused_as_by_the_archive(make_client: Any, kind: str) -> None:
    client = make_client(plant=PLANT, max_collect=2000)
    web_id = client.point("FLOW").id
    for path in (f"/streams/{web_id}/{kind}", f"/streamsets/{kind}webId={web_id}&"):
        assert client.get(f"{path}startTime=0001-01-01", 500) == TOO_MANY
        assert client.get(f"{path}startTime=*-1h", 200)["Items"] is not None
    members = {
        name: {"Method": "GET", "Resource": f"http://h/piwebapi/streams/{web_id}/{kind}startTime={start}"}
        for name, start in (("wide", "0001-01-01"), ("short", "*-1h"))
    }
    answer = client.batch(members)
    assert (answer["wide"]["Status"], answer["wide"]["Content"]) == (500, TOO_MANY)
    assert answer["short"]["Status"] == 200


def test_a_calculation_over_too_many_events_is_refused(make_client: Any) -> None:
    client = make_client(plant=PLANT, max_collect=2000)
    name = client.point("FLOW").name
    url = f"/calculation/times?time=*&expression={quote(f'TagAvg({name!r},{chr(39)}*-5y{chr(39)},{chr(39)}*{chr(39)})')}"
    assert client.get(url, 500) == TOO_MANY


class Clock:
    """A second passes each time it is looked at."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 1.0
        return self.seconds


def compute(work: Callable[[], Any], limit_s: float, *, gone: bool = False) -> Any:
    """What `work` returns as a computation whose every checkpoint ends a slice."""

    async def is_gone() -> bool:
        return gone

    async def main() -> Any:
        computation = Computation(Scheduler(), is_gone, limit_s, Clock())
        return await to_thread.run_sync(computation.run, work)

    return asyncio.run(main())


def test_a_query_that_computes_for_too_long_is_refused(make_client: Any) -> None:
    client = make_client(plant=PLANT)
    web_id = client.point("FLOW").id
    path = f"/streams/{web_id}/recordedattimes?" + "&".join(["time=*-1h"] * 50)
    assert compute(lambda: client.get(path, 500), 20.0) == TOO_LONG
    assert len(compute(lambda: client.get(path), 1_000.0)["Items"]) == 50


def test_each_request_of_a_batch_may_compute_for_so_long(make_client: Any) -> None:
    client = make_client(plant=PLANT)
    web_id = client.point("FLOW").id
    resource = f"http://h/piwebapi/streams/{web_id}/recordedattimes?"
    short, long = resource + "time=*-1h", resource + "&".join(["time=*-1h"] * 50)
    members = {str(at): {"Method": "GET", "Resource": short} for at in range(40)}
    members["long"] = {"Method": "GET", "Resource": long}
    answer = compute(lambda: client.batch(members), 20.0)
    assert {member["Status"] for name, member in answer.items() if name != "long"} == {200}
    assert (answer["long"]["Status"], answer["long"]["Content"]) == (500, TOO_LONG)


def test_nothing_is_computed_for_a_client_that_has_left() -> None:
    seen: list[int] = []

    def work() -> None:
        seen.extend(paced(range(10_000)))

    with pytest.raises(Abandoned):
        compute(work, 1e9, gone=True)
    assert seen == []


def test_checkpoints_outside_of_a_server_do_nothing() -> None:
    assert [*paced(range(1000))] == [*range(1000)]
    checkpoint()


def test_long_computations_end_although_short_ones_keep_coming(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of computations that pause, each gets its turn, whatever else comes."""
    ended: list[str] = []
    monkeypatch.setattr(scheduler, "SLICE_S", 0.0)

    async def is_gone() -> bool:
        return False

    async def main() -> None:
        turns = Scheduler()
        done = asyncio.Event()

        def long() -> None:
            for _ in range(20):
                checkpoint()
            ended.append("long")

        async def short() -> None:
            while not done.is_set():
                await turns.run(lambda: None, is_gone, 1e9)
                ended.append("short")

        others = [asyncio.create_task(short()) for _ in range(8)]
        await turns.run(long, is_gone, 1e9)
        done.set()
        await asyncio.gather(*others)

    asyncio.run(asyncio.wait_for(main(), 60))
    assert "long" in ended
    assert "short" in ended[: ended.index("long")]


def test_the_limit_is_an_error_of_the_archive() -> None:
    assert str(QueryTimeout()) == TOO_LONG["Errors"][0]
