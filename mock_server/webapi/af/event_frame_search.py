"""Searches for event frames: search modes, their time rules and filters."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from mock_server.af.declarations import SEVERITIES
from mock_server.af.event_frame import Frame
from mock_server.af.event_frames import Frames, RangeTooLarge
from mock_server.plant import ticks
from mock_server.plant.checkpoints import paced, paced_sort
from mock_server.plant.point import Point
from mock_server.webapi.af import replies
from mock_server.webapi.af.lists import Test, by_name, by_value, optional_flag, pattern
from mock_server.webapi.call import Call
from mock_server.webapi.messages import ApiError, refusal

# Whether a frame is in a range from `low` to `high`.
_RANGES: dict[str, Callable[[Frame, int, int], bool]] = {
    "StartInclusive": lambda frame, low, high: low <= frame.start <= high,
    "EndInclusive": lambda frame, low, high: low <= frame.end <= high,
    "Inclusive": lambda frame, low, high: low <= frame.start and frame.end <= high,
    "Overlapped": lambda frame, low, high: frame.start <= high and frame.end >= low,
    "InProgress": lambda frame, low, high: low <= frame.start <= high and frame.is_open,
}


@dataclass(frozen=True)
class _Direction:
    """A mode that counts frames from an instant: the sort key, the direction, and whether only open frames count."""

    key: Callable[[Frame], int]
    backward: bool
    open_only: bool = False


_DIRECTIONS = {
    "BackwardFromStartTime": _Direction(attrgetter("start"), True),
    "ForwardFromStartTime": _Direction(attrgetter("start"), False),
    "BackwardFromEndTime": _Direction(attrgetter("end"), True),
    "ForwardFromEndTime": _Direction(attrgetter("end"), False),
    "BackwardInProgress": _Direction(attrgetter("start"), True, open_only=True),
    "ForwardInProgress": _Direction(attrgetter("start"), False, open_only=True),
}
_MODES = (*_RANGES, *_DIRECTIONS)
_FIRST_REACH = 8 * 3_600 * ticks.PER_SECOND


def search_frames(call: Call, sources: list[Point], wanted: Test, *, phases: bool) -> list[Frame]:
    """The frames of these points that match the call's mode and times; with `phases` those too.

    Range modes return them unordered, the others in their own order.
    """
    mode = call.choice("searchMode", "Overlapped", _MODES)
    start = call.time("startTime", "*-8h")
    frames = call.plant.frames
    try:
        if mode in _DIRECTIONS:
            for name in ("endTime", "sortField", "sortOrder"):
                if call.text(name):
                    raise refusal(400, f"Parameter '{name}' cannot be given with the search mode '{mode}'.")
            needed = call.integer("startIndex", 0) + call.max_count() + 1
            search = _DirectedSearch(frames, sources, wanted, phases, call.now)
            return search.frames(_DIRECTIONS[mode], start, needed)
        end = call.time("endTime", "*")
        if start > end:
            raise refusal(400, "Parameter 'startTime' must not be after 'endTime'.")
        found = frames.overlapping(sources, start, end, call.now)
        inside = _RANGES[mode]
        return [
            each for each in paced(_with_phases(found, phases)) if inside(each, start, end) and wanted(each)
        ]
    except RangeTooLarge as error:
        raise too_large() from error


def has_own_order(call: Call) -> bool:
    """Whether the call's search mode defines the order."""
    return call.choice("searchMode", "Overlapped", _MODES) in _DIRECTIONS


def too_large() -> ApiError:
    """The error for a range with too many events."""
    return refusal(
        400,
        "The time range holds more events than event frames can be found in at once; ask for a shorter one.",
    )


def frame_filters(call: Call) -> Test:
    """A test for the filters of a list of event frames."""
    severities = [text.lower() for text in call.texts("severity") if text]
    unknown = [text for text in severities if text not in [each.lower() for each in SEVERITIES]]
    if unknown:
        raise refusal(
            400,
            f"The value '{unknown[0]}' is not valid for parameter 'severity'. Allowed: {', '.join(SEVERITIES)}.",
        )
    can_be, is_done = optional_flag(call, "canBeAcknowledged"), optional_flag(call, "isAcknowledged")
    template, element_template = (
        call.text("templateName").lower(),
        call.text("referencedElementTemplateName").lower(),
    )
    element_name = pattern(call, "referencedElementNameFilter")
    tests: list[Test] = [
        by_name(call),
        by_value(call, "categoryName", lambda frame: frame.category_names),
        lambda frame: not severities or frame.severity.lower() in severities,
        lambda frame: can_be is None or frame.can_be_acknowledged is can_be,
        lambda frame: is_done is None or (frame.acknowledged is not None) is is_done,
        lambda frame: not template or replies.is_kind_of(frame.template, template),
        lambda frame: any(element_name(each.name) for each in frame.elements),
        lambda frame: (
            not element_template
            or any(replies.is_kind_of(each.template, element_template) for each in frame.elements)
        ),
    ]
    return lambda frame: all(test(frame) for test in tests)


def _with_phases(found: list[Frame], phases: bool) -> list[Frame]:
    return [each for frame in paced(found) for each in (frame, *frame.children)] if phases else found


@dataclass(frozen=True)
class _DirectedSearch:
    """A search that extends its range from an instant until it has found enough."""

    home: Frames
    sources: list[Point]
    wanted: Test
    phases: bool
    now: int

    def frames(self, direction: _Direction, start: int, needed: int) -> list[Frame]:
        """The frames on that side of `start`, nearest first; at least `needed` if there are as many."""
        if direction.open_only:
            return self._within(direction, start, (self.now, self.now), ticks.LAST)
        first = min((point.created_ticks for point in self.sources), default=self.now)
        reach = _FIRST_REACH
        while True:
            low, high = (start - reach, start) if direction.backward else (start, start + reach)
            if low < first if direction.backward else high >= self.now:
                return self._within(direction, start, (low, high), ticks.LAST)
            found = self._within(direction, start, (low, high), reach)
            if len(found) >= needed:
                return found
            reach *= 4

    def _within(self, direction: _Direction, start: int, bounds: tuple[int, int], reach: int) -> list[Frame]:
        """The matching frames within `reach` of `start`; `ticks.LAST` means without a limit."""
        candidates = _with_phases(self.home.overlapping(self.sources, *bounds, self.now), self.phases)
        key, sign = direction.key, -1 if direction.backward else 1
        found = [
            each
            for each in paced(candidates)
            if 0 <= sign * (key(each) - start) <= reach and (each.is_open or not direction.open_only)
            if self.wanted(each)
        ]
        return paced_sort(found, lambda each: (sign * key(each), each.name))
