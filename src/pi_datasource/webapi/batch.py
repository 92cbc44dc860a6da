"""Small answers to many GETs in one call of the batch endpoint: only answers to this very call are used."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypeVar

from pi_datasource.errors import UnexpectedReply
from pi_datasource.webapi import envelope, http_errors, lists
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.envelope import BATCH, FailedPart
from pi_datasource.webapi.lists import Listed
from pi_datasource.webapi.outage import Outage
from pi_datasource.webapi.retry import TOO_MANY_REQUESTS, Attempts, Failure

log = logging.getLogger(__name__)

_Item = TypeVar("_Item")


def lists_of(
    client: PIClient, urls: Sequence[str], item: type[_Item], path: str
) -> list[Listed[_Item] | FailedPart]:
    """The lists of ``item`` at ``urls``, in their order; ``path`` is that of all of them, for messages.

    What the rate limit refused is asked for again, within ``max_retries`` and ``wait_for_server``; so is everything if the
    answer is that of another call.

    Raises:
        ServerError: the call failed, its answers never were those asked for, or the rate limit outlasted all retries.
    """
    attempts, outage = Attempts(client.max_retries), Outage(client.patience_s)
    found: dict[str, Listed[_Item] | FailedPart] = {}
    left = list(dict.fromkeys(urls))
    while left:
        ids = envelope.new_ids(len(left))
        body = client.batch(dict(zip(ids, left, strict=True)), attempts)
        try:
            members = envelope.members(body, ids)
        except UnexpectedReply as error:
            client.drop_connections()
            if attempts.next_pause_s(Failure.BROKEN) is None:
                raise
            log.warning("%s; asking again", error)
            client.pause(attempts.retries - 1)
            continue
        found |= {url: _list_in(members[each], item, path) for each, url in zip(ids, left, strict=True)}
        limited = {
            url: answer
            for url in left
            if isinstance(answer := found[url], FailedPart) and answer.status == TOO_MANY_REQUESTS
        }
        left = list(limited)
        if limited:
            _pause(client, list(limited.values()), attempts, outage)
    return [found[url] for url in urls]


def _list_in(member: bytes, item: type[_Item], path: str) -> Listed[_Item] | FailedPart:
    content = envelope.content_of(member)
    failed = content if isinstance(content, FailedPart) else lists.failed_item(content, item)
    if failed is not None:
        return failed
    try:
        return lists.read(content, item, path)
    except UnexpectedReply as damage:
        return envelope.unreadable(damage)


def _pause(client: PIClient, refused: Sequence[FailedPart], attempts: Attempts, outage: Outage) -> None:
    """Waits before what the rate limit refused is asked for again.

    Raises:
        ServerFailed: there is no retry left, and ``wait_for_server`` is over.
    """
    least_s = max(each.retry_after_s or 0.0 for each in refused)
    if attempts.next_pause_s(Failure.RATE_LIMITED) is None:
        error = http_errors.of_status(BATCH, refused[0])
        if not outage.should_wait(error):
            raise error
        attempts.start_over()
    client.pause(max(0, attempts.retries - 1), least_s, requests=len(refused), refused=True)
