"""Estimates of how many events points have in a window, from the server's own counts.

A wrong estimate only makes tasks or micro-batches uneven: how much is read at once is decided page by page.
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
WEIGHED_POINTS = 10_000  # more make tasks that are even enough without weights
COUNTED_SHARE = 24  # of a day one hour is counted
FEW_POINTS_PER_TASK = 8  # one dense tag among so few makes a task long
SHORTEST, LONG = timedelta(hours=6), timedelta(days=7)
MOST_SETS = 20  # requests in one call
_ADVICE = "; leave out 'max_events_per_trigger', and bound micro-batches by 'max_window_per_trigger'"
_FEWEST = 0.5  # events: a tag that was silent in the part may not be in the whole


def per_point(client: PIClient, points: Sequence[Point], window: Window, tasks: int) -> list[float] | None:
    """The estimated number of events of each point; None if counting is not worth a request or the server does not count.

    It is worth one for long windows and, from ``SHORTEST`` on, for ``tasks`` that have few points each. The last part of the
    window is counted for a sample of at most ``COUNTED_POINTS`` points; the others get the mean, and so does each of more
    than ``WEIGHED_POINTS``.
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
    """The number of events of ``points`` in ``window``: counted for up to 1000 points, estimated from a sample of more.

    PI does not count system states. One call.

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
    """The number of events in ``part`` by WebId, in one call, without the points that the server does not count.

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
