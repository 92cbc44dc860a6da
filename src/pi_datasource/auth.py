"""Options → a ``requests`` authentication object; secrets are looked up here and nowhere earlier."""

from __future__ import annotations

import base64
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from pi_datasource.errors import InvalidOption, MissingPackage
from pi_datasource.options import Options


class Anonymous(AuthBase):
    """Sends nothing; without it requests would take credentials from ~/.netrc, unasked."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:  # noqa: D102 - as inherited
        return request


class BearerAuth(AuthBase):
    """Sends one token with every request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:  # noqa: D102 - as inherited
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def authentication(options: Options) -> AuthBase:
    """How to sign in as the options say.

    Raises:
        InvalidOption: a secret that cannot be found where its reference points.
        MissingPackage: Kerberos or NTLM without their extra.
    """
    return _STRATEGIES[chosen(options)](options)


def chosen(options: Options) -> str:
    """The kind of authentication: the one named, or for ``auto`` the one whose options are there."""
    if options.auth != "auto":
        return options.auth
    if options.token is not None:
        return "bearer"
    return "basic" if options.username is not None else "anonymous"


def secret(name: str, reference: SecretStr | None) -> str:
    """The secret that an option holds or refers to: ``env:NAME``, ``file:PATH``, else the text itself.

    Raises:
        InvalidOption: there is nothing at that place; the message names the place, never a value.
    """
    text = reference.get_secret_value() if reference is not None else ""
    kind, _, place = text.partition(":")
    if kind == "env":
        if place not in os.environ:
            message = f"option {name!r} refers to the environment variable {place!r}, which is not set in this process"
            raise InvalidOption(message)
        return os.environ[place]
    if kind == "file":
        try:
            return Path(place).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as cause:
            message = (
                f"option {name!r} refers to the file {place!r}, which cannot be read: {type(cause).__name__}"
            )
            raise InvalidOption(message) from cause
    return text


def unspeakable(options: Options) -> list[str]:
    """Texts that no message may hold, should a server repeat what it was sent."""
    secrets = [
        secret(name, getattr(options, name)) for name in ("password", "token") if getattr(options, name)
    ]
    pair = f"{options.username}:{secret('password', options.password)}".encode()
    return [text for text in (*secrets, base64.b64encode(pair).decode() if options.password else "") if text]


def _basic(options: Options) -> AuthBase:
    # Bytes, because requests would encode text as latin-1 and fail on every other letter.
    password = secret("password", options.password).encode()
    return HTTPBasicAuth((options.username or "").encode(), password)


def _bearer(options: Options) -> AuthBase:
    return BearerAuth(secret("token", options.token))


def _kerberos(options: Options) -> AuthBase:  # noqa: ARG001 - all strategies are called alike
    package = _optional("requests_kerberos", "kerberos")
    return package.HTTPKerberosAuth(mutual_authentication=package.OPTIONAL)  # type: ignore[no-any-return]


def _ntlm(options: Options) -> AuthBase:
    package = _optional("requests_ntlm", "ntlm")
    return package.HttpNtlmAuth(options.username, secret("password", options.password))  # type: ignore[no-any-return]


def _optional(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        message = (
            f"auth={extra!r} needs one more package on every machine: pip install 'pi-datasource[{extra}]'"
        )
        raise MissingPackage(message) from cause


_STRATEGIES: dict[str, Callable[[Options], AuthBase]] = {
    "anonymous": lambda _: Anonymous(),
    "basic": _basic,
    "bearer": _bearer,
    "kerberos": _kerberos,
    "ntlm": _ntlm,
}
