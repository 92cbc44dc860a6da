"""Performance equations: values at times, at intervals, at recorded events, and summaries."""

from typing import Any

import numpy as np

from mock_server.archive.computed_series import series_of
from mock_server.archive.expressions import Environment, Expression, Instant, Value
from mock_server.archive.spans import grid
from mock_server.plant import ticks
from mock_server.plant.checkpoints import paced
from mock_server.plant.events import I64, State
from mock_server.plant.sensors import CALC_FAILED, SYSTEM_STATES
from mock_server.webapi import stream_reads
from mock_server.webapi.call import Call, check_data_server
from mock_server.webapi.filter_expression import bound
from mock_server.webapi.messages import Response
from mock_server.webapi.router import route
from mock_server.webapi.summary_calls import figures_of, summary_items, summary_request


@route("GET", "/calculation/times")
def at_times(call: Call) -> Response:
    """The expression's value at each `time`."""
    instants = sorted(call.times("time"), reverse=call.descending)
    call.check_size("time", len(instants))
    return _values(call, stream_reads.instant_array(instants))


@route("GET", "/calculation/intervals")
def at_intervals(call: Call) -> Response:
    """The expression's value at every `sampleInterval` of a window."""
    low, high, newest_first = stream_reads.window(call)
    span = call.span("sampleInterval", "1h")
    assert span is not None
    call.check_size("sampleInterval", (high - low) // span.typical + 1)
    start, end = (high, low) if newest_first else (low, high)
    return _values(call, grid(start, end, span, call.zone))


@route("GET", "/calculation/recorded")
def at_recorded(call: Call) -> Response:
    """The expression's value wherever one of its streams has a recorded event."""
    low, high, newest_first = stream_reads.window(call)
    instants = _event_times(call, _expression(call), low, high)
    return _values(call, instants[::-1] if newest_first else instants)


@route("GET", "/calculation/summary")
def summary(call: Call) -> Response:
    """Summaries of the expression over each `summaryDuration` of a window."""
    expression, request = _expression(call), summary_request(call, 1)
    low, high = int(request.edges[0]), int(request.edges[-1])
    sampled = len(request.samples) > 0
    instants = request.samples if sampled else _event_times(call, expression, low, high)
    instants = np.unique(np.append(instants, [low, high]))
    series = series_of(expression, instants, call.now, call.plant.catalog.server)
    stream = series.reader(call.now, step=request.basis == "TimeWeightedDiscrete")
    figures = figures_of(stream, request._replace(samples=stream_reads.instant_array([])), None)
    return call.items(summary_items(call, figures, request, ""))


def _expression(call: Call) -> Expression:
    text, target = call.required("expression"), call.text("webId")
    if target:
        check_data_server(call.server, target)
    return bound("expression", text, Environment(call.reader_of, call.zone, call.now))


def _event_times(call: Call, expression: Expression, low: int, high: int) -> I64:
    """The instants in the window at which a stream of the expression has an event, ascending."""
    limit = call.server.max_items + 1
    times = [stream_reads.instant_array([])]
    times += [stream.events(low, high, limit=limit).ticks for stream in expression.streams.values()]
    call.check_size("endTime", max(map(len, times)))  # several events at one time are one instant
    instants = np.unique(np.concatenate(times))
    call.check_size("endTime", len(instants))
    return instants


def _values(call: Call, instants: I64) -> Response:
    values = _expression(call).values(instants)
    items = [_item(call, at, value) for at, value in paced(zip(instants.tolist(), values, strict=True))]
    return call.items(items, UnitsAbbreviation="")


def _item(call: Call, instant: int, value: Value | None) -> dict[str, Any]:
    good = value is not None and not (isinstance(value, State) and value.is_system)
    shown = State(SYSTEM_STATES.states[CALC_FAILED], CALC_FAILED, True) if value is None else value
    item = {
        "Timestamp": ticks.to_iso(instant),
        "Value": _printed(shown),
        "UnitsAbbreviation": "",
        "Good": good,
        "Questionable": False,
        "Substituted": False,
    }
    return {**item, "Annotated": False} if call.server.generation.has("Annotated") else item


def _printed(value: Value) -> Any:
    if isinstance(value, State):
        return {"Name": value.name, "Value": value.code, "IsSystem": value.is_system}
    if isinstance(value, Instant):
        return ticks.to_iso(value.ticks)
    return float(value) if isinstance(value, int) and abs(value) > 2**53 else value
