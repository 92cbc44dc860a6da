"""The figures of an hour that depend on the hours next to it, and the rows of gold that have to change."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import time_weighted

_UPDATED_AT = "updated_at"
_TIMED = ("time_weighted_mean", "percent_good")
LATER_COLUMNS = (*_TIMED, "surroundings", _UPDATED_AT)
"""Columns of gold that ``changed_hours`` computes."""

_IN_TIME = "OVER (PARTITION BY tag_webid ORDER BY hour)"


def changed_hours(hours: DataFrame, steps: DataFrame, names: Sequence[str]) -> DataFrame:
    """The columns ``names`` of the hours that have to change; ``_deleted`` marks those that have no events any more.

    ``hours`` have the columns ``_touched``, ``_new`` (their figures; null without events) and ``_old`` (their stored row).
    The hours before and after a touched one change with it.
    """
    near = _with_neighbours(hours).join(steps, "tag_webid", "left")
    near = _evaluated_once(near, "_near", _surroundings())
    near = _evaluated_once(near, "_timed", _timed_figures())
    known = ("tag_webid", "hour")
    columns = {name: _figure(name) for name in names if name not in known}
    rows = near.select(
        *known, "_old", "_touched", "_new", *(value.alias(name) for name, value in columns.items())
    )
    differs = F.lit(False)
    for name in columns:
        if name != _UPDATED_AT:
            differs |= ~F.col(f"`{name}`").eqNullSafe(F.col(f"_old.`{name}`"))
    deleted, stored = F.col("_touched") & F.col("_new").isNull(), F.col("_old").isNotNull()
    changed = F.when(deleted, stored).otherwise(~stored | differs)
    return rows.where(changed).select(*(f"`{name}`" for name in names), deleted.alias("_deleted"))


def _evaluated_once(rows: DataFrame, name: str, value: Column) -> DataFrame:
    """Adds a column; Spark would copy a plain one's expression to all its uses, until the code is too large to compile."""
    return rows.select("*", F.explode(F.array(value)).alias(name))


def _timed_figures() -> Column:
    curve, near = F.col("_curve"), F.col("_near")
    return F.struct(
        time_weighted.mean(curve, near, F.col("step")).alias("time_weighted_mean"),
        time_weighted.percent_good(curve, near).alias("percent_good"),
    )


def _with_neighbours(hours: DataFrame) -> DataFrame:
    """The touched hours and those next to them, with the last event ``_before`` and the first ``_after`` the hour."""
    old = F.col("_old.surroundings")
    near = {
        "_curve": _current(F.col("_new.curve"), F.col("_old.curve")),
        "_good_seconds": _current(F.col("_new.good_seconds"), old["good_seconds"]),
        "_last_good": _current(F.col("_new.last_good"), old["last_good"]),
    }
    events = {
        "_first": time_weighted.first_event(F.col("_curve")),
        "_last": time_weighted.last_event(F.col("_curve"), F.col("_last_good")),
    }
    rows = hours.withColumns(near).withColumns(events)
    windows = {
        "_before": F.expr(f"lag(_last) IGNORE NULLS {_IN_TIME}"),
        "_after": F.expr(f"lead(_first) IGNORE NULLS {_IN_TIME}"),
        "_changed_before": F.expr(f"coalesce(lag(_touched) {_IN_TIME}, false)"),
        "_changed_after": F.expr(f"coalesce(lead(_touched) {_IN_TIME}, false)"),
    }
    # A row of an older version does not know the events next to it: it stays as it is until it is recomputed itself.
    beside = (F.col("_changed_before") | F.col("_changed_after")) & old.isNotNull()
    return rows.withColumns(windows).where(F.col("_touched") | beside)


def _current(new: Column, old: Column) -> Column:
    return F.when(F.col("_touched"), new).otherwise(old)


def _surroundings() -> Column:
    """Those of a touched hour; one next to it changes only on that side."""
    old = F.col("_old.surroundings")
    stored_before = F.struct(*(old[f"before_{name}"].alias(name) for name in ("at", "number", "good")))
    stored_after = F.struct(*(old[f"after_{name}"].alias(name) for name in ("at", "number")))
    touched = F.col("_touched")
    before = F.when(touched | F.col("_changed_before"), F.col("_before")).otherwise(stored_before)
    after = F.when(touched | F.col("_changed_after"), F.col("_after")).otherwise(stored_after)
    return time_weighted.surroundings(F.col("_good_seconds"), F.col("_last_good"), before, after)


def _figure(name: str) -> Column:
    if name == "surroundings":
        return F.col("_near")
    if name == _UPDATED_AT:
        return F.current_timestamp()
    if name in _TIMED:
        return F.col(f"_timed.{name}")
    return _current(F.col(f"_new.`{name}`"), F.col(f"_old.`{name}`"))
