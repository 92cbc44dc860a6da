"""Administration of the running simulator: its plant, limits, clock and faults. Off by default."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson

from mock_server.plant import ticks
from mock_server.plant.checkpoints import paced
from mock_server.plant.clock import parse_time
from mock_server.plant.point import Point
from mock_server.server.fault_kinds import KINDS
from mock_server.server.faults import PROFILES, Faults, read_profile
from mock_server.server.limits import UrlLimit
from mock_server.server.server import server_of
from mock_server.server.stale_cache import StaleCache
from mock_server.webapi.call import Call
from mock_server.webapi.messages import Response, json_response, refusal
from mock_server.webapi.router import Endpoint, no_resource, route

_MOST_AT_ONCE = 1_000_000
_FAULTS_BODY = '{"seed": 7, "profile": "flaky"} or {"seed": 7, "rates": {"cut": 0.1}, "tries": 2, "points": {"TAG": "500"}}'
_NUMBER = (float, int)
_calls: list[dict[str, str]] = []


def _admin(method: str, path: str = "", body: str = "") -> Callable[[Endpoint], Endpoint]:
    """Register an endpoint under /admin and document it with its docstring; without `admin` it does not exist."""

    def register(endpoint: Endpoint) -> Endpoint:
        def guarded(call: Call) -> Response:
            if not call.server.admin:
                raise no_resource(call.request)
            return endpoint(call)

        about = {"call": f"{method} /admin{path}", "about": endpoint.__doc__ or ""}
        _calls.append({**about, "body": body} if body else about)
        return route(method, f"/admin{path}", prefix="")(guarded)

    return register


@_admin("GET")
def index(_: Call) -> Response:
    """This list, and the faults there are."""
    kinds = {name: kind.about for name, kind in KINDS.items()}
    members = [name for name, kind in KINDS.items() if kind.member]
    return json_response({"calls": _calls, "faults": kinds, "within_batches": members, "profiles": PROFILES})


@_admin("GET", "/counters")
def counters(call: Call) -> Response:
    """What the server has answered so far: requests, sub-requests, bytes, statuses, faults."""
    return json_response(server_of(call).counters.snapshot())


@_admin("DELETE", "/counters")
def reset_counters(call: Call) -> Response:
    """Counting begins anew."""
    server_of(call).counters.reset()
    return counters(call)


@_admin("GET", "/faults")
def faults(call: Call) -> Response:
    """The schedule of faults."""
    now = server_of(call).faults
    return json_response({"seed": now.seed, "rates": now.rates, "tries": now.tries, "points": now.points})


@_admin("PUT", "/faults", _FAULTS_BODY)
def set_faults(call: Call) -> Response:
    """Another schedule of faults takes over; tries 0 makes them permanent, points are tags that always fail."""
    body = _body(call, _FAULTS_BODY, seed=(int,), profile=(str,), rates=(dict,), tries=(int,), points=(dict,))
    try:
        rates = read_profile(body["profile"]) if "profile" in body else body.get("rates", {})
        numbers = all(type(rate) in (int, float) for rate in rates.values())
        if not numbers or not all(isinstance(fault, str) for fault in body.get("points", {}).values()):
            raise refusal(400, f"Rates are numbers, and faults of points names. Give {_FAULTS_BODY}.")
        schedule = Faults(body.get("seed", 0), rates, tries=body.get("tries", 2), points=body.get("points"))
        server_of(call).check_points(schedule)
    except ValueError as error:
        raise refusal(400, str(error)) from error
    server_of(call).faults = schedule
    return faults(call)


@_admin("DELETE", "/faults")
def clear_faults(call: Call) -> Response:
    """Everything goes right again."""
    server_of(call).faults = Faults()
    return faults(call)


@_admin("GET", "/limits")
def limits(call: Call) -> Response:
    """Requests per second and client (0: no limit), items per call, length of addresses, age of caches."""
    server = server_of(call)
    return json_response(
        {
            "rate_limit": server.rate_limit.per_second,
            "max_items": server.max_items,
            "max_url": str(server.url_limit),
            "stale_s": server.stale.age.total_seconds(),
        }
    )


_LIMITS_BODY = '{"rate_limit": 1000, "max_items": 150000, "max_url": "iis", "stale_s": 300}'


@_admin("PUT", "/limits", _LIMITS_BODY)
def set_limits(call: Call) -> Response:
    """The limits that are given change; the others stay."""
    body = _body(call, _LIMITS_BODY, rate_limit=(int,), max_items=(int,), max_url=(str,), stale_s=_NUMBER)
    server = server_of(call)
    try:
        url = UrlLimit.parse(body.get("max_url", str(server.url_limit)))
        stale = StaleCache(timedelta(seconds=body["stale_s"])) if "stale_s" in body else server.stale
    except (ValueError, OverflowError) as error:
        raise refusal(400, str(error)) from error
    if body.get("rate_limit", 0) < 0 or body.get("max_items", 1) < 1:
        raise refusal(400, "rate_limit must be 0 or more, max_items 1 or more.")
    server.url_limit, server.stale = url, stale
    server.rate_limit.per_second = body.get("rate_limit", server.rate_limit.per_second)
    server.max_items = body.get("max_items", server.max_items)
    return limits(call)


@_admin("GET", "/clock")
def clock(call: Call) -> Response:
    """The present of the plant, how fast it passes if that is known, and how far the server's clocks are off."""
    server = server_of(call)
    shown = {"now": ticks.to_iso(server.now()), "skew_s": server.skew.total_seconds()}
    speed = getattr(server.clock, "speed", None)
    return json_response(shown if speed is None else {**shown, "speed": speed})


_CLOCK_BODY = '{"now": "2025-06-02T12:00:00Z"} or {"speed": 60} or {"skew_s": -90}'


@_admin("PUT", "/clock", _CLOCK_BODY)
def set_clock(call: Call) -> Response:
    """The clock is set or changes its speed (if it is one that can), or is made wrong by so many seconds."""
    body = _body(call, _CLOCK_BODY, now=(str,), speed=_NUMBER, skew_s=_NUMBER)
    changes = {name: body[name] for name in ("now", "speed") if name in body}
    setter = getattr(server_of(call).clock, "set", None)
    try:
        skew = timedelta(seconds=body.get("skew_s", server_of(call).skew.total_seconds()))
        if "now" in changes:
            changes["now"] = parse_time(changes["now"])
        if changes and setter is None:
            raise refusal(409, "The clock of this server cannot be set.")
        if setter is not None and changes:
            setter(**changes)
    except (ValueError, OverflowError) as error:
        raise refusal(400, f"{error}. Give {_CLOCK_BODY}.") from error
    server_of(call).skew = skew
    return clock(call)


@_admin("DELETE", "/tokens")
def revoke_tokens(call: Call) -> Response:
    """No token that the token endpoint gave so far is accepted any more."""
    provider = server_of(call).oidc
    if provider is None:
        raise refusal(409, "This server gives no tokens.")
    provider.revoke()
    return json_response({})


_POINTS_BODY = '{"count": 3}'


@_admin("POST", "/points", _POINTS_BODY)
def add_points(call: Call) -> Response:
    """So many points are created now; the answer says which."""
    try:
        points = call.server.plant.add_points(_count(call), ticks.to_datetime(call.now))
    except ValueError as error:
        raise refusal(400, str(error)) from error
    created = [
        {
            "name": point.name,
            "point_id": point.point_id,
            "point_type": point.point_type,
            "created": f"{point.created:%Y-%m-%dT%H:%M:%S.%fZ}",
        }
        for point in paced(points)
    ]
    return json_response({"created": created})


_NAMES_BODY = '{"names": ["TAG"]}'


@_admin("POST", "/points/rename", _NAMES_BODY)
def rename_points(call: Call) -> Response:
    """These points get another name now, made from their first one; they keep ids and events."""
    catalog = call.server.plant.catalog
    try:
        renamed = [(point.name, catalog.rename(point)) for point in _named(call)]
    except ValueError as error:
        raise refusal(409, str(error)) from error
    shown = [{"was": was, "name": point.name, "point_id": point.point_id} for was, point in renamed]
    return json_response({"renamed": shown})


@_admin("DELETE", "/points", _NAMES_BODY)
def delete_points(call: Call) -> Response:
    """These points are deleted now, for good."""
    points = _named(call)
    for point in points:
        call.server.plant.catalog.delete(point)
    return json_response({"deleted": [point.name for point in points]})


def _named(call: Call) -> list[Point]:
    """The points that the body names; fails before any change when one does not exist."""
    names = _body(call, _NAMES_BODY, names=(list,)).get("names", [])
    if not names or not all(isinstance(name, str) for name in names):
        raise refusal(400, f"The body must name points. Give {_NAMES_BODY}.")
    found = [(name, call.server.plant.catalog.by_name(name)) for name in dict.fromkeys(names)]
    if missing := [name for name, point in found if point is None]:
        raise refusal(404, f"There is no point named {', '.join(missing)}.")
    return [point for _, point in found if point is not None]


def _count(call: Call) -> int:
    count = _body(call, _POINTS_BODY, count=(int,)).get("count", 0)
    if not 1 <= count <= _MOST_AT_ONCE:
        raise refusal(400, f'The body must be {{"count": n}} with n from 1 to {_MOST_AT_ONCE}.')
    return int(count)


def _body(call: Call, example: str, **members: tuple[type, ...]) -> dict[str, Any]:
    """The request's body, an object with only these members, each of one of the given types."""
    try:
        value: Any = orjson.loads(call.request.body)
    except orjson.JSONDecodeError as error:
        raise refusal(400, f"The body is not JSON. Give {example}.") from error
    right = isinstance(value, dict) and all(type(value[name]) in members.get(name, ()) for name in value)
    if not right:
        kinds = ", ".join(f"{name} ({kinds[0].__name__})" for name, kinds in members.items())
        raise refusal(400, f"The body must be an object with some of: {kinds}. Give {example}.")
    return dict(value)
