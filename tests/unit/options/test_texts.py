"""Options written as texts are read as the same options, and no text shows more than what was given."""

from __future__ import annotations

import pickle
from datetime import timedelta
from pathlib import Path

import pytest

from pi_datasource.options import secrets
from pi_datasource.options.declaration import Options
from pi_datasource.options.texts import texts

CANARY = "CANARY-7f3a"
EVERY = {
    "url": "pi.example", "batch_url": "https://inner/piwebapi", "table": "pi_timeseries",
    "tags": '["a,b", "ö\\"*"]', "tag_filter": "x*", "data_servers": "A, B", "start_time": "*-7d",
    "end_time": "2024-05-01T00:00:00+02:00", "time_zone": "Europe/Berlin", "tag_pattern": r"(?P<plant>[^.]+)\.",
    "include_metadata": "TRUE", "columns": "value,value_kind", "pushdown": "false", "auth": "basic", "username": "ü\\u",
    "password": " pass: wörd ", "token": "env:T", "client_id": "c", "client_secret": "file:/x", "token_url": "https://x/y",
    "scope": "s", "verify_tls": "false", "ca_bundle": "/ca.pem", "client_cert": "/c.pem", "client_key": "/k.pem",
    "client_key_password": "secret:s/k", "proxy": "http://p:1", "proxy_username": "pu", "proxy_password": CANARY,
    "compression": "none", "timeout": "1.5m", "max_retries": "0", "page_size": "7", "batch_size": "8",
    "read_mode": "streams", "requests_per_second": "0.30000000000000004", "max_concurrent_requests": "3",
    "num_partitions": "5", "on_error": "report", "report_metrics": "true", "settle": "0s",
    "max_window_per_trigger": "0.000001s", "max_events_per_trigger": "9", "min_window_per_trigger": "520w",
    "start_times": "/starts.csv", "discovery_interval": "0.1h", "wait_for_server": "12h", "overlap": "2h",
    "new_tags": "backfill",
}  # fmt: skip
SIGN_INS = [{"password", "username"}, {"token"}, {"client_id", "client_secret", "token_url", "scope"}]


@pytest.mark.parametrize("kept", SIGN_INS)
def test_every_option_that_was_set_is_read_back_the_same(kept: set[str]) -> None:
    assert set(EVERY) == set(Options.model_fields)
    dropped = set().union(*SIGN_INS, {"auth"}) - kept
    options = Options.parse({name: text for name, text in EVERY.items() if name not in dropped})
    back = Options.parse(texts(options))
    assert back == options
    assert back.model_fields_set == options.model_fields_set
    assert back.max_window_per_trigger == timedelta(microseconds=1)


def test_what_was_not_set_or_is_left_out_is_not_written() -> None:
    assert texts(Options.parse({"url": "h"})) == {"url": "https://h/piwebapi"}
    options = Options.parse({"url": "h", "tags": "a", "ca_bundle": "x"}).model_copy(
        update={"ca_bundle": Path("y")}
    )
    assert texts(options, without=["tags", "end_time"]) == {"url": "https://h/piwebapi", "ca_bundle": "y"}


def test_a_secret_that_was_looked_up_is_written_as_its_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_asked_of_workspace", lambda *_: CANARY)
    monkeypatch.setattr(secrets, "_found_in_workspace", {})
    options = secrets.looked_up(Options.parse({"url": "h", "token": "secret:s/k"}))
    assert options.token is not None
    assert options.token.get_secret_value() == CANARY
    assert texts(options)["token"] == "secret:s/k"
    assert Options.parse(texts(options)) == Options.parse({"url": "h", "token": "secret:s/k"})


def test_a_secret_of_which_only_the_value_is_known_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_asked_of_workspace", lambda *_: CANARY)
    monkeypatch.setattr(secrets, "_found_in_workspace", {})
    there = pickle.loads(pickle.dumps(secrets.looked_up(Options.parse({"url": "h", "token": "secret:s/k"}))))
    with pytest.raises(
        ValueError, match=r"^option 'token' holds a secret that was looked up elsewhere$"
    ) as caught:
        texts(there)
    assert CANARY not in str(caught.value)
