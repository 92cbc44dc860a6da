"""The definition of a panel: a name, the tables it needs, and the function that computes its data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pi_datasource.dashboard.queries import QueryContext
from pi_datasource.dashboard.tables import TABLES


@dataclass(frozen=True)
class Panel:
    """``compute`` returns the data; it is called only if all tables in ``needs`` exist.

    ``optional`` lists columns, as ``table.column``, that some versions of the pipeline do not write; ``per_tag`` panels
    need a tag.
    """

    name: str
    needs: tuple[str, ...]
    compute: Callable[[QueryContext], dict[str, Any]]
    optional: tuple[str, ...] = ()
    per_tag: bool = False


def evaluate(panel: Panel, context: QueryContext) -> dict[str, Any]:
    """The data of a panel for one selection, ready for JSON; ``state`` is ``ok``, or ``empty`` with the reason in words.

    Raises:
        TablesUnavailable: a table could not be read.
    """
    columns = context.backend.columns()
    absent = next((key for key in panel.needs if key not in columns), None)
    if absent is not None:
        words = TABLES[absent].absent
        return {"panel": panel.name, "state": "empty", "words": words[0].upper() + words[1:] + "."}
    missing = [
        column
        for table, _, column in (name.partition(".") for name in panel.optional)
        if column not in columns[table]
    ]
    data = finite(panel.compute(context))
    return {"panel": panel.name, "state": "ok", "not_recorded": missing, "data": data}


def finite(value: Any) -> Any:
    """``value`` with null for NaN and the infinities, which JSON cannot represent."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value
