"""Whatever becomes of answers on their way: the rows are the oracle's, or an error or a failure row names what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from random import Random

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mock_server import Plant, Server
from oracle_check import compare
from pi_datasource import schema
from pi_datasource.errors import NoTagMatches, ReadFailed, ServerError
from pi_datasource.options.declaration import Options
from pi_datasource.planning.pruning import Pruning
from pi_datasource.recorded import fetch
from pi_datasource.spark.stream_reader import PIStreamReader
from pi_datasource.tables.timeseries import Timeseries
from pi_datasource.webapi import client
from pi_datasource.webapi.client import PIClient
from tests.engine import Engine

from . import proxy
from .proxy import DamagingProxy, damaging

NOW = datetime(2025, 6, 2, 12, tzinfo=timezone.utc)
START = NOW - timedelta(minutes=70)
END = NOW - timedelta(minutes=10)
PLANT = Plant(seed=7, tags=12, plants=2)
SERVER = Server(PLANT, clock=lambda: NOW)
RESTARTS = 8  # of a stream
MOST_CALLS = 3_000  # of one read, damaged as it may be
PATIENCE_S = 600  # for a whole read on a busy machine: longer is a read that hangs
NAMED = (ServerError, ReadFailed, NoTagMatches)  # each says which call or which tags

Read = tuple[datetime, list[pa.RecordBatch]]  # from when on, and what
SEEDS = 560
FEW = range(0, SEEDS, 7)
MANY = [seed for seed in range(SEEDS) if seed not in FEW]


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pauses are not waited for; every client asks anew, as a worker would that was just started."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    client.shared.cache_clear()
    yield
    client.shared.cache_clear()


def options(url: str, rng: Random) -> dict[str, str]:
    return {
        "url": url,
        "start_time": START.isoformat(),
        "timeout": "2s",
        "settle": "10m",
        "max_retries": rng.choice(["1", "3", "5"]),
        "page_size": rng.choice(["20", "100", "10000"]),
        "read_mode": rng.choice(["auto", "streamsets", "streams"]),
        "on_error": rng.choice(["fail", "report"]),
        "num_partitions": rng.choice(["1", "3"]),
    }


def batch_read(given: dict[str, str]) -> Read:
    parsed = Options.parse({**given, "end_time": END.isoformat()})
    with PIClient(parsed, sleep=lambda _: None) as api:
        return START, [
            batch
            for task in Timeseries().plan(api, Pruning(parsed))
            for batch in fetch.run(api, task, schema.timeseries())
        ]


def stream_read(given: dict[str, str]) -> Read:
    """Micro-batches of half an hour up to the present; a stream that fails is started again.

    It begins at the start asked for, or at what the server's clock shows then if that is earlier.
    """
    parsed = Options.parse({**given, "max_window_per_trigger": "30m"})
    engine = Engine(lambda: PIStreamReader(parsed, schema.timeseries()))
    for attempt in range(RESTARTS):
        try:
            engine.run(available_now=True)
        except NAMED:
            if attempt == RESTARTS - 1:
                raise
            client.shared.cache_clear()
            continue
        if engine.windows and engine.windows[-1].end == END:
            return engine.windows[0].start, engine.batches
    message = f"the stream has come to {engine.windows[-1:]}"  # a clock behind the present, for ever
    raise ServerError(message)


def judge(seed: int) -> str:
    """The kind of outcome; fails where rows are missing, doubled or wrong without a word."""
    rng = Random(seed)
    with damaging(SERVER, seed) as (url, damaged):
        given = options(url, rng)
        read = rng.choice([batch_read, batch_read, stream_read])
        pool = ThreadPoolExecutor(1)
        try:
            start, batches = pool.submit(read, given).result(PATIENCE_S)
        except NAMED:
            return "error"
        finally:
            pool.shutdown(wait=False)
        assert damaged.calls < MOST_CALLS
        told = f"{given}\n{damaged.done}"
        return _compared(pa.Table.from_batches(batches, schema.timeseries()), start, given["on_error"], told)


def _compared(rows: pa.Table, start: datetime, on_error: str, told: str) -> str:
    is_event = pc.invert(pc.is_in(rows["value_kind"], pa.array(schema.STATUS_KINDS)))
    failed = set(rows.filter(pc.invert(is_event))["tag_name"].to_pylist())
    events = rows.filter(is_event)
    whole = [point.name for point in PLANT.points if point.name not in failed]
    of_whole = pc.is_in(events["tag_name"], pa.array(whole))
    result = compare(PLANT, events.filter(of_whole), start, END, whole)
    assert result.equal, f"{result}\n{told}"
    assert events.filter(of_whole).num_rows == result.rows, told
    if not failed:
        return "whole"
    assert on_error == "report", told
    partly = compare(PLANT, events.filter(pc.invert(of_whole)), start, END, sorted(failed))
    assert not partly.unexpected, f"{partly}\n{told}"
    return "reported"


@pytest.mark.parametrize("seed", FEW)
def test_nothing_is_missing_without_a_word(seed: int) -> None:
    judge(seed)


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_nothing_is_missing_without_a_word_whatever_the_damage(seed: int) -> None:
    judge(seed)


def test_most_kinds_of_outcome_are_met() -> None:
    outcomes: dict[str, int] = {}
    for seed in range(SEEDS, SEEDS + 40):
        outcome = judge(seed)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert min(outcomes.get(kind, 0) for kind in ("whole", "error", "reported")) > 0, outcomes


def test_an_undamaged_read_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "_SHARE_WITH_A_VICTIM", 0.0)
    monkeypatch.setattr(DamagingProxy, "changed", lambda _self, _method, _status, body: body)
    assert {judge(seed) for seed in range(3)} == {"whole"}
