"""Writes the events of a tag as CSV with few large statements; memory holds one part of the range at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain
from typing import Any

from pi_datasource.dashboard.panels.tag import HOURLY_COUNTS, PART
from pi_datasource.dashboard.queries import QueryContext
from pi_datasource.dashboard.selection import EPOCH, HOUR_US

_COLUMNS = "tag_name,timestamp,sequence,value,value_string,state_code,value_kind,good,questionable,substituted,annotated,units"


def csv_lines(context: QueryContext, part_rows: int | None = None) -> Iterator[str]:
    """The lines of the file: every event of the range in order; times are UTC with six digits.

    One statement reads ``part_rows`` events or one hour, whichever is more. The first events are read before anything
    is sent, so that an unreadable table results in an error instead of a short file.

    Raises:
        TablesUnavailable: the first events could not be read. A later failure aborts the download.
    """
    counts = [(row["moment"], row["events"]) for row in context.rows(HOURLY_COUNTS)]
    blocks = _blocks(context, split_hours(counts, part_rows or context.backend.streamed_rows))
    first = next(blocks, [])
    return _lines(chain([first], blocks))


def split_hours(counts: Iterable[tuple[int, int]], max_events: int) -> list[tuple[int, int]]:
    """Spans ``[start, end)`` that cover all hours of ``counts`` (start of the hour, events).

    A span has at most ``max_events`` events unless it is a single hour.
    """
    found: list[tuple[int, int]] = []
    held = 0
    for hour, events in counts:
        if found and held + events <= max_events:
            found[-1] = (found[-1][0], hour + HOUR_US)
            held += events
        else:
            found.append((hour, hour + HOUR_US))
            held = events
    return found


def _blocks(context: QueryContext, spans: Iterable[tuple[int, int]]) -> Iterator[list[dict[str, Any]]]:
    chosen = context.selection
    for start, end in spans:
        yield from context.stream(PART, first=max(start, chosen.start_us), last=min(end, chosen.end_us))


def _lines(blocks: Iterable[list[dict[str, Any]]]) -> Iterator[str]:
    yield _COLUMNS + "\r\n"
    for rows in blocks:
        yield _text(rows)


def _text(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        moment = EPOCH + timedelta(microseconds=row["moment"])
        stamp = f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
        rest = [_cell(value) for name, value in row.items() if name not in ("tag_name", "moment")]
        writer.writerow([row["tag_name"], stamp, *rest])
    return text.getvalue()


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
