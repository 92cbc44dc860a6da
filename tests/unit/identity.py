"""An OpenID Connect provider and the PI Web API that trusts it, as one script of the scripted server."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs

from .fakes import WebServer, reply, says

ISSUER = "/identitymanager"


class Identity:
    """Gives the tokens ``token-1``, ``token-2`` … to one client, and lets in whoever shows one that is not revoked."""

    def __init__(
        self, web: WebServer, client_id: str = "spark", client_secret: str = "s3cret", *, post: bool = True
    ) -> None:
        self.base = web.url.removesuffix("/piwebapi")
        self.client = (client_id, client_secret)
        self.post = post
        self.lifetime: float | None = 3600
        self.issued = 0
        self.revoked: set[str] = set()
        self.asked: list[dict[str, str]] = []
        web.answers(self)

    @property
    def token_url(self) -> str:
        return f"{self.base}{ISSUER}/connect/token"

    def __call__(self, handler: Any) -> None:
        """Plays one reply."""
        path = handler.path.partition("?")[0]
        if path == "/piwebapi/.well-known/openid-configuration":
            methods = ["client_secret_post" if self.post else "client_secret_basic"]
            says({"token_endpoint": self.token_url, "token_endpoint_auth_methods_supported": methods})(
                handler
            )
        elif path == f"{ISSUER}/connect/token":
            self._grant(handler)
        else:
            self._serve(handler)

    def _grant(self, handler: Any) -> None:
        body = handler.server.asked[-1].body.decode()
        form = {key: values[0] for key, values in parse_qs(body, strict_parsing=True).items()}
        self.asked.append(form)
        assert handler.headers["Content-Type"] == "application/x-www-form-urlencoded"
        given = (form.get("client_id"), form.get("client_secret"))
        if not self.post:
            scheme, _, pair = handler.headers.get("Authorization", "").partition(" ")
            assert (scheme, given) == ("Basic", (None, None))
            given = tuple(base64.b64decode(pair).decode().split(":", 1))
        if given != self.client or form["grant_type"] != "client_credentials":
            told = {"error": "invalid_client", "error_description": f"no such client, nor {given[1]}"}
            says(told, 400)(handler)
            return
        self.issued += 1
        granted: dict[str, Any] = {"access_token": f"token-{self.issued}", "token_type": "Bearer"}
        if self.lifetime is not None:
            granted["expires_in"] = self.lifetime
        says(granted)(handler)

    def _serve(self, handler: Any) -> None:
        scheme, _, token = handler.headers.get("Authorization", "").partition(" ")
        known = {f"token-{number + 1}" for number in range(self.issued)} - self.revoked
        if scheme == "Bearer" and token in known:
            says({"Items": [], "seen": token})(handler)
        else:
            refused = json.dumps({"Message": f"Authorization has been denied for {token}."}).encode()
            reply(401, refused, WWW_Authenticate="Bearer")(handler)
