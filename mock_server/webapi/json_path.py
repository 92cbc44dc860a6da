"""The subset of JSONPath that batch requests use: `$.a.b`, `['a']`, `[0]`, `[*]`, `.*`."""

import re
from typing import Any

_STEP = re.compile(r"""\.(?:(\*)|([^.\[\]'"\s]+))|\[(?:(\*)|(-?\d{1,9})|'([^']*)'|"([^"]*)")\]""")


class BadPath(ValueError):
    """The text is not a JSONPath of the supported subset."""


def parse(path: str) -> list["str | int | None"]:
    """The steps of a path: a key, an index, or None for every child.

    Raises:
        BadPath: when it is not valid.
    """
    if not path.startswith("$"):
        raise BadPath(path)
    steps: list[str | int | None] = []
    at = 1
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise BadPath(path)
        steps.append(_step(match))
        at = match.end()
    return steps


def select(document: Any, steps: list["str | int | None"]) -> list[Any]:
    """The tokens that the steps select, in document order."""
    found = [document]
    for step in steps:
        found = [child for token in found for child in _children(token, step)]
    return found


def _step(match: "re.Match[str]") -> "str | int | None":
    star, key, every, index, single, double = match.groups()
    if star or every:
        return None
    if index is not None:
        return int(index)
    return next(text for text in (key, single, double) if text is not None)


def _children(token: Any, step: "str | int | None") -> list[Any]:
    if step is None:
        return (
            list(token.values())
            if isinstance(token, dict)
            else list(token)
            if isinstance(token, list)
            else []
        )
    if isinstance(step, int):
        return [token[step]] if isinstance(token, list) and -len(token) <= step < len(token) else []
    return [token[step]] if isinstance(token, dict) and step in token else []
