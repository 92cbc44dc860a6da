"""How the ingestion is doing, in plain words: pure functions of its last runs and the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise, takewhile
from statistics import median
from typing import Any

from pi_datasource.schema import is_past_job

__all__ = ["FORGOTTEN_S", "Stream", "Verdict", "duration", "headline", "judge"]

_LEVELS = ("ok", "unknown", "warn", "bad")
_RUN_GAP_US = 5_000_000  # micro-batches that follow each other sooner belong to one run
_LATE_FACTOR = 2.0
_LATE_LEAST_S = 60.0
_THROTTLED_LEAST_S = 1.0
FORGOTTEN_S = 7 * 86400.0  # a stream silent for longer was replaced by another: told, but not alarming


@dataclass(frozen=True)
class Stream:
    """What the ledger says of one stream. ``interval_s`` is the usual time between runs, None before the third.

    ``failing_since_us`` is where the first of the last micro-batches begins that could not read every tag.
    ``throttled_s`` is how long the server had the last micro-batch wait, None where that is not recorded.
    """

    stream_id: str
    read_until_us: int
    last_run_us: int
    interval_s: float | None
    read_failures: int
    failing_since_us: int | None = None
    throttled_s: float | None = None

    @classmethod
    def of(cls, stream_id: str, batches: Sequence[Mapping[str, Any]]) -> Stream:
        """The stream of its last micro-batches, newest first."""
        newest = batches[0]
        moments = [int(batch["created_at"]) for batch in batches]
        waits = [(after - before) / 1e6 for after, before in pairwise(moments)]
        failing = list(takewhile(lambda batch: batch["read_failures"], batches))
        between = [wait for wait in waits if wait * 1e6 > _RUN_GAP_US]
        return cls(
            stream_id=stream_id,
            read_until_us=max(int(batch["window_end"]) for batch in batches),
            last_run_us=moments[0],
            interval_s=median(between) if len(between) >= 2 else None,
            read_failures=int(newest["read_failures"] or 0),
            failing_since_us=min((int(batch["window_start"]) for batch in failing), default=None),
            throttled_s=newest.get("throttled_seconds"),
        )


@dataclass(frozen=True)
class Verdict:
    """A sentence about one stream and how bad it is: ``ok``, ``warn``, ``bad`` or ``unknown``."""

    level: str
    words: str
    stream_id: str = ""
    lag_s: float | None = None
    next_run_us: int | None = None
    forgotten: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The verdict as JSON has it."""
        return asdict(self)


def judge(stream: Stream, now_us: int, statuses: Sequence[int | None] = ()) -> Verdict:
    """How one stream is doing: how far behind it is, and why.

    A run that fails leaves no row, so what tells of it is a row that is overdue. ``statuses`` are what the PI server
    answered where tags could not be read, None where it gave no answer.
    """
    if is_past_job(stream.stream_id):
        return _of_past_job(stream, now_us)
    lag = max(0.0, (now_us - stream.read_until_us) / 1e6)
    since = max(0.0, (now_us - stream.last_run_us) / 1e6)
    behind = f"behind by {duration(lag)}"
    due = None if stream.interval_s is None else stream.last_run_us + round(stream.interval_s * 1e6)
    forgotten = since > FORGOTTEN_S
    if stream.interval_s is not None and since > max(_LATE_LEAST_S, _LATE_FACTOR * stream.interval_s):
        missed = int(since // stream.interval_s)
        words = (
            f"{behind}: no run has finished for {duration(since)}, though one usually does every "
            f"{duration(stream.interval_s)} ({missed:,} are missing). It has stopped, or its runs fail: "
            "look at its log, or run pi-datasource ingest"
        )
        level = "warn" if forgotten else "bad"
    elif stream.read_failures:
        words = f"{behind}: {_failing(stream, statuses)}; see the errors that wait for repair"
        level = "warn"
    elif stream.interval_s is None:
        words = (
            f"{behind}: the last run finished {duration(since)} ago; too few runs yet to know their rhythm"
        )
        level = "ok" if since < 3600 else "unknown"
    else:
        words = f"up to date: {behind}, the last run finished {duration(since)} ago"
        level = "ok"
    if stream.throttled_s and stream.throttled_s >= _THROTTLED_LEAST_S:
        words += f"; the PI server had it wait for {duration(stream.throttled_s)}"
    return Verdict(level, words, stream.stream_id, lag, due, forgotten)


def _of_past_job(stream: Stream, now_us: int) -> Verdict:
    """A backfill, a new tag's history or a repair: it ends when it is done, and is never behind."""
    since = max(0.0, (now_us - stream.last_run_us) / 1e6)
    words = f"filling in the past: its last piece was written {duration(since)} ago"
    if stream.read_failures:
        words += f" without {_tags(stream)}, which could not be read; see the errors that wait for repair"
    return Verdict("ok", words, stream.stream_id, forgotten=since > FORGOTTEN_S)


def _tags(stream: Stream) -> str:
    return f"{stream.read_failures:,} tag{'s' if stream.read_failures > 1 else ''}"


def _failing(stream: Stream, statuses: Sequence[int | None]) -> str:
    tags = _tags(stream)
    if not statuses or stream.failing_since_us is None:
        return f"the last run could not read {tags}"
    known = [str(status) for status in statuses if status is not None]
    answers = [f"answered {' and '.join(known)}"] if known else []
    answers += ["gave no answer"] if None in statuses else []
    span = (stream.read_until_us - stream.failing_since_us) / 1e6
    return f"the PI server {' or '.join(answers)} for {duration(span)}, so that the last run could not read {tags}"


def headline(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of the streams that still matter; what fills in the past is none."""
    streams = [verdict for verdict in verdicts if not is_past_job(verdict.stream_id)]
    if not streams:
        return Verdict("unknown", "no run yet: run pi-datasource ingest")
    alive = [verdict for verdict in streams if not verdict.forgotten] or streams
    return max(alive, key=lambda verdict: (_LEVELS.index(verdict.level), verdict.lag_s or 0.0))


def duration(seconds: float) -> str:
    """``seconds`` as a person says it: ``45 s``, ``4 min``, ``3 h 20 min``, ``5 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{round(seconds / 86400)} days"
