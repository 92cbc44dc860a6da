"""About how many events each point has in a window, from the server's own counts of a small part of it.

A wrong estimate makes tasks uneven and nothing else: how much is read at once is decided page by page.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from pi_datasource.errors import Call, ServerError, UnexpectedReply
from pi_datasource.model import Point, Window, iso_utc
from pi_datasource.options.declaration import Options
from pi_datasource.webapi import batch
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.envelope import FailedPart, FailureFields, failure_of
from pi_datasource.webapi.lists import Listed
from pi_datasource.webapi.query import WEB_IDS_PER_URL

log = logging.getLogger(__name__)

COUNTED_POINTS = 200  # four sub-requests in one call
WEIGHED_POINTS = 10_000  # more are even enough when they are dealt out in turn
COUNTED_SHARE = 24  # of a day one hour is counted
FEW_POINTS_PER_TASK = 8  # where one tag more or less is felt
SHORTEST, LONG = timedelta(hours=6), timedelta(days=7)
MOST_SETS = 20  # requests in one call
_ADVICE = "; leave out 'max_events_per_trigger', and bound micro-batches by 'max_window_per_trigger'"
_FEWEST = 0.5  # events: a tag that was silent in the part may not be in the whole


def per_point(client: PIClient, points: Sequence[Point], window: Window, tasks: int) -> list[float] | None:
    """One number for each point, or None where counting does not pay or the server does not count.

    It pays for windows that are long, and, from ``SHORTEST`` on, where the ``tasks`` wanted have few points each. The
    last part of the window is counted, of at most ``COUNTED_POINTS`` points spread over all; the others get the mean,
    and of very many points all.
    """
    length = window.end - window.start
    few = len(points) <= FEW_POINTS_PER_TASK * tasks and length >= SHORTEST
    if not points or tasks == 1 or not (few or length >= LONG):
        return None
    step = -(-len(points) // COUNTED_POINTS)
    counted = points[::step]
    try:
        found = counts(client, counted, Window(window.end - length / COUNTED_SHARE, window.end))
    except ServerError as refused:
        log.info("%s: tasks are made by points alone", refused)
        return None
    mean = sum(found.values()) / len(found)
    if len(points) > WEIGHED_POINTS:
        return [max(_FEWEST, mean) * COUNTED_SHARE] * len(points)
    return [max(_FEWEST, found.get(point.web_id, mean)) * COUNTED_SHARE for point in points]


def total(client: PIClient, points: Sequence[Point], window: Window, options: Options) -> float:
    """The number of events of ``points`` in ``window``: of up to 1000 as counted, of more as a sample shows.

    System states are not counted by PI. One call.

    Raises:
        ServerError: the call failed, or the server does not count.
    """
    if not points:
        return 0.0
    rate = options.requests_per_second
    sets = MOST_SETS if rate is None else max(1, min(MOST_SETS, int(rate / 2)))
    step = -(-len(points) // (sets * WEB_IDS_PER_URL))
    try:
        found = counts(client, points[::step], window)
    except UnexpectedReply as error:
        raise error.extended(_ADVICE) from error
    return sum(found.values()) * len(points) / len(found)


def counts(client: PIClient, points: Sequence[Point], part: Window) -> dict[str, float]:
    """How many events the points have in ``part``, by WebId, in one call; points that the server does not count are left out.

    Raises:
        ServerError: the call failed, or the server counts none of the points.
    """
    asked = {
        "startTime": iso_utc(part.start),
        "endTime": iso_utc(part.end),
        "summaryType": "Count",
        "calculationBasis": "EventWeighted",
        "selectedFields": "Items.WebId;Items.Items.Value.Value",
        "webIdType": "IDOnly",
    }
    sets = [points[i : i + WEB_IDS_PER_URL] for i in range(0, len(points), WEB_IDS_PER_URL)]
    urls = [
        client.resource("streamsets/summary", {**asked, "webId": [point.web_id for point in group]})
        for group in sets
    ]
    answers = batch.lists_of(client, urls, _Stream, "streamsets/summary")
    wanted = {point.web_id for point in points}
    found = {
        stream.WebId: float(number.Value)
        for answer in answers
        if isinstance(answer, Listed)
        for stream in answer.Items
        if stream.WebId in wanted and failure_of(stream) is None
        for summary in stream.Items
        for number in [summary.Value]
        if isinstance(number.Value, (int, float))
        and failure_of(summary) is None
        and failure_of(number) is None
    }
    if not found:
        refused = [answer for answer in answers if isinstance(answer, FailedPart)]
        why = f"HTTP {refused[0].status} {refused[0].message}".rstrip() if refused else "it counted no tag"
        message = f"the server does not count events ({why})"
        raise UnexpectedReply(message, call=Call("POST", "batch (streamsets/summary)"))
    return found


class _Number(FailureFields):
    Value: object = None


class _Summary(FailureFields):
    Value: _Number = msgspec.field(default_factory=_Number)


class _Stream(FailureFields):
    WebId: str = ""
    Items: list[_Summary] = msgspec.field(default_factory=list)
