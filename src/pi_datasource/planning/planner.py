"""Plans a batch read of events: the server's clock, the selected points, an estimate of their events → tasks."""

from __future__ import annotations

from pi_datasource.model import DataServer, Point, ReadTask
from pi_datasource.planning.pruning import Pruning
from pi_datasource.planning.tiling import plan
from pi_datasource.points import discovery, event_counts
from pi_datasource.webapi import data_servers
from pi_datasource.webapi.client import PIClient


def tasks(client: PIClient, pruning: Pruning) -> list[ReadTask]:
    """The tasks of a batch read of what ``pruning`` leaves of its options, on the server's clock.

    Raises:
        NoTagMatches: a tag or pattern of the options selects nothing.
        InvalidOption: the window ends before it starts.
    """
    options = pruning.options
    servers = data_servers.select(client, options)
    now = data_servers.server_now(servers)
    window = pruning.window(now)
    found = pruning.points(_points(client, servers, pruning))
    events = event_counts.per_point(client, found, window, options.num_partitions)
    return plan(found, window, options, now, events)


def _points(client: PIClient, servers: list[DataServer], pruning: Pruning) -> list[Point]:
    """The points that the options select; a name that only a predicate mentions need not exist."""
    tags = pruning.tags()
    if tags is None:
        return discovery.points(client, servers, pruning.options)
    if not tags:
        return []
    return discovery.points(client, servers, pruning.options.model_copy(update={"tags": tags}), strict=False)
