"""A server that is down is left alone; one that answers, whatever it says, is not."""

from __future__ import annotations

import pytest
import requests
import responses

from pi_datasource.errors import (
    Call,
    RequestRefused,
    ServerError,
    ServerFailed,
    ServerTimeout,
    ServerUnreachable,
)
from pi_datasource.options.declaration import Options
from pi_datasource.webapi import outage
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.outage import FAILURES, REST_S, Breaker

URL = "https://pi.example/piwebapi"
GONE = ServerUnreachable("GET system: cannot reach the server")


class Clock:
    """Time that passes only when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def down(clock: Clock) -> Breaker:
    """A breaker that has just seen a server go down."""
    made = Breaker(clock)
    for _ in range(FAILURES):
        made.check(Call("GET", "system"))
        made.failed(GONE)
    return made


def test_after_some_failures_in_a_row_nothing_is_sent_and_the_message_says_why() -> None:
    clock = Clock()
    made = down(clock)
    clock.now += 10
    with pytest.raises(ServerUnreachable) as caught:
        made.check(Call("POST", "batch"))
    assert str(caught.value) == (
        "POST batch: not sent, because 3 calls in a row found no PI Web API; it is asked again in 20 s "
        "(the last one: GET system: cannot reach the server)"
    )


def test_after_a_rest_one_call_tries_and_the_others_wait_for_it() -> None:
    clock = Clock()
    made = down(clock)
    clock.now += REST_S
    made.check(Call("GET", "system"))
    with pytest.raises(ServerUnreachable):
        made.check(Call("GET", "points"))
    made.answered()
    made.check(Call("GET", "points"))


@pytest.mark.parametrize(
    "answer", [RequestRefused("no", 404), ServerFailed("error", 500), ServerTimeout("late")], ids=str
)
def test_any_other_answer_shows_that_the_server_is_there(answer: ServerError) -> None:
    made = Breaker(Clock())
    for _ in range(FAILURES - 1):
        made.failed(GONE)
    made.failed(answer)
    made.failed(GONE)
    made.check(Call("GET", "system"))


@pytest.mark.parametrize("failure", [503, requests.ConnectionError("refused")], ids=["503", "no connection"])
@responses.activate
def test_a_client_stops_asking_a_server_that_is_down(
    failure: int | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(outage.Breaker.__init__, "__defaults__", (clock,))
    how = {"status": failure} if isinstance(failure, int) else {"body": failure}
    responses.add("GET", f"{URL}/system", **how)  # type: ignore[arg-type]
    client = PIClient(Options.parse({"url": URL, "max_retries": "0"}))
    for _ in range(FAILURES):
        with pytest.raises(ServerError):
            client.get("system")
    with pytest.raises(ServerUnreachable, match="not sent, because 3 calls"):
        client.get("system")
    assert len(responses.calls) == FAILURES
    clock.now += REST_S
    responses.replace("GET", f"{URL}/system", json={"ProductTitle": "PI Web API"})
    assert client.get("system")["ProductTitle"] == "PI Web API"
