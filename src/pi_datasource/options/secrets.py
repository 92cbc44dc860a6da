"""Looks secrets up: an option may hold a reference to one, and the value is looked up where it is used.

``env:NAME`` and ``file:PATH`` are looked up in the process that sends the request. ``secret:SCOPE/KEY`` is a Databricks
secret: only the driver may ask the workspace for it, so it is looked up where a read is planned.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import SecretStr

from pi_datasource import redaction
from pi_datasource.errors import InvalidOption, MissingPackage
from pi_datasource.options.declaration import Options
from pi_datasource.options.types import is_reference, unsendable
from pi_datasource.version import __version__

_BARE = ("token", "proxy")
_PUBLIC = "pi-datasource piwebapi PI Web API"  # may be part of a password, and be shown all the same
_PATIENCE_S = 30  # the SDK's own is five minutes, and applies to every step of signing in


class Found(SecretStr):
    """A secret that has been looked up: the value itself, even if it looks like a reference.

    ``reference`` says where it was found, so that it can be looked up again; it stays in the process that found it.
    """

    def __init__(self, value: str, reference: str | None = None) -> None:
        super().__init__(value)
        self.reference = reference

    def __reduce__(self) -> tuple[type[Found], tuple[str]]:
        """Only the value is sent to tasks, which cannot ask a workspace."""
        return Found, (self.get_secret_value(),)


def secret(name: str, reference: SecretStr | None, refused: str | None = None) -> str:
    """The secret that an option holds or refers to: ``env:``, ``file:``, ``secret:``, else the text itself.

    Line ends after it are stripped, and white space around a token or a proxy. It is registered with ``redaction``. A value
    that the server ``refused`` is looked up again.

    Raises:
        InvalidOption: there is nothing at that place, or what cannot be sent; the message names the place, never a value.
        MissingPackage: a Databricks secret without databricks-sdk.
    """
    found, place = _looked_up(name, reference, refused)
    value = found.strip() if name in _BARE else found.rstrip("\r\n")
    # Most of a proxy is an address, which may be shown; its password is registered when it is parsed.
    if name != "proxy":
        redaction.register(value, public=(*Options.model_fields, _PUBLIC))
    if problem := unsendable(value, in_header=name == "token"):
        at = f" ({place})" if place else ""
        message = f"option {name!r}{at}: holds {problem}; give it without"
        raise InvalidOption(message)
    return value


def _looked_up(name: str, reference: SecretStr | None, refused: str | None) -> tuple[str, str]:
    """The value, and the reference by which it was found, if any."""
    text = reference.get_secret_value() if reference is not None else ""
    if isinstance(reference, Found):
        if reference.reference is None:
            return text, ""
        try:
            return _looked_up(name, SecretStr(reference.reference), refused)
        except (InvalidOption, MissingPackage):
            return text, reference.reference
    if not is_reference(text):
        return text, ""
    kind, _, place = text.strip().partition(":")
    return _PLACES[kind](name, place, refused), f"{kind}:{place}"


def looked_up(options: Options) -> Options:
    """The options with Databricks secrets in place of references to them, for tasks that cannot ask a workspace.

    They are those that this process found last: if a token was refused, the one that replaced it.
    """
    found = found_in_workspace(options)
    changed = any(found[name] != getattr(options, name) for name in found)
    return options.model_copy(update=found) if changed else options


def found_in_workspace(options: Options) -> dict[str, Found]:
    """The values of those options that refer to Databricks secrets."""
    found = {}
    for name, value in _given(options).items():
        reference = value.reference if isinstance(value, Found) else value.get_secret_value().strip()
        if reference is not None and reference.startswith("secret:"):
            found[name] = Found(secret(name, value), reference)
    return found


def _given(options: Options) -> dict[str, SecretStr]:
    values = {name: getattr(options, name) for name in Options.model_fields}
    return {name: value for name, value in values.items() if isinstance(value, SecretStr)}


def _from_environment(name: str, place: str, refused: str | None) -> str:  # noqa: ARG001 - all are called alike
    if place not in os.environ:
        message = (
            f"option {name!r} refers to the environment variable {place!r}, which is not set in this process"
        )
        raise InvalidOption(message)
    return os.environ[place]


def _from_file(name: str, place: str, refused: str | None) -> str:  # noqa: ARG001
    try:
        return Path(place).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as cause:
        message = (
            f"option {name!r} refers to the file {place!r}, which cannot be read: {type(cause).__name__}"
        )
        raise InvalidOption(message) from cause


def _from_workspace(name: str, place: str, refused: str | None) -> str:
    with _asking:
        if place not in _found_in_workspace or _found_in_workspace[place].strip() == refused:
            _found_in_workspace[place] = _asked_of_workspace(name, place)
        return _found_in_workspace[place]


def _asked_of_workspace(name: str, place: str) -> str:
    scope, slash, key = place.partition("/")
    if not (scope and slash and key):
        message = f"option {name!r} refers to a Databricks secret, which is written secret:SCOPE/KEY"
        raise InvalidOption(message)
    try:
        sdk = importlib.import_module("databricks.sdk")
        errors = importlib.import_module("databricks.sdk.errors")
    except ImportError as cause:
        message = (
            f"option {name!r} refers to a Databricks secret, which needs one more package: "
            "pip install 'pi-datasource[databricks]'"
        )
        raise MissingPackage(message) from cause
    try:
        return str(_workspace(sdk).dbutils.secrets.get(scope, key))
    except errors.DatabricksError as cause:
        why = f"the workspace says {cause.error_code or type(cause).__name__}"
    except (ValueError, OSError) as cause:  # also no credentials, and every kind of no connection
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


_found_in_workspace: dict[str, str] = {}  # by scope/key, until the server refuses it
_asking = Lock()
_PLACES: dict[str, Callable[[str, str, str | None], str]] = {
    "env": _from_environment,
    "file": _from_file,
    "secret": _from_workspace,
}
