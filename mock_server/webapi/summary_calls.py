"""`summary` calls: intervals, basis, filter and the values returned."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mock_server.archive.interpolation import Reader, reader
from mock_server.archive.spans import Span, grid
from mock_server.archive.summaries import (
    SUMMARY_TYPES,
    WITHOUT_NUMBERS,
    Ends,
    Figures,
    Keep,
    event_weighted,
    time_weighted,
)
from mock_server.plant import ticks
from mock_server.plant.checkpoints import paced
from mock_server.plant.events import I64
from mock_server.plant.point import Point
from mock_server.plant.sensors import NO_DATA, NUMERIC_TYPES, SYSTEM_STATES
from mock_server.webapi.call import Call
from mock_server.webapi.filter_expression import filter_of
from mock_server.webapi.messages import refusal

_STEP = {"TimeWeighted": None, "TimeWeightedContinuous": False, "TimeWeightedDiscrete": True}
_ENDS = {
    "EventWeightedExcludeMostRecentEvent": Ends(earlier=True, later=False),
    "EventWeightedExcludeEarliestEvent": Ends(earlier=False, later=True),
    "EventWeightedIncludeBothEnds": Ends(earlier=True, later=True),
}
_BASES = (*_STEP, "EventWeighted", *_ENDS)
_PER_HOUR = {"s": 1 / 3_600, "min": 1 / 60, "h": 1.0, "d": 24.0, "day": 24.0}
_NOTHING = np.array([], dtype=np.int64)


class SummaryRequest(NamedTuple):
    """A summary call: ascending interval bounds, and how summaries are computed and shown."""

    types: tuple[str, ...]
    edges: I64
    newest_first: bool
    basis: str
    samples: I64
    time_type: str


def summary_request(call: Call, streams: int) -> SummaryRequest:
    """The parameters of a summary call on that many streams."""
    types = _types(call)
    start, end = call.time("startTime", "*-1d"), call.time("endTime", "*")
    span = call.span("summaryDuration")
    if span is not None:
        call.check_size("summaryDuration", (abs(end - start) // span.typical + 1) * len(types) * streams)
    return SummaryRequest(
        types,
        _edges(call, start, end, span),
        end < start,
        call.choice("calculationBasis", "TimeWeighted", _BASES),
        _samples(call, min(start, end), max(start, end)),
        call.choice("timeType", "Auto", ("Auto", "EarliestTime", "MostRecentTime")),
    )


def summaries_of(call: Call, points: Sequence[Point]) -> list[list[dict[str, Any]]]:
    """For each stream the `Items` of a summary reply: for each type its value in each interval."""
    request = summary_request(call, len(points))
    return [_items(call, point, request) for point in points]


def figures_of(stream: Reader, request: SummaryRequest, keep: Keep | None) -> Figures:
    """The summaries of a stream in each interval of the call."""
    if request.basis in _STEP:
        return time_weighted(stream, request.edges, request.samples, keep)
    several = len(request.edges) > 2
    usual = Ends(earlier=not (several and request.newest_first), later=not several or request.newest_first)
    return event_weighted(stream, request.edges, _ENDS.get(request.basis, usual), keep)


def summary_items(call: Call, figures: Figures, request: SummaryRequest, units: str) -> list[dict[str, Any]]:
    """The summaries as JSON, type by type, in the direction of the call."""
    flags = {"Annotated": False} if call.server.generation.has("Annotated") else {}
    places = range(len(figures.start))
    order = places[::-1] if request.newest_first else places
    return [
        {"Type": kind, "Value": _printed(figures, kind, at, request, units) | flags}
        for kind in request.types
        for at in paced(order)
    ]


def _items(call: Call, point: Point, request: SummaryRequest) -> list[dict[str, Any]]:
    if point.point_type not in NUMERIC_TYPES and (
        wrong := [t for t in request.types if t not in WITHOUT_NUMBERS]
    ):
        raise refusal(
            400,
            f"The summary '{wrong[0]}' cannot be made of '{point.name}', whose values are no numbers;"
            f" {' and '.join(WITHOUT_NUMBERS)} can.",
        )
    condition = filter_of(call, point)
    stream = reader(call.archive, point, call.now, step=_STEP.get(request.basis))
    figures = figures_of(stream, request, condition.keep if condition else None)
    return summary_items(call, figures, request, point.engineering_units)


def _types(call: Call) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for text in call.texts("summaryType") or ["Total"]:
        for part in text.split(",") if text else ["Total"]:
            names |= dict.fromkeys(_type(part.strip()))
    return tuple(names)


def _type(text: str) -> tuple[str, ...]:
    if text.lower() == "all":
        return SUMMARY_TYPES
    if text.lower() == "allfornonnumeric":
        return WITHOUT_NUMBERS
    for each in SUMMARY_TYPES:
        if each.lower() == text.lower():
            return (each,)
    allowed = ", ".join((*SUMMARY_TYPES, "All", "AllForNonNumeric"))
    raise refusal(400, f"The value '{text}' is not valid for parameter 'summaryType'. Allowed: {allowed}.")


def _edges(call: Call, start: int, end: int, span: Span | None) -> I64:
    """The bounds of the intervals, ascending; the last interval in the direction of the call may be shorter."""
    if span is None:
        return np.array([min(start, end), max(start, end)], dtype=np.int64)
    made = grid(start, end, span, call.zone)
    edges = np.append(made, end) if made[-1] != end or len(made) == 1 else made
    return np.sort(edges)


def _samples(call: Call, low: int, high: int) -> I64:
    """The instants at which a filter or expression is evaluated; none: at every recorded event."""
    kind = call.choice("sampleType", "ExpressionRecordedValues", ("ExpressionRecordedValues", "Interval"))
    span = call.span("sampleInterval")
    if kind == "ExpressionRecordedValues":
        return _NOTHING
    if span is None:
        raise refusal(400, "Parameter 'sampleInterval' is required when sampleType is Interval.")
    call.check_size("sampleInterval", (high - low) // span.typical + 1)
    return grid(low, high, span, call.zone)


def _printed(figures: Figures, kind: str, at: int, request: SummaryRequest, units: str) -> dict[str, Any]:
    value = figures.value("Total" if kind == "TotalWithUOM" else kind, at)
    shown = _units(kind, units)
    if kind == "TotalWithUOM" and value is not None and units:
        value, shown = _with_unit(value, units, figures.by_event)
    no_data = {"Name": SYSTEM_STATES.states[NO_DATA], "Value": NO_DATA, "IsSystem": True}
    return {
        "Timestamp": ticks.to_iso(figures.time(kind, at, request.time_type)),
        "Value": no_data if value is None else value,
        "UnitsAbbreviation": "" if value is None else shown,
        "Good": value is not None,
        "Questionable": False,
        "Substituted": False,
    }


def _units(kind: str, units: str) -> str:
    if kind == "PercentGood":
        return "%"
    return "" if kind in ("Total", "TotalWithUOM", "Count") else units


def _with_unit(total: float, units: str, by_event: bool) -> tuple[float | None, str]:
    """A total over time in the unit that a rate adds up to (m3/h to m3, kW to kWh); None when there is none."""
    if by_event:
        return total, units
    amount, _, per = units.partition("/")
    if per in _PER_HOUR:
        return total * 24.0 / _PER_HOUR[per], amount
    if units in ("W", "kW", "MW"):
        return total * 24.0, f"{units}h"
    return None, ""
