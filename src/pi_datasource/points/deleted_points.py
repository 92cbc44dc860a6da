"""Distinguishes deleted points from unreadable ones.

PI answers 404 for a deleted point, and for one that this account may no longer see; it does not use 410. A wrong address or
a proxy answers 404, too. So a point counts as deleted only if PI Web API itself answers 404 (``Errors`` in JSON) to the
request for its events and to ``points/{webId}``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from pi_datasource.errors import AccessDenied, PointFailure, RequestRefused
from pi_datasource.model import Point
from pi_datasource.webapi.client import PIClient

log = logging.getLogger(__name__)

Failures = list[tuple[Point, PointFailure]]


def split_deleted(
    client: PIClient, failures: Iterable[tuple[Point, PointFailure]], window: str
) -> tuple[Failures, list[Point]]:
    """The ``failures`` of points that still exist, and the deleted points, each of which is logged.

    Raises:
        ServerError: the server does not answer.
    """
    left, deleted = [], []
    for point, failure in failures:
        if failure.not_found and _is_deleted(client, point):
            text = "%s is deleted, or hidden from this account: none of its events is read in %s"
            log.warning(text, point.name, window)
            deleted.append(point)
        else:
            left.append((point, failure))
    return left, deleted


def _is_deleted(client: PIClient, point: Point) -> bool:
    try:
        client.get(f"points/{point.web_id}", {"selectedFields": "WebId"})
    except (RequestRefused, AccessDenied) as refused:
        return refused.status == 404 and bool(refused.errors)
    return False
