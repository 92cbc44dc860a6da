"""The batch reader that takes Spark's own filters: the option ``pushdown``, Spark 4.1 and later."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql.datasource import DataSourceReader

from pi_datasource.errors import InvalidOption
from pi_datasource.model import MICROSECOND
from pi_datasource.options.declaration import Options
from pi_datasource.planning import predicates
from pi_datasource.planning.predicates import FALSE, INVERSE, TRUE, All, Either, Match, Predicate
from pi_datasource.spark.batch_reader import PIReader
from pi_datasource.spark.partitions import concise_errors

if TYPE_CHECKING:
    from pyspark.sql.datasource import Filter

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SIGNS = {
    "EqualTo": "=",
    "EqualNullSafe": "=",
    "LessThan": "<",
    "LessThanOrEqual": "<=",
    "GreaterThan": ">",
    "GreaterThanOrEqual": ">=",
}
_LIKE: dict[str, Callable[[str], str]] = {
    "StringStartsWith": lambda text: f"{text}%",
    "StringEndsWith": lambda text: f"%{text}",
    "StringContains": lambda text: f"%{text}%",
}


class PIPushdownReader(PIReader):
    """A reader that prunes the tags and times that Spark's filters exclude.

    Spark 4.1 to 4.3 keep the pruned reader with the DataFrame that ``load()`` made. A second query of that DataFrame, of
    one derived from it, or of a temporary view over it, with no filter or another one, may reuse it and then LACKS
    ROWS, without an error. So every query must begin with a ``load()`` of its own. All filters are returned to Spark,
    which applies them as well: pruning never replaces filtering.
    """

    def __init__(self, options: Options, schema: pa.Schema, asked: Predicate = TRUE) -> None:
        super().__init__(options, schema, asked)
        if not hasattr(DataSourceReader, "pushFilters"):
            message = (
                "option 'pushdown' needs Spark 4.1 or later: leave it out, or use pi_datasource.read(where=…)"
            )
            raise InvalidOption(message)

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:
        """Prunes what cannot pass all of ``filters``; returns every one of them for Spark to apply."""
        with concise_errors():
            columns = frozenset(field.name for field in self.schema if field.type == pa.string())
            self.pushed = All(tuple(of_filter(each, columns) for each in filters))
        return filters


def of_filter(given: Any, text_columns: frozenset[str], positive: bool = True) -> Predicate:
    """The condition that rows meet which pass Spark's filter, or its negation unless ``positive``."""
    kind = type(given).__name__
    if kind == "Not":
        return of_filter(given.child, text_columns, not positive)
    column = given.attribute[0] if len(getattr(given, "attribute", ())) == 1 else ""
    if column == "timestamp":
        return _of_time(kind, getattr(given, "value", None), positive)
    return _of_text(kind, column, getattr(given, "value", None), positive) if column in text_columns else TRUE


def _of_time(kind: str, value: object, positive: bool) -> Predicate:
    if kind in _SIGNS and _is_moment(value):
        sign = _SIGNS[kind] if positive else INVERSE[_SIGNS[kind]]
        return predicates.compare_time(sign, _micros(value))
    if kind == "In" and positive and isinstance(value, (list, tuple)):
        moments = [each for each in value if each is not None]
        if all(_is_moment(each) for each in moments):
            return Either(tuple(predicates.compare_time("=", _micros(each)) for each in moments))
    return TRUE


def _of_text(kind: str, column: str, value: object, positive: bool) -> Predicate:
    if kind in ("IsNull", "IsNotNull"):
        return Match(column, "null" if (kind == "IsNull") == positive else "not null")
    if kind == "In" and isinstance(value, (list, tuple)):
        texts = tuple(each for each in value if each is not None)
        if not all(isinstance(each, str) for each in texts):
            return TRUE
        return Match(column, "in" if positive else "not in", texts) if texts or not positive else FALSE
    if not isinstance(value, str) or (kind == "EqualNullSafe" and not positive):
        return TRUE  # NOT (x <=> 'a') is true for NULL too
    if kind in _SIGNS:
        return predicates.compare_text(column, _SIGNS[kind] if positive else INVERSE[_SIGNS[kind]], value)
    if kind in _LIKE:
        pattern = _LIKE[kind](predicates.escaped(value))
        return Match(column, "like" if positive else "not like", (pattern,))
    return TRUE


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def _micros(value: Any) -> int:
    return int((value - _EPOCH) // MICROSECOND)
