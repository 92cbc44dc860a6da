"""The figures of an hour that depend on the hours next to it, and the rows of gold that have to change."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import time_weighted

_UPDATED_AT = "updated_at"
LATER_COLUMNS = ("time_weighted_mean", "percent_good", "surroundings", _UPDATED_AT)
"""Columns of gold that ``changed_hours`` computes."""

_SURROUNDINGS = (
    "good_seconds",
    "last_good",
    "before_at",
    "before_number",
    "before_good",
    "after_at",
    "after_number",
)
_IN_TIME = "OVER (PARTITION BY tag_webid ORDER BY hour)"


def changed_hours(hours: DataFrame, steps: DataFrame, names: Sequence[str]) -> DataFrame:
    """The columns ``names`` of the hours that have to change; ``_deleted`` marks those that have no events any more.

    ``hours`` have the columns ``_touched``, ``_new`` (their figures; null without events) and ``_old`` (their stored row).
    The hours before and after a touched one change with it.
    """
    near = _with_neighbours(hours).join(steps, "tag_webid", "left")
    near = near.withColumns({f"_near_{name}": value for name, value in _surroundings().items()})
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
    # A barrier: Spark would compute each figure again wherever it is compared. And as rows that cannot be repeated, MERGE
    # keeps them instead of computing them twice.
    return (
        rows.withColumn("_once", F.rand())
        .where((F.col("_once") >= 0) & changed)
        .select(*(f"`{name}`" for name in names), deleted.alias("_deleted"))
    )


def _with_neighbours(hours: DataFrame) -> DataFrame:
    """The touched hours and those next to them, with the last event ``_before`` and the first ``_after`` the hour."""
    old = F.col("_old.surroundings")
    near = {
        **{
            f"_curve_{name}": _current(F.col(f"_new.curve.{name}"), F.col(f"_old.curve.{name}"))
            for name in time_weighted.CURVE
        },
        "_good_seconds": _current(F.col("_new.good_seconds"), old["good_seconds"]),
        "_last_good": _current(F.col("_new.last_good"), old["last_good"]),
    }
    events = {
        "_first": time_weighted.first_event(_fields("_curve", time_weighted.CURVE)),
        "_last": time_weighted.last_event(_fields("_curve", time_weighted.CURVE), F.col("_last_good")),
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


def _fields(prefix: str, names: Sequence[str]) -> dict[str, Column]:
    return {name: F.col(f"{prefix}_{name}") for name in names}


def _surroundings() -> dict[str, Column]:
    """Those of a touched hour; one next to it changes only on that side."""
    old = F.col("_old.surroundings")
    stored_before = F.struct(*(old[f"before_{name}"].alias(name) for name in ("at", "number", "good")))
    stored_after = F.struct(*(old[f"after_{name}"].alias(name) for name in ("at", "number")))
    touched = F.col("_touched")
    before = F.when(touched | F.col("_changed_before"), F.col("_before")).otherwise(stored_before)
    after = F.when(touched | F.col("_changed_after"), F.col("_after")).otherwise(stored_after)
    return time_weighted.surroundings(F.col("_good_seconds"), F.col("_last_good"), before, after)


def _figure(name: str) -> Column:
    curve, near = _fields("_curve", time_weighted.CURVE), _fields("_near", _SURROUNDINGS)
    if name == "surroundings":
        return F.struct(*(value.alias(field) for field, value in near.items()))
    if name == _UPDATED_AT:
        return F.current_timestamp()
    if name == "time_weighted_mean":
        return time_weighted.mean(curve, near, F.col("step"))
    if name == "percent_good":
        return time_weighted.percent_good(curve, near)
    return _current(F.col(f"_new.`{name}`"), F.col(f"_old.`{name}`"))
