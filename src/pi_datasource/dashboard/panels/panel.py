"""What a panel is: a name, the tables it needs, and how its figures follow from its queries."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pi_datasource.dashboard.queries import Ask
from pi_datasource.dashboard.tables import TABLES

__all__ = ["Panel", "answer"]


@dataclass(frozen=True)
class Panel:
    """``shape`` makes the figures; it is called only if all tables in ``needs`` exist.

    ``optional`` names columns as ``table.column`` that some versions of the pipeline do not write; ``per_tag`` panels
    need a tag.
    """

    name: str
    needs: tuple[str, ...]
    shape: Callable[[Ask], dict[str, Any]]
    optional: tuple[str, ...] = ()
    per_tag: bool = False


def answer(panel: Panel, ask: Ask) -> dict[str, Any]:
    """The panel's figures for one choice, ready for JSON; ``state`` is ``ok``, or ``empty`` with words that say why.

    Raises:
        TablesUnavailable: a table could not be read.
    """
    columns = ask.backend.columns()
    absent = next((key for key in panel.needs if key not in columns), None)
    if absent is not None:
        words = TABLES[absent].absent
        return {"panel": panel.name, "state": "empty", "words": words[0].upper() + words[1:] + "."}
    missing = [
        column
        for table, _, column in (name.partition(".") for name in panel.optional)
        if column not in columns[table]
    ]
    data = panel.shape(ask)
    return {"panel": panel.name, "state": "ok", "not_recorded": missing, "data": finite(data)}


def finite(value: Any) -> Any:
    """``value`` with null for NaN and the infinities, which JSON has no words for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value
