"""The predicate of ``read(where=...)`` on its way through Spark, which hands nothing but options to a data source."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pi_datasource.errors import InvalidOption
from pi_datasource.planning import predicates
from pi_datasource.planning.predicates import Predicate

log = logging.getLogger(__name__)

KEY = "__pruning__"  # not an option of the source: it prunes what is read, and filters nothing
_BEFORE = "narrow"  # until 0.2


def option(predicate: Predicate) -> dict[str, str]:
    """What to add to Spark's options so that ``split`` finds ``predicate`` there."""
    return {KEY: predicates.dumps(predicate)}


def split(given: Mapping[str, str]) -> tuple[Predicate, dict[str, str]]:
    """The predicate that ``given`` carries, ``TRUE`` if none, and the user's own options.

    Raises:
        InvalidOption: the text is not a predicate.
    """
    options = dict(given)
    found = [options.pop(key) for key in given if key.lower() in (KEY, _BEFORE)]
    if any(key.lower() == _BEFORE for key in given):
        log.warning("the option 'narrow' goes with the next release: use pi_datasource.read(where=...)")
    try:
        parts = tuple(map(predicates.loads, found))
    except ValueError as cause:
        message = f"option {_BEFORE!r}: {cause}"
        raise InvalidOption(message) from cause
    return (parts[0] if len(parts) == 1 else predicates.All(parts)), options
