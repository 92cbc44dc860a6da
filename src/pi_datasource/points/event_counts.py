"""About how many events each point has in a window, from the server's own counts of a small part of it.

A wrong estimate makes tasks uneven and nothing else: how much is read at once is decided page by page.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from pi_datasource.errors import ServerError, ServerFailed, UnexpectedReply
from pi_datasource.model import Point, Window, iso_utc
from pi_datasource.options.declaration import Options
from pi_datasource.webapi import batch
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.outage import Outage
from pi_datasource.webapi.query import WEB_IDS_PER_URL
from pi_datasource.webapi.retry import TOO_MANY_REQUESTS, Attempts

log = logging.getLogger(__name__)

COUNTED_POINTS = 200  # four sub-requests in one call
WEIGHED_POINTS = 10_000  # more are even enough when they are dealt out in turn
COUNTED_SHARE = 24  # of a day one hour is counted
FEW_POINTS_PER_TASK = 8  # where one tag more or less is felt
SHORTEST, LONG = timedelta(hours=6), timedelta(days=7)
MOST_SETS = 20  # requests in one call
_UNCOUNTED = (
    "POST batch (streamsets/summary): the server does not count events ({}); leave out 'max_events_per_trigger', and bound "
    "micro-batches by 'max_window_per_trigger'"
)
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
    except (ServerError, msgspec.MsgspecError) as refused:
        log.info("the server does not count events (%s): tasks are made by points alone", refused)
        return None
    if not found:
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
    except msgspec.MsgspecError as cause:
        raise UnexpectedReply(_UNCOUNTED.format(cause)) from cause
    if not found:
        raise UnexpectedReply(_UNCOUNTED.format("it counted no tag"))
    return sum(found.values()) * len(points) / len(found)


def counts(client: PIClient, points: Sequence[Point], part: Window) -> dict[str, float]:
    """How many events the points have in ``part``, by WebId, in one call; points that the server does not count are left out.

    Raises:
        ServerError: the call failed.
        MsgspecError: its answer is none of PI Web API's.
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
    wanted = {point.web_id for point in points}
    streams = [
        stream
        for answer in _answers(client, urls)
        if answer.Status == 200
        for stream in msgspec.convert(answer.Content, _Content).Items
        if stream.WebId in wanted
    ]
    return {
        stream.WebId: float(item.Value.Value)
        for stream in streams
        for item in stream.Items
        if isinstance(item.Value.Value, (int, float))
    }


def _answers(client: PIClient, urls: Sequence[str]) -> list[_Answer]:
    """The answers to ``urls``, all of which are asked for again while the server limits its request rate.

    Raises:
        ServerFailed: it does so after all retries, and for longer than ``wait_for_server`` says.
    """
    attempts, outage = Attempts(client.max_retries), Outage(client.patience_s)
    pauses = 0
    while True:
        answers = batch.ask(client, urls, _ANSWER, attempts)
        if all(answer.Status != TOO_MANY_REQUESTS for answer in answers):
            return answers
        if attempts.retries < attempts.max_retries:
            attempts.retries += 1
        else:
            refused = ServerFailed("POST batch (streamsets/summary): HTTP 429", TOO_MANY_REQUESTS)
            if not outage.should_wait(refused):
                raise refused
        client.pause(pauses, requests=len(urls), refused=True)
        pauses += 1


class _Number(msgspec.Struct):
    Value: object = None


class _Summary(msgspec.Struct):
    Value: _Number = msgspec.field(default_factory=_Number)


class _Stream(msgspec.Struct):
    WebId: str = ""
    Items: list[_Summary] = []


class _Content(msgspec.Struct):
    Items: list[_Stream] = []


class _Answer(msgspec.Struct):
    Status: int
    Content: object = None


_ANSWER = msgspec.json.Decoder(dict[str, _Answer])
