"""Which options of signing in need each other."""

from __future__ import annotations

from typing import Any

_NEEDS = {"basic": "username", "ntlm": "username", "bearer": "token", "oidc": "client_id"}
_ALL_KINDS = ("auto", "anonymous", "basic", "bearer", "oidc", "kerberos", "ntlm")
_PARTNERS = (  # an option, the values of ``auth`` for which it matters, and the option that it needs then
    ("username", ("auto", "basic", "ntlm"), "password"),
    ("client_id", ("auto", "oidc"), "client_secret"),
    ("client_secret", ("auto", "oidc"), "client_id"),
    ("client_key", _ALL_KINDS, "client_cert"),
    ("proxy_username", _ALL_KINDS, "proxy"),
    ("proxy_password", _ALL_KINDS, "proxy_username"),
)


def check(options: Any) -> None:
    """Checks that each of the ``options`` that are set has the one that it needs.

    Raises:
        ValueError: one has not; the message names both.
    """
    needs = _NEEDS.get(options.auth)
    if needs and getattr(options, needs) is None:
        message = f"auth={options.auth!r} needs the option {needs!r}"
        raise ValueError(message)
    for name, kinds, partner in _PARTNERS:
        if getattr(options, name) is not None and getattr(options, partner) is None and options.auth in kinds:
            message = f"option {name!r} needs the option {partner!r}"
            raise ValueError(message)
