"""An identity provider with one client: the client credentials grant, and tokens that expire."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

ISSUER = "/identitymanager"
TOKEN_PATH = f"{ISSUER}/connect/token"
KEYS_PATH = f"{ISSUER}/.well-known/openid-configuration/jwks"
SCOPE = "system"
_HEADER = {"alg": "HS256", "typ": "at+jwt"}


class Refused(Exception):
    """A rejected grant, with the error code of RFC 6749."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class Oidc:
    """Issues tokens to the client that knows the secret, and verifies them.

    Tokens are JWTs, signed with a key of this object and valid for `lifetime_s`.

    Raises:
        ValueError: a lifetime of less than a second.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        lifetime_s: int = 3600,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if lifetime_s < 1:
            msg = f"a token must live for at least a second, not {lifetime_s}"
            raise ValueError(msg)
        self.lifetime_s = lifetime_s
        self._client = (client_id, client_secret)
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def discovery(self, origin: str) -> dict[str, Any]:
        """The OpenID discovery document."""
        return {
            "issuer": f"{origin}{ISSUER}",
            "token_endpoint": f"{origin}{TOKEN_PATH}",
            "jwks_uri": f"{origin}{KEYS_PATH}",
            "grant_types_supported": ["client_credentials"],
            "scopes_supported": [SCOPE],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["HS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }

    def grant(self, form: Mapping[str, str], basic: tuple[str, str] | None, origin: str) -> dict[str, Any]:
        """The response to a token request.

        Raises:
            Refused: when the request is rejected.
        """
        if not form.get("grant_type"):
            code = "invalid_request"
            raise Refused(code)
        client = basic or (form.get("client_id", ""), form.get("client_secret", ""))
        known = [same_secret(given, wanted) for given, wanted in zip(client, self._client, strict=True)]
        if not all(known):
            code = "invalid_client"
            raise Refused(code, 401 if basic else 400)
        if form["grant_type"] != "client_credentials":
            code = "unsupported_grant_type"
            raise Refused(code)
        if set(form.get("scope", SCOPE).split()) - {SCOPE}:
            code = "invalid_scope"
            raise Refused(code)
        return {
            "access_token": self._token(origin),
            "expires_in": self.lifetime_s,
            "token_type": "Bearer",
            "scope": SCOPE,
        }

    def problem_of(self, token: str) -> str | None:
        """The reason to reject a token, or None."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(errors="replace"), self._sign(signed)):
            return "The signature is invalid"
        claims = orjson.loads(_decode(signed.partition(".")[2]))
        return "The token expired" if claims["exp"] <= self._clock() else None

    def revoke(self) -> None:
        """Revoke all tokens issued so far."""
        self._key = secrets.token_bytes(32)

    def _token(self, origin: str) -> str:
        now = int(self._clock())
        claims = {
            "iss": f"{origin}{ISSUER}",
            "client_id": self._client[0],
            "scope": [SCOPE],
            "iat": now,
            "exp": now + self.lifetime_s,
            "jti": secrets.token_hex(8),
        }
        signed = f"{_encode(orjson.dumps(_HEADER))}.{_encode(orjson.dumps(claims))}"
        return f"{signed}.{self._sign(signed).decode()}"

    def _sign(self, signed: str) -> bytes:
        digest = hmac.digest(self._key, signed.encode(errors="replace"), hashlib.sha256)
        return _encode(digest).encode()


def same_secret(given: str, wanted: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
