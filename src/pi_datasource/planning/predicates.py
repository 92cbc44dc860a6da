"""Predicates over rows, as far as pruning of tags and of the window needs them. Never an exact filter.

A predicate is true for every row for which the SQL predicate it was made from may be true, and for few others. It has no
NOT: whoever builds one pushes NOT down to the comparisons, where it is exact in SQL's three-valued logic; NULL and false
are then the same, and what is not understood is ``TRUE``. Pure, with JSON in both directions.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Literal, Union

import msgspec

MOST_LOOKUPS = 200  # discovery makes a request per pattern; above this, one wider pattern is cheaper
Operator = Literal["in", "not in", "<", "<=", ">", ">=", "like", "not like", "null", "not null"]


class Match(msgspec.Struct, frozen=True, tag="match"):
    """A text column compared with constants; ``like`` takes ``%``, ``_`` and the backslash as escape."""

    column: str
    op: Operator
    values: tuple[str, ...] = ()


class Span(msgspec.Struct, frozen=True, tag="span"):
    """``timestamp`` lies in ``[start, end)``, in microseconds since 1970 UTC; None is no bound."""

    start: int | None
    end: int | None


class All(msgspec.Struct, frozen=True, tag="all"):
    """All parts are true; without parts, true."""

    parts: tuple[Predicate, ...]


class Either(msgspec.Struct, frozen=True, tag="any"):
    """At least one part is true; without parts, false."""

    parts: tuple[Predicate, ...]


Predicate = Union[Match, Span, All, Either]  # noqa: UP007 - msgspec evaluates it, on Python 3.10 too
TRUE, FALSE = All(()), Either(())

INVERSE = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}

Bounds = tuple[float, float]  # half-open; infinite where there is no bound; empty unless the first is smaller
UNBOUNDED, NOWHERE = (-math.inf, math.inf), (math.inf, -math.inf)


def compare_text(column: str, op: str, value: str) -> Predicate:
    """``column op value`` for one of the operators of ``INVERSE``."""
    operators: dict[str, Operator] = {"=": "in", "<>": "not in", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
    return Match(column, operators[op], (value,))


def compare_time(op: str, micros: int) -> Predicate:
    """``timestamp op micros`` for one of the operators of ``INVERSE``."""
    spans = {
        "=": Span(micros, micros + 1),
        "<": Span(None, micros),
        "<=": Span(None, micros + 1),
        ">": Span(micros + 1, None),
        ">=": Span(micros, None),
    }
    return spans.get(op, TRUE)


def dumps(predicate: Predicate) -> str:
    """The predicate as JSON."""
    return msgspec.json.encode(predicate).decode()


def loads(text: str) -> Predicate:
    """The inverse of ``dumps``.

    Raises:
        ValueError: the text is not a predicate.
    """
    try:
        found: Predicate = msgspec.json.decode(text, type=Predicate)
    except (msgspec.DecodeError, RecursionError) as cause:
        message = "is not a predicate; leave it to pi_datasource.read(where=…)"
        raise ValueError(message) from cause
    return found


def admits(predicate: Predicate, labels: Mapping[str, str | None]) -> bool:
    """Whether the predicate may be true for a row with these texts, whatever its other columns hold."""
    if isinstance(predicate, All):
        return all(admits(part, labels) for part in predicate.parts)
    if isinstance(predicate, Either):
        return any(admits(part, labels) for part in predicate.parts)
    if isinstance(predicate, Span) or predicate.column not in labels:
        return True
    return _holds(predicate, labels[predicate.column])


_ORDER: dict[str, Callable[[str, str], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _holds(test: Match, text: str | None) -> bool:
    if test.op in ("null", "not null") or text is None:
        return test.op == ("null" if text is None else "not null")
    if test.op in _ORDER:
        return _ORDER[test.op](text, test.values[0])
    if test.op.endswith("like"):
        matches = _like(test.values[0]).fullmatch(text) is not None
        return matches == (test.op == "like")
    return (text in test.values) == (test.op == "in")


def bounds(predicate: Predicate) -> Bounds:
    """The shortest span that contains the timestamp of every row for which the predicate may be true."""
    if isinstance(predicate, Match):
        return UNBOUNDED
    if isinstance(predicate, Span):
        start, end = predicate.start, predicate.end
        return (-math.inf if start is None else start, math.inf if end is None else end)
    inner = [bounds(part) for part in predicate.parts]
    if isinstance(predicate, All):
        return max([UNBOUNDED[0], *(b[0] for b in inner)]), min([UNBOUNDED[1], *(b[1] for b in inner)])
    filled = [b for b in inner if b[0] < b[1]]
    return min([NOWHERE[0], *(b[0] for b in filled)]), max([NOWHERE[1], *(b[1] for b in filled)])


def patterns(predicate: Predicate, parts_of_names: Collection[str]) -> tuple[str, ...] | None:
    """Names and patterns in PI's syntax that match every tag with rows for which the predicate may be true.

    ``parts_of_names`` are columns whose values are found somewhere in the name. None means any name.
    """
    found = _patterns(predicate, frozenset(parts_of_names))
    if found is None or len(found) <= MOST_LOOKUPS:
        return found
    pairs = zip(min(found), max(found), strict=False)  # the common prefix of these two is that of all
    common = "".join(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1] not in "*?", pairs))
    return (f"{common}*",) if common else None


def _patterns(predicate: Predicate, inside: frozenset[str]) -> tuple[str, ...] | None:
    if isinstance(predicate, Match):
        return _of_test(predicate, inside)
    if isinstance(predicate, Span):
        return None
    found = [_patterns(part, inside) for part in predicate.parts]
    known = [each for each in found if each is not None]
    if isinstance(predicate, All):
        return min(known, key=_cost, default=None)
    if len(known) < len(found):
        return None
    return tuple(dict.fromkeys(text for each in known for text in each))


def _cost(found: tuple[str, ...]) -> tuple[bool, int, int]:
    """Sort key: names before patterns, few before many, then the most specific."""
    letters = min((len(re.sub(r"[*?]", "", text)) for text in found), default=0)
    return any("*" in text for text in found), len(found), -letters


def _of_test(test: Match, inside: frozenset[str]) -> tuple[str, ...] | None:
    if test.op not in ("in", "like") or (test.column != "tag_name" and test.column not in inside):
        return None
    texts = [_pi_like(text) if test.op == "like" else _pi_text(text) for text in test.values]
    if test.column in inside:
        texts = [re.sub(r"\*+", "*", f"*{text}*") for text in texts]
    return None if not all(re.sub(r"[*?]", "", text) for text in texts) else tuple(dict.fromkeys(texts))


def _pi_text(text: str) -> str:
    """A pattern that matches ``text``; a character with a meaning in PI patterns becomes ``?``."""
    return re.sub(r"[*?\[\]\\]", "?", text)


def _pi_like(pattern: str) -> str:
    wild = {"%": "*", "_": "?"}
    return "".join(wild.get(token) or _pi_text(_literal(token)) for token in _tokens(pattern))


@lru_cache(maxsize=256)
def _like(pattern: str) -> re.Pattern[str]:
    wild = {"%": ".*", "_": "."}
    tokens = _tokens(pattern)
    return re.compile("".join(wild.get(token) or re.escape(_literal(token)) for token in tokens), re.DOTALL)


def _tokens(pattern: str) -> list[str]:
    return re.findall(r"\\.|%|_|[^\\%_]+", pattern, re.DOTALL)


def _literal(token: str) -> str:
    return token[1:] if token.startswith("\\") else token


def escaped(text: str) -> str:
    """A ``like`` pattern that matches ``text`` and nothing else."""
    return re.sub(r"([\\%_])", r"\\\1", text)
