"""A predicate in Spark's SQL → ``Predicate``. Needs sqlglot (extra ``sql``).

A syntax node with any argument that is not understood prunes nothing. Time constants are not interpreted here: Spark
evaluates them, with its own rules and time zone.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pi_datasource.errors import MissingPackage
from pi_datasource.planning import predicates
from pi_datasource.planning.predicates import FALSE, INVERSE, TRUE, All, Either, Match, Predicate, Span

log = logging.getLogger(__name__)

Evaluate = Callable[[Sequence[str]], Sequence["int | None"]]
"""SQL expressions without columns → their values as timestamps, in microseconds; None for what is not a timestamp."""

HOUR_US = 3_600_000_000
# A zone's clock may be set back between two evaluations of "the same time yesterday", by a few hours at most.
ZONE_SLACK_US = 3 * HOUR_US
# Spark may compare the members of IN as text, in which an hour can occur twice.
MEMBER_SLACK_US = 24 * HOUR_US

_SIGNS = {"EQ": "=", "NullSafeEQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
_MIRROR = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_AMBIGUOUS = frozenset("\\'\"$`")  # escapes, quotes and substitution, which parsers may read differently
_CLOCKS = {"CurrentTimestamp", "CurrentDate"}
_STEPS = {"Add", "Sub", "TsOrDsAdd", "Cast", "TryCast", "TimestampTrunc", "Paren"}  # monotone in `this`
_EXACT_STEPS = {"Add", "Sub", "Paren"}
_EXACT_UNITS = ("HOUR", "MINUTE", "SECOND")
_CONSTANTS = {*_CLOCKS, *_STEPS, "Literal", "DataType", "Interval", "IntervalSpan", "Var", "Neg", "Mul"}


def of_sql(text: str, text_columns: Collection[str], evaluate: Evaluate) -> Predicate:
    """A predicate that is true for every row for which the SQL predicate ``text`` is true.

    Raises:
        MissingPackage: sqlglot is not installed.
    """
    root = _parsed(text)
    if root is None:
        return TRUE
    asked: dict[str, int | None] = {}

    def note(sql: str) -> None:
        asked[sql] = None

    names = {name.lower(): name for name in text_columns}
    _Reader(names, note).read(root, positive=True)
    if asked:
        asked = dict(zip(asked, evaluate(list(asked)), strict=True))
    return _Reader(names, asked.get).read(root, positive=True)


def columns_of(text: str) -> set[str]:
    """The names of all columns in a predicate, in lower case; of one that cannot be parsed, all of its words."""
    root = _parsed(text)
    if root is None:
        return set(re.findall(r"\w+", text.lower()))
    return {column.name.lower() for column in root.find_all(_sqlglot().exp.Column)}


def _sqlglot() -> Any:
    try:
        return importlib.import_module("sqlglot")
    except ImportError as cause:
        message = "where=… needs one more package: pip install 'pi-datasource[sql]'"
        raise MissingPackage(message) from cause


def _parsed(text: str) -> Any:
    """The syntax tree, or None for what sqlglot does not take; Spark parses it again and reports errors."""
    sqlglot = _sqlglot()
    try:
        return sqlglot.parse_one(text, dialect="spark")
    except sqlglot.errors.SqlglotError:
        log.warning(
            "sqlglot cannot parse the predicate, so it prunes nothing: everything is read and then filtered"
        )
        return None


@dataclass(frozen=True)
class _Reader:
    text_columns: Mapping[str, str]  # the names by which they are found, in lower case → their own
    moment_of: Callable[[str], int | None]

    def read(self, node: Any, positive: bool) -> Predicate:
        """A predicate for ``node`` being true, or for its being false unless ``positive``."""
        kind = type(node).__name__
        positive = positive != bool(node.args.get("negate"))
        if kind == "Paren" and _has_only(node, "this"):
            return self.read(node.this, positive)
        if kind == "Not" and _has_only(node, "this"):
            return self.read(node.this, not positive)
        if kind in ("And", "Or") and _has_only(node, "this", "expression"):
            parts = tuple(self.read(part, positive) for part in node.flatten(unnest=False))
            return All(parts) if (kind == "And") == positive else Either(parts)
        leaves = {"Between": self._between, "In": self._in, "Like": self._like, "Is": self._is}
        if kind in leaves:
            return leaves[kind](node, positive)
        return self._compare(node, positive) if kind in _SIGNS else TRUE

    def _compare(self, node: Any, positive: bool) -> Predicate:
        kind = type(node).__name__
        if not _has_only(node, "this", "expression") or (kind == "NullSafeEQ" and not positive):
            return TRUE  # NOT (x <=> 'a') is true for NULL too
        sign, left, right = _SIGNS[kind], node.this, node.expression
        if _column(left) is None:
            sign, left, right = _MIRROR[sign], right, left
        return self._test(_column(left), sign if positive else INVERSE[sign], right)

    def _between(self, node: Any, positive: bool) -> Predicate:
        if not _has_only(node, "this", "low", "high"):
            return TRUE  # BETWEEN SYMMETRIC
        column = _column(node.this)
        low = self._test(column, ">=" if positive else "<", node.args["low"])
        high = self._test(column, "<=" if positive else ">", node.args["high"])
        return All((low, high)) if positive else Either((low, high))

    def _in(self, node: Any, positive: bool) -> Predicate:
        column = _column(node.this)
        if column is None or not _has_only(node, "this", "expressions"):
            return TRUE
        members = [each for each in node.expressions if type(each).__name__ != "Null"]  # true for none
        if not members:
            return FALSE
        if column == "timestamp":
            return Either(tuple(map(self._member, members))) if positive else TRUE
        texts = tuple(text for text in map(_text, members) if text is not None)
        if column not in self.text_columns or len(texts) < len(members):
            return TRUE
        return Match(self.text_columns[column], "in" if positive else "not in", texts)

    def _like(self, node: Any, positive: bool) -> Predicate:
        column, text = _column(node.this), _text(node.expression)
        if (
            column is None
            or column not in self.text_columns
            or text is None
            or not _has_only(node, "this", "expression")
        ):
            return TRUE
        return Match(self.text_columns[column], "like" if positive else "not like", (text,))

    def _is(self, node: Any, positive: bool) -> Predicate:
        column = _column(node.this)
        is_null = type(node.expression).__name__ == "Null" and _has_only(node, "this", "expression")
        if column is None or column not in self.text_columns or not is_null:
            return TRUE
        return Match(self.text_columns[column], "null" if positive else "not null")

    def _test(self, column: str | None, sign: str, constant: Any) -> Predicate:
        if column == "timestamp":
            return self._compare_time(sign, constant)
        text = _text(constant)
        if column is None or column not in self.text_columns or text is None:
            return TRUE
        return predicates.compare_text(self.text_columns[column], sign, text)

    def _compare_time(self, sign: str, constant: Any) -> Predicate:
        micros = self._moment(constant)
        if micros is None:
            return TRUE
        clock = _clock(constant)
        if clock is None:
            return predicates.compare_time(sign, micros)
        # Spark reads the clock again at every query, later than here: only a lower bound still holds then.
        if sign not in (">", ">="):
            return TRUE
        return predicates.compare_time(">=", micros - (0 if clock == "exact" else ZONE_SLACK_US))

    def _member(self, constant: Any) -> Predicate:
        micros = self._moment(constant)
        if micros is None or _clock(constant) is not None:
            return TRUE
        return Span(micros - MEMBER_SLACK_US, micros + MEMBER_SLACK_US)

    def _moment(self, constant: Any) -> int | None:
        is_number = type(constant).__name__ == "Literal" and not constant.is_string
        if is_number or not _is_constant(constant) or _clock(constant) == "unclear":
            return None
        return self.moment_of(constant.sql(dialect="spark"))


def _has_only(node: Any, *arguments: str) -> bool:
    """Whether nothing is said with ``node`` but its ``arguments`` and, maybe, NOT."""
    return {name for name, value in node.args.items() if value} <= {*arguments, "negate"}


def _column(node: Any) -> str | None:
    """The lower-case name of a bare column."""
    is_bare = type(node).__name__ == "Column" and _has_only(node, "this")
    return node.name.lower() if is_bare else None


def _text(node: Any) -> str | None:
    """The text of a literal that no parser can read in another way."""
    if type(node).__name__ != "Literal" or not node.is_string or _AMBIGUOUS & set(node.this):
        return None
    return str(node.this)


def _is_constant(node: Any) -> bool:
    """Whether every part of an expression is known to give the same whenever it is evaluated, but for the clock."""
    return all(_is_known(part) for part in node.walk())


def _is_known(part: Any) -> bool:
    kind = type(part).__name__
    if kind == "Literal" and part.is_string:
        return _text(part) is not None
    if kind == "DataType":  # a timestamp without a zone is written in ways that lose a zone given
        return str(part.this).rpartition(".")[2] in ("TIMESTAMPTZ", "DATE")
    return kind in _CONSTANTS or _is_now(part)


def _is_now(node: Any) -> bool:
    return type(node).__name__ == "Anonymous" and str(node.this).lower() == "now" and not node.expressions


def _reads_clock(node: Any) -> bool:
    return type(node).__name__ in _CLOCKS or _is_now(node)


def _clock(constant: Any) -> str | None:
    """How an expression follows the clock: not at all (None), ``exact``, by the ``zone``'s calendar, or ``unclear``."""
    readings = sum(_reads_clock(part) for part in constant.walk())
    if not readings:
        return None
    exact, node = True, constant
    while type(node).__name__ in _STEPS:
        shift = node.args.get("expression")
        exact = exact and type(node).__name__ in _EXACT_STEPS and (shift is None or _is_exact(shift))
        node = node.this
    if readings > 1 or not _reads_clock(node):
        return "unclear"  # such as X - current_timestamp(), which falls as time goes on
    return "exact" if exact and type(node).__name__ != "CurrentDate" else "zone"


def _is_exact(shift: Any) -> bool:
    """Whether an interval is one of hours, minutes or seconds, of the same length in every zone."""
    unit = str(getattr(shift, "unit", None) or "").upper().rstrip("S")
    return type(shift).__name__ == "Interval" and unit in _EXACT_UNITS
