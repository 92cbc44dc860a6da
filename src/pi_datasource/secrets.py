"""Where secrets are found: an option holds a reference, and the value is looked up where it is used.

``env:NAME`` and ``file:PATH`` are looked up in the process that sends the request. ``secret:SCOPE/KEY`` is a Databricks
secret: only the driver may ask the workspace for it, so it is looked up where a read is planned.
"""

from __future__ import annotations

import base64
import importlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from pi_datasource.errors import InvalidOption, MissingPackage
from pi_datasource.options import Options
from pi_datasource.version import __version__

_PATIENCE_S = 30  # the SDK's own is five minutes, and applies to every step of signing in


class Found(SecretStr):
    """A secret that has been looked up: it is the value, whatever it looks like."""


def secret(name: str, reference: SecretStr | None) -> str:
    """The secret that an option holds or refers to: ``env:``, ``file:``, ``secret:``, else the text itself.

    Raises:
        InvalidOption: there is nothing at that place; the message names the place, never a value.
        MissingPackage: a Databricks secret without databricks-sdk.
    """
    text = reference.get_secret_value() if reference is not None else ""
    kind, _, place = text.partition(":")
    if isinstance(reference, Found) or kind not in _PLACES:
        return text
    return _PLACES[kind](name, place)


def looked_up(options: Options) -> Options:
    """The options with Databricks secrets in place of references to them, for tasks that cannot ask a workspace."""
    found = {
        name: Found(secret(name, value))
        for name, value in _given(options).items()
        if value.get_secret_value().startswith("secret:") and not isinstance(value, Found)
    }
    return options.model_copy(update=found) if found else options


def unspeakable(options: Options) -> list[str]:
    """Texts that no message may hold, should a server repeat what it was sent."""
    found = {}
    for name, reference in _given(options).items():
        with suppress(InvalidOption, MissingPackage):  # what cannot be found is not sent either
            found[name] = secret(name, reference)
    if "password" in found:
        pair = f"{options.username}:{found['password']}"
        found["basic"] = base64.b64encode(pair.encode()).decode()
    if "proxy" in found:
        found["proxy"] = unquote(urlsplit(found["proxy"]).password or "")
    return [text for text in found.values() if text]


def _given(options: Options) -> dict[str, SecretStr]:
    values = {name: getattr(options, name) for name in Options.model_fields}
    return {name: value for name, value in values.items() if isinstance(value, SecretStr)}


def _from_environment(name: str, place: str) -> str:
    if place not in os.environ:
        message = (
            f"option {name!r} refers to the environment variable {place!r}, which is not set in this process"
        )
        raise InvalidOption(message)
    return os.environ[place]


def _from_file(name: str, place: str) -> str:
    try:
        return Path(place).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as cause:
        message = (
            f"option {name!r} refers to the file {place!r}, which cannot be read: {type(cause).__name__}"
        )
        raise InvalidOption(message) from cause


@lru_cache(maxsize=32)
def _from_workspace(name: str, place: str) -> str:
    scope, slash, key = place.partition("/")
    if not (scope and slash and key):
        message = f"option {name!r} refers to a Databricks secret, which is written secret:SCOPE/KEY"
        raise InvalidOption(message)
    try:
        core, errors = (
            importlib.import_module("databricks.sdk"),
            importlib.import_module("databricks.sdk.errors"),
        )
    except ImportError as cause:
        message = (
            f"option {name!r} refers to a Databricks secret, which needs one more package: "
            "pip install 'pi-datasource[databricks]'"
        )
        raise MissingPackage(message) from cause
    try:
        return str(_workspace(core).dbutils.secrets.get(scope, key))
    except errors.DatabricksError as cause:
        why = f"the workspace says {cause.error_code or type(cause).__name__}"
    except (
        ValueError,
        OSError,
        TimeoutError,
    ) as cause:  # also no credentials, and every kind of no connection
        why = f"no workspace can be asked here ({type(cause).__name__})"
    message = (
        f"option {name!r} refers to the Databricks secret {key!r} of the scope {scope!r}, which cannot be read: {why}; "
        "check the names and the right READ on the scope, sign in to a workspace (DATABRICKS_HOST and a token or "
        "profile), or use env:NAME or file:PATH"
    )
    raise InvalidOption(message)


def _workspace(sdk: Any) -> Any:
    config = sdk.core.Config(
        product="pi-datasource",
        product_version=__version__,
        retry_timeout_seconds=_PATIENCE_S,
        http_timeout_seconds=_PATIENCE_S,
    )
    return sdk.WorkspaceClient(config=config)


_PLACES: dict[str, Callable[[str, str], str]] = {
    "env": _from_environment,
    "file": _from_file,
    "secret": _from_workspace,
}
