"""Small answers to many GETs in one call of the batch endpoint: only answers to this very call are used."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import count
from typing import TypeVar

from pi_datasource.errors import UnexpectedReply
from pi_datasource.webapi import envelope, lists
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.envelope import BATCH, FailedPart
from pi_datasource.webapi.lists import Listed
from pi_datasource.webapi.outage import Outage
from pi_datasource.webapi.retry import TOO_MANY_REQUESTS, Attempts, Failure
from pi_datasource.webapi.status_errors import of_status

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
    for pauses in count():
        members = _ask(client, left, attempts)
        found |= {url: _list_in(member, item, path) for url, member in members.items()}
        refused = {url: failed for url in left if (failed := _limited(found[url])) is not None}
        if not refused:
            break
        left, (first, *_) = list(refused), refused.values()
        if attempts.next_pause_s(Failure.RATE_LIMITED) is None:
            error = of_status(BATCH, first)
            if not outage.should_wait(error):
                raise error
        least_s = max(each.retry_after_s or 0.0 for each in refused.values())
        client.pause(pauses, least_s, requests=len(left), refused=True)
    return [found[url] for url in urls]


def _ask(client: PIClient, urls: Sequence[str], attempts: Attempts) -> dict[str, bytes]:
    """The member of each URL; the answer to another call is asked for again on a new connection."""
    while True:
        ids = envelope.new_ids(len(urls))
        body = client.batch(dict(zip(ids, urls, strict=True)), attempts)
        try:
            members = envelope.members(body, ids)
        except UnexpectedReply as error:
            client.drop_connections()
            if attempts.next_pause_s(Failure.BROKEN) is None:
                raise
            log.warning("%s; asking again", error)
            client.pause(attempts.retries - 1)
        else:
            return {url: members[each] for each, url in zip(ids, urls, strict=True)}


def _limited(answer: object) -> FailedPart | None:
    return answer if isinstance(answer, FailedPart) and answer.status == TOO_MANY_REQUESTS else None


def _list_in(member: bytes, item: type[_Item], path: str) -> Listed[_Item] | FailedPart:
    content = envelope.content_of(member)
    failed = content if isinstance(content, FailedPart) else lists.failed_item(content, item)
    if failed is not None:
        return failed
    try:
        return lists.read(content, item, path)
    except UnexpectedReply as damage:
        return envelope.unreadable(damage)
