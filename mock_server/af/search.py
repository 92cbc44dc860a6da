"""AFSearch queries: `Template:=Pump Name:='P*' ModifyDate:>='*-1h'`, a conjunction of terms.

A term is a filter name, `:` with an operator, and a value, bare or in quotes; a bare word is a pattern of the name;
`Element:{…}` holds a query about the element of an attribute or event frame.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timezone
from typing import Any

from mock_server.plant import pitime
from mock_server.plant.wildcards import wildcard_pattern

_VALUE = r"""(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)'|([^\s;(){}'"=<>:][^\s;)}]*))"""
_TERM = re.compile(r"(\w+)\s*:\s*(=|<>|<=|>=|<|>|)\s*" + _VALUE, re.IGNORECASE)
_ANY_OF = re.compile(r"(\w+)\s*:\s*IN\s*\(", re.IGNORECASE)
_NESTED = re.compile(r"(\w+)\s*:\s*\{")
_BARE = re.compile(_VALUE)
_AND = re.compile(r"AND\b", re.IGNORECASE)
_MOST_TERMS = 50

Read = Callable[[Any], Any]


class BadQuery(ValueError):
    """The text is not an AFSearch query, or uses an unknown filter."""


@dataclass(frozen=True)
class Filter:
    """How a filter reads an object; `scale` orders named values.

    `kind` is text (a pattern), exact (a whole text), time, flag, nested (a query about the value), or scope (false
    keeps only objects whose value is true).
    """

    read: Read
    kind: str = "text"
    scale: tuple[str, ...] = ()
    inner: "Mapping[str, Filter] | None" = None


COMMON_FILTERS = {
    "name": Filter(lambda each: each.name),
    "description": Filter(lambda each: each.description),
    "id": Filter(lambda each: str(each.guid)),
}
"""The filters of every kind of object."""


@dataclass(frozen=True)
class Term:
    """One condition; one of `values` has to match."""

    field: str
    operator: str
    values: tuple[str, ...]
    nested: "tuple[Term, ...]" = ()


def parse(query: str, known: Mapping[str, Filter]) -> list[Term]:
    """The terms of a query over objects with these filters (by lower-case name).

    Raises:
        BadQuery: when it is not valid.
    """
    terms, at = _terms(query, 0, known)
    if at < len(query):
        msg = f"The query '{query}' is not valid at position {at + 1}."
        raise BadQuery(msg)
    return terms


def holds(terms: Sequence[Term], known: Mapping[str, Filter], now: int) -> Callable[[Any], bool]:
    """A test whether an object satisfies all the terms.

    Raises:
        BadQuery: when a value has the wrong type for its filter.
    """
    tests = [_test(term, known[term.field], now) for term in terms]
    return lambda item: all(test(item) for test in tests)


def instant_of(text: str, now: int) -> int:
    """The instant of a time in a query.

    Raises:
        BadQuery: when it is not a time.
    """
    try:
        return pitime.parse(text, now, timezone.utc)
    except pitime.BadTime as error:
        msg = f"The time '{text}' could not be parsed."
        raise BadQuery(msg) from error


def _terms(query: str, at: int, known: Mapping[str, Filter]) -> tuple[list[Term], int]:
    terms: list[Term] = []
    while (at := _skip(query, at)) < len(query) and query[at] != "}":
        if len(terms) >= _MOST_TERMS:
            msg = f"A query has at most {_MOST_TERMS} terms."
            raise BadQuery(msg)
        term, at = _term(query, at, known)
        terms.append(term)
    return terms, at


def _skip(query: str, at: int) -> int:
    while at < len(query) and (query[at].isspace() or _AND.match(query, at)):
        at += 1 if query[at].isspace() else 3
    return at


def _term(query: str, at: int, known: Mapping[str, Filter]) -> tuple[Term, int]:
    if match := _NESTED.match(query, at):
        return _nested(query, match, known)
    if match := _ANY_OF.match(query, at):
        return _alternatives(query, match, known)
    if match := _TERM.match(query, at):
        return Term(_field(match[1], known), match[2] or "=", (_text(match, 3),)), match.end()
    match = _BARE.match(query, at)
    if match and ":" not in (match[3] or ""):
        return Term("name", "=", (_text(match, 1),)), match.end()
    msg = f"The query '{query}' is not valid at position {at + 1}."
    raise BadQuery(msg)


def _nested(query: str, match: "re.Match[str]", known: Mapping[str, Filter]) -> tuple[Term, int]:
    field = _field(match[1], known)
    inner = known[field].inner
    if inner is None:
        msg = f"The filter '{match[1]}' takes no query of its own."
        raise BadQuery(msg)
    terms, at = _terms(query, match.end(), inner)
    if at >= len(query):
        msg = f"The query '{query}' lacks a closing brace."
        raise BadQuery(msg)
    return Term(field, "{", (), tuple(terms)), at + 1


def _alternatives(query: str, match: "re.Match[str]", known: Mapping[str, Filter]) -> tuple[Term, int]:
    values: list[str] = []
    at = match.end()
    while value := _BARE.match(query, _skip(query, at)):
        values.append(_text(value, 1))
        at = value.end()
        at += 1 if query[at : at + 1] in (";", ",") else 0
    at = _skip(query, at)
    if query[at : at + 1] != ")" or not values:
        msg = f"The list of '{match[1]}' is not valid at position {at + 1}."
        raise BadQuery(msg)
    return Term(_field(match[1], known), "=", tuple(values)), at + 1


def _field(name: str, known: Mapping[str, Filter]) -> str:
    if name.lower() not in known:
        msg = f"The filter '{name}' is not supported. Supported: {', '.join(sorted(known))}."
        raise BadQuery(msg)
    return name.lower()


def _text(match: "re.Match[str]", group: int) -> str:
    double, single, bare = match[group], match[group + 1], match[group + 2]
    if double is not None:
        return double.replace('""', '"')
    return single.replace("''", "'") if single is not None else bare


def _test(term: Term, how: Filter, now: int) -> Callable[[Any], bool]:
    if term.operator == "{":
        inner = holds(term.nested, how.inner or {}, now)
        return lambda item: any(inner(each) for each in how.read(item))
    if how.kind == "text" and not how.scale:
        return _text_test(term, how.read)
    if how.kind == "nested":
        return _text_test(term, lambda item: [each.name for each in how.read(item)])
    tests = [_compared(term, how, value, now) for value in term.values]
    return lambda item: any(test(item) for test in tests)


def _text_test(term: Term, read: Read) -> Callable[[Any], bool]:
    if term.operator not in ("=", "<>"):
        msg = f"The filter '{term.field}' compares texts: use := or :<>."
        raise BadQuery(msg)
    patterns = [wildcard_pattern(value) for value in term.values]
    wanted = term.operator == "="

    def test(item: Any) -> bool:
        held = read(item)
        texts = held if isinstance(held, list) else [held]
        return any(pattern.match(text) for pattern in patterns for text in texts) is wanted

    return test


def _compared(term: Term, how: Filter, value: str, now: int) -> Callable[[Any], bool]:
    limit = _limit(term, how, value, now)
    if how.kind == "scope":
        return lambda item: limit is True or bool(how.read(item))
    if how.kind == "exact":
        return lambda item: limit in how.read(item)
    compare = _COMPARE[term.operator]
    if how.scale:
        return lambda item: compare(how.scale.index(how.read(item)), limit)
    return lambda item: compare(how.read(item), limit)


def _limit(term: Term, how: Filter, value: str, now: int) -> Any:
    if how.kind == "time":
        return instant_of(value, now)
    if how.scale:
        names = [each.lower() for each in how.scale]
        if value.lower() in names:
            return names.index(value.lower())
    elif how.kind == "exact":
        return value.lower()
    elif how.kind in ("flag", "scope") and value.lower() in ("true", "false"):
        return value.lower() == "true"
    msg = f"The value '{value}' is not valid for the filter '{term.field}'."
    raise BadQuery(msg)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
