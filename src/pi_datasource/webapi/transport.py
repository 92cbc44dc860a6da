"""The HTTP session: headers, authentication, TLS and proxies."""

from __future__ import annotations

import base64
import logging
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from urllib.request import getproxies

import requests
import urllib3
from urllib3.util.ssl_ import create_urllib3_context

from pi_datasource import redaction
from pi_datasource.errors import InvalidOption
from pi_datasource.options import secrets
from pi_datasource.options.declaration import Options
from pi_datasource.version import __version__
from pi_datasource.webapi import auth
from pi_datasource.webapi.deadline_adapter import DeadlineAdapter

log = logging.getLogger(__name__)

_PROXY_ADDRESS = re.compile(r"([\w.-]+|\[[0-9a-f:.]+(?:%\w+)?\])(?::([0-9]{1,5}))?/?", re.IGNORECASE)


class Session(requests.Session):
    """A session configured by the options: it follows no redirect, and options take precedence over the environment.

    Raises:
        InvalidOption: a file, secret or address of the options cannot be used on this machine.
        MissingPackage: ``auth`` needs an extra.
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        self._proxies = _proxies(options)
        self._trusted = _trust(options)
        adapter = DeadlineAdapter(_client_certificate(options))
        self.mount("https://", adapter)
        self.mount("http://", adapter)
        # PI refuses a POST without X-Requested-With (reference: authentication and transport).
        self.headers.update(
            {
                "Accept": "application/json",
                "Accept-Encoding": "gzip" if _compressed(options) else "identity",
                "Content-Type": "application/json",
                "User-Agent": f"pi-datasource/{__version__}",
                "X-Requested-With": "pi-datasource",
            }
        )
        self.auth = auth.Anonymous()

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """As inherited, but an option takes precedence over an environment variable."""
        if self._proxies is not None:
            proxies = {**self._proxies, **(proxies or {})}
        trusted = verify if self._trusted is True else self._trusted
        return super().merge_environment_settings(url, proxies, stream, trusted, cert)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: credentials might go to the target, and requests would parse even a redirect that it must not follow."""


def session(options: Options) -> Session:
    """A session that authenticates as the options say."""
    made = Session(options)
    made.auth = auth.authentication(options, lambda: Session(options))
    if not options.verify_tls:
        log.warning("the certificate of %s is not checked: verify_tls is false", options.url)
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return made


def _compressed(options: Options) -> bool:
    if options.compression != "auto":
        return options.compression == "gzip"
    return not auth.on_this_machine(options.url)


def _trust(options: Options) -> bool | str:
    if options.ca_bundle is None or not options.verify_tls:
        return options.verify_tls
    try:
        ssl.create_default_context(cafile=options.ca_bundle)
    except (OSError, ValueError) as cause:
        unusable = _unusable("ca_bundle", options.ca_bundle, cause)
        raise unusable from cause
    return str(options.ca_bundle)


def _client_certificate(options: Options) -> ssl.SSLContext | None:
    if options.client_cert is None:
        return None
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if options.verify_tls else ssl.CERT_NONE)
    password = secrets.secret("client_key_password", options.client_key_password)
    try:
        # A password is always given, because OpenSSL would ask for one at the terminal.
        context.load_cert_chain(options.client_cert, options.client_key, password.encode)
    except (OSError, ValueError) as cause:
        name = "client_key" if isinstance(cause, ssl.SSLError) and options.client_key else "client_cert"
        place: Path = getattr(options, name)
        locked = place.is_file() and b"ENCRYPTED" in place.read_bytes()
        hint = "; its key is encrypted, and 'client_key_password' does not open it" if locked else ""
        raise _unusable(name, place, cause, hint) from cause
    return context


def _unusable(name: str, place: Path, cause: Exception, hint: str = "") -> InvalidOption:
    if isinstance(cause, ssl.SSLError):
        why = f"it is not a PEM file of that kind ({cause.reason or type(cause).__name__})"
    else:
        why = getattr(cause, "strerror", None) or type(cause).__name__
    return InvalidOption(
        f"option {name!r}: the file {str(place)!r} cannot be used on this machine: {why}{hint}"
    )


def _proxies(options: Options) -> dict[str, str | None] | None:
    """The proxy of each scheme; None if the environment variables apply. Passwords are registered as secrets.

    No error shows any of the option ``proxy``, because any part may be a password.
    """
    if options.proxy is None:
        for address in getproxies().values():
            redaction.register(_split(address)[2])
        return None
    text = secrets.secret("proxy", options.proxy)
    if text.lower() == "none":
        return {"http": None, "https": None, "all": None}
    scheme, username, password, address = _split(text)
    match = _PROXY_ADDRESS.fullmatch(address)
    if scheme not in ("http", "https") or match is None or int(match[2] or 1) not in range(1, 65536):
        message = "option 'proxy' is not a valid address; use http://HOST:PORT, or none"
        raise InvalidOption(message)
    if options.proxy_username is not None:
        username, password = options.proxy_username, secrets.secret("proxy_password", options.proxy_password)
    redaction.register(password)
    if username or password:
        address = f"{quote(username, safe='')}:{quote(password, safe='')}@{address}"
        _check_basic(username, password)
    return dict.fromkeys(("http", "https"), f"{scheme}://{address}")


def _split(text: str) -> tuple[str, str, str, str]:
    """Scheme, user name, password and address.

    Not by ``urlsplit``: a password in which ``#``, ``/`` or ``?`` is not percent-encoded would end up in other parts.
    """
    scheme, _, rest = text.partition("://")
    signing, _, address = rest.rpartition("@")
    username, _, password = signing.partition(":")
    return scheme.lower(), unquote(username), unquote(password), address


def _check_basic(username: str, password: str) -> None:
    try:
        pair = f"{username}:{password}".encode("latin-1")  # as requests will
    except UnicodeEncodeError:
        message = "option 'proxy': its user name or password holds a character that cannot be sent to a proxy (not in Latin-1)"
        raise InvalidOption(message) from None
    redaction.register(base64.b64encode(pair).decode())
