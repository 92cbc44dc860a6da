"""Describes the state of the ingestion in sentences: pure functions of its last runs and the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from statistics import median
from typing import Any

from pi_datasource.schema import is_past_job

_LEVELS = ("ok", "unknown", "warn", "bad")
_RUN_GAP_US = 5_000_000  # micro-batches closer to each other than this belong to one run
_LATE_FACTOR = 2.0
_LATE_LEAST_S = 60.0
_THROTTLED_LEAST_S = 1.0
# Without a run for longer, a stream was replaced by another: shown, but no alarm.
INACTIVE_AFTER_S = 7 * 86400.0


@dataclass(frozen=True)
class Stream:
    """The state of one stream from its audit rows. ``interval_s`` is the usual time between runs, None before the third.

    ``failing_since_us`` is the start of the first of the most recent, uninterrupted micro-batches with read failures.
    ``throttled_s`` is how long the PI server delayed the last micro-batch, None where that is not recorded.
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
        """The stream that wrote ``batches``, newest first."""
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

    @classmethod
    def without_run(cls, stream_id: str, failed_us: int) -> Stream:
        """A stream whose first run failed."""
        return cls(stream_id, failed_us, failed_us, None, 0)


@dataclass(frozen=True)
class Failure:
    """The last failed run of a stream that was not repeated since."""

    at_us: int
    error: str | None


@dataclass(frozen=True)
class Verdict:
    """A sentence about one stream, with a level: ``ok``, ``warn``, ``bad`` or ``unknown``."""

    level: str
    words: str
    stream_id: str = ""
    lag_s: float | None = None
    next_run_us: int | None = None
    forgotten: bool = False


def judge(
    stream: Stream, now_us: int, statuses: Sequence[int | None] = (), failure: Failure | None = None
) -> Verdict:
    """How far one stream is behind, and why.

    A run that was killed writes no row, so it is detected by an overdue row. ``statuses`` are the HTTP statuses of the tags
    that could not be read, None where the PI server gave no answer.
    """
    if is_past_job(stream.stream_id):
        return _past_job_verdict(stream, now_us, failure)
    if failure is not None:
        return _failed_verdict(stream, now_us, failure)
    lag, since = _seconds(stream.read_until_us, now_us), _seconds(stream.last_run_us, now_us)
    behind = f"behind by {duration(lag)}"
    due = None if stream.interval_s is None else stream.last_run_us + round(stream.interval_s * 1e6)
    inactive = since > INACTIVE_AFTER_S
    if stream.interval_s is not None and since > max(_LATE_LEAST_S, _LATE_FACTOR * stream.interval_s):
        missed = int(since // stream.interval_s)
        words = (
            f"{behind}: no run has finished for {duration(since)}, though one usually does every "
            f"{duration(stream.interval_s)} ({missed:,} are missing). It has stopped, or its runs fail: "
            "look at its log, or run pi-datasource ingest"
        )
        level = "warn" if inactive else "bad"
    elif stream.read_failures:
        words = f"{behind}: {_failure(stream, statuses)}; see the errors that wait for repair"
        level = "warn"
    elif stream.interval_s is None:
        words = f"{behind}: the last run finished {duration(since)} ago; too few runs yet to know the usual interval"
        level = "ok" if since < 3600 else "unknown"
    else:
        words = f"up to date: {behind}, the last run finished {duration(since)} ago"
        level = "ok"
    if stream.throttled_s and stream.throttled_s >= _THROTTLED_LEAST_S:
        words += f"; the PI server throttled it for {duration(stream.throttled_s)}"
    return Verdict(level, words, stream.stream_id, lag, due, inactive)


def _failed_verdict(stream: Stream, now_us: int, failure: Failure) -> Verdict:
    lag, since = _seconds(stream.read_until_us, now_us), _seconds(failure.at_us, now_us)
    words = f"behind by {duration(lag)}: the last run failed {duration(since)} ago: {_first_line(failure)}. The next run repeats it"
    inactive = since > INACTIVE_AFTER_S
    return Verdict("warn" if inactive else "bad", words, stream.stream_id, lag, forgotten=inactive)


def _first_line(failure: Failure) -> str:
    return (failure.error or "no error was recorded").partition("\n")[0].rstrip(".")


def _past_job_verdict(stream: Stream, now_us: int, failure: Failure | None) -> Verdict:
    """The verdict on a backfill, a new tag's history or a repair: it ends when it is done, so it has no lag."""
    since = _seconds(stream.last_run_us, now_us)
    if failure is not None:
        words = f"filling in the past: a piece failed {duration(_seconds(failure.at_us, now_us))} ago: {_first_line(failure)}"
        return Verdict("warn", words, stream.stream_id, forgotten=since > INACTIVE_AFTER_S)
    words = f"filling in the past: its last piece was written {duration(since)} ago"
    if stream.read_failures:
        words += f" without {_tags(stream)}, which could not be read; see the errors that wait for repair"
    return Verdict("ok", words, stream.stream_id, forgotten=since > INACTIVE_AFTER_S)


def _seconds(start_us: int, end_us: int) -> float:
    return max(0.0, (end_us - start_us) / 1e6)


def _tags(stream: Stream) -> str:
    return f"{stream.read_failures:,} tag{'s' if stream.read_failures > 1 else ''}"


def _failure(stream: Stream, statuses: Sequence[int | None]) -> str:
    tags = _tags(stream)
    if not statuses or stream.failing_since_us is None:
        return f"the last run could not read {tags}"
    known = [str(status) for status in statuses if status is not None]
    answers = [f"answered {' and '.join(known)}"] if known else []
    answers += ["gave no answer"] if None in statuses else []
    span = (stream.read_until_us - stream.failing_since_us) / 1e6
    return f"the PI server {' or '.join(answers)} for {duration(span)}, so that the last run could not read {tags}"


def headline(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst verdict on an active stream; backfills, histories and repairs do not count."""
    streams = [verdict for verdict in verdicts if not is_past_job(verdict.stream_id)]
    if not streams:
        return Verdict("unknown", "no run yet: run pi-datasource ingest")
    active = [verdict for verdict in streams if not verdict.forgotten] or streams
    return max(active, key=lambda verdict: (_LEVELS.index(verdict.level), verdict.lag_s or 0.0))


def duration(seconds: float) -> str:
    """``seconds`` in readable units: ``45 s``, ``4 min``, ``3 h 20 min``, ``5 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{round(seconds / 86400)} days"
