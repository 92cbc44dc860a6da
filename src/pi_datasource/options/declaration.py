"""Every option of ``format("pi")``, declared once: type, default, unit, bounds, secrecy and description.

The README's table, the command line's flags and the error texts are made from these declarations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pi_datasource import time_strings
from pi_datasource.errors import InvalidOption
from pi_datasource.model import Window
from pi_datasource.options import sign_in, spelling, types

DEFAULT_TABLE = "pi_timeseries"
# What Spark 4.2 gives instead of, or beside, the options of CREATE TABLE … USING pi.
_TABLE_PROPERTIES = {"owner", "provider"}


class Options(BaseModel):
    """The options of one read or stream: complete, checked, immutable, and safe to print."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: types.Address = Field(
        description="Address of PI Web API: `https://HOST/piwebapi` (`HOST` alone is enough)."
    )
    batch_url: types.Address | None = Field(
        None,
        description="Address under which PI Web API knows itself, for the requests inside a batch: needed where a proxy maps "
        "it to another path. If unset: `url`, or what the server's own links say.",
    )
    table: str = Field(
        DEFAULT_TABLE,
        description="What to read: `pi_timeseries`, the recorded events of points, or `pi_points`, the points themselves.",
    )
    tags: types.Names = Field(
        (),
        description="Tags to read: names or patterns with `*`, `?` and sets such as `[ab]` (a backslash makes the "
        "next character literal), separated by commas (a JSON array for names that hold commas), or full paths `\\\\SERVER\\TAG`. All tags when empty.",
    )
    tag_filter: str | None = Field(
        None, description="One more pattern, in PI's own `nameFilter` syntax, that every tag must match."
    )
    data_servers: types.Names = Field(
        (), description="Names of the data servers to read. All of them when empty."
    )
    start_time: types.Time = Field(
        "*-1d",
        description="Start of the window, included: PI time (`*-1d`, `t`, `earliest`, `latest`) or ISO 8601. "
        "For a stream: where its first run starts.",
    )
    end_time: types.Time = Field(
        "*", description="End of the window, excluded. `*` is the PI server's present time. Not for streams."
    )
    time_zone: types.Zone = Field(
        "UTC", description="IANA zone in which times without a zone are read. Results are always in UTC."
    )
    tag_pattern: types.Pattern | None = Field(
        None,
        description="Regular expression with named groups over the tag name, such as "
        "`(?P<plant>[^.]+)\\.(?P<sensor_type>[^.]+)`. Each group becomes a column.",
    )
    include_metadata: bool = Field(False, description="Adds the columns `tag_path` and `server_name`.")
    columns: types.Names = Field(
        (),
        description="Names of the columns to read, in this order, such as `tag_name,timestamp,value`. All when empty.",
    )
    pushdown: bool = Field(
        False,
        description="Lets Spark's own filters narrow what is read (Spark 4.1 and later). Safe only where each DataFrame "
        "and view is used once: see the README. Not for streams.",
    )
    auth: Literal["auto", "anonymous", "basic", "bearer", "oidc", "kerberos", "ntlm"] = Field(
        "auto",
        description="How to sign in: `auto` (bearer with `token`, oidc with `client_id`, basic with `username`, else "
        "anonymous), `anonymous`, `basic`, `bearer`, `oidc` (OpenID Connect client credentials), `kerberos`, `ntlm`.",
    )
    username: types.UserName | None = Field(
        None, description="User name for basic and NTLM: `DOMAIN\\user` or `user@domain`."
    )
    password: types.Secret | None = Field(
        None,
        description="Password, or better where it is found: `env:NAME`, `file:PATH` or `secret:SCOPE/KEY` "
        "(Databricks).",
    )
    token: types.Token | None = Field(
        None,
        description="Bearer token, or where it is found, like `password`. Looked up again when it is refused.",
    )
    client_id: types.UserName | None = Field(
        None, description="OpenID Connect: the id of the client. Implies `auth=oidc`."
    )
    client_secret: types.Secret | None = Field(
        None, description="OpenID Connect: the client's secret, or where it is found, like `password`."
    )
    token_url: types.Endpoint | None = Field(
        None,
        description="OpenID Connect: address of the token endpoint. If unset: the one that "
        "`{url}/.well-known/openid-configuration` names.",
    )
    scope: str = Field("system", description="OpenID Connect: the scope to request.")
    verify_tls: bool = Field(
        True, description="Whether the server's certificate is checked. `false` is logged as a warning."
    )
    ca_bundle: Path | None = Field(
        None, description="PEM file of the authorities that sign the server's certificate."
    )
    client_cert: Path | None = Field(
        None, description="PEM file of a certificate to show to the server or the gateway before it."
    )
    client_key: Path | None = Field(
        None, description="PEM file of the key of `client_cert`. Not needed when both are in one file."
    )
    client_key_password: types.Secret | None = Field(
        None, description="Password of an encrypted client key, or where it is found, like `password`."
    )
    proxy: types.Proxy | None = Field(
        None,
        description="HTTP proxy, `http://HOST:PORT`, or where it is found, like `password`, or `none` for none. Only one "
        "that is found by reference may hold a user name and password. If unset, the environment variables `HTTPS_PROXY`, "
        "`HTTP_PROXY` and `NO_PROXY` apply.",
    )
    proxy_username: types.UserName | None = Field(None, description="User name that `proxy` asks for.")
    proxy_password: types.Secret | None = Field(
        None, description="Password that `proxy` asks for, or where it is found, like `password`."
    )
    compression: Literal["auto", "gzip", "none"] = Field(
        "auto",
        description="Compression of answers: `gzip`, `none`, or `auto`: `gzip` unless the server is on this machine, where "
        "unpacking costs more than it saves.",
    )
    timeout: types.PositiveSpan = Field(
        timedelta(seconds=60), description="Longest wait for one answer, such as `60s` or `2m`."
    )
    max_retries: int = Field(
        5,
        ge=0,
        le=20,
        description="How often one call is sent again, for all reasons together: a connection that breaks, 429, 5xx, an "
        "incomplete answer. `Retry-After` is honoured up to five minutes; a pause of more than ten seconds is logged.",
    )
    page_size: int = Field(
        10_000, ge=1, le=1_000_000, description="Most events of one tag in one answer (PI's `maxCount`)."
    )
    batch_size: int = Field(1000, ge=1, le=10_000, description="Most tags in one call to the batch endpoint.")
    read_mode: Literal["auto", "streamsets", "streams"] = Field(
        "auto",
        description="How a batch requests events: `streamsets` (many tags in one request, the archive's bulk "
        "call), `streams` (one request for each tag), or `auto`: stream sets, and single streams where the server "
        "refuses them.",
    )
    requests_per_second: float | None = Field(
        None,
        gt=0,
        description="Most requests per second that a read sends, over all its tasks and with each request inside a batch "
        "counted. No bound if unset; PI Web API itself refuses more than 1000 from one address.",
    )
    max_concurrent_requests: int | None = Field(
        None,
        ge=1,
        description="Most concurrent calls of a read, whatever the cluster's size. If unset: `num_partitions`.",
    )
    num_partitions: int = Field(
        8, ge=1, le=100_000, description="Number of Spark partitions to aim at; each is read by one task."
    )
    on_error: Literal["fail", "report"] = Field(
        "fail",
        description="What happens when tags cannot be read: `fail` the read with one error that names all of them, or "
        "`report` them as rows with `value_kind = 'read_failure'`.",
    )
    report_metrics: bool = Field(
        False,
        description="Adds a row for each task with `value_kind = 'read_metrics'`, whose `value_string` holds `calls`, `retries` "
        "and `throttled_seconds`. In a stream it also holds `offset`, the end of the micro-batch, and there is one even if nothing "
        "had to be read; each deleted tag has a row `deleted_point`.",
    )
    settle: types.Span = Field(
        timedelta(seconds=5),
        description="Streams stay this far behind the PI server's clock, so that events still under way are not missed.",
    )
    max_window_per_trigger: types.PositiveSpan | None = Field(
        None, description="Longest time span of one micro-batch, such as `6h`. No bound if unset."
    )
    max_events_per_trigger: int | None = Field(
        None,
        ge=1,
        description="About how many events one micro-batch holds at most, by the server's own counts. No bound if unset.",
    )
    min_window_per_trigger: types.Span = Field(
        timedelta(seconds=1),
        description="Shortest time span of a micro-batch of a running stream. `0s`: a micro-batch at each trigger.",
    )
    start_times: Path | None = Field(
        None,
        description="Streams: file with the starts of single tags, CSV with the columns `tag,start` or a JSON object "
        "`{tag: start}`; all others start at `start_time`. Patterns with `*` and `?` are allowed.",
    )
    discovery_interval: types.Span = Field(
        timedelta(minutes=10),
        description="How often streams list the tags again; new tags are read from the next window on. `0s`: for every "
        "micro-batch.",
    )
    wait_for_server: types.Span = Field(
        timedelta(0),
        description="How long to wait, after `max_retries`, for a server that is down (no connection, 502, 503) or whose rate "
        "limit refuses requests (429), before the read or stream fails, such as `12h`.",
    )
    overlap: types.Span = Field(
        timedelta(0),
        description="Pipeline only: time span before each micro-batch that is read again and replaced, so that late, edited "
        "and deleted events reach the tables. A plain stream reads nothing twice.",
    )
    new_tags: Literal["from_now", "backfill"] = Field(
        "from_now",
        description="Pipeline only: whether a new tag is read from when it appears (`from_now`), or its history since the "
        "start of the stream is read as well (`backfill`).",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Options:
        sign_in.check(self)
        if not time_strings.is_relative(self.start_time) and not time_strings.is_relative(self.end_time):
            self.window(types.SOME_MOMENT)
        return self

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Options:
        """Checked options from those given to Spark or the command line; no request is made.

        Raises:
            UnknownOption: there is no such option; the message suggests the nearest name.
            InvalidOption: an option is missing, has a value that cannot be used, or different values in two spellings;
                the message names it.
        """
        keys = {key.lower() for key in given}
        if not keys & {"url", "path", "paths"} or keys & _TABLE_PROPERTIES:
            message = (
                "option 'url' is missing: .option('url', 'https://HOST/piwebapi'). In SQL use CREATE TEMPORARY VIEW "
                "… USING pi OPTIONS (url '…'): Spark drops every option of CREATE TABLE … USING pi."
            )
            raise InvalidOption(message)
        try:
            return cls.model_validate(cls.by_name(given))
        except ValidationError as error:
            raise InvalidOption("; ".join(map(_explain, error.errors(include_input=False)))) from None

    @classmethod
    def by_name(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """``given`` with each option under its own name, whatever its spelling (see ``spelling.by_name``)."""
        return spelling.by_name(given, cls.model_fields)

    def window(self, now: datetime) -> Window:
        """The batch window ``[start, end)`` when the PI server's clock shows ``now``.

        Raises:
            InvalidOption: the window ends before it starts.
        """
        zone = time_strings.zone_named(self.time_zone)
        start, end = (time_strings.resolve(text, now, zone) for text in (self.start_time, self.end_time))
        if end < start:
            message = (
                f"option 'end_time' ({self.end_time!r}) lies before option 'start_time' ({self.start_time!r}); "
                "swap them or change one"
            )
            raise InvalidOption(message)
        return Window(start, end)

    @property
    def pattern_columns(self) -> tuple[str, ...]:
        """The named groups of ``tag_pattern`` in the order in which they stand; each is a column."""
        return tuple(re.compile(self.tag_pattern or "").groupindex)


def _explain(item: Any) -> str:
    cause = (item.get("ctx") or {}).get("error")
    text = str(cause) if cause else str(item["msg"])
    return f"option '{item['loc'][0]}': {text}" if item["loc"] else text
