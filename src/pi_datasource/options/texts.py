"""Options as texts, the form in which Spark hands them to a data source: the inverse of ``Options.parse``."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from pi_datasource.options.declaration import Options
from pi_datasource.options.secrets import Found


def texts(options: Options, without: Collection[str] = ()) -> dict[str, str]:
    """The options that were set, as ``Options.parse`` takes them, except those named ``without``.

    A secret is written as it was given: a reference stays a reference, even if it has been looked up.

    Raises:
        ValueError: a secret was looked up in another process, so that its reference is not known here.
    """
    values = {name: getattr(options, name) for name in options.model_fields_set if name not in without}
    return {name: _text(name, value) for name, value in sorted(values.items()) if value is not None}


def _text(name: str, value: Any) -> str:
    if isinstance(value, Found):
        if value.reference is None:
            message = f"option {name!r} holds a secret that was looked up elsewhere"
            raise ValueError(message)
        return value.reference
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.6f}s"
    if isinstance(value, tuple):
        return json.dumps(value)
    return str(value)
