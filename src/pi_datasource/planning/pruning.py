"""Prunes a read: options and predicates → the window and the tags that may hold matching rows. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pi_datasource import time_strings
from pi_datasource.model import MICROSECOND, Point, Window
from pi_datasource.options.declaration import Options
from pi_datasource.planning import predicates
from pi_datasource.planning.predicates import TRUE, All, Predicate

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST = datetime.max.replace(tzinfo=timezone.utc) - timedelta(days=1)  # PI's zones may add hours to it


@dataclass(frozen=True)
class Pruning:
    """What need not be read: ``asked`` came from ``read(where=...)``, ``pushed`` from Spark's own filters.

    A time bound in ``asked`` replaces a default ``start_time`` or ``end_time``, as if it were given as that option.
    Everything else only excludes.
    """

    options: Options
    asked: Predicate = TRUE
    pushed: Predicate = TRUE

    def window(self, now: datetime) -> Window:
        """The part of the options' window that may hold rows, when the PI server's clock shows ``now``.

        Raises:
            InvalidOption: ``end_time`` lies before ``start_time`` in the options alone.
        """
        first, last = predicates.bounds(self.asked)
        low, high = predicates.bounds(All((self.asked, self.pushed)))
        start, end = self._ends(now, first, last)
        if low > -math.inf:
            start = max(start, _moment(low))
        if high < math.inf:
            end = min(end, _moment(high))
        return Window(start, max(start, end))

    def _ends(self, now: datetime, first: float, last: float) -> tuple[datetime, datetime]:
        """Start and end of the options' window; ``first`` and ``last`` replace defaults."""
        given = self.options.model_fields_set
        starts = first > -math.inf and "start_time" not in given
        ends = last < math.inf and "end_time" not in given
        if not starts and not ends:
            window = self.options.window(now)
            return window.start, window.end
        zone = time_strings.zone_named(self.options.time_zone)
        start = _moment(first) if starts else time_strings.resolve(self.options.start_time, now, zone)
        end = _moment(last) if ends else time_strings.resolve(self.options.end_time, now, zone)
        return start, end

    def tags(self) -> tuple[str, ...] | None:
        """Names and patterns to look up instead of all tags; None to look up what the options select."""
        if self.options.tag_filter is not None or self.options.tags not in ((), ("*",)):
            return None
        return predicates.patterns(All((self.asked, self.pushed)), self.options.pattern_columns)

    def points(self, found: Sequence[Point]) -> list[Point]:
        """Those of ``found`` that may have rows to read."""
        if self.asked == self.pushed == TRUE:
            return list(found)
        wanted = All((self.asked, self.pushed))
        expression = re.compile(self.options.tag_pattern) if self.options.tag_pattern else None
        return [point for point in found if predicates.admits(wanted, _labels(point, expression))]


def _labels(point: Point, expression: re.Pattern[str] | None) -> dict[str, str | None]:
    """The columns whose values are known for every row of a point before it is read."""
    labels: dict[str, str | None] = {
        "tag_webid": point.web_id,
        "tag_name": point.name,
        "point_type": point.point_type,
        "tag_path": point.path,
        "server_name": point.server,
    }
    if expression is not None:
        match = expression.search(point.name)
        labels.update({name: match[name] if match else None for name in expression.groupindex})
    return labels


def _moment(micros: float) -> datetime:
    """The time of a bound, within the range of PI."""
    if micros <= 0:
        return _EPOCH
    return _LAST if micros >= (_LAST - _EPOCH) / MICROSECOND else _EPOCH + int(micros) * MICROSECOND
