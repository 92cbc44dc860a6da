"""Fault injection: which requests fail, and how, as a pure function of a seed, the request and the attempt.

By default faults pass: at least one of `tries` + 1 equal requests in a row is answered correctly, so that a client
which retries succeeds, and a failure is reproduced by the same requests.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime

import orjson

from mock_server.plant.wildcards import folded
from mock_server.server.fault_kinds import KINDS, Case
from mock_server.webapi.messages import Request, Response

MEMBER = "member."
_REMEMBERED = 16_384
_BATCH = {"member.500": 0.03, "member.404-message": 0.01, "member.503": 0.03, "member.500-text": 0.02}
_CONNECTION = {"reset": 0.03, "close": 0.02, "cut": 0.03, "cut-chunked": 0.02}
_PROXY = {"502": 0.03, "503-page": 0.03, "504": 0.02, "portal": 0.02}
PROFILES: dict[str, Mapping[str, float]] = {
    "batch": {**_BATCH, "member.429": 0.02},
    "connection": _CONNECTION,
    "proxy": _PROXY,
    "flaky": {"slow": 0.05, "500": 0.03, "503": 0.02, "503-seconds": 0.02, **_CONNECTION, **_BATCH},
    "all": {
        **{name: 0.01 for name, kind in KINDS.items() if name != "hang"},
        **{MEMBER + name: 0.01 for name, kind in KINDS.items() if kind.member},
    },
}


class Faults:
    """The schedule of everything that goes wrong on one server.

    `rates` maps names of faults to the share of requests that meet them; `member.` in front of a name means
    requests within a batch. `tries` is the most times in a row that the same request fails; with 0, one that
    fails does so for ever. `points` maps tags to the fault that every request for them meets, always.

    Raises:
        ValueError: a fault that does not exist, or rates that are no shares of a whole.
    """

    def __init__(
        self,
        seed: int = 0,
        rates: Mapping[str, float] | None = None,
        *,
        tries: int = 2,
        points: Mapping[str, str] | None = None,
    ) -> None:
        self.seed = seed
        self.rates = dict(rates or {})
        self.tries = tries
        self.points = dict(points or {})
        _check(self.rates, tries, self.points)
        self._asked: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def parse(cls, text: str, *, tries: int = 2, points: Mapping[str, str] | None = None) -> "Faults":
        """The faults that `SEED[:PROFILE]` describes; PROFILE is a name or a list such as `cut=0.1,member.503=0.05`.

        Raises:
            ValueError: when the text is not valid.
        """
        seed, _, profile = text.partition(":")
        if not seed.isdecimal():
            msg = f"'{text}' is no schedule of faults: it must be SEED or SEED:PROFILE, such as 7:flaky"
            raise ValueError(msg)
        return cls(int(seed), read_profile(profile or "flaky"), tries=tries, points=points)

    def meet(
        self,
        request: Request,
        serve: Callable[[], Response],
        *,
        now: datetime,
        member: bool = False,
        tags: Collection[str] = (),
    ) -> Response:
        """The response of `serve` to a request for the data of `tags`, or the fault that is scheduled for it."""
        name, draw = self._tied_to(tags) if self.points else "", 0.5
        if not name and self.rates:
            identity = _identity(request, member)
            name, draw = self.scheduled(identity, self._attempt(identity), member)
        if not name:
            return serve()
        response = KINDS[name].act(Case(request, serve, draw, now))
        return replace(response, fault=(MEMBER if member else "") + name)

    def _tied_to(self, tags: Collection[str]) -> str:
        """The fault of the first of `tags` that has one, in any case; `points` may change at any time."""
        by_name = {folded(name): fault for name, fault in self.points.items()}
        return next((by_name[name] for tag in tags if (name := folded(tag)) in by_name), "")

    def scheduled(self, identity: bytes, attempt: int, member: bool) -> tuple[str, float]:
        """The fault (or "") of the request at its `attempt`-th sending, counted from 0.

        With it comes a number in [0, 1) that decides the details of the fault.
        """
        round_length = self.tries + 1
        turn, place = divmod(attempt, round_length) if self.tries else (0, 0)
        seed = b"%d/%d/" % (self.seed, turn)
        digest = hashlib.blake2b(seed + identity, digest_size=24).digest()
        choice, length, draw = (int.from_bytes(digest[at : at + 8], "big") for at in (0, 8, 16))
        if self.tries and place > length % self.tries:
            return "", 0.0
        left = choice / 2**64
        for name, rate in self.rates.items():
            if name.startswith(MEMBER) is member:
                if left < rate:
                    return name.removeprefix(MEMBER), draw / 2**64
                left -= rate
        return "", 0.0

    def _attempt(self, identity: bytes) -> int:
        """The number of times this request was sent before."""
        with self._lock:
            attempt = self._asked.pop(identity, 0)
            self._asked[identity] = attempt + 1
            if len(self._asked) > _REMEMBERED:
                self._asked.popitem(last=False)
        return attempt


def _identity(request: Request, member: bool) -> bytes:
    """The identity of a request: everything but this server's address and the ids within a batch."""
    body = _without_ids(request.body)
    parts = (b"member" if member else b"call", request.method, request.path, request.query, body)
    whole = b"\0".join(part if isinstance(part, bytes) else part.encode(errors="replace") for part in parts)
    return hashlib.blake2b(whole.replace(request.origin.encode(), b""), digest_size=16).digest()


def _without_ids(body: bytes) -> bytes:
    """The requests of a batch without their ids, which a client may choose anew in each call."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    return orjson.dumps(list(content.values())) if isinstance(content, dict) else body


def _check(rates: Mapping[str, float], tries: int, points: Mapping[str, str]) -> None:
    if tries < 0:
        msg = f"the tries of a fault must be 0 (it never passes) or more, not {tries}"
        raise ValueError(msg)
    for name in rates:
        _check_kind(name.removeprefix(MEMBER), member=name.startswith(MEMBER))
    for name in points.values():
        _check_kind(name, member=True)
    for member in (False, True):
        total = sum(rate for name, rate in rates.items() if name.startswith(MEMBER) is member)
        if not 0 <= total <= 1 or any(not 0 <= rate <= 1 for rate in rates.values()):
            msg = f"the shares of faults must lie between 0 and 1, and so must their sum, which is {total:g}"
            raise ValueError(msg)


def _check_kind(name: str, member: bool) -> None:
    if name not in KINDS or (member and not KINDS[name].member):
        known = ", ".join(name for name, kind in KINDS.items() if kind.member or not member)
        where = "a single point or a request within a batch" if member else "a request"
        msg = f"'{name}' is no fault of {where}; there are: {known}"
        raise ValueError(msg)


def read_profile(text: str) -> Mapping[str, float]:
    """The rates of a named profile, or of a list `NAME=SHARE,NAME=SHARE`.

    Raises:
        ValueError: when the text is neither.
    """
    if text in PROFILES:
        return PROFILES[text]
    rates = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            rates[name.strip()] = float(share)
        except ValueError as error:
            known = ", ".join(PROFILES)
            msg = f"'{part}' is neither a profile ({known}) nor a fault with its share, such as cut=0.1"
            raise ValueError(msg) from error
    return rates
