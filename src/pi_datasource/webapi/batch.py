"""Small answers to many GETs in one call of the batch endpoint: only answers to this very call are used."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from pi_datasource.errors import UnexpectedReply
from pi_datasource.webapi import envelope, request_ids
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.retry import Attempts

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")


def ask(
    client: PIClient,
    urls: Sequence[str],
    decoder: msgspec.json.Decoder[dict[str, _Answer]],
    attempts: Attempts | None = None,
) -> list[_Answer]:
    """The decoded answers in the order of ``urls``; an answer with the ids of another call is asked for again.

    Raises:
        ServerError: the call failed, or its answers never were those asked for.
        MsgspecError: the answer has another shape than the decoder's.
    """
    attempt = 0
    while True:
        ids = request_ids.unique(len(urls))
        body = client.batch(dict(zip(ids, urls, strict=True)), attempts)
        try:
            if (members := envelope.members(body)) is not None:
                request_ids.check(body, members, ids)
            answers = decoder.decode(body)
            return [answers[each] for each in ids]
        except UnexpectedReply as error:
            client.drop_connections()
            if attempt == client.max_retries:
                raise
            log.warning("%s; asking again", error)
        client.pause(attempt)
        attempt += 1
