"""From options to tasks: the server's clock, the points that are selected, about how many events they have."""

from __future__ import annotations

from pi_datasource import discover, estimate
from pi_datasource.client import PIClient
from pi_datasource.condition import ALWAYS, Condition
from pi_datasource.model import DataServer, Point, ReadTask, Window
from pi_datasource.narrow import Narrowing
from pi_datasource.options import Options
from pi_datasource.plan import plan


def tasks(
    client: PIClient, options: Options, window: Window | None = None, pushed: Condition = ALWAYS
) -> list[ReadTask]:
    """The tasks of ``window``; without one, of what the options and ``pushed`` leave, on the server's clock.

    A window that is given belongs to a stream, which may be replayed: its end stamps the rows, a tag that has gone since
    does not fail it, and nothing is counted, so that the same points give the same tasks.
    """
    servers = discover.data_servers(client, options)
    narrowing = Narrowing(options, pushed)
    if window is not None:
        found = narrowing.points(_points(client, servers, narrowing, strict=False))
        return plan(found, window, options, window.end)
    now = discover.server_now(servers)
    span = narrowing.window(now)
    found = narrowing.points(_points(client, servers, narrowing, strict=True))
    events = estimate.events(client, found, span, options.num_partitions)
    return plan(found, span, options, now, events)


def _points(client: PIClient, servers: list[DataServer], narrowing: Narrowing, strict: bool) -> list[Point]:
    """The points that the options select; a name that only a predicate holds need not exist."""
    tags = narrowing.tags()
    if tags is None:
        return discover.points(client, servers, narrowing.options, strict=strict)
    if not tags:
        return []
    return discover.points(client, servers, narrowing.options.model_copy(update={"tags": tags}), strict=False)
