"""A tag's events as CSV, in pieces: memory holds one piece, however long the range."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pi_datasource.dashboard.asking import Ask
from pi_datasource.dashboard.panels.tag import MORE_ROWS
from pi_datasource.dashboard.selection import EPOCH

__all__ = ["csv_of"]

_PIECE = 20_000
_COLUMNS = "tag_name,timestamp,sequence,value,value_string,state_code,value_kind,good,questionable,substituted,annotated,units"


def csv_of(ask: Ask, piece: int = _PIECE) -> Iterator[str]:
    """The lines of the file: every event of the range in order; times are UTC with six digits.

    The first piece is read before anything is sent, so that a table that cannot be read is an error and no short file.

    Raises:
        TablesUnavailable: the first piece could not be read. When a later one cannot, the download breaks off.
    """
    first = _piece(ask, ask.selection.start_us, -1, piece)
    return _lines(ask, first, piece)


def _lines(ask: Ask, rows: list[dict[str, Any]], piece: int) -> Iterator[str]:
    yield _COLUMNS + "\r\n"
    while rows:
        yield _text(rows)
        if len(rows) < piece:
            return
        last = rows[-1]
        rows = _piece(ask, last["moment"], last["sequence"], piece)


def _piece(ask: Ask, start: int, sequence: int, piece: int) -> list[dict[str, Any]]:
    return ask(MORE_ROWS, tag=ask.tag, start=start, sequence=sequence, most=piece)


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
