"""``pi_datasource.read``: a DataFrame of the rows that satisfy a predicate; tags and times it excludes are not read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.errors import InvalidOption
from pi_datasource.options.declaration import Options
from pi_datasource.planning import predicates, sql_predicate
from pi_datasource.planning.predicates import Predicate
from pi_datasource.schema import STATUS_KINDS
from pi_datasource.spark import carried_predicate
from pi_datasource.tables import registry

_QUOTES = "spark.sql.ansi.doubleQuotedIdentifiers"


def read(spark: SparkSession, predicate: str | None, given: Mapping[str, Any]) -> DataFrame:
    """The rows that satisfy ``predicate``, as ``pi_datasource.read`` describes it."""
    carried, rest = carried_predicate.split(
        {n: _text(value) for n, value in given.items() if value is not None}
    )
    texts = Options.by_name(rest)
    options = Options.parse(texts)
    names = registry.columns(options).names
    if predicate is None:
        texts.update({} if carried == predicates.TRUE else carried_predicate.option(carried))
        return spark.read.format("pi").options(**texts).load()
    full = registry.lookup(options.table).schema(options)
    texts_of = [field.name for field in full if field.type == pa.string()]
    wanted = sql_predicate.of_sql(predicate, texts_of, lambda sql: _moments(spark, sql))
    if '"' in predicate and spark.conf.get(_QUOTES, "false") != "false":
        wanted = predicates.TRUE  # the quotes may enclose a column's name
    wanted = wanted if carried == predicates.TRUE else predicates.All((carried, wanted))
    texts.update(carried_predicate.option(wanted))
    used = sql_predicate.columns_of(predicate)
    _check_that_the_start_is_known(options, wanted, used)
    if options.columns:
        texts["columns"] = json.dumps(
            [*names, *(n for n in full.names if n.lower() in used and n not in names)]
        )
    rows = spark.read.format("pi").options(**texts).load().where(_filter(predicate, options))
    return rows.select(*(f"`{name}`" for name in names)) if options.columns else rows


def _filter(predicate: str, options: Options) -> str | Column:
    """The whole predicate; status rows always pass, so that no failure is lost."""
    if not registry.has_status_rows(options):
        return predicate
    return F.expr(predicate) | F.col("value_kind").isin(*STATUS_KINDS)


def _check_that_the_start_is_known(options: Options, wanted: Predicate, used: set[str]) -> None:
    """Checks that the result does not depend on how much of the predicate is understood."""
    start, _ = predicates.bounds(wanted)
    if "timestamp" in used and start == -math.inf and "start_time" not in options.model_fields_set:
        message = (
            "where: the predicate uses timestamp, but has no lower bound that is known before reading; "
            f"add one, such as timestamp >= '2026-01-01', or the option 'start_time' (its default is {options.start_time!r})"
        )
        raise InvalidOption(message)


def _text(value: Any) -> str:
    """An option's value as Spark carries it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.total_seconds()}s"
    if isinstance(value, (list, tuple)):
        return json.dumps([str(each) for each in value])
    return str(value)


def _moments(spark: SparkSession, expressions: Sequence[str]) -> list[int | None]:
    """The value of each of ``expressions`` as a timestamp by Spark's rules, in microseconds; None if it has none."""
    columns = ", ".join(
        f"unix_micros(TRY_CAST(({sql}) AS TIMESTAMP_LTZ)) AS c{i}" for i, sql in enumerate(expressions)
    )
    try:
        row = spark.sql(f"SELECT {columns}").first()
    except PySparkException:  # the filter itself raises the error that the user sees
        row = None
    return [None] * len(expressions) if row is None else list(row)
