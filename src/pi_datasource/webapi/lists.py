"""Lists of PI Web API with typed items. Pure."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, Generic, TypeVar

import msgspec

from pi_datasource.errors import Call, UnexpectedReply
from pi_datasource.redaction import shorten
from pi_datasource.webapi.envelope import FAILURE_NAMES, FailedPart, FailureFields, failure_in
from pi_datasource.webapi.status_errors import of_status

ID_ONLY = {"webIdType": "IDOnly"}  # short, and the same after a rename (reference: WebID 2.0)
_BESIDE_ITEMS = {"Links", "Date"}  # the client adds the header Date to an answer

_Shape = TypeVar("_Shape")
_Item = TypeVar("_Item")


class Links(msgspec.Struct):
    """Links of a page."""

    Next: str | None = None


class Listed(msgspec.Struct, Generic[_Item]):
    """A list, or one page of it."""

    Items: list[_Item] = []
    Links: Links = msgspec.field(default_factory=Links)


def typed(content: Any, shape: type[_Shape], path: str) -> _Shape:
    """The answer to a GET of ``path`` as ``shape``.

    Raises:
        UnexpectedReply: it is something else, so ``path`` was not answered by PI Web API.
    """
    try:
        return msgspec.convert(content, shape)
    except msgspec.ValidationError as cause:
        message = (
            f"the answer is none of PI Web API's ({shorten(str(cause))}); check that 'url' is its address"
        )
        raise UnexpectedReply(message, call=Call("GET", path)) from cause


def failed_item(content: Any, item: type) -> FailedPart | None:
    """The first item that is a failure; None if there is none, or ``item`` has the fields for the caller to look at."""
    items = content.get("Items") if isinstance(content, dict) else None
    if not isinstance(items, list) or issubclass(item, FailureFields):
        return None
    try:
        names: Set[Any] = set().union(*items)  # of all items at once: a page holds thousands
    except TypeError:  # an item is not an object
        names = FAILURE_NAMES
    return None if FAILURE_NAMES.isdisjoint(names) else next(filter(None, map(failure_in, items)), None)


def read(content: Any, item: type[_Item], path: str) -> Listed[_Item]:
    """The answer to a GET of ``path`` as a list of ``item``.

    Raises:
        UnexpectedReply: it is something else. Only an empty list may lack ``Items`` (reference: selectedFields).
        ServerError: one of the items is a failure, unless ``item`` has ``FailureFields`` for the caller to look at.
    """
    if (failed := failed_item(content, item)) is not None:
        raise of_status(Call("GET", path), failed)
    listed = typed(content, Listed[item], path)  # type: ignore[valid-type]
    if "Items" not in content and (unknown := content.keys() - _BESIDE_ITEMS):
        names = shorten(", ".join(sorted(unknown)))
        message = (
            f"the answer is not a list of PI Web API (it holds {names}); check that 'url' is its address"
        )
        raise UnexpectedReply(message, call=Call("GET", path))
    return listed
