"""Bearer tokens: sent with every request, renewed before they expire, and once when the server refuses one."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import requests
from requests import PreparedRequest, Response
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import HTTPError

from pi_datasource import errors, redaction
from pi_datasource.errors import Call, ServerError, UnexpectedReply
from pi_datasource.options.declaration import Options
from pi_datasource.options.secrets import secret
from pi_datasource.options.types import unsendable
from pi_datasource.webapi import deadline_adapter, retry
from pi_datasource.webapi.envelope import NOT_JSON
from pi_datasource.webapi.exchange import CONNECT_TIMEOUT_S
from pi_datasource.webapi.retry import Attempts, Failed

if TYPE_CHECKING:
    from requests import Session

MARGIN_S = 60.0  # before its expiry a token is renewed, or a quarter of its lifetime if that is shorter


@dataclass(frozen=True)
class Grant:
    """A token, and the seconds until it expires; None if that is not known."""

    token: str = field(repr=False)
    seconds: float | None = None


class Bearer(AuthBase):
    """Sends a token with every request; after a 401 it fetches a new token and repeats the request once."""

    def __init__(self, fetch: Callable[[], Grant], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._token: str | None = None
        self._expires_at: float | None = None
        self._lock = Lock()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Adds the token to ``request``."""
        request.headers["Authorization"] = f"Bearer {self.token()}"
        request.register_hook("response", self._again)  # type: ignore[no-untyped-call]
        return request

    def token(self, refused: str | None = None) -> str:
        """A token that has not expired, and another one than the token that was ``refused`` if the provider has one."""
        with self._lock:
            expired = self._expires_at is not None and self._clock() >= self._expires_at
            if self._token is None or expired or self._token == refused:
                grant = self._fetch()
                self._token = grant.token
                life_s = grant.seconds
                margin_s = min(MARGIN_S, (life_s or 0.0) / 4)
                self._expires_at = None if life_s is None else self._clock() + life_s - margin_s
            return self._token

    def _again(self, response: Response, **settings: Any) -> Response:
        if response.status_code != 401:
            return response
        sent = str(response.request.headers.get("Authorization", "")).removeprefix("Bearer ")
        try:
            token = self.token(refused=sent)
        except BaseException:
            response.close()  # the caller gets the error instead, and cannot
            raise
        if token == sent:
            return response
        _ = response.content  # read whole, so that the connection can be used again
        response.close()
        request = response.request.copy()
        request.headers["Authorization"] = f"Bearer {token}"
        again: Response = response.connection.send(request, **settings)
        again.history.append(response)
        again.request = request
        return again


def basic(username: str, password: str) -> HTTPBasicAuth:
    """Basic authentication in UTF-8; the encoded pair is registered as a secret."""
    # requests would encode text as latin-1 and fail on every other letter.
    pair = (username.encode(), password.encode())
    redaction.register(base64.b64encode(b":".join(pair)).decode())
    return HTTPBasicAuth(*pair)


class _Discovery(msgspec.Struct):
    token_endpoint: str
    token_endpoint_auth_methods_supported: list[str] = []


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float | None = None


class ClientCredentials:
    """Gets tokens from an OpenID Connect provider by the client credentials of the options."""

    def __init__(self, options: Options, connect: Callable[[], Session]) -> None:
        self._options, self._connect = options, connect
        seconds = options.timeout.total_seconds()
        self._timeouts = (min(CONNECT_TIMEOUT_S, seconds), seconds)
        secret("client_secret", options.client_secret)  # raises before any request if there is none

    def __call__(self) -> Grant:
        """A fresh token.

        Raises:
            AuthenticationFailed: the provider refuses; the message holds its reason.
            ServerUnreachable: the provider cannot be reached.
            ServerFailed: the provider is not available, after all retries.
            UnexpectedReply: the answer holds no token.
        """
        with self._connect() as session:
            place, methods = self._endpoint(session)
            identity = {"client_id": self._options.client_id or ""}
            proof = secret("client_secret", self._options.client_secret)
            form = {"grant_type": "client_credentials", "scope": self._options.scope}
            settings: dict[str, Any] = {}
            if "client_secret_basic" in methods and "client_secret_post" not in methods:
                settings["auth"] = basic(identity["client_id"], proof)
            else:
                form |= {**identity, "client_secret": proof}
            granted = self._ask(session, "POST", place, _Granted, data=form, **settings)
        redaction.register(granted.access_token, expires=True)
        if problem := unsendable(granted.access_token, in_header=True):
            message = f"the token in the answer holds {problem}"
            raise UnexpectedReply(message, call=_call("POST", place))
        return Grant(granted.access_token, granted.expires_in)

    def _endpoint(self, session: Session) -> tuple[str, list[str]]:
        if self._options.token_url is not None:
            return self._options.token_url, []
        place = f"{self._options.url}/.well-known/openid-configuration"
        found = self._ask(session, "GET", place, _Discovery)
        if self._options.url.startswith("https:") and urlsplit(found.token_endpoint).scheme != "https":
            message = (
                f"{place} names a token endpoint without TLS, to which no secret is sent; correct it there, or give "
                "'token_url'"
            )
            raise errors.InvalidOption(message)
        return found.token_endpoint, found.token_endpoint_auth_methods_supported

    def _ask(self, session: Session, method: str, place: str, shape: Any, **sent: Any) -> Any:
        call = _call(method, place)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        sent |= {"headers": headers, "timeout": self._timeouts, "allow_redirects": False}
        attempts = Attempts(self._options.max_retries)
        answer = retry.send(lambda: self._once(session, call, place, sent), attempts, time.sleep)
        if answer.status_code != 200:
            raise self._refusal(call, answer)
        try:
            return msgspec.json.decode(answer.content, type=shape)
        except msgspec.DecodeError as cause:
            message = "this is not the answer of an OpenID Connect provider; check the option 'token_url'"
            raise UnexpectedReply(message, 200, call=call) from cause

    def _once(self, session: Session, call: Call, place: str, sent: dict[str, Any]) -> Response | Failed:
        try:
            answer = session.request(call.method, place, **sent)
        except (requests.RequestException, HTTPError, HTTPException, ValueError) as cause:
            message = (
                f"cannot be reached ({type(cause).__name__}); check the option 'token_url' and the network"
            )
            error = errors.ServerUnreachable(message, call=call)
            error.__cause__ = cause
            return Failed(error, deadline_adapter.kind(cause))
        kind = retry.kind_of_status(answer.status_code)
        if kind is None:
            return answer
        pause_s = retry.retry_after_s(answer.headers.get("Retry-After"))
        return Failed(self._refusal(call, answer), kind, pause_s)

    def _refusal(self, call: Call, answer: Response) -> ServerError:
        try:
            said = msgspec.json.decode(answer.content)
        except NOT_JSON:
            said = None
        known = said if isinstance(said, dict) else {}
        words = [str(known[key]) for key in ("error", "error_description") if key in known]
        text = redaction.shorten(": ".join(words))
        hint = (
            "check 'client_id', 'client_secret' and 'scope'"
            if answer.request.method == "POST"
            else "give the address of the token endpoint as 'token_url'"
        )
        kind: type[ServerError] = errors.AuthenticationFailed
        if retry.kind_of_status(answer.status_code) is not None:
            kind, hint = errors.ServerFailed, "the identity provider is not available now; try again later"
        return kind(
            f"HTTP {answer.status_code}{': ' if text else ''}{text}; {hint}", answer.status_code, call=call
        )


def _call(method: str, url: str) -> Call:
    return Call(method, url.partition("?")[0], "signing in")
