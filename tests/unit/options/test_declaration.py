"""Options: spellings, bounds, defaults and error texts, and nothing secret in any of them."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pi_datasource import schema
from pi_datasource.errors import InvalidOption, UnknownOption
from pi_datasource.model import Window
from pi_datasource.options import documentation
from pi_datasource.options.declaration import Options
from pi_datasource.tables import registry

UTC = timezone.utc
CANARY = "CANARY-7f3a"
NOW = datetime(2024, 5, 15, 12, tzinfo=UTC)


def parsed(**given: str) -> Options:
    return Options.parse({"url": "https://pi.example/piwebapi", **given})


def refused(**given: str) -> str:
    with pytest.raises(InvalidOption) as caught:
        parsed(**given)
    return str(caught.value)


@pytest.mark.parametrize("key", ["start_time", "startTime", "starttime", "STARTTIME", "Start_Time"])
def test_an_option_is_the_same_in_every_spelling(key: str) -> None:
    assert parsed(**{key: "*-7d"}).start_time == "*-7d"


@pytest.mark.parametrize(
    "given",
    [
        {"startTime": "*-7d", "start_time": "*-1d"},
        {"starttime": "*-7d", "start_time": "*-1d"},
        {"START_TIME": "*-7d", "startTime": "*-1d"},
    ],
)
def test_two_spellings_of_an_option_with_different_values_are_refused(given: dict[str, str]) -> None:
    one, two = given
    assert refused(**given) == (
        f"options {one!r} and {two!r} are two spellings of one option and have different values; give one of them"
    )


def test_two_spellings_of_an_option_with_one_value_are_one_option() -> None:
    assert parsed(startTime="*-7d", start_time="*-7d").start_time == "*-7d"


def test_two_spellings_of_a_secret_show_neither_value() -> None:
    assert CANARY not in refused(client_secret=CANARY, clientSecret=f"{CANARY}2", client_id="c")


def test_every_option_is_found_by_its_lower_cased_name_without_underscores() -> None:
    given = {name.replace("_", ""): "x" for name in Options.model_fields}
    assert list(Options.by_name(given)) == list(Options.model_fields)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("tag", "'tag' is not an option of format('pi'); did you mean 'tags'?"),
        ("start_tme", "'start_tme' is not an option of format('pi'); did you mean 'start_time'?"),
        ("pagesize_", None),
        ("maxWindow", "'maxWindow' is not an option of format('pi'); did you mean 'max_window_per_trigger'?"),
        (
            "zzz",
            f"'zzz' is not an option of format('pi'); the options are: {', '.join(Options.model_fields)}",
        ),
        ("path", "load() takes no path; give the address as .option('url', 'https://HOST/piwebapi')"),
    ],
)
def test_an_unknown_option_suggests_the_nearest(key: str, text: str | None) -> None:
    if text is None:
        assert parsed(**{key: "5"}).page_size == 5
        return
    with pytest.raises(UnknownOption) as caught:
        parsed(**{key: "1"})
    assert str(caught.value) == text


def test_defaults_are_these() -> None:
    defaults = parsed().model_dump()
    assert defaults == {
        "url": "https://pi.example/piwebapi", "batch_url": None, "table": "pi_timeseries", "tags": (), "tag_filter": None,
        "data_servers": (), "start_time": "*-1d", "end_time": "*", "time_zone": "UTC", "tag_pattern": None,
        "include_metadata": False, "columns": (), "pushdown": False, "auth": "auto",
        "username": None, "password": None, "token": None,
        "client_id": None, "client_secret": None, "token_url": None, "scope": "system",
        "verify_tls": True, "ca_bundle": None, "client_cert": None, "client_key": None, "client_key_password": None,
        "proxy": None, "proxy_username": None, "proxy_password": None, "compression": "auto", "timeout": timedelta(seconds=60), "max_retries": 5,
        "page_size": 10_000, "batch_size": 1000, "read_mode": "auto", "requests_per_second": None,
        "max_concurrent_requests": None, "num_partitions": 8, "on_error": "fail", "report_metrics": False,
        "settle": timedelta(seconds=5), "max_window_per_trigger": None, "overlap": timedelta(0), "new_tags": "from_now",
        "max_events_per_trigger": None, "min_window_per_trigger": timedelta(seconds=1), "start_times": None,
        "discovery_interval": timedelta(minutes=10), "wait_for_server": timedelta(0),
    }  # fmt: skip


def test_a_missing_url_says_what_sql_does_to_options() -> None:
    with pytest.raises(InvalidOption) as caught:
        Options.parse({"tags": "X"})
    assert str(caught.value) == (
        "option 'url' is missing: .option('url', 'https://HOST/piwebapi'). In SQL use CREATE TEMPORARY VIEW … USING pi "
        "OPTIONS (url '…'): Spark drops every option of CREATE TABLE … USING pi."
    )


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("pi.example", "https://pi.example/piwebapi"),
        ("pi.example:8443/", "https://pi.example:8443/piwebapi"),
        (" https://pi.example ", "https://pi.example/piwebapi"),
        ("http://pi.example/piwebapi/", "http://pi.example/piwebapi"),
        ("https://proxy/plant/pi?x=1#y", "https://proxy/plant/pi"),
        ("http://[::1]:8010", "http://[::1]:8010/piwebapi"),
    ],
)
def test_an_address_is_completed(given: str, url: str) -> None:
    assert parsed(url=given).url == url


ADDRESS = "option 'url': is not a valid address; use https://HOST/piwebapi"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"url": ""}, ADDRESS),
        ({"url": "ftp://h"}, ADDRESS),
        ({"url": "https://"}, ADDRESS),
        ({"url": "https://user:pw@h/piwebapi"}, "option 'url': holds a user name or password; give them as the options "
         "'username' and 'password'"),
        ({"page_size": "0"}, "option 'page_size': Input should be greater than or equal to 1"),
        ({"page_size": "1000001"}, "option 'page_size': Input should be less than or equal to 1000000"),
        ({"page_size": "ten"}, "option 'page_size': Input should be a valid integer, unable to parse string as an "
         "integer"),
        ({"batch_size": "0"}, "option 'batch_size': Input should be greater than or equal to 1"),
        ({"batch_size": "10001"}, "option 'batch_size': Input should be less than or equal to 10000"),
        ({"num_partitions": "0"}, "option 'num_partitions': Input should be greater than or equal to 1"),
        ({"num_partitions": "100001"}, "option 'num_partitions': Input should be less than or equal to 100000"),
        ({"max_retries": "-1"}, "option 'max_retries': Input should be greater than or equal to 0"),
        ({"max_retries": "21"}, "option 'max_retries': Input should be less than or equal to 20"),
        ({"verify_tls": "maybe"}, "option 'verify_tls': Input should be a valid boolean, unable to interpret input"),
        ({"on_error": "skip"}, "option 'on_error': Input should be 'fail' or 'report'"),
        ({"auth": "digest"}, "option 'auth': Input should be 'auto', 'anonymous', 'basic', 'bearer', 'oidc', 'kerberos' or "
         "'ntlm'"),
        ({"timeout": "0s"}, "option 'timeout': must be longer than 0s"),
        ({"timeout": "60"}, "option 'timeout': '60' is not a valid duration; use a number and one of s, m, h, d, w, such "
         "as '30s' or '15m'"),
        ({"settle": "-1s"}, "option 'settle': '-1s' is not a valid duration; use a number and one of s, m, h, d, w, such "
         "as '30s' or '15m'"),
        ({"max_window_per_trigger": "0h"}, "option 'max_window_per_trigger': must be longer than 0s"),
        ({"time_zone": "CEST+"}, "option 'time_zone': there is no time zone 'CEST+'; use an IANA name such as "
         "'Europe/Berlin' or 'UTC'"),
        ({"start_time": "soon"}, "option 'start_time': 'soon' is not a valid time; use '*', '*-1d', 't+8h', 'y', 'latest', "
         "'earliest', '2024-05-01T06:00:00Z' or '1-jan-2024 08:00'"),
        ({"end_time": "2024-02-30"}, "option 'end_time': '2024-02-30' is not a valid time: day is out of range for month"),
        ({"tag_pattern": "("}, "option 'tag_pattern': is not a valid regular expression: missing ), unterminated subpattern at "
         "position 0"),
        ({"tag_pattern": "(.*)"}, "option 'tag_pattern': has no named group such as (?P<plant>[^.]+); each named group "
         "becomes a column"),
        ({"auth": "basic"}, "auth='basic' needs the option 'username'"),
        ({"auth": "ntlm"}, "auth='ntlm' needs the option 'username'"),
        ({"auth": "bearer"}, "auth='bearer' needs the option 'token'"),
        ({"auth": "oidc"}, "auth='oidc' needs the option 'client_id'"),
        ({"username": "u"}, "option 'username' needs the option 'password'"),
        ({"client_id": "c"}, "option 'client_id' needs the option 'client_secret'"),
        ({"client_secret": "s"}, "option 'client_secret' needs the option 'client_id'"),
        ({"client_key": "k.pem", "auth": "kerberos"}, "option 'client_key' needs the option 'client_cert'"),
        ({"token_url": "HOST/token"},
         "option 'token_url': is not a valid address; use https://HOST/identitymanager/connect/token"),
        ({"page_size": "0", "batch_size": "0"}, "option 'page_size': Input should be greater than or equal to 1; "
         "option 'batch_size': Input should be greater than or equal to 1"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_told_with_the_option_and_what_is_accepted(
    given: dict[str, str], text: str
) -> None:
    assert refused(**given) == text


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("page_size", 1, 1_000_000),
        ("batch_size", 1, 10_000),
        ("num_partitions", 1, 100_000),
        ("max_retries", 0, 20),
    ],
)
def test_the_bounds_themselves_are_accepted(name: str, low: int, high: int) -> None:
    assert [getattr(parsed(**{name: str(n)}), name) for n in (low, high)] == [low, high]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("", ()),
        (" , ", ()),
        ("FIC*", ("FIC*",)),
        ("A, B ,C,,A", ("A", "B", "C")),
        ('["A,1", "B"]', ("A,1", "B")),
        ("[ab]*,C", ("[ab]*", "C")),
        ("[not json", ("[not json",)),
        ("\\\\SRV\\A,B C", ("\\\\SRV\\A", "B C")),
        ("[1]", ("1",)),
    ],
)
def test_lists_are_separated_by_commas_or_are_json(given: str, names: tuple[str, ...]) -> None:
    assert parsed(tags=given).tags == names
    assert parsed(data_servers=given).data_servers == names


@pytest.mark.parametrize(
    ("given", "flag"),
    [("true", True), ("1", True), ("Yes", True), ("ON", True), ("FALSE", False), ("0", False)],
)
def test_flags_are_read_in_the_usual_words(given: str, flag: bool) -> None:
    assert parsed(include_metadata=given, verify_tls=given).include_metadata is flag


def test_a_length_of_time_beyond_all_calendars_is_refused() -> None:
    assert refused(timeout="9" * 30 + "w").startswith("option 'timeout': ")


@pytest.mark.parametrize(
    ("start", "end"),
    [("2024-05-02", "2024-05-01"), ("2024-05-01T00:00:00.000001Z", "2024-05-01"), ("1-feb-2024", "earliest")],
)
def test_an_end_before_the_start_is_refused_at_once_when_both_are_absolute(start: str, end: str) -> None:
    assert refused(start_time=start, end_time=end) == (
        f"option 'end_time' ({end!r}) lies before option 'start_time' ({start!r}); swap them or change one"
    )


def test_an_end_before_the_start_is_refused_when_now_is_known() -> None:
    given = parsed(start_time="*", end_time="*-1h")
    with pytest.raises(
        InvalidOption, match=r"^option 'end_time' \('\*-1h'\) lies before option 'start_time'"
    ):
        given.window(NOW)


def test_the_window_is_resolved_against_the_time_given_and_the_zone() -> None:
    given = parsed(start_time="t", end_time="*", time_zone="Europe/Berlin")
    assert given.window(NOW) == Window(datetime(2024, 5, 14, 22, tzinfo=UTC), NOW)
    assert parsed(start_time="2024-05-01", end_time="2024-05-01").window(NOW).start == datetime(
        2024, 5, 1, tzinfo=UTC
    )


def test_secrets_appear_in_no_text_of_the_options() -> None:
    given = parsed(
        username="u", password=CANARY, token=CANARY, client_id="c", client_secret=CANARY,
        client_key_password=CANARY, proxy="http://h:1", proxy_username="u", proxy_password=CANARY,
    )  # fmt: skip
    texts = [repr(given), str(given), repr(copy.copy(given)), repr(pickle.loads(pickle.dumps(given))),
             repr(given.model_dump()), given.model_dump_json(), format(given), repr(given.__dict__)]  # fmt: skip
    assert not [text for text in texts if CANARY in text]
    assert pickle.loads(pickle.dumps(given)).password.get_secret_value() == CANARY


@pytest.mark.parametrize(
    "wrong",
    [
        {"page_size": "x"},
        {"auth": "x"},
        {"timeout": "0s"},
        {"urll": "x"},
        {"start_time": "soon"},
        {"auth": "ntlm"},
    ],
)
def test_secrets_appear_in_no_error(wrong: dict[str, str]) -> None:
    with pytest.raises((InvalidOption, UnknownOption)) as caught:
        parsed(password=CANARY, token=CANARY, **wrong)
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in repr(error) + str(error)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "url", [f"https://u:{CANARY}@h/piwebapi", f"https://{CANARY}@h", f"https://u:x{CANARY}@"]
)
def test_a_password_in_the_address_is_not_repeated(url: str) -> None:
    assert CANARY not in refused(url=url)


@pytest.mark.parametrize("sign", ["/", "#", "?", "\\", "[", "%"])
@pytest.mark.parametrize("option", ["url", "token_url", "proxy"])
@pytest.mark.parametrize(
    "shape", ["https://u:{}x@h/piwebapi", "https://u:x{}@h:port", "http://{}@h", "u:{}@h"]
)
def test_a_password_with_a_special_sign_in_an_address_is_refused_and_not_repeated(
    sign: str, option: str, shape: str
) -> None:
    text = refused(**{option: shape.format(f"{sign}{CANARY}{sign}")})
    assert text.startswith(f"option {option!r}: ")
    assert CANARY not in text


def test_options_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        parsed().page_size = 5  # type: ignore[misc]


def test_equal_options_have_equal_hashes() -> None:
    a, b = (parsed(tags="A,B", password="p", username="u", timeout="5s") for _ in range(2))
    assert (a, hash(a)) == (b, hash(b))
    assert a != parsed(tags="A,B", password="q", username="u", timeout="5s")


def test_options_come_back_equal_from_another_process() -> None:
    given = parsed(
        tags="A,B", password="p", username="u", timeout="5s", ca_bundle="/x.pem", max_window_per_trigger="6h"
    )
    assert pickle.loads(pickle.dumps(given)) == given
    assert given.ca_bundle == Path("/x.pem")


def test_pattern_columns_stand_in_the_order_of_their_groups() -> None:
    assert parsed(tag_pattern=r"(?P<zeta>\w)(x)(?P<alpha>\w)").pattern_columns == ("zeta", "alpha")
    assert parsed().pattern_columns == ()


@pytest.mark.parametrize("name", [*schema.RESERVED, "TIMESTAMP", "Step", "Hour", "\u017ftep", "un\u0131ts"])
def test_a_named_group_cannot_take_the_name_of_a_column_of_any_table(name: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parsed(tag_pattern=f"(?P<{name}>.*)")
    assert str(caught.value) == (
        f"option 'tag_pattern': the group name {name!r} is the name of another column of the tables; choose another than "
        f"{', '.join(schema.RESERVED)}"
    )


@pytest.mark.parametrize(
    "name", ["_change", "_read", "_stored", "_asked", "_GONE", "_touched", "_metadata", "_x"]
)
def test_a_named_group_cannot_be_called_as_only_internal_columns_are(name: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parsed(tag_pattern=f"(?P<plant>.)(?P<{name}>.*)")
    assert str(caught.value) == (
        f"option 'tag_pattern': the group name {name!r} begins with '_', as only internal columns do; choose another"
    )


def test_columns_that_stand_beside_a_named_group_in_any_table_are_reserved() -> None:
    beside = {*schema.timeseries(include_metadata=True).names, *schema.hourly().names, "step"}
    assert beside == set(schema.RESERVED)
    assert schema.hourly(("plant",)).names[3] == "plant"


@pytest.mark.parametrize("other", ["Plant", "PLANT", "pLaNT"])
def test_two_named_groups_cannot_differ_in_case_only_because_spark_would_not_tell_them_apart(
    other: str,
) -> None:
    with pytest.raises(
        InvalidOption, match="'tag_pattern': two group names differ only in case, which Spark ignores"
    ):
        parsed(tag_pattern=f"(?P<plant>.)(?P<{other}>.)")


def test_other_names_are_free_whatever_letters_they_have() -> None:
    names = ("status", "größe", "Ort", "s", "t", "select", "window_start", "x_")
    assert parsed(tag_pattern="".join(f"(?P<{name}>.)" for name in names)).pattern_columns == names


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pi_timeserie", "option 'table': there is no table 'pi_timeserie'; did you mean 'pi_timeseries'?"),
        ("events", "option 'table': there is no table 'events'; the tables are: pi_timeseries, pi_points"),
    ],
)
def test_an_unknown_table_suggests_the_nearest(name: str, text: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        registry.lookup(name)
    assert str(caught.value) == text


def test_the_columns_of_the_table_are_these_in_this_order() -> None:
    full = schema.timeseries(("plant",), include_metadata=True)
    assert [f"{f.name} {f.type}{'' if f.nullable else ' NOT NULL'}" for f in full] == [
        "tag_webid string NOT NULL", "tag_name string NOT NULL", "timestamp timestamp[us, tz=UTC] NOT NULL",
        "sequence int32 NOT NULL", "value double", "value_string string", "state_code int32",
        "value_kind string NOT NULL", "good bool", "questionable bool", "substituted bool", "annotated bool",
        "units string", "point_type string", "plant string", "tag_path string", "server_name string",
        "ingestion_timestamp timestamp[us, tz=UTC] NOT NULL",
    ]  # fmt: skip
    assert set(schema.TIMESERIES_KEY) <= set(full.names)
    assert schema.timeseries().names == [
        n for n in full.names if n not in {"plant", "tag_path", "server_name"}
    ]


def test_every_option_is_described() -> None:
    rows = documentation.describe()
    assert [name for name, _, _ in rows] == list(Options.model_fields)
    assert all(text.endswith((".", ").")) and default for _, default, text in rows)


def described(name: str) -> Any:
    return {row[0]: row[1] for row in documentation.describe()}[name]


def test_defaults_are_described_as_a_user_would_write_them() -> None:
    names = ("url", "tags", "start_time", "verify_tls", "timeout", "page_size", "password")
    assert [described(name) for name in names] == [
        "required",
        "–",
        "`*-1d`",
        "`true`",
        "`60s`",
        "`10000`",
        "–",
    ]


@pytest.mark.parametrize(
    "name", [name for name, default, _ in documentation.describe() if default not in {"required", "–"}]
)
def test_a_default_that_is_described_can_be_given(name: str) -> None:
    assert parsed(**{name: described(name).strip("`")}) == parsed()


def test_an_option_that_was_renamed_is_understood_and_the_log_says_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for spelling in ("report_effort", "reportEffort"):
        caplog.clear()
        assert parsed(report_metrics="true") == parsed(**{spelling: "true"})
        assert caplog.messages == [
            f"the option '{spelling}' is now 'report_metrics'; its old name is removed in the next release; its rows have "
            "value_kind = 'read_metrics'"
        ]
