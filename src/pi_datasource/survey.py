"""From options to tasks: the server's clock, the points that are selected, about how many events they have."""

from __future__ import annotations

from pi_datasource import discover, estimate
from pi_datasource.client import PIClient
from pi_datasource.condition import ALWAYS, Condition
from pi_datasource.model import DataServer, Point, ReadTask
from pi_datasource.narrow import Narrowing
from pi_datasource.options import Options
from pi_datasource.plan import plan


def tasks(client: PIClient, options: Options, pushed: Condition = ALWAYS) -> list[ReadTask]:
    """The tasks of a batch read: of what the options and ``pushed`` leave, on the server's clock.

    Raises:
        NoTagMatches: a tag or pattern of the options selects nothing.
        InvalidOption: the window ends before it starts.
    """
    servers = discover.data_servers(client, options)
    now = discover.server_now(servers)
    narrowing = Narrowing(options, pushed)
    window = narrowing.window(now)
    found = narrowing.points(_points(client, servers, narrowing))
    events = estimate.events(client, found, window, options.num_partitions)
    return plan(found, window, options, now, events)


def _points(client: PIClient, servers: list[DataServer], narrowing: Narrowing) -> list[Point]:
    """The points that the options select; a name that only a predicate holds need not exist."""
    tags = narrowing.tags()
    if tags is None:
        return discover.points(client, servers, narrowing.options)
    if not tags:
        return []
    return discover.points(client, servers, narrowing.options.model_copy(update={"tags": tags}), strict=False)
