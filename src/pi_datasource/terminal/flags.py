"""Command line flags made from the declaration of options: one option, one flag, one text."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Optional

import typer

from pi_datasource.options import Options

PANEL = "PI options"


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with a flag for every option; it gets what was given as ``options``, a dict of strings.

    Every flag can also be given as an environment variable: ``--start-time`` as ``PI_START_TIME``.
    """
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != "options"
    ]
    flags = [_flag(name, field.description or "") for name, field in Options.model_fields.items()]

    @wraps(command)
    def run(**given: Any) -> None:
        options = {name: given.pop(name) for name in Options.model_fields if name in given}
        command(options={name: value for name, value in options.items() if value is not None}, **given)

    parameters = [*own, *flags]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _flag(name: str, description: str) -> inspect.Parameter:
    flag = typer.Option(
        f"--{name.replace('_', '-')}",
        envvar=f"PI_{name.upper()}",
        help=description.replace("`", ""),
        rich_help_panel=PANEL,
        show_default=False,
        show_envvar=False,
    )
    annotation = Annotated[Optional[str], flag]  # noqa: UP045 - evaluated by typer on Python 3.10
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
