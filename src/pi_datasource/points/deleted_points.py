"""Points that are no more: told from points that cannot be read.

PI answers 404 for a deleted point, and the same for one that this account may no longer see; 410 is not used. But 404 is
also what a wrong address or a proxy answers. So a point counts as gone only if PI Web API itself says so (``Errors`` in
JSON) of its events and of the point: ``points/{webId}`` is asked as well.
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
    """``failures`` without those of points that are gone, and these points, each of which is logged.

    Raises:
        ServerError: the server cannot be asked.
    """
    left, gone = [], []
    for point, failure in failures:
        if failure.not_found and _is_gone(client, point):
            log.warning(
                "%s is deleted, or hidden from this account: none of its events is read in %s",
                point.name,
                window,
            )
            gone.append(point)
        else:
            left.append((point, failure))
    return left, gone


def _is_gone(client: PIClient, point: Point) -> bool:
    try:
        client.get(f"points/{point.web_id}", {"selectedFields": "WebId"})
    except (RequestRefused, AccessDenied) as refused:
        return refused.status == 404 and bool(refused.errors)
    return False
