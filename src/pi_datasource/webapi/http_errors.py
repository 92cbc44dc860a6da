"""HTTP failures → errors that name the call, what the server says, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import requests

from pi_datasource import errors
from pi_datasource.errors import Call, ServerError, UnexpectedReply
from pi_datasource.redaction import shorten
from pi_datasource.webapi.deadline_adapter import causes, is_damaged
from pi_datasource.webapi.envelope import BATCH, FailedPart, opening
from pi_datasource.webapi.status_errors import BY_STATUS, of_status

_SIGN_IN = "sign in with the options 'username' and 'password', or 'token'"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z-]{1,31}")


@dataclass(frozen=True)
class Failures:
    """The errors of calls to one PI Web API."""

    url: str
    timeout_s: float
    signs_in: bool

    def late(self, call: Call, *, connecting: bool) -> errors.ServerTimeout:
        """No answer in time, or no connection."""
        what = "no connection" if connecting else "no complete answer"
        message = (
            f"{what} from {self.url} within {self.timeout_s:g} s; set a smaller 'page_size' or 'batch_size', "
            "or a longer 'timeout'"
        )
        return errors.ServerTimeout(message, call=call)

    def no_answer(self, call: Call, cause: Exception) -> ServerError:
        """The error of a call that got no answer, or one that is not HTTP; what such an answer holds is not repeated."""
        proxied = isinstance(cause, requests.exceptions.ProxyError)
        if not proxied and (is_damaged(cause) or not isinstance(cause, (requests.RequestException, OSError))):
            *_, inner = causes(cause)
            return UnexpectedReply(
                f"the answer of {self.url} is damaged ({type(inner).__name__}); check that 'url' is the address of PI Web "
                "API, and for a proxy that changes answers",
                call=call,
            )
        why = reason(cause)
        if type(cause).__module__.startswith("requests_kerberos"):
            return errors.AuthenticationFailed(
                f"signing in with Kerberos failed ({why}); get a ticket with kinit, and check that the host of 'url' "
                "is the one of the server's service principal HTTP/HOST",
                call=call,
            )
        if proxied:
            advice = "check the option 'proxy' and the environment variables HTTPS_PROXY and NO_PROXY"
            return errors.ServerUnreachable(
                f"the proxy before {self.url} gives no connection ({why}); {advice}", call=call
            )
        if isinstance(cause, requests.exceptions.SSLError):
            return errors.ServerUnreachable(
                f"no trusted connection to {self.url}: {why}; give the authority's certificate as option 'ca_bundle'",
                call=call,
            )
        return errors.ServerUnreachable(
            f"cannot reach {self.url} ({why}); check the option 'url', the network, and that PI Web API is running",
            call=call,
        )

    def cut(self, call: Call, times: int, why: str) -> UnexpectedReply:
        """A body that came incomplete, so many ``times`` in a row."""
        message = (
            f"the answer of {self.url} was cut short {times} time(s) in a row ({why}); check for a proxy that limits answers, "
            "or set a smaller 'page_size'"
        )
        return UnexpectedReply(message, call=call)

    def redirected(self, call: Call, status: int, location: str) -> UnexpectedReply:
        """A redirect, which is not followed: credentials might go to its target."""
        place = shorten(location).partition("?")[0]
        message = f"{self.url} redirects to {place}; give PI Web API's own address as 'url'"
        return UnexpectedReply(message, status, call=call)

    def refusal(
        self, call: Call, failed: FailedPart, headers: Mapping[str, str] = MappingProxyType({})
    ) -> ServerError:
        """An answer that is a failure, by its status or by what it holds."""
        hint = None
        if failed.status == 401:
            hint = BY_STATUS[401][1] if self.signs_in else _SIGN_IN
            if schemes := _schemes(headers.get("WWW-Authenticate", "")):
                hint += f"; it offers {', '.join(schemes)}"
        return of_status(call, failed, hint)

    def not_routed(self, base: str) -> errors.RequestRefused:
        """PI Web API knows the address of no sub-request."""
        return errors.RequestRefused(
            f"PI Web API answers at {self.url}, but does not know the sub-requests' address {shorten(base)}: a proxy "
            "maps its path; give the address under which PI Web API knows itself as option 'batch_url'",
            404,
            call=BATCH,
        )

    def not_json(self, call: Call, headers: Mapping[str, str], body: bytes) -> UnexpectedReply:
        """An answer that is not PI Web API's, such as a proxy's page."""
        kind = shorten(headers.get("Content-Type", "no content type"))
        message = (
            f"{self.url} did not answer with PI Web API's JSON but with {kind}, starting with {opening(body)}; check that "
            "'url' is the address of PI Web API (https://HOST/piwebapi)"
        )
        return UnexpectedReply(message, call=call)


def reason(error: BaseException) -> str:
    """The innermost cause in a few words."""
    *_, inner = causes(error)
    return f"{type(inner).__name__}: {shorten(str(inner))}"


def _schemes(challenges: str) -> list[str]:
    """The names of the schemes in a ``WWW-Authenticate`` header, without their parameters."""
    parts = re.sub(r'"[^"]*"', "", shorten(challenges)).split(",")  # a quoted realm may hold commas
    first_words = [part.split()[0] for part in parts if part.split()]
    return sorted({word for word in first_words if _SCHEME.fullmatch(word)})
