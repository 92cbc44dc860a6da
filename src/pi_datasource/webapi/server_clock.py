"""The PI server's clock as a stream sees it: one small request, at most once a second.

Spark's default trigger asks for the latest offset dozens of times a second. Nothing depends on this machine's clock.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from pi_datasource.model import DataServer
from pi_datasource.options.declaration import Options
from pi_datasource.points import discovery
from pi_datasource.webapi import client

INTERVAL_S = 1.0


class ServerClock:
    """Remembers the last answer: the time, and the data servers."""

    def __init__(self, options: Options) -> None:
        self._patient = options
        self._at_once = options.model_copy(update={"wait_for_server": timedelta(0)})
        self._answered_at = 0.0
        self.last: datetime | None = None
        self.servers: list[DataServer] = []

    def now(self, *, wait: bool = True) -> datetime:
        """The server's time, at most a second old; with ``wait`` a server that is down is waited for as the options say.

        Raises:
            ServerError: the server does not tell its time.
        """
        if self.last is not None and time.monotonic() - self._answered_at < INTERVAL_S:
            return self.last
        options = self._patient if wait else self._at_once
        self.servers = discovery.data_servers(client.shared(options), options)
        self._answered_at = time.monotonic()
        self.last = discovery.server_now(self.servers)
        return self.last
