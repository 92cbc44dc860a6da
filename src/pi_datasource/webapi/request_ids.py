"""Ids of the requests in a batch call: unique to the call, so that the answer to another call is recognised. Pure.

A proxy may deliver an answer late or twice on a kept connection; the next call would otherwise take it for its own.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from pi_datasource.errors import UnexpectedReply


def unique(count: int) -> list[str]:
    """``count`` ids that share a random prefix, which no other call has."""
    prefix = os.urandom(4).hex()
    return [f"{prefix}_{number}" for number in range(count)]


def check(body: bytes, answered: Collection[str], asked: Sequence[str]) -> None:
    """Returns if ``body``, whose members have the ids ``answered``, answers exactly the requests ``asked``, each once.

    Raises:
        UnexpectedReply: ids are missing, repeated, or of another call; nothing of the body may be used.
    """
    missing = sum(one not in answered for one in asked)
    if missing:
        message = f"POST batch: {missing} of {len(asked)} sub-requests were not answered"
        raise UnexpectedReply(message)
    if len(answered) > len(asked):
        message = (
            f"POST batch: the answer holds {len(answered) - len(asked)} member(s) that were not asked for"
        )
        raise UnexpectedReply(message)
    prefix = asked[0].partition("_")[0] if asked else ""
    if body.count(b'"%b_' % prefix.encode()) > len(asked):
        message = "POST batch: the answer holds a member more than once"
        raise UnexpectedReply(message)
