r"""The point query of `points/search`: `Tag:=FLOW* AND PointType:=Float32`, `(A B) OR C`, `Span:>100`, `name:TANK\-1*`.

A query is AND groups connected by OR. A filter is an attribute, `:`, an operator (by default `=`) and a value, or a
value alone, which is a tag. A backslash escapes the next character. Conditions on the current value are filters too:
`TimeStamp:>='*-1h'`, `IsGood:=False`.
"""

import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from mock_server.plant.wildcards import unescape, wildcard_pattern

_VALUE = r"""(?:"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|((?:\\.|[^\s()"'\\])+))"""
_FILTER = re.compile(r"(?:(\w+)\s*:\s*(<=|>=|<>|!=|==?|<|>)?\s*)?" + _VALUE, re.DOTALL)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OF_VALUE = ("value", "timestamp", "substituted", "questionable", "annotated", "isgood")
"""Filters on a point's newest event."""


class BadQuery(ValueError):
    """The text is not a point query; the message says why."""


class Filter(NamedTuple):
    """One condition: the attribute in lower case, one of `= <> < <= > >=`, and the text to compare with."""

    name: str
    symbol: str
    text: str


def parse_query(query: str) -> list[list[Filter]]:
    """The AND groups of a query, one of which must hold.

    Raises:
        BadQuery: when it is not valid.
    """
    groups: list[list[Filter]] = [[]]
    at, opened = 0, False
    while at < len(query):
        char = query[at]
        word = _word(query, at)
        if char.isspace():
            at += 1
        elif char == "(" and not opened and not groups[-1]:
            at, opened = at + 1, True
        elif char == ")" and opened and groups[-1]:
            at, opened = at + 1, False
        elif word in ("AND", "OR"):
            if not groups[-1] or (word == "OR" and opened):
                msg = f"'{word}' was not expected"
                raise BadQuery(msg)
            at += len(word)
            groups += [[]] if word == "OR" else []
        else:
            found, at = _filter(query, at)
            groups[-1].append(found)
    if opened or not all(groups):
        msg = "it ends too early"
        raise BadQuery(msg)
    return groups


def _word(query: str, at: int) -> str:
    match = re.compile(r"(AND|OR)\b(?!\s*:)", re.IGNORECASE).match(query, at)
    return match[1].upper() if match else ""


def _filter(query: str, at: int) -> tuple[Filter, int]:
    match = _FILTER.match(query, at)
    if match is None:
        msg = f"'{query[at : at + 20]}' could not be read"
        raise BadQuery(msg)
    name, symbol, *texts = match.groups()
    text = next(text for text in texts if text is not None)
    if name is None and ":" in re.sub(r"\\.", "", text, flags=re.DOTALL):
        msg = f"'{text}' could not be read"
        raise BadQuery(msg)
    symbol = {"!=": "<>", "==": "="}.get(symbol, symbol or "=")
    return Filter((name or "tag").lower(), symbol, text), match.end()


def satisfies(filters: list[Filter], values: dict[str, Any], read_time: Callable[[str], int]) -> bool:
    """Whether a point with these attributes, by lower-case name, satisfies an AND group.

    Raises:
        BadQuery: when an attribute does not exist or cannot be compared with the value.
    """
    return all(_holds(each, values, read_time) for each in filters)


def _holds(condition: Filter, values: dict[str, Any], read_time: Callable[[str], int]) -> bool:
    if condition.name not in values:
        msg = f"the attribute '{condition.name}' does not exist"
        raise BadQuery(msg)
    value = values[condition.name]
    if condition.name == "value" and not isinstance(value, str) and not _is_number(unescape(condition.text)):
        return condition.symbol == "<>"  # values of different types are never equal
    if condition.symbol in _COMPARE:
        wanted = _converted(value, condition, read_time)
        if isinstance(value, str):
            return _COMPARE[condition.symbol](value.casefold(), str(wanted).casefold())
        return _COMPARE[condition.symbol](value, wanted)
    if isinstance(value, str):
        equal = bool(_pattern(condition.text).match(value))
    else:
        equal = bool(value == _converted(value, condition, read_time))
    return equal is (condition.symbol == "=")


_pattern = lru_cache(maxsize=64)(wildcard_pattern)


def _converted(value: Any, condition: Filter, read_time: Callable[[str], int]) -> Any:
    """The text of a condition, converted to the type of the value it is compared with."""
    text = unescape(condition.text)
    if isinstance(value, Moment):
        return Moment(read_time(text))
    if isinstance(value, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            msg = f"'{text}' is neither True nor False"
            raise BadQuery(msg)
        return text.lower() in ("true", "1")
    if isinstance(value, int | float):
        try:
            return float(text)
        except ValueError as error:
            msg = f"'{text}' is no number"
            raise BadQuery(msg) from error
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class Moment(NamedTuple):
    """An attribute that is a time, in ticks."""

    ticks: int
