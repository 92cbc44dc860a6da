"""Where each tag of a stream starts, from a file of tags and times; a tag that is not in it starts at ``start_time``.

The file is CSV with the columns ``tag,start``, or JSON: ``{"TAG": "START"}``. A tag is a name or a pattern with ``*`` and
``?``; the name itself goes before patterns, and of these the first one that matches. A start is a PI time or ISO 8601, and
``*`` is the PI server's time when the stream was first started.
"""

from __future__ import annotations

import csv
import fnmatch
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pi_datasource import time_strings
from pi_datasource.errors import InvalidOption
from pi_datasource.model import Point, ReadTask
from pi_datasource.options.declaration import Options

log = logging.getLogger(__name__)

_SHOWN = 10
_WILD = frozenset("*?")


@dataclass(frozen=True)
class Starts:
    """Names in lower case, and patterns in the order of the file, each with the text of a time."""

    names: Mapping[str, str]
    patterns: Sequence[tuple[str, str]]

    def of(self, name: str) -> str | None:
        """The start of a tag as text; None if the file has none."""
        low = name.lower()
        found = self.names.get(low)
        if found is not None:
            return found
        return next((text for pattern, text in self.patterns if fnmatch.fnmatchcase(low, pattern)), None)


def read(path: Path) -> Starts:
    """The file's names, patterns and starts; no time is resolved yet.

    Raises:
        InvalidOption: it cannot be read, has another format, or holds an invalid time; the message says where.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as cause:
        why = getattr(cause, "strerror", None) or type(cause).__name__
        message = f"option 'start_times': the file {str(path)!r} cannot be read: {why}"
        raise InvalidOption(message) from cause
    names: dict[str, str] = {}
    patterns: list[tuple[str, str]] = []
    for place, tag, start in _rows(text, path):
        try:
            time_strings.resolve(start, time_strings.EARLIEST)
        except ValueError as cause:
            message = f"option 'start_times': {path}, {place}: {cause}"
            raise InvalidOption(message) from cause
        low = tag.lower()
        if _WILD & set(low):
            patterns.append((low.replace("[", "[[]"), start))  # only * and ? are wild
        else:
            names[low] = start
    return Starts(names, patterns)


def _rows(text: str, path: Path) -> list[tuple[str, str, str]]:
    """Place, tag and start of each row."""
    if text.lstrip().startswith("{"):
        try:
            parsed = json.loads(text)
        except ValueError as cause:
            message = f"option 'start_times': {path} is not valid JSON: {cause}"
            raise InvalidOption(message) from cause
        wrong = next((tag for tag, start in parsed.items() if not isinstance(start, str)), None)
        if wrong is not None:
            message = f"option 'start_times': {path}, tag {wrong!r}: its start is {parsed[wrong]!r} and not a string"
            raise InvalidOption(message)
        return [(f"tag {tag!r}", tag, start) for tag, start in parsed.items()]
    rows = list(csv.reader(io.StringIO(text)))
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if header != ["tag", "start"]:
        message = (
            f"option 'start_times': {path} has to begin with the line tag,start (or to be a JSON object)"
        )
        raise InvalidOption(message)
    found = []
    for number, row in enumerate(rows[1:], 2):
        if len(row) != 2 and row:
            message = f"option 'start_times': {path}, line {number}: a tag and a start are wanted, found {len(row)} cells"
            raise InvalidOption(message)
        if row:
            found.append((f"line {number}", row[0].strip(), row[1].strip()))
    return found


def resolved(
    starts: Starts, points: Sequence[Point], options: Options, started: datetime
) -> dict[str, datetime]:
    """The start of every point by WebId, none later than ``started``, the server's time when the stream was first started."""
    zone = time_strings.zone_named(options.time_zone)
    moments: dict[str, datetime] = {}  # a file of many tags holds few texts, or none twice

    def moment(text: str) -> datetime:
        if text not in moments:
            moments[text] = min(time_strings.resolve(text, started, zone), started)
        return moments[text]

    found = {point.web_id: starts.of(point.name) for point in points}
    _warn_of_unused(starts, points)
    return {web_id: moment(text or options.start_time) for web_id, text in found.items()}


def _warn_of_unused(starts: Starts, points: Sequence[Point]) -> None:
    known = {point.name.lower() for point in points}
    unused = [name for name in starts.names if name not in known]
    if unused:
        more = f" and {len(unused) - _SHOWN} more" if len(unused) > _SHOWN else ""
        log.warning(
            "start_times: no selected tag is called %s%s", ", ".join(map(repr, unused[:_SHOWN])), more
        )


def clip(task: ReadTask, starts: Mapping[str, datetime]) -> ReadTask | None:
    """``task`` without what lies before the start of its points; None if none of them starts before its end."""
    window = task.window
    pairs = [(point, starts.get(point.web_id, window.start)) for point in task.points]
    if all(start <= window.start for _, start in pairs):
        return task
    kept = [(point, max(start, window.start)) for point, start in pairs if start < window.end]
    if not kept:
        return None
    kept.sort(key=lambda pair: pair[1])  # those that start together can be asked for together
    return replace(task, points=tuple(p for p, _ in kept), starts=tuple(s for _, s in kept))
