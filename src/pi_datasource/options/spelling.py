"""The spellings of an option's name: ``startTime``, ``start_time`` and ``STARTTIME`` are the same option."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Mapping
from typing import Any

from pi_datasource.errors import InvalidOption, UnknownOption

log = logging.getLogger(__name__)

_RENAMED = {"reporteffort": ("report_metrics", "; its rows have value_kind = 'read_metrics'")}


def by_name(given: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """``given`` with each option under its own name, one of ``names``, whatever its spelling.

    Raises:
        UnknownOption: there is no such option; the message suggests the nearest name.
        InvalidOption: two spellings of one option have different values.
    """
    spelled: dict[str, str] = {}
    for key, value in given.items():
        first = spelled.setdefault(_canonical(key, names), key)
        if given[first] != value:  # neither value is shown: it may be a secret
            message = (
                f"options {first!r} and {key!r} are two spellings of one option and have different values; "
                "give one of them"
            )
            raise InvalidOption(message)
    return {name: given[key] for name, key in spelled.items()}


def _canonical(key: str, names: Collection[str]) -> str:
    spellings = {name.replace("_", ""): name for name in names}
    squeezed = key.lower().replace("_", "")
    if squeezed in _RENAMED:
        name, change = _RENAMED[squeezed]
        log.warning(
            "the option %r is now %r; its old name is removed in the next release%s", key, name, change
        )
        return name
    if squeezed in spellings:
        return spellings[squeezed]
    if squeezed in ("path", "paths"):
        message = "load() takes no path; give the address as .option('url', 'https://HOST/piwebapi')"
        raise UnknownOption(message)
    near = difflib.get_close_matches(squeezed, spellings, n=1, cutoff=0.5)
    hint = f"did you mean {spellings[near[0]]!r}?" if near else f"the options are: {', '.join(names)}"
    message = f"{key!r} is not an option of format('pi'); {hint}"
    raise UnknownOption(message)
