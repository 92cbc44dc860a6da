"""A fixed set of reads gives the rows that are recorded, column by column, and every option that shapes rows is among them."""

from __future__ import annotations

import typing
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pi_datasource import Options
from tests.digests import recorded
from tests.digests.reads import READS
from tests.digests.recorded import Sites
from tests.digests.streams import STREAMS
from tests.digests.where import WHERES

_WHO = "who reads, and how it signs in"
_HOW_REACHED = "how the server is reached"
NOT_SHAPING = {
    "url": "each read has one, with a port of its own",
    "batch_url": _HOW_REACHED,
    "verify_tls": _HOW_REACHED,
    "ca_bundle": _HOW_REACHED,
    "client_cert": _HOW_REACHED,
    "client_key": _HOW_REACHED,
    "client_key_password": _HOW_REACHED,
    "proxy": _HOW_REACHED,
    "proxy_username": _HOW_REACHED,
    "proxy_password": _HOW_REACHED,
    "auth": _WHO,
    "username": _WHO,
    "password": _WHO,
    "token": _WHO,
    "client_id": _WHO,
    "client_secret": _WHO,
    "token_url": _WHO,
    "scope": _WHO,
    "requests_per_second": "how fast is read; the tasks are bounded as by max_concurrent_requests",
    "timeout": "how long is waited before the read fails",
    "wait_for_server": "how long is waited before the read fails",
}
SHAPING_ELSEWHERE = {
    "overlap": "the pipeline's: tests/integration/test_old_checkpoints.py",
    "new_tags": "the pipeline's: tests/integration/test_pipeline_history.py",
}


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    with ExitStack() as stack:
        yield Sites(stack)


@pytest.mark.parametrize("name", READS)
def test_a_read_gives_the_rows_that_are_recorded(name: str, sites: Sites) -> None:
    recorded.assert_unchanged(name, recorded.of_read(name, sites))


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_makes_the_micro_batches_that_are_recorded(name: str, sites: Sites) -> None:
    recorded.assert_unchanged(f"stream_{name}", recorded.of_stream(name, sites))


def test_nothing_is_recorded_but_what_is_read() -> None:
    assert list(recorded.load()) == [*READS, *(f"stream_{name}" for name in STREAMS), *WHERES]


def given() -> dict[str, set[str]]:
    """The values that each option has in some read."""
    values: dict[str, set[str]] = defaultdict(set)
    for each in (*READS.values(), *STREAMS.values()):
        for option, value in each.options.items():
            values[option].add(value)
    return values


def test_every_option_is_in_a_read_or_does_not_shape_rows() -> None:
    excused, read = {*NOT_SHAPING, *SHAPING_ELSEWHERE}, set(given())
    declared = set(Options.model_fields)
    assert declared - read - excused == set(), "add a read with it, or say why it does not shape rows"
    assert (read | excused) - declared == set()
    assert read & excused == set()


def test_an_option_of_few_values_has_each_of_them_in_a_read() -> None:
    for name, values in given().items():
        kind = Options.model_fields[name].annotation
        choices = {"true", "false"} if kind is bool else set(typing.get_args(kind)) - {type(None)}
        if all(isinstance(choice, str) for choice in choices):
            assert choices <= values, name
