"""Authentication: Basic, bearer, and the challenges of Kerberos and NTLM, as ASP.NET answers them."""

import base64
import binascii
import struct

from mock_server.server.oidc import ISSUER, same_secret
from mock_server.server.server import Server
from mock_server.webapi.messages import Request, framework_refusal

REALM = 'Basic realm="PI Web API simulator"'
CHALLENGES = {"kerberos": "Negotiate", "ntlm": "NTLM"}
_OPEN = (ISSUER, "/piwebapi/.well-known/openid-configuration")
# Unicode, target, NTLM, always sign, extended security, target info, version, 128, 56
_NTLM_FLAGS = 0xA2898205


def check(server: Server, request: Request) -> None:
    """Return when the request may be served.

    Raises:
        ApiError: 401, naming the accepted methods in `WWW-Authenticate`.
    """
    protected = server.user, server.token, server.oidc, server.challenge
    if all(each is None for each in protected) or request.path.lower().startswith(_OPEN):
        return
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    scheme, credentials = scheme.lower(), credentials.strip()
    if scheme == "basic" and server.user is not None and _basic(server, request):
        return
    problem = _bearer_problem(server, credentials) if scheme == "bearer" else ""
    if problem is None:
        return
    raise framework_refusal(
        401,
        "Authorization has been denied for this request.",
        {"WWW-Authenticate": ", ".join(_challenges(server, scheme, credentials, problem))},
    )


def read_basic(header: str) -> tuple[str, str] | None:
    """User and password of an `Authorization` header, or None if it holds none."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (user, password) if colon else None


def _basic(server: Server, request: Request) -> bool:
    given = read_basic(request.headers["authorization"])
    return (
        given is not None
        and same_secret(given[0], server.user or "")
        and same_secret(given[1], server.password or "")
    )


def _bearer_problem(server: Server, token: str) -> str | None:
    """The reason to reject the token, "" if there is none to tell; None when it is accepted."""
    if server.token is not None and same_secret(token, server.token):
        return None
    return server.oidc.problem_of(token) if server.oidc is not None else ""


def _challenges(server: Server, scheme: str, credentials: str, problem: str) -> list[str]:
    """The challenges of `WWW-Authenticate`; for a rejected bearer token with the reason."""
    bearer = f'Bearer error="invalid_token", error_description="{problem}"' if problem else "Bearer"
    offered = (
        (_integrated(server.challenge, scheme, credentials), server.challenge),
        (REALM, server.user),
        (bearer, server.token or server.oidc),
    )
    return [challenge for challenge, wanted in offered if wanted is not None]


def _integrated(challenge: str | None, scheme: str, credentials: str) -> str:
    """`Negotiate` or `NTLM`; the latter with NTLM's challenge message when the client has begun the handshake."""
    if challenge != "NTLM" or scheme != "ntlm":
        return challenge or ""
    try:
        begun = base64.b64decode(credentials, validate=True).startswith(b"NTLMSSP\0\x01")
    except (binascii.Error, ValueError):
        begun = False
    return f"NTLM {base64.b64encode(_ntlm_challenge()).decode()}" if begun else challenge


def _ntlm_challenge() -> bytes:
    """The second message of NTLM: a target, a constant nonce, and the server's capabilities."""
    target = "PISIM".encode("utf-16-le")
    pairs = struct.pack("<HH", 2, len(target)) + target + struct.pack("<HH", 0, 0)
    fields = (
        struct.pack("<HHI", len(target), len(target), 56),
        struct.pack("<HHI", len(pairs), len(pairs), 56 + len(target)),
    )
    version = b"\x0a\x00\x63\x45\x00\x00\x00\x0f"
    head = b"NTLMSSP\0" + struct.pack("<I", 2) + fields[0] + struct.pack("<I", _NTLM_FLAGS)
    return head + b"pi-ntlm!" + bytes(8) + fields[1] + version + target + pairs
