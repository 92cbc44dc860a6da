"""Limits as a real server has them: requests per second, lengths of addresses, stale caches, clocks that are off."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from mock_server import Plant, running
from mock_server.server import stale_cache
from mock_server.server.limits import RateLimit, UrlLimit
from mock_server.server.middleware import answer
from mock_server.server.stale_cache import StaleCache
from mock_server.webapi.messages import Request

NOW = datetime(2025, 6, 2, 12, 0, 0, 250_000, tzinfo=timezone.utc)


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_no_second_wherever_it_begins_holds_more_than_the_limit() -> None:
    clock = Clock()
    limit = RateLimit(5, clock)
    admitted = []
    for _ in range(400):
        clock.seconds += 0.03125
        if limit.admits("a"):
            admitted.append(clock.seconds)
    assert all(later - earlier >= 1.0 for earlier, later in zip(admitted, admitted[5:], strict=False))
    assert 60 <= len(admitted) <= 65  # and the limit is used: 12.5 s of five each


def test_clients_are_counted_apart() -> None:
    limit = RateLimit(1, Clock())
    assert [limit.admits(client) for client in ("a", "b", "a", "b")] == [True, True, False, False]


def test_zero_is_no_limit_and_less_is_an_error() -> None:
    assert all(RateLimit(0).admits("a") for _ in range(5000))
    with pytest.raises(ValueError, match="-1"):
        RateLimit(-1)


def test_members_of_a_batch_count_and_are_refused_one_by_one(make_client: Any) -> None:
    clock = Clock()
    api = make_client(rate_limit=RateLimit(10, clock))
    right = api.get("/system")
    members = {str(n): {"Method": "GET", "Resource": "http://h/piwebapi/system"} for n in range(12)}
    statuses = [each["Status"] for each in api.batch(members).values()]
    assert statuses == [200] * 8 + [429] * 4  # two were used by the calls themselves
    body = json.dumps(members).encode()
    refused = api.ask("POST", "/piwebapi/batch", body, x_requested_with="t")
    assert (refused.status, refused.body) == (429, b'{"Errors":["Rate limit was reached"]}')
    clock.seconds += 1.0
    assert api.get("/system") == right


def test_the_access_log_tells_what_was_served_and_when(tmp_path: Path) -> None:
    """Clients of one address are as fast as they can be: the first calls of the log use the rate up."""
    log = tmp_path / "log"
    begun = datetime.now(timezone.utc)
    with running(Plant(tags=4, plants=1), rate_limit=15, access_log=log) as url:
        member = {"Method": "GET", "Resource": f"{url}/system"}
        body = {str(number): member for number in range(6)}

        def work(_: int) -> list[int]:
            reply = requests.post(f"{url}/batch", json=body, headers={"X-Requested-With": "t"}, timeout=10)
            inner = [each["Status"] for each in reply.json().values()] if reply.status_code == 207 else []
            return [reply.status_code, *inner]

        with ThreadPoolExecutor(5) as pool:
            replies = [*pool.map(work, range(30))]
    lines = [line.split() for line in log.read_text().splitlines()]
    assert sorted((line[2], line[5]) for line in lines) == sorted(
        (str(reply[0]), str(len(reply) - 1)) for reply in replies
    )
    instants = [datetime.fromisoformat(line[4].replace("Z", "+00:00")) for line in lines]
    served = sum(reply.count(200) + reply.count(207) for reply in replies)
    seconds = (
        int((max(instants) - begun).total_seconds()) + 2
    )  # begun seconds, and the one in which the last ended
    assert 15 <= served <= 15 * seconds


SENT: dict[str, tuple[int, str]] = {
    "httpsys": (414, "HTTP Error 414. The request URL is too long."),
    "iis": (404, "HTTP Error 404.14 - Not Found"),
    "nginx": (414, "<center><h1>414 Request-URI Too Large</h1></center>"),
}


@pytest.mark.parametrize("style", SENT)
def test_long_addresses_are_refused_with_the_page_of_that_server(style: str) -> None:
    limit = UrlLimit.parse(style)
    with running(Plant(tags=4, plants=1), max_url=style) as url, requests.Session() as http:
        base = f"{url}/system?x="
        fits = limit.size - len(base.partition("/piwebapi")[2]) - 400
        if style == "iis":
            fits = 2000
        assert http.get(base + "a" * fits, timeout=10).status_code == 200
        refused = http.get(base + "a" * limit.size, timeout=10)
        assert refused.status_code == SENT[style][0]
        assert refused.headers["Content-Type"].startswith("text/html")
        assert SENT[style][1] in refused.text
        assert http.get(f"{url}/system", timeout=10).status_code == 200


def test_iis_refuses_long_queries_before_long_addresses() -> None:
    with running(Plant(tags=4, plants=1), max_url="iis") as url:
        refused = requests.get(f"{url}/system?x=" + "a" * 2047, timeout=10)
        assert refused.status_code == 404
        assert "404.15" in refused.text


def test_http_sys_counts_headers_and_bounds_segments() -> None:
    with running(Plant(tags=4, plants=1)) as url, requests.Session() as http:
        refused = http.get(f"{url}/system", headers={"X-Long": "a" * 16_300}, timeout=10)
        assert refused.status_code == 400
        assert "Request Too Long" in refused.text
        refused = http.get(f"{url}/points/{'a' * 261}", timeout=10)
        assert refused.status_code == 400
        assert "Invalid URL" in refused.text
        assert http.get(f"{url}/points/{'a' * 260}", timeout=10).json()["Errors"]


def test_nginx_bounds_each_header() -> None:
    with running(Plant(tags=4, plants=1), max_url="nginx:1000") as url:
        refused = requests.get(f"{url}/system", headers={"X-Long": "a" * 1000}, timeout=10)
        assert refused.status_code == 400
        assert "Header" in refused.text


def test_without_a_limit_addresses_may_be_long() -> None:
    with running(Plant(tags=4, plants=1), max_url="off") as url:
        assert requests.get(f"{url}/system?x=" + "a" * 50_000, timeout=10).status_code == 200


@pytest.mark.parametrize("text", ["", "apache", "iis:0", "iis:x", "iis:-5"])
def test_what_is_no_limit_of_an_address(text: str) -> None:
    with pytest.raises(ValueError, match="httpsys, iis, nginx, off"):
        UrlLimit.parse(text)


def points_of(url: str, http: requests.Session, **headers: str) -> int:
    server = http.get(f"{url}/dataservers", timeout=10).json()["Items"][0]
    return len(http.get(server["Links"]["Points"], headers=headers, timeout=10).json()["Items"])


def test_lists_of_points_can_be_minutes_old() -> None:
    plant, now = Plant(tags=8, plants=2), [NOW]
    with (
        running(plant, clock=lambda: now[0], stale=timedelta(minutes=5)) as url,
        requests.Session() as http,
    ):
        assert points_of(url, http) == 8
        plant.add_points(3, NOW)
        now[0] += timedelta(minutes=4)
        assert points_of(url, http) == 8
        assert points_of(url, http, **{"Cache-Control": "no-cache"}) == 11
        assert points_of(url, http) == 11  # which was remembered
        plant.add_points(1, NOW)
        now[0] += timedelta(minutes=5)
        assert points_of(url, http) == 12


def test_events_are_never_stale() -> None:
    plant, now = Plant(tags=8, plants=2), [NOW]
    path = f"/streams/{plant.points[0].web_id()}/recorded?startTime={NOW - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    with (
        running(plant, clock=lambda: now[0], stale=timedelta(minutes=5)) as url,
        requests.Session() as http,
    ):
        before = len(http.get(url + path, timeout=10).json()["Items"])
        now[0] += timedelta(minutes=2)
        assert len(http.get(url + path, timeout=10).json()["Items"]) > before


def test_a_stale_answer_is_for_those_who_may_read(make_client: Any) -> None:
    api = make_client(token="abc", stale=StaleCache(timedelta(minutes=5)))
    path = f"/piwebapi/dataservers/{api.data_server}/points"
    assert api.ask("GET", path, authorization="Bearer abc").status == 200
    assert api.ask("GET", path).status == 401


def test_what_is_remembered_stays_bounded(make_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = StaleCache(timedelta(minutes=5))
    api = make_client(stale=cache)
    asked = [
        Request("GET", f"/piwebapi/dataservers/{api.data_server}/points", f"maxCount={n}")
        for n in range(1, 60)
    ]

    def held() -> list[int]:
        return [stale_cache._size(key, kept) for key, (_, kept) in cache._kept.items()]

    bodies = [len(answer(api.server, each).body) for each in asked]
    assert cache._bytes == sum(held()) > sum(bodies)
    api.server.skew = timedelta(minutes=6)
    answer(api.server, asked[-1])
    assert (len(cache._kept), cache._bytes) == (1, sum(held()))  # the others are too old to be of use
    api.server.skew = timedelta(0)
    for each in asked:
        answer(api.server, each)
    most = sum(held()[-10:])
    monkeypatch.setattr(stale_cache, "_MOST_BYTES", most)
    answer(api.server, Request("GET", asked[0].path, "maxCount=61"))
    assert 0 < cache._bytes <= most
    assert cache._bytes == sum(held())


@pytest.mark.parametrize("skew", [timedelta(minutes=7), timedelta(hours=-3)])
def test_a_clock_that_is_off_is_so_everywhere(skew: timedelta) -> None:
    plant = Plant(tags=8, plants=2)
    with running(plant, clock=lambda: NOW, skew=skew) as url, requests.Session() as http:
        reply = http.get(f"{url}/dataservers", timeout=10)
        shown = f"{NOW + skew:%Y-%m-%dT%H:%M:%S}.25Z"
        assert reply.json()["Items"][0]["ServerTime"] == shown
        off = parsedate_to_datetime(reply.headers["Date"]) - datetime.now(timezone.utc)
        assert abs(off - skew) < timedelta(seconds=90)
        point = plant.points[0]
        items = http.get(f"{url}/streams/{point.web_id()}/recorded?startTime=*-10m", timeout=10).json()[
            "Items"
        ]
        truth = plant.oracle(
            point.name, NOW + skew - timedelta(minutes=10), NOW + skew + timedelta(microseconds=1)
        )
        assert len(items) == len(truth) > 0


def test_the_date_has_the_form_http_wants() -> None:
    with running(Plant(tags=4, plants=1)) as url:
        date = requests.get(url, timeout=10).headers["Date"]
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date)
