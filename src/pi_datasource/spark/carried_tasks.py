"""The tasks of a planned read on their way through Spark, which hands nothing but options to a data source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pi_datasource.errors import InvalidOption
from pi_datasource.model import ReadTask
from pi_datasource.options.declaration import Options
from pi_datasource.planning import task_codec
from pi_datasource.planning.predicates import TRUE, Predicate

KEY = "__tasks__"  # not an option of the source: it stands in place of those that select tags and times
SELECTING = ("tags", "tag_filter", "data_servers", "start_time", "end_time", "pushdown")


def option(tasks: Sequence[ReadTask]) -> dict[str, str]:
    """What to add to Spark's options so that ``split`` finds ``tasks`` there."""
    return {KEY: task_codec.dumps(tasks)}


def split(given: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """The text of the tasks that ``given`` carries, None if none, and the other options."""
    options = dict(given)
    found = [options.pop(key) for key in given if key.lower() == KEY]
    return (found[0] if found else None), options


def loads(text: str) -> list[ReadTask]:
    """The tasks that ``text`` holds.

    Raises:
        InvalidOption: it does not hold tasks.
    """
    try:
        return task_codec.loads(text)
    except ValueError as cause:
        message = f"option {KEY!r}: {cause}"
        raise InvalidOption(message) from cause


def check(text: str, options: Options, asked: Predicate) -> None:
    """Checks that ``text`` holds tasks of the table of ``options``, and that nothing else says what to read.

    Raises:
        InvalidOption: it does not, or an option or a predicate does.
    """
    wrong = {task.table for task in loads(text)} - {options.table}
    if wrong:
        message = (
            f"option {KEY!r}: its tasks read {', '.join(sorted(wrong))}, and not the table {options.table}"
        )
        raise InvalidOption(message)
    others = [name for name in SELECTING if name in options.model_fields_set]
    others += [] if asked == TRUE else ["where"]
    if others:
        message = f"option {KEY!r} says what to read: leave out {', '.join(map(repr, others))}"
        raise InvalidOption(message)
