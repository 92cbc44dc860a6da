"""The ``requests`` authentication of the options; it looks secrets up where it is used."""

from __future__ import annotations

import importlib
import logging
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from pi_datasource.errors import AuthenticationFailed, MissingPackage
from pi_datasource.options.declaration import Options
from pi_datasource.options.secrets import secret
from pi_datasource.webapi.tokens import Bearer, ClientCredentials, Grant, basic

if TYPE_CHECKING:
    from requests import Session

log = logging.getLogger(__name__)

Connect = Callable[[], "Session"]


class Anonymous(AuthBase):
    """Sends no credentials; without it requests would take them from ~/.netrc."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:  # noqa: D102 - as inherited
        return request


def authentication(options: Options, connect: Connect) -> AuthBase:
    """The authentication that the options choose; ``connect`` makes sessions that reach a token endpoint.

    Raises:
        InvalidOption: a secret is not found where its reference points.
        MissingPackage: Kerberos or NTLM need an extra.
    """
    return _STRATEGIES[chosen(options)](options, connect)


def chosen(options: Options) -> str:
    """The value of ``auth``; ``auto`` becomes the kind whose options are set."""
    if options.auth != "auto":
        return options.auth
    if options.token is not None:
        return "bearer"
    if options.client_id is not None:
        return "oidc"
    return "basic" if options.username is not None else "anonymous"


def _basic(options: Options, connect: Connect) -> AuthBase:  # noqa: ARG001 - all strategies are called alike
    _warn_of_plain_http(options.url)
    return basic(options.username or "", secret("password", options.password))


def _bearer(options: Options, connect: Connect) -> AuthBase:  # noqa: ARG001
    _warn_of_plain_http(options.url)
    way = Bearer(_TokenOption(options))
    way.token()
    return way


class _TokenOption:
    """Looks the option ``token`` up, and again after the server refused it: its place may hold another by now."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._last: str | None = None

    def __call__(self) -> Grant:
        self._last = secret("token", self._options.token, refused=self._last)
        return Grant(self._last)


def _oidc(options: Options, connect: Connect) -> AuthBase:
    _warn_of_plain_http(options.url)
    if options.token_url is not None:
        _warn_of_plain_http(options.token_url)
    return Bearer(ClientCredentials(options, connect))


def _kerberos(options: Options, connect: Connect) -> AuthBase:  # noqa: ARG001
    package = _optional("requests_kerberos", "kerberos")

    class Kerberos(package.HTTPKerberosAuth):  # type: ignore[name-defined, misc]
        def handle_response(self, response: Response, **settings: Any) -> Response:
            try:
                return super().handle_response(response, **settings)  # type: ignore[no-any-return]
            except ImportError as cause:  # only now does it load the libraries that it needs
                response.close()
                missing = _missing("kerberos")
                raise missing from cause

    return Kerberos(mutual_authentication=package.OPTIONAL)


def _ntlm(options: Options, connect: Connect) -> AuthBase:  # noqa: ARG001
    package = _optional("requests_ntlm", "ntlm")
    refused = importlib.import_module("spnego.exceptions").SpnegoError
    broken = (
        refused,
        PermissionError,
        KeyError,
        ValueError,
        struct.error,
    )  # raised for a malformed challenge

    class NTLM(package.HttpNtlmAuth):  # type: ignore[name-defined, misc]
        def response_hook(self, response: Response, **settings: Any) -> Response:
            try:
                return super().response_hook(response, **settings)  # type: ignore[no-any-return]
            except broken as cause:
                response.close()
                message = (
                    f"signing in with NTLM at {response.url.partition('?')[0]} came to no end ({type(cause).__name__}); "
                    "check that the server offers NTLM and that no proxy splits its connections, or use another 'auth'"
                )
                raise AuthenticationFailed(message, response.status_code) from cause

    return NTLM(options.username, secret("password", options.password))


def on_this_machine(url: str) -> bool:
    """Whether ``url`` is a loopback address, which no other machine can listen to."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


@lru_cache(maxsize=128)  # once in a process for each address
def _warn_of_plain_http(url: str) -> None:
    if url.startswith("http:") and not on_this_machine(url):
        log.warning(
            "credentials are sent to %s without encryption: whoever is on the way can read them; use https",
            url.partition("?")[0],
        )


def _optional(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        raise _missing(extra) from cause


def _missing(extra: str) -> MissingPackage:
    return MissingPackage(
        f"auth={extra!r} needs one more package on every machine: pip install 'pi-datasource[{extra}]'"
    )


_STRATEGIES: dict[str, Callable[[Options, Connect], AuthBase]] = {
    "anonymous": lambda _options, _connect: Anonymous(),
    "basic": _basic,
    "bearer": _bearer,
    "oidc": _oidc,
    "kerberos": _kerberos,
    "ntlm": _ntlm,
}
