"""A tag's events as CSV, in few large statements: memory holds a part of the range, however long that is."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain
from typing import Any

from pi_datasource.dashboard.panels.tag import HOURLY_COUNTS, PART
from pi_datasource.dashboard.queries import Ask
from pi_datasource.dashboard.selection import EPOCH, HOUR_US

__all__ = ["csv_of", "parts"]

_COLUMNS = "tag_name,timestamp,sequence,value,value_string,state_code,value_kind,good,questionable,substituted,annotated,units"


def csv_of(ask: Ask, part_rows: int | None = None) -> Iterator[str]:
    """The lines of the file: every event of the range in order; times are UTC with six digits.

    The range is read in parts of ``part_rows`` events or one hour, whichever is more, each by one statement. The first
    events are read before anything is sent, so that a table that cannot be read is an error and no short file.

    Raises:
        TablesUnavailable: the first events could not be read. When later ones cannot, the download breaks off.
    """
    counts = [(row["moment"], row["events"]) for row in ask(HOURLY_COUNTS)]
    blocks = _blocks(ask, parts(counts, part_rows or ask.backend.streamed_rows))
    first = next(blocks, [])
    return _lines(chain([first], blocks))


def parts(counts: Iterable[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Spans ``[start, end)`` that cover all hours of ``counts`` (start of the hour, events) and hold ``most`` events each.

    One that is a single hour may hold more.
    """
    found: list[tuple[int, int]] = []
    held = 0
    for hour, events in counts:
        if found and held + events <= most:
            found[-1] = (found[-1][0], hour + HOUR_US)
            held += events
        else:
            found.append((hour, hour + HOUR_US))
            held = events
    return found


def _blocks(ask: Ask, spans: Iterable[tuple[int, int]]) -> Iterator[list[dict[str, Any]]]:
    chosen = ask.selection
    for start, end in spans:
        yield from ask.stream(PART, first=max(start, chosen.start_us), last=min(end, chosen.end_us))


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
