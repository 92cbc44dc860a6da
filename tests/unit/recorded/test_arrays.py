"""Arrays made of buffers are those that Arrow makes itself, and pandas stays out of the workers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_datasource.recorded import arrays

READS_ALL_KINDS = """
import json, sys
from datetime import datetime, timezone
from pi_datasource import schema
from pi_datasource.model import ReadTask, Window
from pi_datasource.recorded import decode, reply
from tests.unit.fakes import point, wire

values = [1.5, {"Name": "ON", "Value": 1}, "text", True, None, 2**60, {"Errors": ["off"]}, [1]] * 200
items = [{"Timestamp": wire(i), "Value": value, "Good": i % 3 > 0} for i, value in enumerate(values)]
body = json.dumps({"0": {"Status": 200, "Content": {"Items": items}}}, separators=(",", ":")).encode()
(page,) = reply.batch_reply(body).values()
group = decode.PointEvents(point(), page.events, page.units, decode.SequenceCounter())
now = datetime(2026, 1, 1, tzinfo=timezone.utc)
target = schema.timeseries(include_metadata=True)
batch = decode.to_batch([group], target, now, None)
assert batch.num_rows == 1600
status_task = ReadTask("pi_timeseries", Window(now, now), (point(),), now, 1, 1)
decode.status_rows([(point(), "why")], schema.READ_FAILURE, status_task, target, None)
print("pandas" in sys.modules)
"""


@given(st.lists(st.none() | st.integers(-(2**31), 2**31 - 1)))
def test_numbers(values: list[int | None]) -> None:
    missing = np.array([value is None for value in values], np.bool_)
    found = arrays.fixed_width(np.array([value or 0 for value in values], np.int32), pa.int32(), missing)
    found.validate(full=True)
    assert found.equals(pa.array(values, pa.int32()))


def test_numbers_of_another_width_are_refused() -> None:
    with pytest.raises(AssertionError):
        arrays.fixed_width(np.zeros(3, np.int64), pa.int32())


def test_numbers_that_do_not_lie_side_by_side() -> None:
    assert arrays.fixed_width(np.arange(10)[::3], pa.int64()).to_pylist() == [0, 3, 6, 9]


@given(st.lists(st.none() | st.booleans()))
def test_booleans(values: list[bool | None]) -> None:
    given_ = [np.array([value is wanted for value in values], np.bool_) for wanted in (True, None)]
    found = arrays.booleans(*given_)
    found.validate(full=True)
    assert found.equals(pa.array(values, pa.bool_()))


@given(st.lists(st.none() | st.text()))
def test_strings(values: list[str | None]) -> None:
    found = arrays.strings(values)
    found.validate(full=True)
    assert found.equals(pa.array(values, pa.string()))


@given(st.lists(st.binary()), st.integers(0, 5))
def test_to_bytes_of_a_slice(values: list[bytes], first: int) -> None:
    assert arrays.to_bytes(pa.array(values, pa.binary()).slice(first)) == values[first:]


@given(st.lists(st.integers(-(2**63), 2**63 - 1)), st.integers(0, 5))
def test_to_numpy_of_a_slice(values: list[int], first: int) -> None:
    assert arrays.to_numpy(pa.array(values, pa.int64()).slice(first), np.int64).tolist() == values[first:]


def test_reading_does_not_import_pandas() -> None:
    """It costs each worker 40 MB; pyarrow imports it on many an occasion where it is installed, as it is here."""
    pytest.importorskip("pandas")
    done = subprocess.run(
        [sys.executable, "-c", READS_ALL_KINDS], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("False", "")
