"""The option ``proxy`` as requests needs it; no error shows any of it, because any part may be a password."""

from __future__ import annotations

import base64
import re
from urllib.parse import quote, unquote
from urllib.request import getproxies

from pi_datasource import redaction
from pi_datasource.errors import InvalidOption
from pi_datasource.options import secrets
from pi_datasource.options.declaration import Options

_ADDRESS = re.compile(r"([\w.-]+|\[[0-9a-f:.]+(?:%\w+)?\])(?::([0-9]{1,5}))?/?", re.IGNORECASE)


def proxies(options: Options) -> dict[str, str | None] | None:
    """The proxy of each scheme; None if the environment variables apply. Passwords are registered as secrets.

    Raises:
        InvalidOption: the option is not a valid address, or a user name or password cannot be sent.
    """
    if options.proxy is None:
        for address in getproxies().values():
            redaction.register(_split(address)[2])
        return None
    text = secrets.secret("proxy", options.proxy)
    if text.lower() == "none":
        return {"http": None, "https": None, "all": None}
    scheme, username, password, address = _split(text)
    match = _ADDRESS.fullmatch(address)
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
