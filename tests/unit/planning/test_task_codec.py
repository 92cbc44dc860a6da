"""Tasks as the text of an option: complete, short, and nothing but data."""

from __future__ import annotations

import base64
import pickle
import zlib
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_datasource.model import MICROSECOND, Point, ReadTask, Window
from pi_datasource.options.declaration import Options
from pi_datasource.planning import task_codec
from pi_datasource.planning.tiling import plan
from tests.unit.fakes import BASE, SECOND
from tests.unit.fakes import moment as moment_of

POINTS = (
    Point("W1", "Öl;Bärwalde/[1]*?\\'\" \u2603\U0001f600", "Digital", None, "SRV ü", "\\\\SRV\\Öl", True),
    Point("W2", "A", "Float32", "°C", "SRV2", ""),
    Point("W3", "", "String", "", "", "", False),
)


def moment(seconds: int) -> datetime:
    return moment_of(seconds * SECOND)


TASK = ReadTask("pi_timeseries", Window(moment(1), moment(7)), POINTS, moment(9), 77, 5)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9998, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001 - hypothesis adds the zone
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


def a_point() -> st.SearchStrategy[Point]:
    return st.builds(Point, TEXTS, TEXTS, TEXTS, st.none() | TEXTS, TEXTS, TEXTS, st.booleans())


@st.composite
def a_task(draw: Any) -> ReadTask:
    start, end = sorted([draw(MOMENTS), draw(MOMENTS)])
    points = tuple(draw(st.lists(st.sampled_from(POINTS) | a_point(), max_size=5)))
    starts = tuple(draw(MOMENTS) for _ in points) if draw(st.booleans()) else ()
    return ReadTask(
        table="pi_timeseries", window=Window(start, end), points=points, ingestion_time=draw(MOMENTS),
        page_size=draw(st.integers(1, 10**6)), batch_size=draw(st.integers(1, 10**4)),
        on_error=draw(st.sampled_from(["fail", "report"])),
        read_mode=draw(st.sampled_from(["auto", "streamsets", "streams"])),
        requests_per_second=draw(st.none() | st.floats(0.001, 1e6)), starts=starts,
        report_metrics=draw(st.booleans()), skip_deleted=draw(st.booleans()), offset=draw(st.none() | TEXTS),
    )  # fmt: skip


@given(tasks=st.lists(a_task(), max_size=4))
def test_tasks_come_back_as_they_were(tasks: list[ReadTask]) -> None:
    assert task_codec.loads(task_codec.dumps(tasks)) == tasks


def test_every_field_of_a_task_and_of_a_point_travels() -> None:
    """A field that is added to a task later, and has a default, must not get lost."""
    other = ReadTask(
        table="t", window=Window(moment(2), moment(3)), points=POINTS, ingestion_time=moment(4), page_size=8,
        batch_size=9, on_error="report", read_mode="streams", requests_per_second=0.5,
        starts=(moment(2), moment(3), moment(2)), report_metrics=True, skip_deleted=True, offset='{"to": 1}',
    )  # fmt: skip
    assert all(
        getattr(other, field.name) != getattr(TASK, field.name)
        for field in fields(ReadTask)
        if field.name != "points"
    )
    (back,) = task_codec.loads(task_codec.dumps([other]))
    assert back == other
    assert [type(point.step) for point in back.points] == [bool] * 3
    assert back.window.start.tzinfo is timezone.utc


def test_a_point_of_many_tasks_is_written_once() -> None:
    points = tuple(
        Point(f"W{i:x}", f"TAG_{i * 7919 % 10_007}", "Float32", "bar", "SRV", "") for i in range(2_000)
    )
    one = ReadTask("pi_timeseries", Window(BASE, moment(24)), points, BASE, 1, 1)
    many = [replace(one, window=part) for part in one.window.split(24)]
    assert len(many) == 24
    assert len(task_codec.dumps(many)) < 1.1 * len(task_codec.dumps([one]))


def test_the_text_is_about_as_long_as_the_pickled_tasks_and_names_no_module() -> None:
    points = [
        Point(f"F1DP{i * 7919:09x}", f"SITE.A{i % 7}.FLOW_{i:05}.PV", "Float32", "bar", "SRV", "")
        for i in range(10_000)
    ]
    tasks = plan(points, Window(BASE, BASE + timedelta(hours=2)), Options.parse({"url": "h"}), BASE)
    text = task_codec.dumps(tasks)
    assert len(text) < 1.4 * sum(len(pickle.dumps(task)) for task in tasks)
    assert text.isascii()
    assert b"pi_datasource" not in zlib.decompress(base64.b64decode(text))


class Evil:
    """What unpickling would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("the text was unpickled",)


def packed(value: Any) -> str:
    return base64.b64encode(zlib.compress(msgspec.msgpack.encode(value))).decode()


def changed(**fields_: Any) -> str:
    """A text of one task without points, of which some fields are changed."""
    points, tasks = msgspec.msgpack.decode(zlib.decompress(base64.b64decode(task_codec.dumps([TASK]))))
    tasks[0][0].update(fields_)
    return packed([points, tasks])


def with_runs(*runs: Any) -> str:
    points, tasks = msgspec.msgpack.decode(zlib.decompress(base64.b64decode(task_codec.dumps([TASK]))))
    tasks[0][1] = runs
    return packed([points, tasks])


def test_the_texts_that_are_broken_below_are_whole_without_the_change() -> None:
    assert task_codec.loads(changed()) == [TASK]
    assert task_codec.loads(with_runs((0, 3))) == [TASK]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "ü",
        "[]",
        base64.b64encode(b"not compressed").decode(),
        base64.b64encode(pickle.dumps(Evil())).decode(),
        base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode(),
        base64.b64encode(zlib.compress(b"")).decode(),
        task_codec.dumps([TASK])[:-8],
        packed([]),
        packed([[["W"]] * 7, []]),
        packed([[["W"], ["n"], ["t"], [None], ["s"], ["p"], []], []]),
        packed([[["W"], ["n"], ["t"], [None], ["s"], [None], [True]], []]),
        packed({"points": [], "tasks": []}),
        with_runs((0, 4)),
        with_runs((-1, 2)),
        with_runs((0, -1)),
        with_runs((2**63, 1)),
        changed(window={"start": moment(7), "end": moment(1)}),
        changed(window={"start": moment(7), "end": "2024-05-01T00:00:00"}),
        changed(starts=[moment(1)]),
        changed(read_mode="x"),
        changed(page_size="1"),
        changed(ingestion_time=None),
        changed(ingestion_time="2024-05-01T00:00:00"),
    ],
)
def test_any_other_text_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^does not hold read tasks; leave it out$"):
        task_codec.loads(text)


@given(data=st.data())
def test_a_damaged_text_is_refused_or_holds_tasks(data: st.DataObject) -> None:
    whole = zlib.decompress(
        base64.b64decode(task_codec.dumps([TASK, replace(TASK, starts=(BASE, BASE, BASE + MICROSECOND))]))
    )
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    with suppress(ValueError):
        assert all(
            isinstance(task, ReadTask)
            for task in task_codec.loads(base64.b64encode(zlib.compress(damaged)).decode())
        )
