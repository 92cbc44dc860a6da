"""About how many events a window holds, by the server's own counts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pi_datasource.errors import UnexpectedReply
from pi_datasource.model import Point, Window
from pi_datasource.options.declaration import Options
from pi_datasource.points import event_rates
from pi_datasource.recorded.sizing import TAGS_PER_SET
from pi_datasource.webapi.client import PIClient

MOST_SETS = 20  # requests in one call
_UNCOUNTED = (
    "POST batch (streamsets/summary): the server does not count events ({}); leave out 'max_events_per_trigger', and bound "
    "micro-batches by 'max_window_per_trigger'"
)


def events(client: PIClient, points: Sequence[Point], window: Window, options: Options) -> float:
    """The number of events of ``points`` in ``window``: of up to 1000 as counted, of more as a sample shows.

    System states are not counted by PI. One call.

    Raises:
        ServerError: the call failed, or the server does not count.
    """
    if not points:
        return 0.0
    rate = options.requests_per_second
    sets = MOST_SETS if rate is None else max(1, min(MOST_SETS, int(rate / 2)))
    step = -(-len(points) // (sets * TAGS_PER_SET))
    try:
        found = event_rates.counts(client, points[::step], window)
    except msgspec.MsgspecError as cause:
        raise UnexpectedReply(_UNCOUNTED.format(cause)) from cause
    if not found:
        raise UnexpectedReply(_UNCOUNTED.format("it counted no tag"))
    return sum(found.values()) * len(points) / len(found)
