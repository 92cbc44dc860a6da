"""A running server: the service its endpoints see, with sign-in, limits, faults and counters around it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from mock_server.plant.point import Point
from mock_server.server.counters import Counters
from mock_server.server.faults import Faults
from mock_server.server.limits import RateLimit, UrlLimit, rate_limit_reached
from mock_server.server.oidc import Oidc
from mock_server.server.stale_cache import StaleCache
from mock_server.webapi.call import Call, find_point
from mock_server.webapi.messages import ApiError, Request, Response
from mock_server.webapi.router import PREFIX, dispatch
from mock_server.webapi.service import Service, wall_clock

_DATA = (f"{PREFIX}/streams", f"{PREFIX}/streamsets")


@dataclass(eq=False)
class Server(Service):
    """One PI Web API: a plant and the settings it is served with, which may change while it runs.

    Without `user`, `token`, `oidc` and `challenge` anybody may read; with any of them, every request under /piwebapi
    and /admin must satisfy one. A `challenge` (`Negotiate`, `NTLM`) is sent but no ticket is ever accepted. A request
    computes for at most `max_query_s` seconds. With `dashboard` the landing page links to /ingestion.
    """

    challenge: str | None = None
    oidc: Oidc | None = None
    faults: Faults = field(default_factory=Faults)
    rate_limit: RateLimit = field(default_factory=RateLimit)
    url_limit: UrlLimit = field(default_factory=UrlLimit)
    stale: StaleCache = field(default_factory=StaleCache)
    counters: Counters = field(default_factory=Counters)
    dashboard: bool = False
    max_query_s: float = 60.0

    def date(self) -> datetime:
        """The time of the machine's own clock, which the `Date` header carries."""
        return wall_clock() + self.skew

    def check_points(self, faults: Faults) -> None:
        """Return when the points that `faults` names exist.

        Raises:
            ValueError: when one does not.
        """
        for tag in faults.points:
            if self.plant.catalog.by_name(tag) is None:
                msg = f"a fault is tied to the point '{tag}', which does not exist"
                raise ValueError(msg)

    def answer_member(self, request: Request, now: int) -> Response:
        """The answer to a request within a batch, as of `now` (ticks); it counts towards the rate limit."""
        if not self.rate_limit.admits(request.client):
            return rate_limit_reached()
        response = self.with_faults(
            request,
            lambda: self.stale.answer(request, now, lambda: dispatch(self, request, now)),
            member=True,
        )
        self.counters.count_member_fault(response)
        return response

    def with_faults(self, request: Request, serve: Callable[[], Response], member: bool = False) -> Response:
        """The answer of `serve`, or the fault that is scheduled for the request."""
        tags = self._tags(request)
        return self.faults.meet(request, serve, now=self.date(), member=member, tags=tags)

    def _tags(self, request: Request) -> list[str]:
        """The names of the points whose data are requested, in that order; looked up only when faults are tied to points."""
        if not self.faults.points or not request.path.lower().startswith(_DATA):
            return []
        named = [value for name, value in request.parameters if name.lower() in ("webid", "webid[]")]
        points = [self._point(text) for text in (*request.path.split("/")[3:4], *named)]
        return [point.name for point in points if point is not None]

    def _point(self, web_id: str) -> Point | None:
        try:
            return find_point(self, web_id)
        except ApiError:
            return None


def server_of(call: Call) -> Server:
    """The server that a call of its own endpoints (administration, sign-in, landing page) runs on."""
    assert isinstance(call.server, Server)
    return call.server
