"""What was read when the checkpoints were written, and where a generation has what.

A generation has `streams/NAME`, Spark's checkpoint of a plain stream; `attempted.json`, the digest of the rows of each
micro-batch that was begun and not committed; `pipeline`, a folder of tables with the checkpoint of their ingestion; and
`versions.json`, the version of each table before the last micro-batch.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from mock_server import TAG_PATTERN, Plant

HERE = Path(__file__).parent
GENERATIONS = sorted(path.parent for path in HERE.glob("*/attempted.json"))

NOW = datetime(2026, 3, 1, 6, 0, 0, 123456, tzinfo=timezone.utc)
"""The server's clock when a stream was first started."""
SETTLE = timedelta(seconds=5)
LATER = NOW + timedelta(minutes=10)
"""Its clock when the pipeline ran for the second time."""

STREAM = {"start_time": "*-30m", "max_window_per_trigger": "12m"}
"""Three micro-batches up to ``NOW``."""
UNFINISHED = {"first_unfinished": 0, "last_unfinished": 2, "finished": None}
"""Which micro-batch of each stream was begun and not committed."""

PERIOD_S = 5.0
INGESTION = {
    "start_time": "*-10m",
    "max_window_per_trigger": "6m",
    "tag_pattern": TAG_PATTERN,
    "overlap": f"{int(PERIOD_S * 2048)}s",
}
"""Two micro-batches up to ``NOW``, and two up to ``LATER``."""


def stream_plant() -> Plant:
    return Plant(seed=11, tags=24, plants=2)


def pipeline_plant() -> Plant:
    """Of its events some come late, and some are edited or deleted."""
    return Plant(seed=12, tags=4, plants=2, period_s=PERIOD_S, changes=0.05)


def through_proxy(url: str) -> dict[str, str]:
    """The options by which the server at ``url`` is always the same server.

    A pipeline's checkpoint has its name from the address, and a test server has another port each time.
    """
    return {"url": "http://pi.invalid/piwebapi", "proxy": url.removesuffix("/piwebapi")}
