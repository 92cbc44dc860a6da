"""Reversible ids: a GUID encodes the object it names, so that no index is needed.

A GUID of version 8 (RFC 9562) has 122 free bits: 92 encode the object under a mask, and 30 are a checksum. A GUID of
another seed, or an invented one, decodes to nothing.
"""

import uuid
from enum import IntEnum
from hashlib import blake2b

_PAYLOAD_BITS = 92
_CHECK_BITS = 30
_PAYLOAD = (1 << _PAYLOAD_BITS) - 1
_CHECK = (1 << _CHECK_BITS) - 1


class Kind(IntEnum):
    """The kind of object an id names; its lowest four bits."""

    ELEMENT = 1
    ATTRIBUTE = 2
    FRAME = 3
    FRAME_ATTRIBUTE = 4
    ANALYSIS = 5
    ANALYSIS_RULE = 6
    TIME_RULE = 7
    ANNOTATION = 8


class Ids:
    """The ids of one seed's objects."""

    def __init__(self, seed: int) -> None:
        self._key = f"asset framework {seed}".encode()

    def guid(self, kind: Kind, number: int) -> uuid.UUID:
        """The id of the object of that kind with that number (below 2^88)."""
        payload = number << 4 | kind
        if not 0 <= payload <= _PAYLOAD:
            raise ValueError(number)
        check = self._check(payload)
        bits = (payload ^ self._mask(check)) << _CHECK_BITS | check
        return uuid.UUID(
            int=(bits >> 74) << 80 | 8 << 76 | (bits >> 62 & 0xFFF) << 64 | 2 << 62 | bits & (1 << 62) - 1
        )

    def read(self, guid: uuid.UUID) -> tuple[Kind, int] | None:
        """The kind and number of the object an id names, or None when it names none."""
        whole = guid.int
        bits = (whole >> 80) << 74 | (whole >> 64 & 0xFFF) << 62 | whole & (1 << 62) - 1
        check = bits & _CHECK
        payload = bits >> _CHECK_BITS ^ self._mask(check)
        if check != self._check(payload) or payload & 15 not in set(Kind):
            return None
        return Kind(payload & 15), payload >> 4

    def draw(self, *what: object) -> int:
        """64 random bits determined by `what` and the seed."""
        return int.from_bytes(blake2b(repr(what).encode(), key=self._key, digest_size=8).digest(), "big")

    def _check(self, payload: int) -> int:
        digest = blake2b(payload.to_bytes(12, "big"), key=self._key, digest_size=4).digest()
        return int.from_bytes(digest, "big") & _CHECK

    def _mask(self, check: int) -> int:
        digest = blake2b(check.to_bytes(4, "big"), key=self._key, digest_size=12).digest()
        return int.from_bytes(digest, "big") & _PAYLOAD
