"""``pi-datasource check``: whether a server can be read from here, and how fast, in a handful of requests.

The list of data servers checks connection, encryption, sign-in and clock; one batch call checks batches, limits, the
right to read data, and speed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from pi_datasource import errors
from pi_datasource.model import Point, iso_utc
from pi_datasource.options.declaration import Options
from pi_datasource.points import discovery
from pi_datasource.webapi import auth, data_servers, envelope
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.envelope import FailedPart

Verdict = Literal["ok", "warning", "failed", "skipped"]

NAMES = (
    "connection", "encryption", "sign-in", "version", "data servers", "clock", "window", "tags", "batch", "limits",
    "data",
)  # fmt: skip
SAMPLED_TAGS = 10
SAMPLED_EVENTS = 1000
SAMPLED_SPAN = timedelta(hours=1)
LARGEST = 2_147_483_647  # the highest maxCount that PI Web API can parse; no server is expected to allow it
TOLERATED_SKEW_S = 2.0


@dataclass(frozen=True)
class Finding:
    """The result of one check, and what to do about it."""

    name: str
    verdict: Verdict
    finding: str
    advice: str = ""


class ServerCheck:
    """The checks of one server, in the order of ``NAMES``; each depends on those before it."""

    def __init__(self, options: Options, now: Callable[[], datetime]) -> None:
        # One retry distinguishes a transient error from a failure; a check should not try for minutes.
        self.options = options.model_copy(update={"max_retries": min(1, options.max_retries)})
        self.now = now

    def run(self) -> list[Finding]:
        """The finding of every check; checks that depend on a failed one are skipped."""
        found = list(self._findings())
        skipped = set(NAMES) - {finding.name for finding in found}
        found += [Finding(name, "skipped", "not checked") for name in skipped]
        return sorted(found, key=lambda finding: NAMES.index(finding.name))

    def _findings(self) -> Iterator[Finding]:
        with PIClient(self.options) as api:
            started = self.now()
            try:
                servers = data_servers.select(api, self.options)
            except errors.PIError as error:
                yield from self._first_call_failed(error)
                return
            ended = self.now()
            seconds = (ended - started).total_seconds()
            yield Finding("connection", "ok", f"{self.options.url} answers in {seconds:.2f} s")
            yield self._encryption()
            yield Finding("sign-in", "ok", _SIGN_IN[auth.chosen(self.options)])
            yield _version(api)
            yield Finding("data servers", "ok", ", ".join(server.name for server in servers))
            try:
                there = data_servers.server_now(servers)
                yield _clock(there, started, ended)
                yield self._window(there)
            except errors.PIError as error:
                there = ended
                yield Finding("clock", "failed", str(error))
            try:
                points, complete = discovery.sample(api, servers, self.options)
            except errors.PIError as error:
                yield Finding("tags", "failed", str(error))
                return
            yield _tags(points, complete)
            yield from self._batch(api, points[:SAMPLED_TAGS], there)

    def _window(self, there: datetime) -> Finding:
        try:
            return Finding("window", "ok", str(self.options.window(there)))
        except errors.PIError as error:
            return Finding("window", "failed", str(error))

    def _first_call_failed(self, error: errors.PIError) -> Iterator[Finding]:
        if isinstance(error, errors.ServerUnreachable | errors.ServerTimeout):
            yield Finding("connection", "failed", str(error))
            return
        yield Finding("connection", "ok", f"{self.options.url} answers")
        yield self._encryption()
        name = "sign-in" if isinstance(error, errors.AuthenticationFailed) else "data servers"
        yield Finding(name, "failed", str(error))

    def _encryption(self) -> Finding:
        if self.options.url.startswith("http:"):
            advice = "use https; without it, passwords and tokens can be read in transit"
            return Finding("encryption", "warning", "none: the address begins with http", advice)
        if not self.options.verify_tls:
            advice = "give the certificate of the authority as 'ca_bundle' and leave 'verify_tls' out"
            return Finding("encryption", "warning", "the server's certificate is not checked", advice)
        by = str(self.options.ca_bundle) if self.options.ca_bundle else "the authorities of this machine"
        return Finding("encryption", "ok", f"the certificate is trusted by {by}")

    def _batch(self, api: PIClient, points: list[Point], now: datetime) -> Iterator[Finding]:
        requests = dict(_requests(api, points, now))
        started = time.monotonic()
        try:
            members = envelope.members(api.batch(requests), list(requests))
        except errors.UnexpectedReply as error:
            yield Finding("batch", "failed", str(error), "look for a proxy in between")
            return
        except errors.ServerError as error:
            advice = "allow POST to /piwebapi/batch with the header X-Requested-With, on PI Web API and on every proxy"
            yield Finding("batch", "failed", str(error), advice)
            return
        seconds = time.monotonic() - started
        text = f"{len(requests)} requests in one call; POST with X-Requested-With is accepted"
        yield Finding("batch", "ok", text)
        limit, *events = (envelope.content_of(members[key]) for key in requests)
        yield self._limits(limit)
        yield _data(events, points, seconds)

    def _limits(self, answer: Any) -> Finding:
        if not isinstance(answer, FailedPart):
            return Finding("limits", "ok", "no limit on the events of one response")
        limit = envelope.items_limit(answer.message)
        if answer.status != 400 or not limit:
            status = "" if answer.unrecognized else f"HTTP {answer.status} "
            said = f"{status}{answer.message}".strip()
            return Finding("limits", "warning", f"the maximum is unknown ({said})")
        if self.options.page_size > limit:
            advice = f"set 'page_size' to {limit:,} or less; until then one request of each task is refused"
            return Finding("limits", "warning", f"at most {limit:,} events in one response", advice)
        text = f"at most {limit:,} events in one response; 'page_size' is {self.options.page_size:,}"
        return Finding("limits", "ok", text)


_SIGN_IN = {
    "anonymous": "not required: the server accepts anonymous requests",
    "basic": "user name and password (Basic) are accepted",
    "bearer": "the bearer token is accepted",
    "oidc": "the client got a token (OpenID Connect), and it is accepted",
    "kerberos": "Kerberos is accepted",
    "ntlm": "user name and password (NTLM) are accepted",
}


def worst(findings: list[Finding]) -> Verdict:
    """The overall verdict."""
    verdicts = {finding.verdict for finding in findings}
    return next((verdict for verdict in ("failed", "warning") if verdict in verdicts), "ok")


def as_data(url: str, findings: list[Finding]) -> dict[str, Any]:
    """The findings as data for JSON."""
    return {"url": url, "verdict": worst(findings), "checks": [asdict(finding) for finding in findings]}


_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "dim"}


def as_table(findings: list[Finding]) -> Table:
    """The findings as a table for the terminal."""
    table = Table("check", "verdict", "finding", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for each in findings:
        text = Text(each.finding)
        if each.advice:
            text.append(f"\n→ {each.advice}", style="italic")
        table.add_row(each.name, Text(each.verdict, style=_COLOURS[each.verdict]), text)
    return table


def _version(api: PIClient) -> Finding:
    try:
        system = api.get("system", {"selectedFields": "ProductTitle;ProductVersion"})
    except errors.ServerError as error:
        return Finding(
            "version", "warning", str(error), "only this check needs the version; reading does not"
        )
    title, version = (str(system.get(name, "?")) for name in ("ProductTitle", "ProductVersion"))
    numbers = [int(part) for part in version.split(".") if part.isdecimal()]
    if len(numbers) > 1 and numbers[:2] < [1, 10]:
        advice = "update to 2017 R2 (1.10) or later, the first with WebIDs that survive a rename"
        return Finding("version", "warning", f"{title} {version}", advice)
    return Finding("version", "ok", f"{title} {version}")


def _clock(there: datetime, started: datetime, ended: datetime) -> Finding:
    """The skew of the server's clock, which is uncertain by half the response time."""
    middle, doubt = started + (ended - started) / 2, (ended - started).total_seconds() / 2
    skew = (there - middle).total_seconds()
    place = "ahead of" if skew > 0 else "behind"
    text = f"{iso_utc(there)}; {abs(skew):.1f} s {place} this machine (within {doubt:.2f} s)"
    if abs(skew) - doubt <= TOLERATED_SKEW_S:
        return Finding("clock", "ok", text)
    advice = (
        "synchronize both clocks with one time service. Windows follow the PI server's clock, so nothing is lost; but lags "
        "look wrong, and absolute times in options may be later or earlier there"
    )
    return Finding("clock", "warning", text, advice)


def _tags(points: list[Point], complete: bool) -> Finding:
    examples = ", ".join(point.name for point in points[:3])
    more = "" if complete else " on the first pages alone"
    return Finding("tags", "ok", f"{len(points):,} selected{more}, such as {examples}")


def _requests(api: PIClient, points: list[Point], now: datetime) -> Iterator[tuple[str, str]]:
    end = iso_utc(now)
    largest = {"startTime": end, "endTime": end, "maxCount": LARGEST, "selectedFields": "Items.Timestamp"}
    yield "limit", api.resource(f"streams/{points[0].web_id}/recorded", largest)
    sample = {
        "startTime": iso_utc(now - SAMPLED_SPAN),
        "endTime": end,
        "maxCount": SAMPLED_EVENTS,
        "selectedFields": "Items.Timestamp;Items.Value;Items.Good;Items.Questionable;Items.Substituted",
    }
    for number, point in enumerate(points):
        yield str(number), api.resource(f"streams/{point.web_id}/recorded", sample)


def _data(answers: list[Any], points: list[Point], seconds: float) -> Finding:
    refused = [pair for pair in zip(points, answers, strict=True) if isinstance(pair[1], FailedPart)]
    if refused:
        point, failed = refused[0]
        status = ":" if failed.unrecognized else f" (HTTP {failed.status})"
        text = f"{len(refused)} of {len(points)} tags cannot be read: {point.name}{status} {failed.message}"
        advice = "ask for the right to read the data of these tags (PI point security: data access)"
        return Finding("data", "failed" if len(refused) == len(points) else "warning", text.strip(), advice)
    events = sum(len(content.get("Items", [])) for content in answers)
    text = f"{events:,} events of {len(points)} tags in {seconds:.2f} s"
    if not events:
        text = f"no event of {len(points)} tags in the last hour"
        return Finding("data", "warning", text, "check that the interfaces are running")
    rate = events / max(seconds, 1e-3)
    return Finding("data", "ok", f"{text}: about {rate:,.0f} events/s on one connection")
