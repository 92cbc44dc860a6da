"""Who may come in: Basic and bearer, as the framework beneath PI Web API answers for them."""

import base64
import binascii
import hmac

from mock_server.messages import Request, framework_refusal
from mock_server.server import Server

REALM = 'Basic realm="PI Web API simulator"'


def check(server: Server, request: Request) -> None:
    """Return when the request may be served.

    Raises:
        ApiError: 401, naming the accepted methods in `WWW-Authenticate`.
    """
    if server.user is None and server.token is None:
        return
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic" and server.user is not None and _basic(server, credentials.strip()):
        return
    if scheme.lower() == "bearer" and server.token is not None and _same(credentials.strip(), server.token):
        return
    accepted = [
        name for name, secret in ((REALM, server.user), ("Bearer", server.token)) if secret is not None
    ]
    raise framework_refusal(
        401, "Authorization has been denied for this request.", {"WWW-Authenticate": ", ".join(accepted)}
    )


def _basic(server: Server, credentials: str) -> bool:
    try:
        user, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return False
    return bool(colon) and _same(user, server.user or "") and _same(password, server.password or "")


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())
